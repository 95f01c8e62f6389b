"""What the hub asks of a database: one dialect of SQL, which each of the two databases is brought to understand.

Statements are written for PostgreSQL (`$1`, `= ANY($1)`, `FOR UPDATE`, BIGINT and BYTEA), and use only what SQLite
has too: `ON CONFLICT`, `RETURNING`, JSON kept as text. `sqlite.py` says what it reads differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from easyisp_edge.domain.database_address import PostgresqlAddress
from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from easyisp_edge.domain.database_address import DatabaseAddress

Row = tuple[Any, ...]


class Put(NamedTuple):
    """Rows of one shape that are inserted together.

    Args:
        table: Into which.
        columns: Name and type of each value of a row: TEXT, BIGINT or BYTEA.
        conflict: What to do where a row of the key stands, such as `ON CONFLICT DO NOTHING`. No two rows that are
            put together may have the same key.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    conflict: str = ""

    @property
    def names(self) -> str:
        """The columns as they stand in a statement."""
        return ", ".join(name for name, _ in self.columns)


Puts = tuple[Put, "Sequence[Row]"]
"""Rows, and how they are put."""


class Transaction(Protocol):
    """Statements that hold together; every method raises `UnavailableError` where the database does not answer."""

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement and give what it yields."""

    async def row(self, sql: str, *values: Any) -> Row | None:
        """The first row a statement yields."""

    async def put(self, *puts: Puts) -> None:
        """Insert rows, in the order they come in."""

    async def script(self, sql: str) -> None:
        """Run statements without values, each ended by a semicolon at the end of a line."""

    async def alone(self) -> None:
        """Let no other hub be here until the end of the transaction; for changes of the schema."""

    async def announce(self, site_id: str) -> None:
        """Once committed, tell all hubs that something waits for a site."""


class Database(Protocol):
    """An open database, with the schema of this release.

    Args:
        writers: How many transactions are worth having under way at once.
    """

    writers: int

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, rolls back at an error.

        Raises:
            UnavailableError: The database does not answer. Whether it committed may then be unknown.
        """

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Statements that change nothing, each for itself."""

    async def listen(self, told: Callable[[str], None]) -> None:
        """Call `told` with each site that is announced by anyone; until cancelled.

        Raises:
            UnavailableError: The connection broke; announcements may have been missed.
        """

    async def close(self) -> None:
        """Finish what runs and close all connections."""


async def open_database(address: DatabaseAddress) -> Database:
    """Open a database and bring its schema up to date.

    Raises:
        EdgeError: It cannot be opened, or is of a newer release; or the driver of PostgreSQL is not installed.
        UnavailableError: The server cannot be reached.
    """
    from easyisp_edge.hub.store.migrating import migrate  # noqa: PLC0415 - it needs this module's names

    database = await _opened(address)
    try:
        await migrate(database)
    except BaseException:
        await database.close()
        raise
    return database


async def _opened(address: DatabaseAddress) -> Database:
    if not isinstance(address, PostgresqlAddress):
        from easyisp_edge.hub.store.sqlite import SqliteDatabase  # noqa: PLC0415 - only the one that is used

        return await SqliteDatabase.open(address.path)
    try:
        from easyisp_edge.hub.store.postgresql import PostgresqlDatabase  # noqa: PLC0415 - its driver is optional
    except ModuleNotFoundError as error:
        raise EdgeError("hub.driver", "PostgreSQL needs asyncpg: pip install 'easyisp-edge[postgresql]'.") from error
    return await PostgresqlDatabase.open(address)
