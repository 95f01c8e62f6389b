"""Vouchers: codes on paper, each of which was paid for outside of this box and gets one grant.

A code has twelve letters and digits that are not mistaken for each other, grouped by four for reading. The last one is
a check on the others: one wrong character, or two of them exchanged, never makes another valid code.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.pay_codes import LETTERS, check_character

if TYPE_CHECKING:
    from datetime import datetime

# 29 letters for each of eleven places: 53 bits. Receipts have ten characters, pay codes seven.
CODE_LENGTH = 12
BATCH_VOUCHERS_MAX = 5000

_GROUP = 4
# Blanks of every kind, also those without width that copying from a chat brings along, and dashes.
_JOINTS = re.compile(r"[\s.,_/\x00-\x1f\x7f\xad\u200b-\u200f\u2060-\u2064\ufeff\-\u2010-\u2015\u2212]+")
_ALPHABET = frozenset(LETTERS)


class VoucherState(enum.StrEnum):
    """Where a voucher stands. Values are stored, but for EXPIRED, which its batch tells."""

    AVAILABLE = "available"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class VoucherBatch:
    """Vouchers that were made together, all for the same.

    Args:
        batch_id: Short enough to be typed; no secret.
        tenant_id: Who sells them.
        package_version_id: What each is for, at its price then.
        count: How many.
        expires_at: From when on none of them is taken any more; None for never.
        note: The owner's own.
        made_by: Who had them made.
        created_at: When.
    """

    batch_id: str
    tenant_id: str
    package_version_id: int
    count: int
    expires_at: datetime | None
    note: str
    made_by: str
    created_at: datetime

    def is_expired_at(self, now: datetime) -> bool:
        """Whether none of them is taken any more."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Voucher:
    """One voucher as it stands in the store.

    Args:
        batch_id: Its batch.
        number: Which of it, from 1.
        tenant_id: Who sells it.
        code: In its normal form.
        state: Where it stands, its expiry left aside.
        grant_id: What it got, where it is used.
        changed_at: When its state last changed.
    """

    batch_id: str
    number: int
    tenant_id: str
    code: str
    state: VoucherState
    grant_id: str | None
    changed_at: datetime

    @property
    def voucher_id(self) -> str:
        """What it is called where its code is not to be seen: `K7M3PQ-17`."""
        return f"{self.batch_id}-{self.number}"

    def state_at(self, now: datetime, batch: VoucherBatch) -> VoucherState:
        """Where it stands at that instant."""
        lapsed = self.state is VoucherState.AVAILABLE and batch.is_expired_at(now)
        return VoucherState.EXPIRED if lapsed else self.state


def voucher_code(drawn: str) -> str | None:
    """The code that begins with eleven letters of the alphabet; None where it could be taken for a phone number."""
    code = drawn + check_character(drawn)
    return None if code.isdigit() else code


def read_voucher_code(text: str) -> str | None:
    """The voucher code somebody typed, in its normal form: twelve capitals and digits; None where it is none.

    Blanks, dashes and small letters make no difference. Receipts, pay codes and phone numbers are never one.
    """
    letters = _letters(text)
    if letters is None or not set(letters) <= _ALPHABET:
        return None
    return letters if check_character(letters[:-1]) == letters[-1] else None


def grouped(code: str) -> str:
    """A code as people read it: `ABCD-EFGH-JKMN`."""
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def _letters(text: str) -> str | None:
    """Twelve characters that are no phone number, in capitals."""
    bare = _JOINTS.sub("", text)
    if len(bare) != CODE_LENGTH or not (bare.isascii() and bare.isalnum()) or bare.isdigit():
        return None
    return bare.upper()
