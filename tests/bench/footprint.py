"""Start-up and memory of the daemon: as it is unpacked, and with a full site in its books."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tests.bench.measures import Measure, Spread, at_most, one
from tests.bench.processes import LOAD_CORE, SERVER_CORE, BenchError, Server, own_module
from tests.bench.site import Site
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.sizes import Sizes

_START_TARGET, _MEMORY_TARGET_MB = at_most(1.5), at_most(80)
_ROUND_WITHIN_SECONDS = 60.0
_ALL_USERS_WITHIN_SECONDS = 300.0


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Seconds from the start of the process to READY, and resident memory."""
    grants = sizes.grants
    empty = Site.lay_out(folder / "empty", "hotspot-user")
    full = Site.lay_out(folder / "full", "hotspot-user", past.path)

    def bare() -> Server:
        file = folder / f"bare-{time.monotonic_ns()}.sqlite"
        return Server(own_module("bare_http", str(free_port()), str(file)), core=SERVER_CORE)

    yield from _starts(
        {"bare aiohttp": bare, "daemon, empty books": empty.run, f"daemon, {grants} grants": full.run}, sizes
    )
    with full.run() as daemon:
        daemon.wait_for_log("router main", within_seconds=_ROUND_WITHIN_SECONDS)
        time.sleep(sizes.settle_seconds)
        yield from _memory(f"{grants} grants, router away", daemon)
    yield from _with_router(Site.lay_out(folder / "routed", "hotspot-user", past.path), sizes)


def _starts(starts: dict[str, Callable[[], Server]], sizes: Sizes) -> Iterator[Measure]:
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    idle: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(sizes.starts):
        for name, start in starts.items():
            with start() as server:
                seconds[name].append(server.ready_after_seconds)
                time.sleep(sizes.settle_seconds)
                idle[name].append(server.resident_mb())
    for at, name in enumerate(starts):
        target = _START_TARGET if at else None
        yield Measure(name, "start to READY", "s", Spread.of(seconds[name]), target)
        yield Measure(name, "resident", "MB", Spread.of(idle[name]))


def _with_router(site: Site, sizes: Sizes) -> Iterator[Measure]:
    """With the lab's router, once all users stand on it and were compared again."""
    grants, idle_seconds = sizes.grants, sizes.idle_seconds
    figure = f"{grants} grants, all on the router"
    with contextlib.ExitStack() as stack:
        router = stack.enter_context(Server(own_module("lab_router", str(site.ports.router_api)), core=LOAD_CORE))
        started_at = time.perf_counter()
        daemon = stack.enter_context(site.run())
        while int(router.ask("users")) < grants:
            if time.perf_counter() - started_at > _ALL_USERS_WITHIN_SECONDS:
                raise BenchError(f"{router.ask('users')} users only: {daemon.log_text()[-2000:]}")
            time.sleep(0.2)
        yield one(figure, "all written after", "s", time.perf_counter() - started_at)
        spent = daemon.cpu_seconds()
        time.sleep(idle_seconds)
        yield one(figure, "CPU of a core, nothing to do", "%", (daemon.cpu_seconds() - spent) / idle_seconds * 100)
        yield from _memory(figure, daemon)


def _memory(figure: str, daemon: Server) -> Iterator[Measure]:
    yield one(figure, "resident", "MB", daemon.resident_mb(), _MEMORY_TARGET_MB)
    yield one(figure, "resident at most", "MB", daemon.peak_mb())
