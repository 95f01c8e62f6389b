"""Making ids, codes and credentials out of randomness."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.pay_codes import LETTERS, PAY_CODE_LENGTH, check_character
from easyisp_edge.domain.vouchers import CODE_LENGTH, voucher_code

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.machine import Randomness

# No 0/O, 1/I/L, U: what a person may have to read out or type.
_READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_SECRET_OCTETS = 16
_ORDERED_RANDOM_OCTETS = 10
_SECRET_SHAPE = re.compile(r"[0-9a-f]{32}", re.ASCII)

USERNAME_LENGTH = 10
PASSWORD_LENGTH = 16  # 78 bits, and one block of the cipher RADIUS hides it with


@dataclass(frozen=True, slots=True)
class Identifiers:
    """New ids; all from one source of randomness, so that a run can be repeated."""

    randomness: Randomness

    def secret(self) -> str:
        """128 bits nobody can guess, as 32 hex digits: ids, callback tokens.

        Hex, because a callback address may hold none of the words a gateway forbids, not even by chance.
        """
        return self.randomness.token(_SECRET_OCTETS).hex()

    def ordered(self, now: datetime) -> str:
        """An id that is no secret, as 32 hex digits: later ones sort later, and so lie together on the disk.

        Source: RFC 9562 section 5.7 (UUID version 7), without its fixed bits.
        """
        milliseconds = int(now.timestamp() * 1000)
        return f"{milliseconds:012x}" + self.randomness.token(_ORDERED_RANDOM_OCTETS).hex()

    def readable(self, length: int) -> str:
        """A code of that many unmistakable capitals and digits, evenly spread."""
        return self._drawn(_READABLE, length)

    def pay_code(self) -> str:
        """A pay code, evenly spread; whether a purchase has it already is the caller's to look up."""
        letters = self._drawn(LETTERS, PAY_CODE_LENGTH - 1)
        return letters + check_character(letters)

    def voucher_code(self) -> str:
        """A voucher code in its normal form, evenly spread; whether it is taken already is the caller's to look up."""
        while True:
            code = voucher_code(self._drawn(LETTERS, CODE_LENGTH - 1))
            if code is not None:
                return code

    def _drawn(self, alphabet: str, length: int) -> str:
        letters: list[str] = []
        whole = 256 - 256 % len(alphabet)
        while len(letters) < length:
            letters += [alphabet[octet % len(alphabet)] for octet in self.randomness.token(length) if octet < whole]
        return "".join(letters[:length])


def is_secret(text: str) -> bool:
    """Whether a text has the shape of a `secret`."""
    return _SECRET_SHAPE.fullmatch(text) is not None
