"""Where the hub knows what this box does not: it is taken back, and what the box did meanwhile is told anew on top.

That is so for a restored card, for a disk that lied, for a new box in a dead one's place, and for a fork. It may be cut
off anywhere: it goes on from what stands.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import SyncPhase
from easyisp_edge.domain.event_lines import read_line
from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.sync import EVENTS_MOST, Lane, one_batch
from easyisp_edge.services.sync.up import packed
from easyisp_edge.store.rebuild import finish, follow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.central import Head, HubState
    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.forks import ToldAnew
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

_REFUSED_NAMED = 10


@dataclass(slots=True)
class Progress:
    """How far the taking back is, for people who wait.

    Args:
        stream: Which stream is being taken.
        taken: The number that stands here by now.
        last: The number the hub had when it began.
    """

    stream: str = ""
    taken: int = 0
    last: int = 0


@dataclass(slots=True)
class TakingBack:
    """Takes back what the hub knows.

    Args:
        link: To the hub.
        rebuilt: Called once the books are whole again, before anything is sold.
        progress: How far it is.
    """

    link: SyncLink
    rebuilt: Callable[[], Awaitable[None]]
    progress: Progress
    _found: dict[str, str] = field(default_factory=dict)

    async def differs(self, stream: Stream, head: Head) -> bool:
        """Whether the hub has events of a stream that are not the beginning of the box's own; the same is noted."""
        if not _begins(self.link.store.read, stream, head):
            return True
        if self.link.store.read.sync.acked(stream) != head.last:
            await self.link.store.write(lambda tx: tx.sync.ack(stream, head.last))
        return False

    async def run(self, state: HubState) -> None:
        """Take back all the hub knows, tell anew what only the box knows, and begin a new epoch.

        Raises:
            UnavailableError: It has to be gone on with later.
            RefusedError: The hub gives nothing, as long as nobody has confirmed this box there.
            EdgeError: What came cannot be taken; a person has to look.
        """
        reached: dict[Stream, int] = {}
        for stream in Stream:  # money first: usage points to it
            head = state.heads[stream]
            reached[stream] = await self._take_stream(stream, head) if await self.differs(stream, head) else head.last
        for fork, stream in self.link.store.read.forks.waiting():
            await self._keep_at_hub(fork, stream)
        now = self.link.clock.now()
        for stream, after in reached.items():
            told = await self.link.store.rewrite(functools.partial(_tell_anew, stream=stream, after=after, now=now))
            if told.rows:
                log.warning("%d rows of this box's part of %s were told anew", told.rows, stream.value)
        await finish(self.link.store)
        await self.rebuilt()
        await self._begin_epoch()
        self.progress.stream = ""
        # Said last: an alarm is an event too, and would have stood in the way of those that came.
        while self._found:
            await self.link.alarm(*self._found.popitem())

    async def _take_stream(self, stream: Stream, head: Head) -> int:
        """Take what the hub has of a stream; gives the number of its last event."""
        number, detail = await self._common(stream, head), ""
        own_last = self.link.store.read.events.head(stream)[0]
        if number < own_last:
            detail = f"Box and hub both went on after event {number} of {stream.value}; this box's part is told anew."
        elif number < head.last and own_last:
            missing = f"The hub knew {head.last - number} events of {stream.value} that this box did not."
            self._found["ahead"] = f"{self._found.get('ahead', '')} {missing}".strip()
        self.progress.stream, self.progress.last = stream.value, head.last
        while True:
            self.progress.taken = number
            lines = await self._page(stream, number)
            if not lines:
                return number
            work = functools.partial(_take, stream=stream, after=number, lines=lines, detail=detail)
            number, detail = await self.link.store.rewrite(work), ""

    async def _common(self, stream: Stream, head: Head) -> int:
        """The last number both have the same event of."""
        own_last = self.link.store.read.events.head(stream)[0]
        number, back = min(own_last, head.last), 1
        while number > 0 and not await self._same_at(stream, number):
            number, back = max(0, number - back), back * 2
        while lines := await self._page(stream, number):
            same = self._same_lines(stream, number, lines)
            number += same
            if same < len(lines):
                break
        return number

    async def _same_at(self, stream: Stream, number: int) -> bool:
        lines = await self._page(stream, number - 1)
        return self._same_lines(stream, number - 1, lines[:1]) == 1

    def _same_lines(self, stream: Stream, after: int, lines: list[bytes]) -> int:
        """How many of the lines after a number are this box's own."""
        read, now = self.link.store.read, self.link.clock.now()
        for at, line in enumerate(lines):
            if not read.events.may_be(stream, after + at + 1, read_line(stream, line, now).event.digest):
                return at
        return len(lines)

    async def _page(self, stream: Stream, after: int) -> list[bytes]:
        return await self.link.turn(Lane.ASK, lambda hub, counter: hub.page(stream, after, counter))

    async def _keep_at_hub(self, fork: int, stream: Stream) -> None:
        after = 0
        while True:
            found = await self.link.store.survey(functools.partial(_fork_page, fork=fork, stream=stream, after=after))
            if found is None:
                return
            after, body = found
            await self.link.turn(Lane.ASK, lambda hub, counter, body=body: hub.keep_fork(stream, body, counter))  # type: ignore[misc]

    async def _begin_epoch(self) -> None:
        site = self.link.site
        if site is None:
            return
        wanted = site.epoch + 1
        epoch = await self.link.turn(Lane.ASK, lambda hub, counter: hub.begin_epoch(wanted, counter))
        await self.link.store.write(lambda tx: _begin(tx, epoch))


def _begins(tables: Tables, stream: Stream, head: Head) -> bool:
    """Whether the hub's events are the first of the box's own."""
    own_last = tables.events.head(stream)[0]
    if head.last == 0:
        return head.digest == GENESIS
    return head.last <= own_last and tables.events.may_be(stream, head.last, head.digest)


def _take(tx: Tables, stream: Stream, after: int, lines: list[bytes], detail: str) -> int:
    # Grants and routers go on meanwhile, and so do events: they make way, and are told anew at the end.
    tx.forks.set_aside(stream, after, detail)
    return tx.rebuild.take(stream, lines)


def _tell_anew(tx: Tables, stream: Stream, after: int, now: datetime) -> ToldAnew:
    """Tell it, have what follows from it follow, and have a person told: all of it, or nothing."""
    told = tx.forks.tell_anew(stream, after)
    if told.rows or told.refused:
        follow(tx)
    for detail in told.details:
        tx.alarms.note("fork", detail, now)
    if told.refused:
        what = ", ".join(f"{table} {'/'.join(map(str, key))}" for table, key in told.refused[:_REFUSED_NAMED])
        tx.alarms.note("fork.refused", f"Cannot stand beside what the hub knows; decide by hand: {what}", now)
    return told


def _begin(tx: Tables, epoch: int) -> None:
    tx.sync.begin_epoch(epoch)
    tx.sync.come_to(SyncPhase.IN_STEP)


def _fork_page(tx: Tables, fork: int, stream: Stream, after: int) -> tuple[int, bytes] | None:
    """The next lines of a fork, as many as one request may carry, packed; and the number of the last."""
    fitting = one_batch(tx.sync.forked_lines(fork, stream, after, EVENTS_MOST))
    return (fitting[-1][0], packed(line for _, line in fitting)) if fitting else None
