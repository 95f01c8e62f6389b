"""What transactions change in the books, told as rows in the events: once a hub is to know them.

While nothing is told this costs nothing. Once it is, triggers on the writing connection note in memory the key of
each row that changes; at the end of the transaction the noted rows are read and appended to their stream. A
transaction that is undone takes its notes with it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTED, KEYS_OF, KIND_OF, columns_of, image
from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from easyisp_edge.store.events import EventsTable

# One event is far below what one batch may hold, and a page of many rows never keeps others waiting long.
EVENT_OCTETS_MAX = 64 * 1024
# What sessions that are on have used is told this often, and how they stand each hour.
_COUNTED_EVERY = timedelta(minutes=10)
_TEN_MINUTES, _HOUR = len("2026-01-31T09:0"), len("2026-01-31T09")
_KEY_COLUMNS = "abc"

NOT_REPLICATED = frozenset(
    {
        # Who works at the box itself, and what only its own key opens.
        "staff_users",
        "staff_logins",
        "api_tokens",
        "gateways",
        # What follows from other rows, and from the events.
        "takings",
        "attempts",
        "acts",
        # What is this machine's own.
        "clock",
        "posters",
        "gateway_sweeps",
        "events",
        "recording",
        "forks",
        "events_forked",
        "rows_forked",
        "sync_site",
        "sync_lanes",
        "sync_parked",
        "sync_alarms",
        "sync_asks",
        "central_configs",
    }
)
"""Tables whose rows are this box's alone, or can be had again."""


class Place(NamedTuple):
    """The part of a table that one stream tells.

    Args:
        stream: Which.
        table: The table.
        key: The columns a row is known by.
        columns: The columns that are told.
    """

    stream: Stream
    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called wherever a place is kept."""
        return f"{self.stream.value}.{self.table}"

    @property
    def select(self) -> str:
        """The beginning of a query for what is told."""
        return f"SELECT {', '.join(self.columns)} FROM {self.table} "  # noqa: S608 - the schema's own words

    @property
    def where_key(self) -> str:
        """The row of a key."""
        return "WHERE " + " AND ".join(f"{column} = ?" for column in self.key)


def columns_in(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """The columns of a table, as the schema has them."""
    return tuple(row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))


def places(connection: sqlite3.Connection) -> tuple[Place, ...]:
    """All that is told, money first, each table behind those it points to."""
    return tuple(
        Place(stream, table, key, columns_of(stream, table, columns_in(connection, table)))
        for stream in Stream
        for table, key in KEYS_OF[stream].items()
    )


class RowChanges:
    """Whether rows are told, and the telling.

    Args:
        connection: The database.
        events: Where they are told.
    """

    def __init__(self, connection: sqlite3.Connection, events: EventsTable) -> None:
        self._sql = connection
        self._events = events
        self._places: tuple[Place, ...] = ()
        self._on = False
        self._counted_in: str | None = None

    def are_told(self) -> bool:
        """Whether rows are told, by what stands in the books."""
        return self._sql.execute("SELECT 1 FROM recording").fetchone() is not None

    def begin(self, at: datetime, *, standing: bool = True) -> None:
        """From this transaction on tell every row that changes; it stays so over restarts.

        Args:
            at: Box time.
            standing: Whether the rows that stand are to be told too, page by page (`StandingRows`); a box that was
                rebuilt from its events need not.
        """
        self._sql.execute(
            "INSERT INTO recording (id, since, standing, standing_after) VALUES (1, ?, ?, '[]') ON CONFLICT DO NOTHING",
            (instant(at), self._all()[0].name if standing else None),
        )
        self.look()

    def look(self) -> None:
        """See what the books say about telling, and be ready for it. To be called after anything was undone."""
        self._on = self.are_told()
        if self._on == self._listens():
            return
        if self._on:
            self._listen()
        else:
            self._unlisten()

    def tell(self) -> None:
        """Append what was noted: the rows as they stand now, within the same transaction."""
        if not self._on:
            return
        noted = self._sql.execute("SELECT DISTINCT place, a, b, c FROM temp.noted ORDER BY place, a, b, c").fetchall()
        if noted:
            self._sql.execute("DELETE FROM temp.noted")
            self._append_noted(noted)

    def forget(self) -> None:
        """Leave untold what was noted: it came out of events."""
        if self._listens():
            self._sql.execute("DELETE FROM temp.noted")

    def count(self, now: datetime) -> None:
        """Tell every ten minutes what sessions that are on have used, and every hour how they stand."""
        if not self._on:
            return
        ten_minutes = instant(now)[:_TEN_MINUTES]
        before, self._counted_in = self._counted_in, ten_minutes
        if before is None or before == ten_minutes:
            return
        self.count_open(now - 2 * _COUNTED_EVERY, sessions=before[:_HOUR] != ten_minutes[:_HOUR])

    def count_open(self, heard_since: datetime, *, sessions: bool) -> None:
        """Tell what grants have used whose sessions are on, and were heard of since then.

        Args:
            heard_since: The others have not changed.
            sessions: Whether the sessions are told too.
        """
        query = (
            "SELECT session_id, grant_id FROM sessions INDEXED BY sessions_open_by_grant"
            " WHERE stopped_at IS NULL AND updated_at >= ?"
        )
        rows = self._sql.execute(query, (instant(heard_since),)).fetchall()
        told = [("sessions", (row[0],)) for row in rows] if sessions else []
        grants = dict.fromkeys(row[1] for row in rows if row[1] is not None)
        self.append(Stream.USAGE, self._images(Stream.USAGE, [*told, *(("grants", (grant,)) for grant in grants)]))

    def append(self, stream: Stream, images: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Tell rows, in as many events as their size asks for.

        Args:
            stream: Where.
            images: Table and image of each.
        """
        for rows in _bounded(images):
            self._events.append(stream, KIND_OF[stream], "books", {"rows": rows})

    def _append_noted(self, noted: Sequence[tuple[Any, ...]]) -> None:
        found: dict[Stream, list[tuple[str, tuple[Any, ...]]]] = {stream: [] for stream in Stream}
        for number, *values in noted:
            place = self._all()[number]
            found[place.stream].append((place.table, tuple(values[: len(place.key)])))
        for stream, rows in found.items():
            self.append(stream, self._images(stream, rows))

    def _images(
        self, stream: Stream, rows: Iterable[tuple[str, tuple[Any, ...]]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        of = {place.table: place for place in self._all() if place.stream is stream}
        grants: dict[str, None] = {}
        for table, key in rows:
            place = of[table]
            row = self._sql.execute(place.select + place.where_key, key).fetchone()
            if row is None:  # a hub's row took its place, and a session may still name it
                continue
            yield table, image(place.columns, row)
            if table == "sessions" and (grant_id := row[place.columns.index("grant_id")]) is not None:
                grants[grant_id] = None
        # A grant has used what its sessions say, at least: whoever hears of these hears of it.
        wanted = set(grants) - {key[0] for table, key in rows if table == "grants"}
        for grant_id in sorted(wanted):
            place = of["grants"]
            row = self._sql.execute(place.select + place.where_key, (grant_id,)).fetchone()
            if row is not None:
                yield "grants", image(place.columns, row)

    def _all(self) -> tuple[Place, ...]:
        if not self._places:
            self._places = places(self._sql)
        return self._places

    def _listens(self) -> bool:
        return self._sql.execute("SELECT 1 FROM sqlite_temp_master WHERE name = 'noted'").fetchone() is not None

    def _listen(self) -> None:
        # Without a key: what a statement says of conflicts would also hold for what its triggers write.
        self._sql.execute("CREATE TEMP TABLE noted (place INTEGER, a, b, c)")
        for number, place in enumerate(self._all()):
            for name, when in _occasions(place).items():
                self._sql.execute(_trigger(f"noting_{place.stream.value}_{place.table}_{name}", when, number, place))

    def _unlisten(self) -> None:
        names = self._sql.execute("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            self._sql.execute(f"DROP TRIGGER temp.{name}")
        self._sql.execute("DROP TABLE temp.noted")
        self._counted_in = None


def _occasions(place: Place) -> dict[str, str]:
    """When a row is noted. What changes with every report of a router is left to `count`."""
    table, on = place.table, f"ON main.{place.table}"
    if table == "sessions":
        over = "WHEN OLD.stopped_at IS NOT NULL OR NEW.stopped_at IS NOT NULL"
        return {"insert": f"AFTER INSERT {on}", "update": f"AFTER UPDATE {on} {over}"}
    if place.stream is Stream.USAGE:
        used = " OR ".join(f"NEW.{column} <> 0" for column in COUNTED)
        return {"insert": f"AFTER INSERT {on} WHEN {used}"}
    return {"insert": f"AFTER INSERT {on}", "update": f"AFTER UPDATE OF {', '.join(place.columns)} {on}"}


def _trigger(name: str, when: str, number: int, place: Place) -> str:
    key = [f"NEW.{column}" for column in place.key]
    values = ", ".join(key + ["''"] * (len(_KEY_COLUMNS) - len(key)))
    return (
        f"CREATE TEMP TRIGGER {name} {when}"  # noqa: S608 - the schema's own words
        f" BEGIN INSERT INTO noted VALUES ({number}, {values}); END"
    )


def _bounded(images: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Rows by table, in parts of at most `EVENT_OCTETS_MAX`; a larger row stands alone."""
    part: dict[str, list[dict[str, Any]]] = {}
    octets = 0
    for table, row in images:
        own = octets_of(row)
        if part and octets + own > EVENT_OCTETS_MAX:
            yield part
            part, octets = {}, 0
        part.setdefault(table, []).append(row)
        octets += own
    if part:
        yield part


def octets_of(row: dict[str, Any]) -> int:
    """What a row takes in an event, at most."""
    return len(json.dumps(row)) + 1
