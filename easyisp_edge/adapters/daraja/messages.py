"""Daraja's JSON, spelled as on the wire; its names stand here and nowhere else."""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from easyisp_edge.adapters.daraja.results import verdict
from easyisp_edge.domain.payments import Outcome, PaymentReport
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.domain.payments import EvidenceSource, StkPush

TOKEN_PATH = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - an address, no secret
STK_PUSH_PATH = "/mpesa/stkpush/v1/processrequest"
STK_QUERY_PATH = "/mpesa/stkpushquery/v1/query"

NAIROBI = timezone(timedelta(hours=3), "EAT")  # no summer time, so no time zone database either
TIMESTAMP_FORMAT = "%Y%m%d%H%M%S"

BODY_OCTETS_MAX = 64 * 1024
RAW_OCTETS_MAX = 4096
_TOKEN_LIFE_SECONDS = 3599.0

_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,128}")
_RECEIPT = re.compile(r"[A-Z0-9]{8,12}")


class TransactionType(enum.StrEnum):
    """Which kind of receiver the money goes to."""

    PAY_BILL = "CustomerPayBillOnline"
    BUY_GOODS = "CustomerBuyGoodsOnline"


def read_json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`, its fractions exact decimals; None when it holds no such thing."""
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _text(value: object) -> str:
    """Any JSON value as clean text: half surrogate pairs, which no store takes, are replaced."""
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip().encode(errors="replace").decode()


def _identifier(value: object) -> str:
    text = _text(value)
    return text if _IDENTIFIER.fullmatch(text) else ""


def _code(value: object) -> str:
    return "" if value is None else str(value).strip().encode(errors="replace").decode()[:32]


def _description(value: object) -> str:
    return _text(value)[:300]


_Identifier = Annotated[str, BeforeValidator(_identifier)]
_Code = Annotated[str, BeforeValidator(_code)]
_Description = Annotated[str, BeforeValidator(_description)]


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
    folded = {_fold(key): value for key, value in fields.items()}
    if "fault" in folded:
        return _gateway_fault(folded["fault"])
    if "errorcode" not in folded and "errormessage" not in folded:
        return None
    return ErrorEnvelope(
        _code(folded.get("errorcode")),
        _description(folded.get("errormessage")),
        _identifier(folded.get("requestid")),
    )


def _fold(key: str) -> str:
    return key.replace("_", "").replace(" ", "").casefold()


def _gateway_fault(fault: object) -> ErrorEnvelope:
    if not isinstance(fault, dict):
        return ErrorEnvelope("", _description(fault), "")
    detail = fault.get("detail")
    code = detail.get("errorcode") if isinstance(detail, dict) else None
    return ErrorEnvelope(_text(code)[:100], _description(fault.get("faultstring")), "")


class TokenAnswer(_Message):
    """An access token and how long it lives."""

    access_token: Annotated[str, BeforeValidator(_text)] = ""
    expires_in: Annotated[str, BeforeValidator(_text)] = ""

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
    amount = _amount(told.get("amount"))
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
        mpesa_receipt_number=_receipt(told.get("mpesareceiptnumber")),
        phone=_phone(told.get("phonenumber")),
        paid_at=_instant(told.get("transactiondate")),
        raw=body[:RAW_OCTETS_MAX],
    )


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
            found.setdefault(_fold(_text(item.get("Name"))), value)
    return found


def _as_items(items: object) -> Iterable[dict[str, Any]]:
    listed = items if isinstance(items, list) else [items]
    return [item for item in listed if isinstance(item, dict)]


def _amount(value: object) -> Money | None:
    try:
        return Money.parse(_text(value))
    except InvalidError:
        return None


def _receipt(value: object) -> str | None:
    text = _text(value).upper()
    return text if _RECEIPT.fullmatch(text) else None


def _phone(value: object) -> Msisdn | None:
    try:
        return Msisdn.parse(_text(value))
    except InvalidError:
        return None


def _instant(value: object) -> datetime | None:
    text = _text(value)
    if re.fullmatch(r"[0-9]{14}", text, re.ASCII) is None:
        return None
    try:
        return datetime.strptime(text + "+0300", TIMESTAMP_FORMAT + "%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
