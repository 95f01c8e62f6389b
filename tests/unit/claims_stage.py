"""Where receipts are pasted and looked up: the services of claims, lists and wallets over real books."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.services.money.claims import ClaimGateway, ClaimOrder, ClaimRules, ClaimService
from easyisp_edge.services.money.judgement import Receiver, Substitute
from easyisp_edge.services.money.settlement import SettlementService
from easyisp_edge.services.money.shelf import Shelf
from easyisp_edge.services.money.sweep import SweepService
from easyisp_edge.services.money.wallets import WalletService
from tests.fakes.gateway import FakeGateway, money_record
from tests.unit.shop import (
    GATEWAY,
    HOUR,
    MAC,
    PURCHASE_ID,
    RECEIVER,
    ROUTER,
    TENANT,
    TOKEN,
    Books,
    a_prompted_purchase,
    add_purchase,
    open_books,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.payments import Payment, PaymentReport
    from easyisp_edge.domain.purchases import Purchase

# The letters say the day the books begin: 21 November 2026.
TODAY = "UKL41A7C9D"
TODAY_TOO = "UKL41A7C9E"
DAY = replace(HOUR, package_id="1d", name="1 day", price=Money(5000), duration=timedelta(days=1))
NOMINATED = Msisdn("254700000001")
BASE = "https://edge.example"
ELSEWHERE = Receiver("elsewhere", "till")
MINUTE, AN_HOUR = 60.0, 3600.0


def device(number: int) -> MacAddress:
    """One of many devices."""
    octets = number.to_bytes(4, "big").hex(":").upper()
    return MacAddress(f"DE:AD:{octets}")


@dataclass
class ClaimsStage:
    """The services over open books, with one gateway whose list is read."""

    books: Books
    gateway: FakeGateway = field(default_factory=FakeGateway)
    rules: ClaimRules = field(default_factory=ClaimRules)
    known: ClaimGateway | None = field(default_factory=lambda: ClaimGateway(GATEWAY, listed=True, cut_off=False))
    granted: list[str] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        books = self.books
        self.shelf = Shelf(books.store, books.clock)
        self.settlement = SettlementService(
            store=books.store,
            clock=books.clock,
            identifiers=books.identifiers,
            substitute=Substitute(lambda *_: None, self.shelf.priced),
            granted=self.granted.append,
            query_due=lambda: None,
        )
        self.sweep = SweepService(self.settlement)
        self.claims = ClaimService(
            settlement=self.settlement,
            shelf=self.shelf,
            gateway_of=lambda _tenant_id: self.known,
            rules=lambda _tenant_id: self.rules,
            look=lambda: self.looks.append(1),
        )
        self.wallets = WalletService(self.settlement, self.shelf)

    def unlisted(self) -> None:
        """From now on the gateway's list is not read."""
        self.known = ClaimGateway(GATEWAY, listed=False, cut_off=False)

    def cut_off(self) -> None:
        """From now on M-Pesa cannot be asked."""
        self.known = ClaimGateway(GATEWAY, listed=True, cut_off=True)

    # --- what happens

    async def paste(self, text: str = TODAY, **changes: Any) -> Claim:
        """Have a receipt pasted on a device that wants an hour, but for the changes."""
        order = ClaimOrder(None, text, TENANT, HOUR.package_id, None, MAC, ROUTER, "en")
        return await self.claims.make(order._replace(**changes))

    async def comes_in(
        self,
        receipt: str = TODAY,
        amount: Money = HOUR.price,
        receiver: Receiver = RECEIVER,
        payer: Payer = Payer(),  # noqa: B008 - frozen
    ) -> None:
        """Have money told by the receiver's own books; as it stands, of nobody known."""
        await self.settlement.take_records(receiver, [money_record(receipt=receipt, amount=amount, payer=payer)])

    async def read_list(self) -> float | None:
        """Have the gateway's list read, if it is time for that."""
        return await self.sweep.round(RECEIVER, self.gateway, NOMINATED, BASE)

    async def prompt(self, token: str = TOKEN, **changes: Any) -> Purchase:
        """Write a purchase whose phone was prompted, but for the changes."""
        purchase = a_prompted_purchase(**{"created_at": self.books.now(), **changes})
        return await self.books.store.write(lambda tx: add_purchase(tx, purchase, token))

    async def say(self, report: PaymentReport, purchase_id: str = PURCHASE_ID) -> None:
        """Have a statement about a push judged."""
        await self.books.store.write(lambda tx: self.settlement.judge(tx).settle(purchase_id, report))

    async def use(self, grant_id: str) -> None:
        """The device is let on: time runs."""
        now = self.books.now()
        await self.books.store.write(lambda tx: tx.grants.update(self.grant(grant_id).started(now)))

    def pass_by(self, seconds: float) -> None:
        """Time goes by, and nothing happens."""
        self.books.time.advance(seconds)

    async def wait(self, seconds: float) -> None:
        """Time goes by; claims are looked at whenever one is due, at the end too."""
        while (pause := await self.claims.round()) is not None and pause <= seconds:
            self.pass_by(pause)
            seconds -= pause
        self.pass_by(seconds)

    # --- what stands

    def claim(self, claim_id: str) -> Claim:
        found = self.books.store.read.claims.by_id(claim_id)
        assert found is not None
        return found

    def grant(self, grant_id: str | None) -> Grant:
        found = self.books.store.read.grants.by_id(grant_id or "")
        assert found is not None
        return found

    def payment(self, receipt: str = TODAY) -> Payment:
        found = self.books.store.read.payments.by_receipt(receipt)
        assert found is not None
        return found

    def purchase(self, purchase_id: str = PURCHASE_ID) -> Purchase:
        found = self.books.store.read.purchases.by_id(purchase_id)
        assert found is not None
        return found

    def wallet(self, claim: Claim) -> Money:
        """What is in the wallet of whom a claim was decided for."""
        assert claim.customer_id is not None
        return self.wallets.credit_of(claim.customer_id)


@contextlib.asynccontextmanager
async def open_claims_stage(folder: Path) -> AsyncIterator[ClaimsStage]:
    """A stage on a file of its own, with two packages on sale; its books are held against all rules at the end."""
    async with open_books(folder) as books:
        stage = ClaimsStage(books)
        await stage.shelf.put_out([HOUR, DAY])
        yield stage
