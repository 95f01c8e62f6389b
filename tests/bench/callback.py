"""From M-Pesa's callback to the commit: payment, grant and events on the disk before M-Pesa is answered."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import http_load
from tests.bench.books import Books
from tests.bench.measures import at_least, at_most
from tests.bench.processes import SERVER_CORE, Server, own_module
from tests.bench.site import Site
from tests.bench.trials import Contestant, contest
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.measures import Measure, Target
    from tests.bench.sizes import Sizes
    from tests.bench.trials import Load, Trials

AT_ONCE = 16
_RATE_TARGET, _P99_TARGET_MS = at_least(400), at_most(15)


@dataclass(frozen=True, slots=True)
class _Callbacks:
    """Callbacks that were made beforehand, each posted once."""

    port: int
    requests: Iterator[bytes]
    count: int
    connections: int

    def drive(self) -> Load:
        each = self.count // self.connections
        return http_load.drive(
            self.port, lambda _n: itertools.islice(self.requests, each), connections=self.connections
        )


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Rates and times, one by one and many at once; with RADIUS, and with a router whose API is out of reach."""
    with contextlib.ExitStack() as stack:
        bare_port = free_port()
        bare = stack.enter_context(
            Server(own_module("bare_http", str(bare_port), str(folder / "bare.sqlite")), core=SERVER_CORE)
        )

        def references(at_once: int) -> Iterator[Contestant]:
            requests = itertools.repeat(http_load.post("/insert", b'{"Body": {"stkCallback": {"ResultCode": 0}}}'))
            driven = _Callbacks(bare_port, requests, sizes.callbacks, at_once)
            yield Contestant(f"bare aiohttp, one INSERT, {at_once} at once", bare, driven.drive)

        def ours(mode: str, said: str) -> Iterator[Contestant]:
            site = Site.lay_out(folder / mode, mode, past.path)
            requests = _prepared(site, sizes)
            daemon = stack.enter_context(site.run())
            for at_once in (1, AT_ONCE):
                driven = _Callbacks(site.ports.callbacks, requests, sizes.callbacks, at_once)
                yield Contestant(f"callback{said}, {at_once} at once", daemon, driven.drive)

        both = [*references(1), *references(AT_ONCE)]
        trials = contest([*both, *ours("radius", ""), *ours("hotspot-user", ", router away")], sizes.rounds)
    alone, crowd, *rest = trials
    yield from (alone.rate(), alone.latency(0.99), crowd.rate(), crowd.latency(0.99))
    for at, one_of_ours in enumerate(rest):
        by_itself = at % 2 == 0
        yield from _told(one_of_ours, alone if by_itself else crowd, targets=by_itself)


def _prepared(site: Site, sizes: Sizes) -> Iterator[bytes]:
    """Enough callbacks for every round, of purchases that were prompted just now."""
    prompted = Books(site.config, site.store).prompted(2 * (sizes.rounds + 1) * sizes.callbacks)
    return iter([http_load.post(f"/c/{one.token}", one.callback) for one in prompted])


def _told(ours: Trials, reference: Trials, *, targets: bool) -> Iterator[Measure]:
    rate: Target | None = _RATE_TARGET if targets else None
    p99: Target | None = _P99_TARGET_MS if targets else None
    yield from (ours.rate(rate), ours.ratio(reference), ours.latency(0.5), ours.latency(0.99, p99))
    yield from (ours.cpu(), ours.cpu_ratio(reference), ours.busy())
