"""Where a box and its hub both went on from the same number: the box's part is set aside and told anew on top.

The hub's events are the history then. What this box had changed is put beside what they say; where a row cannot
stand there (a receipt booked by both, a voucher taken twice), the hub's stays and this box's is kept for a person.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import KEYS_OF, KIND_OF, image, value_of
from easyisp_edge.store.changes import places
from easyisp_edge.store.retelling import Retelling

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from easyisp_edge.store.changes import Place, RowChanges
    from easyisp_edge.store.events import EventsTable
    from easyisp_edge.store.rebuild import Rebuild

_EVENT_COLUMNS = "stream, sequence, type, key, at, body, digest"


class ToldAnew(NamedTuple):
    """What came of a box's part of a fork.

    Args:
        rows: How many rows were told anew.
        refused: Table and key of those that cannot stand beside the hub's.
    """

    rows: int
    refused: tuple[tuple[str, tuple[Any, ...]], ...]


class Forks:
    """Parts of the history that a hub knows otherwise. To be used within `Store.rewrite`.

    Args:
        connection: The database.
        events: The history.
        changes: Where rows are told.
        rebuild: How rows are put.
    """

    def __init__(
        self, connection: sqlite3.Connection, events: EventsTable, changes: RowChanges, rebuild: Rebuild
    ) -> None:
        self._sql = connection
        self._events = events
        self._changes = changes
        self._rebuild = rebuild

    def set_aside(self, stream: Stream, after: int) -> int | None:
        """Take this box's events after a number out of the history, and note how the rows stand that they changed.

        Gives the fork's number; None where there is no such event.
        """
        number = int(self._sql.execute("SELECT coalesce(max(fork), 0) + 1 FROM events_forked").fetchone()[0])
        moved = self._sql.execute(
            f"INSERT INTO events_forked (fork, {_EVENT_COLUMNS}) SELECT ?, {_EVENT_COLUMNS} FROM events"  # noqa: S608
            " WHERE stream = ? AND sequence > ?",
            (number, stream.value, after),
        ).rowcount
        if not moved:
            return None
        self._sql.execute("DELETE FROM events WHERE stream = ? AND sequence > ?", (stream.value, after))
        of = {place.table: place for place in places(self._sql) if place.stream is stream}
        for told in self._told(number, KIND_OF[stream]):
            for table, rows in told["data"]["rows"].items():
                for row in rows:
                    self._note(number, of[table], row)
        return number

    def waiting(self) -> list[tuple[int, Stream]]:
        """The forks of which rows are to be told anew, in the order in which they are; money first."""
        rows = self._sql.execute(
            "SELECT DISTINCT fork, stream FROM events_forked AS e WHERE EXISTS"
            " (SELECT 1 FROM rows_forked WHERE fork = e.fork AND told = 'waiting') ORDER BY stream, fork"
        )
        return [(row[0], Stream(row[1])) for row in rows]

    def tell_anew(self, number: int) -> ToldAnew:
        """Put what a fork had changed beside the hub's rows, once these were taken, and tell it in new events.

        What happened in words of the business is told anew as well, but for what is of a refused row. All of it is
        one transaction.
        """
        stream = Stream(self._sql.execute("SELECT stream FROM events_forked WHERE fork = ?", (number,)).fetchone()[0])
        retelling = Retelling(self._sql, self._rebuild, stream, self._changed_since(number, stream))
        retelling.put_all(self._waiting_rows(number))
        for told in self._told(number, None):
            if told["type"] != KIND_OF[stream] and not retelling.is_of_refused(told):
                key, data = retelling.renamed(told["key"]), retelling.renamed_facts(told["data"])
                self._events.append(stream, told["type"], key, data)
        rows = retelling.rows()
        self._changes.append(stream, rows)
        refused = tuple(sorted(retelling.refused, key=str))
        self._sql.execute("UPDATE rows_forked SET told = 'anew' WHERE fork = ?", (number,))
        for table, of_row in refused:
            place = f"{stream.value}.{table}"
            self._sql.execute(
                "UPDATE rows_forked SET told = 'refused' WHERE fork = ? AND place = ? AND key = ?",
                (number, place, json.dumps(of_row)),
            )
        return ToldAnew(len(rows), refused)

    def _told(self, number: int, kind: str | None) -> list[dict[str, Any]]:
        rows = self._sql.execute("SELECT type, body FROM events_forked WHERE fork = ? ORDER BY sequence", (number,))
        return [json.loads(body) for found, body in rows if kind in {None, found}]

    def _note(self, number: int, place: Place, row: Mapping[str, Any]) -> None:
        key = [row[column] for column in place.key]
        values = self._sql.execute(place.select + place.where_key, key).fetchone()
        if values is not None:
            self._sql.execute(
                "INSERT OR IGNORE INTO rows_forked (fork, place, key, row) VALUES (?, ?, ?, ?)",
                (number, place.name, json.dumps(key), json.dumps(image(place.columns, values), ensure_ascii=False)),
            )

    def _waiting_rows(self, number: int) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {table: [] for keys in KEYS_OF.values() for table in keys}
        query = "SELECT place, row FROM rows_forked WHERE fork = ? AND told = 'waiting' ORDER BY place, key"
        for place, row in self._sql.execute(query, (number,)):
            values = {column: value_of(value) for column, value in json.loads(row).items()}
            found[place.split(".")[1]].append(values)
        for table, known_by in KEYS_OF[Stream.MONEY].items():  # as text, 10 comes before 9
            found[table].sort(key=lambda row, known_by=known_by: [row[column] for column in known_by])  # type: ignore[misc]
        return found

    def _changed_since(self, number: int, stream: Stream) -> set[tuple[str, tuple[Any, ...]]]:
        """What the hub's part changed: rows told after the fork's beginning."""
        begun = self._sql.execute("SELECT min(sequence) FROM events_forked WHERE fork = ?", (number,)).fetchone()[0]
        rows = self._sql.execute(
            "SELECT body FROM events WHERE stream = ? AND sequence >= ? AND type = ?",
            (stream.value, begun, KIND_OF[stream]),
        )
        return {
            (table, tuple(row[column] for column in KEYS_OF[stream][table]))
            for (body,) in rows
            for table, images in json.loads(body)["data"]["rows"].items()
            for row in images
        }
