"""Staff sort out by hand what nobody else can: they enter money they have seen, and say what money is for.

Whoever did it stands in the events, written in the same transaction. What staff say is strong evidence and is
judged as any other; here only stands what a person may do, and what is refused because the books say otherwise.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.mpesa_messages import read_pasted
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.pay_codes import read_pay_code
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import Disposition, EvidenceSource, MoneyRecord
from easyisp_edge.domain.purchases import PAID_WITHIN
from easyisp_edge.domain.receipts import lookalikes, parse_receipt
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.corrections import refund_credit
from easyisp_edge.services.money.judgement import Receiver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Money, Msisdn
    from easyisp_edge.services.money.booking import Bookkeeper
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

NOTE_LENGTH_MAX = 200
LISTED_MAX = 500


class SeenMoney(NamedTuple):
    """Money that staff saw come in.

    Args:
        text: Its receipt, or the message it came in.
        amount: How much staff saw.
        phone: Who paid, where staff can tell.
        account: What the payer typed as account, where staff can tell.
        sure: Whether it is another payment than one whose receipt looks nearly the same.
    """

    text: str
    amount: Money
    phone: Msisdn | None = None
    account: str = ""
    sure: bool = False


class ForCustomer(NamedTuple):
    """Whom unmatched money is for.

    Args:
        phone: The customer.
        package_id: What it is to buy; None for credit.
        mac: The device, where known.
    """

    phone: Msisdn
    package_id: str | None = None
    mac: MacAddress | None = None


class Handled(NamedTuple):
    """What became of money.

    Args:
        payment: As it stands now.
        grant: What it led to, where to any.
    """

    payment: Payment
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class StaffDesk:
    """What staff may do about money.

    Args:
        settlement: How money is judged; its store is used.
        shelf: What is on sale.
        site: Who sells, by which gateways.
    """

    settlement: SettlementService
    shelf: Shelf
    site: Site

    async def payments(self, tenant_id: str | None, *, unmatched: bool, limit: int) -> list[Payment]:
        """What came in, newest first; of all tenants where none is named.

        Raises:
            NotFoundError: No such tenant.
        """
        tenant_ids = self._tenant_ids(tenant_id)

        def look(tables: Tables) -> list[Payment]:
            listed = tables.payments.unmatched if unmatched else tables.payments.recent
            found = [payment for each in tenant_ids for payment in listed(each, limit)]
            return sorted(found, key=lambda payment: payment.created_at, reverse=True)[:limit]

        return await self.settlement.store.survey(look)

    async def enter(self, seen: SeenMoney, *, tenant_id: str | None, gateway_id: str | None, by: str) -> Handled:
        """Book money that came in and that nobody else told of, by its receipt.

        Args:
            seen: The money.
            tenant_id: Who received it; None where that goes without saying.
            gateway_id: Through which gateway; None for the one that takes hotspot payments.
            by: Who says so.

        Raises:
            InvalidError: The receipt or the amount cannot be right, or the tenant has to be named.
            NotFoundError: No such tenant or gateway.
            ConflictError: It is booked already: the message says as what.
        """
        receiver, record = self._receiver(tenant_id, gateway_id), staff_record(seen, by)
        handled = await self.settlement.store.write(lambda tx: self._enter(tx, receiver, record, by, sure=seen.sure))
        self._tell(handled.payment, f"entered by {by}")
        return handled

    async def assign_to_purchase(self, key: str, code: str, by: str, *, tenant_id: str | None = None) -> Handled:
        """Let unmatched money count for the purchase with a pay code.

        Args:
            key: The payment's id, or its receipt.
            code: The pay code, as people type it.
            by: Who says so.
            tenant_id: Whose payment it has to be; None for anybody's.

        Raises:
            InvalidError: It is no pay code.
            NotFoundError: No such payment, or no such purchase of the same tenant.
            ConflictError: The payment is not unmatched, or came for another purchase.
        """
        read = read_pay_code(code)
        if read is None:
            raise InvalidError("pay_code.unreadable", f"{code!r:.40} is no pay code such as ABC-DEFG.", field="code")
        handled = await self.settlement.store.write(
            lambda tx: self._assign_to_purchase(tx, _own(tx, key, tenant_id), read, by)
        )
        self._tell(handled.payment, f"assigned by {by}")
        return handled

    async def assign_to_customer(
        self, key: str, customer: ForCustomer, by: str, *, tenant_id: str | None = None
    ) -> Handled:
        """Give unmatched money to a customer: it buys the package, where it and the wallet cover that, else is credit.

        Args:
            key: The payment's id, or its receipt.
            customer: Whom it is for.
            by: Who says so.
            tenant_id: Whose payment it has to be; None for anybody's.

        Raises:
            NotFoundError: No such payment, or no such package on sale.
            ConflictError: The payment is not unmatched.
        """
        handled = await self.settlement.store.write(
            lambda tx: self._assign_to_customer(tx, _own(tx, key, tenant_id), customer, by)
        )
        self._tell(handled.payment, f"assigned by {by}")
        return handled

    async def refund(self, key: str, note: str, by: str, *, tenant_id: str | None = None) -> Payment:
        """Note that money was given back outside of this box: unmatched money, or credit of which nothing is spent.

        Args:
            key: The payment's id, or its receipt.
            note: Why and how, for whoever reads the books.
            by: Who gave it back.
            tenant_id: Whose payment it has to be; None for anybody's.

        Raises:
            InvalidError: There is no note, or it is too long.
            NotFoundError: No such payment.
            ConflictError: It bought something, was given back before, or is not in the wallet any more.
        """
        written = note.strip()
        if not written or not written.isprintable() or len(written) > NOTE_LENGTH_MAX:
            message = f"Say in a line of at most {NOTE_LENGTH_MAX} characters how the money was given back."
            raise InvalidError("refund.note", message, field="note")
        payment = await self.settlement.store.write(lambda tx: self._refund(tx, _own(tx, key, tenant_id), written, by))
        self._tell(payment, f"given back by {by}")
        return payment

    # --- within one transaction

    def _enter(self, tx: Tables, receiver: Receiver, record: MoneyRecord, by: str, *, sure: bool) -> Handled:
        _refuse_known(tx, receiver, record, sure=sure)
        verdict = self.settlement.judge(tx).settle_record(receiver, record)
        payment = _by_key(tx, record.mpesa_receipt_number)
        data = {
            "by": by,
            "receipt": record.mpesa_receipt_number,
            "amountCents": record.amount.cents,
            "phone": None if record.payer.phone is None else record.payer.phone.digits,
            "account": record.account,
            "verdict": verdict.value,
        }
        _note(tx, "staff.entered", payment.payment_id, data)
        return Handled(payment, _grant_of(tx, payment))

    def _assign_to_purchase(self, tx: Tables, payment: Payment, code: str, by: str) -> Handled:
        payment, purchase = _unmatched(payment), tx.purchases.by_account_reference(code)
        if purchase is None or purchase.tenant_id != payment.tenant_id:
            raise NotFoundError("purchase.unknown", f"Nobody who sells here gave the pay code {code} to a customer.")
        if payment.purchase_id not in {None, purchase.purchase_id}:
            message = "This money came for another purchase. Give it to the customer by phone number instead."
            raise ConflictError("payment.of_other", message)
        verdict = self.settlement.judge(tx).assign(payment, purchase)
        data = {"by": by, "code": code, "verdict": verdict.value}
        _note(tx, "staff.assigned", payment.payment_id, data)
        assigned = _by_key(tx, payment.payment_id)
        return Handled(assigned, _grant_of(tx, assigned))

    def _assign_to_customer(self, tx: Tables, payment: Payment, customer: ForCustomer, by: str) -> Handled:
        payment, judge, version = _unmatched(payment), self.settlement.judge(tx), None
        if customer.package_id is not None:
            version = self.shelf.version(payment.tenant_id, customer.package_id)
        own = _own_purchase(judge.books, payment, customer, version)
        if own is None:
            grant = _buy(judge.books, payment, _buyer(payment, customer, version), version)
        else:
            judge.assign(payment, own)
            grant = tx.grants.by_purchase(own.purchase_id)
        data = {
            "by": by,
            "phone": customer.phone.digits,
            "package": customer.package_id,
            "mac": None if customer.mac is None else customer.mac.text,
            "grant": None if grant is None else grant.grant_id,
        }
        _note(tx, "staff.assigned", payment.payment_id, data)
        return Handled(_by_key(tx, payment.payment_id), grant)

    def _refund(self, tx: Tables, payment: Payment, note: str, by: str) -> Payment:
        books = self.settlement.judge(tx).books
        if payment.disposition is Disposition.UNMATCHED:
            given_back = books.refund(payment)
        elif payment.disposition is Disposition.WALLET:
            given_back = refund_credit(books, payment)
        else:
            raise booked_already(payment)
        described = replace(given_back, description=f"Given back: {note}")
        tx.payments.update(described)
        _note(tx, "staff.refunded", payment.payment_id, {"by": by, "note": note})
        return described

    # --- who and where

    def _tenant_ids(self, tenant_id: str | None) -> list[str]:
        config = self.site.config
        return [tenant.id for tenant in config.tenants] if tenant_id is None else [config.tenant(tenant_id).id]

    def _receiver(self, tenant_id: str | None, gateway_id: str | None) -> Receiver:
        config = self.site.config
        if gateway_id is None:
            named = self.site.named_tenant(tenant_id)
            gateway = config.gateway_for(named, Service.HOTSPOT)
        else:
            gateway = config.gateway(gateway_id)
        if gateway is None or tenant_id not in {None, gateway.tenant}:
            raise NotFoundError("gateway.missing", "No such gateway takes this tenant's money.")
        return Receiver(gateway.tenant, gateway.id)

    def _tell(self, payment: Payment, what: str) -> None:
        log.info("%s, %s: %s", payment.mpesa_receipt_number or payment.payment_id, what, payment.disposition)
        self.settlement.granted(payment.tenant_id)


def staff_record(seen: SeenMoney, by: str) -> MoneyRecord:
    """What staff saw, as a statement about money.

    Raises:
        InvalidError: There is no usable receipt, or no amount, or the message tells another amount.
    """
    pasted = read_pasted(seen.text)
    if not seen.amount.cents:
        raise InvalidError("money.nothing", "The amount has to be more than nothing.", field="amount")
    if pasted.amount is not None and pasted.amount != seen.amount:
        message = f"The message says {pasted.amount}, and the amount you gave is {seen.amount}. Look again."
        raise InvalidError("money.differs", message, field="amount")
    account = seen.account or pasted.account
    said = {
        "receipt": pasted.receipt,
        "amount": str(seen.amount),
        "phone": None if seen.phone is None else seen.phone.digits,
        "account": account,
        "by": by,
    }
    return MoneyRecord(
        source=EvidenceSource.STAFF,
        mpesa_receipt_number=pasted.receipt,
        amount=seen.amount,
        account=account,
        payer=Payer(phone=seen.phone),
        paid_at=None,
        raw=json.dumps(said).encode(),
    )


def booked_already(payment: Payment) -> ConflictError:
    """Why nothing can be done with a payment: what it is booked as."""
    where = {
        Disposition.GRANT: f"it bought {payment.description}",
        Disposition.WALLET: "it is credit in a customer's wallet",
        Disposition.UNMATCHED: "nobody has said yet what it is for: assign it",
        Disposition.REFUNDED: "it was given back",
        Disposition.MERGED: "it was found to be the same money as another payment, which counts",
    }[payment.disposition]
    name, day = payment.mpesa_receipt_number or "This payment", payment.created_at.astimezone(NAIROBI)
    message = f"{name} is booked already: {payment.amount} on {day:%d %b %Y}; {where}."
    return ConflictError("payment.booked", message, payment=payment.payment_id, disposition=payment.disposition.value)


def _refuse_known(tx: Tables, receiver: Receiver, record: MoneyRecord, *, sure: bool) -> None:
    booked = tx.payments.by_receipt(record.mpesa_receipt_number)
    if booked is not None and booked.tenant_id != receiver.tenant_id:
        message = f"{booked.mpesa_receipt_number} is booked already, by another business at this site."
        raise ConflictError("payment.booked", message)
    if booked is not None:
        raise booked_already(booked)
    for alike in () if sure else lookalikes(record.mpesa_receipt_number):
        booked = tx.payments.by_receipt(alike)
        if booked is not None and booked.amount == record.amount:
            message = (
                f"{alike} over the same amount is booked already, and differs only by letters that look alike."
                " Look again; say that you are sure if it is another payment."
            )
            raise ConflictError("payment.lookalike", message, payment=booked.payment_id)


def _by_key(tx: Tables, key: str) -> Payment:
    """A payment by our id or by its receipt, as people type it."""
    payment = tx.payments.by_id(key)
    if payment is None:
        try:
            payment = tx.payments.by_receipt(parse_receipt(key))
        except InvalidError:
            payment = None
    if payment is None:
        raise _unknown(key)
    return payment


def _own(tx: Tables, key: str, tenant_id: str | None) -> Payment:
    """The same; one of another tenant's is one that there is not."""
    payment = _by_key(tx, key)
    if tenant_id not in {None, payment.tenant_id}:
        raise _unknown(key)
    return payment


def _unknown(key: str) -> NotFoundError:
    return NotFoundError("payment.unknown", f"There is no payment {key!r:.40}, neither by id nor by receipt.")


def _unmatched(payment: Payment) -> Payment:
    if payment.disposition is not Disposition.UNMATCHED:
        raise booked_already(payment)
    return payment


def _grant_of(tx: Tables, payment: Payment) -> Grant | None:
    return tx.grants.by_payment(payment.payment_id)


def _buyer(payment: Payment, customer: ForCustomer, version: PackageVersion | None) -> Buyer:
    service = Service.HOTSPOT if version is None else version.package.service
    return Buyer(payment.tenant_id, service, customer.phone, customer.mac, None)


def _own_purchase(
    books: Bookkeeper, payment: Payment, customer: ForCustomer, version: PackageVersion | None
) -> Purchase | None:
    """The customer's own purchase the money must have been paid for: M-Pesa may have proven that, or prove it yet."""
    made = [
        each
        for each in books.tx.purchases.of_phone_since(customer.phone, payment.created_at - PAID_WITHIN)
        if (each.tenant_id, each.gateway_id, each.amount) == (payment.tenant_id, payment.gateway_id, payment.amount)
        and payment.purchase_id in {None, each.purchase_id}
    ]
    proven = next((each for each in made if books.nameless(each, payment.amount) is not None), None)
    if proven is not None or version is None:
        return proven
    wanted = [
        each for each in made if each.package_version_id == version.version_id and customer.mac in {None, each.mac}
    ]
    return next((each for each in wanted if books.tx.grants.by_purchase(each.purchase_id) is None), None)


def _buy(books: Bookkeeper, payment: Payment, buyer: Buyer, version: PackageVersion | None) -> Grant | None:
    # Money that was sent for a purchase must not stand as what settled it: it buys by way of the wallet.
    if version is not None and payment.purchase_id is None and payment.amount >= version.package.price:
        return books.sell(payment, buyer, version)[1]
    credited = books.credit(payment, buyer)
    if version is None or credited.customer_id is None:
        return None
    return books.sell_from_wallet(credited.customer_id, buyer, version)


def _note(tx: Tables, kind: str, key: str, data: Mapping[str, object]) -> None:
    tx.events.append(Stream.MONEY, kind, key, data)
