"""The rows that stood before rows were told: told page by page, while the box goes on selling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTED, image
from easyisp_edge.store.changes import EVENT_OCTETS_MAX, octets_of, places

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from easyisp_edge.store.changes import Place, RowChanges
    from easyisp_edge.store.store import Store

PAGE_ROWS_MAX = 200


class StandingRows:
    """How far the telling came, and its next page.

    What changes meanwhile is told as it changes. An image is whole, so that the last one counts, whichever way
    it came to be told.

    Args:
        connection: The database.
        changes: Where rows are told.
    """

    def __init__(self, connection: sqlite3.Connection, changes: RowChanges) -> None:
        self._sql = connection
        self._changes = changes

    def are_told(self) -> bool:
        """Whether nothing is left to tell; also where nothing is to be told."""
        return self._next() is None

    def tell_page(self) -> bool:
        """Tell the next rows, in one transaction with how far that is. Gives whether there may be more."""
        following = self._next()
        if following is None:
            return False
        place, after = following
        rows = self._page(place, after)
        self._changes.append(place.stream, [(place.table, row) for row in rows])
        if rows:
            return self._come_to(place.name, [rows[-1][column] for column in place.key])
        names = [each.name for each in places(self._sql)]
        following_names = names[names.index(place.name) + 1 :]
        return self._come_to(following_names[0] if following_names else None, [])

    def _next(self) -> tuple[Place, list[Any]] | None:
        row = self._sql.execute("SELECT standing, standing_after FROM recording WHERE standing IS NOT NULL").fetchone()
        if row is None:
            return None
        return next(place for place in places(self._sql) if place.name == row[0]), json.loads(row[1])

    def _page(self, place: Place, after: Sequence[Any]) -> list[dict[str, Any]]:
        keys = ", ".join(place.key)
        conditions = [f"({keys}) > ({', '.join('?' * len(place.key))})"] if after else []
        if place.stream is Stream.USAGE and place.table == "grants":
            conditions.append(f"({' OR '.join(f'{column} <> 0' for column in COUNTED)})")
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        query = f"{place.select}{where}ORDER BY {keys} LIMIT {PAGE_ROWS_MAX}"
        found: list[dict[str, Any]] = []
        octets = 0
        for values in self._sql.execute(query, after):
            row = image(place.columns, values)
            octets += octets_of(row)
            if found and octets > EVENT_OCTETS_MAX:
                break
            found.append(row)
        return found

    def _come_to(self, standing: str | None, after: Sequence[Any]) -> bool:
        self._sql.execute("UPDATE recording SET standing = ?, standing_after = ?", (standing, json.dumps(after)))
        return standing is not None


async def tell_standing_rows(store: Store) -> None:
    """Tell all rows that stand, each page in a commit of its own; goes on where it was interrupted."""
    while await store.write(lambda tx: tx.standing.tell_page()):
        pass
