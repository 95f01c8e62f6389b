"""Table `asks`: receipts that boxes want looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction


class Ask(NamedTuple):
    """A look-up that is wanted.

    Args:
        site_id: Who wants it.
        receipt: The M-Pesa receipt.
        gateway: The short code the money went to.
    """

    site_id: str
    receipt: str
    gateway: str


async def ask(tx: Transaction, asked: Ask, at: str) -> None:
    """Want a look-up; one that was answered is done again, one that is under way goes on."""
    await tx.rows(
        "INSERT INTO asks (site_id, receipt, gateway, asked_at, taken_until) VALUES ($1, $2, $3, $4, '')"
        " ON CONFLICT (site_id, receipt, gateway) DO UPDATE SET asked_at = excluded.asked_at, taken_until = '',"
        " answered_at = NULL WHERE asks.answered_at IS NOT NULL",
        *asked,
        at,
    )


async def asked_since(tx: Transaction, site_id: str, at: str) -> int:
    """How many look-ups a site wanted since then."""
    row = await tx.row("SELECT count(*) FROM asks WHERE site_id = $1 AND asked_at >= $2", site_id, at)
    return 0 if row is None else int(row[0])


async def take_asks(tx: Transaction, now: str, until: str, most: int) -> list[Ask]:
    """Take look-ups on; no other hub takes them until then."""
    rows = await tx.rows(
        "UPDATE asks SET taken_until = $2 WHERE answered_at IS NULL AND taken_until < $1"
        " AND (site_id, receipt, gateway) IN (SELECT site_id, receipt, gateway FROM asks"
        " WHERE answered_at IS NULL AND taken_until < $1 ORDER BY taken_until LIMIT $3)"
        " RETURNING site_id, receipt, gateway",
        now,
        until,
        most,
    )
    return [Ask(*row) for row in rows]


async def answered(tx: Transaction, asked: Ask, at: str) -> bool:
    """Note that a look-up is done; False where it was done already."""
    row = await tx.row(
        "UPDATE asks SET answered_at = $4 WHERE site_id = $1 AND receipt = $2 AND gateway = $3"
        " AND answered_at IS NULL RETURNING receipt",
        *asked,
        at,
    )
    return row is not None
