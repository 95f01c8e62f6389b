"""Hashing passwords, so that whoever steals the books has not stolen the passwords.

Source: RFC 9106 (Argon2id).
"""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.machine import Randomness

T = TypeVar("T")

# How many wait for their turn at most; each takes a good part of a second on a small box.
WAITING_MAX = 8
_RETRY_SECONDS = 5.0
_SALT_OCTETS, _HASH_OCTETS, _KIB = 16, 32, 1024


class Cost(NamedTuple):
    """What a hash takes. The usual is kind to a box of 256 MB, of which several would not be.

    Args:
        passes: Over the memory.
        memory_octets: Of memory.
    """

    passes: int = 2
    memory_octets: int = 19 * 1024 * 1024


USUAL_COST = Cost()


@dataclass(slots=True)
class _Turns:
    """One hash at a time, and a bound on how many wait.

    The lock of the thread is there for whoever is cancelled while it hashes: its thread goes on, and the next one's
    waits for it.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    hashing: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Passwords:
    """Hashes passwords and holds them against hashes, off the event loop and one at a time.

    Args:
        randomness: For salts.
        cost: Of new hashes.
    """

    randomness: Randomness
    cost: Cost = USUAL_COST
    _turns: _Turns = field(default_factory=_Turns)

    async def hashed(self, password: str) -> str:
        """A new hash of a password, with its salt and cost.

        Raises:
            UnavailableError: Too many wait.
        """
        salt, cost = self.randomness.token(_SALT_OCTETS), self.cost
        return await self._in_turn(lambda: _encoded(cost, salt, _hash(password, salt, cost)))

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether a hash is this password's. With None it takes as long as with any, and is not.

        Raises:
            UnavailableError: Too many wait.
        """
        against = password_hash or _encoded(self.cost, bytes(_SALT_OCTETS), bytes(_HASH_OCTETS))
        return await self._in_turn(lambda: _fits(password, against)) and password_hash is not None

    async def _in_turn(self, work: Callable[[], T]) -> T:
        turns = self._turns
        if turns.waiting >= WAITING_MAX:
            message = "Too many are logging in just now; try again in a moment."
            raise UnavailableError("login.busy", message, retry_after_seconds=_RETRY_SECONDS)

        def alone() -> T:
            with turns.hashing:
                return work()

        turns.waiting += 1
        try:
            async with turns.lock:
                return await asyncio.to_thread(alone)
        finally:
            turns.waiting -= 1


def _hash(password: str, salt: bytes, cost: Cost) -> bytes:
    from nacl.pwhash import argon2id  # noqa: PLC0415 - a box on which nobody logs in does without

    return argon2id.kdf(_HASH_OCTETS, password.encode(), salt, opslimit=cost.passes, memlimit=cost.memory_octets)


def _fits(password: str, password_hash: str) -> bool:
    from nacl.exceptions import InvalidkeyError  # noqa: PLC0415 - as above
    from nacl.pwhash import argon2id  # noqa: PLC0415 - as above

    try:
        return bool(argon2id.verify(password_hash.encode(), password.encode()))
    except InvalidkeyError:
        return False


def _encoded(cost: Cost, salt: bytes, digest: bytes) -> str:
    """As libsodium and the reference implementation write it."""
    costs = f"m={cost.memory_octets // _KIB},t={cost.passes},p=1"
    return f"$argon2id$v=19${costs}${_unpadded(salt)}${_unpadded(digest)}"


def _unpadded(octets: bytes) -> str:
    return b64encode(octets).decode().rstrip("=")
