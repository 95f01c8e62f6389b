"""The hub's database on a PostgreSQL server, which any number of hubs share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]

from easyisp_edge.errors import EdgeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.hub.store.database import Put, Puts, Row

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 20.0
_CONNECTIONS_MOST = 8
_COPIED_LEAST = 32  # COPY takes an exchange more than INSERT, and less for each row
_CHANNEL = "easyisp_hub"
_SCHEMA_LOCK = 0x65687562
_SETTINGS = {
    "application_name": "easyisp-edge hub",
    "timezone": "UTC",
    # A hub that froze in the middle must not keep a site's stream from the others.
    "idle_in_transaction_session_timeout": "30000",
}
# The server cannot serve at the moment, or another hub was faster. What else it says is a fault of ours.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
)


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that leaves nothing behind to clean up: one exchange less a use."""

    def get_reset_query(self) -> str:
        return ""


@contextlib.contextmanager
def _explained(passing: tuple[type[BaseException], ...] = _PASSING) -> Iterator[None]:
    try:
        yield
    except passing as error:
        said = str(error) or "no answer in time"
        raise UnavailableError("hub.database", f"the hub's database: {said}") from error


@functools.cache
def _insertion(put: Put) -> str:
    """Inserts one row; many are sent at once. Lists cost the driver several looks at each value."""
    places = ", ".join(f"${place}" for place, _ in enumerate(put.columns, start=1))
    return f"INSERT INTO {put.table} ({put.names}) VALUES ({places}) {put.conflict}"  # noqa: S608 - ours


class _PostgresqlTransaction:
    """A `Transaction` on a connection of the pool."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement and give what it yields."""
        return [tuple(row) for row in await self._connection.fetch(sql, *values)]

    async def row(self, sql: str, *values: Any) -> Row | None:
        """The first row a statement yields."""
        found = await self._connection.fetchrow(sql, *values)
        return None if found is None else tuple(found)

    async def put(self, *puts: Puts) -> None:
        """Insert rows, in the order they come in."""
        for put, rows in puts:
            if rows and (put.conflict or len(rows) < _COPIED_LEAST):
                await self._connection.executemany(_insertion(put), rows)
            elif rows:
                names = [name for name, _ in put.columns]
                await self._connection.copy_records_to_table(put.table, records=rows, columns=names)

    async def script(self, sql: str) -> None:
        """Run statements without values."""
        await self._connection.execute(sql)

    async def alone(self) -> None:
        """Let no other hub be here until the end of the transaction."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)

    async def announce(self, site_id: str) -> None:
        """Once committed, tell all hubs that something waits for a site."""
        await self._connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, site_id)


class PostgresqlDatabase:
    """A `Database` on a server."""

    writers = 2

    def __init__(self, pool: Any, settings: dict[str, Any]) -> None:
        self._pool = pool
        self._settings = settings

    @classmethod
    async def open(cls, address: PostgresqlAddress) -> PostgresqlDatabase:
        """Connect.

        Raises:
            UnavailableError: The server cannot be reached.
            EdgeError: It does not let us in.
        """
        settings = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password or None,
            "database": address.name,
            "timeout": CONNECT_SECONDS,
            "server_settings": _SETTINGS,
        }
        place = f"database {address.name} on {address.host}"
        try:
            with _explained():
                pool = await asyncpg.create_pool(
                    **settings,
                    command_timeout=COMMAND_SECONDS,
                    min_size=1,
                    max_size=_CONNECTIONS_MOST,
                    connection_class=_Connection,
                )
        except asyncpg.PostgresError as error:
            raise EdgeError("hub.not_opened", f"{place}: {error}") from error
        return cls(pool, settings)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[_PostgresqlTransaction]:
        """Commits at the end of the block, rolls back at an error."""
        async with self._connection() as connection:
            with _explained():
                async with connection.transaction():
                    yield _PostgresqlTransaction(connection)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[_PostgresqlTransaction]:
        """Statements that change nothing."""
        async with self._connection() as connection:
            with _explained():
                yield _PostgresqlTransaction(connection)

    async def listen(self, told: Callable[[str], None]) -> None:
        """Call `told` with each site that any hub announces; until cancelled."""
        with _explained((*_PASSING, asyncpg.PostgresError)):
            connection = await asyncpg.connect(**self._settings)
            try:
                broken = asyncio.Event()
                connection.add_termination_listener(lambda _connection: broken.set())
                await connection.add_listener(_CHANNEL, lambda _c, _pid, _channel, site_id: told(site_id))
                await broken.wait()
            finally:
                connection.terminate()
        raise UnavailableError("hub.database", "the hub's database: the connection that hears announcements broke")

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One of the pool's; whatever keeps us from having one may pass."""
        with _explained((*_PASSING, asyncpg.PostgresError)):
            connection = await self._pool.acquire(timeout=CONNECT_SECONDS)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close all connections, politely where the server still answers."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._pool.close()
        except (*_PASSING, asyncpg.PostgresError):
            self._pool.terminate()
