"""The one box of the first page: what somebody meant who typed or pasted something there.

A voucher, a receipt or the message it came in, a pay code, a phone number: each is told by its own shape, so that
nobody has to know what the thing in his hand is called. What is understood proves nothing.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX, MessageKind, read_pasted
from easyisp_edge.domain.pay_codes import PAY_CODE_LENGTH, read_pay_code
from easyisp_edge.domain.receipts import receipt_day
from easyisp_edge.domain.values import Msisdn
from easyisp_edge.domain.vouchers import CODE_LENGTH, read_voucher_code
from easyisp_edge.errors import InvalidError


class Meaning(enum.StrEnum):
    """What was meant. Values name texts."""

    VOUCHER = "voucher"
    RECEIPT = "receipt"
    MESSAGE = "message"  # of M-Pesa or a bank, with a receipt in it
    PAY_CODE = "pay_code"
    PHONE = "phone"
    UNCLEAR = "unclear"


class Doubt(enum.StrEnum):
    """What is wrong with what was not understood, as far as that can be told. Values name texts."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    REVERSAL = "reversal"  # a message of money that went back
    NOT_PAID = "not_paid"  # a message of a payment that was not made
    VOUCHER = "voucher"  # meant as one, and mistyped
    PAY_CODE = "pay_code"
    RECEIPT = "receipt"
    PHONE = "phone"
    NOTHING = "nothing"


class Understood(NamedTuple):
    """What a text means.

    Args:
        meaning: What it is.
        value: The voucher's or pay code's normal form, the receipt, or the phone number's digits.
        doubt: Where it is unclear, why.
    """

    meaning: Meaning
    value: str = ""
    doubt: Doubt | None = None


_INVISIBLE = re.compile(r"[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_EDGES = " .,:;!?'\"*_#()[]<>\u2018\u2019\u201c\u201d\u2026"
# A voucher's QR leads to an address that ends in it.
_LINK = re.compile(r"/v/([A-Za-z0-9-]{1,40})(?![A-Za-z0-9-])")
_LABEL = re.compile(
    r"^(?:(?:my|the|your|yangu|ni|is|it|its|hii|hiyo|na|please|tafadhali|m-?pesa|mpesa|wifi|wi-fi|pay|payment|phone"
    r"|mobile|voucher|vocha|code|kodi|msimbo|receipt|risiti|ref|reference|account|akaunti|acc|no|number|nambari"
    r"|namba|simu|tel|call|transaction|id)\b[ .:=#-]{0,3})+",
    re.IGNORECASE | re.ASCII,
)
_PHONE_WITHIN = re.compile(r"(?<![0-9+])(?:\+?254|00254|0)[ -]?[17](?:[ -]?[0-9]){8}(?![0-9])", re.ASCII)
_GROUPED = re.compile(
    r"(?<![A-Za-z0-9-])[A-Za-z0-9]{4}-[A-Za-z0-9]{4}-[A-Za-z0-9]{3,5}(?![A-Za-z0-9-])", re.ASCII
)  # fmt: skip
_PARTED = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9]{3}-[A-Za-z0-9]{4}(?![A-Za-z0-9-])", re.ASCII)
_WORD = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9]{7,12}(?![A-Za-z0-9-])", re.ASCII)
_PHONE_DIGITS = range(6, 14)
_RECEIPT_NEARLY = range(8, 14)
_DOUBTS = {"claim.reversal": Doubt.REVERSAL, "claim.not_paid": Doubt.NOT_PAID}


def understood(text: str) -> Understood:
    """Tell what a text means. Never raises: what cannot be told is `UNCLEAR`, with the most likely reason."""
    if len(text) > PASTED_LENGTH_MAX:
        return _unclear(Doubt.TOO_LONG)
    line = re.sub(r"\s+", " ", _DASHES.sub("-", _INVISIBLE.sub("", text))).strip(_EDGES)
    if not line:
        return _unclear(Doubt.EMPTY)
    bare = _LABEL.sub("", line).strip(_EDGES) or line
    whole = _voucher_of_link(line) or _as_a_whole(line) or _as_a_whole(bare)
    if whole is not None:
        return whole
    message = _message(text, bare)
    if message.meaning is Meaning.UNCLEAR and message.doubt is None:
        return _within(line) or _unclear(_doubt(bare))
    return message


def _unclear(doubt: Doubt | None) -> Understood:
    return Understood(Meaning.UNCLEAR, doubt=doubt)


def _voucher_of_link(line: str) -> Understood | None:
    found = _LINK.search(line)
    if found is None:
        return None
    code = read_voucher_code(found[1])
    return _unclear(Doubt.VOUCHER) if code is None else Understood(Meaning.VOUCHER, code)


def _as_a_whole(line: str) -> Understood | None:
    voucher = read_voucher_code(line)
    if voucher is not None:
        return Understood(Meaning.VOUCHER, voucher)
    phone = _phone(line)
    if phone is not None:
        return Understood(Meaning.PHONE, phone)
    pay_code = read_pay_code(line)
    return None if pay_code is None else Understood(Meaning.PAY_CODE, pay_code)


def _phone(line: str) -> str | None:
    try:
        return Msisdn.parse(line).digits
    except InvalidError:
        return None


def _message(text: str, bare: str) -> Understood:
    """The message or the receipt it is; unclear without a doubt where there is neither."""
    if _is_a_receipt(bare):
        return Understood(Meaning.RECEIPT, read_pasted(bare).receipt)
    try:
        read = read_pasted(text)
    except InvalidError as error:
        return _unclear(_DOUBTS.get(error.code))
    return _unclear(None) if read.kind is MessageKind.BARE else Understood(Meaning.MESSAGE, read.receipt)


def _is_a_receipt(bare: str) -> bool:
    try:
        read = read_pasted(bare)
    except InvalidError:
        return False
    return read.kind is MessageKind.BARE and _like_a_receipt(read.receipt)


def _like_a_receipt(code: str) -> bool:
    """Whether ten characters are more than a word of ten letters."""
    return receipt_day(code) is not None or any(letter.isdigit() for letter in code)


def _within(line: str) -> Understood | None:
    """The one thing a sentence names; a sentence without digits or dashes names none."""
    for grouped in _GROUPED.findall(line):
        code = read_voucher_code(grouped)
        if code is not None:
            return Understood(Meaning.VOUCHER, code)
    for word in (*_PARTED.findall(line), *_WORD.findall(line)):
        if any(letter.isdigit() for letter in word):
            whole = _as_a_whole(word)
            if whole is not None:
                return whole
    found = _PHONE_WITHIN.search(line)
    digits = None if found is None else _phone(found[0])
    return None if digits is None else Understood(Meaning.PHONE, digits)


def _doubt(line: str) -> Doubt:
    """What it was most likely meant as, by its length alone."""
    letters = re.sub(r"[\s.\-_/()+]", "", line)
    if not (letters.isascii() and letters.isalnum()):
        return Doubt.NOTHING
    if letters.isdigit():
        return Doubt.PHONE if len(letters) in _PHONE_DIGITS else Doubt.NOTHING
    if _GROUPED.fullmatch(line) or _is_a_code(line, letters, CODE_LENGTH):
        return Doubt.VOUCHER
    if _PARTED.fullmatch(line) or _is_a_code(line, letters, PAY_CODE_LENGTH):
        return Doubt.PAY_CODE
    return Doubt.RECEIPT if len(letters) in _RECEIPT_NEARLY and _has_both(letters) else Doubt.NOTHING


def _is_a_code(line: str, letters: str, length: int) -> bool:
    return len(letters) == length and (_has_both(letters) or line.isupper())


def _has_both(letters: str) -> bool:
    return any(letter.isdigit() for letter in letters) and any(letter.isalpha() for letter in letters)
