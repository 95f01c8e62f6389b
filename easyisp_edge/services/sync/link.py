"""What all talk with a hub shares: who we are there, turns in a lane, how long to wait, and what was said last."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.domain.central import COUNTER_USED, FORGED, SyncPhase
from easyisp_edge.domain.reach import Reach
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import EdgeError, RefusedError, UnavailableError
from easyisp_edge.machine import Wake
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.central import SyncSite
    from easyisp_edge.domain.events import Stream
    from easyisp_edge.machine import Clock, Randomness
    from easyisp_edge.services.ports import Central
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)
T = TypeVar("T")

# So many counters are reserved on the disk at once: after a restart those not used are passed over.
COUNTERS_RESERVED = 100
WAIT_MOST_SECONDS = 300.0
_DOUBLINGS_MOST = 9
# Two people compare two fingerprints: they do not want to wait, and may also go home before they have.
LOOK_LEAST_SECONDS, LOOK_GROWS_BY, LOOK_MOST_SECONDS = 2.0, 1.05, 15.0
# After an outage of so many tries thousands of boxes come back at once.
_AWAY_FAILURES = 4
RETURN_SECONDS = 30.0


@dataclass(slots=True)
class Pace:
    """How long to wait: after failures a random time, up to one that doubles; for a person a little longer each time.

    Args:
        randomness: Spreads thousands of boxes.
        failures: In a row.
        looks: How often it was looked whether a person has confirmed this box, in a row.
    """

    randomness: Randomness
    failures: int = 0
    looks: int = 0

    def waiting(self) -> float:
        """The seconds until it is worth looking whether a person has confirmed this box: often at first."""
        most = min(LOOK_MOST_SECONDS, LOOK_LEAST_SECONDS * LOOK_GROWS_BY**self.looks)
        self.looks += 1
        return most

    def failed(self, error: UnavailableError) -> float:
        """Count a failure; gives the seconds to wait."""
        most = min(WAIT_MOST_SECONDS, 2.0 ** min(self.failures, _DOUBLINGS_MOST))
        self.failures += 1
        spread = self.randomness.fraction() * most
        return spread if error.retry_after_seconds is None else error.retry_after_seconds + spread

    def went_well(self) -> None:
        """Begin anew."""
        self.failures = self.looks = 0


@dataclass(frozen=True, slots=True)
class Said:
    """How the last try of one kind went.

    Args:
        at: When.
        trouble: Why it waits; empty where it went well.
        code: The same for programs.
        since: Since when it goes so.
    """

    at: datetime
    trouble: str
    code: str
    since: datetime


@dataclass(slots=True)
class SyncLink:
    """The link to the hub.

    Args:
        store: The store.
        clock: Box time.
        randomness: For waits.
        connect: Makes the way to a site's hub; `EdgeError` where the key is gone.
        boot_id: Of this boot of the machine.
        selling: Told to rest while the hub knows more than the box.
        compare: Rung when the two are to be compared.
        work: Rung when there is something to send or to fetch; one for each kind of talk.
        reach: Whether the hub answers of late.
        said: How the last try of each kind of talk went, for people.
        in_step: Whether the two were compared and nothing of them differs: else nothing is sent or fetched.
        is_confirmed: Whether a person said at the hub that this is the right box, as far as the hub told.
        return_seconds: When the hub is back after an outage, news goes up after a random part of this.
    """

    store: Store
    clock: Clock
    randomness: Randomness
    connect: Callable[[SyncSite], Central]
    boot_id: str = ""
    selling: Selling = field(default_factory=Selling)
    compare: Wake = field(default_factory=Wake)
    work: dict[str, Wake] = field(default_factory=dict)
    reach: Reach = field(default_factory=Reach)
    said: dict[str, Said] = field(default_factory=dict)
    in_step: bool = False
    is_confirmed: bool = True
    return_seconds: float = RETURN_SECONDS
    _rests_until: float = 0.0
    _site: SyncSite | None = None
    _central: Central | None = None
    _next: dict[Lane, int] = field(default_factory=dict)
    _reserved: dict[Lane, int] = field(default_factory=dict)
    _turns: dict[Lane, asyncio.Lock] = field(default_factory=lambda: {lane: asyncio.Lock() for lane in Lane})

    @property
    def site(self) -> SyncSite | None:
        """Who this box is at its hub; None where it has none."""
        return self.store.read.sync.site()

    def bell(self, name: str) -> Wake:
        """The bell of one kind of talk."""
        return self.work.setdefault(name, Wake())

    def ring_all(self) -> None:
        """Have everything looked at now, also what waits because the hub has just come back."""
        self._rests_until = 0.0
        self.compare.ring()
        self.ring_all_work()

    def ring_all_work(self) -> None:
        """Have all that is talked about looked at now."""
        for bell in self.work.values():
            bell.ring()

    def begin(self) -> None:
        """Take up how the two stood when the daemon ended."""
        site = self.site
        self.selling.rests = site is not None and site.phase is SyncPhase.APART

    def seconds_to_rest(self) -> float:
        """How long news waits because the hub has just come back to everybody."""
        return max(0.0, self._rests_until - self.clock.monotonic())

    def out_of_step(self) -> None:
        """Send nothing more before the two were compared."""
        self.in_step = False
        self.compare.ring()

    def enrolled_anew(self) -> None:
        """The box is another one to its hub, or has another hub."""
        self._next.clear()
        self._reserved.clear()
        self._central = None
        self.out_of_step()
        self.ring_all()

    async def turn(self, lane: Lane, ask: Callable[[Central, int], Awaitable[T]]) -> T:
        """Ask the hub something in a lane, once the request before has ended; with the next counter.

        Raises:
            UnavailableError: Nothing is known.
            RefusedError: The hub refuses.
        """
        async with self._turns[lane]:
            return await self._asked_above(lane, ask)

    async def turn_alone(self, ask: Callable[[Central, int], Awaitable[object]], then: Callable[[], Awaitable[T]]) -> T:
        """Ask in the lane `ask`, and see to what follows from the answer before anything else is sent.

        Only what the hub is already heard waiting for, in the lane `down`, goes on meanwhile.

        Raises:
            UnavailableError: Nothing is known.
            RefusedError: The hub refuses.
        """
        async with self._turns[Lane.MONEY], self._turns[Lane.USAGE], self._turns[Lane.ASK]:
            await self._asked_above(Lane.ASK, ask)
            return await then()

    def note(self, name: str, error: EdgeError | None) -> None:
        """Keep how a try went, for people; it is said in the log when it changes."""
        now, before = self.clock.now(), self.said.get(name)
        code, trouble = ("", "") if error is None else (error.code, error.message)
        same = before is not None and before.code == code
        self.said[name] = Said(now, trouble, code, before.since if same and before is not None else now)
        if error is not None:
            log.log(logging.DEBUG if same else logging.WARNING, "sync, %s: %s", name, error)
        elif before is not None and before.code:
            log.info("sync, %s: goes on", name)

    async def alarm(self, kind: str, detail: str) -> None:
        """Record what should not have come, or not have happened."""
        log.error("sync alarm, %s: %s", kind, detail)
        try:
            await self.store.write(lambda tx: tx.alarms.note(kind, detail, self.clock.now()))
        except UnavailableError as error:  # the log has it
            log.warning("the alarm could not be noted: %s", error)

    async def _asked_above(self, lane: Lane, ask: Callable[[Central, int], Awaitable[T]]) -> T:
        try:
            return await self._asked(lane, ask)
        except RefusedError as error:
            if error.code != COUNTER_USED:
                raise
            await self._jump(lane, int(str(error.values.get("last", 0))))
            return await self._asked(lane, ask)

    async def _asked(self, lane: Lane, ask: Callable[[Central, int], Awaitable[T]]) -> T:
        central = self._way()
        asked_by = self._site
        counter = await self._counter(lane)
        try:
            answer = await ask(central, counter)
        except UnavailableError as error:
            self.reach.failed(self.clock.monotonic(), connected=error.code == FORGED)
            if error.code == FORGED:
                await self.alarm("forged", error.message)
            raise
        except RefusedError:
            self._answered()
            self._see_unchanged(asked_by)
            raise
        self._answered()
        self._see_unchanged(asked_by)
        return answer

    def _see_unchanged(self, asked_by: SyncSite | None) -> None:
        """An answer to who this box was says nothing to who it is."""
        site = self.site
        if site is None or asked_by is None or _asks_otherwise(site, asked_by):
            raise UnavailableError("sync.changed", "This box became another one to its hub meanwhile.")

    def _answered(self) -> None:
        if self.reach.failures >= _AWAY_FAILURES:
            self._rests_until = self.clock.monotonic() + self.randomness.fraction() * self.return_seconds
        self.reach.answered()

    def _way(self) -> Central:
        site = self.site
        if site is None:
            raise UnavailableError("sync.not_enrolled", "This box is not enrolled at a hub.")
        if self._central is None or self._site is None or _asks_otherwise(site, self._site):
            try:
                self._site, self._central = site, self.connect(site)
            except EdgeError as error:
                raise UnavailableError(error.code, error.message) from error
        return self._central

    async def _counter(self, lane: Lane) -> int:
        if lane not in self._reserved:
            self._reserved[lane] = self.store.read.sync.counter(lane)
            self._next[lane] = max(self._reserved[lane], self._next.get(lane, 0))
        counter = self._next[lane] + 1
        if counter > self._reserved[lane]:
            reserved = counter + COUNTERS_RESERVED
            await self.store.write(lambda tx: tx.sync.reserve(lane, reserved))
            self._reserved[lane] = reserved
        self._next[lane] = counter
        return counter

    async def _jump(self, lane: Lane, last: int) -> None:
        """A restored box used those before: go on above what the hub has seen."""
        if last > self._next.get(lane, 0):
            log.warning("the hub has seen counter %d of the lane %s: going on above it", last, lane.value)
            self._next[lane] = last


def _asks_otherwise(one: SyncSite, other: SyncSite) -> bool:
    return (one.site_id, one.epoch, one.public_key, one.hub_url) != (
        other.site_id,
        other.epoch,
        other.public_key,
        other.hub_url,
    )


def lane_of(stream: Stream) -> Lane:
    """The lane of a stream."""
    return Lane(stream.value)
