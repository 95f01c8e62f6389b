"""Customer To Business: having payments from the M-Pesa menu told to us, and reading what is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from easyisp_edge.adapters.daraja.answers import unclear
from easyisp_edge.adapters.daraja.faults import FaultKind, fault_kind, refusal, throttle
from easyisp_edge.adapters.daraja.json_values import (
    BODY_OCTETS_MAX,
    as_account,
    as_code,
    as_description,
    as_instant,
    as_money,
    as_receipt,
    as_text,
    folded,
    read_json_object,
)
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, MoneyRecord, Reason
from easyisp_edge.errors import InvalidError, RefusedError

if TYPE_CHECKING:
    from easyisp_edge.adapters.daraja.exchange import WireAnswer

C2B_REGISTER_PATH = "/mpesa/c2b/v2/registerurl"

C2B_CONFIRMED: Final[dict[str, Any]] = {"ResultCode": 0, "ResultDesc": "Success"}

_PRODUCT = "Customer To Business (C2B)"
_WRONG_ACCOUNT = "C2B00012"
_ALREADY = re.compile(r"already registered", re.IGNORECASE)
_ELSEWHERE = re.compile(r"duplicate notification", re.IGNORECASE)


# --- registering


def register_body(short_code: str, confirmation_url: str, validation_url: str) -> dict[str, str | int]:
    """A request to be told of payments. Where we cannot be asked, they are to go through.

    Source: Daraja, Customer To Business, register URL.
    """
    return {
        "ShortCode": short_code,
        "ResponseType": "Completed",
        "ConfirmationURL": confirmation_url,
        "ValidationURL": validation_url,
    }


def check_registered(answer: WireAnswer) -> None:
    """Read the answer to a registration.

    Raises:
        UnavailableError: Daraja was too busy to take it.
        RefusedError: Not registered; `c2b.registered` where other addresses stand.
        OutcomeUnknownError: The answer does not exclude that it is registered now.

    Source: Daraja, Customer To Business, register URL, error codes.
    """
    _check_free(answer)
    kind = fault_kind(answer)
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    if kind is not None:
        raise refusal(kind, answer, _PRODUCT) or unclear(answer)
    told = folded(answer.fields or {})
    code = as_code(told.get("responsecode"))
    if not code and as_description(told.get("responsedescription")).casefold() != "success":
        raise unclear(answer)
    if code.strip("0"):
        raise RefusedError(Reason.CONFIGURATION, f"Safaricom did not register the addresses. ({answer})")


def _check_free(answer: WireAnswer) -> None:
    if _ALREADY.search(answer.excerpt):
        raise RefusedError(
            "c2b.registered",
            "This short code has addresses registered already. In production that is possible only once per short "
            "code: have them removed in the URL management of the Daraja portal, or by writing to "
            f"apisupport@safaricom.co.ke, then register again. ({answer})",
        )
    if _ELSEWHERE.search(answer.excerpt):
        raise RefusedError(
            "c2b.registered",
            "This short code has addresses registered on Safaricom's older platform. Have them deleted there by "
            f"writing to apisupport@safaricom.co.ke, then register again. ({answer})",
        )


# --- what Daraja posts to us


@dataclass(frozen=True, slots=True)
class C2bNotice:
    """A payment to a short code, as posted; whether it is done or asks for leave, only the address tells.

    Args:
        short_code: Who receives; empty where it is not told.
        record: The money.
    """

    short_code: str
    record: MoneyRecord


def parse_c2b(body: bytes) -> C2bNotice:
    """Read a validation or a confirmation, of the first version (payer as digest) or the second (masked).

    Args:
        body: The request's body as it came.

    Raises:
        InvalidError: It is neither, or tells no receipt or no amount.

    Source: Daraja, Customer To Business, validation and confirmation.
    """
    told = folded((read_json_object(body) if len(body) <= BODY_OCTETS_MAX else None) or {})
    receipt, amount = as_receipt(told.get("transid")), as_money(told.get("transamount"))
    if receipt is None or amount is None or not amount.cents:
        raise InvalidError("daraja.c2b_unreadable", "This tells of no payment to a short code.")
    record = MoneyRecord(
        source=EvidenceSource.C2B,
        mpesa_receipt_number=receipt,
        amount=amount,
        account=as_account(told.get("billrefnumber")),
        payer=Payer.read(as_text(told.get("msisdn"))),
        paid_at=as_instant(told.get("transtime")),
        raw=body[:RAW_OCTETS_MAX],
    )
    return C2bNotice(as_code(told.get("businessshortcode")), record)


def validation_answer(ok: bool) -> dict[str, Any]:  # noqa: FBT001 - the one thing it says
    """What to answer when Daraja asks whether a payment may go through; a no is for its account number.

    Source: Daraja, Customer To Business, validation, result codes.
    """
    if ok:
        return {"ResultCode": "0", "ResultDesc": "Accepted"}
    return {"ResultCode": _WRONG_ACCOUNT, "ResultDesc": "Rejected"}
