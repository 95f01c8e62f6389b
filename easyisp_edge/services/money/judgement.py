"""What a statement about money means: the one place where that is judged, within one transaction.

Statements come in any order and any number of times; the books end the same. Strong evidence of payment settles
once, whatever was believed before; what is told again changes nothing. Strong evidence of failure is provisional.
Weak evidence only makes us ask.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.pay_codes import read_pay_code
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, Disposition, EvidenceSource, Outcome, Payment, Reason
from easyisp_edge.domain.purchases import CLOCKS_DIFFER, PAID_WITHIN, PurchaseState, first_recheck_at
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.booking import Bookkeeper, Buyer, Told
from easyisp_edge.services.money.claiming import honour_claims
from easyisp_edge.services.money.corrections import adopt, merge, take_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.packages import PackageVersion, Service
    from easyisp_edge.domain.payments import MoneyRecord, PaymentReport
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.store.store import Tables

# A statement told more often than this about one purchase is still judged, and no longer written down: but for
# what money was booked on.
STATEMENTS_KEPT_MAX = 50
# As PAID_WITHIN, where the payer is masked.
_MASKED_PAID_WITHIN = timedelta(minutes=30)
# The list of transactions may tell Nairobi's time as though it were UTC's, or the other way round.
_LISTED_EARLY = timedelta(hours=3)


class Verdict(enum.StrEnum):
    """What a statement about money led to. Values are stored with the evidence."""

    SETTLED = "settled"  # the payment is booked and the grant made
    CREDITED = "credited"  # the payment is booked into the customer's wallet
    REPEATED = "repeated"  # it says what was known
    RECEIPT_ATTACHED = "receipt_attached"  # the payment was known, its receipt was not
    MERGED = "merged"  # two bookings were found to be the same money
    UNMATCHED = "unmatched"  # money that does not fit: kept for a person to assign, or a receipt to claim
    FAILED = "failed"
    CONTRADICTED = "contradicted"  # it says less than what is proven: noted, without effect
    STILL_OPEN = "still_open"
    LOOK_UP = "look_up"  # not to be believed by itself: the gateway is asked


# What moved money, and so may have decided a claim that waits for a receipt.
BOOKED = frozenset(
    {
        Verdict.SETTLED,
        Verdict.CREDITED,
        Verdict.RECEIPT_ATTACHED,
        Verdict.MERGED,
        Verdict.UNMATCHED,
    }
)


class Receiver(NamedTuple):
    """Whose gateway money came in by.

    Args:
        tenant_id: Whose.
        gateway_id: Which.
    """

    tenant_id: str
    gateway_id: str


class Substitute(NamedTuple):
    """What an owner sells for money that is less than the price, and for money that names no package.

    Args:
        for_less: The dearest package an amount affords, of a tenant's service behind a router; None where the
            owner wants it in the wallet.
        for_price: The one package of a tenant's service behind a router that costs exactly that much, or None.
    """

    for_less: Callable[[str, Service, str | None, Money], PackageVersion | None]
    for_price: Callable[[str, Service, str | None, Money], PackageVersion | None]


NO_SUBSTITUTE = Substitute(lambda _t, _s, _r, _m: None, lambda _t, _s, _r, _m: None)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges statements about money within one transaction.

    Args:
        tx: The transaction.
        now: The instant everything is written with.
        identifiers: New ids and credentials.
        substitute: What is sold where no price fits.
    """

    tx: Tables
    now: datetime
    identifiers: Identifiers
    substitute: Substitute = NO_SUBSTITUTE

    @property
    def books(self) -> Bookkeeper:
        """Where money is written."""
        return Bookkeeper(self.tx, self.now, self.identifiers)

    def settle(self, purchase_id: str, report: PaymentReport) -> Verdict:
        """Keep a statement about a purchase's push, and do what follows from it."""
        purchase = self.tx.purchases.by_id(purchase_id)
        if purchase is None:  # rows are never deleted
            raise LookupError(purchase_id)
        strong = report.source.strong and self._speaks_of(report, purchase) and report.amount != Money(0)
        verdict = self._judge(purchase, report) if strong else self.look_up(purchase)
        if verdict in BOOKED or self.tx.evidence.count(purchase_id, report.source) < STATEMENTS_KEPT_MAX:
            self._write_down(report, purchase_id, report.outcome, verdict, strong=strong)
        if strong and report.mpesa_receipt_number is not None:
            honour_claims(self.books, self.substitute.for_price, report.mpesa_receipt_number)
        return verdict

    def settle_record(self, receiver: Receiver, record: MoneyRecord) -> Verdict:
        """Find out what money in the receiver's own books is for, and do what follows from it."""
        booked = self.tx.payments.by_receipt(record.mpesa_receipt_number)
        known = booked is not None and self.tx.evidence.has_receipt(record.mpesa_receipt_number, record.source)
        if booked is None:
            verdict, purchase_id = self._first_record(receiver, record)
        else:
            verdict, purchase_id = self._record_of(booked, receiver, record, known=known)
        if not known:
            self._write_down(record, purchase_id, Outcome.PAID, verdict, strong=True)
        honour_claims(self.books, self.substitute.for_price, record.mpesa_receipt_number)
        return verdict

    def assign(self, payment: Payment, purchase: Purchase) -> Verdict:
        """Let unmatched money count for a purchase, because a person says so.

        Raises:
            ConflictError: It is not unmatched any more, or another tenant's.
        """
        if payment.tenant_id != purchase.tenant_id:
            raise ConflictError(
                "payment.elsewhere", "This money was paid to another tenant than the one who sells that."
            )
        if payment.disposition is not Disposition.UNMATCHED:
            raise ConflictError("payment.placed", f"This money is {payment.disposition} already; look at it again.")
        return self._place(purchase, payment, prompted=False)

    def look_up(self, purchase: Purchase) -> Verdict:
        """Have the gateway asked about a purchase at once."""
        if purchase.state is not PurchaseState.PAID and purchase.checkout_request_id is not None:
            self.tx.purchases.update(replace(purchase, query_at=self.now))
        return Verdict.LOOK_UP

    def _write_down(
        self,
        told: PaymentReport | MoneyRecord,
        purchase_id: str | None,
        outcome: Outcome,
        verdict: Verdict,
        *,
        strong: bool,
    ) -> None:
        self.tx.evidence.append(
            source=told.source,
            strong=strong,
            purchase_id=purchase_id,
            mpesa_receipt_number=told.mpesa_receipt_number,
            outcome=outcome,
            verdict=verdict.value,
            raw=told.raw[:RAW_OCTETS_MAX],
            at=self.now,
        )

    # --- statements about a push

    def _speaks_of(self, report: PaymentReport, purchase: Purchase) -> bool:
        """Whether a report is about this purchase's push; while that is not known, about none that is another's."""
        told, known = report.checkout_request_id, purchase.checkout_request_id
        if told is None or told == known:
            return True
        return known is None and self.tx.purchases.by_checkout_request_id(told) is None

    def _judge(self, purchase: Purchase, report: PaymentReport) -> Verdict:
        purchase = self._with_ids(purchase, report)
        if report.outcome is Outcome.PAID:
            return self._paid(purchase, _told_by_push(purchase, report), prompted=True)
        if purchase.state is PurchaseState.PAID:
            return Verdict.CONTRADICTED
        if report.outcome is Outcome.NOT_PAID:
            return self._failed(purchase, report)
        asked_in_vain(self.tx, purchase.purchase_id, self.now)
        return Verdict.STILL_OPEN

    def _with_ids(self, purchase: Purchase, report: PaymentReport) -> Purchase:
        """Learn the gateway's ids from a callback that overtook, or outlived, the answer to the push."""
        if purchase.checkout_request_id is not None or report.checkout_request_id is None:
            return purchase
        learned = replace(
            purchase,
            checkout_request_id=report.checkout_request_id,
            merchant_request_id=report.merchant_request_id,
        )
        self.tx.purchases.update(learned)
        return learned

    def _failed(self, purchase: Purchase, report: PaymentReport) -> Verdict:
        if purchase.state is PurchaseState.FAILED:
            asked_in_vain(self.tx, purchase.purchase_id, self.now)
            return Verdict.REPEATED
        failed = replace(
            purchase,
            state=PurchaseState.FAILED,
            reason=report.reason or Reason.SYSTEM,
            result_description=report.result_description,
            changed_at=self.now,
            query_at=None if purchase.checkout_request_id is None else first_recheck_at(self.now),
            queries=0,
        )
        self.tx.purchases.update(failed)
        self.books.tell(
            "purchase.failed",
            purchase.purchase_id,
            {"reason": failed.reason, "code": report.result_code, "message": report.result_description},
        )
        return Verdict.FAILED

    # --- money

    def _paid(self, purchase: Purchase, told: Told, *, prompted: bool) -> Verdict:
        """Money for a purchase; `prompted` where it is said of the push, which takes the price or nothing."""
        verdict = self._judged(purchase, told, prompted=prompted)
        if prompted or _is_from(told, purchase):
            self.books.recognise(purchase)
        return verdict

    def _judged(self, purchase: Purchase, told: Told, *, prompted: bool) -> Verdict:
        receipt = told.mpesa_receipt_number
        booked = None if receipt is None else self.tx.payments.by_receipt(receipt)
        if booked is not None:
            return self._named_before(purchase, booked, told, prompted=prompted)
        if receipt is None and self._explained(purchase, told.amount):
            asked_in_vain(self.tx, purchase.purchase_id, self.now)
            return Verdict.REPEATED
        nameless = self.books.nameless(purchase, told.amount)
        if nameless is None:
            return self._book(purchase, told, prompted=prompted)
        known = self.books.learn(nameless, receipt=receipt, phone=told.phone)
        if known.disposition is Disposition.UNMATCHED and not prompted:
            return self._book(purchase, known, prompted=False)
        return Verdict.RECEIPT_ATTACHED

    def _explained(self, purchase: Purchase, amount: Money) -> bool:
        """Whether the money a push is proven to have taken is in the books already, by whatever it was told.

        Where only the payer was told of, it may have been booked for another purchase of the same phone: it was
        this push's all the same, and is not counted again.
        """
        own = [each for each in self.books.came_for(purchase) if each.amount == amount]
        mine = next((each for each in own if _may_be_of(each, purchase)), None)
        found = mine or self._booked_for_another(purchase, amount)
        if found is not None:
            self.books.explain(found, purchase)
        return found is not None

    def _booked_for_another(self, purchase: Purchase, amount: Money) -> Payment | None:
        since, until = purchase.created_at - PAID_WITHIN, purchase.created_at + PAID_WITHIN
        unexplained = None
        for other in self.tx.purchases.payable(purchase.gateway_id, amount, since, until):
            if other.phone != purchase.phone or other.purchase_id == purchase.purchase_id:
                continue
            for payment in self.books.came_for(other):
                if payment.amount != amount or payment.created_at < purchase.created_at:
                    continue
                if payment.account == purchase.account_reference:
                    return payment
                if payment.mpesa_receipt_number is not None and _may_be_of(payment, purchase):
                    unexplained = unexplained or payment
        return unexplained

    def _named_before(self, purchase: Purchase, booked: Payment, told: Told, *, prompted: bool) -> Verdict:
        """Money of that receipt is in the books: for this purchase, for nobody's, or for somebody else's."""
        if booked.tenant_id != purchase.tenant_id:
            return self._contradicted(purchase.purchase_id, told.mpesa_receipt_number)
        if prompted and told.amount == booked.amount:
            booked = self.books.explain(booked, purchase)
        if booked.purchase_id not in {None, purchase.purchase_id}:
            return self._contradicted(purchase.purchase_id, told.mpesa_receipt_number)
        known = self.books.learn(booked, phone=told.phone)
        its_own = known.purchase_id is not None
        if known.disposition is Disposition.UNMATCHED and not (its_own and prompted):
            return self._place(purchase, known, prompted=prompted)
        return Verdict.REPEATED if its_own else self._claimed_before(purchase, known)

    def _place(self, purchase: Purchase, payment: Payment, *, prompted: bool) -> Verdict:
        """It was in the receiver's books before anybody knew what for."""
        nameless = self.books.nameless(purchase, payment.amount)
        if nameless is not None and nameless.payment_id != payment.payment_id:
            merge(self.books, nameless, payment)
            return Verdict.MERGED
        return self._book(purchase, payment, prompted=prompted)

    def _claimed_before(self, purchase: Purchase, claimed: Payment) -> Verdict:
        """Somebody bought with a receipt what turns out to be a purchase's money: it must not buy twice."""
        if claimed.amount == purchase.amount:
            nameless = self.books.nameless(purchase, claimed.amount)
            if nameless is not None:
                free = take_back(self.books, claimed)
                if free is not None:
                    merge(self.books, nameless, free)
                    return Verdict.MERGED
            elif self.tx.grants.by_purchase(purchase.purchase_id) is None:
                return self._answer_with(purchase, claimed)
        return self._contradicted(purchase.purchase_id, claimed.mpesa_receipt_number)

    def _answer_with(self, purchase: Purchase, claimed: Payment) -> Verdict:
        """Let what was claimed with its money answer a purchase that nothing else was booked for."""
        if claimed.disposition is Disposition.GRANT:
            adopt(self.books, claimed, purchase)
            return Verdict.SETTLED
        known = self.books.attribute(claimed, purchase)
        version = self.tx.packages.by_id(purchase.package_version_id)
        if known.disposition is Disposition.WALLET and known.customer_id is not None:
            grant = self.books.sell_from_wallet(known.customer_id, Buyer.of(purchase), version)
            if grant is not None:
                self.books.close(purchase)
                return Verdict.SETTLED
        return self._contradicted(purchase.purchase_id, claimed.mpesa_receipt_number)

    def _book(self, purchase: Purchase, money: Told | Payment, *, prompted: bool) -> Verdict:
        version = self.tx.packages.by_id(purchase.package_version_id)
        if prompted and money.amount != purchase.amount:
            return self._keep(purchase, money)
        buyer = Buyer.of(purchase, proven=prompted or _is_from(money, purchase))
        if self.tx.grants.by_purchase(purchase.purchase_id) is not None:
            self.books.credit(money, buyer)
            return Verdict.CREDITED
        if isinstance(money, Payment) and money.purchase_id not in {None, purchase.purchase_id}:
            return self._paid_short(purchase, money, buyer, version)  # by the wallet: it stays the other's money
        if money.amount >= purchase.amount:
            return self._sell(purchase, money, buyer, version)
        lesser = self.substitute.for_less(purchase.tenant_id, purchase.service, purchase.router_id, money.amount)
        if lesser is None:
            return self._paid_short(purchase, money, buyer, version)
        return self._sell(purchase, money, buyer, lesser)

    def _sell(self, purchase: Purchase, money: Told | Payment, buyer: Buyer, version: PackageVersion) -> Verdict:
        self.books.sell(money, buyer, version)
        self.books.close(purchase)
        return Verdict.SETTLED

    def _paid_short(self, purchase: Purchase, money: Told | Payment, buyer: Buyer, version: PackageVersion) -> Verdict:
        credited = self.books.credit(money, buyer)
        customer_id = credited.customer_id
        # Whoever pays a shilling for a purchase that names somebody's number must not buy with what that one has.
        whole = max(self._credited_for(purchase), credited.amount) >= purchase.amount
        if (buyer.spends or whole) and customer_id and self.books.sell_from_wallet(customer_id, buyer, version):
            self.books.close(purchase)  # with what was in the wallet it is enough
            return Verdict.SETTLED
        self._fail(purchase, Reason.PAID_SHORT)
        return Verdict.CREDITED

    def _credited_for(self, purchase: Purchase) -> Money:
        """What came for a purchase and is in the wallet: paid in two parts, it buys the package all the same."""
        came = self.books.came_for(purchase)
        return Money(sum(each.amount.cents for each in came if each.disposition is Disposition.WALLET))

    def _keep(self, purchase: Purchase, money: Told | Payment) -> Verdict:
        if isinstance(money, Payment):
            self.books.attribute(money, purchase)
        else:
            self.books.keep(money, purchase.purchase_id)
        if purchase.state is not PurchaseState.PAID:
            self._fail(purchase, Reason.WRONG_AMOUNT)
        return Verdict.UNMATCHED

    def _fail(self, purchase: Purchase, reason: Reason) -> None:
        """The page is to say what came of it; the purchase is still asked about as any other that failed."""
        recheck = None if purchase.checkout_request_id is None else first_recheck_at(self.now)
        failed = replace(
            purchase, state=PurchaseState.FAILED, reason=reason, changed_at=self.now, query_at=recheck, queries=0
        )
        self.tx.purchases.update(failed)
        self.books.tell("purchase.failed", purchase.purchase_id, {"reason": reason})

    def _contradicted(self, key: str, receipt: str | None) -> Verdict:
        self.books.tell("evidence.contradicted", key, {"receipt": receipt})
        return Verdict.CONTRADICTED

    # --- money in the receiver's own books

    def _first_record(self, receiver: Receiver, record: MoneyRecord) -> tuple[Verdict, str | None]:
        purchase = self._purchase_for(receiver, record)
        if purchase is None:
            self.books.keep(_told_by_record(receiver, record, None), None)
            return Verdict.UNMATCHED, None
        told = _told_by_record(receiver, record, purchase)
        return self._paid(purchase, told, prompted=False), purchase.purchase_id

    def _record_of(
        self, booked: Payment, receiver: Receiver, record: MoneyRecord, *, known: bool
    ) -> tuple[Verdict, str | None]:
        if (booked.tenant_id, booked.amount) != (receiver.tenant_id, record.amount):
            verdict = Verdict.REPEATED if known else self._contradicted(booked.payment_id, booked.mpesa_receipt_number)
            return verdict, booked.purchase_id
        payment = self.books.learn(booked, phone=record.payer.phone)
        if payment.disposition is Disposition.UNMATCHED or (payment.purchase_id is None and not known):
            purchase = self._purchase_for(receiver, record)
            if purchase is not None and payment.purchase_id in {None, purchase.purchase_id}:
                told = _told_by_record(receiver, record, purchase)
                return self._paid(purchase, told, prompted=False), purchase.purchase_id
        self._recognise_payer(payment, record)
        return Verdict.REPEATED, booked.purchase_id

    def _recognise_payer(self, payment: Payment, record: MoneyRecord) -> None:
        purchase = None if payment.purchase_id is None else self.tx.purchases.by_id(payment.purchase_id)
        if purchase is not None and record.payer.fits(purchase.phone):
            self.books.recognise(purchase)

    def _purchase_for(self, receiver: Receiver, record: MoneyRecord) -> Purchase | None:
        """The purchase money is for: by its pay code, else by payer, amount and time where that names only one."""
        code = read_pay_code(record.account)
        purchase = None if code is None else self.tx.purchases.by_account_reference(code)
        if purchase is not None:
            return purchase if purchase.tenant_id == receiver.tenant_id else None
        return self._purchase_by_payer(receiver, record, record.paid_at or self.now)

    def _purchase_by_payer(self, receiver: Receiver, record: MoneyRecord, paid_at: datetime) -> Purchase | None:
        payer = record.payer
        if not payer.known:
            return None
        within = PAID_WITHIN if payer.phone or payer.digest else _MASKED_PAID_WITHIN
        until = paid_at + CLOCKS_DIFFER + (_LISTED_EARLY if record.source is EvidenceSource.PULL else timedelta(0))
        payable = self.tx.purchases.payable(receiver.gateway_id, record.amount, paid_at - within, until)
        wanting = [each for each in payable if payer.fits(each.phone) and self._wants_money(each)]
        if len({each.phone for each in wanting}) != 1:
            return None
        # What a query has proven already is waiting for its receipt; else the customer means the last one.
        return next((each for each in wanting if each.state is PurchaseState.PAID), wanting[-1])

    def _wants_money(self, purchase: Purchase) -> bool:
        """Whether its payment, or the receipt of it, is still missing."""
        if purchase.state is not PurchaseState.PAID:
            return True
        return self.books.nameless(purchase, purchase.amount) is not None


def asked_in_vain(tx: Tables, purchase_id: str, now: datetime) -> None:
    """A purchase was asked about, and nothing came of it: ask again later."""
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is None or purchase.state is PurchaseState.PAID:
        return
    asked = replace(purchase, queries=purchase.queries + 1)
    tx.purchases.update(replace(asked, query_at=asked.next_query_at(now)))


def _may_be_of(payment: Payment, purchase: Purchase) -> bool:
    """Whether a purchase's push may have taken money: it came with that one's pay code, or with none."""
    return payment.account == purchase.account_reference or read_pay_code(payment.account) is None


def _is_from(money: Told | Payment, purchase: Purchase) -> bool:
    """Whether money surely came from the phone a purchase names."""
    return money.phone == purchase.phone or (isinstance(money, Told) and money.by_buyer)


def _told_by_push(purchase: Purchase, report: PaymentReport) -> Told:
    return Told(
        tenant_id=purchase.tenant_id,
        gateway_id=purchase.gateway_id,
        amount=report.amount or purchase.amount,  # a query does not tell it: a push takes what it asks for
        mpesa_receipt_number=report.mpesa_receipt_number,
        phone=report.phone,
        account=purchase.account_reference,
    )


def _told_by_record(receiver: Receiver, record: MoneyRecord, purchase: Purchase | None) -> Told:
    """A pay code in its one spelling; any other account as it came, and none where a till's books tell none."""
    return Told(
        tenant_id=receiver.tenant_id,
        gateway_id=receiver.gateway_id,
        amount=record.amount,
        mpesa_receipt_number=record.mpesa_receipt_number,
        phone=record.payer.phone,
        account=read_pay_code(record.account) or record.account,
        by_buyer=purchase is not None and record.payer.fits(purchase.phone),
    )
