"""Examples to write into a store: a package, a purchase, the payment for it, the grant it bought."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.grants import Grant, GrantState
from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import MacAddress, Money, Msisdn, RateLimit
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.store import migrations
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, Tables, running
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import START, ManualTime, SeededRandomness
from tests.fakes.gateway import CHECKOUT, MERCHANT, PAYER, RECEIPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TENANT, GATEWAY, ROUTER = "default", "paybill", "main"
PURCHASE_ID, OTHER_PURCHASE_ID = "a" * 32, "b" * 32
MAC, OTHER_MAC = MacAddress("AA:BB:CC:00:00:01"), MacAddress("AA:BB:CC:00:00:02")
OTHER_PHONE = Msisdn("254722000111")
TOKEN = "c" * 32

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
    account_reference="REFAAAAAAA",
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
    account="REFAAAAAAA",
    description="1 hour",
    created_at=START,
)

_GRANT = Grant(
    grant_id="grant-1",
    tenant_id=TENANT,
    customer_id="customer-1",
    payment_id="payment-1",
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


def add_grant(tx: Tables, package: Package = HOUR, *, number: int = 1, **changes: Any) -> Grant:
    """Write a grant with all it stands on: package, purchase, customer, payment."""
    version_id = tx.packages.version_of(package, START).version_id
    digits = f"{number:02}"
    purchase = a_purchase(
        purchase_id=digits * 16,
        package_version_id=version_id,
        amount=package.price,
        account_reference=f"REF{number:07}",
        state=PurchaseState.PAID,
    )
    tx.purchases.add(purchase, f"token-{number}")
    customer_id = add_customer(tx)
    payment_id = f"payment-{number}"
    tx.payments.add(
        a_payment(
            payment_id=payment_id,
            amount=package.price,
            mpesa_receipt_number=f"RECEIPT{number:03}",
            purchase_id=purchase.purchase_id,
            customer_id=customer_id,
        )
    )
    wanted = a_grant(
        grant_id=f"grant-{number}",
        customer_id=customer_id,
        payment_id=payment_id,
        package_version_id=version_id,
        username=f"USER{number:06}",
        seconds_left=int(package.duration.total_seconds()),
        created_at=START + timedelta(seconds=number),
    )
    grant = replace(wanted, **changes)
    tx.grants.add(grant)
    return grant


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
    finally:
        await database.close()


def tables_in_memory(time: ManualTime | None = None) -> tuple[sqlite3.Connection, Tables]:
    """All tables of this release's schema over one connection in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    migrations.migrate(connection)
    return connection, Tables(connection, BoxClock(time or ManualTime(), None))
