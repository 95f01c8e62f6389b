"""What the page is to show: where a customer stands, whoever opens it and however often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource, MoneyRecord, Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import NotFoundError
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.claiming import decide, refuse
from easyisp_edge.services.money.judgement import Judge, Receiver
from easyisp_edge.services.money.shelf import Shelf
from easyisp_edge.services.portal.standing import Standing, StandingService, Step
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, RECEIPT, callback_paid
from tests.unit.shop import (
    GATEWAY,
    HOUR,
    MAC,
    OTHER_MAC,
    PURCHASE_ID,
    ROUTER,
    TENANT,
    Books,
    a_claim,
    a_prompted_purchase,
    a_purchase,
    add_grant,
    add_purchase,
    open_books,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.store.store import Tables


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with open_books(tmp_path) as books:
        yield books


def standing(books: Books, presence: Presence | None = None) -> StandingService:
    return StandingService(books.store, books.clock, presence or Presence())


async def test_a_device_nobody_knows_chooses(books: Books) -> None:
    """There is nothing to go on with."""
    assert standing(books).of_device(TENANT, MAC).step is Step.CHOOSE


STEPS = {
    PurchaseState.OFFERED: Step.OFFERED,
    PurchaseState.INTENDED: Step.PROMPTED,
    PurchaseState.PROMPTED: Step.PROMPTED,
    PurchaseState.UNKNOWN: Step.UNKNOWN,
    PurchaseState.FAILED: Step.FAILED,
    PurchaseState.EXPIRED: Step.EXPIRED,
}


@pytest.mark.parametrize(("state", "step"), STEPS.items())
async def test_an_unpaid_purchase_has_its_step(books: Books, state: PurchaseState, step: Step) -> None:
    """The same for who holds the purchase and who only comes back with the device."""
    purchase = await books.store.write(lambda tx: add_purchase(tx, a_purchase(state=state)))
    assert standing(books).of_purchase(purchase).step is step
    assert standing(books).of_device(TENANT, MAC).step is step
    assert standing(books).of_device(TENANT, OTHER_MAC).step is Step.CHOOSE
    assert standing(books).of_device("other", MAC).step is Step.CHOOSE


@pytest.mark.parametrize(
    ("state", "shown"), [(PurchaseState.FAILED, timedelta(minutes=10)), (PurchaseState.EXPIRED, timedelta(hours=1))]
)
async def test_what_came_to_nothing_is_shown_for_a_while(books: Books, state: PurchaseState, shown: timedelta) -> None:
    """A device that comes back the next day is offered packages; who holds the purchase still sees it."""
    purchase = await books.store.write(lambda tx: add_purchase(tx, a_purchase(state=state, reason=Reason.CANCELLED)))
    books.time.advance(shown.total_seconds())
    assert standing(books).of_device(TENANT, MAC).step is STEPS[state]
    books.time.advance(1)
    assert standing(books).of_device(TENANT, MAC).step is Step.CHOOSE
    assert standing(books).of_purchase(purchase).step is STEPS[state]


async def paid(books: Books) -> Purchase:
    """A purchase that was settled by a callback."""

    def pay(tx: Tables) -> None:
        add_purchase(tx, a_prompted_purchase())
        Judge(tx, START, books.identifiers).settle(PURCHASE_ID, callback_paid())

    await books.store.write(pay)
    purchase = books.store.read.purchases.by_id(PURCHASE_ID)
    assert purchase is not None
    return purchase


async def test_a_paid_purchase_connects_then_is_online(books: Books) -> None:
    """With all the time that was bought, and the receipt for who holds the purchase alone."""
    purchase, presence = await paid(books), Presence()
    service = standing(books, presence)
    at_first = service.of_purchase(purchase)
    assert (at_first.step, at_first.seconds_left) == (Step.CONNECTING, 3600)
    assert at_first.mpesa_receipt_number == RECEIPT
    assert at_first.admission is not None
    presence.came(ROUTER, at_first.admission.username)
    assert service.of_purchase(purchase).step is Step.ONLINE
    of_device = service.of_device(TENANT, MAC)
    assert (of_device.step, of_device.mpesa_receipt_number) == (Step.ONLINE, None)
    assert service.ends_at(of_device) == START + timedelta(hours=1)


async def test_when_the_time_is_up_one_chooses_again(books: Books) -> None:
    """Who holds the purchase still sees what it was."""
    purchase = await paid(books)
    grant_id = books.store.read.grants.usable_of_device(TENANT, MAC)[0].grant_id
    grant = books.store.read.grants.by_id(grant_id)
    assert grant is not None
    await books.store.write(lambda tx: tx.grants.update(grant.started(START)))
    books.time.advance(3600)
    over = standing(books).of_purchase(purchase)
    assert (over.step, over.seconds_left, over.mpesa_receipt_number) == (Step.CHOOSE, 0, RECEIPT)
    assert standing(books).of_device(TENANT, MAC).step is Step.CHOOSE


async def test_the_time_of_all_that_was_bought_adds_up(books: Books) -> None:
    """While one of a device's grants has it online, the others wait their turn."""
    first = await books.store.write(lambda tx: add_grant(tx, number=1))
    await books.store.write(lambda tx: add_grant(tx, number=2))
    await books.store.write(lambda tx: tx.grants.update(first.started(START)))
    books.time.advance(600)
    presence = Presence()
    presence.came(ROUTER, first.username)
    shown = standing(books, presence).of_device(TENANT, MAC)
    assert (shown.step, shown.seconds_left) == (Step.ONLINE, 3000 + 3600)


NIGHTS = replace(HOUR, package_id="nights", schedule=Schedule.parse("22:00-06:00"))
ONLINE_HOUR = replace(HOUR, package_id="online", duration=timedelta(days=7), online_time=timedelta(hours=1))
TO_THE_NIGHT = 13 * 3600  # it is nine in the morning in Kenya


async def test_what_is_shut_says_when_it_opens(books: Books) -> None:
    """To the device and to who holds the purchase; at the hour it is connected, and shut again in the morning."""
    grant = await books.store.write(lambda tx: add_grant(tx, NIGHTS))
    purchase = books.store.read.purchases.by_id(grant.purchase_id or "")
    assert purchase is not None
    service = standing(books)
    for found in (service.of_device(TENANT, MAC), service.of_purchase(purchase)):
        assert (found.step, found.opens_at) == (Step.SHUT, START + timedelta(seconds=TO_THE_NIGHT))
        assert found.seconds_left == 3600
    books.time.advance(TO_THE_NIGHT)
    for found in (service.of_device(TENANT, MAC), service.of_purchase(purchase)):
        assert (found.step, found.opens_at) == (Step.CONNECTING, None)
    books.time.advance(8 * 3600)
    assert service.of_device(TENANT, MAC).step is Step.SHUT


async def test_what_is_shut_is_not_online_for_what_was_seen_last(books: Books) -> None:
    """The router puts it off at the hour; the page does not wait for the router to say so."""
    presence = Presence()
    grant = await books.store.write(lambda tx: add_grant(tx, replace(NIGHTS, duration=timedelta(days=30))))
    books.time.advance(TO_THE_NIGHT)
    presence.came(ROUTER, grant.username)
    assert standing(books, presence).of_device(TENANT, MAC).step is Step.ONLINE
    books.time.advance(8 * 3600)
    assert standing(books, presence).of_device(TENANT, MAC).step is Step.SHUT


async def test_what_is_open_comes_before_what_is_shut(books: Books) -> None:
    """However old that is; of several that are shut, what opens first."""
    nights = await books.store.write(lambda tx: add_grant(tx, NIGHTS, number=1))
    evenings = replace(NIGHTS, package_id="evenings", schedule=Schedule.parse("18:00-21:00"))
    early = await books.store.write(lambda tx: add_grant(tx, evenings, number=2))
    shut = standing(books).of_device(TENANT, MAC)
    assert (shut.step, shut.opens_at) == (Step.SHUT, START + timedelta(hours=9))
    assert [each.grant_id for each in (shut.current, *shut.after) if each] == [early.grant_id, nights.grant_id]
    hour = await books.store.write(lambda tx: add_grant(tx, number=3))
    found = standing(books).of_device(TENANT, MAC)
    assert found.step is Step.CONNECTING
    assert found.current is not None
    assert found.current.grant_id == hour.grant_id
    assert {each.grant_id for each in found.after} == {nights.grant_id, early.grant_id}


async def test_what_was_set_aside_waits(books: Books) -> None:
    """What runs is in use, whatever the router was last seen to have on; the other comes after, with what it has."""
    first = await books.store.write(lambda tx: add_grant(tx, number=1))
    second = await books.store.write(lambda tx: add_grant(tx, number=2))
    await books.store.write(lambda tx: tx.grants.update(first.started(START)))
    presence = Presence()
    presence.came(ROUTER, first.username)
    books.time.advance(600)

    def switch(tx: Tables) -> None:
        running = tx.grants.by_id(first.grant_id)
        assert running is not None
        tx.grants.update(running.paused(books.now()))
        tx.grants.update(second.started(books.now()))

    await books.store.write(switch)
    books.time.advance(600)
    found = standing(books, presence).of_device(TENANT, MAC)
    assert (found.step, found.seconds_left) == (Step.ONLINE, 3000 + 3000)
    assert [each.grant_id for each in (found.current, *found.after) if each] == [second.grant_id, first.grant_id]
    await books.store.write(lambda tx: tx.grants.update(second.started(books.now()).ended(books.now())))
    alone = standing(books, presence).of_device(TENANT, MAC)
    assert (alone.seconds_left, alone.after) == (3000, ())


async def test_time_online_is_no_end_by_the_clock(books: Books) -> None:
    """The time left is what may still be used online; the end told is that of its validity."""
    grant = await books.store.write(lambda tx: add_grant(tx, ONLINE_HOUR))
    service = standing(books)
    waiting = service.of_device(TENANT, MAC)
    assert (waiting.seconds_left, service.ends_at(waiting)) == (3600, START + timedelta(days=7))
    await books.store.write(lambda tx: tx.grants.update(grant.started(START)))
    await books.store.write(lambda tx: tx.grants.use(grant.grant_id, 600, 0))
    books.time.advance(86_400)
    running = service.of_device(TENANT, MAC)
    assert (running.seconds_left, service.ends_at(running)) == (3000, START + timedelta(days=7))
    await books.store.write(lambda tx: tx.grants.use(grant.grant_id, 3000, 0))
    assert service.of_device(TENANT, MAC).step is Step.CHOOSE


async def claimed(books: Books, *, paid: Money | None = HOUR.price, package: Package = HOUR, **changes: Any) -> Claim:
    """A claim on money that came in without anybody knowing what for; on none, where nothing was paid."""

    def make(tx: Tables) -> Claim:
        judge, version = Judge(tx, books.now(), books.identifiers), tx.packages.version_of(package, START)
        claim = a_claim(created_at=books.now(), changed_at=books.now(), **changes)
        if paid is not None:
            record = MoneyRecord(EvidenceSource.PULL, RECEIPT, paid, "", Payer(PAYER), books.now(), b"row")
            judge.settle_record(Receiver(TENANT, GATEWAY), record)
        tx.claims.add(claim)
        return decide(judge.books, lambda _t, _s, _r, amount: version if amount == package.price else None, claim)

    return await books.store.write(make)


async def refused(books: Books, **changes: Any) -> Claim:
    claim = await claimed(books, paid=None, **changes)
    reason = Refusal.UNKNOWN_RECEIPT
    return await books.store.write(lambda tx: refuse(Judge(tx, books.now(), books.identifiers).books, claim, reason))


async def provided(books: Books, seconds: int = 900) -> tuple[Claim, str]:
    """A claim with access given in advance, and the user name of that."""
    claim = await claimed(books, paid=None)

    def give(tx: Tables) -> tuple[Claim, str]:
        keeper, version = Judge(tx, START, books.identifiers).books, tx.packages.version_of(HOUR, START)
        grant = keeper.provide(Buyer(TENANT, Service.HOTSPOT, None, MAC, None), version, seconds)
        with_access = replace(claim, provisional_grant_id=grant.grant_id)
        tx.claims.update(with_access)
        return with_access, grant.username

    return await books.store.write(give)


async def test_a_receipt_that_is_looked_for_is_resumed(books: Books) -> None:
    """Whoever comes back with the device sees that it is looked for, and neither the receipt nor anything to log in."""
    claim = await claimed(books, paid=None)
    service = standing(books)
    assert service.of_claim(claim).step is Step.VERIFYING
    assert service.of_claim(claim).mpesa_receipt_number == RECEIPT
    of_device = service.of_device(TENANT, MAC)
    assert (of_device.step, of_device.mpesa_receipt_number, of_device.admission) == (Step.VERIFYING, None, None)
    assert service.of_device(TENANT, OTHER_MAC) == Standing(Step.CHOOSE, known=False)
    assert service.of_device("other", MAC).step is Step.CHOOSE
    books.time.advance(40 * 3600)
    assert service.of_device(TENANT, MAC).step is Step.VERIFYING


async def test_what_was_decided_is_shown_for_a_while(books: Books) -> None:
    """Ten minutes to the device; for good to who holds the claim."""
    claim, service = await refused(books), standing(books)
    books.time.advance(600)
    assert service.of_device(TENANT, MAC).step is Step.REFUSED
    books.time.advance(1)
    assert service.of_device(TENANT, MAC) == Standing(Step.CHOOSE)
    assert service.of_claim(claim).step is Step.REFUSED


async def test_a_purchase_begun_since_comes_first(books: Books) -> None:
    """And a claim made since comes before the purchase."""
    await refused(books)
    books.time.advance(1)
    late = a_purchase(created_at=books.now(), changed_at=books.now(), state=PurchaseState.PROMPTED)
    await books.store.write(lambda tx: add_purchase(tx, late))
    assert standing(books).of_device(TENANT, MAC).step is Step.PROMPTED
    books.time.advance(1)
    await claimed(books, paid=None, claim_id="e" * 32)
    assert standing(books).of_device(TENANT, MAC).step is Step.VERIFYING


async def test_a_claim_that_bought_goes_online(books: Books) -> None:
    """As after a purchase; the receipt for who holds the claim alone. When the time is up, that is said."""
    claim, presence = await claimed(books), Presence()
    service = standing(books, presence)
    first = service.of_claim(claim)
    assert (first.step, first.seconds_left, first.mpesa_receipt_number) == (Step.CONNECTING, 3600, RECEIPT)
    assert first.admission is not None
    presence.came(ROUTER, first.admission.username)
    assert service.of_claim(claim).step is Step.ONLINE
    of_device = service.of_device(TENANT, MAC)
    assert (of_device.step, of_device.mpesa_receipt_number) == (Step.ONLINE, None)
    grant = books.store.read.grants.by_id(claim.grant_id or "")
    assert grant is not None
    await books.store.write(lambda tx: tx.grants.update(grant.started(books.now())))
    books.time.advance(3600)
    assert service.of_claim(claim).step is Step.OVER
    assert service.of_device(TENANT, MAC).step is Step.CHOOSE


async def test_credit_is_told_until_it_is_spent(books: Books) -> None:
    """How much is in the wallet now; with nothing left one chooses."""
    claim, service = await claimed(books, paid=Money(1500)), standing(books)
    found = service.of_claim(claim)
    assert (found.step, found.credit) == (Step.CREDITED, Money(1500))
    assert service.of_device(TENANT, MAC).step is Step.CREDITED
    buyer = Buyer(TENANT, Service.HOTSPOT, None, MAC, None)
    dear = replace(HOUR, package_id="dear", price=Money(1500))

    def spend(tx: Tables) -> Grant | None:
        keeper = Judge(tx, books.now(), books.identifiers).books
        return keeper.sell_from_wallet(
            claim.customer_id or "", buyer, tx.packages.version_of(dear, START), grant_id="f" * 32
        )

    assert await books.store.write(spend) is not None
    assert service.of_claim(claim).step is Step.CHOOSE
    bought = service.of_credit_purchase("f" * 32)
    assert bought is not None
    assert (bought.step, bought.seconds_left) == (Step.CONNECTING, 3600)


async def test_only_credit_is_shown_by_its_key(books: Books) -> None:
    """What a payment bought has its own page, for who holds the purchase or the claim."""
    grant = await books.store.write(add_grant)
    assert standing(books).of_credit_purchase(grant.grant_id) is None
    assert standing(books).of_credit_purchase("0" * 32) is None


async def test_access_in_advance_is_told_as_such(books: Books) -> None:
    """To the device as to who holds the claim: being connected, online until it is decided, and over."""
    (claim, username), presence = await provided(books), Presence()
    service = standing(books, presence)
    for found in (service.of_claim(claim), service.of_device(TENANT, MAC)):
        assert (found.step, found.seconds_left) == (Step.VERIFYING, 900)
    presence.came(ROUTER, username)
    for found in (service.of_claim(claim), service.of_device(TENANT, MAC)):
        assert (found.step, found.seconds_left) == (Step.PROVISIONAL, 900)
    given = books.store.read.grants.by_id(claim.provisional_grant_id or "")
    assert given is not None
    await books.store.write(lambda tx: tx.grants.update(given.started(books.now())))
    books.time.advance(900)
    for found in (service.of_claim(claim), service.of_device(TENANT, MAC)):
        assert (found.step, found.seconds_left, found.admission) == (Step.VERIFYING, 0, None)


@pytest.mark.parametrize(("devices", "step"), [(1, Step.ELSEWHERE), (2, Step.CONNECTING)])
async def test_what_serves_another_device_is_not_called_connected(books: Books, devices: int, step: Step) -> None:
    """Unless the package is for several: then the login serves here, too."""
    package = replace(HOUR, devices_max=devices)
    first = await claimed(books, package=package)
    other = await claimed(books, package=package, claim_id="e" * 32, mac=OTHER_MAC, phone=PAYER)
    assert other.state is ClaimState.GIVEN_BACK
    assert standing(books).of_claim(other).step is Step.CONNECTING
    assert standing(books).of_claim(first).step is step
    assert standing(books).of_device(TENANT, OTHER_MAC).step is Step.CONNECTING


async def test_another_device_on_by_the_same_package_says_nothing_of_this_one(books: Books) -> None:
    """It is being connected until it is seen on itself; who was on before and is still reads so."""
    package, presence = replace(HOUR, devices_max=2), Presence()
    await claimed(books, package=package)
    other = await claimed(books, package=package, claim_id="e" * 32, mac=OTHER_MAC, phone=PAYER)
    service, read = standing(books, presence), books.store.read
    grant = read.grants.by_id(other.grant_id or "")
    assert grant is not None
    await books.store.write(lambda tx: tx.sessions.add(a_session(grant)))
    presence.came(ROUTER, grant.username, MAC)
    assert service.of_claim(other).step is Step.CONNECTING
    assert [service.of_device(TENANT, mac).step for mac in (MAC, OTHER_MAC)] == [Step.ONLINE, Step.CONNECTING]
    await books.store.write(lambda tx: add_grant(tx, HOUR, number=7))
    found = service.of_device(TENANT, MAC)  # what it has of its own comes after that
    assert (found.step, [each.grant_id for each in found.after]) == (Step.ONLINE, ["grant-7"])
    presence.came(ROUTER, grant.username, OTHER_MAC)
    assert service.of_claim(other).step is Step.ONLINE
    presence.left(ROUTER, grant.username)
    assert not presence.devices_of(grant.username)


def a_session(grant: Grant) -> Session:
    """One of the first device's."""
    now = START
    return Session(0, ROUTER, "1", grant.username, grant.grant_id, MAC, "10.5.50.11", now, now, None, 0, 0, 0, "")


def test_presence_is_what_was_observed_last() -> None:
    """A whole look replaces what was heard before; one router says nothing about another."""
    presence = Presence()
    presence.came("one", "a")
    presence.came("two", "b")
    presence.observed("one", {"c"})
    assert [presence.is_online(name) for name in "abc"] == [False, True, True]
    presence.left("two", "b")
    presence.left("three", "b")
    assert not presence.is_online("b")


async def test_the_shelf_offers_what_is_on_sale_here(books: Books) -> None:
    """Cheapest first, only what is active, for the hotspot, of this tenant and valid behind this router."""
    dear = replace(HOUR, package_id="dear", price=Money(9000))
    packages = [
        dear,
        HOUR,
        replace(HOUR, package_id="closed", active=False),
        replace(HOUR, package_id="there", router_ids=("second",)),
        replace(HOUR, package_id="theirs", tenant_id="other"),
    ]
    shelf = Shelf(books.store, books.clock)
    await shelf.put_out(packages)
    assert shelf.offers(TENANT, ROUTER) == [HOUR, dear]
    assert {package.package_id for package in shelf.offers(TENANT)} == {"1h", "dear", "there"}
    with pytest.raises(NotFoundError):
        shelf.version(TENANT, "closed")


async def test_putting_out_the_same_again_adds_nothing(books: Books) -> None:
    """Each start of the daemon finds its versions; a new price is a new one, and what is taken off is not sold."""
    shelf = Shelf(books.store, books.clock)
    await shelf.put_out([HOUR])
    first = shelf.version(TENANT, "1h")
    await shelf.put_out([HOUR])
    assert shelf.version(TENANT, "1h") == first
    await shelf.put_out([replace(HOUR, price=Money(2000))])
    assert shelf.version(TENANT, "1h").version_id != first.version_id
    assert books.count("package_versions") == 2
    await shelf.put_out([])
    with pytest.raises(NotFoundError):
        shelf.version(TENANT, "1h")
