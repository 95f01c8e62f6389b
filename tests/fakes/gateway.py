"""A payment gateway that does as it is told, and the statements one makes about a push."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import (
    EvidenceSource,
    MoneyRecord,
    Outcome,
    PaymentReport,
    PromptAccepted,
    Reason,
)
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.payments import StkPush
    from easyisp_edge.errors import EdgeError

CHECKOUT = "ws_CO_1"
MERCHANT = "29115-1"
RECEIPT = "SKL41A2B3C"
PAYER = Msisdn("254712345678")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)  # one black pixel


class FakeGateway:
    """A `PaymentGateway`: does what it is asked unless told to refuse, fail or be late.

    Accepts each push with an id of its own; lists the `records` of the span asked for, those without a time always.
    """

    def __init__(self) -> None:
        self.pushes: list[StkPush] = []
        self.queries: list[str] = []
        self.push_answers: deque[PromptAccepted | EdgeError] = deque()
        self.query_answers: deque[PaymentReport | EdgeError] = deque()
        self.records: list[MoneyRecord] = []
        self.pulls: list[tuple[datetime, datetime]] = []
        self.pull_answers: deque[list[MoneyRecord] | EdgeError] = deque()  # first these, then from `records`
        self.pull_registrations: list[tuple[Msisdn, str]] = []
        self.url_registrations: list[tuple[str, str]] = []
        self.checks = 0
        self.check_answers: deque[EdgeError] = deque()
        self.qr_orders: list[tuple[str, str, Money, int]] = []
        self.set_up_answers: deque[EdgeError] = deque()  # to registrations and orders of codes
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

    async def check_credentials(self) -> None:
        self.checks += 1
        await self.open.wait()
        if self.check_answers:
            raise self.check_answers.popleft()

    async def query_turn(self) -> None:
        await self.turns.wait()

    async def stk_query(self, checkout_request_id: str) -> PaymentReport:
        self.queries.append(checkout_request_id)
        await self.open.wait()
        answer = self.query_answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pull_transactions(self, since: datetime, until: datetime) -> list[MoneyRecord]:
        self.pulls.append((since, until))
        await self.open.wait()
        answer = self.pull_answers.popleft() if self.pull_answers else self._listed(since, until)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _listed(self, since: datetime, until: datetime) -> list[MoneyRecord]:
        return [record for record in self.records if record.paid_at is None or since <= record.paid_at <= until]

    async def register_pull(self, nominated: Msisdn, callback_url: str) -> None:
        await self._set_up()
        self.pull_registrations.append((nominated, callback_url))

    async def register_urls(self, confirmation_url: str, validation_url: str) -> None:
        await self._set_up()
        if self.url_registrations:
            raise RefusedError("c2b.registered", "Addresses are registered already.")
        self.url_registrations.append((confirmation_url, validation_url))

    async def dynamic_qr(self, *, merchant_name: str, reference: str, amount: Money, pixels: int) -> bytes:
        await self._set_up()
        self.qr_orders.append((merchant_name, reference, amount, pixels))
        return PNG

    async def _set_up(self) -> None:
        await self.open.wait()
        if self.set_up_answers:
            raise self.set_up_answers.popleft()


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


def money_record(
    *,
    receipt: str = RECEIPT,
    amount: Money = Money(1000),  # noqa: B008 - frozen
    account: str = "",
    payer: Payer = Payer(phone=PAYER),  # noqa: B008 - frozen
    paid_at: datetime | None = None,
    source: EvidenceSource = EvidenceSource.PULL,
) -> MoneyRecord:
    """Money in the receiver's books: a row of the list, or with a source of `C2B` a confirmation."""
    return MoneyRecord(source, receipt, amount, account, payer, paid_at, f'{{"transactionId": "{receipt}"}}'.encode())


def unavailable(code: str = Reason.UNREACHABLE) -> UnavailableError:
    """What a gateway raises that is not reached, or has no answer of use."""
    return UnavailableError(code, "No answer of use.")


def refused(code: str = Reason.CONFIGURATION) -> RefusedError:
    """What a gateway raises that is set up wrongly."""
    return RefusedError(code, "The set-up is refused.")


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
