"""What kind of no an answer is. Daraja speaks three dialects: its own JSON, its gateway's JSON, and HTML."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.results import speaks_of_pending
from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.adapters.daraja.exchange import WireAnswer
    from easyisp_edge.adapters.daraja.messages import ErrorEnvelope

_TOO_MANY_REQUESTS = 429
_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
_UNAUTHORISED = 401
_THROTTLED_SECONDS = 12.0
_QUOTA_SECONDS = 60.0

M_PESA_EXPRESS = "M-Pesa Express"


class FaultKind(enum.Enum):
    """All but UNCLEAR say for certain that nothing was done."""

    DEAD_TOKEN = "dead token"  # noqa: S105 - a word
    NO_PRODUCT = "no product"
    THROTTLED = "throttled"
    PROMPT_OPEN = "prompt open"
    PENDING = "pending"
    UNKNOWN_PUSH = "unknown push"
    WRONG_CREDENTIALS = "wrong credentials"
    NO_MERCHANT = "no merchant"
    BAD_PHONE = "bad phone"
    BAD_AMOUNT = "bad amount"
    BAD_REQUEST = "bad request"
    UNCLEAR = "unclear"


_DEAD_TOKEN_CODES = frozenset(
    {
        "400.003.01",
        "401.001",
        "401.002.01",
        "401.003.01",
        "404.001.03",
        "404.001.04",
        "keymanagement.service.access_token_expired",
        "keymanagement.service.invalid_access_token",
    }
)
_DEAD_TOKEN_TEXT = re.compile(r"invalid access token|access token expired", re.IGNORECASE)
_NO_PRODUCT = re.compile(r"apiproduct", re.IGNORECASE)
_THROTTLED_CODES = frozenset({"500.003.02", "500.003.03"})
_THROTTLED_TEXT = re.compile(r"ratelimit|spike arrest|quota\s*violation", re.IGNORECASE)
_QUOTA = re.compile(r"quota|500\.003\.03", re.IGNORECASE)
_CLIENT_FAULT = re.compile(r"(?:400|401|403|404|405)(?:\..*)?", re.ASCII)

# One code, many meanings: only the text tells them apart.
_OVERLOADED_CODE = "500.001.1001"
_OVERLOADED = (
    (re.compile(r"unable to lock|already in process", re.IGNORECASE), FaultKind.PROMPT_OPEN),
    (re.compile(r"wrong credentials", re.IGNORECASE), FaultKind.WRONG_CREDENTIALS),
    (re.compile(r"merchant does not exist", re.IGNORECASE), FaultKind.NO_MERCHANT),
)
_FIELD_AT_FAULT = (
    (re.compile(r"invalid checkoutrequestid", re.IGNORECASE), FaultKind.UNKNOWN_PUSH),
    (re.compile(r"invalid (?:phonenumber|partya)", re.IGNORECASE), FaultKind.BAD_PHONE),
    (re.compile(r"invalid amount", re.IGNORECASE), FaultKind.BAD_AMOUNT),
)


def fault_kind(answer: WireAnswer) -> FaultKind | None:
    """Sort an answer; None when it is a JSON object with a success status and no refusal in it.

    Source: Daraja, error responses of M-Pesa Express and of the gateway.
    """
    if answer.status == _TOO_MANY_REQUESTS:
        return FaultKind.THROTTLED
    if answer.error is not None:
        return _kind_of(answer.error, answer.status)
    if answer.status == _UNAUTHORISED and (answer.fields is not None or not answer.body.strip()):
        return FaultKind.DEAD_TOKEN
    return None if answer.ok and answer.fields is not None else FaultKind.UNCLEAR


def wrong_method(answer: WireAnswer) -> bool:
    """Whether the same request might be taken by another HTTP method.

    Source: Daraja, error responses: 404.001.04 is told for a missing header and for the wrong method alike.
    """
    code = answer.error.code if answer.error else ""
    kind = fault_kind(answer)
    if kind in {None, FaultKind.DEAD_TOKEN, FaultKind.NO_PRODUCT, FaultKind.THROTTLED}:
        return code == "404.001.04"
    return answer.status in {_NOT_FOUND, _METHOD_NOT_ALLOWED} or code.startswith(("404.", "405."))


def _kind_of(error: ErrorEnvelope, status: int) -> FaultKind:
    if error.code in _THROTTLED_CODES or _THROTTLED_TEXT.search(f"{error.code} {error.message}"):
        return FaultKind.THROTTLED
    if _NO_PRODUCT.search(f"{error.code} {error.message}"):
        return FaultKind.NO_PRODUCT
    if error.code in _DEAD_TOKEN_CODES or _DEAD_TOKEN_TEXT.search(error.message) or status == _UNAUTHORISED:
        return FaultKind.DEAD_TOKEN
    if error.code == _OVERLOADED_CODE:
        return _overloaded(error.message)
    if _CLIENT_FAULT.fullmatch(error.code):
        return _first(_FIELD_AT_FAULT, error.message, FaultKind.BAD_REQUEST)
    return FaultKind.UNCLEAR


def _overloaded(message: str) -> FaultKind:
    if speaks_of_pending(message):
        return FaultKind.PENDING
    return _first(_OVERLOADED, message, FaultKind.UNCLEAR)


def _first(table: tuple[tuple[re.Pattern[str], FaultKind], ...], text: str, otherwise: FaultKind) -> FaultKind:
    return next((kind for pattern, kind in table if pattern.search(text)), otherwise)


_REFUSALS: Mapping[FaultKind, tuple[Reason, str]] = {
    FaultKind.DEAD_TOKEN: (
        Reason.CONFIGURATION,
        (
            "Safaricom refuses a fresh access token. Check that (1) the consumer key and secret belong to this "
            "environment, sandbox or production; (2) the app has the product {product}; (3) go-live of the "
            "short code is finished; (4) no other machine uses the same consumer key."
        ),
    ),
    FaultKind.NO_PRODUCT: (
        Reason.CONFIGURATION,
        "The app on the Daraja portal lacks the product {product}; add it there, then try again.",
    ),
    FaultKind.WRONG_CREDENTIALS: (
        Reason.CONFIGURATION,
        (
            "Safaricom refuses the signature. Check that the passkey belongs to this business short code and to "
            "this environment, and that the box's clock is right."
        ),
    ),
    FaultKind.NO_MERCHANT: (
        Reason.CONFIGURATION,
        (
            "Safaricom does not know this business short code for {product}. For a till it is the store or "
            "head office number used at go-live, not the till number."
        ),
    ),
    FaultKind.PROMPT_OPEN: (
        Reason.PROMPT_OPEN,
        "Another prompt is open on this phone; close it and wait a minute.",
    ),
    FaultKind.BAD_PHONE: (Reason.NOT_REGISTERED, "M-Pesa does not take this phone number."),
    FaultKind.BAD_AMOUNT: (Reason.AMOUNT_LIMIT, "M-Pesa does not take this amount."),
    FaultKind.BAD_REQUEST: (Reason.CONFIGURATION, "Safaricom does not take the request as it is set up."),
    FaultKind.UNKNOWN_PUSH: (Reason.CONFIGURATION, "Safaricom does not take the request as it is set up."),
}


def refusal(kind: FaultKind, answer: WireAnswer, product: str = M_PESA_EXPRESS) -> RefusedError | None:
    """The error for a certain no that waiting does not mend; None for the other kinds.

    Args:
        kind: What kind of no.
        answer: The answer that was sorted.
        product: What the portal calls that which was asked for.
    """
    if kind not in _REFUSALS:
        return None
    reason, advice = _REFUSALS[kind]
    return RefusedError(reason, f"{advice.format(product=product)} ({answer})")


def throttle(answer: WireAnswer) -> UnavailableError:
    """The error for a no that waiting mends."""
    told = answer.retry_after_seconds or 0.0
    least = _QUOTA_SECONDS if _QUOTA.search(answer.excerpt) else _THROTTLED_SECONDS
    return UnavailableError(Reason.BUSY, f"M-Pesa is asked too often. ({answer})", retry_after_seconds=max(told, least))
