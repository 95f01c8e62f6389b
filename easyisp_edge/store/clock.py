"""Table `clock`: box time as it was last written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant, read_instant
from easyisp_edge.timekeeping import ClockMark

if TYPE_CHECKING:
    import sqlite3


class ClockTable:
    """The one row that keeps box time from going back across a power cut."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def last(self) -> ClockMark | None:
        """What was written down last; None on a new box."""
        row = self._sql.execute("SELECT at, boot_id, since_boot FROM clock").fetchone()
        return None if row is None else ClockMark(read_instant(row[0]), row[1], row[2])

    def write_down(self, mark: ClockMark) -> None:
        """Keep this mark in place of the last."""
        self._sql.execute(
            "INSERT INTO clock (id, at, boot_id, since_boot) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET at = excluded.at, boot_id = excluded.boot_id, since_boot = excluded.since_boot",
            (instant(mark.at), mark.boot_id, mark.since_boot),
        )
