"""Events go up: in order, in bounded batches, the next one made ready while one is under way."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.central import BEHIND, FORK, GAP, LATER, OLD_EPOCH, TOO_LONG, UNREADABLE
from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.sync import BATCH_OCTETS_MOST, EVENTS_MOST, one_batch
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.services.sync.link import lane_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.store import Tables

LOOK_SECONDS, IDLE_SECONDS = 1.0, 60.0
_GZIP_LEVEL = 6
# No event is nearly so long: a hub that refuses a shorter one as too long is at fault, not the event.
_LONG_OCTETS = BATCH_OCTETS_MOST // 2


class Batch(NamedTuple):
    """Events as they go up.

    Args:
        first: The number of the first.
        last: The number of the last.
        body: Their lines, packed.
    """

    first: int
    last: int
    body: bytes

    @property
    def events(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(slots=True)
class Uploader:
    """Sends one stream.

    Args:
        link: To the hub.
        stream: Which.
        events_most: In a batch, for now.
    """

    link: SyncLink
    stream: Stream
    events_most: int = EVENTS_MOST
    _ready: Batch | None = field(default=None)

    async def round(self) -> float:
        """Send all that waits; gives the seconds until the next look.

        Raises:
            UnavailableError: It has to be tried again.
            RefusedError: The hub will not hear this box.
        """
        if not self.link.in_step:
            return IDLE_SECONDS  # a bell rings when it is
        while self._may_send():
            batch = await self._next_batch()
            if batch is None:
                break
            await self._tell_lost(batch)
            try:
                await self._send(batch)
            except RefusedError as error:
                await self._refused(batch, error)
            else:
                self._grow()
        return max(LOOK_SECONDS, self.link.seconds_to_rest())

    def _may_send(self) -> bool:
        return self.link.in_step and not self._gives_way() and not self.link.seconds_to_rest()

    def _gives_way(self) -> bool:
        """Usage waits while there is more news of money than one batch takes."""
        if self.stream is Stream.MONEY:
            return False
        read = self.link.store.read
        waiting = read.events.head(Stream.MONEY)[0] - read.sync.acked(Stream.MONEY)
        return waiting > EVENTS_MOST

    async def _next_batch(self) -> Batch | None:
        read = self.link.store.read
        after = read.sync.acked(self.stream)
        ready, self._ready = self._ready, None
        if ready is not None and ready.first == after + 1 and ready.events <= self.events_most:
            return ready
        return await self._pack(after) if read.events.head(self.stream)[0] > after else None

    async def _pack(self, after: int) -> Batch | None:
        stream, most = self.stream, self.events_most
        return await self.link.store.survey(lambda tx: packed_batch(tx, stream, after, most))

    async def _send(self, batch: Batch) -> None:
        own_last = max(self.link.store.read.events.head(self.stream)[0], batch.last)
        preparing = asyncio.TaskGroup()
        async with preparing:
            ahead = preparing.create_task(self._pack(batch.last), name=f"sync {self.stream.value} ahead")
            try:
                stored = await self.link.turn(
                    lane_of(self.stream),
                    lambda hub, counter: hub.upload(self.stream, batch.body, own_last, counter),
                )
            except (RefusedError, UnavailableError) as error:
                refused: RefusedError | UnavailableError | None = error
            else:
                refused = None
        if refused is not None:
            raise refused
        if stored.ack > own_last:
            self.link.out_of_step()
            raise UnavailableError(BEHIND, f"The hub says it has {stored.ack} events of {self.stream.value}.")
        if stored.ack < batch.first:
            raise UnavailableError(LATER, f"The hub says it took {self.stream.value}, and has none of it.")
        with contextlib.suppress(asyncio.CancelledError):
            self._ready = ahead.result()
        await self.link.store.write(lambda tx: tx.sync.ack(self.stream, stored.ack))

    async def _tell_lost(self, batch: Batch) -> None:
        """Usage that made way on a full disk, because a hub had it, and that this hub has not: a person is told."""
        first = self.link.store.read.events.first(self.stream)[0]
        if batch.first < first:
            span = f"{batch.first} to {first - 1} of {self.stream.value}"
            message = f"Events {span} are gone here, and the hub lacks them."
            await self.link.alarm("lost", message)

    async def _refused(self, batch: Batch, error: RefusedError) -> None:
        """Do what the hub's answer asks for, or have the two compared."""
        self._ready = None
        if error.code == GAP:
            await self._go_back(batch, int(str(error.values.get("expected", 0))))
        elif error.code in {TOO_LONG, UNREADABLE}:
            await self._narrow(batch, error)
        elif error.code in {BEHIND, FORK, OLD_EPOCH}:
            self.link.out_of_step()
            raise UnavailableError(error.code, error.message) from error
        else:
            raise error

    async def _go_back(self, batch: Batch, expected: int) -> None:
        if expected - 1 == self.link.store.read.sync.acked(self.stream) and expected < batch.first:
            message = (
                f"The hub lacks events {expected} to {batch.first - 1} of {self.stream.value}, which are gone here."
            )
            await self.link.alarm("lost", message)
            raise UnavailableError(GAP, message)
        if not 0 < expected < batch.first:
            self.link.out_of_step()
            raise UnavailableError(GAP, f"The hub expects event {expected} and does not take it.")
        await self.link.store.write(lambda tx: tx.sync.ack(self.stream, expected - 1))

    async def _narrow(self, batch: Batch, error: RefusedError) -> None:
        """Halve down to the one event that the hub cannot take, and send its digest in its place."""
        if batch.events > 1:
            line = error.values.get("line")
            fitting = line if isinstance(line, int) and 0 < line < batch.events else batch.events // 2
            self.events_most = max(1, fitting)
            if error.code == UNREADABLE and line == 0:
                self.events_most = 1
            return
        ((_, line_alone),) = self.link.store.read.events.bodies_after(self.stream, batch.first - 1, 1)
        if error.code == TOO_LONG and len(line_alone) < _LONG_OCTETS:
            raise UnavailableError(error.code, f"The hub calls event {batch.first} too long, which it is not.")
        now = self.link.clock.now()
        detail = f"Event {batch.first} of {self.stream.value} was not taken: {error.message}"

        def park(tx: Tables) -> None:
            if batch.first in tx.sync.parked(self.stream, batch.first - 1, 1):
                raise UnavailableError(error.code, f"The hub takes not even the digest of event {batch.first}.")
            tx.sync.park(self.stream, batch.first, now)
            tx.alarms.note("parked", detail, now)

        await self.link.store.write(park)

    def _grow(self) -> None:
        self.events_most = min(EVENTS_MOST, self.events_most * 2)


def packed_batch(tx: Tables, stream: Stream, after: int, events_most: int) -> Batch | None:
    """The next events after a number, packed; None where there are none. A long read.

    Args:
        tx: Where.
        stream: Of which stream.
        after: After which number.
        events_most: How many; no more than a batch may hold, and one at least.
    """
    first, previous = tx.events.first(stream)
    if stream is Stream.USAGE and after + 1 < first:
        end = min(first, after + 1 + events_most)
        return _stand_ins(after + 1, end, previous if end == first else None)
    parked = tx.sync.parked(stream, after, events_most)
    fitting = one_batch(
        (sequence, _line(tx, stream, sequence, body, parked))
        for sequence, body in tx.events.each_after(stream, after, events_most)
    )
    return Batch(fitting[0][0], fitting[-1][0], packed(line for _, line in fitting)) if fitting else None


def _line(tx: Tables, stream: Stream, sequence: int, body: bytes, parked: Container[int]) -> bytes:
    """An event as it goes up: its digest alone where it is parked."""
    digest = tx.events.digest_of(stream, sequence) if sequence in parked else None
    return body if digest is None else parked_line(sequence, digest)


def _stand_ins(first: int, end: int, last_digest: bytes | None) -> Batch:
    """What goes up in the place of events that are nowhere any more, so that those after them can.

    Args:
        first: The number of the first.
        end: The number after the last.
        last_digest: What the event at `end` is chained to; None where that is not known, or does not come next.
    """
    digests = {end - 1: last_digest or GENESIS}
    lines = [parked_line(number, digests.get(number, GENESIS)) for number in range(first, end)]
    return Batch(first, end - 1, packed(lines))


def packed(lines: Iterable[bytes]) -> bytes:
    """Lines as they go over the wire."""
    return gzip.compress(b"".join(line + b"\n" for line in lines), _GZIP_LEVEL, mtime=0)
