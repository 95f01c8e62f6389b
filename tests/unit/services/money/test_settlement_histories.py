"""Whole histories of a site, at random: the rules of the books hold at every step, and in the end the truth is told.

Customers are prompted, pay, cancel, pay from the menu with a pay code or without; what M-Pesa tells of it comes late,
twice, masked, or only after somebody pasted the receipt, who need not be the payer; staff assign what is left over.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Receiver
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.gateway import callback_paid, money_record, not_paid, query_paid, query_unknown
from tests.unit.services.desk import HALF_HOUR, Desk
from tests.unit.shop import HOUR, TENANT, a_purchase, check_books, tables_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.payments import Payment, PaymentReport
    from easyisp_edge.domain.purchases import Purchase

STEPS = 60
PAYBILL, TILL = "paybill", "till"
# The first two end alike: masks fit both.
PHONES = tuple(Msisdn(digits) for digits in ("254712000678", "254799000678", "254722000111"))
STRANGER = Msisdn("254733000999")
MACS = tuple(MacAddress(f"AA:BB:CC:00:00:0{number}") for number in (1, 2, 3))
AMOUNTS = (HOUR.price, HOUR.price, HOUR.price, HALF_HOUR.price, Money(300), Money(1600))
BOOKS = (EvidenceSource.PULL, EvidenceSource.C2B)
PAYERS = ("number", "masked", "masked", "digest", "unknown")


@dataclass(frozen=True)
class Debit:
    """Money that really left a customer's phone.

    Args:
        receipt: Of M-Pesa.
        phone: The payer.
        amount: How much.
        gateway_id: To which number.
        account: What was typed, or what the push carried.
        purchase_id: The purchase whose push took it; None for what was paid from the menu.
    """

    receipt: str
    phone: Msisdn
    amount: Money
    gateway_id: str
    account: str
    purchase_id: str | None


@dataclass
class Truth:
    """What really happened at M-Pesa, whoever tells of it."""

    purchases: list[Purchase] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    debits: list[Debit] = field(default_factory=list)

    def push_debit(self, purchase_id: str) -> Debit | None:
        return next((debit for debit in self.debits if debit.purchase_id == purchase_id), None)


class Site:
    """One box over some hours, and all that may happen to its money.

    Args:
        chance: What happens next.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.sql, tx = tables_in_memory()
        self.desk = Desk(self.sql, tx, Identifiers(SeededRandomness()))
        if chance.random() < 0.3:
            self.desk.sell_less()
        self.truth = Truth()
        self.claims = 0

    def live(self, steps: int) -> None:
        """Let so many things happen; the books are whole after each."""
        happenings: dict[Callable[[], None], float] = {
            self.order: 3,
            self.answer_prompt: 4,
            self.pay_from_the_menu: 2,
            self.paste: 2,
            self.call_back: 4,
            self.query: 4,
            self.list_money: 5,
            self.assign: 0.7,
            self.give_back: 0.2,
            self.wait: 2,
        }
        for happening in self.chance.choices(list(happenings), list(happenings.values()), k=steps):
            happening()
            check_books(self.sql)

    # --- what customers do

    def order(self) -> None:
        """A purchase: mostly of the same price and at the till, where money is hardest to tell apart."""
        number = len(self.truth.purchases) + 1
        bought = HALF_HOUR if self.chance.random() < 0.2 else HOUR
        states = (PurchaseState.PROMPTED, PurchaseState.PROMPTED, PurchaseState.UNKNOWN, PurchaseState.OFFERED)
        state = self.chance.choice(states)
        purchase = a_purchase(
            purchase_id=f"{number:032x}",
            package_version_id=self.desk.tx.packages.version_of(bought, START).version_id,
            gateway_id=self._gateway(),
            phone=self.chance.choice(PHONES),
            amount=bought.price,
            mac=self.chance.choice((*MACS, None)),
            state=state,
            account_reference=self.desk.identifiers.pay_code(),
            checkout_request_id=f"ws_CO_{number}" if state is PurchaseState.PROMPTED else None,
            created_at=self.desk.now,
            changed_at=self.desk.now,
        )
        self.desk.tx.purchases.add(purchase, f"token-{number}")
        self.desk.tx.purchases.update(purchase)
        self.truth.purchases.append(purchase)

    def answer_prompt(self) -> None:
        undecided = [
            each
            for each in self._pushes()
            if each.purchase_id not in self.truth.cancelled and self.truth.push_debit(each.purchase_id) is None
        ]
        if not undecided:
            return
        purchase = self.chance.choice(undecided)
        if self.chance.random() < 0.3:
            self.truth.cancelled.add(purchase.purchase_id)
            return
        account = purchase.account_reference if purchase.gateway_id == PAYBILL else ""
        self._debit(purchase.phone, purchase.amount, purchase.gateway_id, account, purchase.purchase_id)

    def pay_from_the_menu(self) -> None:
        gateway = self._gateway()
        codes = [purchase.account_reference for purchase in self.truth.purchases]
        typed = self.chance.choice(["", "wifi", *codes]) if gateway == PAYBILL else ""
        self._debit(self.chance.choice((*PHONES, STRANGER)), self.chance.choice(AMOUNTS), gateway, typed, None)

    def paste(self) -> None:
        """Somebody pastes a receipt, who need not be the payer."""
        if not self.truth.debits:
            return
        debit, mac = self.chance.choice(self.truth.debits), self.chance.choice((*MACS, None))
        wanted = [self.desk.tx.packages.version_of(each, START).version_id for each in (HOUR, HALF_HOUR)]
        self.claims += 1
        self.desk.paste(
            claim_id=f"{self.claims:032x}",
            gateway_id=debit.gateway_id,
            mpesa_receipt_number=debit.receipt,
            package_version_id=self.chance.choice([*wanted, None]),
            mac=mac,
            phone=self.chance.choice(PHONES if mac is None else (*PHONES, None)),
            created_at=self.desk.now,
        )

    # --- what is told of it

    def call_back(self) -> None:
        if self._pushes():
            purchase, masked = self.chance.choice(self._pushes()), self.chance.random() < 0.5
            source = self.chance.choice((EvidenceSource.STK_CALLBACK, EvidenceSource.STK_CALLBACK_RELAYED))
            report = self._callback(purchase, source)
            if report is not None:
                self.desk.settle(replace(report, phone=None) if masked else report, purchase.purchase_id)

    def query(self) -> None:
        """M-Pesa may also say that it does not know yet, of what was paid or cancelled long ago."""
        asked = [each for each in self._pushes() if each.checkout_request_id is not None]
        if not asked:
            return
        purchase = self.chance.choice(asked)
        checkout = _checkout(purchase)
        if self.chance.random() < 0.2:
            report = query_unknown(checkout)
        elif self.truth.push_debit(purchase.purchase_id) is not None:
            report = query_paid(checkout)
        elif purchase.purchase_id in self.truth.cancelled:
            report = not_paid(EvidenceSource.STK_QUERY, checkout=checkout)
        else:
            report = query_unknown(checkout)
        self.desk.settle(report, purchase.purchase_id)

    def list_money(self) -> None:
        if self.truth.debits:
            debit, source = self.chance.choice(self.truth.debits), self.chance.choice(BOOKS)
            self._record(debit, source, self.chance.choice(PAYERS), dated=self.chance.random() < 0.5)

    # --- what staff do

    def assign(self) -> None:
        """Staff look who paid: what a push took is for its purchase, the rest for any."""
        if self._unmatched() and self.truth.purchases:
            payment = self.chance.choice(self._unmatched())
            any_of_them = self.chance.choice(self.truth.purchases).purchase_id
            chosen = self._debit_of(payment).purchase_id or any_of_them
            self.desk.judge.assign(payment, self.desk.purchase(chosen))

    def give_back(self) -> None:
        if self._unmatched():
            payment = self.chance.choice(self._unmatched())
            if self._debit_of(payment).purchase_id is None:
                self.desk.judge.books.refund(payment)

    def wait(self) -> None:
        self.desk.now += timedelta(seconds=self.chance.choice((1, 20, 120, 1200)))

    # --- the end

    def tell_all(self) -> None:
        """Every row of the list and every callback comes after all."""
        for debit in self.truth.debits:
            self._record(debit, EvidenceSource.PULL, "number", dated=True)
        for purchase in self._pushes():
            report = self._callback(purchase, EvidenceSource.STK_CALLBACK)
            if report is not None:
                self.desk.settle(report, purchase.purchase_id)

    def booked(self) -> list[tuple[str | None, int]]:
        """What the books have as come in."""
        rows = self.sql.execute("SELECT mpesa_receipt_number, amount_cents FROM payments WHERE disposition <> 'merged'")
        return sorted(rows.fetchall(), key=repr)

    def debited(self) -> list[tuple[str | None, int]]:
        """What really left customers' phones."""
        return sorted(((debit.receipt, debit.amount.cents) for debit in self.truth.debits), key=repr)

    def contradicted(self) -> bool:
        """Whether the owner was told that something does not fit."""
        told = self.sql.execute("SELECT count(*) FROM events WHERE type = 'evidence.contradicted'").fetchone()
        return bool(told[0])

    # --- how it is done

    def _gateway(self) -> str:
        return TILL if self.chance.random() < 0.7 else PAYBILL

    def _pushes(self) -> list[Purchase]:
        return [each for each in self.truth.purchases if each.state is not PurchaseState.OFFERED]

    def _unmatched(self) -> list[Payment]:
        return self.desk.tx.payments.unmatched(TENANT, 50)

    def _debit_of(self, payment: Payment) -> Debit:
        return next(debit for debit in self.truth.debits if debit.receipt == payment.mpesa_receipt_number)

    def _debit(self, phone: Msisdn, amount: Money, gateway: str, account: str, purchase_id: str | None) -> None:
        receipt = f"SKL4{len(self.truth.debits) + 1:06}"
        self.truth.debits.append(Debit(receipt, phone, amount, gateway, account, purchase_id))

    def _callback(self, purchase: Purchase, source: EvidenceSource) -> PaymentReport | None:
        debit, checkout = self.truth.push_debit(purchase.purchase_id), _checkout(purchase)
        if debit is not None:
            receipt, amount, phone = debit.receipt, debit.amount, debit.phone
            return callback_paid(checkout=checkout, receipt=receipt, amount=amount, phone=phone, source=source)
        return not_paid(source, checkout=checkout) if purchase.purchase_id in self.truth.cancelled else None

    def _record(self, debit: Debit, source: EvidenceSource, payer: str, *, dated: bool) -> None:
        digits = debit.phone.digits
        told = {
            "number": Payer(phone=debit.phone),
            "masked": Payer.read(f"{digits[:4]} ***** {digits[-3:]}"),
            "digest": Payer.read(hashlib.sha256(digits.encode()).hexdigest()),
            "unknown": Payer(),
        }[payer]
        record = money_record(
            receipt=debit.receipt,
            amount=debit.amount,
            account=debit.account,
            payer=told,
            paid_at=self.desk.now if dated else None,
            source=source,
        )
        self.desk.record(record, Receiver(TENANT, debit.gateway_id))


def _checkout(purchase: Purchase) -> str:
    return f"ws_CO_{int(purchase.purchase_id, 16)}"


@settings(max_examples=250)
@given(st.integers(0, 2**64))
def test_any_history_leaves_the_books_whole(seed: int) -> None:
    """After each thing that happens; and once all is told, the books have what left the phones, and nothing else.

    Where two statements cannot both be true for the books (a receipt somebody else claimed and spent, for one) they
    may differ: then the owner is told.
    """
    site = Site(random.Random(seed))
    with contextlib.closing(site.sql):
        site.live(STEPS)
        site.tell_all()
        check_books(site.sql)
        if not site.contradicted():
            assert site.booked() == site.debited()
