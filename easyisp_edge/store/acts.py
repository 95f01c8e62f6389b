"""Table `acts`: which events are somebody's doing, and whose data they were about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.store.columns import read_instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.events import Event

# Where the thing an event happened to says whose it is; a voucher's key begins with its batch's.
_WHOSE = """
SELECT tenant_id FROM payments WHERE payment_id = :key
UNION ALL SELECT tenant_id FROM grants WHERE grant_id = :key
UNION ALL SELECT tenant_id FROM purchases WHERE purchase_id = :key
UNION ALL SELECT tenant_id FROM claims WHERE claim_id = :key
UNION ALL SELECT tenant_id FROM customers WHERE customer_id = :key
UNION ALL SELECT tenant_id FROM voucher_batches WHERE batch_id = :batch
LIMIT 1"""
_COLUMNS = "a.sequence, a.tenant_id, e.type, e.key, e.at, e.body"
_SEQUENCE_MOST = 2**63 - 1


class Act(NamedTuple):
    """Something that somebody did.

    Args:
        sequence: Its number among the events of money.
        tenant_id: Whose data it was about; None where it was the box's.
        kind: What was done, such as `staff.refunded`.
        key: What it was done to.
        at: When, by box time.
        by: Who did it.
        data: What else the event tells.
    """

    sequence: int
    tenant_id: str | None
    kind: str
    key: str
    at: datetime
    by: str
    data: dict[str, Any]


class ActsTable:
    """What people did, by tenant and in order.

    Args:
        connection: Where the events stand, too.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def note(self, event: Event, data: Mapping[str, Any]) -> None:
        """List an event, where it says by whom; nothing where it does not.

        Whose data it was about is what the event itself says as `tenant`, and else what the thing it happened to says.
        """
        if event.stream is Stream.MONEY and data.get("by") is not None:
            self._list(event.sequence, event.key, data)

    def list_anew(self) -> None:
        """List all from the events, after they were put as they came. A long write."""
        self._sql.execute("DELETE FROM acts")
        done = (
            "SELECT sequence, key, body FROM events WHERE stream = 'money'"
            " AND json_extract(CAST(body AS TEXT), '$.data.by') IS NOT NULL ORDER BY sequence"
        )
        for sequence, key, body in self._sql.execute(done).fetchall():
            self._list(sequence, key, json.loads(body)["data"])

    def _list(self, sequence: int, key: str, data: Mapping[str, Any]) -> None:
        tenant_id = data["tenant"] if "tenant" in data else self._whose(key)
        self._sql.execute("INSERT INTO acts (sequence, tenant_id) VALUES (?, ?)", (sequence, tenant_id))

    def page(self, tenant_id: str | None, after: Position | None, limit: int) -> Page[Act]:
        """What people did, the newest first: about a tenant's data, or all where none is named.

        Args:
            tenant_id: Whose data.
            after: Where the page before ended; its key is a number.
            limit: How many at most.
        """
        # A cross join is made in the order it is written: else, without a tenant, all events would be read and sorted.
        before = _SEQUENCE_MOST if after is None else int(after.key)
        of_tenant, values = ("", ()) if tenant_id is None else ("a.tenant_id = ? AND ", (tenant_id,))
        rows = self._sql.execute(
            f"SELECT {_COLUMNS} FROM acts a CROSS JOIN events e ON e.stream = 'money' AND e.sequence = a.sequence"  # noqa: S608 - constants
            f" WHERE {of_tenant}a.sequence < ? ORDER BY a.sequence DESC LIMIT ?",
            (*values, before, limit + 1),
        )
        acts = [_read(row) for row in rows]
        more = Position(acts[limit - 1].at, str(acts[limit - 1].sequence)) if len(acts) > limit else None
        return Page(acts[:limit], more)

    def _whose(self, key: str) -> str | None:
        row = self._sql.execute(_WHOSE, {"key": key, "batch": key.partition("-")[0]}).fetchone()
        return None if row is None else str(row[0])


def _read(row: Any) -> Act:
    data = dict(json.loads(row[5])["data"])
    return Act(row[0], row[1], row[2], row[3], read_instant(row[4]), str(data.pop("by")), data)
