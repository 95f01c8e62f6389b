"""Tables `status_asks` and `receipts_told`: look-ups M-Pesa answers later, and who was told of which money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.hub.store.asks import Ask

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction


async def asked_at(tx: Transaction, asked: Ask) -> str | None:
    """When a look-up was wanted; None where it is no more."""
    row = await tx.row(
        "SELECT asked_at FROM asks WHERE site_id = $1 AND receipt = $2 AND gateway = $3 AND answered_at IS NULL",
        *asked,
    )
    return None if row is None else str(row[0])


async def was_asked(tx: Transaction, asked: Ask, since: str) -> bool:
    """Whether M-Pesa was asked since then."""
    row = await tx.row(
        "SELECT token FROM status_asks WHERE site_id = $1 AND receipt = $2 AND gateway = $3 AND asked_at >= $4 LIMIT 1",
        *asked,
        since,
    )
    return row is not None


async def open_status_ask(tx: Transaction, token: str, asked: Ask, at: str) -> None:
    """Note that M-Pesa is asked."""
    await tx.rows(
        "INSERT INTO status_asks (token, site_id, receipt, gateway, asked_at) VALUES ($1, $2, $3, $4, $5)",
        token,
        *asked,
        at,
    )


async def status_ask(tx: Transaction, token: str) -> Ask | None:
    """What M-Pesa was asked under a token and has not answered yet."""
    row = await tx.row("SELECT site_id, receipt, gateway FROM status_asks WHERE token = $1 AND ended_at IS NULL", token)
    return None if row is None else Ask(*row)


async def end_status_ask(tx: Transaction, token: str, at: str) -> None:
    """Take no answer under a token any more."""
    await tx.rows("UPDATE status_asks SET ended_at = $2 WHERE token = $1 AND ended_at IS NULL", token, at)


async def drop_status_ask(tx: Transaction, token: str) -> None:
    """Note that M-Pesa was not asked after all."""
    await tx.rows("DELETE FROM status_asks WHERE token = $1", token)


async def forget_status_asks(tx: Transaction, before: str) -> None:
    """Drop what is older."""
    await tx.rows("DELETE FROM status_asks WHERE asked_at < $1", before)


async def told_first(tx: Transaction, receipt: str, site_id: str, at: str) -> bool:
    """Note that a site is told of a receipt's money; False where another site has it, by our word or its own books."""
    await tx.rows(
        "INSERT INTO receipts_told (receipt, site_id, told_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        receipt,
        site_id,
        at,
    )
    row = await tx.row("SELECT site_id FROM receipts_told WHERE receipt = $1", receipt)
    if row is None or row[0] != site_id:
        return False
    used = await tx.row(
        "SELECT site_id FROM payments WHERE mpesa_receipt_number = $1 AND site_id <> $2"
        " AND disposition IN ('grant', 'wallet', 'refunded') LIMIT 1",
        receipt,
        site_id,
    )
    return used is None
