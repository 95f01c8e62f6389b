"""Numbered changes of the schema, applied in order; the number reached is kept in the file itself."""

from __future__ import annotations

import contextlib
import sqlite3
from importlib import resources

from easyisp_edge.errors import EdgeError


def scripts() -> list[str]:
    """All migrations, in order; the n-th brings a file from version n-1 to n."""
    folder = resources.files(__package__)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to this release's schema; each step is one transaction.

    Raises:
        EdgeError: The file was written by a newer release.
    """
    all_scripts = scripts()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(all_scripts):
        raise EdgeError(
            "store.newer",
            f"The database is of schema {version}, this release knows {len(all_scripts)}: "
            "install the release that wrote it, or restore a backup.",
        )
    for number in range(version + 1, len(all_scripts) + 1):
        _apply(connection, all_scripts[number - 1], number)


def _apply(connection: sqlite3.Connection, script: str, number: int) -> None:
    # Statement by statement, because executescript commits what stands open first.
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    if begun.strip():
        raise ValueError(f"a migration ends within a statement: {begun.strip()[:60]}")
    return found
