"""FreeRADIUS's tables in PostgreSQL. Only a site that has it loads this, and the library it needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg  # type: ignore[import-untyped]

from easyisp_edge.adapters.freeradius.database import MARKED, OBSERVING, OURS, Change, Observed
from easyisp_edge.adapters.freeradius.sessions import noted_session
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from easyisp_edge.adapters.freeradius.rows import GroupRows, Row
    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.domain.login_database import NotedSession, SessionsCursor

T = TypeVar("T")

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 20.0
# What the library raises when the connection is of no more use, or the server said no.
_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
# So many users share a transaction at most. Nobody waits for it, FreeRADIUS reads what stood before.
USERS_SHARED_MAX = 500

_CHANGED = "coalesce(acctstoptime, acctupdatetime, acctstarttime)"
_SESSIONS = f"""
SELECT radacctid, acctsessionid, username, host(nasipaddress), class, callingstationid, host(framedipaddress),
  acctstarttime, acctstoptime, {_CHANGED}, acctsessiontime, acctinputoctets, acctoutputoctets, acctterminatecause
FROM radacct
WHERE (acctstoptime IS NULL OR acctstoptime >= $1) AND ({_CHANGED}, radacctid) > ($1, $2)
ORDER BY {_CHANGED}, radacctid LIMIT $3
"""  # noqa: S608 - constants
_TAKEN = (
    "SELECT username FROM unnest($1::text[]) AS asked (username) WHERE (username IN (SELECT username FROM radcheck)"  # noqa: S608
    " OR username IN (SELECT username FROM radreply) OR username IN (SELECT username FROM radusergroup))"
    f" AND username NOT IN {OURS}"
)


class PostgresqlTables:
    """The tables on a server.

    Args:
        address: Where it is.
    """

    def __init__(self, address: PostgresqlAddress) -> None:
        self._address = address
        self._connection: Any = None

    async def observe(self) -> Observed:
        """Read what bears our mark."""
        return await self._run(_observe)

    async def put_groups(self, groups: Sequence[GroupRows]) -> None:
        """Write groups anew."""
        if groups:
            await self._run(lambda connection: _put_groups(connection, groups))

    async def remove_groups(self, names: Sequence[str]) -> None:
        """Take groups of ours away."""
        if names:
            await self._run(lambda connection: _remove_groups(connection, names))

    async def change_users(self, changes: Sequence[Change]) -> list[str]:
        """Write users, many to a transaction; gives those whose name is somebody else's."""
        taken: list[str] = []
        for start in range(0, len(changes), USERS_SHARED_MAX):
            taken += await self._run(_changing(changes[start : start + USERS_SHARED_MAX]))
        return taken

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        """Sessions that changed after the cursor."""
        rows = await self._run(lambda connection: connection.fetch(_SESSIONS, *cursor, limit))
        return [noted_session(tuple(row)) for row in rows]

    async def close(self) -> None:
        """Close the connection, politely where the server still answers."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=CONNECT_SECONDS)
        except _FAILURES:
            connection.terminate()

    async def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            if self._connection is None:
                self._connection = await self._open()
            return await work(self._connection)
        except _FAILURES as error:
            await self.close()
            name = f"database {self._address.name} on {self._address.host}"
            raise UnavailableError("freeradius.database", f"{name}: {str(error) or 'no answer in time'}") from error
        except asyncio.CancelledError:
            # Half of an exchange may be under way: the next one needs a connection of its own.
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.terminate()
            raise

    async def _open(self) -> Any:
        return await asyncpg.connect(
            host=self._address.host,
            port=self._address.port,
            user=self._address.user,
            password=self._address.password or None,
            database=self._address.name,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings={"application_name": "easyisp-edge"},
        )


async def _observe(connection: Any) -> Observed:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return Observed.from_rows(*[await connection.fetch(query) for query in OBSERVING])


def _changing(changes: Sequence[Change]) -> Callable[[Any], Awaitable[list[str]]]:
    return lambda connection: _change(connection, changes)


async def _change(connection: Any, changes: Sequence[Change]) -> list[str]:
    """Write users anew; gives those whose name is somebody else's."""
    async with connection.transaction():
        asked = [change.username for change in changes]
        taken = {row[0] for row in await connection.fetch(_TAKEN, asked)}
        names = [name for name in asked if name not in taken]
        await connection.execute("DELETE FROM radcheck WHERE username = ANY($1)", names)
        await connection.execute("DELETE FROM radreply WHERE username = ANY($1)", names)
        await connection.execute(f"DELETE FROM radusergroup WHERE username = ANY($1) AND {MARKED}", names)  # noqa: S608
        written = [(name, rows) for name, rows in changes if rows is not None and name not in taken]
        await _insert(connection, "radcheck", "username", [(name, rows.check) for name, rows in written])
        await _insert(connection, "radreply", "username", [(name, rows.reply) for name, rows in written])
        await connection.execute(
            "INSERT INTO radusergroup (username, groupname, priority)"
            " SELECT username, groupname, 1 FROM unnest($1::text[], $2::text[]) AS new (username, groupname)",
            [name for name, rows in written for _ in rows.groups],
            [group for _, rows in written for group in rows.groups],
        )
    return sorted(taken)


async def _insert(connection: Any, table: str, key: str, rows_of: Sequence[tuple[str, tuple[Row, ...]]]) -> None:
    """Insert rows so that their numbers are in their order: FreeRADIUS reads them so."""
    flat = [(name, *row) for name, rows in rows_of for row in rows]
    columns = [list(column) for column in zip(*flat, strict=True)] or [[], [], [], []]
    await connection.execute(
        f"INSERT INTO {table} ({key}, attribute, op, value)"  # noqa: S608 - the caller's own words
        f" SELECT {key}, attribute, op, value FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])"
        f" WITH ORDINALITY AS new ({key}, attribute, op, value, place) ORDER BY place",
        *columns,
    )


async def _put_groups(connection: Any, groups: Sequence[GroupRows]) -> None:
    async with connection.transaction():
        await _remove_groups(connection, [group.name for group in groups])
        await _insert(connection, "radgroupreply", "groupname", [(group.name, group.reply) for group in groups])


async def _remove_groups(connection: Any, names: Sequence[str]) -> None:
    await connection.execute("DELETE FROM radgroupreply WHERE groupname = ANY($1)", list(names))
