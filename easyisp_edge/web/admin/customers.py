"""The back office: customers, what they have in the wallet, and what they bought."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.domain.values import MacAddress, phone_prefix
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.customers_desk import CustomersDesk, ListedCustomer, ShownCustomer
from easyisp_edge.store.customers import CustomersSought
from easyisp_edge.web.admin.grants import Connection, ShownGrantModel, grant_model
from easyisp_edge.web.admin.identities import Device, Phone
from easyisp_edge.web.admin.models import (
    ApiModel,
    CursorQuery,
    Instant,
    Listed,
    Shillings,
    SumOfShillings,
    next_cursor,
)
from easyisp_edge.web.admin.operations import Call, operation

_COUNTRY = "254"
_MAC_DIGITS = 12


class CustomersQuery(CursorQuery):
    """Which customers; what is left out is any."""

    phone: Phone | None = Field(default=None, description="Who has that number.")
    search: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] | None = Field(
        default=None, description="The first digits of a phone number, or the whole address of a device."
    )


class CustomerModel(ApiModel):
    """A customer."""

    id: str
    name: str = Field(description="The phone number, else the device; empty where neither is known.")
    phone: Phone | None
    connection_type: Connection
    last_mac: Device | None = Field(description="The device they last paid from.")
    wallet_balance: SumOfShillings
    total_spent: SumOfShillings
    created_at: Instant


class CustomersPayment(ApiModel):
    """What a customer paid."""

    id: str
    amount: Shillings
    method: PaymentMethod
    disposition: Disposition = Field(description="Where the money is.")
    transaction_id: str | None = Field(description="M-Pesa's receipt.")
    description: str
    created_at: Instant


class CustomerDetail(CustomerModel):
    """A customer, with what there is beside."""

    grants: list[ShownGrantModel] = Field(description="What they may use now, newest first.")
    payments: list[CustomersPayment] | None = Field(
        description="What they paid last, newest first; null for those who may not see payments."
    )


@dataclass(frozen=True)
class CustomersArea:
    """Customers.

    Args:
        desk: How they are read.
    """

    desk: CustomersDesk

    @operation(
        "GET", "/api/customers", needs=Permission.HOTSPOT_VIEW, query=CustomersQuery, answers=Listed[CustomerModel]
    )
    async def list_customers(self, call: Call) -> Listed[CustomerModel]:
        """Customers, those who came last first."""
        query = call.query(CustomersQuery)
        page = await self.desk.page(call.tenant_id, _sought(query), limit=query.limit, after=query.after)
        return Listed(items=[CustomerModel(**_told(each)) for each in page.rows], next_cursor=next_cursor(page))

    @operation("GET", "/api/customers/{id}", needs=Permission.HOTSPOT_DETAILS_VIEW, answers=CustomerDetail)
    async def show_customer(self, call: Call) -> CustomerDetail:
        """One customer, with what they may use now and what they paid last."""
        shown = await self.desk.one(call.tenant_id, call.path("id"))
        sees_payments = Permission.PAYMENTS_VIEW_ELECTRONIC in call.caller.permissions
        return _detail(shown, sees_payments=sees_payments)


def _sought(query: CustomersQuery) -> CustomersSought:
    """What a search means.

    Raises:
        InvalidError: It is neither the beginning of a phone number nor a device.
    """
    if not query.search:
        return CustomersSought(phone=query.phone)
    if query.phone is not None:
        raise InvalidError("request.invalid", "Give a phone number or a search: one of them.", field="search")
    digits = re.sub(r"[\s\-().]", "", query.search)
    is_phone = re.fullmatch(r"\+?[0-9]{1,16}", digits, re.ASCII)
    if is_phone and (len(digits) != _MAC_DIGITS or digits.startswith(_COUNTRY)):
        return CustomersSought(phone_begins=phone_prefix(digits))
    try:
        return CustomersSought(mac=MacAddress.parse(query.search))
    except InvalidError:
        message = "Search by the first digits of a phone number, or by the whole address of a device."
        raise InvalidError("search.unreadable", message, field="search") from None


def _told(listed: ListedCustomer) -> dict[str, Any]:
    customer = listed.customer
    return {
        "id": customer.customer_id,
        "name": customer.name,
        "phone": customer.phone,
        "connection_type": "HOTSPOT" if customer.service is Service.HOTSPOT else "PPPOE",
        "last_mac": customer.last_mac,
        "wallet_balance": listed.credit,
        "total_spent": customer.total_spent,
        "created_at": customer.created_at,
    }


def _detail(shown: ShownCustomer, *, sees_payments: bool) -> CustomerDetail:
    payments = [_payment(each) for each in shown.payments] if sees_payments else None
    return CustomerDetail(**_told(shown.listed), grants=[grant_model(each) for each in shown.grants], payments=payments)


def _payment(payment: Payment) -> CustomersPayment:
    return CustomersPayment(
        id=payment.payment_id,
        amount=payment.amount,
        method=payment.method,
        disposition=payment.disposition,
        transaction_id=payment.mpesa_receipt_number,
        description=payment.description,
        created_at=payment.created_at,
    )
