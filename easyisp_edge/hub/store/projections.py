"""The tables that hold every site's books, row by row: the row's JSON beside the columns that are searched for."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTED, KEYS_OF
from easyisp_edge.hub.store.database import Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from easyisp_edge.hub.store.database import Puts, Row, Transaction

COUNTS_TABLE = "grant_counts"
_TEXT = "TEXT"
_AMOUNT = ("amount_cents", "BIGINT")
# A column that a box does not tell stands empty: its books may be older or newer than this hub.
_SEARCHED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "package_versions": (("tenant_id", _TEXT), ("package_id", _TEXT), ("created_at", _TEXT)),
    "customers": (("tenant_id", _TEXT), ("created_at", _TEXT)),
    "purchases": (("tenant_id", _TEXT), ("state", _TEXT), _AMOUNT, ("created_at", _TEXT)),
    "payments": (
        *((name, _TEXT) for name in ("tenant_id", "gateway_id", "method", "disposition")),
        _AMOUNT,
        *((name, _TEXT) for name in ("mpesa_receipt_number", "purchase_id", "customer_id", "created_at")),
    ),
    "evidence": (("purchase_id", _TEXT), ("mpesa_receipt_number", _TEXT), ("received_at", _TEXT)),
    "grants": tuple(
        (name, _TEXT)
        for name in (
            "tenant_id", "customer_id", "funding", "payment_id", "purchase_id", "state", "created_at", "started_at",
            "ends_at",
        )
    ),
    COUNTS_TABLE: (),
    "vouchers": (("tenant_id", _TEXT), ("batch_id", _TEXT), ("state", _TEXT), ("grant_id", _TEXT)),
    "voucher_batches": (("tenant_id", _TEXT), ("created_at", _TEXT)),
    "trials": (("tenant_id", _TEXT), ("grant_id", _TEXT)),
    "entries": (
        ("at", _TEXT),
        _AMOUNT,
        *((name, _TEXT) for name in ("from_account", "to_account", "payment_id", "grant_id")),
    ),
    "claims": tuple((name, _TEXT) for name in ("tenant_id", "state", "mpesa_receipt_number", "grant_id", "created_at")),
    "gateway_states": (),
    "sessions": tuple((name, _TEXT) for name in ("grant_id", "started_at", "updated_at", "stopped_at")),
}  # fmt: skip


def table_of(stream: Stream, table: str) -> str | None:
    """Where a stream's rows of a table are put; None for a table this release does not know."""
    if table not in KEYS_OF[stream]:
        return None
    found = COUNTS_TABLE if stream is Stream.USAGE and table == "grants" else table
    return found if found in _SEARCHED else None


def searched(table: str) -> tuple[tuple[str, str], ...]:
    """Name and type of the columns that stand beside a row's JSON."""
    return _SEARCHED[table]


@functools.cache
def _put(table: str) -> Put:
    columns = (
        ("site_id", _TEXT),
        ("row_key", _TEXT),
        ("seq", "BIGINT"),
        *_SEARCHED[table],
        ("body", _TEXT),
    )
    changes = ", ".join(f"{name} = excluded.{name}" for name, _ in columns[2:])
    # An event that is projected late never takes back what a later one said.
    conflict = f"ON CONFLICT (site_id, row_key) DO UPDATE SET {changes} WHERE {table}.seq < excluded.seq"
    return Put(table, columns, conflict)


def books(table: str, rows: Sequence[Row]) -> Puts:
    """Put rows as they stand: site, key, number of the event, the searched columns, JSON. Each key once."""
    return _put(table), rows


async def images(tx: Transaction, site_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table and image of every row of a site's books, in any order; what a grant has used is in its image."""
    found: list[tuple[str, dict[str, Any]]] = []
    used: dict[str, dict[str, Any]] = {}
    for table in (COUNTS_TABLE, *(table for table in _SEARCHED if table != COUNTS_TABLE)):
        query = f"SELECT row_key, body FROM {table} WHERE site_id = $1"  # noqa: S608 - constants
        for key, body in await tx.rows(query, site_id):
            image = json.loads(body)
            if table == COUNTS_TABLE:
                used[key] = {column: image.get(column) for column in COUNTED}
            else:
                found.append((table, {**image, **used.pop(key, {})} if table == "grants" else image))
    # Usage may be here before the grant it is of.
    found += (("grants", {"grant_id": key, **counted}) for key, counted in used.items())
    return iter(found)
