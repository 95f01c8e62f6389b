"""FreeRADIUS's tables in an SQLite file that FreeRADIUS writes too.

A transaction begins as one that writes and is over in milliseconds, with no wait inside: FreeRADIUS must not find the
file locked for longer than it waits. All of one runs in the connection's own thread.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar, cast

import aiosqlite

from easyisp_edge.adapters.freeradius.database import MARKED, OBSERVING, Change, Observed
from easyisp_edge.adapters.freeradius.sessions import noted_session
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from easyisp_edge.adapters.freeradius.rows import GroupRows, UserRows
    from easyisp_edge.domain.login_database import NotedSession, SessionsCursor

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5.0
# So many users share a transaction at most: about two milliseconds.
USERS_SHARED_MAX = 20

_CHANGED = "coalesce(acctstoptime, acctupdatetime, acctstarttime)"
_SESSIONS = f"""
SELECT radacctid, acctsessionid, username, nasipaddress, class, callingstationid, framedipaddress, acctstarttime,
  acctstoptime, {_CHANGED}, acctsessiontime, acctinputoctets, acctoutputoctets, acctterminatecause
FROM radacct
WHERE (acctstoptime IS NULL OR acctstoptime >= :at) AND ({_CHANGED}, radacctid) > (:at, :number)
ORDER BY {_CHANGED}, radacctid LIMIT :most
"""  # noqa: S608 - constants
_ANYBODY = (
    f"SELECT EXISTS (SELECT 1 FROM radusergroup WHERE username = :name AND {MARKED}),"  # noqa: S608 - constants
    " EXISTS (SELECT 1 FROM radcheck WHERE username = :name) OR EXISTS (SELECT 1 FROM radreply WHERE username = :name)"
    " OR EXISTS (SELECT 1 FROM radusergroup WHERE username = :name)"
)


class _Connection(aiosqlite.Connection):
    """A connection in a thread of its own that runs whole functions there."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    @classmethod
    async def open(cls, path: Path) -> _Connection:
        connection = cls(lambda: _connect(path), 64)
        try:
            await connection
        except BaseException:
            connection._thread.join()  # it is ending, and must not outlive the loop it reports that to
            raise
        return connection


class SqliteTables:
    """The tables in a file.

    Args:
        path: The file; FreeRADIUS makes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _Connection | None = None

    async def observe(self) -> Observed:
        """Read what bears our mark."""
        return await self._run(_observe)

    async def put_groups(self, groups: Sequence[GroupRows]) -> None:
        """Write groups anew."""
        if groups:
            await self._write(lambda connection: _put_groups(connection, groups))

    async def remove_groups(self, names: Sequence[str]) -> None:
        """Take groups of ours away."""
        if names:
            await self._write(lambda connection: _remove_groups(connection, names))

    async def change_users(self, changes: Sequence[Change]) -> list[str]:
        """Write users, some to a transaction; gives those whose name is somebody else's."""
        taken: list[str] = []
        for start in range(0, len(changes), USERS_SHARED_MAX):
            taken += await self._write(_changing(changes[start : start + USERS_SHARED_MAX]))
        return taken

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        """Sessions that changed after the cursor."""
        values = {"at": int(cursor.changed_at.timestamp()), "number": cursor.row_id, "most": limit}
        rows = await self._run(lambda connection: connection.execute(_SESSIONS, values).fetchall())
        return [noted_session(row) for row in rows]

    async def close(self) -> None:
        """Finish what runs and close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(lambda connection: _in_transaction(connection, work))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = await _Connection.open(self._path)
            return await self._connection.run(work)
        except sqlite3.Error as error:
            await self.close()
            raise UnavailableError(
                "freeradius.database",
                f"{self._path}: {error}. FreeRADIUS makes it at its start; it and its folder must be writable.",
            ) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA journal_mode=WAL")
        # What a power cut takes is put back by the next look.
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _observe(connection: sqlite3.Connection) -> Observed:
    connection.execute("BEGIN")  # one snapshot for all
    try:
        return _read(connection)
    finally:
        connection.execute("COMMIT")


def _read(connection: sqlite3.Connection) -> Observed:
    return Observed.from_rows(*(connection.execute(query) for query in OBSERVING))


def _changing(changes: Sequence[Change]) -> Callable[[sqlite3.Connection], list[str]]:
    return lambda connection: [change.username for change in changes if not _change(connection, change)]


def _change(connection: sqlite3.Connection, change: Change) -> bool:
    """Write a user anew; False where the name is somebody else's."""
    name, rows = change
    ours, anybody = connection.execute(_ANYBODY, {"name": name}).fetchone()
    if anybody and not ours:
        return False
    connection.execute("DELETE FROM radcheck WHERE username = ?", (name,))
    connection.execute("DELETE FROM radreply WHERE username = ?", (name,))
    connection.execute(f"DELETE FROM radusergroup WHERE username = ? AND {MARKED}", (name,))  # noqa: S608
    if rows is not None:
        _insert(connection, name, rows)
    return True


def _insert(connection: sqlite3.Connection, name: str, rows: UserRows) -> None:
    connection.executemany(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES (?, ?, ?, ?)",
        [(name, *row) for row in rows.check],
    )
    connection.executemany(
        "INSERT INTO radreply (username, attribute, op, value) VALUES (?, ?, ?, ?)",
        [(name, *row) for row in rows.reply],
    )
    connection.executemany(
        "INSERT INTO radusergroup (username, groupname, priority) VALUES (?, ?, 1)",
        [(name, group) for group in rows.groups],
    )


def _put_groups(connection: sqlite3.Connection, groups: Sequence[GroupRows]) -> None:
    _remove_groups(connection, [group.name for group in groups])
    connection.executemany(
        "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES (?, ?, ?, ?)",
        [(group.name, *row) for group in groups for row in group.reply],
    )


def _remove_groups(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    connection.executemany("DELETE FROM radgroupreply WHERE groupname = ?", [(name,) for name in names])
