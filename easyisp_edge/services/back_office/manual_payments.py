"""Money that people take and write down: cash, a bank transfer, a card. It is credit in the customer's wallet.

Whoever wrote it down stands in the events, in the same transaction. It comes through no gateway and has no receipt of
M-Pesa's: nobody else will ever tell of it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.paging import Position
from easyisp_edge.domain.payments import NO_GATEWAY, PaymentMethod
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.money.booking import Told
from easyisp_edge.services.money.corrections import give_back_credit
from easyisp_edge.store.payment_lists import MONEY, midnight_of

if TYPE_CHECKING:
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.services.money.booking import Bookkeeper
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

# So few at a time that nobody who pays meanwhile waits for it.
CLEARED_PER_TRANSACTION = 50
_AFTER_ALL_KEYS = "~"
_BY_HAND = [method for method in PaymentMethod if method.by_hand]
_STATUSES = tuple(status.value for status in MONEY)
_ID_DIGITS = 32


class TakenByHand(NamedTuple):
    """Money somebody took from a customer.

    Args:
        customer_id: From whom.
        amount: How much; more than nothing.
        method: How; not by M-Pesa, whose money comes in by itself.
        description: What for, in a line of plain text; may be empty.
        key: Names this one record, so that it is booked once however often it is sent; None for no such name.
    """

    customer_id: str
    amount: Money
    method: PaymentMethod = PaymentMethod.CASH
    description: str = ""
    key: str | None = None


class Listed(NamedTuple):
    """A payment and how its customer is called.

    Args:
        payment: As it stands.
        customer_name: The number, else the device; empty where neither is known.
    """

    payment: Payment
    customer_name: str


class ManualPage(NamedTuple):
    """A page of what was taken.

    Args:
        rows: Newest first.
        total: How many there are on all pages.
    """

    rows: list[Listed]
    total: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """What clearing did.

    Args:
        count: How many payments were taken back.
        cents: What they come to.
        kept: How many stay as they are, because the customer has spent of them.
    """

    count: int = 0
    cents: int = 0
    kept: int = 0

    @property
    def amount(self) -> Money:
        """What the payments that were taken back come to."""
        return Money(self.cents)

    def __add__(self, other: Cleared) -> Cleared:
        return Cleared(self.count + other.count, self.cents + other.cents, self.kept + other.kept)


@dataclass(frozen=True, slots=True)
class ManualPayments:
    """What people write down of money they took, and take back.

    Args:
        settlement: How money is booked; its store and clock are used.
    """

    settlement: SettlementService

    async def page(self, tenant_id: str, number: int, size: int) -> ManualPage:
        """A page of what a tenant's people took, newest first.

        Args:
            tenant_id: Whose.
            number: Which page, from 1.
            size: How many a page.
        """
        return await self.settlement.store.survey(lambda tables: _page(tables, tenant_id, (number - 1) * size, size))

    async def record(self, tenant_id: str, taken: TakenByHand, by: str) -> Payment:
        """Book money as credit of a customer: payment, wallet, total spent and who did it, in one transaction.

        Args:
            tenant_id: Whose customer.
            taken: The money.
            by: Who took it.

        Raises:
            InvalidError: It is nothing, or came by M-Pesa.
            NotFoundError: This tenant has no such customer.
            ConflictError: The key stands for other money.
        """
        if not taken.amount.cents:
            raise InvalidError("money.nothing", "The amount has to be more than nothing.", field="amount")
        if not taken.method.by_hand:
            raise InvalidError("payment.method", "What comes by M-Pesa is not written down by hand.", field="method")
        payment = await self.settlement.store.write(lambda tx: self._record(tx, tenant_id, taken, by))
        log.info("%s of %s taken by %s", payment.amount, payment.method, by)
        return payment

    async def clear(self, tenant_id: str, by: str) -> Cleared:
        """Take back all that a tenant's people wrote down until now, out of the wallets too.

        Of a customer who has spent, as much is taken back as is left, the newest payments first: no wallet goes below
        nothing, and what is spent stays paid.

        It is done in short transactions, each of which leaves the books whole. Cut off in between, the rest stands as
        it was: asked for again, it goes on with that.

        Args:
            tenant_id: Whose.
            by: Who wants it.
        """
        after: Position | None = Position(self.settlement.clock.now(), _AFTER_ALL_KEYS)
        cleared = Cleared()
        while after is not None:
            some, after = await self.settlement.store.write(
                lambda tx, after=after: self._clear_some(tx, tenant_id, after, by)  # type: ignore[misc]
            )
            cleared += some
        log.info("%d manual payments (%s) cleared by %s, %d kept", cleared.count, cleared.amount, by, cleared.kept)
        return cleared

    # --- within one transaction

    def _record(self, tx: Tables, tenant_id: str, taken: TakenByHand, by: str) -> Payment:
        if tx.customers.tenant_of(taken.customer_id) != tenant_id:
            raise NotFoundError("customer.unknown", "There is no such customer.")
        payment_id = None if taken.key is None else _id_for(tenant_id, taken.key)
        booked = None if payment_id is None else tx.payments.by_id(payment_id)
        if booked is not None:
            return _the_same(booked, taken)
        told = Told(tenant_id, NO_GATEWAY, taken.amount, None, None, "", method=taken.method, payment_id=payment_id)
        payment = self.settlement.judge(tx).books.credit_known(told, taken.customer_id, taken.description)
        data = {"by": by, "customer": taken.customer_id, "amountCents": taken.amount.cents, "method": taken.method}
        tx.events.append(Stream.MONEY, "staff.recorded", payment.payment_id, {**data, "note": taken.description})
        return payment

    def _clear_some(self, tx: Tables, tenant_id: str, after: Position, by: str) -> tuple[Cleared, Position | None]:
        standing = tx.payments.credit_by_hand(tenant_id, after, CLEARED_PER_TRANSACTION)
        purse = _Purse(self.settlement.judge(tx).books)
        cleared = Cleared()
        for payment in standing:
            if purse.take_back(payment):
                tx.events.append(Stream.MONEY, "staff.cleared", payment.payment_id, {"by": by})
                cleared += Cleared(1, payment.amount.cents)
            else:
                cleared += Cleared(kept=1)
        if len(standing) < CLEARED_PER_TRANSACTION:
            return cleared, None
        return cleared, Position(standing[-1].created_at, standing[-1].payment_id)


class _Purse:
    """What is left in the wallets, each of them added up once, as payments are taken out of them."""

    def __init__(self, books: Bookkeeper) -> None:
        self._books = books
        self._left: dict[str, int] = {}

    def take_back(self, payment: Payment) -> bool:
        customer_id = payment.customer_id
        if customer_id is None:  # what is in a wallet is somebody's
            raise LookupError(payment.payment_id)
        if customer_id not in self._left:
            self._left[customer_id] = self._books.tx.ledger.wallet(customer_id).cents
        if self._left[customer_id] < payment.amount.cents:
            return False
        give_back_credit(self._books, payment, customer_id)
        self._left[customer_id] -= payment.amount.cents
        return True


def _page(tables: Tables, tenant_id: str, skipped: int, size: int) -> ManualPage:
    """Whole days are passed over by their counts, so that a page in the middle costs no more than the first."""
    by_day: Counter[str] = Counter()
    for method in _BY_HAND:
        by_day.update(dict(tables.takings.payments_by_day(tenant_id, method, _STATUSES)))
    total = by_day.total()
    for day in sorted(by_day, reverse=True):
        if skipped < by_day[day]:
            before = midnight_of(date.fromisoformat(day) + timedelta(days=1))
            taken = tables.payments.taken_by_hand(tenant_id, before, size, skipped=skipped)
            listed = [Listed(each, tables.customers.name_of(each.customer_id or "")) for each in taken]
            return ManualPage(listed, total)
        skipped -= by_day[day]
    return ManualPage([], total)


def _id_for(tenant_id: str, key: str) -> str:
    """The id of the payment with that key: the same key is the same payment, and one tenant's is never another's."""
    return hashlib.sha256(f"{tenant_id}\n{key}".encode()).hexdigest()[:_ID_DIGITS]


def _the_same(booked: Payment, taken: TakenByHand) -> Payment:
    if (booked.customer_id, booked.amount, booked.method) != (taken.customer_id, taken.amount, taken.method):
        message = "This key was used for another payment already; take a new key for each."
        raise ConflictError("payment.key_used", message, payment=booked.payment_id)
    return booked
