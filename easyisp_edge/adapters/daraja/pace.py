"""How often Daraja may be asked: one pace for everybody who asks with the same key."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock

INTERVAL_SECONDS_MAX = 120.0
# At exactly the allowed rate, the query that travels faster than the one before it is refused.
_MARGIN = 1.05
_EASE_FACTOR = 0.9  # seven answers in peace undo one halving
_DUE_SECONDS = 0.001  # nearer than this is due: guards against waiting for a rounding error


class QueryPace:
    """One turn per interval, first come first served, without saving up turns.

    Args:
        clock: Where time comes from.
        queries_per_minute: The pace when nobody complains, above 0.

    Source: Daraja, M-Pesa Express Query; its rate limit (five a minute, one at a time) is told only by its refusal.
    """

    def __init__(self, clock: Clock, queries_per_minute: float = 5.0) -> None:
        self._clock = clock
        self._least = min(60.0 / queries_per_minute * _MARGIN, INTERVAL_SECONDS_MAX)
        self._interval = self._least
        self._free_at = clock.monotonic()
        self._queue = asyncio.Lock()  # wakes its waiters in the order they came

    @property
    def interval_seconds(self) -> float:
        """The present distance between two turns."""
        return self._interval

    async def turn(self) -> None:
        """Return when it is one's turn. Whoever gives up waiting costs the others nothing."""
        async with self._queue:
            while (wait := self._free_at - self._clock.monotonic()) > _DUE_SECONDS:
                await self._clock.sleep(wait)
            self._free_at = self._clock.monotonic() + self._interval

    def used(self) -> None:
        """Count the distance to the next turn from now, when the query really leaves."""
        self._free_at = self._clock.monotonic() + self._interval

    def slow_down(self, refusal: str) -> None:
        """Halve the pace, after a refusal for asking too often.

        Args:
            refusal: Its text. Where it tells the allowed rate and that is slower than ours, the pace does not get
                faster than that any more.
        """
        allowed = allowed_interval_seconds(refusal)
        if allowed is not None:
            self._least = max(self._least, min(allowed * _MARGIN, INTERVAL_SECONDS_MAX))
        self._interval = min(max(self._interval * 2, self._least), INTERVAL_SECONDS_MAX)
        self._free_at = self._clock.monotonic() + self._interval

    def ease(self) -> None:
        """Restore a little of the pace, after an answer."""
        self._interval = max(self._interval * _EASE_FACTOR, self._least)


def allowed_interval_seconds(refusal: str) -> float | None:
    """The distance between two messages that a refusal grants, read leniently; None where it tells none."""
    messages = re.search(r"messagesPerPeriod\s*=\s*([0-9]{1,9})", refusal, re.IGNORECASE | re.ASCII)
    period = re.search(r"periodInMicroseconds\s*=\s*([0-9]{1,15})", refusal, re.IGNORECASE | re.ASCII)
    if messages is None or period is None or int(messages[1]) == 0:
        return None
    return int(period[1]) / 1_000_000 / int(messages[1])
