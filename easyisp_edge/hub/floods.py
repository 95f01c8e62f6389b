"""So much of one kind in a minute and no more: counted in memory, for each hub by itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easyisp_edge.machine import Clock

_MINUTE_SECONDS = 60.0


class PerMinute:
    """Counts by key; the keys that were quiet the longest are forgotten first.

    Args:
        clock: For the minutes.
        most: So many of a key in a minute.
        keys_most: So many keys are known at once.
    """

    def __init__(self, clock: Clock, most: int, keys_most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._keys_most = keys_most
        self._counted: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def takes(self, key: Hashable) -> bool:
        """Count one more; False where it is too many."""
        now = self._clock.monotonic()
        began, count = self._counted.pop(key, (now, 0))
        if now - began >= _MINUTE_SECONDS:
            began, count = now, 0
        self._counted[key] = began, count + 1
        while len(self._counted) > self._keys_most:
            self._counted.popitem(last=False)
        return count < self._most

    def is_full(self, key: Hashable) -> bool:
        """Whether one more would be too many; counts nothing."""
        began, count = self._counted.get(key, (0.0, 0))
        return count >= self._most and self._clock.monotonic() - began < _MINUTE_SECONDS

    def __len__(self) -> int:
        return len(self._counted)
