"""Rows of the books as events carry them: of which tables, known by what, and how a value is written.

An image says how a row stands in the columns it names; columns it does not name stay as they are. What a grant has
used is `usage`'s alone and all else of it `money`'s, so that no order of the two streams takes either back.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROWS, COUNTS = "rows", "counts"
KIND_OF = {Stream.MONEY: ROWS, Stream.USAGE: COUNTS}

# Tables and what a row of each is known by, in an order in which rows point to earlier tables only.
MONEY_KEYS: Mapping[str, tuple[str, ...]] = {
    "package_versions": ("version_id",),
    "customers": ("customer_id",),
    "purchases": ("purchase_id",),
    "payments": ("payment_id",),
    "evidence": ("evidence_id",),
    "grants": ("grant_id",),
    "voucher_batches": ("batch_id",),
    "vouchers": ("batch_id", "number"),
    "trials": ("tenant_id", "mac", "day"),
    "entries": ("entry_id",),
    "claims": ("claim_id",),
    "gateway_states": ("gateway_id",),
}
USAGE_KEYS: Mapping[str, tuple[str, ...]] = {"sessions": ("session_id",), "grants": ("grant_id",)}
KEYS_OF: Mapping[Stream, Mapping[str, tuple[str, ...]]] = {Stream.MONEY: MONEY_KEYS, Stream.USAGE: USAGE_KEYS}
COUNTED = ("seconds_used", "octets_used")
"""What of a grant only usage tells."""


def columns_of(stream: Stream, table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Which of a table's columns a stream's images name."""
    if table != "grants":
        return tuple(columns)
    if stream is Stream.USAGE:
        return (*USAGE_KEYS["grants"], *COUNTED)
    return tuple(column for column in columns if column not in COUNTED)


def image(columns: Iterable[str], values: Iterable[object]) -> dict[str, Any]:
    """A row as JSON has it: octets as `{"base64": …}`, all else as it is."""
    return {
        column: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for column, value in zip(columns, values, strict=True)
    }


def value_of(imaged: Any) -> Any:
    """What stands in the column: the reverse of what `image` did to one value."""
    return base64.b64decode(imaged["base64"], validate=True) if isinstance(imaged, dict) else imaged
