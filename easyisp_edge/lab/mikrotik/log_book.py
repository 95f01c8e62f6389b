"""The router's log, as `/log` shows it: the newest thousand lines."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.tables import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_LINES_MOST = 1000


class LogBook:
    """Lines with their time and topics.

    Args:
        now: The time as the router sees it.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ids = Ids()
        self._lines: deque[dict[str, str]] = deque(maxlen=_LINES_MOST)

    def write(self, topics: str, message: str) -> None:
        """Add a line; `topics` with commas between them."""
        time = self._now().strftime("%Y-%m-%d %H:%M:%S")
        self._lines.append({".id": self._ids.next(), "time": time, "topics": topics, "message": message})

    def rows(self) -> Iterator[dict[str, str]]:
        """The lines, oldest first."""
        return iter(self._lines)

    def boot(self) -> None:
        """Power went: what stood in memory is gone."""
        self._lines.clear()
