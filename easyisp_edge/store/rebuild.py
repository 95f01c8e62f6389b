"""Books out of their events: pages of lines from a hub, checked, kept as they are, and their rows put.

To be run within `Store.rewrite`: an image says how a row stands, whatever it may have become meanwhile, and the rows
it points to may come later. `finish` makes what follows from them, and says whether all came.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.event_lines import not_continued, read_line
from easyisp_edge.domain.row_images import KEYS_OF, KIND_OF, value_of
from easyisp_edge.errors import ConflictError
from easyisp_edge.store.changes import columns_in
from easyisp_edge.store.takings import TakingsTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.domain.event_lines import Line
    from easyisp_edge.domain.events import Stream
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.events import EventsTable
    from easyisp_edge.store.store import Store, Tables

_COUNTED_BY_DAY = ("payments", "purchases")


class Rebuild:
    """Takes events that this box lost, or never had.

    Args:
        connection: The database.
        events: Its events.
        clock: Box time; None where nothing is written.
    """

    def __init__(self, connection: sqlite3.Connection, events: EventsTable, clock: Clock | None) -> None:
        self._sql = connection
        self._events = events
        self._clock = clock
        self._columns: dict[str, tuple[str, ...]] = {}
        self._counted: set[tuple[str, str]] = set()

    def take(self, stream: Stream, lines: Iterable[bytes]) -> int:
        """Take lines that continue a stream, and put their rows; those that are there already are passed over.

        Gives the number of the stream's last event then.

        Raises:
            InvalidError: A line is no event of that stream.
            ConflictError: They do not continue what is there; one is there with another digest (`rebuild.forked`);
                or a row does not fit into the tables of this release (`rebuild.unfit`).
            RuntimeError: This connection reads only.
        """
        if self._clock is None:
            raise RuntimeError("Books are rebuilt within a transaction.")
        number, head = self._events.head(stream)
        for body in lines:
            line = read_line(stream, body, self._clock.now())
            if line.event.sequence <= number:
                self._hold_against(line)
                continue
            if not line.continues(number, head):
                raise not_continued(stream, number)
            self._events.keep(line.event)
            if line.event.type == KIND_OF[stream]:
                self._put_all(stream, line)
            number, head = line.event.sequence, line.event.digest
        # Money comes in between two pages, and the database counts it: on top of what stands.
        TakingsTable(self._sql).count_days_anew(self._counted)
        self._counted.clear()
        return number

    def dangling(self) -> list[str]:
        """Tables with a row that points to nothing: a page is missing yet. A long read."""
        return sorted({row[0] for row in self._sql.execute("PRAGMA foreign_key_check")})

    def put(self, stream: Stream, table: str, row: Mapping[str, Any], standing: Mapping[str, Any] | None) -> None:
        """Have a row stand as an image says; what cannot stand beside it goes.

        Args:
            stream: Which tells it.
            table: Where.
            row: Its image's values by column.
            standing: All of the row as it stood before.
        """
        key = KEYS_OF[stream][table]
        if standing is not None:
            changes = ", ".join(f"{column} = ?" for column in row)
            where = " AND ".join(f"{column} = ?" for column in key)
            statement = f"UPDATE OR REPLACE {table} SET {changes} WHERE {where}"  # noqa: S608 - columns are the schema's
            if self._sql.execute(statement, (*row.values(), *(row[column] for column in key))).rowcount:
                return
        # What only the other stream tells is not known yet: nothing was used.
        whole = {"seconds_used": 0, "octets_used": 0} if table == "grants" else {}
        whole |= {**(standing or {}), **row}
        self._sql.execute(
            f"INSERT OR REPLACE INTO {table} ({', '.join(whole)}) VALUES ({', '.join('?' * len(whole))})",  # noqa: S608
            tuple(whole.values()),
        )

    def row(self, table: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """All of a row as it stands."""
        columns = self.columns(table)
        where = " AND ".join(f"{column} = ?" for column in key)
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE {where}"  # noqa: S608 - the schema's own words
        found = self._sql.execute(query, tuple(key.values())).fetchone()
        return None if found is None else dict(zip(columns, found, strict=True))

    def columns(self, table: str) -> tuple[str, ...]:
        """A table's columns."""
        if table not in self._columns:
            self._columns[table] = columns_in(self._sql, table)
        return self._columns[table]

    def _hold_against(self, line: Line) -> None:
        if self._events.digest_of(line.event.stream, line.event.sequence) != line.event.digest:
            message = f"Number {line.event.sequence} of {line.event.stream.value} is another event here."
            raise ConflictError("rebuild.forked", message, sequence=line.event.sequence)

    def _put_all(self, stream: Stream, line: Line) -> None:
        try:
            told = [
                (table, {column: value_of(value) for column, value in row.items()})
                for table, rows in line.data["rows"].items()
                for row in rows
            ]
            for table, row in told:
                self._refuse_unknown(stream, table, row)
            # All are read first: one may make way for another that is put before it.
            standing = [self.row(table, {each: row[each] for each in KEYS_OF[stream][table]}) for table, row in told]
            for (table, row), stood in zip(told, standing, strict=True):
                self.put(stream, table, row, stood)
                if table in _COUNTED_BY_DAY:
                    whole = {**(stood or {}), **row}
                    self._counted.add((str(whole["tenant_id"]), str(whole["created_at"])))
        except (LookupError, ValueError, TypeError, AttributeError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # the disk
            raise ConflictError(
                "rebuild.unfit",
                f"Number {line.event.sequence} of {stream.value} has a row that does not fit into the tables of this"
                f" release ({error}): install the release that the box before had.",
                sequence=line.event.sequence,
            ) from error

    def _refuse_unknown(self, stream: Stream, table: str, row: Mapping[str, Any]) -> None:
        if table not in KEYS_OF[stream]:
            raise KeyError(table)
        unknown = row.keys() - set(self.columns(table))
        if unknown:
            raise KeyError(f"{table}.{min(unknown)}")


async def finish(store: Store) -> None:
    """After the last page: make what follows from rows and events, and see that every row points to one there is.

    Raises:
        ConflictError: One does not: events are missing.
    """
    await store.rewrite(follow)
    tables = await store.survey(lambda tx: tx.rebuild.dangling())
    if tables:
        raise ConflictError("rebuild.incomplete", f"Rows point to what no event told, in: {', '.join(tables)}.")


def follow(tx: Tables) -> None:
    """Make anew what follows from rows and events, and is not told by itself."""
    tx.takings.count_anew()
    tx.acts.list_anew()
