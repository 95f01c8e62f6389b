"""This box and its hub kept in step: what happened goes up, what the hub has comes down, whatever is cut in between."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.central import OLD_EPOCH, SHUT, SyncPhase
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import EdgeError, RefusedError, UnavailableError
from easyisp_edge.machine import ClockState
from easyisp_edge.services.sync.link import Pace
from easyisp_edge.services.sync.up import Uploader
from easyisp_edge.store.standing import tell_standing_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from easyisp_edge.domain.central import HubState, SyncSite
    from easyisp_edge.machine import Wake
    from easyisp_edge.services.sync.apart import TakingBack
    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

COMPARED_EVERY_SECONDS = 6 * 3600.0
UNCONFIRMED_SECONDS = 60.0
NOT_ENROLLED_SECONDS = 3600.0
# A box the hub does not want to hear asks rarely; one that waits for a person to look at two fingerprints, often.
SHUT_SECONDS = 600.0
_WAITING_FOR_PERSON, _KEY_UNKNOWN = "site.waiting", "site.unknown"
_COMPARE = "compare"


@dataclass(frozen=True, slots=True)
class SyncService:
    """Keeps box and hub in step.

    Args:
        link: To the hub.
        taking_back: What is done where the hub knows more.
        others: What else is talked about, by name: each is called again and again.
        set_clock: Asks the hub for the time and believes it; called while nobody else has told it.
        up: What sends the streams.
    """

    link: SyncLink
    taking_back: TakingBack
    others: Mapping[str, Callable[[], Awaitable[float]]]
    set_clock: Callable[[], Awaitable[None]]
    up: dict[Stream, Uploader] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Have a sender for each stream."""
        for stream in Stream:
            self.up.setdefault(stream, Uploader(self.link, stream))

    async def run(self) -> None:
        """Talk with the hub, as long as the daemon lives; a box without one is left alone."""
        self.link.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(_COMPARE, self.compare_round, self.link.compare), name="sync compare")
            for stream, uploader in self.up.items():
                self._begin(group, stream.value, uploader.round)
            for name, work in self.others.items():
                self._begin(group, name, work)

    def is_away(self) -> bool:
        """Whether the hub of an enrolled box does not answer of late."""
        return self.link.site is not None and self.link.reach.is_away(self.link.clock.monotonic())

    async def compare_round(self) -> float:
        """See how box and hub stand to each other, and bring them together; gives the seconds until the next look.

        Raises:
            UnavailableError: It has to be tried again.
            RefusedError: The hub will not hear this box.
        """
        site = self.link.site
        if site is None:
            return NOT_ENROLLED_SECONDS
        if self.link.clock.state is ClockState.UNSET:
            await self.set_clock()
        state = await self.link.turn(Lane.ASK, lambda hub, counter: hub.state(counter))
        self.link.is_confirmed = state.confirmed
        site = await self._in_its_epoch(site, state)
        if site.phase is SyncPhase.JOINING:
            await self._join(state)
        elif not self.link.store.read.standing.are_told():
            await tell_standing_rows(self.link.store)
        if await self._is_apart(state):
            await self._come_together(state)
            return 0.0  # compared once more before anything is sent
        await self._go_on()
        return COMPARED_EVERY_SECONDS if state.confirmed else UNCONFIRMED_SECONDS

    async def _rounds(self, name: str, work: Callable[[], Awaitable[float]], bell: Wake) -> None:
        pace = Pace(self.link.randomness)
        while True:
            try:
                pause = await work()
            except UnavailableError as error:
                pause = pace.failed(error)
                self.link.note(name, error)
            except RefusedError as error:
                pause = await self._refused(name, error, pace)
            except EdgeError as error:  # what came cannot be taken: a person has to look
                await self.link.alarm(error.code, error.message)
                pause = SHUT_SECONDS
                self.link.note(name, error)
            else:
                pace.went_well()
                self.link.note(name, None)
            if await bell.wait(self.link.clock, pause):
                pace.looks = 0

    async def _refused(self, name: str, error: RefusedError, pace: Pace) -> float:
        self.link.note(name, error)
        why, site = error.values.get("wire") if error.code == SHUT else None, self.link.site
        is_comparing, has_other_key = name == _COMPARE, site is not None and site.former_key is not None
        if error.code == OLD_EPOCH or (why == _KEY_UNKNOWN and has_other_key and not is_comparing):
            self.link.out_of_step()
        if why == _WAITING_FOR_PERSON:
            return pace.waiting()
        if why == _KEY_UNKNOWN and is_comparing and await self._fell_back(site) and not pace.looks:
            return pace.waiting()
        return SHUT_SECONDS * (0.5 + self.link.randomness.fraction() / 2)

    async def _fell_back(self, site: SyncSite | None) -> bool:
        """Go on with the key before: a hub whose database was restored may know no later one."""
        if site is None:
            return False
        try:
            fell_back = await self.link.store.write(lambda tx: tx.sync.fall_back(site.public_key))
        except UnavailableError as error:
            log.warning("the key before cannot be tried: %s", error)
            return False
        if fell_back:
            log.warning("the hub does not know this box's key: trying the one before")
        return fell_back

    def _begin(self, group: asyncio.TaskGroup, name: str, work: Callable[[], Awaitable[float]]) -> None:
        group.create_task(self._rounds(name, work, self.link.bell(name)), name=f"sync {name}")

    async def _in_its_epoch(self, site: SyncSite, state: HubState) -> SyncSite:
        """A box restored from before an epoch lives on in the one the site is in."""
        if site.epoch != state.epoch:
            await self.link.store.write(lambda tx: tx.sync.begin_epoch(state.epoch))
        return self.link.site or site

    async def _join(self, state: HubState) -> None:
        """Have rows told from now on. Books that say nothing yet make way for those of the box before."""
        now = self.link.clock.now()
        if any(head.last for head in state.heads.values()):
            rested, made_way = self.link.selling.rests, False
            self.link.selling.rests = True  # what is sold just now would be in the way
            try:
                made_way = await self.link.store.rewrite(functools.partial(_made_way, now=now))
            finally:
                self.link.selling.rests = made_way or rested
            if made_way:
                return
        await self.link.store.write(lambda tx: tx.changes.begin(now))
        await tell_standing_rows(self.link.store)
        await self.link.store.write(lambda tx: tx.sync.come_to(SyncPhase.IN_STEP))

    async def _is_apart(self, state: HubState) -> bool:
        site = self.link.site
        differing = [await self.taking_back.differs(stream, state.heads[stream]) for stream in Stream]
        if site is not None and site.phase is SyncPhase.APART:
            return True
        return any(differing) or bool(self.link.store.read.forks.waiting())

    async def _come_together(self, state: HubState) -> None:
        self.link.in_step = False
        self.link.selling.rests = True
        await self.link.store.write(lambda tx: tx.sync.come_to(SyncPhase.APART))
        await self.taking_back.run(state)

    async def _go_on(self) -> None:
        if not self.link.in_step:
            self.link.in_step = True
            self.link.selling.rests = False
            self.link.ring_all_work()

    def status(self) -> dict[str, Any]:
        """How box and hub stand, for people."""
        read, site = self.link.store.read, self.link.site
        alarms = [
            {"kind": each.kind, "times": each.times, "last": _instant(each.last_at), "detail": each.detail}
            for each in read.alarms.all()
        ]
        if site is None:
            return {"enrolled": False, "alarms": alarms}
        config = read.central.in_force()
        progress = self.taking_back.progress
        return {
            "enrolled": True,
            "hub": site.hub_url,
            "site": site.site_id,
            "epoch": site.epoch,
            "phase": site.phase.value,
            "inStep": self.link.in_step,
            "confirmed": self.link.is_confirmed,
            "selling": not self.link.selling.rests,
            "callbackBase": site.callback_base,
            "streams": {stream.value: self._stream_status(stream) for stream in Stream},
            "restsSeconds": math.ceil(self.link.seconds_to_rest()),
            "talk": {name: self._said(name) for name in sorted(self.link.said)},
            "keySince": _instant(site.key_since),
            "counters": {lane.value: read.sync.counter(lane) for lane in Lane},
            "down": site.down_after,
            "parked": read.sync.parked_in_all(),
            "alarms": alarms,
            "takingBack": None
            if not progress.stream
            else {"stream": progress.stream, "taken": progress.taken, "last": progress.last},
            "config": {
                "version": None if config is None else config.version,
                "onTrial": read.central.on_trial() is not None,
                "withdrawn": read.central.withdrawn(),
            },
        }

    def _stream_status(self, stream: Stream) -> dict[str, Any]:
        read = self.link.store.read
        last, acked = read.events.head(stream)[0], read.sync.acked(stream)
        oldest = read.sync.oldest_after(stream, acked)
        return {
            "events": last,
            "known": acked,
            "waiting": max(0, last - acked),
            "oldest": None if oldest is None else _instant(oldest),
        }

    def _said(self, name: str) -> dict[str, Any]:
        said = self.link.said[name]
        return {"ok": not said.code, "at": _instant(said.at), "since": _instant(said.since), "why": said.trouble}


def _made_way(tx: Tables, now: datetime) -> bool:
    """Have books that say nothing yet be those of the box before, as soon as they are here."""
    if not tx.sync.is_fresh():
        return False
    tx.sync.make_way()
    tx.changes.begin(now, standing=False)
    tx.sync.come_to(SyncPhase.APART)
    return True


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
