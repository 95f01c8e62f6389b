"""Tables `down_heads` and `down_messages`: what waits for each site, in order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.hub.store.database import Transaction


class Message(NamedTuple):
    """A message to a box.

    Args:
        n: Its number: from 1, without gaps, for each site.
        type: What it is, such as `callback`.
        data: Its content.
    """

    n: int
    type: str
    data: dict[str, Any]


async def queue(tx: Transaction, site_id: str, kind: str, data: Mapping[str, Any], at: str) -> int:
    """Append a message; gives its number. Held in order by the row of its site until the commit."""
    row = await tx.row(
        "INSERT INTO down_heads (site_id, last, acked) VALUES ($1, 1, 0)"
        " ON CONFLICT (site_id) DO UPDATE SET last = down_heads.last + 1 RETURNING last",
        site_id,
    )
    if row is None:
        raise RuntimeError("An insertion that gives back its row gave none.")
    await tx.rows(
        "INSERT INTO down_messages (site_id, n, type, data, queued_at) VALUES ($1, $2, $3, $4, $5)",
        site_id,
        row[0],
        kind,
        json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        at,
    )
    return int(row[0])


async def acknowledge(tx: Transaction, site_id: str, after: int, at: str) -> bool:
    """Note how far a box has come; False where it has seen numbers this hub never gave.

    The hub's database was restored then from before: numbers go on above, so that none is ever given twice.
    """
    row = await tx.row("SELECT last, acked FROM down_heads WHERE site_id = $1 FOR UPDATE", site_id)
    last, acked = (0, 0) if row is None else row
    if after > acked:
        await tx.rows(
            "INSERT INTO down_heads (site_id, last, acked, acked_at) VALUES ($1, $2, $2, $3)"
            " ON CONFLICT (site_id) DO UPDATE SET acked = excluded.acked, acked_at = excluded.acked_at,"
            " last = CASE WHEN down_heads.last < excluded.last THEN excluded.last ELSE down_heads.last END",
            site_id,
            after,
            at,
        )
    return bool(after <= last)


async def waiting(tx: Transaction, site_id: str, after: int, most: int) -> list[Message]:
    """What a box may have next; nothing unless it is confirmed."""
    rows = await tx.rows(
        "SELECT m.n, m.type, m.data FROM down_messages m JOIN sites s ON s.site_id = m.site_id"
        " WHERE m.site_id = $1 AND m.n > $2 AND s.state = 'confirmed' ORDER BY m.n LIMIT $3",
        site_id,
        after,
        most,
    )
    return [Message(n, kind, json.loads(data)) for n, kind, data in rows]


async def forget_passing(tx: Transaction, before: str) -> None:
    """Drop what a new box would not need either, once it was acknowledged and is that old."""
    await tx.rows(
        "DELETE FROM down_messages WHERE type IN ('callback', 'receipt', 'command', 'site') AND queued_at < $1"
        " AND n <= (SELECT acked FROM down_heads h WHERE h.site_id = down_messages.site_id)",
        before,
    )
