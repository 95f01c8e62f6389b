"""What the books' rows come to, table by table, to hold against what a hub makes of the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain import row_digest
from easyisp_edge.domain.row_images import MONEY_KEYS, image
from easyisp_edge.store.changes import columns_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


def digests(connection: sqlite3.Connection) -> dict[str, str]:
    """The digest of each table that is told, as `row_digest.digests` names them. A long read."""
    return row_digest.digests(_rows(connection))


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in (*MONEY_KEYS, "sessions"):
        columns = columns_in(connection, table)
        for values in connection.execute(f"SELECT {', '.join(columns)} FROM {table}"):  # noqa: S608 - the schema's words
            yield table, image(columns, values)
