"""Every table gives back what it was given, and finds what is looked for."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain import ledger
from easyisp_edge.domain.claims import Claim, ClaimState, Refusal
from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.ledger import Account, AccountKind, Entry
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.payments import Disposition, EvidenceSource, Outcome, Payment, PaymentMethod, Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.values import Burst, DataVolume, MacAddress, Money, Msisdn, Rate, RateLimit
from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.store.columns import instant, read_instant
from easyisp_edge.store.gateway_states import GatewayState
from easyisp_edge.store.store import Tables
from easyisp_edge.timekeeping import ClockMark
from tests.fakes.clocks import START, ManualTime
from tests.fakes.gateway import PNG, RECEIPT
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
    a_claim,
    a_payment,
    a_purchase,
    add_customer,
    add_grant,
    add_purchase,
    admission_of,
    tables_in_memory,
)

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis adds the zone
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MACS = st.integers(0, 2**48 - 1).map(lambda number: MacAddress.parse(f"{number:012x}"))
PHONES = st.integers(0, 10**8 - 1).map(lambda number: Msisdn(f"2547{number:08}"))
CENTS = st.integers(1, 10**14).map(Money)
KBPS = st.integers(1, 999_999)
RATES = st.builds(Rate, KBPS, KBPS)

DAYS = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))


def rate_limits(own: Rate) -> st.SearchStrategy[RateLimit]:
    """With all that may be said beside the speed."""
    faster = Rate(own.upload_kbps, own.download_kbps + 1)
    bursts = st.none() | st.builds(Burst, st.just(faster), RATES, st.integers(1, 60), st.integers(1, 60))
    return st.builds(RateLimit, st.just(own.upload_kbps), st.just(own.download_kbps), bursts, st.integers(1, 8), RATES)


PACKAGES = st.builds(
    Package,
    tenant_id=TEXT,
    package_id=TEXT,
    name=TEXT,
    service=st.sampled_from(Service),
    price=CENTS,
    duration=st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    rate_limit=RATES.flatmap(rate_limits),
    data_limit=st.none() | st.builds(DataVolume, st.integers(0, 2**62)),
    devices_max=st.integers(1, 100),
    active=st.booleans(),
    router_ids=st.lists(TEXT, max_size=3).map(tuple),
    online_time=st.none() | st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    schedule=st.none() | st.builds(Schedule, st.integers(0, 1439), st.integers(0, 1440), DAYS),
    language=st.none() | TEXT,
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
    disposition=st.sampled_from([Disposition.UNMATCHED, Disposition.REFUNDED]),
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
    assert tx.payments.of_purchase(PURCHASE_ID) == ([payment] if payment.purchase_id else [])
    unmatched = [payment] if payment.disposition is Disposition.UNMATCHED else []
    assert tx.payments.unmatched(payment.tenant_id, 1) == unmatched
    assert tx.payments.unmatched(payment.tenant_id, 0) == []


@given(PAYMENTS, PAYMENTS)
def test_what_becomes_known_of_a_payment_comes_back(payment: Payment, later: Payment) -> None:
    """Where it went, for what, whose it is, receipt, payer, account and words; the rest stands as it was booked."""
    _, tx = tables_in_memory()
    add_purchase(tx, a_purchase())
    add_customer(tx)
    booked = replace(
        payment, disposition=Disposition.UNMATCHED, mpesa_receipt_number=None, purchase_id=None, phone=None
    )
    known = replace(
        booked,
        disposition=later.disposition,
        mpesa_receipt_number=later.mpesa_receipt_number,
        purchase_id=later.purchase_id,
        customer_id=later.customer_id,
        phone=later.phone,
        account=later.account,
        description=later.description,
    )
    tx.payments.add(booked)
    tx.payments.update(known)
    assert tx.payments.by_id(booked.payment_id) == known


def test_unmatched_money_is_listed_newest_first() -> None:
    """One tenant's, so many at most."""
    _, tx = tables_in_memory()
    for number, tenant in ((1, TENANT), (2, TENANT), (3, "other"), (4, TENANT)):
        unmatched = a_payment(
            payment_id=f"p{number}",
            tenant_id=tenant,
            disposition=Disposition.UNMATCHED,
            mpesa_receipt_number=f"R{number}",
            purchase_id=None,
            customer_id=None,
            created_at=START + timedelta(seconds=number),
        )
        tx.payments.add(unmatched)
    assert [payment.payment_id for payment in tx.payments.unmatched(TENANT, 2)] == ["p4", "p2"]


@given(st.integers(1, 10**9), INSTANTS, st.none() | MACS)
def test_grants_come_back(seconds: int, started_at: datetime, mac: MacAddress | None) -> None:
    """By id, payment and user name, waiting, running and ended; with what they bought where that is asked."""
    _, tx = tables_in_memory()
    grant = add_grant(tx, seconds_left=seconds, mac=mac)
    started = grant.started(started_at)
    for standing in (grant, started, replace(started, off_since=START), started.ended(START)):
        tx.grants.update(standing)
        assert tx.grants.by_id(grant.grant_id) == standing
        assert grant.payment_id is not None
        assert tx.grants.by_payment(grant.payment_id) == standing
        assert tx.grants.by_purchase(grant.purchase_id or "") == standing
        assert tx.grants.by_username(grant.username) == standing
        admission = tx.grants.admission(grant.username)
        assert admission is not None
        assert admission == admission_of(standing)


def test_usable_grants_are_in_the_order_of_use() -> None:
    """What runs comes before what waits, then by age; what is over or another's is left out."""
    _, tx = tables_in_memory()
    waiting = add_grant(tx, number=1)
    running = add_grant(tx, number=2).started(START)
    later = add_grant(tx, number=3)
    over = add_grant(tx, number=4).started(START).ended(START)
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
    tx.grants.update(running.ended(START))
    assert tx.grants.over(START + timedelta(hours=1)) == []
    assert tx.grants.next_end() is None


@given(
    st.sampled_from([None, "payment-1", "payment-2"]), st.sampled_from([None, PURCHASE_ID]), st.sampled_from(Funding)
)
def test_what_a_grant_stands_on_may_turn_out_otherwise(
    payment_id: str | None, purchase_id: str | None, funding: Funding
) -> None:
    """Payment, purchase and funding come back, and its use is as it was."""
    if (funding is Funding.PAYMENT) != (payment_id is not None):
        return
    _, tx = tables_in_memory()
    grant = add_grant(tx)
    add_purchase(tx, a_purchase())
    other = a_payment(payment_id="payment-2", mpesa_receipt_number=None, purchase_id=None)
    tx.payments.add(other)
    rebooked = replace(grant, funding=funding, payment_id=payment_id, purchase_id=purchase_id)
    tx.grants.rebook(rebooked)
    assert tx.grants.by_id(grant.grant_id) == rebooked


CLAIMS = st.builds(
    Claim,
    claim_id=TEXT,
    tenant_id=TEXT,
    gateway_id=TEXT,
    mpesa_receipt_number=TEXT,
    package_version_id=st.none() | st.just(1),
    phone=st.none() | PHONES,
    mac=st.none() | MACS,
    router_id=st.none() | TEXT,
    language=TEXT,
    state=st.sampled_from(ClaimState),
    reason=st.none() | st.sampled_from(Refusal),
    grant_id=st.none() | st.just("grant-1"),
    provisional_grant_id=st.none() | st.just("grant-1"),
    customer_id=st.none() | st.just("customer-1"),
    created_at=INSTANTS,
    changed_at=INSTANTS,
    look_at=st.none() | INSTANTS,
    looks=st.integers(0, 100),
)


@given(CLAIMS, CLAIMS)
def test_claims_come_back(claim: Claim, later: Claim) -> None:
    """As they were made, and with what became of them; found by receipt while they are open."""
    _, tx = tables_in_memory()
    add_grant(tx)
    tx.claims.add(claim)
    assert tx.claims.by_id(claim.claim_id) == claim
    changed = replace(
        claim,
        state=later.state,
        reason=later.reason,
        grant_id=later.grant_id,
        provisional_grant_id=later.provisional_grant_id,
        customer_id=later.customer_id,
        changed_at=later.changed_at,
        look_at=later.look_at,
        looks=later.looks,
    )
    tx.claims.update(changed)
    assert tx.claims.by_id(claim.claim_id) == changed
    still_open = [changed] if changed.state is ClaimState.VERIFYING else []
    assert tx.claims.open_on(claim.mpesa_receipt_number) == still_open


def test_claims_are_found_by_device_and_time() -> None:
    """The latest of a device at a tenant, and all of a device, newest first; how many there are; what is due first."""
    _, tx = tables_in_memory()
    for number, tenant, mac in ((1, TENANT, MAC), (2, TENANT, MAC), (3, "other", MAC), (4, TENANT, OTHER_MAC)):
        at = START + timedelta(seconds=number)
        claim = a_claim(
            claim_id=f"{number:032}",
            tenant_id=tenant,
            mac=mac,
            mpesa_receipt_number=f"R{number}",
            created_at=at,
            look_at=None if number == 1 else START + timedelta(seconds=10 - number),
        )
        tx.claims.add(claim)
    latest = tx.claims.latest_of_device(TENANT, MAC)
    assert latest is not None
    assert latest.claim_id == f"{2:032}"
    since = tx.claims.of_device_since(MAC, START + timedelta(seconds=2))
    assert [claim.claim_id for claim in since] == [f"{3:032}", f"{2:032}"]
    assert tx.claims.count_since(START + timedelta(seconds=2)) == 3
    assert tx.claims.provisional_since(START) == []
    assert [claim.claim_id for claim in tx.claims.due(START + timedelta(seconds=7), 5)] == [f"{4:032}", f"{3:032}"]
    assert len(tx.claims.due(START + timedelta(seconds=60), 2)) == 2
    assert tx.claims.next_look_at() == START + timedelta(seconds=6)


def test_claims_on_a_receipt_are_first_come_first_served() -> None:
    """Whoever pasted it first is first."""
    _, tx = tables_in_memory()
    for number in (2, 1, 3):
        tx.claims.add(a_claim(claim_id=f"{number:032}", created_at=START + timedelta(seconds=number)))
    assert [claim.claim_id for claim in tx.claims.open_on(RECEIPT)] == [f"{number:032}" for number in (1, 2, 3)]


ACCOUNTS = st.sampled_from(
    [
        ledger.received(TENANT),
        ledger.unmatched(TENANT),
        ledger.sold(TENANT),
        ledger.refunded(TENANT),
        ledger.wallet("customer-1"),
        ledger.wallet("customer-2"),
    ]
)
MOVES = st.lists(st.tuples(st.integers(0, 10**6).map(Money), ACCOUNTS, ACCOUNTS), max_size=10)


@given(MOVES)
def test_balances_are_the_sums_of_entries(moves: list[tuple[Money, Account, Account]]) -> None:
    """Of each kind of account, of each wallet, and of what a payment was put into; no amount, no entry."""
    connection, tx = tables_in_memory()
    add_grant(tx)
    connection.execute("PRAGMA foreign_keys=OFF")
    before = tx.ledger.balances()
    held: Counter[Account] = Counter()
    written = 0
    for amount, giver, taker in moves:
        if giver.kind is not taker.kind:
            tx.ledger.move(amount, giver, taker, at=START, payment_id="payment-2")
            held[giver] -= amount.cents
            held[taker] += amount.cents
            written += bool(amount.cents)
    assert connection.execute("SELECT count(*) FROM entries WHERE payment_id = 'payment-2'").fetchone() == (written,)
    after = tx.ledger.balances()
    for kind in AccountKind:
        expected = sum(cents for account, cents in held.items() if account.kind is kind)
        assert after[kind] - before[kind] == expected
    wallet = ledger.wallet("customer-2")
    if held[wallet] >= 0:
        assert tx.ledger.wallet(wallet.owner) == Money(held[wallet])
    else:
        with pytest.raises(InvalidError):
            tx.ledger.wallet(wallet.owner)
    put = {entry.taker: entry.amount.cents for entry in tx.ledger.of_payment("payment-2")}
    assert put == {
        account: cents for account, cents in held.items() if cents > 0 and account.kind is not AccountKind.RECEIVED
    }


def test_what_a_payment_sold_is_told_with_its_grant() -> None:
    """Also after it was moved to and fro: only what it came to counts."""
    _, tx = tables_in_memory()
    grant = add_grant(tx)
    sold, came = ledger.sold(TENANT), ledger.received(TENANT)
    entry = Entry(HOUR.price, sold, grant.grant_id)
    assert tx.ledger.of_payment("payment-1") == [entry]
    tx.ledger.move(HOUR.price, sold, came, at=START, payment_id="payment-1", grant_id=grant.grant_id)
    assert tx.ledger.of_payment("payment-1") == []
    tx.ledger.move(HOUR.price, came, sold, at=START, payment_id="payment-1", grant_id=grant.grant_id)
    assert tx.ledger.of_payment("payment-1") == [entry]


@given(TEXT, TEXT, st.none() | INSTANTS, st.none() | INSTANTS, st.none() | INSTANTS)
def test_gateway_states_come_back(
    gateway_id: str, token: str, registered: datetime | None, until: datetime | None, swept: datetime | None
) -> None:
    """By gateway and by token; the token stands once it is made."""
    _, tx = tables_in_memory()
    tx.gateways.put(GatewayState(gateway_id, token))
    state = GatewayState(gateway_id, token, registered, until, swept)
    tx.gateways.put(replace(state, notice_token="another"))
    assert tx.gateways.by_id(gateway_id) == state
    assert tx.gateways.by_notice_token(token) == state
    if token != "another":
        assert tx.gateways.by_notice_token("another") is None


def test_pictures_come_back() -> None:
    """By gateway, by what they say and by amount; the first one made stays."""
    _, tx = tables_in_memory()
    tx.posters.put(GATEWAY, "174379 A", Money(100), PNG, START)
    tx.posters.put(GATEWAY, "174379 A", Money(100), b"another", START)
    assert tx.posters.png(GATEWAY, "174379 A", Money(100)) == PNG
    assert tx.posters.png("other", "174379 A", Money(100)) is None
    assert tx.posters.png(GATEWAY, "600000 A", Money(100)) is None
    assert tx.posters.png(GATEWAY, "174379 A", Money(200)) is None


def test_a_list_counts_as_read_where_it_was() -> None:
    """After the moment asked about, and up to it: reading sooner, or not as far, proves nothing."""
    _, tx = tables_in_memory()
    hour = timedelta(hours=1)
    assert not tx.gateways.swept_between(GATEWAY, START, START)
    tx.gateways.put(GatewayState(GATEWAY, "token", None, START, START + hour))
    assert tx.gateways.swept_between(GATEWAY, START + hour, START)
    assert not tx.gateways.swept_between(GATEWAY, START + hour + timedelta(seconds=1), START)
    assert not tx.gateways.swept_between(GATEWAY, START, START + timedelta(seconds=1))
    assert not tx.gateways.swept_between("other", START, START)


def test_customers_without_a_number_are_known_by_device() -> None:
    """One customer per device and service; who tells a number later is another one, and both are the device's."""
    _, tx = tables_in_memory()

    def paid(new_id: str, phone: Msisdn | None, mac: MacAddress) -> str:
        return tx.customers.paid(
            new_id=new_id, tenant_id=TENANT, service=Service.HOTSPOT, phone=phone, mac=mac, amount=Money(1), at=START
        )

    ids = [
        paid("one", None, MAC),
        paid("two", None, MAC),
        paid("three", OTHER_PHONE, MAC),
        paid("four", None, OTHER_MAC),
    ]
    assert ids == ["one", "one", "three", "four"]
    assert sorted(tx.customers.of_device(TENANT, MAC)) == ["one", "three"]
    assert tx.customers.of_device("other", MAC) == []
    assert (tx.customers.phone_of("one"), tx.customers.mac_of("one")) == (None, MAC)
    assert tx.customers.phone_of("three") == OTHER_PHONE
    assert tx.customers.of_phone(TENANT, Service.HOTSPOT, OTHER_PHONE) == "three"
    assert tx.customers.of_phone(TENANT, Service.PPPOE, OTHER_PHONE) is None
    assert (tx.customers.phone_of("nobody"), tx.customers.mac_of("nobody")) == (None, None)


def test_what_a_customer_spent_can_turn_out_to_be_another_ones() -> None:
    """Then it is taken off again."""
    connection, tx = tables_in_memory()
    customer_id = add_customer(tx)
    tx.customers.took_back(customer_id, Money(400))
    assert connection.execute("SELECT total_spent_cents FROM customers").fetchone() == (600,)


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
            mpesa_receipt_number=RECEIPT,
            outcome=Outcome.UNKNOWN,
            verdict="",
            raw=b"\0\xff",
            at=START,
        )
    assert tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_CALLBACK_BARE) == 2
    assert tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_QUERY) == 1
    assert tx.evidence.count(OTHER_PURCHASE_ID, EvidenceSource.STK_QUERY) == 0
    assert tx.evidence.has_receipt(RECEIPT, EvidenceSource.STK_QUERY)
    assert not tx.evidence.has_receipt(RECEIPT, EvidenceSource.PULL)
    assert not tx.evidence.has_receipt("ANOTHER001", EvidenceSource.STK_QUERY)


def a_usage(kind: UsageKind, *, session: str = "80000001", seconds: int = 0, octets: int = 0) -> UsageReport:
    return UsageReport(ROUTER, kind, session, "USER000001", None, MAC, "10.5.50.11", seconds, octets, octets, "")


@given(st.integers(0, 10**6), st.integers(0, 2**65), INSTANTS, st.none() | MACS)
def test_sessions_come_back(seconds: int, octets: int, at: datetime, mac: MacAddress | None) -> None:
    """By their names, open and over; counters take all that a column holds."""
    _, tx = tables_in_memory()
    usage = a_usage(UsageKind.INTERIM, seconds=seconds, octets=octets)._replace(mac=mac)
    begun = Session.begun(usage, None, at)
    tx.sessions.add(begun)
    (found,) = tx.sessions.named(ROUTER, usage.session_id, usage.username)
    assert found == begun._replace(session_id=found.session_id)
    assert found.octets_in == min(octets, 2**63 - 1)
    assert tx.sessions.open_on(ROUTER) == [found]
    assert tx.sessions.open_of_device(MAC) == ([found] if mac == MAC else [])
    over = found._replace(stopped_at=at, cause="User-Request", seconds=seconds + 1)
    tx.sessions.update(over)
    assert tx.sessions.named(ROUTER, usage.session_id, usage.username) == [over]
    assert tx.sessions.open_on(ROUTER) == []


def test_sessions_not_heard_of_are_found() -> None:
    """Those of that router that are open and were last heard of before then."""
    _, tx = tables_in_memory()
    for router, session, kind in (
        (ROUTER, "1", UsageKind.START),
        (ROUTER, "2", UsageKind.STOP),
        ("other", "1", UsageKind.START),
    ):
        usage = a_usage(kind, session=session)._replace(router_id=router)
        tx.sessions.add(Session.begun(usage, None, START))
    assert tx.sessions.unheard(ROUTER, START) == []
    found = tx.sessions.unheard(ROUTER, START + timedelta(seconds=1))
    assert [session.acct_session_id for session in found] == ["1"]


def test_sessions_of_limited_time_are_found() -> None:
    """Those open by a running grant of a package that counts time online."""
    _, tx = tables_in_memory()
    limited = replace(HOUR, package_id="3h", online_time=timedelta(hours=3))
    for number, package in ((1, limited), (2, HOUR)):
        grant = add_grant(tx, package, number=number)
        tx.grants.update(grant.started(START))
        usage = a_usage(UsageKind.START, session=str(number))
        tx.sessions.add(Session.begun(usage, grant.grant_id, START))
        assert [session.acct_session_id for session in tx.sessions.open_of_grant(grant.grant_id)] == [str(number)]
    assert [session.acct_session_id for session in tx.sessions.open_by_online_time()] == ["1"]


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
