"""The back office: money that comes in by M-Pesa, what was tried, and what nobody knows the purpose of."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from easyisp_edge.domain.grants import Grant, GrantState
from easyisp_edge.domain.payments import Disposition, Reason
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.payment_lists import PaymentLists, Span, Wanted
from easyisp_edge.services.back_office.staff_desk import ForCustomer, Handled, StaffDesk
from easyisp_edge.services.back_office.statistics import StatisticsService
from easyisp_edge.store.payment_lists import ListedPayment, ListStatus
from easyisp_edge.web.admin.models import (
    LIMIT_MAX,
    ApiModel,
    CursorQuery,
    Instant,
    Line,
    Listed,
    MaybeKey,
    MaybeLine,
    Shillings,
    SumOfShillings,
    next_cursor,
    read_cursor,
)
from easyisp_edge.web.admin.operations import Call, operation
from easyisp_edge.web.admin.payment_export import MEDIA_TYPE, stream

_PAGE_MAX = 1_000_000
_SEARCH_LENGTH_MAX = 64
_DAY = re.compile(r"2\d{3}-\d\d-\d\d", re.ASCII)


def _small(value: Any) -> Any:
    """Front ends send statuses in capitals, too."""
    return value.lower() if isinstance(value, str) else value


def _day(value: Any) -> Any:
    """A day and nothing else: no instant, and no number of seconds."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise PydanticCustomError("day", "must be a day of this millennium, such as 2026-01-31")
    return value


Status = Annotated[ListStatus, BeforeValidator(_small)]
MoneyStatus = Annotated[Literal["completed", "refunded"], BeforeValidator(_small)]
Day = Annotated[date, BeforeValidator(_day)]


class ElectronicQuery(ApiModel):
    """Which page of the list."""

    page: int = Field(default=1, ge=1, le=_PAGE_MAX, description="Its number; passed over where there is a cursor.")
    page_size: int = Field(default=20, ge=1, le=LIMIT_MAX, description="How many rows at most.")
    status: Status | None = Field(
        default=None,
        description="Money that came in (completed, refunded; both where left out), or attempts to pay that are not"
        " paid (pending, failed, expired).",
    )
    search: str = Field(
        default="",
        max_length=_SEARCH_LENGTH_MAX,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The beginning of a receipt, of a phone number as people type it, or of an account. Among"
        " attempts: of a phone number, or a whole pay code.",
    )
    cursor: str | None = Field(default=None, max_length=200, description="`nextCursor` of the page before.")

    @property
    def wanted(self) -> Wanted:
        """The same for the service.

        Raises:
            InvalidError: The cursor is none of ours.
        """
        after = None if self.cursor is None else read_cursor(self.cursor)
        skipped = (self.page - 1) * self.page_size
        return Wanted(self.page_size, self.status, self.search.strip(), skipped, after)


class TransactionCustomer(ApiModel):
    """Whose money it is."""

    id: str
    name: str = Field(description="The phone number, else the device; empty where neither is known.")


class Transaction(ApiModel):
    """Money that came in, or an attempt to pay."""

    id: str = Field(description="Of an attempt: its pay code.")
    transaction_id: str | None = Field(description="The receipt; null for attempts, and until a source tells it.")
    amount: Shillings
    phone: str | None = Field(description="Who paid, or was asked to, such as 254712345678.")
    account: str
    status: ListStatus
    customer: TransactionCustomer | None
    created_at: Instant
    gateway_id: str
    disposition: Disposition | None = Field(description="Where the money went; null for attempts.")
    description: str
    reason: Reason | None = Field(description="Why an attempt failed.")
    explanation: str = Field(description="M-Pesa's own words for that; often empty.")

    @classmethod
    def of(cls, line: ListedPayment) -> "Transaction":
        """A line of a list."""
        owner = line.customer
        return cls(
            id=line.key,
            transaction_id=line.transaction_id,
            amount=line.amount,
            phone=None if line.phone is None else line.phone.digits,
            account=line.account,
            status=line.status,
            customer=None if owner is None else TransactionCustomer(id=owner.customer_id, name=owner.name),
            created_at=line.created_at,
            gateway_id=line.gateway_id,
            disposition=line.disposition,
            description=line.description,
            reason=line.reason,
            explanation=line.explanation,
        )


class TransactionList(ApiModel):
    """A page of the list, newest first."""

    transactions: list[Transaction]
    total: int = Field(description="How many rows the list has.")
    total_is_exact: bool = Field(description="False where a search has more rows than are looked at: type more.")
    page: int
    page_size: int
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class MpesaStatisticsAnswer(ApiModel):
    """What came in by M-Pesa, by the days of Nairobi."""

    today_received: SumOfShillings = Field(description="Without what was given back since.")
    today_transactions: int
    this_month_received: SumOfShillings
    this_month_transactions: int
    success_rate: float = Field(description="Per cent of this month's decided attempts that were paid, to a tenth.")
    pending_confirmations: int = Field(description="Attempts of which nothing final is known.")
    last_sync: Instant | None = Field(description="When M-Pesa last told of money, or its list was last read.")


class Assignment(ApiModel):
    """What unmatched money is for: the purchase with a pay code, or a customer."""

    code: MaybeLine = Field(default=None, description="The pay code; or else the phone number.")
    phone: MaybeLine = Field(default=None, description="The customer's number.")
    package_id: MaybeKey = Field(default=None, description="What it buys; left out, it is credit.")
    mac: MaybeLine = Field(default=None, description="The customer's device.")

    @property
    def customer(self) -> ForCustomer:
        """The customer, where no code is given.

        Raises:
            InvalidError: There is no usable phone number, or the device's address is none.
        """
        if self.phone is None:
            raise InvalidError("payments.for_whom", "Say the pay code it is for, or the phone number.", field="code")
        return ForCustomer(
            Msisdn.parse(self.phone), self.package_id, None if self.mac is None else MacAddress.parse(self.mac)
        )


class AssignedGrant(ApiModel):
    """The right to be online that money bought."""

    id: str
    state: GrantState
    seconds_left: int
    mac: str | None
    username: str

    @classmethod
    def of(cls, grant: Grant) -> "AssignedGrant":
        """A grant, without its password."""
        return cls(
            id=grant.grant_id,
            state=grant.state,
            seconds_left=grant.seconds_left,
            mac=None if grant.mac is None else grant.mac.text,
            username=grant.username,
        )


class Assigned(ApiModel):
    """What became of unmatched money."""

    payment: Transaction
    grant: AssignedGrant | None


class Refund(ApiModel):
    """That money was given back, outside of this box."""

    note: Line = Field(description="Why and how, for whoever reads the books.")


class ExportQuery(ApiModel):
    """Which payments."""

    first: Day | None = Field(default=None, alias="from", description="The first day; left out: since ever.")
    last: Day | None = Field(default=None, alias="to", description="The last day; left out: until now.")
    status: MoneyStatus | None = Field(default=None, description="Left out: both.")

    @property
    def name(self) -> str:
        """A name for the file."""
        days = [str(day) for day in (self.first, self.last) if day is not None]
        return "_".join(["payments", *days]) + ".csv"


@dataclass(frozen=True)
class PaymentsArea:
    """Payments.

    Args:
        lists: What came in, and what was tried.
        statistics: How it goes.
        desk: What staff may do about it.
    """

    lists: PaymentLists
    statistics: StatisticsService
    desk: StaffDesk

    @operation(
        "GET",
        "/api/payments/electronic",
        needs=Permission.PAYMENTS_VIEW_ELECTRONIC,
        query=ElectronicQuery,
        answers=TransactionList,
    )
    async def list_electronic_payments(self, call: Call) -> TransactionList:
        """M-Pesa's payments, or attempts to pay, newest first.

        What was found to be the same money as another payment is left out.
        """
        query = call.query(ElectronicQuery)
        found = await self.lists.electronic(call.tenant_id, query.wanted)
        return TransactionList(
            transactions=[Transaction.of(line) for line in found.page.rows],
            total=found.total,
            total_is_exact=found.exact,
            page=query.page,
            page_size=query.page_size,
            next_cursor=next_cursor(found.page),
        )

    @operation(
        "GET",
        "/api/payments/mpesa",
        needs=Permission.PAYMENTS_VIEW_ELECTRONIC,
        query=ElectronicQuery,
        answers=TransactionList,
    )
    async def list_mpesa_payments(self, call: Call) -> TransactionList:
        """The same as /api/payments/electronic, by its older name."""
        return await self.list_electronic_payments(call)

    @operation(
        "GET",
        "/api/payments/mpesa/stats",
        needs=Permission.PAYMENTS_VIEW_ELECTRONIC,
        answers=MpesaStatisticsAnswer,
    )
    async def show_mpesa_statistics(self, call: Call) -> MpesaStatisticsAnswer:
        """What came in by M-Pesa today and this month, and how attempts go."""
        found = await self.statistics.mpesa(call.tenant_id)
        return MpesaStatisticsAnswer(
            today_received=found.today.amount,
            today_transactions=found.today.payments,
            this_month_received=found.month.amount,
            this_month_transactions=found.month.payments,
            success_rate=found.success_percent,
            pending_confirmations=found.pending,
            last_sync=found.last_heard_at,
        )

    @operation(
        "GET",
        "/api/payments/unmatched",
        needs=Permission.PAYMENTS_VIEW_ELECTRONIC,
        query=CursorQuery,
        answers=Listed[Transaction],
    )
    async def list_unmatched_payments(self, call: Call) -> Listed[Transaction]:
        """Money nobody knows the purpose of, newest first."""
        query = call.query(CursorQuery)
        page = await self.lists.unmatched(call.tenant_id, query.after, query.limit)
        return Listed(items=[Transaction.of(line) for line in page.rows], next_cursor=next_cursor(page))

    @operation(
        "POST",
        "/api/payments/unmatched/{id}/assign",
        needs=Permission.PAYMENTS_ASSIGN,
        body=Assignment,
        answers=Assigned,
        refusals=(409,),
    )
    async def assign_payment(self, call: Call) -> Assigned:
        """Say what unmatched money is for.

        With a pay code it counts for that purchase. With a phone number it buys the package named, where it and the
        customer's wallet cover that; else it is credit.
        """
        handled = await self._assign(call, call.body(Assignment))
        grant = None if handled.grant is None else AssignedGrant.of(handled.grant)
        return Assigned(payment=self._line(call, handled.payment.payment_id), grant=grant)

    @operation(
        "POST",
        "/api/payments/{id}/refund",
        needs=Permission.PAYMENTS_REFUND,
        body=Refund,
        answers=Transaction,
        refusals=(409,),
    )
    async def refund_payment(self, call: Call) -> Transaction:
        """Note that money was given back outside of this box: unmatched money, or credit of which nothing is spent."""
        note = call.body(Refund).note
        payment = await self.desk.refund(call.path("id"), note, call.by, tenant_id=call.tenant_id)
        return self._line(call, payment.payment_id)

    @operation(
        "GET",
        "/api/payments/export.csv",
        needs=Permission.PAYMENTS_EXPORT,
        query=ExportQuery,
        answers=str,
        media_type=MEDIA_TYPE,
    )
    async def export_payments(self, call: Call) -> web.StreamResponse:
        """All payments of some days by whatever method, oldest first, as CSV.

        Days are Nairobi's, both included. Amounts are shillings with two decimals; times have their zone. A text that
        a spreadsheet would run (it begins with =, +, -, @, a tab or a line's end) has an apostrophe before it.
        """
        query = call.query(ExportQuery)
        status = None if query.status is None else ListStatus(query.status)
        batches = self.lists.booked(call.tenant_id, Span(query.first, query.last), status)
        return await stream(call.request, query.name, batches)

    async def _assign(self, call: Call, wanted: Assignment) -> Handled:
        key, by, tenant_id = call.path("id"), call.by, call.tenant_id
        if wanted.code is None:
            return await self.desk.assign_to_customer(key, wanted.customer, by, tenant_id=tenant_id)
        if wanted.phone is not None:
            raise InvalidError("payments.for_whom", "Say the pay code or the phone number, not both.", field="code")
        return await self.desk.assign_to_purchase(key, wanted.code, by, tenant_id=tenant_id)

    def _line(self, call: Call, payment_id: str) -> Transaction:
        return Transaction.of(self.lists.line(call.tenant_id, payment_id))
