"""Pay codes: what a customer types as account number when paying from the M-Pesa menu.

Short, in letters and digits that are not mistaken for each other, the last one a check on the others: one wrong
character, or two of them exchanged, never makes another valid code.

Source: ISO/IEC 7064, pure systems: a weighted sum modulo a prime, which here is the size of the alphabet.
"""

from __future__ import annotations

import re

# No 0/O, 1/I/L, and of U/V and 2/Z one each: what a person has to read off one screen and type into another.
LETTERS = "3456789ABCDEFGHJKMNPQRSTVWXY2"
PAY_CODE_LENGTH = 7

_VALUES = {letter: value for value, letter in enumerate(LETTERS)}
_PRIME = len(LETTERS)
_RADIX = 2


def check_character(letters: str) -> str:
    """The character that makes a code of these; all of them have to be of `LETTERS`."""
    return LETTERS[-_weighted(letters) % _PRIME]


def read_pay_code(text: str) -> str | None:
    """The pay code somebody typed, whatever blanks, dashes and small letters are in it; None where it is none."""
    bare = re.sub(r"[\s.\-_/]", "", text)
    letters = bare.upper() if bare.isascii() else ""  # some foreign letters have ASCII ones as their capitals
    if len(letters) != PAY_CODE_LENGTH or not _VALUES.keys() >= set(letters):
        return None
    return letters if check_character(letters[:-1]) == letters[-1] else None


def _weighted(letters: str) -> int:
    total = 0
    for letter in letters:
        total = (total + _VALUES[letter]) * _RADIX % _PRIME
    return total
