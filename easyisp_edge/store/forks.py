"""Where a box and its hub both went on from the same number: the box's part is set aside and told anew on top.

The hub's events are the history then. What this box had changed is put beside what they say; where a row cannot
stand there (a receipt booked by both, a voucher taken twice), the hub's stays and this box's is kept for a person.

Business goes on meanwhile: grants end, money comes in. Whatever this box appends before it has told its part anew
makes way like the rest and belongs to that part; a row that the hub's part has not touched is told as it stands then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.event_lines import PARKED
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import KEYS_OF, KIND_OF, image, value_of
from easyisp_edge.store.changes import places
from easyisp_edge.store.retelling import Retelling, last_words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from easyisp_edge.store.changes import Place, RowChanges
    from easyisp_edge.store.events import EventsTable
    from easyisp_edge.store.rebuild import Rebuild

_EVENT_COLUMNS = "stream, sequence, type, key, at, body, digest"


class ToldAnew(NamedTuple):
    """What came of a box's part of a stream.

    Args:
        rows: How many rows were told anew.
        refused: Table and key of those that cannot stand beside the hub's.
        details: What a person is to be told of it besides.
    """

    rows: int
    refused: tuple[tuple[str, tuple[Any, ...]], ...]
    details: tuple[str, ...] = ()


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

    def set_aside(self, stream: Stream, after: int, detail: str = "") -> int | None:
        """Take this box's events after a number out of the history, and note how the rows stand that they changed.

        Gives the fork's number; None where there is no such event.

        Args:
            stream: Which.
            after: The last number that box and hub have in common.
            detail: What a person is to be told of it once it was told anew; empty for nothing.
        """
        number = int(self._sql.execute("SELECT coalesce(max(fork), 0) + 1 FROM forks").fetchone()[0])
        moved = self._sql.execute(
            f"INSERT INTO events_forked (fork, {_EVENT_COLUMNS}) SELECT ?, {_EVENT_COLUMNS} FROM events"  # noqa: S608
            " WHERE stream = ? AND sequence > ?",
            (number, stream.value, after),
        ).rowcount
        if not moved:
            return None
        query = "INSERT INTO forks (fork, stream, detail, told) VALUES (?, ?, ?, 0)"
        self._sql.execute(query, (number, stream.value, detail))
        self._sql.execute("DELETE FROM events WHERE stream = ? AND sequence > ?", (stream.value, after))
        if stream is Stream.MONEY:  # their numbers are given to others: those are listed at the end, or as they come
            self._sql.execute("DELETE FROM acts WHERE sequence > ?", (after,))
        of = {place.table: place for place in places(self._sql) if place.stream is stream}
        for told in self._told(number, KIND_OF[stream]):
            for table, rows in told["data"]["rows"].items():
                for row in rows:
                    self._note(number, of[table], row)
        return number

    def waiting(self) -> list[tuple[int, Stream]]:
        """The forks that are to be told anew, in the order in which they are; money first."""
        rows = self._sql.execute("SELECT fork, stream FROM forks WHERE told = 0 ORDER BY stream, fork")
        return [(row[0], Stream(row[1])) for row in rows]

    def tell_anew(self, stream: Stream, after: int) -> ToldAnew:
        """Put what this box had changed beside the hub's rows, once these were taken, and tell it in new events.

        What happened in words of the business is told anew as well, but for what is of a refused row. All of it is
        one transaction.

        Args:
            stream: Which.
            after: The number of the hub's last event of it.
        """
        forks = self._waiting_of(stream)
        if not forks:
            return ToldAnew(0, ())
        begun = self._first_of(forks)
        # What happened since the last page is of this box's part, too; not so at another hub, which knows nothing yet.
        if after >= begun - 1 and (late := self.set_aside(stream, after)) is not None:
            forks.append(late)
        changed = self._changed_since(begun, stream)
        retelling = Retelling(self._sql, self._rebuild, stream, changed, begun)
        retelling.put_all(lambda table: self._rows_to_put(stream, table, changed))
        self._tell_words(forks, stream, retelling)
        self._changes.append(stream, retelling.rows())
        refused = tuple(sorted(retelling.refused, key=str))
        details = self._note_told(forks, stream, refused)
        return ToldAnew(retelling.count, refused, details)

    def _waiting_of(self, stream: Stream) -> list[int]:
        return [fork for fork, of in self.waiting() if of is stream]

    def _tell_words(self, forks: Sequence[int], stream: Stream, retelling: Retelling) -> None:
        for fork in forks:
            for told in self._told(fork, None):
                if told["type"] != KIND_OF[stream] and not retelling.is_of_refused(told):
                    key, data = retelling.renamed(told["key"]), retelling.renamed_facts(told["data"])
                    self._events.append(stream, told["type"], key, data)

    def _note_told(
        self, forks: Sequence[int], stream: Stream, refused: Sequence[tuple[str, tuple[Any, ...]]]
    ) -> tuple[str, ...]:
        """Note that nothing waits any more; gives what is to be said."""
        details = []
        for fork in forks:
            self._sql.execute("UPDATE rows_forked SET told = 'anew' WHERE fork = ?", (fork,))
            self._sql.executemany(
                "UPDATE rows_forked SET told = 'refused' WHERE fork = ? AND place = ? AND key = ?",
                [(fork, f"{stream.value}.{table}", json.dumps(key)) for table, key in refused],
            )
            query = "UPDATE forks SET told = 1 WHERE fork = ? RETURNING detail"
            details += [row[0] for row in self._sql.execute(query, (fork,)).fetchall()]
        return tuple(detail for detail in details if detail)

    def _told(self, fork: int, kind: str | None) -> Iterator[dict[str, Any]]:
        """What a fork's events say, one after the other: a month of them is never in memory."""
        query = "SELECT type, body FROM events_forked WHERE fork = ? ORDER BY stream, sequence"
        for found, body in self._sql.execute(query, (fork,)):
            # One whose content was shed, or that no hub could take, is its digest alone.
            if kind in {None, found} and found != PARKED:
                yield json.loads(body)

    def _note(self, number: int, place: Place, row: Mapping[str, Any]) -> None:
        key = [row[column] for column in place.key]
        values = self._sql.execute(place.select + place.where_key, key).fetchone()
        if values is not None:
            self._sql.execute(
                "INSERT OR IGNORE INTO rows_forked (fork, place, key, row) VALUES (?, ?, ?, ?)",
                (number, place.name, json.dumps(key), json.dumps(image(place.columns, values), ensure_ascii=False)),
            )

    def _rows_to_put(
        self, stream: Stream, table: str, changed: set[tuple[str, tuple[Any, ...]]]
    ) -> list[dict[str, Any]]:
        """A table's rows of this box's part, in the order of their keys.

        One that the hub's part has not touched is this box's alone, and stands as it came to be meanwhile.
        """
        place = next(each for each in places(self._sql) if (each.stream, each.table) == (stream, table))
        query = (
            "SELECT key, row FROM rows_forked JOIN forks USING (fork)"
            " WHERE forks.told = 0 AND place = ? AND rows_forked.told = 'waiting' ORDER BY fork"
        )
        noted: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for key, row in self._sql.execute(query, (place.name,)):
            values = {column: value_of(value) for column, value in json.loads(row).items()}
            noted.setdefault(tuple(json.loads(key)), []).append(values)
        found: list[dict[str, Any]] = []
        for key in sorted(noted):
            own = None if (table, key) in changed else self._rebuild.row(table, dict(zip(place.key, key, strict=True)))
            found += last_words(table, noted[key]) if own is None else [{name: own[name] for name in place.columns}]
        return found

    def _first_of(self, forks: Sequence[int]) -> int:
        """The number of the first event of some forks."""
        query = f"SELECT min(sequence) FROM events_forked WHERE fork IN ({', '.join('?' * len(forks))})"  # noqa: S608
        return int(self._sql.execute(query, tuple(forks)).fetchone()[0])

    def _changed_since(self, begun: int, stream: Stream) -> set[tuple[str, tuple[Any, ...]]]:
        """What the hub's part changed: all rows told after the first fork's beginning, now that ours are set aside."""
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
