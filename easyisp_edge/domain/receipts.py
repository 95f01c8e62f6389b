"""M-Pesa receipts: the ten characters that name a payment, as people type them and as they can be misread.

What a receipt says by itself is a hint and proves nothing: whether it was paid, to whom and how much is only known
from the receiver's side.
"""

from __future__ import annotations

import enum
import itertools
import re
from datetime import date
from typing import TYPE_CHECKING

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from datetime import datetime

LOOKALIKES_MAX = 32

_LENGTH = 10
_RECEIPT = re.compile(r"[A-Za-z0-9]{10}")
# Blanks of every kind, also those without width that copying from a chat brings along, and dashes.
_JOINTS = re.compile(r"[\s\x00-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\-\u2010-\u2015\u2212]+")
_EDGES = ".,:;!?'\"*_#()[]<>\u2018\u2019\u201c\u201d\u2026"

_YEAR_OF_A = 2006
_DAYS = "123456789ABCDEFGHIJKLMNOPQRSTUV"
_MONTHS = "ABCDEFGHIJKL"
_TOLERANCE_DAYS = 1

_PAIRS = (("O", "0"), ("I", "1"), ("S", "5"), ("B", "8"), ("Z", "2"))
_TWINS = dict(_PAIRS) | {digit: letter for letter, digit in _PAIRS}
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DATED = (_LETTERS, _LETTERS, frozenset(_DAYS))


class Plausibility(enum.Enum):
    """How the day in a receipt's letters lies to now."""

    FITS = "fits"
    FUTURE = "future"
    OLD = "old"
    NO_DAY = "no_day"


def parse_receipt(text: str) -> str:
    """Read what people type as one receipt: small letters, blanks, dashes, a full stop after it.

    Returns:
        Ten capitals and digits. Not every such receipt makes a day: those of the sandbox do not.

    Raises:
        InvalidError: It is none; the message says what is wrong with it.
    """
    joined = _JOINTS.sub("", text).strip(_EDGES)
    if not _RECEIPT.fullmatch(joined) or joined.isdigit():
        raise InvalidError("receipt.unreadable", _fault(joined), field="receipt")
    return joined.upper()


def receipt_day(receipt: str) -> date | None:
    """The day in Nairobi that its first three letters say; None where they make no day.

    Which midnight turns the letter is not known: it may be a day off in the small hours.

    Source: observed in confirmations of 2015 to 2026: year (A = 2006), month (A = January), day (1-9, A = 10, V = 31).
    """
    if len(receipt) != _LENGTH or receipt[0] not in _LETTERS:
        return None
    year = _YEAR_OF_A + ord(receipt[0]) - ord("A")
    try:
        return date(year, _MONTHS.find(receipt[1]) + 1, _DAYS.find(receipt[2]) + 1)
    except ValueError:
        return None


def plausibility(receipt: str, now: datetime, *, days_back: int) -> Plausibility:
    """Whether a receipt's letters say a day from `days_back` days ago to today, give or take one.

    A hint for a friendly question, never by itself a reason to refuse.

    Args:
        receipt: In capitals.
        now: An aware instant.
        days_back: How old a receipt may be.
    """
    day = receipt_day(receipt)
    if day is None:
        return Plausibility.NO_DAY
    age_days = now.astimezone(NAIROBI).date().toordinal() - day.toordinal()
    if age_days < -_TOLERANCE_DAYS:
        return Plausibility.FUTURE
    return Plausibility.OLD if age_days > days_back + _TOLERANCE_DAYS else Plausibility.FITS


def lookalikes(receipt: str) -> tuple[str, ...]:
    """What a receipt may have been before somebody mistook O for 0, I for 1, S for 5, B for 8 or Z for 2.

    To be tried against receipts that are known to be paid, and nowhere else.

    Returns:
        At most `LOOKALIKES_MAX` other readings, those with the fewest changes first. None of them has a digit where
        the year and the month stand, nor a day that there is no letter for.
    """
    readings = ("".join(letters) for letters in itertools.product(*map(_readings, range(len(receipt)), receipt)))
    by_changes = sorted(readings, key=lambda reading: _changes(reading, receipt))
    return tuple(reading for reading in by_changes if reading != receipt)[:LOOKALIKES_MAX]


def _readings(place: int, letter: str) -> tuple[str, ...]:
    both = (letter, _TWINS.get(letter, letter))[: 1 + (letter in _TWINS)]
    if place >= len(_DATED):
        return both
    return tuple(reading for reading in both if reading in _DATED[place]) or (letter,)


def _changes(reading: str, receipt: str) -> int:
    return sum(one != other for one, other in zip(reading, receipt, strict=True))


def _fault(joined: str) -> str:
    if not joined:
        return "Type the M-Pesa code: the ten letters and digits at the beginning of M-Pesa's message."
    if not (joined.isascii() and joined.isalnum()):
        return "An M-Pesa code has only the letters A to Z and the digits 0 to 9: type it again, and nothing else."
    if joined.isdigit():
        return "These are digits only, like a phone number. The M-Pesa code has letters too, such as UJ25X7KQ3M."
    wrong = "one is missing" if len(joined) == _LENGTH - 1 else "some are missing"
    if len(joined) > _LENGTH:
        wrong = "one is too many" if len(joined) == _LENGTH + 1 else "type the code alone"
    return f"An M-Pesa code has {_LENGTH} characters, and this has {len(joined)}: {wrong}. Compare it with the message."
