"""Callbacks taken in and questions asked: who may make us ask, how often, and what an answer leads to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.purchases import PENDING_LIFE, Purchase, PurchaseState, first_query_at
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.services.money.judgement import NO_SUBSTITUTE
from easyisp_edge.services.money.settlement import BARE_CALLBACKS_MAX, SettlementService
from tests.fakes.clocks import START, settle_down
from tests.fakes.gateway import CHECKOUT, FakeGateway, callback_paid, not_paid, query_paid, query_unknown
from tests.unit.shop import (
    GATEWAY,
    OTHER_PURCHASE_ID,
    PURCHASE_ID,
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


@dataclass
class Counter:
    """The settlement service over real books, with a gateway to ask."""

    books: Books
    gateway: FakeGateway = field(default_factory=FakeGateway)
    granted: list[str] = field(default_factory=list)
    rings: list[int] = field(default_factory=list)

    @property
    def service(self) -> SettlementService:
        books = self.books
        return SettlementService(
            store=books.store,
            clock=books.clock,
            identifiers=books.identifiers,
            substitute=NO_SUBSTITUTE,
            granted=self.granted.append,
            query_due=lambda: self.rings.append(1),
        )

    async def round(self) -> float | None:
        return await self.service.query_round(GATEWAY, self.gateway)

    def purchase(self, purchase_id: str = PURCHASE_ID) -> Purchase:
        found = self.books.store.read.purchases.by_id(purchase_id)
        assert found is not None
        return found


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    """A purchase whose phone was prompted just now."""
    async with open_books(tmp_path) as books:
        prompted = a_prompted_purchase(query_at=first_query_at(START))
        await books.store.write(lambda tx: add_purchase(tx, prompted))
        yield Counter(books)


async def test_a_callback_on_the_secret_address_settles(counter: Counter) -> None:
    """And the tenant's routers are told after the commit; told again, they are not."""
    assert await counter.service.take_callback(TOKEN, callback_paid())
    assert counter.purchase().state is PurchaseState.PAID
    assert set(counter.granted) == {TENANT}
    assert await counter.service.take_callback(TOKEN, callback_paid())
    assert set(counter.granted) == {TENANT}
    assert counter.books.count("payments") == 1


async def test_an_unknown_address_is_nobodys(counter: Counter) -> None:
    """Nothing is kept of it."""
    assert not await counter.service.take_callback("d" * 32, callback_paid())
    assert counter.books.count("evidence") == 0


async def test_the_same_callback_many_times_at_once_settles_once(counter: Counter) -> None:
    """Whichever is first; the others are repetitions."""
    report = callback_paid()
    await asyncio.gather(*(counter.service.take_callback(TOKEN, report) for _ in range(20)))
    assert set(counter.granted) == {TENANT}
    assert (counter.books.count("payments"), counter.books.count("grants")) == (1, 1)
    assert counter.books.count("evidence") == 20


async def test_callback_and_query_at_once_settle_once(counter: Counter) -> None:
    """A race that happens at each payment."""
    counter.books.time.advance(8)
    counter.gateway.query_answers.append(query_paid())
    await asyncio.gather(counter.round(), counter.service.take_callback(TOKEN, callback_paid()))
    assert (counter.books.count("payments"), counter.books.count("grants")) == (1, 1)
    assert set(counter.granted) == {TENANT}


async def test_bare_callbacks_make_us_ask_a_few_times(counter: Counter) -> None:
    """Then they are not even kept: nobody fills the disk, or uses up the gateway's patience, from outside."""
    forged = callback_paid(source=EvidenceSource.STK_CALLBACK_BARE)
    for _ in range(10):
        await counter.service.take_bare_callback(forged)
    assert counter.books.count("evidence") == BARE_CALLBACKS_MAX
    assert counter.books.count("payments") == 0
    assert counter.purchase().query_at == START


async def test_a_bare_callback_about_nothing_known_is_dropped(counter: Counter) -> None:
    """An invented id, or none."""
    for checkout in ("ws_CO_invented", None):
        await counter.service.take_bare_callback(
            callback_paid(checkout=checkout, source=EvidenceSource.STK_CALLBACK_BARE)
        )
    assert counter.books.count("evidence") == 0


async def test_a_bare_callback_about_a_paid_purchase_is_dropped(counter: Counter) -> None:
    """There is nothing left to ask."""
    await counter.service.take_callback(TOKEN, callback_paid())
    await counter.service.take_bare_callback(callback_paid(source=EvidenceSource.STK_CALLBACK_BARE))
    assert counter.books.count("evidence") == 1


async def test_nothing_is_asked_before_it_is_due(counter: Counter) -> None:
    """The round tells how long to wait."""
    assert await counter.round() == pytest.approx(8.0)
    counter.books.time.advance(7)
    assert await counter.round() == pytest.approx(1.0)
    assert counter.gateway.queries == []


async def test_what_is_due_is_asked(counter: Counter) -> None:
    """Once a round; an answer that knows nothing yet leads to the next question, later."""
    counter.books.time.advance(8)
    counter.gateway.query_answers.append(query_unknown())
    assert await counter.round() == pytest.approx(7.0)
    assert counter.gateway.queries == [CHECKOUT]
    assert counter.purchase().queries == 1


async def test_a_query_that_says_paid_settles(counter: Counter) -> None:
    """Without a receipt; that may come later."""
    counter.books.time.advance(8)
    counter.gateway.query_answers.append(query_paid())
    assert await counter.round() is None
    assert set(counter.granted) == {TENANT}
    assert await counter.service.take_callback(TOKEN, callback_paid())
    assert "payment.receipt" in counter.books.events()
    assert set(counter.granted) == {TENANT}


async def test_what_a_callback_settled_while_we_waited_is_not_asked(counter: Counter) -> None:
    """The gateway's pace is slow: after the wait it is looked who is still due."""
    counter.books.time.advance(8)
    counter.gateway.turns.clear()
    asking = asyncio.create_task(counter.round())
    await settle_down()
    await counter.service.take_callback(TOKEN, callback_paid())
    counter.gateway.turns.set()
    assert await asking is None
    assert counter.gateway.queries == []


async def test_the_longest_due_is_asked_first(counter: Counter) -> None:
    """Nobody is passed over for ever."""
    later = a_prompted_purchase(
        purchase_id=OTHER_PURCHASE_ID,
        account_reference="OTHER",
        checkout_request_id="ws_CO_later",
        query_at=START + timedelta(seconds=9),
    )
    await counter.books.store.write(lambda tx: add_purchase(tx, later, "other token"))
    counter.books.time.advance(60)
    counter.gateway.query_answers.extend([query_unknown(), query_unknown("ws_CO_later")])
    assert await counter.round() == 0.0
    await counter.round()
    assert counter.gateway.queries == [CHECKOUT, "ws_CO_later"]


async def test_a_silent_gateway_is_asked_about_others_next(counter: Counter) -> None:
    """The failure is told to the loop, which waits; the purchase keeps its place in time, not at the front."""
    counter.books.time.advance(8)
    counter.gateway.query_answers.append(UnavailableError("daraja.unavailable", "No answer."))
    with pytest.raises(UnavailableError):
        await counter.round()
    purchase = counter.purchase()
    assert purchase.state is PurchaseState.PROMPTED
    assert purchase.query_at is not None
    assert purchase.query_at > counter.books.now()


async def test_weeks_without_an_answer_do_not_end_the_asking(counter: Counter) -> None:
    """An uplink that was away uses up no question: when it is back, a payment whose callback was lost is found."""
    for _ in range(20):
        counter.books.time.advance(36 * 3600)
        counter.gateway.query_answers.append(UnavailableError("daraja.unavailable", "No answer."))
        with pytest.raises(UnavailableError):
            await counter.round()
    counter.books.time.advance(60)
    counter.gateway.query_answers.append(query_paid())
    await counter.round()
    assert counter.purchase().state is PurchaseState.PAID


async def test_a_refused_question_fails_no_purchase(counter: Counter) -> None:
    """Wrong credentials say nothing about the customer's money."""
    counter.books.time.advance(8)
    counter.gateway.query_answers.append(RefusedError("daraja.refused", "Wrong credentials."))
    assert await counter.round() == pytest.approx(7.0)
    assert counter.purchase().state is PurchaseState.PROMPTED


async def test_a_failed_purchase_is_asked_about_again(counter: Counter) -> None:
    """And money that came after the no is granted."""
    await counter.service.take_callback(TOKEN, not_paid(EvidenceSource.STK_CALLBACK))
    assert counter.purchase().reason is Reason.CANCELLED
    assert await counter.round() == pytest.approx(300.0)
    counter.books.time.advance(300)
    counter.gateway.query_answers.append(query_paid())
    assert await counter.round() is None
    assert counter.purchase().state is PurchaseState.PAID


async def test_what_is_open_too_long_expires_and_is_still_asked_about(counter: Counter) -> None:
    """The page stops promising; the books stay open."""
    due = counter.purchase().query_at
    counter.books.time.advance(PENDING_LIFE.total_seconds())
    await counter.service.expire_round()
    assert counter.purchase().state is PurchaseState.PROMPTED  # not before, not at the instant
    counter.books.time.advance(0.001)
    await counter.service.expire_round()
    purchase = counter.purchase()
    assert (purchase.state, purchase.query_at) == (PurchaseState.EXPIRED, due)
    counter.gateway.query_answers.append(query_paid())
    await counter.round()
    assert counter.purchase().state is PurchaseState.PAID


async def test_each_statement_rings_for_the_next_question(counter: Counter) -> None:
    """A weak one may have made a question due."""
    await counter.service.take_bare_callback(callback_paid(source=EvidenceSource.STK_CALLBACK_BARE))
    assert counter.rings == [1]
