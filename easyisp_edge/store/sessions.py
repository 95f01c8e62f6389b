"""Table `sessions`: what routers report as used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.sessions import RESTARTED, SILENT, Session
from easyisp_edge.store.columns import (
    instant,
    optional_instant,
    optional_mac,
    read_instant,
    read_optional_instant,
    read_optional_mac,
)
from easyisp_edge.store.grants import ADMISSION_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.store.grants import GrantsTable

_SELECT = (
    "SELECT session_id, router_id, acct_session_id, username, grant_id, mac, address, started_at, updated_at,"
    " stopped_at, seconds, octets_in, octets_out, cause FROM sessions "
)
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
        rows = self._sql.execute(
            _SELECT + "WHERE router_id = ? AND stopped_at IS NULL ORDER BY updated_at DESC, session_id", (router_id,)
        )
        return [_read(row) for row in rows]

    def open_at(self, router_id: str, address: str) -> Session | None:
        """The open one of the device that has an address behind a router: of several the latest heard of."""
        rows = self._sql.execute(
            _SELECT + "WHERE router_id = ? AND stopped_at IS NULL AND address = ? ORDER BY updated_at DESC LIMIT 1",
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
        rows = self._sql.execute(
            _SELECT + "WHERE router_id = ? AND stopped_at IS NULL AND updated_at < ?", (router_id, instant(since))
        )
        return [_read(row) for row in rows]

    def ended_of(self, router_id: str, names: str, username: str) -> tuple[int, int, int]:
        """What the sessions of a user whose names begin so and whose end was reported come to: seconds, octets."""
        row = self._sql.execute(_ENDED, (router_id, names, names + _LAST, username)).fetchone()
        return row[0], row[1], row[2]

    def unended_of(self, router_id: str, names: str, username: str) -> list[Session]:
        """The sessions of a user whose names begin so and whose end was not reported: open, or given up."""
        rows = self._sql.execute(_UNENDED, (router_id, names, names + _LAST, username))
        return [_read(row) for row in rows]


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
