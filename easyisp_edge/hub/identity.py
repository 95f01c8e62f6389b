"""Which key a hub's database goes with. Boxes believe the one they met at enrolment, and no other.

A hub that made itself a new key beside an old database, or a second hub that did, would be refused by every box.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from easyisp_edge.domain.sync import fingerprint
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.keys import load_or_make_key
from easyisp_edge.hub.store import identity

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.hub.keys import HubKey
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.machine import Randomness

_WHAT_TO_DO = (
    "Boxes believe no other: put a copy of the right file there. If there is none left, `easyisp-edge hub new-key`"
    " begins with a new one, and every box has to be enrolled again."
)


async def own_key(database: Database, path: Path, randomness: Randomness) -> HubKey:
    """The key of a database's hub; made where the database is new too.

    Raises:
        EdgeError: The file is missing, cannot be read, or holds another hub's key.
        UnavailableError: The database does not answer.
    """
    async with database.reading() as tx:
        begun = await identity.public_key(tx)
    if begun is not None and not await asyncio.to_thread(path.exists):
        raise EdgeError(
            "hub.key", f"{path} is missing: the hub's key, with the fingerprint {fingerprint(begun)}. {_WHAT_TO_DO}"
        )
    key = await asyncio.to_thread(load_or_make_key, path, randomness)
    async with database.transaction() as tx:
        begun = await identity.begin(tx, key.public)
    if begun != key.public:
        raise EdgeError(
            "hub.key",
            f"{path} holds the key {fingerprint(key.public)}, and the hub of this database has"
            f" {fingerprint(begun)}. {_WHAT_TO_DO}",
        )
    return key


async def take_new_key(database: Database, path: Path, randomness: Randomness) -> bool:
    """Go on with the key in the file, which is made where there is none; False where the database has it already.

    Raises:
        EdgeError: The file cannot be read or made.
        UnavailableError: It may not have been taken.
    """
    key = await asyncio.to_thread(load_or_make_key, path, randomness)
    async with database.transaction() as tx:
        was = await identity.public_key(tx)
        await identity.begin_anew(tx, key.public)
    return was != key.public
