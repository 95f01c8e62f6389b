"""The customers' door: the first page, the packages, the polls, each beside a bare aiohttp JSON handler."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from typing import TYPE_CHECKING

from tests.bench import http_load
from tests.bench.books import Books
from tests.bench.measures import at_least, at_most, one
from tests.bench.processes import SERVER_CORE, Server, own_module
from tests.bench.site import ROUTER, Site
from tests.bench.trials import Contestant, Load, contest
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.measures import Measure
    from tests.bench.sizes import Sizes

CONNECTIONS = 16
BARE = "bare aiohttp JSON"
_PAID = "poll, paid"
_POLL = "/api/portal/mpesa/status?checkoutRequestId="
_RATE_TARGET, _P95_TARGET_MS = at_least(0.6), at_most(12)
_PAGE_OCTETS_TARGET = at_most(15 * 1024)


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Rates and times of answers, and the octets of the first page."""
    site = Site.lay_out(folder / "site", "radius", past.path)
    paid, open_ = past.running[:CONNECTIONS], Books(site.config, site.store).prompted(CONNECTIONS)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(site.run())
        bare_port = free_port()
        bare = stack.enter_context(
            Server(own_module("bare_http", str(bare_port), str(folder / "bare.sqlite")), core=SERVER_CORE)
        )
        port = site.ports.portal

        def contestant(name: str, path: Callable[[int], str], expect: bytes) -> Contestant:
            return Contestant(name, daemon, partial(_drive, port, path, expect, sizes.seconds))

        contestants = [
            Contestant(BARE, bare, partial(_drive, bare_port, lambda _n: "/json", b"completed", sizes.seconds)),
            contestant("first page", first_page, b"package=1h"),
            contestant("packages", lambda n: f"/api/portal/packages?router={ROUTER}&mac={_mac(n)}", b'"packages"'),
            contestant(_PAID, lambda n: _POLL + paid[n].purchase_id, b'"completed"'),
            contestant("poll, pending", lambda n: _POLL + open_[n].purchase_id, b'"pending"'),
        ]
        reference, *ours = contest(contestants, sizes.rounds)
        yield from (reference.rate(), reference.latency(0.95), reference.cpu(), reference.busy(), reference.ceiling())
        for trials in ours:
            yield trials.rate()
            # The last poll of a purchase, asked a few times; the others are what a crowd asks for.
            yield trials.ratio(reference, None if trials.name == _PAID else _RATE_TARGET)
            yield trials.latency(0.5)
            yield trials.latency(0.95, _P95_TARGET_MS)
            yield from (trials.cpu(), trials.cpu_ratio(reference), trials.busy())
        page = http_load.fetch(port, http_load.get(first_page(1)))
        yield one("first page", "on the wire", "B", len(page), _PAGE_OCTETS_TARGET)


def first_page(number: int) -> str:
    """What the device of that number opens first."""
    return f"/?router={ROUTER}&mac={_mac(number)}&ip=10.5.50.{number}"


def _mac(number: int) -> str:
    """Of a device that never bought anything: no grant is written for such addresses."""
    return f"06:00:00:00:00:{number:02X}"


def _drive(port: int, path: Callable[[int], str], expect: bytes, seconds: float) -> Load:
    def requests(number: int) -> Iterator[bytes]:
        return itertools.repeat(http_load.get(path(number)))

    return http_load.drive(port, requests, connections=CONNECTIONS, seconds=seconds, expect=expect)
