"""Spike arrest: a rate spread evenly, without any burst."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock


class SpikeArrest:
    """Lets one request through per app and interval; what it refuses does not count."""

    def __init__(self, clock: Clock, per_minute: int | None) -> None:
        self._clock = clock
        self.per_minute = per_minute
        self._next_at: dict[str, float] = {}

    def lets_through(self, consumer_key: str) -> bool:
        """Whether this app's request may pass now."""
        if self.per_minute is None:
            return True
        now = self._clock.monotonic()
        if now < self._next_at.get(consumer_key, now):
            return False
        self._next_at[consumer_key] = now + 60.0 / self.per_minute
        return True
