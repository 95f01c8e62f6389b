"""Table `callbacks`: what M-Pesa posted in the last minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction


async def is_new(tx: Transaction, site_id: str, token: str, sha256: str, *, at: str, since: str) -> bool:
    """Note a callback; False where the same one was noted since then. Held by its row until the commit."""
    row = await tx.row(
        "INSERT INTO callbacks (site_id, token, sha256, received_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (site_id, token, sha256) DO UPDATE SET received_at = excluded.received_at"
        " WHERE callbacks.received_at < $5 RETURNING token",
        site_id,
        token,
        sha256,
        at,
        since,
    )
    return row is not None


async def waiting_messages(tx: Transaction, site_id: str) -> int:
    """How many messages of any kind a site has not had yet."""
    row = await tx.row("SELECT last - acked FROM down_heads WHERE site_id = $1", site_id)
    return 0 if row is None else int(row[0])


async def forget_callbacks(tx: Transaction, before: str) -> None:
    """Drop what is older."""
    await tx.rows("DELETE FROM callbacks WHERE received_at < $1", before)
