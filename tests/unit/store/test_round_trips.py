"""Every table gives back what it was given, and finds what is looked for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.grants import Admission, Grant, GrantState
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.payments import Disposition, EvidenceSource, Outcome, Payment, PaymentMethod, Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import DataVolume, MacAddress, Money, Msisdn, RateLimit
from easyisp_edge.errors import NotFoundError
from easyisp_edge.store.columns import instant, read_instant
from easyisp_edge.store.store import Tables
from easyisp_edge.timekeeping import ClockMark
from tests.fakes.clocks import START, ManualTime
from tests.unit.shop import (
    GATEWAY,
    HOUR,
    MAC,
    OTHER_MAC,
    OTHER_PHONE,
    OTHER_PURCHASE_ID,
    PURCHASE_ID,
    ROUTER,
    TENANT,
    TOKEN,
    a_payment,
    a_purchase,
    add_customer,
    add_grant,
    add_purchase,
    tables_in_memory,
)

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis adds the zone
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MACS = st.integers(0, 2**48 - 1).map(lambda number: MacAddress.parse(f"{number:012x}"))
PHONES = st.integers(0, 10**8 - 1).map(lambda number: Msisdn(f"2547{number:08}"))
CENTS = st.integers(1, 10**14).map(Money)
KBPS = st.integers(1, 10**9)

PACKAGES = st.builds(
    Package,
    tenant_id=TEXT,
    package_id=TEXT,
    name=TEXT,
    service=st.sampled_from(Service),
    price=CENTS,
    duration=st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    rate_limit=st.builds(RateLimit, KBPS, KBPS),
    data_limit=st.none() | st.builds(DataVolume, st.integers(0, 2**62)),
    devices_max=st.integers(1, 100),
    active=st.booleans(),
    router_ids=st.lists(TEXT, max_size=3).map(tuple),
)

PURCHASES = st.builds(
    Purchase,
    purchase_id=TEXT,
    tenant_id=TEXT,
    package_version_id=st.just(1),
    service=st.sampled_from(Service),
    gateway_id=TEXT,
    phone=PHONES,
    amount=CENTS,
    mac=st.none() | MACS,
    router_id=st.none() | TEXT,
    language=TEXT,
    state=st.sampled_from(PurchaseState),
    reason=st.none() | st.sampled_from(Reason),
    result_description=TEXT,
    account_reference=TEXT,
    checkout_request_id=st.none() | TEXT,
    merchant_request_id=st.none() | TEXT,
    created_at=INSTANTS,
    changed_at=INSTANTS,
    query_at=st.none() | INSTANTS,
    queries=st.integers(0, 100),
)

PAYMENTS = st.builds(
    Payment,
    payment_id=TEXT,
    tenant_id=TEXT,
    gateway_id=TEXT,
    method=st.sampled_from(PaymentMethod),
    amount=CENTS,
    disposition=st.just(Disposition.UNMATCHED),
    mpesa_receipt_number=st.none() | TEXT,
    purchase_id=st.none() | st.just(PURCHASE_ID),
    customer_id=st.none() | st.just("customer-1"),
    phone=st.none() | PHONES,
    account=TEXT,
    description=TEXT,
    created_at=INSTANTS,
)


@given(PACKAGES)
def test_packages_come_back(package: Package) -> None:
    """A version says exactly what was on sale; the same package again is the same version, a changed one is not."""
    _, tx = tables_in_memory()
    version = tx.packages.version_of(package, START)
    assert tx.packages.by_id(version.version_id).package == package
    assert tx.packages.version_of(package, START + timedelta(days=1)) == version
    dearer = tx.packages.version_of(replace(package, price=Money(package.price.cents + 1)), START)
    assert dearer.version_id != version.version_id
    assert tx.packages.by_id(version.version_id).package == package


def test_an_unknown_package_version_is_said() -> None:
    """Rather than given as something else."""
    _, tx = tables_in_memory()
    with pytest.raises(NotFoundError):
        tx.packages.by_id(1)


@given(PURCHASES)
def test_purchases_come_back(purchase: Purchase) -> None:
    """By their id, the push's id and their callback token, of which the file holds only a digest."""
    connection, tx = tables_in_memory()
    tx.packages.version_of(HOUR, START)
    tx.purchases.add(purchase, TOKEN)
    tx.purchases.update(purchase)
    assert tx.purchases.by_id(purchase.purchase_id) == purchase
    assert tx.purchases.by_callback_token(TOKEN) == purchase
    assert tx.purchases.by_callback_token(TOKEN[:-1]) is None
    if purchase.checkout_request_id is not None:
        assert tx.purchases.by_checkout_request_id(purchase.checkout_request_id) == purchase
    assert not any(TOKEN in line for line in connection.iterdump())


@given(PAYMENTS)
def test_payments_come_back(payment: Payment) -> None:
    """By our id and by their receipt."""
    _, tx = tables_in_memory()
    add_purchase(tx, a_purchase())
    add_customer(tx)
    tx.payments.add(payment)
    assert tx.payments.by_id(payment.payment_id) == payment
    if payment.mpesa_receipt_number is not None:
        assert tx.payments.by_receipt(payment.mpesa_receipt_number) == payment
    assert tx.payments.unmatched(PURCHASE_ID) == ([payment] if payment.purchase_id else [])
    assert tx.payments.settling(PURCHASE_ID) is None


def test_a_settling_payment_is_found() -> None:
    """By the purchase it settled; it is not among the unmatched."""
    _, tx = tables_in_memory()
    add_purchase(tx, a_purchase())
    payment = a_payment(customer_id=add_customer(tx))
    tx.payments.add(payment)
    assert tx.payments.settling(PURCHASE_ID) == payment
    assert tx.payments.unmatched(PURCHASE_ID) == []


@given(st.integers(1, 10**9), INSTANTS, st.none() | MACS)
def test_grants_come_back(seconds: int, started_at: datetime, mac: MacAddress | None) -> None:
    """By id, payment and user name, waiting, running and ended; with what they bought where that is asked."""
    _, tx = tables_in_memory()
    grant = add_grant(tx, seconds_left=seconds, mac=mac)
    for standing in (grant, grant.started(started_at), grant.started(started_at).ended()):
        tx.grants.update(standing)
        assert tx.grants.by_id(grant.grant_id) == standing
        assert tx.grants.by_payment(grant.payment_id) == standing
        assert tx.grants.by_username(grant.username) == standing
        admission = tx.grants.admission(grant.username)
        assert admission is not None
        assert admission == admission_of(standing)


def admission_of(grant: Grant) -> Admission:
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
        HOUR,
    )


def test_usable_grants_are_in_the_order_of_use() -> None:
    """What runs comes before what waits, then by age; what is over or another's is left out."""
    _, tx = tables_in_memory()
    waiting = add_grant(tx, number=1)
    running = add_grant(tx, number=2).started(START)
    later = add_grant(tx, number=3)
    over = add_grant(tx, number=4).started(START).ended()
    elsewhere = add_grant(tx, number=5, mac=OTHER_MAC)
    add_grant(tx, number=6, tenant_id="other")
    for changed in (running, over):
        tx.grants.update(changed)
    assert tx.grants.usable_of_device(TENANT, MAC) == [admission_of(each) for each in (running, waiting, later)]
    found = sorted(tx.grants.usable(TENANT), key=lambda admission: admission.grant_id)
    assert found == [
        admission_of(each) for each in sorted([running, waiting, later, elsewhere], key=lambda grant: grant.grant_id)
    ]


def test_grants_that_are_over_are_found() -> None:
    """From the very instant of their end, not before; waiting ones never."""
    _, tx = tables_in_memory()
    add_grant(tx, number=1)
    assert tx.grants.next_end() is None
    running = add_grant(tx, number=2, state=GrantState.RUNNING, started_at=START, ends_at=START + timedelta(hours=1))
    assert tx.grants.next_end() == running.ends_at
    assert tx.grants.over(START + timedelta(minutes=59, seconds=59)) == []
    assert tx.grants.over(START + timedelta(hours=1)) == [running]
    tx.grants.update(running.ended())
    assert tx.grants.over(START + timedelta(hours=1)) == []
    assert tx.grants.next_end() is None


def test_customers_are_known_by_phone() -> None:
    """Who pays again is the same customer; what was spent adds up, and a device once known is not forgotten."""
    connection, tx = tables_in_memory()
    first = add_customer(tx, "one")
    again = tx.customers.paid(
        new_id="two",
        tenant_id=TENANT,
        service=Service.HOTSPOT,
        phone=a_purchase().phone,
        mac=None,
        amount=Money(500),
        at=START,
    )
    other = add_customer(tx, "three", OTHER_PHONE)
    assert (first, again, other) == ("one", "one", "three")
    rows = connection.execute(
        "SELECT customer_id, last_mac, total_spent_cents FROM customers ORDER BY rowid"
    ).fetchall()
    assert rows == [("one", MAC.text, 1500), ("three", MAC.text, 1000)]


def test_evidence_is_counted_by_source() -> None:
    """About one purchase at a time."""
    _, tx = tables_in_memory()
    add_purchase(tx, a_purchase())
    add_purchase(tx, a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER"), "other token")
    for purchase_id, source in (
        (PURCHASE_ID, EvidenceSource.STK_CALLBACK_BARE),
        (PURCHASE_ID, EvidenceSource.STK_CALLBACK_BARE),
        (PURCHASE_ID, EvidenceSource.STK_QUERY),
        (OTHER_PURCHASE_ID, EvidenceSource.STK_CALLBACK_BARE),
    ):
        tx.evidence.append(
            source=source,
            strong=source.strong,
            purchase_id=purchase_id,
            outcome=Outcome.UNKNOWN,
            verdict="",
            raw=b"\0\xff",
            at=START,
        )
    assert tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_CALLBACK_BARE) == 2
    assert tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_QUERY) == 1
    assert tx.evidence.count(OTHER_PURCHASE_ID, EvidenceSource.STK_QUERY) == 0


def a_usage(kind: UsageKind, *, session: str = "80000001", seconds: int = 0, octets: int = 0) -> UsageReport:
    return UsageReport(ROUTER, kind, session, "USER000001", None, MAC, "10.5.50.11", seconds, octets, octets, "")


def test_sessions_only_grow() -> None:
    """A report that comes again or out of order takes nothing back; counters take all 64 bits a router can send."""
    connection, tx = tables_in_memory()
    for seconds, octets in ((0, 0), (120, 2**64 - 1), (60, 5000)):
        tx.sessions.report(a_usage(UsageKind.INTERIM, seconds=seconds, octets=octets), None, START, START)
    rows = connection.execute("SELECT seconds, octets_in, octets_out, stopped_at FROM sessions").fetchall()
    assert rows == [(120, 2**63 - 1, 2**63 - 1, None)]
    assert tx.sessions.open_usernames(ROUTER, START) == {"USER000001"}
    assert tx.sessions.open_usernames(ROUTER, START + timedelta(seconds=1)) == set()


def test_a_routers_sessions_are_stopped_together() -> None:
    """Those of that router, and those still open."""
    connection, tx = tables_in_memory()
    for router, session in ((ROUTER, "1"), (ROUTER, "2"), ("other", "1")):
        usage = replace(a_usage(UsageKind.START, session=session), router_id=router)
        tx.sessions.report(usage, None, START, START)
    tx.sessions.stop(a_usage(UsageKind.STOP, session="1"), START)
    tx.sessions.stop_all(ROUTER, "NAS-Reboot", START + timedelta(hours=1))
    rows = connection.execute("SELECT router_id, stopped_at, cause FROM sessions ORDER BY session_id").fetchall()
    assert rows == [
        (ROUTER, instant(START), ""),
        (ROUTER, instant(START + timedelta(hours=1)), "NAS-Reboot"),
        ("other", None, ""),
    ]


def test_purchases_are_found_by_what_is_due() -> None:
    """By gateway: the longest due first, none before its time; what is open, by age."""
    _, tx = tables_in_memory()
    for number, gateway in ((1, GATEWAY), (2, GATEWAY), (3, "other")):
        add_purchase(
            tx,
            a_purchase(
                purchase_id=f"{number:032}",
                gateway_id=gateway,
                account_reference=str(number),
                state=PurchaseState.PROMPTED,
                query_at=START + timedelta(seconds=10 - number),
                created_at=START + timedelta(seconds=number),
            ),
            f"token-{number}",
        )
    assert tx.purchases.next_query_at(GATEWAY) == START + timedelta(seconds=8)
    assert tx.purchases.due_for_query(GATEWAY, START + timedelta(seconds=7)) is None
    due = tx.purchases.due_for_query(GATEWAY, START + timedelta(seconds=60))
    assert due is not None
    assert due.purchase_id == f"{2:032}"
    assert tx.purchases.next_query_at("nowhere") is None
    assert len(tx.purchases.open_since_before(START + timedelta(seconds=3))) == 2


def test_purchases_are_found_by_device_and_phone() -> None:
    """The latest of a device at a tenant; all of a phone since a moment, newest first, whoever asked."""
    _, tx = tables_in_memory()
    for number, tenant in ((1, TENANT), (2, TENANT), (3, "other")):
        purchase = a_purchase(
            purchase_id=f"{number:032}",
            tenant_id=tenant,
            account_reference=str(number),
            created_at=START + timedelta(seconds=number),
        )
        add_purchase(tx, purchase, f"token-{number}")
    latest = tx.purchases.latest_of_device(TENANT, MAC)
    assert latest is not None
    assert latest.purchase_id == f"{2:032}"
    assert tx.purchases.latest_of_device(TENANT, OTHER_MAC) is None
    since = tx.purchases.of_phone_since(a_purchase().phone, START + timedelta(seconds=2))
    assert [purchase.purchase_id for purchase in since] == [f"{3:032}", f"{2:032}"]


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_text(one: datetime, other: datetime) -> None:
    """Fixed width: what is earlier is smaller, and each comes back to the millisecond."""
    assert read_instant(instant(one)) == one
    assert (instant(one) < instant(other)) == (one < other)


@given(INSTANTS, TEXT, st.floats(0, 10**9))
def test_the_clock_keeps_one_mark(at: datetime, boot_id: str, since_boot: float) -> None:
    """The last one written."""
    connection, tx = tables_in_memory()
    assert tx.clock.last() is None
    tx.clock.write_down(ClockMark(START, "before", 1.0))
    tx.clock.write_down(ClockMark(at, boot_id, since_boot))
    assert tx.clock.last() == ClockMark(at, boot_id, since_boot)
    assert connection.execute("SELECT count(*) FROM clock").fetchone() == (1,)


def test_events_are_numbered_per_stream() -> None:
    """Each stream from one, without gaps, each chained to its own last."""
    _, tx = tables_in_memory()
    assert tx.events.head(Stream.MONEY) == (0, GENESIS)
    first = tx.events.append(Stream.MONEY, "a", "key", {})
    other = tx.events.append(Stream.USAGE, "u", "key", {})
    second = tx.events.append(Stream.MONEY, "b", "key", {"n": 1})
    assert [first.sequence, other.sequence, second.sequence] == [1, 1, 2]
    assert tx.events.head(Stream.MONEY) == (2, second.digest)
    assert tx.events.of_key("key") == ["a", "b", "u"]
    assert tx.events.first_break(Stream.MONEY) is None
    assert tx.events.first_break(Stream.USAGE) is None


def test_damage_to_the_chain_is_found_where_it_begins() -> None:
    """What was taken out, changed or renumbered by a hand that knows the file shows at the first place it can."""
    found_at = {
        "DELETE FROM events WHERE sequence = 3": 3,
        "DELETE FROM events WHERE sequence = 1": 1,
        "UPDATE events SET digest = zeroblob(32) WHERE sequence = 3": 3,
        "UPDATE events SET sequence = 9 WHERE sequence = 5": 5,
        "UPDATE events SET body = forged(body) WHERE sequence = 3": 3,
        # A new digest over the changed body: the event after it no longer fits.
        "UPDATE events SET body = forged(body), digest = sha256(forged(body)) WHERE sequence = 3": 4,
    }
    assert {damage: first_break_after(damage) for damage in found_at} == found_at


def first_break_after(damage: str) -> int | None:
    connection, tx = tables_in_memory()
    for number in range(5):
        tx.events.append(Stream.MONEY, "kind", "key", {"number": number})
    for trigger in ("events_stand", "events_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.create_function("forged", 1, lambda body: body.replace(b'"number":2', b'"number":7'))
    connection.create_function("sha256", 1, lambda body: hashlib.sha256(body).digest())
    assert connection.execute(damage).rowcount == 1
    return tx.events.first_break(Stream.MONEY)


def test_events_need_a_transaction() -> None:
    """The reading side cannot append."""
    connection, _ = tables_in_memory()
    with pytest.raises(RuntimeError):
        Tables(connection, None).events.append(Stream.MONEY, "a", "key", {})


def test_an_event_tells_box_time_and_how_far_to_believe_it() -> None:
    """Whoever reads it later must know whether the clock was set."""
    _, tx = tables_in_memory(ManualTime(datetime(1970, 1, 1, tzinfo=UTC), synchronised=False))
    assert b'"clk":"unset"' in tx.events.append(Stream.MONEY, "a", "key", {}).body
