"""Opens FreeRADIUS's database, of whichever kind it is."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from easyisp_edge.domain.database_address import DatabaseAddress


def freeradius_database(address: DatabaseAddress) -> FreeradiusDatabase:
    """A database at that address; it is opened at its first use.

    Raises:
        EdgeError: What is needed to reach PostgreSQL is not installed.
    """
    # Each kind is loaded where it is used: a small box carries no driver it does not need.
    if isinstance(address, SqliteAddress):
        sqlite = importlib.import_module("easyisp_edge.adapters.freeradius.sqlite")
        return FreeradiusDatabase(sqlite.SqliteTables(address.path))
    try:
        postgresql = importlib.import_module("easyisp_edge.adapters.freeradius.postgresql")
    except ImportError as error:
        raise EdgeError(
            "freeradius.driver", "PostgreSQL needs asyncpg: pip install 'easyisp-edge[postgresql]'."
        ) from error
    return FreeradiusDatabase(postgresql.PostgresqlTables(address))
