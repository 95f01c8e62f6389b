"""Examples to write into a store: a package, a purchase, the payment for it, the grant it bought.

Books that are opened or made here are held against all rules that must hold of any books when they are closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.claims import Claim, ClaimState
from easyisp_edge.domain.grants import Admission, Funding, Grant, GrantState
from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import MacAddress, Money, Msisdn, RateLimit
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Judge, Receiver
from easyisp_edge.store import migrations
from easyisp_edge.store.checks import broken_rules
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, Tables, running
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import START, ManualTime, SeededRandomness
from tests.fakes.gateway import CHECKOUT, MERCHANT, PAYER, RECEIPT, callback_paid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TENANT, GATEWAY, ROUTER = "default", "paybill", "main"
PURCHASE_ID, OTHER_PURCHASE_ID = "a" * 32, "b" * 32
MAC, OTHER_MAC = MacAddress("AA:BB:CC:00:00:01"), MacAddress("AA:BB:CC:00:00:02")
OTHER_PHONE = Msisdn("254722000111")
TOKEN = "c" * 32
RECEIVER = Receiver(TENANT, GATEWAY)
PAY_CODE = "ABCDEFP"
OTHER_PAY_CODE = "HJKMNPA"

HOUR = Package(
    tenant_id=TENANT,
    package_id="1h",
    name="1 hour",
    service=Service.HOTSPOT,
    price=Money(1000),
    duration=timedelta(hours=1),
    rate_limit=RateLimit(2000, 5000),
    data_limit=None,
    devices_max=1,
    active=True,
    router_ids=(),
)

_PURCHASE = Purchase(
    purchase_id=PURCHASE_ID,
    tenant_id=TENANT,
    package_version_id=1,
    service=Service.HOTSPOT,
    gateway_id=GATEWAY,
    phone=PAYER,
    amount=HOUR.price,
    mac=MAC,
    router_id=ROUTER,
    language="en",
    state=PurchaseState.INTENDED,
    reason=None,
    result_description="",
    account_reference=PAY_CODE,
    checkout_request_id=None,
    merchant_request_id=None,
    created_at=START,
    changed_at=START,
    query_at=None,
    queries=0,
)

_PAYMENT = Payment(
    payment_id="payment-1",
    tenant_id=TENANT,
    gateway_id=GATEWAY,
    method=PaymentMethod.MPESA,
    amount=HOUR.price,
    disposition=Disposition.GRANT,
    mpesa_receipt_number=RECEIPT,
    purchase_id=PURCHASE_ID,
    customer_id="customer-1",
    phone=PAYER,
    account=PAY_CODE,
    description="1 hour",
    created_at=START,
)

_GRANT = Grant(
    grant_id="grant-1",
    tenant_id=TENANT,
    customer_id="customer-1",
    funding=Funding.PAYMENT,
    payment_id="payment-1",
    purchase_id=PURCHASE_ID,
    package_version_id=1,
    service=Service.HOTSPOT,
    username="USERAAAAAA",
    password="PASSWORDAAAAAAAAAAAA",
    mac=MAC,
    state=GrantState.WAITING,
    seconds_left=3600,
    created_at=START,
    started_at=None,
    ends_at=None,
)

_CLAIM = Claim(
    claim_id="d" * 32,
    tenant_id=TENANT,
    gateway_id=GATEWAY,
    mpesa_receipt_number=RECEIPT,
    package_version_id=None,
    phone=None,
    mac=MAC,
    router_id=ROUTER,
    language="en",
    state=ClaimState.VERIFYING,
    reason=None,
    grant_id=None,
    provisional_grant_id=None,
    customer_id=None,
    created_at=START,
    changed_at=START,
    look_at=START + timedelta(seconds=20),
    looks=0,
)


def a_claim(**changes: Any) -> Claim:
    """A receipt just pasted on the device of the purchase, but for the changes."""
    return replace(_CLAIM, **changes)


def a_purchase(**changes: Any) -> Purchase:
    """A purchase just written, but for the changes."""
    return replace(_PURCHASE, **changes)


def a_prompted_purchase(**changes: Any) -> Purchase:
    """A purchase whose push was accepted, but for the changes."""
    prompted = replace(
        _PURCHASE, state=PurchaseState.PROMPTED, checkout_request_id=CHECKOUT, merchant_request_id=MERCHANT
    )
    return replace(prompted, **changes)


def a_payment(**changes: Any) -> Payment:
    """The payment that settled the purchase, but for the changes."""
    return replace(_PAYMENT, **changes)


def a_grant(**changes: Any) -> Grant:
    """The grant the payment bought, but for the changes."""
    return replace(_GRANT, **changes)


def admission_of(grant: Grant, package: Package = HOUR) -> Admission:
    """What a router needs to know of a grant of that package."""
    return Admission(
        grant.grant_id,
        grant.tenant_id,
        grant.username,
        grant.password,
        grant.mac,
        grant.state,
        grant.seconds_left,
        grant.created_at,
        grant.ends_at,
        grant.seconds_used,
        grant.octets_used,
        package,
        grant.off_since,
    )


def add_purchase(tx: Tables, purchase: Purchase, token: str = TOKEN) -> Purchase:
    """Write a purchase in whatever state, with the package it is of."""
    version = tx.packages.version_of(HOUR, START)
    standing = replace(purchase, package_version_id=version.version_id)
    tx.purchases.add(standing, token)
    tx.purchases.update(standing)
    return standing


def add_customer(tx: Tables, customer_id: str = "customer-1", phone: Msisdn = PAYER) -> str:
    """Write a customer who paid for an hour."""
    return tx.customers.paid(
        new_id=customer_id,
        tenant_id=TENANT,
        service=Service.HOTSPOT,
        phone=phone,
        mac=MAC,
        amount=HOUR.price,
        at=START,
    )


@dataclass(frozen=True)
class KnownIdentifiers(Identifiers):
    """Identifiers that a test names beforehand.

    Args:
        ids: Given one after the other.
        codes: The same, for user names and passwords.
    """

    ids: deque[str] = field(default_factory=deque)
    codes: deque[str] = field(default_factory=deque)

    def ordered(self, now: datetime) -> str:
        return self.ids.popleft()

    def readable(self, length: int) -> str:
        return self.codes.popleft()


def add_grant(tx: Tables, package: Package = HOUR, *, number: int = 1, **changes: Any) -> Grant:
    """Have a purchase of a package paid by a callback; the grant it bought, with those changes.

    What is numbered 1 has the ids `payment-1`, `grant-1` and so on; one phone buys them all.
    """
    tenant_id = changes.get("tenant_id", TENANT)
    version_id = tx.packages.version_of(replace(package, tenant_id=tenant_id), START).version_id
    purchase = a_prompted_purchase(
        purchase_id=f"{number:02}" * 16,
        tenant_id=tenant_id,
        package_version_id=version_id,
        service=package.service,
        amount=package.price,
        mac=changes.get("mac", MAC),
        account_reference=f"REF{number:07}",
        checkout_request_id=f"ws_CO_of_{number}",
    )
    tx.purchases.add(purchase, f"token-{number}")
    tx.purchases.update(purchase)
    ids = deque([f"payment-{number}", f"customer-{number}", f"grant-{number}"])
    codes = deque([f"USER{number:06}", "PASSWORDAAAAAAAAAAAA"])
    judge = Judge(tx, START + timedelta(seconds=number), KnownIdentifiers(SeededRandomness(), ids, codes))
    receipt = f"RECEIPT{number:03}"
    judge.settle(
        purchase.purchase_id,
        callback_paid(checkout=purchase.checkout_request_id, receipt=receipt, amount=package.price),
    )
    made = tx.grants.by_purchase(purchase.purchase_id)
    assert made is not None
    grant = replace(made, **changes)
    tx.grants.update(grant)
    assert tx.grants.by_id(grant.grant_id) == grant, "only what changes with use can be changed"
    return grant


def check_books(connection: sqlite3.Connection) -> None:
    """Hold books against every rule that must hold of any, at any moment."""
    assert broken_rules(connection) == []


@dataclass(frozen=True)
class Books:
    """An open store with a clock and identifiers a test holds in its hand."""

    store: Store
    clock: BoxClock
    time: ManualTime
    identifiers: Identifiers

    def now(self) -> datetime:
        return self.clock.now()

    def count(self, table: str) -> int:
        """How many rows a table has."""
        connection = self.store._database.reading
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a test's own words

    def events(self) -> list[str]:
        """The types of all events of money, in order."""
        rows = self.store._database.reading.execute("SELECT type FROM events WHERE stream = 'money' ORDER BY sequence")
        return [row[0] for row in rows]


@contextlib.asynccontextmanager
async def open_books(folder: Path) -> AsyncIterator[Books]:
    """A store on a file of its own, committing within the block."""
    time = ManualTime()
    database = await ThreadedDatabase.open(folder / "edge.sqlite")
    clock = BoxClock(time, None)
    try:
        async with running(Store(database, clock)) as store:
            yield Books(store, clock, time, Identifiers(SeededRandomness()))
        await database.survey(check_books)
    finally:
        await database.close()


def tables_in_memory(
    time: ManualTime | None = None, kind: type[sqlite3.Connection] = sqlite3.Connection
) -> tuple[sqlite3.Connection, Tables]:
    """All tables of this release's schema over one connection in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=kind, cached_statements=512)
    connection.execute("PRAGMA foreign_keys=ON")
    migrations.migrate(connection)
    return connection, Tables(connection, BoxClock(time or ManualTime(), None))
