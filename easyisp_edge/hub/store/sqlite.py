"""The hub's database in a file: to try a hub out, and for a fleet of a few sites."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar, cast

import aiosqlite

from easyisp_edge.errors import EdgeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from easyisp_edge.hub.store.database import Put, Puts, Row

T = TypeVar("T")

_BUSY_SECONDS = 5.0
_PRIMARY_CODE = 0xFF  # SQLite's codes say more in the bits above
_ANY = re.compile(r"= ANY\(\$(\d+)\)")
_VALUE = re.compile(r"\$(\d+)")
_LOCK = re.compile(r" FOR UPDATE( OF \w+)?")
_TYPES = (("BIGINT", "INTEGER"), ("BYTEA", "BLOB"))


@functools.lru_cache(maxsize=512)
def translated(sql: str) -> str:
    """A statement as SQLite reads it; a list of values comes as JSON, and a writer is alone anyway."""
    sql = _LOCK.sub("", _ANY.sub(r"IN (SELECT value FROM json_each(:p\1))", sql))
    return _VALUE.sub(r":p\1", sql)


@functools.cache
def _insertion(put: Put) -> str:
    places = ", ".join(f":p{place}" for place in range(1, len(put.columns) + 1))
    return f"INSERT INTO {put.table} ({put.names}) VALUES ({places}) {put.conflict}"  # noqa: S608 - ours


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {
        f"p{place}": json.dumps(value) if isinstance(value, list) else value
        for place, value in enumerate(values, start=1)
    }


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UnavailableError("hub.database", f"the hub's database: {error}") from error


class _Connection(aiosqlite.Connection):
    """A connection in a thread of its own that runs whole functions there."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _explained():
            return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()


class _SqliteTransaction:
    """A `Transaction` on the one connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.announced: list[str] = []

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement and give what it yields."""
        statement, named = translated(sql), _named(values)
        return await self._connection.run(lambda sql: sql.execute(statement, named).fetchall())

    async def row(self, sql: str, *values: Any) -> Row | None:
        """The first row a statement yields."""
        found = await self.rows(sql, *values)
        return found[0] if found else None

    async def put(self, *puts: Puts) -> None:
        """Insert rows, in the order they come in."""
        work = [(_insertion(put), [_named(row) for row in rows]) for put, rows in puts if rows]

        def insert(sql: sqlite3.Connection) -> None:
            for statement, named in work:
                sql.executemany(statement, named)

        if work:
            await self._connection.run(insert)

    async def script(self, sql: str) -> None:
        """Run statements without values."""
        for theirs, ours in _TYPES:
            sql = sql.replace(theirs, ours)
        for statement in sql.split(";\n"):
            await self._connection.run(lambda connection, text=statement: connection.execute(text))  # type: ignore[misc]

    async def alone(self) -> None:
        """A writer is."""

    async def announce(self, site_id: str) -> None:
        """Once committed, tell this hub that something waits for a site; other processes find it when they look."""
        self.announced.append(site_id)


class SqliteDatabase:
    """A `Database` in a file: one connection, one transaction at a time."""

    writers = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._told: list[Callable[[str], None]] = []

    @classmethod
    async def open(cls, path: Path) -> SqliteDatabase:
        """Open the file; made where there is none.

        Raises:
            EdgeError: The folder is missing or not writable, or the file is damaged.
        """
        connection = _Connection(lambda: _connect(path), 64)
        try:
            await connection
        except sqlite3.Error as error:
            connection.join()
            raise EdgeError("hub.not_opened", f"{path}: {error}.{_advice(error)}") from error
        return cls(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[_SqliteTransaction]:
        """Commits at the end of the block, rolls back at an error."""
        async with self._turn:
            tx = _SqliteTransaction(self._connection)
            await tx.rows("BEGIN IMMEDIATE")
            try:
                yield tx
                await tx.rows("COMMIT")
            except BaseException:
                with contextlib.suppress(UnavailableError):  # where the commit failed, nothing may be left to undo
                    await tx.rows("ROLLBACK")
                raise
        for site_id in tx.announced:
            for told in self._told:
                told(site_id)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[_SqliteTransaction]:
        """Statements that change nothing."""
        async with self._turn:
            yield _SqliteTransaction(self._connection)

    async def listen(self, told: Callable[[str], None]) -> None:
        """Call `told` with each site that is announced in this process; until cancelled."""
        self._told.append(told)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._told.remove(told)

    async def close(self) -> None:
        """Finish what runs and close the file."""
        await self._connection.close()


def _advice(error: sqlite3.Error) -> str:
    """What to do about a file that cannot be opened; empty where that is not known."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}:
        return " Its folder must exist and be writable."
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return " Name another file, or put a copy of the hub's database in its place."
    return ""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
