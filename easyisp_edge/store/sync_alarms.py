"""Table `sync_alarms`: what should not have come, or not have happened, between box and hub."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.store.events import EventsTable

_TOLD_EVERY = timedelta(hours=1)
# Each is a person's doing, who waits at the hub to see what becomes of it.
_TOLD_EACH = frozenset({"config.old", "config.refused", "config.withdrawn"})
_DETAIL_LENGTH = 300


class SyncAlarm(NamedTuple):
    """Alarms of one kind.

    Args:
        kind: Which.
        times: How often.
        first_at: When first.
        last_at: When last.
        detail: The last one's words.
    """

    kind: str
    times: int
    first_at: datetime
    last_at: datetime
    detail: str


class SyncAlarmsTable:
    """A row for each kind, and an event of each kind an hour at most: a flood of them fills no disk.

    What becomes of a configuration is told each time.
    """

    def __init__(self, connection: sqlite3.Connection, events: EventsTable) -> None:
        self._sql = connection
        self._events = events

    def note(self, kind: str, detail: str, at: datetime) -> None:
        """Count one, and tell of it where none of its kind was told of within the hour."""
        every = timedelta() if kind in _TOLD_EACH else _TOLD_EVERY
        detail = detail[:_DETAIL_LENGTH]
        self._sql.execute(
            "INSERT INTO sync_alarms (kind, times, untold, first_at, last_at, detail) VALUES (?1, 1, 1, ?2, ?2, ?3)"
            " ON CONFLICT (kind) DO UPDATE SET times = times + 1, untold = untold + 1, last_at = excluded.last_at,"
            " detail = excluded.detail",
            (kind, instant(at), detail),
        )
        query = "SELECT untold FROM sync_alarms WHERE kind = ? AND (told_at IS NULL OR told_at <= ?)"
        row = self._sql.execute(query, (kind, instant(at - every))).fetchone()
        if row is not None:
            self._sql.execute("UPDATE sync_alarms SET untold = 0, told_at = ? WHERE kind = ?", (instant(at), kind))
            self._events.append(Stream.MONEY, "sync.alarm", kind, {"times": row[0], "detail": detail})

    def all(self) -> list[SyncAlarm]:
        """All kinds there were, the latest first."""
        rows = self._sql.execute("SELECT kind, times, first_at, last_at, detail FROM sync_alarms ORDER BY last_at DESC")
        return [SyncAlarm(row[0], row[1], read_instant(row[2]), read_instant(row[3]), row[4]) for row in rows]
