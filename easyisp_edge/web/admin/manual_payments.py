"""The back office: money that people take and write down."""

from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from pydantic import Field

from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.manual_payments import Listed, ManualPayments, TakenByHand
from easyisp_edge.web.admin.models import (
    LIMIT_MAX,
    ApiModel,
    Instant,
    Key,
    MaybeLine,
    Shillings,
    SumOfShillings,
)
from easyisp_edge.web.admin.operations import Call, operation

Method = Literal["CASH", "BANK_TRANSFER", "CARD", "OTHER"]
Status = Literal["COMPLETED", "REFUNDED"]

KEY_HEADER = "Idempotency-Key"
_PAGE_MAX = 100_000
_KEY_LENGTH_MAX = 64


class ManualQuery(ApiModel):
    """Which page of what was taken."""

    page: int = Field(default=1, ge=1, le=_PAGE_MAX)
    page_size: int = Field(default=20, ge=1, le=LIMIT_MAX)


class PayingCustomer(ApiModel):
    """Whose credit it is."""

    id: str
    name: str = Field(description="The phone number, else the device; empty where neither is known.")


class ManualPayment(ApiModel):
    """Money that somebody took."""

    id: str
    amount: Shillings
    method: Method
    description: str | None
    status: Status
    customer: PayingCustomer | None
    created_at: Instant


class ManualPaymentList(ApiModel):
    """A page of what was taken, newest first."""

    transactions: list[ManualPayment]
    total: int
    page: int
    page_size: int


class NewManualPayment(ApiModel):
    """Money that was taken from a customer."""

    customer_id: Key
    amount: Shillings = Field(description="More than 0.")
    method: Method = "CASH"
    description: MaybeLine = None
    idempotency_key: Key | None = Field(
        default=None,
        description="Names this one payment: sent again under it, it is booked once. Or as the header Idempotency-Key.",
    )


class RecordedPayment(ApiModel):
    """A payment as it was booked."""

    id: str
    amount: Shillings
    method: Method
    status: Status


class ClearedPayments(ApiModel):
    """What clearing did."""

    success: bool
    cleared_count: int
    cleared_amount: SumOfShillings
    kept_count: int = Field(description="Those of which the customer has spent: they stay as they are.")


@dataclass(frozen=True, slots=True)
class ManualPaymentsArea:
    """Money that people take and write down."""

    manual: ManualPayments

    @operation(
        "GET",
        "/api/payments/manual",
        needs=Permission.PAYMENTS_VIEW_MANUAL,
        query=ManualQuery,
        answers=ManualPaymentList,
    )
    async def list_manual_payments(self, call: Call) -> ManualPaymentList:
        """Money that people took, newest first."""
        asked = call.query(ManualQuery)
        found = await self.manual.page(call.tenant_id, asked.page, asked.page_size)
        transactions = [_listed(each) for each in found.rows]
        return ManualPaymentList(
            transactions=transactions, total=found.total, page=asked.page, page_size=asked.page_size
        )

    @operation(
        "POST",
        "/api/payments/manual",
        needs=Permission.PAYMENTS_RECORD_MANUAL,
        body=NewManualPayment,
        answers=RecordedPayment,
        status=201,
        refusals=(409,),
    )
    async def record_manual_payment(self, call: Call) -> RecordedPayment:
        """Write down money that was taken from a customer: it is credit in the wallet.

        Sent again under the same key, it is booked once and answered the same; under a key that stands for another
        payment it is refused.
        """
        new = call.body(NewManualPayment)
        taken = TakenByHand(
            new.customer_id, new.amount, PaymentMethod(new.method), new.description or "", _key(call.request, new)
        )
        payment = await self.manual.record(call.tenant_id, taken, call.by)
        return RecordedPayment(
            id=payment.payment_id, amount=payment.amount, method=_method(payment), status=_status(payment)
        )

    @operation("DELETE", "/api/payments/manual", needs=Permission.PAYMENTS_CLEAR_MANUAL, answers=ClearedPayments)
    async def clear_manual_payments(self, call: Call) -> ClearedPayments:
        """Take back all that people wrote down until now, out of the wallets too.

        The payments are marked as refunded and stay in the list. Those of which the customer has spent stay as they
        are, and are counted.
        """
        cleared = await self.manual.clear(call.tenant_id, call.by)
        return ClearedPayments(
            success=True, cleared_count=cleared.count, cleared_amount=cleared.amount, kept_count=cleared.kept
        )


def _key(request: web.Request, new: NewManualPayment) -> str | None:
    told = request.headers.get(KEY_HEADER)
    if not told:
        return new.idempotency_key
    if len(told) > _KEY_LENGTH_MAX or not told.isprintable():
        message = f"A key is a line of at most {_KEY_LENGTH_MAX} characters."
        raise InvalidError("request.invalid", message, field=KEY_HEADER)
    return told


def _listed(listed: Listed) -> ManualPayment:
    payment = listed.payment
    known = payment.customer_id is not None
    return ManualPayment(
        id=payment.payment_id,
        amount=payment.amount,
        method=_method(payment),
        description=payment.description or None,
        status=_status(payment),
        customer=PayingCustomer(id=str(payment.customer_id), name=listed.customer_name) if known else None,
        created_at=payment.created_at,
    )


def _method(payment: Payment) -> Method:
    return payment.method.value  # type: ignore[return-value]  # the books hold no other of what people took


def _status(payment: Payment) -> Status:
    return "REFUNDED" if payment.disposition is Disposition.REFUNDED else "COMPLETED"
