"""The hub's database and key, opened as `hub.toml` says; what is in the way is said with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.database_address import PostgresqlAddress
from easyisp_edge.errors import UnavailableError
from easyisp_edge.hub.store.database import open_database

if TYPE_CHECKING:
    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.store.database import Database


async def opened_database(address: DatabaseAddress) -> Database:
    """Open the database and bring its schema up to date.

    Raises:
        EdgeError: As `open_database`.
        UnavailableError: It does not answer; the message says where it was looked for.
    """
    try:
        return await open_database(address)
    except UnavailableError as error:
        if not isinstance(address, PostgresqlAddress):
            raise
        why = error.message.removeprefix("the hub's database: ")
        raise UnavailableError(
            error.code,
            f"PostgreSQL does not answer at {address.host} port {address.port}, where `database` in hub.toml says it"
            f" is: {why}. Is it running, and does it listen there?",
        ) from error
