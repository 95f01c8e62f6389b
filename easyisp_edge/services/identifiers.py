"""Making ids, codes and credentials out of randomness."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Randomness

# No 0/O, 1/I/L, U: what a person may have to read out or type.
_READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_SECRET_OCTETS = 16
_SECRET_SHAPE = re.compile(r"[0-9a-f]{32}", re.ASCII)

ACCOUNT_REFERENCE_LENGTH = 10
USERNAME_LENGTH = 10
PASSWORD_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Identifiers:
    """New ids; all from one source of randomness, so that a run can be repeated."""

    randomness: Randomness

    def secret(self) -> str:
        """128 bits nobody can guess, as 32 hex digits: ids, callback tokens.

        Hex, because a callback address may hold none of the words a gateway forbids, not even by chance.
        """
        return self.randomness.token(_SECRET_OCTETS).hex()

    def readable(self, length: int) -> str:
        """A code of that many unmistakable capitals and digits, evenly spread."""
        letters: list[str] = []
        whole = 256 - 256 % len(_READABLE)
        while len(letters) < length:
            letters += [_READABLE[octet % len(_READABLE)] for octet in self.randomness.token(length) if octet < whole]
        return "".join(letters[:length])


def is_secret(text: str) -> bool:
    """Whether a text has the shape of a `secret`."""
    return _SECRET_SHAPE.fullmatch(text) is not None
