"""A log line once a minute: what many requests meet at the same time is said, and fills no disk."""

from __future__ import annotations

import logging
from typing import Final

_MINUTE_SECONDS: Final = 60.0
_LINES_MOST: Final = 100


class OnceAMinute(logging.Filter):
    """Lets a line through unless the same was said within the minute; a fault with its trace always."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.exc_info:
            return True
        line, now = record.getMessage(), record.created
        if abs(now - self._said.get(line, float("-inf"))) < _MINUTE_SECONDS:
            return False
        if len(self._said) >= _LINES_MOST:
            self._said.clear()
        self._said[line] = now
        return True
