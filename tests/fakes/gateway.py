"""A payment gateway that does as it is told, and the statements one makes about a push."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.domain.payments import EvidenceSource, Outcome, PaymentReport, PromptAccepted, Reason
from easyisp_edge.domain.values import Money, Msisdn

if TYPE_CHECKING:
    from easyisp_edge.domain.payments import StkPush
    from easyisp_edge.errors import EdgeError

CHECKOUT = "ws_CO_1"
MERCHANT = "29115-1"
RECEIPT = "SKL41A2B3C"
PAYER = Msisdn("254712345678")


class FakeGateway:
    """A `PaymentGateway`: accepts each push with an id of its own unless told to refuse, fail or be late."""

    def __init__(self) -> None:
        self.pushes: list[StkPush] = []
        self.queries: list[str] = []
        self.push_answers: deque[PromptAccepted | EdgeError] = deque()
        self.query_answers: deque[PaymentReport | EdgeError] = deque()
        self.open = asyncio.Event()
        self.open.set()
        self.turns = asyncio.Event()
        self.turns.set()

    def hold(self) -> None:
        """Answer late: not before `open` is set again."""
        self.open.clear()

    async def stk_push(self, push: StkPush) -> PromptAccepted:
        self.pushes.append(push)
        number = len(self.pushes)
        await self.open.wait()
        answer = self.push_answers.popleft() if self.push_answers else accepted(f"ws_CO_{number}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def query_turn(self) -> None:
        await self.turns.wait()

    async def stk_query(self, checkout_request_id: str) -> PaymentReport:
        self.queries.append(checkout_request_id)
        await self.open.wait()
        answer = self.query_answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


def accepted(checkout: str = CHECKOUT) -> PromptAccepted:
    """The answer to a push that was taken."""
    return PromptAccepted(checkout, MERCHANT, b'{"ResponseCode": "0"}')


def callback_paid(
    *,
    checkout: str | None = CHECKOUT,
    receipt: str | None = RECEIPT,
    amount: Money | None = Money(1000),  # noqa: B008 - frozen
    phone: Msisdn | None = PAYER,
    source: EvidenceSource = EvidenceSource.STK_CALLBACK,
) -> PaymentReport:
    """What is posted when the customer paid; with a source of `STK_CALLBACK_BARE`, what anybody may post."""
    return PaymentReport(
        source=source,
        outcome=Outcome.PAID,
        reason=None,
        result_code="0",
        result_description="The service request is processed successfully.",
        checkout_request_id=checkout,
        merchant_request_id=MERCHANT,
        amount=amount,
        mpesa_receipt_number=receipt,
        phone=phone,
        paid_at=None,
        raw=b'{"Body": {"stkCallback": {"ResultCode": 0}}}',
    )


def not_paid(
    source: EvidenceSource, reason: Reason = Reason.CANCELLED, code: str = "1032", checkout: str | None = CHECKOUT
) -> PaymentReport:
    """What is said when the customer did not pay, by callback or query."""
    return _bare_report(source, Outcome.NOT_PAID, reason, code, checkout)


def query_paid(checkout: str | None = CHECKOUT) -> PaymentReport:
    """A query's answer when the customer paid: no receipt, no amount."""
    return _bare_report(EvidenceSource.STK_QUERY, Outcome.PAID, None, "0", checkout)


def query_unknown(checkout: str | None = CHECKOUT) -> PaymentReport:
    """A query's answer while the customer has the prompt on the phone."""
    return _bare_report(EvidenceSource.STK_QUERY, Outcome.UNKNOWN, None, "4999", checkout)


def _bare_report(
    source: EvidenceSource, outcome: Outcome, reason: Reason | None, code: str, checkout: str | None
) -> PaymentReport:
    return PaymentReport(
        source=source,
        outcome=outcome,
        reason=reason,
        result_code=code,
        result_description=f"Result {code}",
        checkout_request_id=checkout,
        merchant_request_id=MERCHANT,
        amount=None,
        mpesa_receipt_number=None,
        phone=None,
        paid_at=None,
        raw=f'{{"ResultCode": "{code}"}}'.encode(),
    )
