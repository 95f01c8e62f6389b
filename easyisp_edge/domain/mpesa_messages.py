"""What customers paste to show that they paid: a receipt, a message of M-Pesa or of a bank, or pieces of them.

Everything such a text says is a key for a look-up and nothing more: anybody can write one. Amount, account, receiver
and time help to find and to compare the receiver's own record of the money; they never stand in for it.

The wording changes every few months and comes in two languages, so that a message is read by landmarks (a receipt
before "Confirmed", the first "Ksh", "for account", a date), not line by line.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from easyisp_edge.domain.receipts import parse_receipt, receipt_day
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.errors import InvalidError

PASTED_LENGTH_MAX = 2000
NAME_LENGTH_MAX = 80


class MessageKind(enum.StrEnum):
    """What a pasted text is."""

    PAYBILL = "paybill"
    TILL = "till"
    PERSON = "person"  # to a phone number, Pochi la Biashara included
    AIRTIME = "airtime"
    RECEIVED = "received"  # the receiver's own message
    FULIZA = "fuliza"  # of the loan only: it carries the receipt of the payment it financed
    BARE = "bare"  # a receipt, and nothing else
    OTHER = "other"  # a bank's message, a customer's own words, money moved in another way


@dataclass(frozen=True, slots=True)
class PastedMessage:
    """What a pasted text says; nothing of it is proved.

    Args:
        receipt: Ten capitals and digits that stand in the text.
        amount: What was paid, where it says; never a balance, a charge or a loan.
        account: The account at a PayBill; empty for all else, and where it may have been cut off.
        counterparty: Who got the money, or who sent it to the receiver; empty where it does not say.
        paid_at: UTC, to the minute; None where it does not say.
        kind: What the text is.
    """

    receipt: str
    amount: Money | None = None
    account: str = ""
    counterparty: str = ""
    paid_at: datetime | None = None
    kind: MessageKind = MessageKind.BARE


_PAYMENTS = {"till": MessageKind.TILL, "person": MessageKind.PERSON}
_KINDS = {
    **_PAYMENTS,
    "received": MessageKind.RECEIVED,
    "airtime": MessageKind.AIRTIME,
    "fuliza": MessageKind.FULIZA,
}  # fmt: skip
# Of several messages the one that most likely paid here; of equals the first.
_RANKS = {
    MessageKind.PAYBILL: 0,
    MessageKind.TILL: 0,
    MessageKind.PERSON: 0,
    MessageKind.RECEIVED: 1,
    MessageKind.OTHER: 1,
    MessageKind.BARE: 1,
    MessageKind.AIRTIME: 2,
    MessageKind.FULIZA: 3,
}
_NO_PAYMENT = {"reversal", "not_paid"}

_WORDS = re.IGNORECASE | re.ASCII
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
_PUNCTUATION = " .,:;!?'\"*_#()[]<>-"

# A code is told by its ASCII letters, its end by any letter at all: a look-alike from another alphabet ends nothing.
_NOT_AFTER = r"(?<![^\W_])"
_NOT_BEFORE = r"(?![^\W_])"
_CODE = r"([A-Za-z0-9]{10})"
_HEAD = re.compile(
    rf"{_NOT_AFTER}{_CODE}[ .,:;*_-]{{0,4}}"
    r"(?i:confirmed\b|imethibitishwa\b|(?=failed|imefeli|umenunua|umelipa|umepokea|umetuma))"
)
_NAMED_CODE = re.compile(
    rf"{_NOT_AFTER}(?i:ref|reference|receipt|code|risiti|msimbo)[ .:#-]{{1,3}}(?i:is |no[. ]{{1,2}}|ni )?"
    rf"{_CODE}{_NOT_BEFORE}"
)
_LOOSE_CODE = re.compile(rf"{_NOT_AFTER}(?<![/=@]){_CODE}{_NOT_BEFORE}(?![/=@])")

_LANDMARKS = re.compile(
    r"(?P<reversal>\breversal of\b|\b(?:been|successfully|was) reversed\b|\b(?:um|im|zim)e(?:rejeshwa|rudishwa)\b)"
    r"|(?P<not_paid>\bfailed\b|\bnot have enough\b|\binsufficient\b|\bnot enough\b|\bwould exceed\b|\bwrong pin\b"
    r"|\bcancelled\b|\breached your fuliza\b|\b(?:hakuna|huna) pesa\b|\bhazitoshi\b|\bumekataa\b|\bhaipatikani\b"
    r"|\bime(?:feli|shindwa|shindikana)\b)"
    r"|(?P<fuliza>\bfuliza\b|\bfrom your m-pesa has been used\b)"
    r"|(?P<airtime>\bof airtime\b|\byou bought\b|\bumenunua\b|\bya mjazo\b)"
    r"|(?P<received>\breceived\b|\bumepokea\b|\b(?:im|zim)epokelewa\b)"
    r"|(?P<till>\bpaid to\b|\byou have paid\b|\bumelipa\b|\b(?:im|zim)elipwa\b)"
    r"|(?P<person>\bsent to\b|\byou have sent\b|\bumetuma\b|\b(?:im|zim)etumwa\b)"
    r"|(?P<bank>\bpayment of\b|\bmalipo ya\b)"
    r"|(?P<other>\btransferred\b|\bwithdraw|\bdeposit|\bgive\b)",
    _WORDS,
)
_NOT_PAID = re.compile(r"\binsufficient\b|\bnot enough\b", _WORDS)
# From here on a message speaks of what is left and what it cost.
_AFTERWARDS = re.compile(
    r"\bnew (?:[a-z-]{1,12} ){0,2}balance\b|\b(?:m-pesa|account|business|utility|your) balance\b"
    r"|\bbaki (?:yako|mpya)\b|\btransaction cost\b|\bgharama ya\b|\bamount you can transact\b",
    _WORDS,
)
_AMOUNT = re.compile(
    r"(?:(?<![A-Z])|(?<=[0-9 ][AP]M))(?:kshs?|kes)[. ]{0,2}(?:ksh[. ]{0,2})?([0-9][0-9.,]*)", _WORDS
)  # fmt: skip
_WITH_CENTS = re.compile(r"\.[0-9]{2}")
_ACCOUNT = re.compile(
    r"\b(?:for account(?: (?:number|no))?|account (?:number|no)|(?:kwa )?akaunti (?:nambari|namba)|kwa akaunti)\b"
    r"[ .:]{0,3}",
    _WORDS,
)
_NAME_ENDS = re.compile(
    r"[ .](?:for account|kwa akaunti|account (?:number|no)|for pochi|via|was successful"
    r"|(?:on|tarehe|mnamo|siku) [0-9]{1,2}/)"
    r"|[ .][0-9]{1,2}/[0-9]{1,2}/[0-9]",
    _WORDS,
)
_PARTY = {"received": re.compile(r" (?:from|kutoka) ", _WORDS)}
_PARTY_PAID = re.compile(r" (?:to|kwa) ", _WORDS)
_PHONE = re.compile(r"\+?[0-9][0-9*xX\u2022]{8,13}")
_MOMENT = re.compile(
    r"(?<![0-9/])([0-9]{1,2})/([0-9]{1,2})/(20[0-9]{2}|[0-9]{2})(?![0-9/])[ ,.]{0,2}(?:(?:at|saa) ?)?"
    r"([0-9]{1,2}):([0-9]{2})(?::[0-9]{2})? ?([AP])\.?M",
    _WORDS,
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One message of the text, or a piece of one: the code at its head, if it has one, and what follows."""

    code: str
    body: str

    @property
    def told(self) -> str:
        """What it says of the payment itself."""
        afterwards = _AFTERWARDS.search(self.body)
        return self.body[: afterwards.start()] if afterwards else self.body


def read_pasted(text: str) -> PastedMessage:
    """Read whatever a customer pastes: a receipt alone, one or more messages, part of one, in any case.

    Raises:
        InvalidError: `claim.empty`; `claim.too_long`; `claim.reversal`: it tells of money that went back;
            `claim.not_paid`: it tells of a payment that was not made; `claim.no_receipt`: no receipt stands in it.
            Each says what to do.
    """
    if len(text) > PASTED_LENGTH_MAX:
        raise _refused("too_long", "That is too long. Paste the one message of M-Pesa about this payment, or its code.")
    line = _BLANKS.sub(" ", text).strip()
    if not line:
        raise _refused("empty", "Paste the message of M-Pesa here, or type the code it begins with.")
    lone = _lone_code(line)
    if lone:
        return PastedMessage(lone)
    parts = _parts(line)
    readings = [reading for part in parts if (reading := _read_part(part)) is not None]
    if not readings:
        raise _nothing_found(line, parts)
    return min(readings, key=lambda reading: _RANKS[reading.kind])


def _refused(code: str, message: str) -> InvalidError:
    return InvalidError(f"claim.{code}", message, field="message")


def _nothing_found(line: str, parts: list[_Part]) -> InvalidError:
    said = {_said(part.told) for part in parts}
    if "reversal" in said:
        return _refused(
            "reversal", "This message says that the money went back. Pay again, then paste the new message."
        )
    if "not_paid" in said or _NOT_PAID.search(line):
        return _refused(
            "not_paid", "This message says that nothing was paid. Pay again, then paste the message you get."
        )
    return _refused("no_receipt", _near_miss(line))


def _near_miss(line: str) -> str:
    """What is wrong with a text without a receipt, in more telling words where it was meant as one."""
    if " " not in line.strip(_PUNCTUATION):
        try:
            parse_receipt(line)
        except InvalidError as error:
            return error.message
    return "There is no M-Pesa code in this. Copy the whole message, from the code it begins with, or type that code."


def _lone_code(line: str) -> str:
    """The receipt, where the text is nothing else; empty where it is something else.

    With blanks inside it must also look like one: other words can come to ten letters, too.
    """
    try:
        receipt = parse_receipt(line)
    except InvalidError:
        return ""
    in_one_piece = receipt in line.upper()
    return receipt if in_one_piece or _looks_like_receipt(receipt) else ""


def _looks_like_receipt(code: str) -> bool:
    return receipt_day(code.upper()) is not None and any(letter.isdigit() for letter in code)


def _parts(line: str) -> list[_Part]:
    heads = [head for head in _HEAD.finditer(line) if _can_head(head[1])]
    ends = [head.start() for head in heads[1:]] + [len(line)]
    first = heads[0].start() if heads else len(line)
    messages = [_Part(head[1].upper(), line[head.end() : end]) for head, end in zip(heads, ends, strict=False)]
    return [_Part("", line[:first]), *messages]


def _can_head(code: str) -> bool:
    """Not a phone number, and not a word of ten letters in somebody's sentence."""
    return not code.isdigit() and (code.isupper() or not code.isalpha())


def _read_part(part: _Part) -> PastedMessage | None:
    said = _said(part.told)
    receipt = _receipt_of(part, said)
    if not receipt:
        return None
    if part.code and not part.body.strip(_PUNCTUATION):
        return PastedMessage(receipt)
    if said == "fuliza":
        return PastedMessage(receipt, kind=MessageKind.FULIZA)
    return _payment(part, receipt, said)


def _said(told: str) -> str:
    """What a message is about: its first landmark, since adverts and other news come behind."""
    landmark = _LANDMARKS.search(told)
    return landmark.lastgroup or "" if landmark else ""


def _receipt_of(part: _Part, said: str) -> str:
    if part.code:
        return "" if said in _NO_PAYMENT else part.code
    # Both codes of a reversal are useless; a customer's own "it failed" may still come with a good one.
    return "" if said == "reversal" else _found_code(part.body)


def _found_code(body: str) -> str:
    """A receipt in running text, never the account of a payment."""
    account = _span_of_account(body)
    searched = f"{body[: account.start]} {body[account.stop :]}"
    for code in _NAMED_CODE.findall(searched):
        if receipt_day(code.upper()) and _can_head(code):
            return str(code.upper())
    loose = (code.upper() for code in _LOOSE_CODE.findall(searched))
    return next(filter(_looks_like_receipt, loose), "")


def _payment(part: _Part, receipt: str, said: str) -> PastedMessage:
    told = part.told
    amount = _amount(told)
    span = _span_of_account(told)
    kind = _KINDS.get(said, MessageKind.OTHER)
    if said in _PAYMENTS and told[span]:
        kind = MessageKind.PAYBILL
    if not part.code and amount is None:
        kind = MessageKind.OTHER
    # What ends with the text may have been cut off: half an account is another account.
    account = told[span].strip(" .,:")[:NAME_LENGTH_MAX] if span.stop < len(part.body) else ""
    return PastedMessage(receipt, amount, account, _counterparty(told, said), _paid_at(told), kind)


def _amount(told: str) -> Money | None:
    found = _AMOUNT.search(told)
    if found is None or (found.end() == len(told) and not _WITH_CENTS.search(found[1])):
        return None
    try:
        return Money.parse(found[1].rstrip(".,"))
    except InvalidError:
        return None


def _paid_at(told: str) -> datetime | None:
    found = _MOMENT.search(told)
    if found is None:
        return None
    day, month, year, hour, minute = (int(figure) for figure in found.groups()[:5])
    if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's face
        return None
    afternoon = 12 if found[6] in "Pp" else 0
    try:
        local = datetime(2000 + year % 100, month, day, hour % 12 + afternoon, minute, tzinfo=NAIROBI)
    except ValueError:
        return None
    return local.astimezone(UTC)


def _span_of_account(told: str) -> slice:
    account = _ACCOUNT.search(told)
    if account is None:
        return slice(len(told), len(told))
    begins = account.end()
    ends = _NAME_ENDS.search(told, begins - 1)
    return slice(begins, max(begins, ends.start()) if ends else len(told))


def _counterparty(told: str, said: str) -> str:
    """The name after "to" or "from"; a phone number beside it is left out."""
    landmark = _LANDMARKS.search(told)
    if landmark is None or said not in {*_PAYMENTS, "received", "bank"}:
        return ""
    before = _PARTY.get(said, _PARTY_PAID).search(told, landmark.start())
    if before is None:
        return ""
    ends = _NAME_ENDS.search(told, before.end() - 1)
    words = told[before.end() : ends.start() if ends else len(told)].strip(" .,").split(" ")
    named = [word for word in words if not _PHONE.fullmatch(word)]
    return " ".join(named or words)[:NAME_LENGTH_MAX].strip(" .,")
