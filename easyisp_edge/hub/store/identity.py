"""Table `identity`: the key that boxes of this database believe, and where they find it.

It has one row, or none before the first start.
"""

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


async def take_address(tx: Transaction, public_url: str) -> str | None:
    """Note where the hub is found from now on; gives where it was, None at the first start."""
    row = await tx.row("SELECT public_url FROM identity WHERE one = $1 FOR UPDATE", _ONE)
    before = None if row is None else row[0]
    if before != public_url:
        await tx.rows("UPDATE identity SET public_url = $2 WHERE one = $1", _ONE, public_url)
    return before
