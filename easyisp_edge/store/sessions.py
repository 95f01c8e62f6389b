"""Table `sessions`: what routers report as used."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.sessions import RESTARTED, SILENT, Session
from easyisp_edge.errors import InvalidError
from easyisp_edge.store.columns import (
    instant,
    optional_instant,
    optional_mac,
    read_instant,
    read_optional_instant,
    read_optional_mac,
)
from easyisp_edge.store.grants import ADMISSION_COLUMNS
from easyisp_edge.store.pages import page_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.store.grants import GrantsTable

_SELECT = (
    "SELECT session_id, router_id, acct_session_id, username, grant_id, mac, address, started_at, updated_at,"
    " stopped_at, seconds, octets_in, octets_out, cause FROM sessions "
)
# Said, because SQLite would walk all that ever were on the router by their names.
_SELECT_OPEN_ON = f"{_SELECT}INDEXED BY sessions_open WHERE router_id = ? AND stopped_at IS NULL "
# Read at every report: each column more costs what a tenth of a statement does.
_SELECT_OPEN_NAMED = (
    "SELECT session_id, s.mac, address, s.started_at, updated_at, seconds, octets_in, octets_out,"  # noqa: S608
    f" {', '.join(f'g.{column}' for column in ADMISSION_COLUMNS)} FROM sessions s LEFT JOIN grants g USING (grant_id)"
    " WHERE router_id = ? AND acct_session_id = ? AND s.username = ? AND stopped_at IS NULL"
)
_OWN_COLUMNS = 8
_BY_ONLINE_TIME = (
    "WHERE stopped_at IS NULL AND grant_id IN (SELECT grant_id FROM grants JOIN package_versions"
    " ON version_id = package_version_id WHERE online_seconds IS NOT NULL AND state = 'running')"
)

_OF_USER = " WHERE router_id = ? AND acct_session_id >= ? AND acct_session_id < ? AND username = ? "
_GIVEN_UP = f"('{SILENT}', '{RESTARTED}')"
_ENDED = (
    "SELECT coalesce(sum(seconds), 0), coalesce(sum(octets_in), 0), coalesce(sum(octets_out), 0) FROM sessions"  # noqa: S608 - constants
    f"{_OF_USER}AND stopped_at IS NOT NULL AND cause NOT IN {_GIVEN_UP}"
)
_UNENDED = f"{_SELECT}{_OF_USER}AND (stopped_at IS NULL OR cause IN {_GIVEN_UP})"
# A session's number as a key: of one length, so that the order of texts is that of numbers.
_NUMBER_LENGTH, _NUMBER_MAX = 19, 2**63 - 1
_LAST = "\U0010ffff"  # comes after whatever may follow the beginning of a name


class SessionsTable:
    """Sessions by name, and the open ones by router, grant and device.

    Args:
        connection: The database.
        grants: What let them on.
    """

    def __init__(self, connection: sqlite3.Connection, grants: GrantsTable) -> None:
        self._sql = connection
        self._grants = grants

    def add(self, session: Session) -> None:
        """Write a new session. A second open one of the same names is an `IntegrityError`."""
        self._sql.execute(
            "INSERT INTO sessions (router_id, acct_session_id, username, grant_id, mac, address, started_at,"
            " updated_at, stopped_at, seconds, octets_in, octets_out, cause)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session.router_id,
                session.acct_session_id,
                session.username,
                session.grant_id,
                optional_mac(session.mac),
                session.address,
                instant(session.started_at),
                instant(session.updated_at),
                optional_instant(session.stopped_at),
                session.seconds,
                session.octets_in,
                session.octets_out,
                session.cause,
            ),
        )

    def go_on(self, session: Session) -> None:
        """Write what changes while a session goes on; what it is found by stays, and its indexes with it."""
        self._sql.execute(
            "UPDATE sessions SET address = ?, updated_at = ?, seconds = ?, octets_in = ?, octets_out = ?"
            " WHERE session_id = ?",
            (
                session.address,
                instant(session.updated_at),
                session.seconds,
                session.octets_in,
                session.octets_out,
                session.session_id,
            ),
        )

    def update(self, session: Session) -> None:
        """Write what changes while a session goes on, and at its end."""
        self._sql.execute(
            "UPDATE sessions SET address = ?, updated_at = ?, stopped_at = ?, seconds = ?, octets_in = ?,"
            " octets_out = ?, cause = ? WHERE session_id = ?",
            (
                session.address,
                instant(session.updated_at),
                optional_instant(session.stopped_at),
                session.seconds,
                session.octets_in,
                session.octets_out,
                session.cause,
                session.session_id,
            ),
        )

    def open_named(
        self, router_id: str, acct_session_id: str, username: str
    ) -> tuple[Session, Admission | None] | None:
        """The one of those names that is open, with what let it on."""
        names = (router_id, acct_session_id, username)
        row = self._sql.execute(_SELECT_OPEN_NAMED, names).fetchone()
        if row is None:
            return None
        session_id, mac, address, started_at, updated_at, seconds, octets_in, octets_out = row[:_OWN_COLUMNS]
        grant_id = row[_OWN_COLUMNS]
        session = Session(
            session_id,
            *names,
            grant_id,
            read_optional_mac(mac),
            address,
            read_instant(started_at),
            read_instant(updated_at),
            None,
            seconds,
            octets_in,
            octets_out,
            "",
        )
        return session, None if grant_id is None else self._grants.read_admission(row[_OWN_COLUMNS:])

    def named(self, router_id: str, acct_session_id: str, username: str) -> list[Session]:
        """The last few of those names, open or over; the last to begin first."""
        rows = self._sql.execute(
            _SELECT + "WHERE router_id = ? AND acct_session_id = ? AND username = ?"
            " ORDER BY started_at DESC, session_id DESC LIMIT 3",
            (router_id, acct_session_id, username),
        )
        return [_read(row) for row in rows]

    def open_on(self, router_id: str) -> list[Session]:
        """All that are open on a router; the latest heard of first."""
        rows = self._sql.execute(_SELECT_OPEN_ON + "ORDER BY updated_at DESC, session_id", (router_id,))
        return [_read(row) for row in rows]

    def open_at(self, router_id: str, address: str) -> Session | None:
        """The open one of the device that has an address behind a router: of several the latest heard of."""
        rows = self._sql.execute(
            _SELECT_OPEN_ON + "AND address = ? ORDER BY updated_at DESC LIMIT 1",
            (router_id, address),
        )
        return next((_read(row) for row in rows), None)

    def open_of_device(self, mac: MacAddress) -> list[Session]:
        """All that are open of a device."""
        rows = self._sql.execute(_SELECT + "WHERE mac = ? AND stopped_at IS NULL", (mac.text,))
        return [_read(row) for row in rows]

    def open_of_grant(self, grant_id: str) -> list[Session]:
        """All that are open by a grant."""
        rows = self._sql.execute(_SELECT + "WHERE grant_id = ? AND stopped_at IS NULL", (grant_id,))
        return [_read(row) for row in rows]

    def open_by_online_time(self) -> list[Session]:
        """All that are open by grants whose time online is limited."""
        rows = self._sql.execute(_SELECT + _BY_ONLINE_TIME)
        return [_read(row) for row in rows]

    def unheard(self, router_id: str, since: datetime) -> list[Session]:
        """Those open on a router that were not heard of since then."""
        rows = self._sql.execute(_SELECT_OPEN_ON + "AND updated_at < ?", (router_id, instant(since)))
        return [_read(row) for row in rows]

    def page_of_routers(
        self, router_ids: Iterable[str], *, over: bool, limit: int, after: Position | None = None
    ) -> Page[Session]:
        """A page of the sessions on some routers, the last to begin first.

        Args:
            router_ids: Which.
            over: Whether also of those that are over.
            limit: How many at most.
            after: Where the page before ended.

        Raises:
            InvalidError: The page before cannot have ended there.
        """
        parts = (
            self._parts("router_id = ?", (each,), limit, over=over, after=after, opened="INDEXED BY sessions_open ")
            for each in router_ids
        )
        return page_of(chain.from_iterable(parts), limit, _position)

    def page_of_device(
        self, mac: MacAddress, router_ids: Iterable[str], *, over: bool, limit: int, after: Position | None = None
    ) -> Page[Session]:
        """The same of those of a device."""
        there = tuple(router_ids)
        where = f"mac = ? AND +router_id IN ({', '.join('?' * len(there))})"
        parts = self._parts(where, (mac.text, *there), limit, over=over, after=after)
        return page_of(parts, limit, _position)

    def page_of_grant(self, grant_id: str, *, over: bool, limit: int, after: Position | None = None) -> Page[Session]:
        """The same of those by a grant, on whichever router."""
        return page_of(self._parts("grant_id = ?", (grant_id,), limit, over=over, after=after), limit, _position)

    def _parts(
        self,
        where: str,
        parameters: tuple[Any, ...],
        limit: int,
        *,
        over: bool,
        after: Position | None,
        opened: str = "",
    ) -> list[list[Session]]:
        """The open ones, and those that are over: each with one row more than a page has, where there are more."""
        if after is not None:
            where += " AND (started_at, session_id) < (?, ?)"
            parameters += (instant(after.at), _number(after))
        newest = f"{where} ORDER BY started_at DESC, session_id DESC LIMIT ?"
        parts = [f"{_SELECT}{opened}WHERE stopped_at IS NULL AND {newest}"]
        if over:
            parts.append(f"{_SELECT}WHERE stopped_at IS NOT NULL AND {newest}")
        return [[_read(row) for row in self._sql.execute(part, (*parameters, limit + 1))] for part in parts]

    def ended_of(self, router_id: str, names: str, username: str) -> tuple[int, int, int]:
        """What the sessions of a user whose names begin so and whose end was reported come to: seconds, octets."""
        row = self._sql.execute(_ENDED, (router_id, names, names + _LAST, username)).fetchone()
        return row[0], row[1], row[2]

    def unended_of(self, router_id: str, names: str, username: str) -> list[Session]:
        """The sessions of a user whose names begin so and whose end was not reported: open, or given up."""
        rows = self._sql.execute(_UNENDED, (router_id, names, names + _LAST, username))
        return [_read(row) for row in rows]


def _position(session: Session) -> Position:
    return Position(session.started_at, f"{session.session_id:019}")


def _number(position: Position) -> int:
    if not (position.key.isascii() and position.key.isdigit() and len(position.key) == _NUMBER_LENGTH):
        raise InvalidError("cursor.unreadable", "This is no position in a list of sessions.", field="cursor")
    return min(int(position.key), _NUMBER_MAX)


def _read(row: tuple[Any, ...]) -> Session:
    return Session(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        read_optional_mac(row[5]),
        row[6],
        read_instant(row[7]),
        read_instant(row[8]),
        read_optional_instant(row[9]),
        row[10],
        row[11],
        row[12],
        row[13],
    )
