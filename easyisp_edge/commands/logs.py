"""Log lines: one JSON object a line for machines, or short lines for people. No input can forge a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": record.name.removeprefix("easyisp_edge."),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class ShortLines(logging.Formatter):
    """A record as a short line; control characters are shown, not obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage().encode("unicode_escape").decode() if _odd(record) else record.getMessage()
        line = f"{record.levelname.lower():7} {record.name.removeprefix('easyisp_edge.')}: {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _odd(record: logging.LogRecord) -> bool:
    return not record.getMessage().isprintable()


def write_logs(level: str, *, as_json: bool) -> None:
    """Write logs to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else ShortLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "aiosqlite", "asyncio", "librouteros"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # A trace each few seconds while PostgreSQL is away, which the hub says itself.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
