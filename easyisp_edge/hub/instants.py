"""How the hub writes instants: fixed width, so that text order is time order."""

from __future__ import annotations

from datetime import MAXYEAR, UTC, datetime

HOUR = len("2026-01-31T09")


def instant(at: datetime) -> str:
    """An aware UTC instant as `2026-01-31T09:00:00.000Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_instant(text: str | None) -> datetime | None:
    """The UTC instant that a box wrote; None where it wrote something else, or one that no calendar can show."""
    try:
        at = datetime.fromisoformat(text or "")
        return at.astimezone(UTC) if at.utcoffset() is not None and 1 < at.year < MAXYEAR else None
    except ValueError:
        return None
