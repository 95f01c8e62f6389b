"""Table `posters`: pictures M-Pesa made, each asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.values import Money


class PostersTable:
    """Pictures by gateway, by what they say, and by amount.

    What a picture says is the receiver's number with the reference: a gateway whose number was changed in the
    files must not go on with pictures that pay the old one.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def put(self, gateway_id: str, says: str, amount: Money, png: bytes, at: datetime) -> None:
        """Keep a picture; one that is there already stays."""
        self._sql.execute(
            "INSERT INTO posters (gateway_id, reference, amount_cents, png, made_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (gateway_id, says, amount.cents, png, instant(at)),
        )

    def png(self, gateway_id: str, says: str, amount: Money) -> bytes | None:
        """The picture, where there is one."""
        row = self._sql.execute(
            "SELECT png FROM posters WHERE gateway_id = ? AND reference = ? AND amount_cents = ?",
            (gateway_id, says, amount.cents),
        ).fetchone()
        return None if row is None else bytes(row[0])
