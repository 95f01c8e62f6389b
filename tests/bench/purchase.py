"""Starting a purchase: two commits of ours around one call to M-Pesa, beside a handler that only makes the call."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench import http_load
from tests.bench.measures import Measure, Spread, percentile
from tests.bench.processes import HOST, LOAD_CORE, SERVER_CORE, Server, own_module
from tests.bench.site import Site
from tests.bench.trials import Contestant, contest
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.sizes import Sizes
    from tests.bench.trials import Load, Trials

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Orders:
    """Orders of ever other phones, sent to one address."""

    port: int
    path: str
    expect: bytes
    count: int
    connections: int
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def drive(self) -> Load:
        each = self.count // self.connections
        return http_load.drive(
            self.port, lambda _n: self._requests(each), connections=self.connections, expect=self.expect
        )

    def _requests(self, count: int) -> Iterator[bytes]:
        for number in itertools.islice(self.numbers, count):
            order = {
                "packageId": "1h",
                "phone": f"2547{number:08}",
                "macAddress": f"06:01:00:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}",
                "nasIp": HOST,
            }
            yield http_load.post(self.path, json.dumps(order).encode())


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """How long a customer waits until the prompt is accepted, and what of it is ours."""
    site = Site.lay_out(folder / "site", "radius", past.path)
    relay_port, payments = free_port(), str(site.ports.payments)
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:
        stack.enter_context(Server(own_module("payments_stand_in", payments), core=LOAD_CORE))
        relay = stack.enter_context(Server(own_module("bare_relay", str(relay_port), payments), core=SERVER_CORE))
        daemon = stack.enter_context(site.run())

        def contestants(at_once: int) -> Iterator[Contestant]:
            bare = _Orders(relay_port, "/relay", b"ResponseCode", sizes.purchases, at_once, numbers)
            yield Contestant(f"bare relay, {at_once} at once", relay, bare.drive)
            path, expect = "/api/portal/mpesa/initiate", b'"success": true'
            ours = _Orders(site.ports.portal, path, expect, sizes.purchases, at_once, numbers)
            yield Contestant(f"initiate, {at_once} at once", daemon, ours.drive)

        trials = contest([*contestants(1), *contestants(AT_ONCE)], sizes.rounds)
    for reference, ours in (trials[:2], trials[2:]):
        yield from (reference.rate(), reference.latency(0.5), reference.cpu())
        yield from (ours.rate(), ours.ratio(reference), ours.latency(0.5), ours.latency(0.95))
        yield _ours(ours, reference)
        yield from (ours.cpu(), ours.cpu_ratio(reference))


def _ours(ours: Trials, reference: Trials) -> Measure:
    beyond = (
        (percentile(mine.latencies, 0.5) - percentile(bare.latencies, 0.5)) * 1000
        for mine, bare in zip(ours.loads, reference.loads, strict=True)
    )
    return Measure(ours.name, "p50 beyond the relay's", "ms", Spread.of(beyond))
