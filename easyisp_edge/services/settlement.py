"""What others say about money comes in; one function decides what it means; one transaction settles it."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Grant, GrantState
from easyisp_edge.domain.payments import (
    Disposition,
    Outcome,
    Payment,
    PaymentMethod,
    Reason,
)
from easyisp_edge.domain.purchases import PENDING_LIFE, PurchaseState, first_recheck_at
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.services.identifiers import PASSWORD_LENGTH, USERNAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.payments import PaymentReport
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

# Anybody may post to the address without a secret: how often that may make us ask about one purchase.
BARE_CALLBACKS_MAX = 3
RAW_OCTETS_MAX = 4096
# When nobody answered, others are asked about first.
POSTPONED = timedelta(seconds=20)


class Verdict(enum.StrEnum):
    """What a statement about money led to. Values are stored with the evidence."""

    SETTLED = "settled"  # the payment is booked and the grant made
    REPEATED = "repeated"  # it says what was known
    RECEIPT_ATTACHED = "receipt_attached"  # the payment was known, its receipt was not
    UNMATCHED = "unmatched"  # money that does not fit: kept for a person to assign
    FAILED = "failed"
    CONTRADICTED = "contradicted"  # it says less than what is proven: noted, without effect
    STILL_OPEN = "still_open"
    LOOK_UP = "look_up"  # not to be believed by itself: the gateway is asked


@dataclass(frozen=True, slots=True)
class SettlementService:
    """Takes evidence and settles purchases.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids and credentials.
        granted: Called with the tenant's id after a grant is committed.
        query_due: To be called when a purchase may have become due for a query.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    granted: Callable[[str], None]
    query_due: Callable[[], None]

    async def take_callback(self, token: str, report: PaymentReport) -> bool:
        """Take a callback that came to a purchase's secret address; False when there is no such address.

        A report that speaks of another push than the purchase's own is not believed for knowing the secret.
        """
        purchase = self.store.read.purchases.by_callback_token(token)
        if purchase is None:
            return False
        await self._take(purchase.purchase_id, report)
        return True

    async def take_bare_callback(self, report: PaymentReport) -> None:
        """Take a callback that came without a secret: it can only make us ask sooner."""
        purchase = self.store.read.purchases.by_checkout_request_id(report.checkout_request_id or "")
        if purchase is None or purchase.state is PurchaseState.PAID:
            return
        if self.store.read.evidence.count(purchase.purchase_id, report.source) < BARE_CALLBACKS_MAX:
            await self._take(purchase.purchase_id, report)

    async def query_round(self, gateway_id: str, gateway: PaymentGateway) -> float | None:
        """Ask a gateway about the purchase longest due; gives the seconds until the next is due.

        Raises:
            UnavailableError: The gateway did not answer; the purchase is soon due again.
        """
        if self._seconds_to_next(gateway_id) == 0.0:
            await gateway.query_turn()
            # Chosen after the wait: what a callback settled meanwhile needs no question.
            purchase = self.store.read.purchases.due_for_query(gateway_id, self.clock.now())
            if purchase is not None and purchase.checkout_request_id is not None:
                await self._query(purchase, purchase.checkout_request_id, gateway)
        return self._seconds_to_next(gateway_id)

    async def expire_round(self) -> float | None:
        """Stop promising what has been open for too long; it is still asked about."""
        await self.store.write(lambda tx: _expire(tx, self.clock.now()))
        return None

    async def _query(self, purchase: Purchase, checkout_request_id: str, gateway: PaymentGateway) -> None:
        try:
            report = await gateway.stk_query(checkout_request_id)
        except RefusedError as error:
            log.error("query for %s refused: %s", purchase.account_reference, error)  # noqa: TRY400 - no bug of ours
            await self.store.write(lambda tx: _asked_in_vain(tx, purchase.purchase_id, self.clock.now()))
        except UnavailableError:
            # Nobody answered: that uses up none of the times it is to be asked, however long it lasts.
            await self.store.write(lambda tx: _postpone(tx, purchase.purchase_id, self.clock.now()))
            raise
        else:
            await self._take(purchase.purchase_id, report)

    async def _take(self, purchase_id: str, report: PaymentReport) -> None:
        verdict = await self.store.write(
            lambda tx: settle(tx, purchase_id, report, now=self.clock.now(), identifiers=self.identifiers)
        )
        log.info("%s says %s (%s): %s", report.source, report.outcome.value, report.result_code, verdict)
        if verdict is Verdict.SETTLED:
            purchase = self.store.read.purchases.by_id(purchase_id)
            if purchase is not None:
                self.granted(purchase.tenant_id)
        self.query_due()

    def _seconds_to_next(self, gateway_id: str) -> float | None:
        due = self.store.read.purchases.next_query_at(gateway_id)
        return None if due is None else max(0.0, (due - self.clock.now()).total_seconds())


def settle(tx: Tables, purchase_id: str, report: PaymentReport, *, now: datetime, identifiers: Identifiers) -> Verdict:
    """Keep a statement about a purchase and do what follows from it: the one place where money is judged.

    Strong evidence of payment settles once, whatever was believed before; everything told again changes
    nothing. Strong evidence of failure is provisional. Weak evidence only makes us ask.
    """
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is None:  # rows are never deleted
        raise LookupError(purchase_id)
    strong = report.source.strong and _speaks_of(tx, report, purchase) and report.amount != Money(0)
    verdict = _judge(tx, purchase, report, now, identifiers) if strong else _look_up(tx, purchase, now)
    tx.evidence.append(
        source=report.source,
        strong=strong,
        purchase_id=purchase_id,
        outcome=report.outcome,
        verdict=verdict.value,
        raw=report.raw[:RAW_OCTETS_MAX],
        at=now,
    )
    return verdict


def _speaks_of(tx: Tables, report: PaymentReport, purchase: Purchase) -> bool:
    """Whether a report is about this purchase's push; while that is not known, about none that is another's."""
    told, known = report.checkout_request_id, purchase.checkout_request_id
    if told is None or told == known:
        return True
    return known is None and tx.purchases.by_checkout_request_id(told) is None


def _judge(tx: Tables, purchase: Purchase, report: PaymentReport, now: datetime, identifiers: Identifiers) -> Verdict:
    purchase = _with_ids(tx, purchase, report)
    if report.outcome is Outcome.PAID:
        return _paid(tx, purchase, report, now, identifiers)
    if purchase.state is PurchaseState.PAID:
        return Verdict.CONTRADICTED
    if report.outcome is Outcome.NOT_PAID:
        return _failed(tx, purchase, report, now)
    _asked_in_vain(tx, purchase.purchase_id, now)
    return Verdict.STILL_OPEN


def _with_ids(tx: Tables, purchase: Purchase, report: PaymentReport) -> Purchase:
    """Learn the gateway's ids from a callback that overtook, or outlived, the answer to the push."""
    if purchase.checkout_request_id is not None or report.checkout_request_id is None:
        return purchase
    learned = replace(
        purchase,
        checkout_request_id=report.checkout_request_id,
        merchant_request_id=report.merchant_request_id,
    )
    tx.purchases.update(learned)
    return learned


def _paid(tx: Tables, purchase: Purchase, report: PaymentReport, now: datetime, identifiers: Identifiers) -> Verdict:
    receipt = report.mpesa_receipt_number
    booked = None if receipt is None else tx.payments.by_receipt(receipt)
    if booked is not None:
        return Verdict.REPEATED if booked.purchase_id == purchase.purchase_id else _odd(tx, purchase, report)
    settling = tx.payments.settling(purchase.purchase_id)
    if settling is not None:
        return _paid_again(tx, purchase, settling, report, now, identifiers)
    unmatched = tx.payments.unmatched(purchase.purchase_id)
    if report.amount is None or report.amount == purchase.amount:
        # A query does not say what was paid; that it does not fit may be known already.
        known = report.amount is None and unmatched
        return Verdict.REPEATED if known else _book_and_grant(tx, purchase, report, now, identifiers)
    if receipt is None and any(payment.amount == report.amount for payment in unmatched):
        return Verdict.REPEATED
    return _book_unmatched(tx, purchase, report, now, identifiers)


def _paid_again(  # noqa: PLR0917 - one step of `_paid`, with all it knows
    tx: Tables,
    purchase: Purchase,
    settling: Payment,
    report: PaymentReport,
    now: datetime,
    identifiers: Identifiers,
) -> Verdict:
    receipt = report.mpesa_receipt_number
    if receipt is None:
        return Verdict.REPEATED
    if settling.mpesa_receipt_number is not None:
        return _book_unmatched(tx, purchase, report, now, identifiers)
    if report.amount not in {None, settling.amount}:
        _odd(tx, purchase, report)  # proven by a query for the price; the receipt is still this payment's
    return _attach_receipt(tx, purchase, settling.payment_id, receipt)


def _book_and_grant(
    tx: Tables, purchase: Purchase, report: PaymentReport, now: datetime, identifiers: Identifiers
) -> Verdict:
    package = tx.packages.by_id(purchase.package_version_id).package
    customer_id = tx.customers.paid(
        new_id=identifiers.ordered(now),
        tenant_id=purchase.tenant_id,
        service=purchase.service,
        phone=purchase.phone,
        mac=purchase.mac,
        amount=purchase.amount,
        at=now,
    )
    payment = _payment(
        purchase,
        report,
        payment_id=identifiers.ordered(now),
        disposition=Disposition.GRANT,
        customer_id=customer_id,
        description=package.name,
        now=now,
    )
    tx.payments.add(payment)
    grant = Grant(
        grant_id=identifiers.ordered(now),
        tenant_id=purchase.tenant_id,
        customer_id=customer_id,
        payment_id=payment.payment_id,
        package_version_id=purchase.package_version_id,
        service=purchase.service,
        username=identifiers.readable(USERNAME_LENGTH),
        password=identifiers.readable(PASSWORD_LENGTH),
        mac=purchase.mac,
        state=GrantState.WAITING,
        seconds_left=int(package.duration.total_seconds()),
        created_at=now,
        started_at=None,
        ends_at=None,
    )
    tx.grants.add(grant)
    tx.purchases.update(
        replace(purchase, state=PurchaseState.PAID, reason=None, result_description="", changed_at=now, query_at=None)
    )
    _tell_booked(tx, payment)
    tx.events.append(
        Stream.MONEY,
        "grant.made",
        grant.grant_id,
        {
            "payment": payment.payment_id,
            "customer": customer_id,
            "packageVersion": grant.package_version_id,
            "seconds": grant.seconds_left,
            "mac": None if grant.mac is None else grant.mac.text,
        },
    )
    return Verdict.SETTLED


def _book_unmatched(
    tx: Tables, purchase: Purchase, report: PaymentReport, now: datetime, identifiers: Identifiers
) -> Verdict:
    payment = _payment(
        purchase,
        report,
        payment_id=identifiers.ordered(now),
        disposition=Disposition.UNMATCHED,
        customer_id=None,
        description="Does not fit its purchase",
        now=now,
    )
    tx.payments.add(payment)
    _tell_booked(tx, payment)
    if purchase.state is not PurchaseState.PAID:
        failed = replace(
            purchase, state=PurchaseState.FAILED, reason=Reason.WRONG_AMOUNT, changed_at=now, query_at=None, queries=0
        )
        tx.purchases.update(failed)
        tx.events.append(Stream.MONEY, "purchase.failed", purchase.purchase_id, {"reason": failed.reason})
    return Verdict.UNMATCHED


def _payment(
    purchase: Purchase,
    report: PaymentReport,
    *,
    payment_id: str,
    disposition: Disposition,
    customer_id: str | None,
    description: str,
    now: datetime,
) -> Payment:
    return Payment(
        payment_id=payment_id,
        tenant_id=purchase.tenant_id,
        gateway_id=purchase.gateway_id,
        method=PaymentMethod.MPESA,
        amount=report.amount or purchase.amount,
        disposition=disposition,
        mpesa_receipt_number=report.mpesa_receipt_number,
        purchase_id=purchase.purchase_id,
        customer_id=customer_id,
        phone=report.phone or purchase.phone,
        account=purchase.account_reference,
        description=description,
        created_at=now,
    )


def _tell_booked(tx: Tables, payment: Payment) -> None:
    tx.events.append(
        Stream.MONEY,
        "payment.booked",
        payment.payment_id,
        {
            "tenant": payment.tenant_id,
            "gateway": payment.gateway_id,
            "purchase": payment.purchase_id,
            "amountCents": payment.amount.cents,
            "disposition": payment.disposition.value,
            "receipt": payment.mpesa_receipt_number,
            "phone": None if payment.phone is None else payment.phone.digits,
            "account": payment.account,
        },
    )


def _attach_receipt(tx: Tables, purchase: Purchase, payment_id: str, receipt: str) -> Verdict:
    tx.payments.attach_receipt(payment_id, receipt)
    tx.events.append(
        Stream.MONEY, "payment.receipt", payment_id, {"purchase": purchase.purchase_id, "receipt": receipt}
    )
    return Verdict.RECEIPT_ATTACHED


def _odd(tx: Tables, purchase: Purchase, report: PaymentReport) -> Verdict:
    tx.events.append(
        Stream.MONEY,
        "evidence.contradicted",
        purchase.purchase_id,
        {"source": report.source.value, "receipt": report.mpesa_receipt_number},
    )
    return Verdict.CONTRADICTED


def _failed(tx: Tables, purchase: Purchase, report: PaymentReport, now: datetime) -> Verdict:
    if purchase.state is PurchaseState.FAILED:
        _asked_in_vain(tx, purchase.purchase_id, now)
        return Verdict.REPEATED
    failed = replace(
        purchase,
        state=PurchaseState.FAILED,
        reason=report.reason or Reason.SYSTEM,
        result_description=report.result_description,
        changed_at=now,
        query_at=None if purchase.checkout_request_id is None else first_recheck_at(now),
        queries=0,
    )
    tx.purchases.update(failed)
    tx.events.append(
        Stream.MONEY,
        "purchase.failed",
        purchase.purchase_id,
        {"reason": failed.reason, "code": report.result_code, "message": report.result_description},
    )
    return Verdict.FAILED


def _look_up(tx: Tables, purchase: Purchase, now: datetime) -> Verdict:
    if purchase.state is not PurchaseState.PAID and purchase.checkout_request_id is not None:
        tx.purchases.update(replace(purchase, query_at=now))
    return Verdict.LOOK_UP


def _asked_in_vain(tx: Tables, purchase_id: str, now: datetime) -> None:
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is None or purchase.state is PurchaseState.PAID:
        return
    asked = replace(purchase, queries=purchase.queries + 1)
    tx.purchases.update(replace(asked, query_at=asked.next_query_at(now)))


def _postpone(tx: Tables, purchase_id: str, now: datetime) -> None:
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is not None and purchase.state is not PurchaseState.PAID:
        tx.purchases.update(replace(purchase, query_at=now + POSTPONED))


def _expire(tx: Tables, now: datetime) -> None:
    for purchase in tx.purchases.open_since_before(now - PENDING_LIFE):
        tx.purchases.update(replace(purchase, state=PurchaseState.EXPIRED, changed_at=now))
        tx.events.append(Stream.MONEY, "purchase.expired", purchase.purchase_id, {})
