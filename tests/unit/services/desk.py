"""Where statements about money are judged one by one, over books in memory that are held against all rules."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.claims import ClaimState
from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import Money
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.claiming import decide
from easyisp_edge.services.money.judgement import NO_SUBSTITUTE, Judge, Receiver, Substitute, Verdict
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import (
    HOUR,
    PURCHASE_ID,
    RECEIVER,
    TENANT,
    a_claim,
    a_prompted_purchase,
    add_purchase,
    check_books,
    tables_in_memory,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.payments import MoneyRecord, Payment, PaymentReport
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.store.store import Tables

HALF_HOUR = replace(HOUR, package_id="30m", name="30 minutes", price=Money(600), duration=timedelta(minutes=30))
_ON_SALE = (HOUR, HALF_HOUR)


@dataclass
class Desk:
    """Books with a purchase or more, and whoever tells of money.

    Args:
        sql: The database.
        tx: Its tables.
        identifiers: New ids.
        substitute: What is sold where no price fits.
        now: The instant statements come.
    """

    sql: sqlite3.Connection
    tx: Tables
    identifiers: Identifiers = field(default_factory=lambda: Identifiers(SeededRandomness()))
    substitute: Substitute = NO_SUBSTITUTE
    now: datetime = START

    @property
    def judge(self) -> Judge:
        return Judge(self.tx, self.now, self.identifiers, self.substitute)

    def sell_less(self) -> None:
        """The owner sells the dearest package an amount affords, and what costs exactly as much as a receipt."""
        self.substitute = Substitute(for_less=self._dearest, for_price=self._priced)

    # What is told

    def settle(self, report: PaymentReport, purchase_id: str = PURCHASE_ID) -> Verdict:
        return self.judge.settle(purchase_id, report)

    def record(self, record: MoneyRecord, receiver: Receiver = RECEIVER) -> Verdict:
        return self.judge.settle_record(receiver, record)

    def paste(self, **changes: Any) -> Claim:
        """A customer pastes a receipt; pasted again, the claim that is there is looked at again."""
        wanted = a_claim(**changes)
        claim = self.tx.claims.by_id(wanted.claim_id)
        if claim is None:
            self.tx.claims.add(wanted)
            claim = wanted
        if claim.state is not ClaimState.VERIFYING:
            return claim
        judge = self.judge
        return decide(judge.books, judge.substitute.for_price, claim)

    # What is looked at

    def purchase(self, purchase_id: str = PURCHASE_ID) -> Purchase:
        found = self.tx.purchases.by_id(purchase_id)
        assert found is not None
        return found

    def payment(self, receipt: str) -> Payment:
        found = self.tx.payments.by_receipt(receipt)
        assert found is not None
        return found

    def grant(self, purchase_id: str = PURCHASE_ID) -> Grant:
        found = self.tx.grants.by_purchase(purchase_id)
        assert found is not None
        return found

    def payments(self) -> list[tuple[int, str, str | None]]:
        """Cents, disposition and receipt of all payments, in the order they were booked."""
        rows = self.sql.execute("SELECT amount_cents, disposition, mpesa_receipt_number FROM payments ORDER BY rowid")
        return rows.fetchall()

    def grants(self) -> int:
        return int(self.sql.execute("SELECT count(*) FROM grants").fetchone()[0])

    def balances(self) -> dict[str, int]:
        """Cents by kind of account, nought left out."""
        return {kind.value: cents for kind, cents in self.tx.ledger.balances().items() if cents}

    def wallet(self, phone: Msisdn) -> Money:
        customer_id = self.tx.customers.of_phone(TENANT, Service.HOTSPOT, phone)
        return Money(0) if customer_id is None else self.tx.ledger.wallet(customer_id)

    def wallet_of_device(self, mac: MacAddress) -> Money:
        """What the customers of a device have in their wallets together."""
        held = [self.tx.ledger.wallet(customer_id).cents for customer_id in self.tx.customers.of_device(TENANT, mac)]
        return Money(sum(held))

    def _dearest(self, tenant_id: str, _service: Service, _router: str | None, amount: Money) -> PackageVersion | None:
        fitting = [package for package in _ON_SALE if package.price <= amount and package.tenant_id == tenant_id]
        best = max(fitting, key=lambda package: package.price, default=None)
        return None if best is None else self.tx.packages.version_of(best, START)

    def _priced(self, tenant_id: str, _service: Service, _router: str | None, amount: Money) -> PackageVersion | None:
        fitting = [package for package in _ON_SALE if package.price == amount and package.tenant_id == tenant_id]
        return self.tx.packages.version_of(fitting[0], START) if fitting else None


@contextlib.contextmanager
def open_desk() -> Iterator[Desk]:
    """A desk with a purchase whose phone was prompted; its books are held against all rules at the end."""
    sql, tx = tables_in_memory()
    with contextlib.closing(sql):
        add_purchase(tx, a_prompted_purchase())
        desk = Desk(sql, tx)
        yield desk
        check_books(sql)


SOLD, WALLET, UNMATCHED, REFUNDED = (
    AccountKind.SOLD.value,
    AccountKind.WALLET.value,
    AccountKind.UNMATCHED.value,
    AccountKind.REFUNDED.value,
)
