"""What guards the books in daily use, and how it is taken off for the moment in which they are put right."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


@contextlib.contextmanager
def unguarded(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction without triggers and foreign keys; committed at its end with the triggers as they were."""
    connection.execute("PRAGMA foreign_keys=OFF")  # does nothing within a transaction
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            triggers = _taken_off(connection)
            yield
            for statement in triggers:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):  # some errors have rolled back already
                connection.execute("ROLLBACK")
            raise
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def _taken_off(connection: sqlite3.Connection) -> list[str]:
    triggers = connection.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER main.{name}")
    return [statement for _, statement in triggers]
