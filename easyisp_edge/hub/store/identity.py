"""Table `identity`: the key that boxes of this database believe. It has one row, or none before the first start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction

_ONE = 1


async def public_key(tx: Transaction) -> bytes | None:
    """The public half of the key this database was begun with."""
    row = await tx.row("SELECT public_key FROM identity WHERE one = $1", _ONE)
    return None if row is None else bytes(row[0])


async def begin(tx: Transaction, key: bytes) -> bytes:
    """Take a key where there is none yet; gives the one that stands."""
    await tx.rows("INSERT INTO identity (one, public_key) VALUES ($1, $2) ON CONFLICT (one) DO NOTHING", _ONE, key)
    return await public_key(tx) or key


async def begin_anew(tx: Transaction, key: bytes) -> None:
    """Take a key in the place of the one that stands."""
    await tx.rows(
        "INSERT INTO identity (one, public_key) VALUES ($1, $2)"
        " ON CONFLICT (one) DO UPDATE SET public_key = excluded.public_key",
        _ONE,
        key,
    )
