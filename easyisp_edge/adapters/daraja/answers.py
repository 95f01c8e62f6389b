"""What Daraja's answers come to: a value of ours, or one of our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from easyisp_edge.adapters.daraja.faults import FaultKind, fault_kind, refusal, throttle
from easyisp_edge.adapters.daraja.messages import RAW_OCTETS_MAX, PushAnswer, QueryAnswer, TokenAnswer
from easyisp_edge.adapters.daraja.results import verdict
from easyisp_edge.domain.payments import EvidenceSource, Outcome, PaymentReport, PromptAccepted, Reason
from easyisp_edge.errors import OutcomeUnknownError, RefusedError, UnavailableError

if TYPE_CHECKING:
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
        raise _senseless(answer) if kind is FaultKind.UNCLEAR else _key_refused(answer)
    told = TokenAnswer.model_validate(answer.fields)
    if re.fullmatch(r"[\x21-\x7e]+", told.access_token) is None:
        raise _senseless(answer)
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
    raise _unclear_push(answer)


def _raise_push_fault(kind: FaultKind, answer: WireAnswer) -> NoReturn:
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    raise refusal(kind, answer) or _unclear_push(answer)


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
        _raise_query_fault(kind, answer)
    told = QueryAnswer.model_validate(answer.fields)
    if not told.result_code:
        raise _senseless(answer)
    return _report(told, answer, checkout_request_id)


def _raise_query_fault(kind: FaultKind, answer: WireAnswer) -> NoReturn:
    if kind is FaultKind.THROTTLED:
        raise throttle(answer)
    if kind is FaultKind.PROMPT_OPEN:
        raise _senseless(answer)
    raise refusal(kind, answer) or _senseless(answer)


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


def _unclear_push(answer: WireAnswer) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "daraja.unclear_answer", f"The phone may have been prompted; the answer does not say. ({answer})"
    )


def _senseless(answer: WireAnswer) -> UnavailableError:
    return UnavailableError(
        Reason.UNREACHABLE,
        f"M-Pesa gave no answer of use; HTML comes from a firewall or an outage. ({answer})",
        retry_after_seconds=answer.retry_after_seconds,
    )
