"""What others say about money comes in by its doors, is judged in one transaction, and is answered after it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.purchases import OFFERED_LIFE, PENDING_LIFE, PurchaseState
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.services.money.judgement import BOOKED, Judge, Verdict, asked_in_vain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from easyisp_edge.domain.payments import MoneyRecord, PaymentReport
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.money.judgement import Receiver, Substitute
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

# Anybody may post to the address without a secret: how often that may make us ask about one purchase.
BARE_CALLBACKS_MAX = 3
# When nobody answered, others are asked about first.
POSTPONED = timedelta(seconds=20)
_RECORDS_PER_TRANSACTION = 50


@dataclass(frozen=True, slots=True)
class SettlementService:
    """Takes evidence and has it judged.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids and credentials.
        substitute: What is sold where no price fits.
        granted: Called with the tenant's id after a grant may have been committed.
        query_due: To be called when a purchase may have become due for a query.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    substitute: Substitute
    granted: Callable[[str], None]
    query_due: Callable[[], None]

    def judge(self, tx: Tables) -> Judge:
        """A judge for one transaction."""
        return Judge(tx, self.clock.now(), self.identifiers, self.substitute)

    async def take_callback(self, token: str, report: PaymentReport) -> bool:
        """Take a callback that came to a purchase's secret address; False when there is no such address.

        A report that speaks of another push than the purchase's own is not believed for knowing the secret.
        """
        purchase = self.store.read.purchases.by_callback_token(token)
        if purchase is None:
            return False
        await self._take(purchase, report)
        return True

    async def take_report(self, report: PaymentReport) -> bool:
        """Take what a trusted party tells of one of our pushes, as its own callback; False when it is none of ours."""
        purchase = self.store.read.purchases.by_checkout_request_id(report.checkout_request_id or "")
        if purchase is None:
            return False
        await self._take(purchase, report)
        return True

    async def take_bare_callback(self, report: PaymentReport) -> None:
        """Take a callback that came without a secret: it can only make us ask sooner."""
        purchase = self.store.read.purchases.by_checkout_request_id(report.checkout_request_id or "")
        if purchase is None or purchase.state is PurchaseState.PAID:
            return
        if self.store.read.evidence.count(purchase.purchase_id, report.source) < BARE_CALLBACKS_MAX:
            await self._take(purchase, report)

    async def take_records(self, receiver: Receiver, records: Sequence[MoneyRecord]) -> None:
        """Take money from the receiver's own books; what is known already changes nothing."""
        for at in range(0, len(records), _RECORDS_PER_TRANSACTION):
            some = records[at : at + _RECORDS_PER_TRANSACTION]
            verdicts = await self.store.write(lambda tx, some=some: self._judge_records(tx, receiver, some))  # type: ignore[misc]
            for record, verdict in zip(some, verdicts, strict=True):
                if verdict is not Verdict.REPEATED:
                    log.info("%s says %s came in: %s", record.source, record.mpesa_receipt_number, verdict)
            if set(verdicts) != {Verdict.REPEATED}:
                self.granted(receiver.tenant_id)

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

    def _judge_records(self, tx: Tables, receiver: Receiver, records: Sequence[MoneyRecord]) -> list[Verdict]:
        judge = self.judge(tx)
        return [judge.settle_record(receiver, record) for record in records]

    async def _query(self, purchase: Purchase, checkout_request_id: str, gateway: PaymentGateway) -> None:
        try:
            report = await gateway.stk_query(checkout_request_id)
        except RefusedError as error:
            log.error("query for %s refused: %s", purchase.account_reference, error)  # noqa: TRY400 - no bug of ours
            await self.store.write(lambda tx: asked_in_vain(tx, purchase.purchase_id, self.clock.now()))
        except UnavailableError:
            # Nobody answered: that uses up none of the times it is to be asked, however long it lasts.
            await self.store.write(lambda tx: _postpone(tx, purchase.purchase_id, self.clock.now()))
            raise
        else:
            await self._take(purchase, report)

    async def _take(self, purchase: Purchase, report: PaymentReport) -> None:
        verdict = await self.store.write(lambda tx: self.judge(tx).settle(purchase.purchase_id, report))
        log.info("%s says %s (%s): %s", report.source, report.outcome.value, report.result_code, verdict)
        if verdict in BOOKED:
            self.granted(purchase.tenant_id)
        self.query_due()

    def _seconds_to_next(self, gateway_id: str) -> float | None:
        due = self.store.read.purchases.next_query_at(gateway_id)
        return None if due is None else max(0.0, (due - self.clock.now()).total_seconds())


def _postpone(tx: Tables, purchase_id: str, now: datetime) -> None:
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is not None and purchase.state is not PurchaseState.PAID:
        tx.purchases.update(replace(purchase, query_at=now + POSTPONED))


def _expire(tx: Tables, now: datetime) -> None:
    over = tx.purchases.open_since_before(now - PENDING_LIFE) + tx.purchases.offered_since_before(now - OFFERED_LIFE)
    for purchase in over:
        tx.purchases.update(replace(purchase, state=PurchaseState.EXPIRED, changed_at=now))
        tx.events.append(Stream.MONEY, "purchase.expired", purchase.purchase_id, {})
