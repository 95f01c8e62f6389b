"""What routers wait for at a steady pace, while nobody else asks and while a crowd opens the portal."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from tests.bench import http_load, portal, radius_load
from tests.bench.measures import Measure, Spread, at_most
from tests.bench.processes import LOAD_CORE, on_core
from tests.bench.trials import Load, Trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.books import Granted
    from tests.bench.freeradius_updates import Sessions
    from tests.bench.measures import Target
    from tests.bench.site import Site
    from tests.bench.sizes import Sizes

_PER_SECOND = 50
# A round has to be so much longer than others, or its 99th percentile would be its slowest answer.
_LONGER = 6
_P99_TARGET_MS = at_most(20)
# The crowd comes first and goes last.
_MARGIN_SECONDS = 0.25
_WARM_UP_SECONDS = 0.05


def run(site: Site, sizes: Sizes, running: Sequence[Granted], sessions: Sessions) -> Iterator[Measure]:
    """Times of answers to logins and updates, which take turns."""
    seconds = sizes.seconds * _LONGER
    quiet, busy = _Answers("nobody else"), _Answers(f"portal with {portal.CONNECTIONS} connections")
    paced, pages = _Paced(site, running, sessions, round(seconds * _PER_SECOND / 2)), []
    # A process of its own: two that load from one would wait for each other.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as crowd, on_core(LOAD_CORE):
        crowd.submit(open_pages, site.ports.portal, _WARM_UP_SECONDS).result()
        for _ in range(sizes.rounds):
            quiet.add(paced.round())
            coming = crowd.submit(open_pages, site.ports.portal, seconds + 2 * _MARGIN_SECONDS)
            time.sleep(_MARGIN_SECONDS)
            busy.add(paced.round())
            pages.append(coming.result())
    yield from quiet.measures()
    yield from busy.measures(_P99_TARGET_MS)
    yield Measure("first page beside it", "rate", "/s", Spread.of(load.rate for load in pages))


def open_pages(port: int, seconds: float) -> Load:
    """Load the portal as its own benchmark does: the first page, as soon as the last has come."""

    def requests(number: int) -> Iterator[bytes]:
        return itertools.repeat(http_load.get(portal.first_page(number)))

    return http_load.drive(port, requests, connections=portal.CONNECTIONS, seconds=seconds, expect=b"package=1h")


class _Paced:
    """Logins and updates at a steady pace.

    Args:
        site: Whose daemon runs.
        running: Who logs in.
        sessions: That are reported on.
        each: How many of either kind in a round.
    """

    def __init__(self, site: Site, running: Sequence[Granted], sessions: Sessions, each: int) -> None:
        self._ports = (site.ports.radius_auth, site.ports.radius_acct)
        self._running = itertools.cycle(running)
        self._sessions = sessions
        self._numbers = range(each)

    def round(self) -> list[Load]:
        """What became of the logins, and of the updates."""
        logins = [radius_load.login(at, next(self._running), os.urandom) for at in self._numbers]
        updates = [self._sessions.update(at, at) for at in self._numbers]
        return radius_load.pace(list(zip(self._ports, (logins, updates), strict=True)), _PER_SECOND)


class _Answers:
    """Rounds of answers, of each kind and of both."""

    def __init__(self, beside: str) -> None:
        self._all, *self._kinds = (
            Trials(f"{kind}, {_PER_SECOND}/s, {beside}") for kind in ("all", "logins", "updates")
        )

    def add(self, kinds: Sequence[Load]) -> None:
        """One round more."""
        for trials, load in zip(self._kinds, kinds, strict=True):
            trials.loads.append(load)
        latencies = [latency for load in kinds for latency in load.latencies]
        self._all.loads.append(Load(kinds[0].seconds, latencies, 0.0, lost=sum(load.lost for load in kinds)))

    def measures(self, target: Target | None = None) -> Iterator[Measure]:
        """Their times, and what was lost."""
        yield from (self._all.latency(0.5), self._all.latency(0.99, target), self._all.lost())
        for trials in self._kinds:
            yield from (trials.latency(0.5), trials.latency(0.99))
