"""`python -m tests.bench [names…]`: run benchmarks side by side with bare references, and print what they found.

Figures are ratios within one run on one machine: the absolute ones say little elsewhere. A ratio of rates holds only
where both servers had their core to themselves (`busy` near 100 %); on a busy machine look at the ratio of CPU time.
Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import (
    callback,
    crowd,
    fleet,
    footprint,
    freeradius,
    hub,
    lists,
    paint,
    portal,
    purchase,
    radius,
    reconcile,
    store,
    waiting,
)
from tests.bench.books import Past
from tests.bench.measures import number, percentile, table
from tests.bench.processes import CORES, LOAD_CORE, SERVER_CORE
from tests.bench.sizes import QUICK, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.bench.measures import Measure
    from tests.bench.sizes import Sizes

BENCHMARKS: dict[str, Callable[[Path, Sizes, Past], Iterator[Measure]]] = {
    "portal": portal.run,
    "crowd": crowd.run,
    "purchase": purchase.run,
    "callback": callback.run,
    "radius": radius.run,
    "footprint": footprint.run,
    "store": store.run,
    "waiting": waiting.run,
    "paint": paint.run,
    "freeradius": freeradius.run,
    "reconcile": reconcile.run,
    "lists": lists.run,
    "hub": hub.run,
    "fleet": fleet.run,
}
# These take minutes, or a program that is not everywhere: they are run by name only.
_LONG = frozenset({"waiting", "freeradius", "reconcile", "paint", "lists", "hub", "fleet"})
_SYNCS = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(prog="tests.bench", description="Benchmarks beside bare references.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=_names_in_words())
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--quick", action="store_true", help="so little that the figures mean nothing")
    args = parser.parse_args(arguments)
    unknown = set(args.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    names, sizes = args.names or [name for name in BENCHMARKS if name not in _LONG], QUICK if args.quick else WHOLE
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        found = _run(names, Path(folder), sizes)
        if args.json:
            content = {name: [measure.as_json() for measure in measures] for name, measures in found}
            _say(json.dumps({"machine": _machine(), "quick": args.quick, "benchmarks": content}, indent=2))
            return 0
        _say(_machine_in_words(_machine()))
        for name, measures in found:
            _say(f"\n{name}, load average {os.getloadavg()[0]:.1f}")
            for line in table(measures):
                _say(line)
    return 0


def _names_in_words() -> str:
    return f"of {', '.join(BENCHMARKS)}; all without any, but for {', '.join(sorted(_LONG))}"


def _run(names: Iterable[str], folder: Path, sizes: Sizes) -> Iterator[tuple[str, list[Measure]]]:
    past = Past.write(folder, sizes.grants)
    for name in names:
        own = folder / name
        own.mkdir()
        yield name, list(BENCHMARKS[name](own, sizes, past))
        shutil.rmtree(own)


def _machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "cores": len(CORES),
        "load_average": os.getloadavg()[0],
        "sync_us": _sync_seconds() * 1e6,
    }


def _machine_in_words(machine: dict[str, Any]) -> str:
    return (
        f"Python {machine['python']}, {machine['cores']} cores (servers on {SERVER_CORE}, load on {LOAD_CORE}), "
        f"load average {machine['load_average']:.1f}, a sync of 4 KiB takes {number(machine['sync_us'])} µs"
    )


def _sync_seconds() -> float:
    """The median time a block takes to the disk."""
    taken: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_SYNCS):
            begun = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), 0)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return percentile(taken, 0.5)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
