"""Brings the schema up to date, by the numbered files in `migrations/`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Database, Transaction


def scripts() -> dict[int, str]:
    """All migrations by number."""
    folder = files("easyisp_edge.hub.store") / "migrations"
    found = (path for path in folder.iterdir() if path.name.endswith(".sql"))
    return {int(path.name[:4]): path.read_text(encoding="utf-8") for path in sorted(found, key=lambda path: path.name)}


async def migrate(database: Database) -> None:
    """Run what this database has not seen yet; hubs that start together take turns.

    Raises:
        EdgeError: It is of a newer release.
    """
    async with database.transaction() as tx:
        await tx.alone()
        await tx.script("CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY);\n")
        await _catch_up(tx, scripts())


async def _catch_up(tx: Transaction, known: dict[int, str]) -> None:
    row = await tx.row("SELECT max(version) FROM schema_versions")
    version = 0 if row is None or row[0] is None else int(row[0])
    if version > max(known):
        raise EdgeError(
            "hub.newer_database",
            f"The hub's database is of version {version}, this release knows {max(known)}. Run the newer release.",
        )
    for number in range(version + 1, max(known) + 1):
        await tx.script(known[number])
        await tx.rows("INSERT INTO schema_versions (version) VALUES ($1)", number)
