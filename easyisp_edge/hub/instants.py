"""How the hub writes instants: fixed width, so that text order is time order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

HOUR = len("2026-01-31T09")


def instant(at: datetime) -> str:
    """An aware UTC instant as `2026-01-31T09:00:00.000Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
