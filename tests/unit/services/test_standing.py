"""What the page is to show: where a customer stands, whoever opens it and however often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import NotFoundError
from easyisp_edge.services.presence import Presence
from easyisp_edge.services.settlement import settle
from easyisp_edge.services.shelf import Shelf
from easyisp_edge.services.standing import StandingService, Step
from tests.fakes.clocks import START
from tests.fakes.gateway import RECEIPT, callback_paid
from tests.unit.shop import (
    HOUR,
    MAC,
    OTHER_MAC,
    PURCHASE_ID,
    ROUTER,
    TENANT,
    Books,
    a_prompted_purchase,
    a_purchase,
    add_grant,
    add_purchase,
    open_books,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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
        settle(tx, PURCHASE_ID, callback_paid(), now=START, identifiers=books.identifiers)

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
