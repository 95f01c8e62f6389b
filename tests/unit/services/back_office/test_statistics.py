"""Statistics of money: days and months are Nairobi's, and what is counted is what happened."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.services.back_office.statistics import MpesaStatistics, StatisticsService, nairobi_day
from easyisp_edge.services.money.judgement import Judge, Receiver
from easyisp_edge.store.gateway_states import GatewayState
from tests.fakes.clocks import START
from tests.fakes.gateway import callback_paid, money_record, not_paid
from tests.unit.shop import GATEWAY, RECEIVER, TENANT, a_prompted_purchase, add_purchase, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables
    from tests.unit.shop import Books

MILLISECOND = timedelta(milliseconds=1)
OTHERS = Receiver("other", "theirs")


def nairobi(*parts: int) -> datetime:
    """A moment as clocks in Nairobi show it, in UTC."""
    return datetime(*parts, tzinfo=NAIROBI).astimezone(UTC)  # type: ignore[arg-type, misc]


@pytest.fixture(name="books")
async def _books(tmp_path: Path) -> AsyncIterator[Books]:
    async with open_books(tmp_path) as books:
        yield books


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Kiritimati"])
def _machine_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's zone is another than Nairobi's."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def statistics(books: Books, at: datetime | None = None, tenant_id: str = TENANT) -> MpesaStatistics:
    """What is told at some moment."""
    gateways = (SimpleNamespace(id=GATEWAY, tenant=TENANT), SimpleNamespace(id="theirs", tenant="other"))
    site = cast("Site", SimpleNamespace(config=SimpleNamespace(gateways=gateways)))
    clock: Any = SimpleNamespace(now=lambda: at or books.now())
    return await StatisticsService(books.store, clock, site).mpesa(tenant_id)


async def receive(books: Books, at: datetime, number: int, receiver: Receiver = RECEIVER) -> None:
    """Have ten shillings and some come in at some moment, from nobody known."""

    def take(tx: Tables) -> None:
        record = money_record(receipt=f"UKL41A{number:04}", amount=Money(1000 + number), payer=Payer())
        Judge(tx, at, books.identifiers).settle_record(receiver, record)

    await books.store.write(take)


@pytest.mark.usefixtures("_machine_in")
@pytest.mark.parametrize(
    "midnight",
    [nairobi(2026, 11, 22), nairobi(2026, 12, 1), nairobi(2027, 1, 1), nairobi(2027, 3, 1), nairobi(2028, 3, 1)],
    ids=lambda at: f"{at:%Y-%m-%d}",
)
async def test_today_turns_at_nairobis_midnight(books: Books, midnight: datetime) -> None:
    """A millisecond before midnight is yesterday, midnight itself is today; at month's and year's ends, too."""
    await receive(books, midnight - MILLISECOND, 1)
    await receive(books, midnight, 2)
    before, after = await statistics(books, midnight - MILLISECOND), await statistics(books, midnight)
    assert before.today == (Money(1001), 1)
    assert after.today == (Money(1002), 1)
    same_month = (midnight - MILLISECOND).astimezone(NAIROBI).month == midnight.astimezone(NAIROBI).month
    assert before.month == (Money(1001), 1)
    assert after.month == ((Money(2003), 2) if same_month else (Money(1002), 1))


@pytest.mark.usefixtures("_machine_in")
async def test_a_month_is_from_its_first_day_on(books: Books) -> None:
    """The first midnight of a month belongs to it, the instant before it does not, and today is part of it."""
    for number, at in enumerate((nairobi(2026, 12, 1) - MILLISECOND, nairobi(2026, 12, 1), nairobi(2026, 12, 31, 23))):
        await receive(books, at, number)
    found = await statistics(books, nairobi(2026, 12, 31, 23, 59))
    assert found.month == (Money(2003), 2)
    assert found.today == (Money(1002), 1)


@pytest.mark.usefixtures("_machine_in")
def test_the_day_is_nairobis_in_any_zone() -> None:
    """The same instant is the same day, wherever the machine thinks it stands."""
    assert str(nairobi_day(datetime(2026, 12, 31, 20, 59, 59, 999_000, tzinfo=UTC))) == "2026-12-31"
    assert str(nairobi_day(datetime(2026, 12, 31, 21, 0, tzinfo=UTC))) == "2027-01-01"


async def test_what_is_given_back_is_not_received(books: Books) -> None:
    """It is taken out of the day it came in on, not of the day it was given back."""
    await receive(books, START, 1)
    await receive(books, START, 2)

    def give_back(tx: Tables) -> None:
        payment = tx.payments.by_receipt("UKL41A0001")
        assert payment is not None
        Judge(tx, START + timedelta(days=1), books.identifiers).books.refund(payment)

    await books.store.write(give_back)
    assert (await statistics(books, START)).today == (Money(1002), 1)
    assert (await statistics(books, START + timedelta(days=1))).today == (Money(0), 0)


async def test_failures_count(books: Books) -> None:
    """The rate is of attempts that are decided: the old back office could only say a hundred."""

    def try_all(tx: Tables) -> None:
        for number in range(5):
            checkout, at = f"ws_CO_{number}", START - timedelta(days=40 if number == 4 else 0)
            purchase = a_prompted_purchase(
                purchase_id=f"{number:032}",
                checkout_request_id=checkout,
                account_reference=f"REF{number:05}",
                created_at=at,
            )
            add_purchase(tx, purchase, f"token-{number}")
            judge = Judge(tx, START, books.identifiers)
            if number == 0:
                judge.settle(purchase.purchase_id, callback_paid(checkout=checkout, receipt=f"UKL41B{number:04}"))
            elif number != 3:
                report = not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED, checkout=checkout)
                judge.settle(purchase.purchase_id, report)

    await books.store.write(try_all)
    found = await statistics(books)
    assert found.success_percent == 33.3  # one of three: one is open, one was made last month
    assert found.pending == 1


async def test_where_nothing_was_tried_nothing_is_told(books: Books) -> None:
    """Of new books everything is nought, and nobody was heard of."""
    assert await statistics(books) == ((Money(0), 0), (Money(0), 0), 0, 0, None)


async def test_the_last_word_is_of_this_tenant(books: Books) -> None:
    """A word of M-Pesa's about money, a failure too, or its list; what staff or another tenant hears is none."""
    await receive(books, START, 1, OTHERS)
    assert (await statistics(books)).last_heard_at is None
    assert (await statistics(books, tenant_id="other")).last_heard_at == START

    def fail(tx: Tables) -> None:
        add_purchase(tx, a_prompted_purchase())
        report = not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED)
        Judge(tx, START + timedelta(minutes=2), books.identifiers).settle(a_prompted_purchase().purchase_id, report)

    await books.store.write(fail)
    assert (await statistics(books)).last_heard_at == START + timedelta(minutes=2)
    swept_at = START + timedelta(minutes=3)
    state = GatewayState(GATEWAY, "t" * 32, swept_at=swept_at)
    await books.store.write(lambda tx: tx.gateways.put(state))
    assert (await statistics(books)).last_heard_at == swept_at
    assert (await statistics(books, tenant_id="other")).last_heard_at == START


async def test_the_last_word_is_remembered_among_many(books: Books) -> None:
    """Where another tenant heard very much since, the newest payment tells."""
    await receive(books, START, 1)

    def much(tx: Tables) -> None:
        judge = Judge(tx, START + timedelta(hours=1), books.identifiers)
        for number in range(2, 510):
            judge.settle_record(OTHERS, money_record(receipt=f"UKL41A{number:04}", amount=Money(1000), payer=Payer()))

    await books.store.write(much)
    assert (await statistics(books)).last_heard_at == START
