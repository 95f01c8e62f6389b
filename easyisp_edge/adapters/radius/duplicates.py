"""What was asked lately: a router that asks again gets the same answer, and nothing happens twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock, UdpAddress

RequestKey = tuple["UdpAddress", bytes]


class DuplicateCache:
    """Requests being answered, and replies given in the last seconds.

    Args:
        clock: For the age of replies.
        seconds: How long a reply is kept.
        replies_max: How many are kept at most; then the oldest goes first.

    Source: RFC 5080 section 2.2.2.
    """

    def __init__(self, clock: Clock, *, seconds: float = 10.0, replies_max: int = 8192) -> None:
        self._clock = clock
        self._seconds = seconds
        self._replies_max = replies_max
        self._pending: set[RequestKey] = set()
        # Ordered by age, so that old ones are taken off the front, without a timer for each.
        self._replies: OrderedDict[RequestKey, tuple[float, bytes]] = OrderedDict()

    @staticmethod
    def key(source: UdpAddress, datagram: bytes) -> RequestKey:
        """Source address and port, code, identifier and Request Authenticator."""
        return source, datagram[:2] + datagram[4:20]

    def pending(self, key: RequestKey) -> bool:
        """Whether it is being answered now."""
        return key in self._pending

    def reply(self, key: RequestKey) -> bytes | None:
        """The reply it got, while that is kept."""
        self._drop_expired()
        kept = self._replies.get(key)
        return None if kept is None else kept[1]

    def begin(self, key: RequestKey) -> None:
        """It is being answered; repeats are to be dropped until `forget`."""
        self._pending.add(key)

    def forget(self, key: RequestKey) -> None:
        """It is no longer being answered; without a reply, a repeat is as good as new."""
        self._pending.discard(key)

    def remember(self, key: RequestKey, reply: bytes) -> None:
        """It was answered so."""
        if len(self._replies) >= self._replies_max:
            self._replies.popitem(last=False)
        self._replies[key] = (self._clock.monotonic() + self._seconds, reply)

    def _drop_expired(self) -> None:
        now = self._clock.monotonic()
        while self._replies and next(iter(self._replies.values()))[0] <= now:
            self._replies.popitem(last=False)
