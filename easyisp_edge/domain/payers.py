"""Who paid, as far as a statement about money tells: a number, a masked one, a digest of one, or nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import InvalidError

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEGINNING = re.compile(r"2|25|254|254[17][0-9]*", re.ASCII)
_MASKED = re.compile(r"([0-9]+)[*xX\u2022]+([0-9]{1,8})", re.ASCII)
# Fewer digits than these at its ends, the country's apart, and a masked number could be almost anybody's.
_SHOWN_MIN = 4
_COUNTRY = "254"
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Payer:
    """A payer, told in whole, in part or not at all.

    Args:
        phone: The number, where it was told in whole.
        beginning: Of a masked number, the digits before the mask, in M-Pesa's spelling (`2547…`).
        ending: Of a masked number, the digits after it.
        digest: The SHA-256 of the number in M-Pesa's spelling, as 64 hex digits.
    """

    phone: Msisdn | None = None
    beginning: str = ""
    ending: str = ""
    digest: str = ""

    @classmethod
    def read(cls, text: str) -> Payer:
        """Read what a statement says, in any of its spellings; what says nothing usable is an unknown payer.

        `254722000000`, `722000000`, `2547 ***** 126`, `25470****149`, `0716***698`, 64 hex digits.

        Source: Daraja, C2B (v1 digest, v2 mask), Pull Transactions.
        """
        bare = re.sub(r"\s", "", text)
        if _DIGEST.fullmatch(bare.lower()):
            return cls(digest=bare.lower())
        masked = _MASKED.fullmatch(bare.removeprefix("+"))
        if masked is not None:
            return cls._masked(masked[1], masked[2])
        try:
            return cls(phone=Msisdn.parse(bare))
        except InvalidError:
            return cls()

    @classmethod
    def _masked(cls, beginning: str, ending: str) -> Payer:
        bare = beginning.removeprefix("00").removeprefix("0")
        if bare != beginning or bare.startswith(("7", "1")):
            beginning = _COUNTRY + bare.removeprefix(_COUNTRY)
        shown = max(0, len(beginning) - len(_COUNTRY)) + len(ending)
        if not _BEGINNING.fullmatch(beginning) or shown < _SHOWN_MIN or len(beginning) + len(ending) > _DIGITS:
            return cls()
        return cls(beginning=beginning, ending=ending)

    @property
    def known(self) -> bool:
        """Whether anything was told that a number can be held against."""
        return self != Payer()

    def fits(self, phone: Msisdn) -> bool:
        """Whether this can be that number; False where nothing is known."""
        if self.phone is not None:
            return self.phone == phone
        if self.digest:
            return hashlib.sha256(phone.digits.encode()).hexdigest() == self.digest
        return bool(self.ending) and phone.digits.startswith(self.beginning) and phone.digits.endswith(self.ending)
