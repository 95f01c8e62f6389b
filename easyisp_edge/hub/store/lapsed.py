"""What waits in `down_messages` for boxes that never come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction


async def forget_lapsed(tx: Transaction, before: str) -> None:
    """Drop what is that old and would say nothing to any box by now, had or not."""
    await tx.rows(
        "DELETE FROM down_messages WHERE type IN ('callback', 'receipt', 'command') AND queued_at < $1", before
    )
