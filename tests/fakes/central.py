"""A hub in memory, for a box's services: keeps what it is sent, and answers otherwise where it is told to."""

from __future__ import annotations

import gzip
from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import (
    BEHIND,
    COUNTER_USED,
    FORK,
    GAP,
    OLD_EPOCH,
    TOO_LONG,
    UNREADABLE,
    DownMessage,
    Head,
    HubState,
    Stored,
    SyncSite,
)
from easyisp_edge.domain.event_lines import read_line
from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import RefusedError
from tests.fakes.clocks import START

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.central import EdgeKey
    from easyisp_edge.domain.event_lines import Line
    from easyisp_edge.errors import EdgeError

SITE = SyncSite(
    hub_url="https://hub.example.com",
    site_id="0123456789abcdef",
    epoch=1,
    hub_key=b"h" * 32,
    public_key=b"b" * 32,
    callback_base="https://hub.example.com/cb/0123456789abcdef",
    enrolled_at=START,
    key_since=START,
)


class FakeCentral:
    """A `Central` by the protocol's rules: numbers, chain, counters.

    `faults` come first, each in place of one answer to an upload; `takes_events` is the most a batch may have, and
    what has `unreadable` in its line is no event to it.
    """

    def __init__(self) -> None:
        self.lines: dict[Stream, list[Line]] = {stream: [] for stream in Stream}
        self.forked: list[bytes] = []
        self.counters: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.seen: list[tuple[Stream, int]] = []
        self.faults: deque[EdgeError] = deque()
        self.down: deque[list[DownMessage] | EdgeError] = deque()
        self.asked: list[tuple[str, str]] = []
        self.epoch = 1
        self.takes_events = 500
        self.unreadable = b"\0"
        self.waits: list[int] = []
        self.confirmed = True
        self.keys: list[bytes] = []

    def head(self, stream: Stream) -> Head:
        lines = self.lines[stream]
        return Head(len(lines), lines[-1].event.digest if lines else GENESIS)

    async def upload(self, stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        self._count(Lane(stream.value), counter)
        texts = gzip.decompress(body).removesuffix(b"\n").split(b"\n")
        self.seen.append((stream, len(texts)))
        if self.faults:
            raise self.faults.popleft()
        if len(texts) > self.takes_events:
            raise RefusedError(TOO_LONG, "too long")
        for place, text in enumerate(texts):
            if self.unreadable in text:
                raise RefusedError(UNREADABLE, "no event", line=place)
        self._take(stream, [read_line(stream, text, START) for text in texts])
        head = self.head(stream)
        if own_last < head.last:
            raise RefusedError(BEHIND, "behind", last=head.last)
        return Stored(head.last, 0)

    def _take(self, stream: Stream, lines: list[Line]) -> None:
        for line in lines:
            number, head = line.event.sequence, self.head(stream)
            if number > head.last + 1:
                raise RefusedError(GAP, "gap", expected=head.last + 1)
            if number <= head.last:
                if self.lines[stream][number - 1].event.digest != line.event.digest:
                    raise RefusedError(FORK, "fork", seq=number)
            elif not line.continues(head.last, head.digest):
                raise RefusedError(FORK, "fork", seq=head.last)
            else:
                self.lines[stream].append(line)

    async def keep_fork(self, stream: Stream, body: bytes, counter: int) -> None:
        self._count(Lane.ASK, counter)
        self.forked += gzip.decompress(body).removesuffix(b"\n").split(b"\n")

    async def state(self, counter: int) -> HubState:
        self._count(Lane.ASK, counter)
        return HubState(
            self.epoch, {stream: self.head(stream) for stream in Stream}, confirmed=self.confirmed, config_version=0
        )

    async def page(self, stream: Stream, after: int, counter: int) -> list[bytes]:
        self._count(Lane.ASK, counter)
        return [line.event.body for line in self.lines[stream][after : after + 3]]

    async def begin_epoch(self, epoch: int, counter: int) -> int:
        self._count(Lane.ASK, counter)
        if epoch not in {self.epoch, self.epoch + 1}:
            raise RefusedError(OLD_EPOCH, "epoch", epoch=self.epoch)
        self.epoch = epoch
        return epoch

    async def announce_key(self, key: EdgeKey, counter: int) -> None:
        self._count(Lane.ASK, counter)
        self.keys.append(key.public)
        if self.faults:
            raise self.faults.popleft()

    async def messages(self, after: int, wait_seconds: int, counter: int) -> list[DownMessage]:
        self._count(Lane.DOWN, counter)
        self.waits.append(wait_seconds)
        answer = self.down.popleft() if self.down else []
        if not isinstance(answer, list):
            raise answer
        return answer

    async def look_up(self, mpesa_receipt_number: str, short_code: str, counter: int) -> None:
        self._count(Lane.ASK, counter)
        self.asked.append((mpesa_receipt_number, short_code))

    async def time(self, nonce: str, counter: int) -> datetime:
        self._count(Lane.ASK, counter)
        return START

    def _count(self, lane: Lane, counter: int) -> None:
        if counter <= self.counters[lane]:
            raise RefusedError(COUNTER_USED, "used", last=self.counters[lane])
        self.counters[lane] = counter
