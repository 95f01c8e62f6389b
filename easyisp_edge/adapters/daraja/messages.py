"""M-Pesa Express on the wire: token, push, query and callback, spelled as Daraja spells them."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from easyisp_edge.adapters.daraja.json_values import (
    BODY_OCTETS_MAX,
    as_account,
    as_code,
    as_description,
    as_identifier,
    as_instant,
    as_money,
    as_msisdn,
    as_receipt,
    as_text,
    fold,
    folded,
    read_json_object,
)
from easyisp_edge.adapters.daraja.results import verdict
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, Outcome, PaymentReport
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.domain.payments import EvidenceSource, StkPush

TOKEN_PATH = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - an address, no secret
STK_PUSH_PATH = "/mpesa/stkpush/v1/processrequest"
STK_QUERY_PATH = "/mpesa/stkpushquery/v1/query"

_TOKEN_LIFE_SECONDS = 3599.0


class TransactionType(enum.StrEnum):
    """Which kind of receiver the money goes to."""

    PAY_BILL = "CustomerPayBillOnline"
    BUY_GOODS = "CustomerBuyGoodsOnline"


_Identifier = Annotated[str, BeforeValidator(as_identifier)]
_Code = Annotated[str, BeforeValidator(as_code)]
_Description = Annotated[str, BeforeValidator(as_description)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# --- what we say


def push_body(
    push: StkPush,
    *,
    business_shortcode: str,
    party_b: str,
    transaction_type: TransactionType,
    account_reference: str,
    timestamp: str,
    password: str,
) -> dict[str, str | int]:
    """A request to prompt a phone.

    Source: Daraja, M-Pesa Express, request parameters.
    """
    return {
        "BusinessShortCode": business_shortcode,
        "Password": password,
        "Timestamp": timestamp,
        "TransactionType": transaction_type.value,
        "Amount": push.amount.whole_shillings,
        "PartyA": push.phone.digits,
        "PartyB": party_b,
        "PhoneNumber": push.phone.digits,
        "CallBackURL": push.callback_url,
        "AccountReference": account_reference,
        "TransactionDesc": push.description,
    }


def query_body(
    checkout_request_id: str, *, business_shortcode: str, timestamp: str, password: str
) -> dict[str, str | int]:
    """A question what became of a push.

    Source: Daraja, M-Pesa Express Query, request parameters.
    """
    return {
        "BusinessShortCode": business_shortcode,
        "Password": password,
        "Timestamp": timestamp,
        "CheckoutRequestID": checkout_request_id,
    }


# --- what Daraja answers


@dataclass(frozen=True, slots=True)
class ErrorEnvelope:
    """A refusal in one of the two JSON dialects: Daraja's own, or that of the gateway before it."""

    code: str
    message: str
    request_id: str


def read_error(fields: Mapping[str, Any]) -> ErrorEnvelope | None:
    """The refusal in an answer, whatever the case of its keys; None when it is none."""
    told = folded(fields)
    if "fault" in told:
        return _gateway_fault(told["fault"])
    if "errorcode" not in told and "errormessage" not in told:
        return None
    return ErrorEnvelope(
        as_code(told.get("errorcode")),
        as_description(told.get("errormessage")),
        as_identifier(told.get("requestid")),
    )


def _gateway_fault(fault: object) -> ErrorEnvelope:
    if not isinstance(fault, dict):
        return ErrorEnvelope("", as_description(fault), "")
    detail = fault.get("detail")
    code = detail.get("errorcode") if isinstance(detail, dict) else None
    return ErrorEnvelope(as_text(code)[:100], as_description(fault.get("faultstring")), "")


class TokenAnswer(_Message):
    """An access token and how long it lives."""

    access_token: Annotated[str, BeforeValidator(as_text)] = ""
    expires_in: Annotated[str, BeforeValidator(as_text)] = ""

    @property
    def life_seconds(self) -> float:
        """As told, or an hour when it does not say."""
        told = re.fullmatch(r"([0-9]{1,6})(?:\.[0-9]*)?", self.expires_in, re.ASCII)
        return float(told[1]) if told else _TOKEN_LIFE_SECONDS


class PushAnswer(_Message):
    """Whether a push was accepted to be prompted."""

    merchant_request_id: _Identifier = Field("", alias="MerchantRequestID")
    checkout_request_id: _Identifier = Field("", alias="CheckoutRequestID")
    response_code: _Code = Field("", alias="ResponseCode")
    response_description: _Description = Field("", alias="ResponseDescription")


class QueryAnswer(_Message):
    """What became of a push. `response_code` only says whether the question was understood."""

    merchant_request_id: _Identifier = Field("", alias="MerchantRequestID")
    checkout_request_id: _Identifier = Field("", alias="CheckoutRequestID")
    response_code: _Code = Field("", alias="ResponseCode")
    result_code: _Code = Field("", alias="ResultCode")
    result_description: _Description = Field("", alias="ResultDesc")


# --- what Daraja posts to us


class _StkCallback(_Message):
    merchant_request_id: _Identifier = Field("", alias="MerchantRequestID")
    checkout_request_id: _Identifier = Field("", alias="CheckoutRequestID")
    result_code: Annotated[_Code, Field(min_length=1)] = Field(alias="ResultCode")
    result_description: _Description = Field("", alias="ResultDesc")
    metadata: Any = Field(None, alias="CallbackMetadata")


class _CallbackBody(_Message):
    callback: _StkCallback = Field(alias="stkCallback")


class _CallbackEnvelope(_Message):
    body: _CallbackBody = Field(alias="Body")


def parse_stk_callback(body: bytes, source: EvidenceSource) -> PaymentReport:
    """Read what Daraja posted about a push.

    A success that does not tell a readable amount is reported as unknown: real ones always tell it, the amount is
    what ties the message to the purchase, and asking costs seconds while believing costs money.

    Args:
        body: The request's body as it came.
        source: On which address it came, which decides how far it is believed.

    Raises:
        InvalidError: It is no STK callback.

    Source: Daraja, M-Pesa Express, callback.
    """
    callback = _read_callback(body)
    told = _metadata(callback.metadata)
    amount = as_money(told.get("amount"))
    outcome, reason = verdict(callback.result_code, callback.result_description)
    if outcome is Outcome.PAID and amount is None:
        outcome = Outcome.UNKNOWN
    return PaymentReport(
        source=source,
        outcome=outcome,
        reason=reason,
        result_code=callback.result_code,
        result_description=callback.result_description,
        checkout_request_id=callback.checkout_request_id or None,
        merchant_request_id=callback.merchant_request_id or None,
        amount=amount,
        mpesa_receipt_number=as_receipt(told.get("mpesareceiptnumber")),
        phone=as_msisdn(told.get("phonenumber")),
        paid_at=as_instant(told.get("transactiondate")),
        raw=body[:RAW_OCTETS_MAX],
    )


def callback_account(body: bytes) -> str:
    """The account reference in a callback; empty where it tells none. Daraja's own never do, but some relays add it.

    Raises:
        InvalidError: It is no STK callback.
    """
    return as_account(_metadata(_read_callback(body).metadata).get("accountreference"))


def _read_callback(body: bytes) -> _StkCallback:
    fields = read_json_object(body) if len(body) <= BODY_OCTETS_MAX else None
    try:
        return _CallbackEnvelope.model_validate(fields).body.callback
    except ValidationError as error:
        raise InvalidError("daraja.callback_unreadable", "This is no STK callback.") from error


def _metadata(metadata: object) -> dict[str, object]:
    """The values by name. Never by place: the balance is sometimes there, sometimes not, sometimes without a value."""
    items = metadata.get("Item") if isinstance(metadata, dict) else None
    found: dict[str, object] = {}
    for item in _as_items(items):
        value = item.get("Value")
        if value is not None:
            found.setdefault(fold(as_text(item.get("Name"))), value)
    return found


def _as_items(items: object) -> Iterable[dict[str, Any]]:
    listed = items if isinstance(items, list) else [items]
    return [item for item in listed if isinstance(item, dict)]
