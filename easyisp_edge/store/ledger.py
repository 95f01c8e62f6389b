"""Table `entries`: where every shilling is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.ledger import Account, AccountKind, Entry
from easyisp_edge.domain.values import Money
from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


class LedgerTable:
    """Entries that move money between accounts, and the balances that follow from them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def move(
        self,
        amount: Money,
        giver: Account,
        taker: Account,
        *,
        at: datetime,
        payment_id: str | None = None,
        grant_id: str | None = None,
    ) -> None:
        """Move money; nothing is written for an amount of nought."""
        if not amount.cents:
            return
        self._sql.execute(
            "INSERT INTO entries (at, amount_cents, from_account, from_owner, to_account, to_owner, payment_id,"
            " grant_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                instant(at),
                amount.cents,
                giver.kind.value,
                giver.owner,
                taker.kind.value,
                taker.owner,
                payment_id,
                grant_id,
            ),
        )

    def of_payment(self, payment_id: str) -> list[Entry]:
        """Where a payment's money was put, after all that was moved to and fro; nothing for one that is merged."""
        rows = self._sql.execute(
            "SELECT sum(cents), account, owner, grant_id FROM ("
            " SELECT amount_cents AS cents, to_account AS account, to_owner AS owner, entry_id,"
            " CASE to_account WHEN 'sold' THEN grant_id END AS grant_id FROM entries WHERE payment_id = ?1"
            " UNION ALL SELECT -amount_cents, from_account, from_owner, entry_id,"
            " CASE from_account WHEN 'sold' THEN grant_id END FROM entries WHERE payment_id = ?1)"
            " WHERE account <> 'received' GROUP BY account, owner, grant_id HAVING sum(cents) > 0"
            " ORDER BY min(entry_id)",
            (payment_id,),
        )
        return [Entry(Money(row[0]), Account(AccountKind(row[1]), row[2]), row[3]) for row in rows]

    def wallet(self, customer_id: str) -> Money:
        """What a customer has in the wallet.

        Raises:
            InvalidError: More went out than came in; the books are damaged.
        """
        row = self._sql.execute(
            "SELECT coalesce((SELECT sum(amount_cents) FROM entries WHERE to_account = 'wallet' AND to_owner = ?1), 0)"
            " - coalesce((SELECT sum(amount_cents) FROM entries WHERE from_account = 'wallet' AND from_owner = ?1), 0)",
            (customer_id,),
        ).fetchone()
        return Money(row[0])

    def balances(self) -> dict[AccountKind, int]:
        """Cents on all accounts of a kind together; what came in counts below nought. A long read."""
        rows = self._sql.execute(
            "SELECT account, sum(cents) FROM ("
            " SELECT to_account AS account, amount_cents AS cents FROM entries"
            " UNION ALL SELECT from_account, -amount_cents FROM entries) GROUP BY account"
        )
        found = {AccountKind(account): int(cents) for account, cents in rows}
        return {kind: found.get(kind, 0) for kind in AccountKind}
