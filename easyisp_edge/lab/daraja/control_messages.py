"""The JSON of the lab's control interface: ledger and prompts out, behaviours and settings in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.behaviour import Behaviour
from easyisp_edge.lab.daraja.c2b_handling import C2bHandling, NoticeHandling
from easyisp_edge.lab.daraja.faults import Fault
from easyisp_edge.lab.daraja.pull_handling import PullHandling
from easyisp_edge.lab.daraja.receivers import NoApiMerchant, ReceiverKind
from easyisp_edge.lab.daraja.subscribers import Language

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.lab.daraja.ledger import (
        AcceptedPush,
        CallbackSent,
        Debit,
        NoticeSent,
        Push,
        Reversal,
        Settlement,
        Sms,
    )
    from easyisp_edge.lab.daraja.prompts import Prompt

_Read = TypeVar("_Read")

# What a push carries of its merchant's secret is nobody's business on a screen.
_SECRET_FIELDS = frozenset({"Password"})

BEHAVIOUR = TypeAdapter(Behaviour)
BEHAVIOURS = TypeAdapter(list[Behaviour])


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BalanceMessage(_Message):
    """How much a phone has."""

    shillings: int = Field(ge=0)


class OutageMessage(_Message):
    """What everything is answered with; null ends it."""

    fault: Fault | None


class TokenAnswersMessage(_Message):
    """What the next token requests get."""

    faults: list[Fault]


class AnswersMessage(_Message):
    """What an API's next requests get; null lets one through."""

    faults: list[Fault | None]


class PaymentMessage(_Message):
    """A payment from the menu; the account is a PayBill's."""

    kind: ReceiverKind
    number: str
    account: str = ""
    shillings: int


class SettlementMessage(_Message):
    """Money a merchant moves to its own organisation."""

    kind: ReceiverKind
    number: str
    shillings: int


class SubscriberMessage(_Message):
    """Whose phone it is, and in what M-PESA writes to it; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=60)
    language: Language | None = None


BALANCE = TypeAdapter(BalanceMessage)
OUTAGE = TypeAdapter(OutageMessage)
TOKEN_ANSWERS = TypeAdapter(TokenAnswersMessage)
ANSWERS = TypeAdapter(AnswersMessage)
PAYMENT = TypeAdapter(PaymentMessage)
SETTLEMENT = TypeAdapter(SettlementMessage)
SUBSCRIBER = TypeAdapter(SubscriberMessage)
NO_API = TypeAdapter(NoApiMerchant)
PULL = TypeAdapter(PullHandling)
C2B = TypeAdapter(C2bHandling)
NOTICES = TypeAdapter(list[NoticeHandling])


def read(adapter: TypeAdapter[_Read], body: bytes) -> _Read:
    """The body as that message.

    Raises:
        InvalidError: It is not one; says where.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidError("lab.message", f"{where or 'body'}: {first['msg']}", field=where or None) from error


def prompt_json(prompt: Prompt) -> dict[str, Any]:
    """An open prompt."""
    return {
        "phone": prompt.phone,
        "checkout_request_id": prompt.push.checkout_request_id,
        "text": prompt.text,
        "opened_at": _instant(prompt.opened_at),
        "expires_at": _instant(prompt.expires_at),
        "ignored": prompt.ignored,
    }


def push_json(push: Push) -> dict[str, Any]:
    """A push as it came, and what became of it."""
    return {
        "number": push.number,
        "at": _instant(push.at),
        "fields": {name: value for name, value in push.fields.items() if name not in _SECRET_FIELDS},
        "answer": push.answer,
        "accepted": None if push.accepted is None else accepted_json(push.accepted),
    }


def accepted_json(push: AcceptedPush) -> dict[str, Any]:
    """A push that was taken."""
    return {
        "merchant_request_id": push.merchant_request_id,
        "checkout_request_id": push.checkout_request_id,
        "phone": push.request.phone,
        "shillings": push.request.shillings,
        "prompted": push.prompted,
        "result_code": None if push.result is None else push.result.code,
        "result_description": None if push.result is None else push.result.description,
        "result_at": None if push.result_at is None else _instant(push.result_at),
        "queries": push.queries,
    }


def debit_json(debit: Debit) -> dict[str, Any]:
    """A payment."""
    return {
        "receipt": debit.receipt,
        "phone": debit.phone,
        "shillings": debit.shillings,
        "short_code": debit.short_code,
        "party_b": debit.party_b,
        "account_reference": debit.account_reference,
        "checkout_request_id": debit.checkout_request_id,
        "at": _instant(debit.at),
        "balance_after_shillings": debit.balance_after_shillings,
        "receiver_kind": debit.receiver.kind.value,
        "receiver_name": debit.receiver.name,
        "receiver_balance_shillings": debit.receiver_balance_shillings,
    }


def reversal_json(reversal: Reversal) -> dict[str, Any]:
    """A payment taken back."""
    return {
        "receipt": reversal.receipt,
        "of": reversal.of,
        "shillings": reversal.shillings,
        "at": _instant(reversal.at),
    }


def settlement_json(settlement: Settlement) -> dict[str, Any]:
    """A merchant's money moved to its own organisation."""
    return {
        "receipt": settlement.receipt,
        "short_code": settlement.short_code,
        "shillings": settlement.shillings,
        "at": _instant(settlement.at),
    }


def callback_json(sent: CallbackSent) -> dict[str, Any]:
    """One try to deliver a callback."""
    return {
        "checkout_request_id": sent.checkout_request_id,
        "url": sent.url,
        "body": json.loads(sent.body),
        "at": _instant(sent.at),
        "status": sent.status,
        "error": sent.error,
    }


def notice_json(sent: NoticeSent) -> dict[str, Any]:
    """One try to deliver a C2B notification."""
    return {
        "kind": sent.kind,
        "receipt": sent.receipt,
        "url": sent.url,
        "body": json.loads(sent.body),
        "at": _instant(sent.at),
        "status": sent.status,
        "answer": sent.answer,
        "error": sent.error,
    }


def sms_json(message: Sms) -> dict[str, Any]:
    """A text message."""
    return {
        "phone": message.phone,
        "at": _instant(message.at),
        "text": message.text,
        "received_on": message.received_on,
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
