"""What Daraja's answers come to: a value of ours, or one of our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from easyisp_edge.adapters.daraja.faults import M_PESA_EXPRESS, FaultKind, fault_kind, refusal, throttle
from easyisp_edge.adapters.daraja.messages import PushAnswer, QueryAnswer, TokenAnswer
from easyisp_edge.adapters.daraja.results import verdict
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, Outcome, PaymentReport, PromptAccepted, Reason
from easyisp_edge.errors import OutcomeUnknownError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.adapters.daraja.exchange import WireAnswer

_BAD_REQUEST = 400
_ACCEPTED = "0"


class TokenGrant(NamedTuple):
    """A token and how long it lives."""

    token: str
    life_seconds: float


def token_grant(answer: WireAnswer) -> TokenGrant:
    """Read the answer to a request for a token.

    Raises:
        UnavailableError: No token this time.
        RefusedError: The key and secret are not taken.

    Source: Daraja, Authorization API.
    """
    if answer.status == _BAD_REQUEST and not answer.body.strip():
        raise _key_refused(answer)  # a wrong key or secret is answered with nothing at all
    kind = fault_kind(answer)
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    if kind is not None:
        raise senseless(answer) if kind is FaultKind.UNCLEAR else _key_refused(answer)
    told = TokenAnswer.model_validate(answer.fields)
    if re.fullmatch(r"[\x21-\x7e]+", told.access_token) is None:
        raise senseless(answer)
    return TokenGrant(told.access_token, told.life_seconds)


def prompt_accepted(answer: WireAnswer) -> PromptAccepted:
    """Read the answer to a push.

    Raises:
        UnavailableError: Daraja was too busy to take it.
        RefusedError: Daraja said no; `code` is a `Reason`.
        OutcomeUnknownError: The answer does not exclude that the phone was prompted.

    Source: Daraja, M-Pesa Express, response and error codes.
    """
    kind = fault_kind(answer)
    if kind is not None:
        _raise_push_fault(kind, answer)
    told = PushAnswer.model_validate(answer.fields)
    if told.response_code == _ACCEPTED and told.checkout_request_id:
        return PromptAccepted(told.checkout_request_id, told.merchant_request_id, answer.body[:RAW_OCTETS_MAX])
    # A no without an id made nothing; a no with one, or a yes without, contradicts itself.
    if told.response_code not in {"", _ACCEPTED} and not told.checkout_request_id:
        raise RefusedError(Reason.SYSTEM, f"M-Pesa did not take the request. ({answer})")
    raise unclear(answer)


def _raise_push_fault(kind: FaultKind, answer: WireAnswer) -> NoReturn:
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    raise refusal(kind, answer) or unclear(answer)


def query_report(answer: WireAnswer, checkout_request_id: str) -> PaymentReport:
    """Read the answer to the question what became of a push.

    "No such id" is reported as unknown, because Daraja also says it in the first moments after a push.

    Raises:
        UnavailableError: The answer says nothing about the push.
        RefusedError: Asking is refused; an operator must look.

    Source: Daraja, M-Pesa Express Query, response and error codes.
    """
    kind = fault_kind(answer)
    if kind in {FaultKind.PENDING, FaultKind.UNKNOWN_PUSH}:
        return _undecided(answer, checkout_request_id)
    if kind is not None:
        _raise_read_fault(kind, answer, M_PESA_EXPRESS)
    told = QueryAnswer.model_validate(answer.fields)
    if not told.result_code:
        raise senseless(answer)
    return _report(told, answer, checkout_request_id)


def fields_of(answer: WireAnswer, product: str) -> Mapping[str, Any]:
    """The fields of an answer that is none of the refusals, to something that may be asked again.

    Args:
        answer: The answer.
        product: What the portal calls that which was asked for.

    Raises:
        UnavailableError: The answer says nothing of use.
        RefusedError: Asking is refused; an operator must look.
    """
    kind = fault_kind(answer)
    if kind is not None:
        _raise_read_fault(kind, answer, product)
    return answer.fields or {}


def _raise_read_fault(kind: FaultKind, answer: WireAnswer, product: str) -> NoReturn:
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    if kind is FaultKind.PROMPT_OPEN:
        raise senseless(answer)
    raise refusal(kind, answer, product) or senseless(answer)


def _report(told: QueryAnswer, answer: WireAnswer, asked: str) -> PaymentReport:
    outcome, reason = verdict(told.result_code, told.result_description)
    # The verdict counts only if the question was understood and the answer is about the push asked for.
    if told.response_code != _ACCEPTED or told.checkout_request_id not in {"", asked}:
        outcome, reason = Outcome.UNKNOWN, None
    return PaymentReport(
        source=EvidenceSource.STK_QUERY,
        outcome=outcome,
        reason=reason,
        result_code=told.result_code,
        result_description=told.result_description,
        checkout_request_id=asked,
        merchant_request_id=told.merchant_request_id or None,
        amount=None,
        mpesa_receipt_number=None,
        phone=None,
        paid_at=None,
        raw=answer.body[:RAW_OCTETS_MAX],
    )


def _undecided(answer: WireAnswer, asked: str) -> PaymentReport:
    error = answer.error
    return PaymentReport(
        source=EvidenceSource.STK_QUERY,
        outcome=Outcome.UNKNOWN,
        reason=None,
        result_code=error.code if error else "",
        result_description=error.message if error else "",
        checkout_request_id=asked,
        merchant_request_id=None,
        amount=None,
        mpesa_receipt_number=None,
        phone=None,
        paid_at=None,
        raw=answer.body[:RAW_OCTETS_MAX],
    )


def _key_refused(answer: WireAnswer) -> RefusedError:
    return RefusedError(
        Reason.CONFIGURATION,
        "Safaricom does not take the consumer key and secret. Check both for typing errors, and that they belong "
        f"to this environment, sandbox or production. ({answer})",
    )


def unclear(answer: WireAnswer) -> OutcomeUnknownError:
    """The error for an answer that does not say whether what was asked for has happened."""
    return OutcomeUnknownError("daraja.unclear_answer", f"It may have happened; the answer does not say. ({answer})")


def senseless(answer: WireAnswer) -> UnavailableError:
    """The error for an answer that says nothing of use."""
    return UnavailableError(
        Reason.UNREACHABLE,
        f"M-Pesa gave no answer of use; HTML comes from a firewall or an outage. ({answer})",
        retry_after_seconds=answer.retry_after_seconds,
    )
