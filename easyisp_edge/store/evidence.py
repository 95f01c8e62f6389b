"""Table `evidence`: everything anybody said about money, as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.payments import EvidenceSource, Outcome

# How far back the last word about one tenant's money is looked for among all tenants'.
_LOOKED_BACK = 500


class EvidenceTable:
    """Append-only statements about purchases and receipts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def append(
        self,
        *,
        source: EvidenceSource,
        strong: bool,
        purchase_id: str | None,
        mpesa_receipt_number: str | None,
        outcome: Outcome,
        verdict: str,
        raw: bytes,
        at: datetime,
    ) -> None:
        """Keep a statement and what was made of it."""
        self._sql.execute(
            "INSERT INTO evidence (received_at, source, strong, purchase_id, mpesa_receipt_number, outcome, verdict,"
            " raw)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (instant(at), source.value, int(strong), purchase_id, mpesa_receipt_number, outcome.value, verdict, raw),
        )

    def count(self, purchase_id: str, source: EvidenceSource) -> int:
        """How many statements of that source there are about a purchase."""
        row = self._sql.execute(
            "SELECT count(*) FROM evidence WHERE purchase_id = ? AND source = ?", (purchase_id, source.value)
        ).fetchone()
        return int(row[0])

    def has_receipt(self, mpesa_receipt_number: str, source: EvidenceSource) -> bool:
        """Whether that source has told of that receipt."""
        row = self._sql.execute(
            "SELECT 1 FROM evidence WHERE mpesa_receipt_number = ? AND source = ? LIMIT 1",
            (mpesa_receipt_number, source.value),
        ).fetchone()
        return row is not None

    def last_heard_at(self, tenant_id: str) -> datetime | None:
        """When M-Pesa last told of a tenant's money, or of an attempt; None where it is not among the latest words."""
        row = self._sql.execute(
            "SELECT received_at FROM evidence e WHERE evidence_id > (SELECT max(evidence_id) FROM evidence) - ?"
            " AND strong AND source <> 'staff'"
            " AND ? IN ((SELECT tenant_id FROM purchases WHERE purchase_id = e.purchase_id),"
            " (SELECT tenant_id FROM payments WHERE mpesa_receipt_number = e.mpesa_receipt_number))"
            " ORDER BY evidence_id DESC LIMIT 1",
            (_LOOKED_BACK, tenant_id),
        ).fetchone()
        return None if row is None else read_instant(row[0])
