"""Table `evidence`: everything anybody said about money, as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.payments import EvidenceSource, Outcome


class EvidenceTable:
    """Append-only statements about purchases."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def append(
        self,
        *,
        source: EvidenceSource,
        strong: bool,
        purchase_id: str,
        outcome: Outcome,
        verdict: str,
        raw: bytes,
        at: datetime,
    ) -> None:
        """Keep a statement and what was made of it."""
        self._sql.execute(
            "INSERT INTO evidence (received_at, source, strong, purchase_id, outcome, verdict, raw)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (instant(at), source.value, int(strong), purchase_id, outcome.value, verdict, raw),
        )

    def count(self, purchase_id: str, source: EvidenceSource) -> int:
        """How many statements of that source there are about a purchase."""
        row = self._sql.execute(
            "SELECT count(*) FROM evidence WHERE purchase_id = ? AND source = ?", (purchase_id, source.value)
        ).fetchone()
        return int(row[0])
