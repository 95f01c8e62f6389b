"""A customer picks a package: written before the push, pushed once, whatever the gateway and the customer do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from easyisp_edge.domain.pay_codes import LETTERS, read_pay_code
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.purchases import (
    OFFERED_LIFE,
    PENDING_LIFE,
    PHONE_HOLD,
    Purchase,
    PurchaseState,
    first_query_at,
)
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.errors import (
    ConflictError,
    EdgeError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
)
from easyisp_edge.loops import Errands
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money import purchase as purchase_module
from easyisp_edge.services.money.judgement import NO_SUBSTITUTE
from easyisp_edge.services.money.limits import OFFERS_PER_DEVICE_HOUR, PURCHASES_PER_SITE_MINUTE, PushLimits
from easyisp_edge.services.money.purchase import GatewayDoor, Order, PurchaseService
from easyisp_edge.services.money.settlement import SettlementService
from easyisp_edge.services.money.shelf import Shelf
from tests.fakes.clocks import START, settle_down, until
from tests.fakes.gateway import PAYER, FakeGateway, accepted, callback_paid, not_paid
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
    Books,
    open_books,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.store.store import Tables

T = TypeVar("T")

DAY = replace(HOUR, package_id="1d", name="1 day", price=Money(5000))
CLOSED = replace(HOUR, package_id="old", active=False)
ORDER = Order(PURCHASE_ID, TENANT, "1h", PAYER, MAC, ROUTER, "en")


@dataclass
class Till:
    """The purchase service over real books, with a gateway to ask."""

    books: Books
    group: asyncio.TaskGroup
    gateway: FakeGateway = field(default_factory=FakeGateway)
    has_api: bool = True
    limits: PushLimits = field(default_factory=PushLimits)
    rings: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.books.store, self.books.clock)
        self.service = self.begin_service()

    def begin_service(self, identifiers: Identifiers | None = None) -> PurchaseService:
        """The service as a new life of the daemon has it, over the same books."""
        return PurchaseService(
            self.books.store,
            self.books.clock,
            identifiers or self.books.identifiers,
            self.shelf,
            self._door,
            Errands(self.group),
            lambda: self.rings.append(1),
            lambda: self.limits,
        )

    def _door(self, tenant_id: str, service: Service) -> GatewayDoor:
        return GatewayDoor(GATEWAY, self.gateway if self.has_api else None, "https://pay.example.com")

    async def try_again(self, number: int, **changes: Any) -> Purchase:
        """The usual order but for the changes, under a key of its own."""
        return await self.service.start_purchase(replace(ORDER, purchase_id=f"{number:032x}", **changes))

    def purchase(self, purchase_id: str = PURCHASE_ID) -> Purchase:
        found = self.books.store.read.purchases.by_id(purchase_id)
        assert found is not None
        return found

    @property
    def token(self) -> str:
        """The secret of the last push's callback address."""
        return self.gateway.pushes[-1].callback_url.rpartition("/")[2]


@pytest.fixture
async def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Till]:
    """Nobody has bought anything yet."""
    monkeypatch.setattr(purchase_module, "ANSWER_WAIT_SECONDS", 0.02)
    async with open_books(tmp_path) as books, asyncio.TaskGroup() as group:
        till = Till(books, group)
        await till.shelf.put_out([HOUR, DAY, CLOSED])
        yield till


async def test_the_phone_is_prompted_for_the_price(till: Till) -> None:
    """With a callback address of its own, and the answer's id to ask by."""
    purchase = await till.service.start_purchase(ORDER)
    [push] = till.gateway.pushes
    assert (push.phone, push.amount, push.account_reference) == (PAYER, HOUR.price, purchase.account_reference)
    assert push.callback_url.startswith("https://pay.example.com/c/")
    assert len(push.account_reference) <= 12
    assert len(push.description) <= 13
    assert purchase.state is PurchaseState.PROMPTED
    assert (purchase.checkout_request_id, purchase.query_at) == ("ws_CO_1", first_query_at(START))
    assert purchase == till.purchase()
    assert till.books.events() == ["purchase.started", "purchase.prompted"]
    assert till.rings == [1]


async def test_the_wish_is_written_before_the_push(till: Till) -> None:
    """While the gateway is asked, the purchase and its callback address are in the file."""
    till.gateway.hold()
    starting = asyncio.create_task(till.service.start_purchase(ORDER))
    await until(lambda: till.gateway.pushes)
    written = till.books.store.read.purchases.by_callback_token(till.token)
    assert written is not None
    assert (written.purchase_id, written.state) == (PURCHASE_ID, PurchaseState.INTENDED)
    till.gateway.open.set()
    await starting


ANSWERS: list[tuple[EdgeError, PurchaseState, Reason | None]] = [
    (RefusedError("no_money", "no"), PurchaseState.FAILED, Reason.NO_MONEY),
    (RefusedError("prompt_open", "no"), PurchaseState.FAILED, Reason.PROMPT_OPEN),
    (RefusedError("something.else", "no"), PurchaseState.FAILED, Reason.CONFIGURATION),
    (InvalidError("push.url", "no"), PurchaseState.FAILED, Reason.CONFIGURATION),
    (UnavailableError("busy", "later"), PurchaseState.FAILED, Reason.BUSY),
    (UnavailableError("daraja.unreachable", "no"), PurchaseState.FAILED, Reason.UNREACHABLE),
    (OutcomeUnknownError("daraja.timeout", "?"), PurchaseState.UNKNOWN, None),
]


@pytest.mark.parametrize(("answer", "state", "reason"), ANSWERS, ids=lambda value: getattr(value, "code", None))
async def test_each_answer_has_its_state(
    till: Till, answer: EdgeError, state: PurchaseState, reason: Reason | None
) -> None:
    """Refused and not reached are failures to act on; a lost answer is no failure. Nothing of it is money."""
    till.gateway.push_answers.append(answer)
    purchase = await till.service.start_purchase(ORDER)
    assert (purchase.state, purchase.reason, purchase.query_at) == (state, reason, None)
    assert purchase.result_description == answer.message
    assert till.books.count("evidence") == 1
    assert till.books.count("payments") == 0


async def test_a_push_of_which_the_answer_was_lost_can_still_be_paid(till: Till) -> None:
    """Its secret callback address tells, and that is enough."""
    till.gateway.push_answers.append(OutcomeUnknownError("daraja.timeout", "?"))
    await till.service.start_purchase(ORDER)
    assert await settlement(till).take_callback(till.token, callback_paid(checkout="ws_CO_9"))
    assert till.purchase().state is PurchaseState.PAID


def settlement(till: Till) -> SettlementService:
    books = till.books
    return SettlementService(books.store, books.clock, books.identifiers, NO_SUBSTITUTE, lambda _: None, lambda: None)


async def test_a_late_answer_is_not_waited_for(till: Till) -> None:
    """The customer's page goes on with what is known; the push goes on, and its answer is noted when it comes."""
    till.gateway.hold()
    purchase = await till.service.start_purchase(ORDER)
    assert purchase.state is PurchaseState.INTENDED
    till.gateway.open.set()
    await until(lambda: till.purchase().state is PurchaseState.PROMPTED)
    assert len(till.gateway.pushes) == 1


async def test_who_closes_the_page_is_prompted_all_the_same(till: Till) -> None:
    """A captive browser that goes away during the push takes nothing with it."""
    till.gateway.hold()
    starting = asyncio.create_task(till.service.start_purchase(ORDER))
    await until(lambda: till.gateway.pushes)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    till.gateway.open.set()
    await until(lambda: till.purchase().state is PurchaseState.PROMPTED)


async def test_a_callback_may_overtake_the_answer(till: Till) -> None:
    """Then only the ids are new: what is paid stays paid."""
    till.gateway.hold()
    starting = asyncio.create_task(till.service.start_purchase(ORDER))
    await until(lambda: till.gateway.pushes)
    await settlement(till).take_callback(till.token, callback_paid(checkout="ws_CO_1"))
    till.gateway.open.set()
    purchase = await starting
    assert (purchase.state, purchase.checkout_request_id) == (PurchaseState.PAID, "ws_CO_1")
    assert till.books.count("grants") == 1


async def test_a_failure_may_overtake_the_answer(till: Till) -> None:
    """The purchase stays failed, and is looked at again by the id that came."""
    till.gateway.hold()
    starting = asyncio.create_task(till.service.start_purchase(ORDER))
    await until(lambda: till.gateway.pushes)
    await settlement(till).take_callback(till.token, not_paid(EvidenceSource.STK_CALLBACK, checkout=None))
    till.gateway.open.set()
    purchase = await starting
    assert (purchase.state, purchase.checkout_request_id) == (PurchaseState.FAILED, "ws_CO_1")
    assert purchase.query_at is not None


async def test_an_answer_after_the_purchase_expired_makes_it_known(till: Till) -> None:
    """It is asked about from then on."""
    till.gateway.hold()
    await till.service.start_purchase(ORDER)
    till.books.time.advance(PENDING_LIFE.total_seconds() + 1)
    await settlement(till).expire_round()
    till.gateway.open.set()
    await until(lambda: till.purchase().checkout_request_id)
    assert till.purchase().state is PurchaseState.EXPIRED
    assert till.purchase().query_at is not None


async def test_the_same_id_for_two_pushes_ends_nothing(till: Till) -> None:
    """A gateway that mixes up its own ids harms no earlier purchase and does not stop the daemon."""
    till.gateway.push_answers.extend([accepted("ws_CO_same"), accepted("ws_CO_same")])
    await till.service.start_purchase(ORDER)
    second = await till.service.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE))
    assert (second.state, second.checkout_request_id) == (PurchaseState.UNKNOWN, None)
    assert till.purchase().checkout_request_id == "ws_CO_same"


async def test_the_same_key_again_prompts_nobody(till: Till) -> None:
    """A page that sends its form twice gets the purchase that is there, whatever became of it."""
    first = await till.service.start_purchase(ORDER)
    assert await till.service.start_purchase(ORDER) == first
    await settlement(till).take_callback(till.token, callback_paid(checkout="ws_CO_1"))
    till.books.time.advance(3600)
    again = await till.service.start_purchase(ORDER)
    assert again.state is PurchaseState.PAID
    assert len(till.gateway.pushes) == 1
    assert till.books.count("purchases") == 1


async def test_the_same_key_at_the_same_time_prompts_once(till: Till) -> None:
    """Ten impatient taps are one purchase."""
    purchases = await asyncio.gather(*(till.service.start_purchase(ORDER) for _ in range(10)))
    assert {purchase.purchase_id for purchase in purchases} == {PURCHASE_ID}
    assert len(till.gateway.pushes) == 1


@pytest.mark.parametrize("change", [{"package_id": "1d"}, {"phone": OTHER_PHONE}, {"mac": OTHER_MAC}, {"mac": None}])
async def test_the_same_key_for_something_else_is_refused(till: Till, change: dict[str, object]) -> None:
    """A key names one order for ever."""
    await till.service.start_purchase(ORDER)
    with pytest.raises(ConflictError) as refused:
        await till.service.start_purchase(replace(ORDER, **change))  # type: ignore[arg-type]
    assert refused.value.code == "purchase.changed"
    assert len(till.gateway.pushes) == 1


async def test_two_tabs_are_one_purchase(till: Till) -> None:
    """The same order under another key, while the first is open, gives the first."""
    first = await till.service.start_purchase(ORDER)
    second = await till.service.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID))
    assert second == first
    assert len(till.gateway.pushes) == 1


async def test_a_phone_is_prompted_for_one_thing_at_a_time(till: Till) -> None:
    """Another package, or another device, on the same phone has to wait, and is told how long."""
    await till.service.start_purchase(ORDER)
    till.books.time.advance(30)
    for other in (replace(ORDER, package_id="1d"), replace(ORDER, mac=OTHER_MAC)):
        with pytest.raises(ConflictError) as refused:
            await till.service.start_purchase(replace(other, purchase_id=OTHER_PURCHASE_ID))
        assert refused.value.code == "purchase.phone_busy"
        assert refused.value.values == {"seconds": PHONE_HOLD.total_seconds() - 30}
    assert len(till.gateway.pushes) == 1


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.NO_MONEY, Reason.WRONG_PIN, Reason.NO_ANSWER])
async def test_a_phone_is_free_a_minute_after_a_push_that_failed(till: Till, reason: Reason) -> None:
    """Also for the same package: nothing was taken, so M-Pesa does not see the same payment twice."""
    await till.service.start_purchase(ORDER)
    report = not_paid(EvidenceSource.STK_CALLBACK, reason, checkout="ws_CO_1")
    await settlement(till).take_callback(till.token, report)
    till.books.time.advance(59)
    with pytest.raises(ConflictError) as refused:
        await till.try_again(1)
    assert (refused.value.code, refused.value.values["seconds"]) == ("purchase.too_soon", 1)
    till.books.time.advance(1)
    second = await till.service.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID))
    assert second.purchase_id == OTHER_PURCHASE_ID
    assert len(till.gateway.pushes) == 2


async def test_a_phone_is_free_after_the_hold(till: Till) -> None:
    """Where nobody said anything, it is not held for ever."""
    await till.service.start_purchase(ORDER)
    till.books.time.advance(PHONE_HOLD.total_seconds())
    second = await till.service.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID))
    assert second.purchase_id == OTHER_PURCHASE_ID


async def test_a_sim_that_is_busy_elsewhere_is_left_alone_a_minute(till: Till) -> None:
    """Prompting into another prompt only fails again."""
    till.gateway.push_answers.append(RefusedError("prompt_open", "busy"))
    await till.service.start_purchase(ORDER)
    again = replace(ORDER, purchase_id=OTHER_PURCHASE_ID)
    with pytest.raises(ConflictError):
        await till.service.start_purchase(again)
    till.books.time.advance(60)
    assert (await till.service.start_purchase(again)).state is PurchaseState.PROMPTED


async def test_two_phones_do_not_wait_for_each_other(till: Till) -> None:
    """Neither do two customers behind one router."""
    await till.service.start_purchase(ORDER)
    other = replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE, mac=OTHER_MAC)
    assert (await till.service.start_purchase(other)).state is PurchaseState.PROMPTED


async def test_a_purchase_without_a_key_gets_one(till: Till) -> None:
    """Which nobody can guess."""
    purchase = await till.service.start_purchase(replace(ORDER, purchase_id=None))
    assert len(bytes.fromhex(purchase.purchase_id)) == 16


@pytest.mark.parametrize("key", ["", "a" * 31, "A" * 32, "g" * 32, "a" * 32 + "\n", "\u0661" * 32])
async def test_a_malformed_key_is_refused(till: Till, key: str) -> None:
    """What could be guessed, or is no key of ours, names no purchase."""
    with pytest.raises(InvalidError):
        await till.service.start_purchase(replace(ORDER, purchase_id=key))
    assert till.books.count("purchases") == 0


@pytest.mark.parametrize("package_id", ["nowhere", "old"])
async def test_what_is_not_on_sale_cannot_be_bought(till: Till, package_id: str) -> None:
    """Neither unknown nor withdrawn packages; nobody is prompted."""
    with pytest.raises(NotFoundError):
        await till.service.start_purchase(replace(ORDER, package_id=package_id))
    assert till.gateway.pushes == []


async def test_a_price_that_changes_touches_no_purchase(till: Till) -> None:
    """What was ordered is settled at the price it was ordered for."""
    await till.service.start_purchase(ORDER)
    await till.shelf.put_out([replace(HOUR, price=Money(2000))])
    await settlement(till).take_callback(till.token, callback_paid(checkout="ws_CO_1"))
    assert till.purchase().state is PurchaseState.PAID
    version = till.books.store.read.packages.by_id(till.purchase().package_version_id)
    assert version.package.price == HOUR.price


async def test_what_was_answered_stands_after_a_restart(till: Till) -> None:
    """Prompted stays prompted and unknown unknown; nobody is prompted again."""
    till.gateway.push_answers.extend([accepted("ws_CO_1"), OutcomeUnknownError("daraja.timeout", "?")])
    await till.service.start_purchase(ORDER)
    await till.service.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE))
    before = (till.purchase(), till.purchase(OTHER_PURCHASE_ID), till.books.events())
    await till.service.recover()
    assert (till.purchase(), till.purchase(OTHER_PURCHASE_ID), till.books.events()) == before
    assert len(till.gateway.pushes) == 2


async def test_a_restart_in_the_middle_of_a_push(till: Till) -> None:
    """The next life finds the purchase intended, calls it unknown, tells so in the history and prompts nobody."""
    till.gateway.hold()
    await till.service.start_purchase(ORDER)
    await till.service.recover()
    assert till.purchase().state is PurchaseState.UNKNOWN
    assert till.books.events()[-1] == "purchase.unknown"
    till.gateway.push_answers.append(OutcomeUnknownError("daraja.timeout", "?"))
    till.gateway.open.set()
    await settle_down()
    assert len(till.gateway.pushes) == 1


async def test_an_answer_is_noted_when_the_disk_has_room_again(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's id of a prompt on somebody's phone is not lost over a full disk."""
    till.gateway.hold()
    await till.service.start_purchase(ORDER)
    write, failures = till.books.store.write, [UnavailableError("store.not_written", "full")] * 2

    async def failing_write(work: Callable[[Tables], T]) -> T:
        if failures:
            raise failures.pop()
        return await write(work)

    monkeypatch.setattr(type(till.books.store), "write", lambda _self, work: failing_write(work))
    till.gateway.open.set()
    await until(lambda: till.books.time.naps == [0.2])
    till.books.time.advance(0.2)
    await until(lambda: till.books.time.naps == [0.2, 1.0])
    till.books.time.advance(1.0)
    await until(lambda: till.purchase().state is PurchaseState.PROMPTED)


# Pay codes


class Scripted:
    """Draws what it is told, then the same for ever."""

    def __init__(self, *draws: int) -> None:
        self.draws = list(draws)

    def token(self, octets: int) -> bytes:
        octet = self.draws.pop(0) if len(self.draws) > 1 else self.draws[0]
        return bytes([octet]) * octets

    def fraction(self) -> float:
        return 0.5


async def test_the_account_is_a_pay_code(till: Till) -> None:
    """What the push carries is what the customer could type in the menu."""
    purchase = await till.service.start_purchase(ORDER)
    assert read_pay_code(purchase.account_reference) == purchase.account_reference
    assert till.books.store.read.purchases.by_account_reference(purchase.account_reference) == purchase


def test_letters_of_a_pay_code_are_evenly_spread() -> None:
    """Of all octets chance may give, each letter comes from as many."""
    drawn = [Identifiers(Scripted(octet, 0)).pay_code()[0] for octet in range(256)]
    counts = {letter: drawn.count(letter) for letter in LETTERS[1:]}
    assert set(counts.values()) == {256 // len(LETTERS)}


async def test_a_code_that_is_taken_is_drawn_again(till: Till) -> None:
    """Two purchases never share one; what is pushed is the one that was written."""
    first = await till.begin_service(Identifiers(Scripted(7))).start_purchase(ORDER)
    other = replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE)
    draws = Scripted(7, 1, 7, 7, 9)  # the purchase's code, its secret, then other codes
    second = await till.begin_service(Identifiers(draws)).start_purchase(other)
    assert second.account_reference != first.account_reference
    assert till.gateway.pushes[-1].account_reference == second.account_reference
    assert till.purchase(OTHER_PURCHASE_ID) == second


async def test_without_a_free_code_nothing_is_started(till: Till) -> None:
    """Chance that always gives the same ends in an error, not in a loop, and prompts nobody."""
    stuck = till.begin_service(Identifiers(Scripted(7)))
    await stuck.start_purchase(ORDER)
    with pytest.raises(UnavailableError):
        await stuck.start_purchase(replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE))
    assert len(till.gateway.pushes) == till.books.count("purchases") == 1


# Limits


async def test_fifty_devices_cannot_pester_one_phone(till: Till) -> None:
    """Three prompts in an hour, whoever asks, and a daemon that begins anew in between counts on."""
    pushed_at: list[float] = []
    for number in range(600):
        if number % 97 == 0:
            till.service = till.begin_service()
        with contextlib.suppress(ConflictError):
            await till.try_again(number, mac=MacAddress(f"AA:BB:CC:00:01:{number % 50:02X}"))
        if len(till.gateway.pushes) > len(pushed_at):
            pushed_at.append(till.books.time.since_boot())
            report = not_paid(EvidenceSource.STK_CALLBACK, Reason.NO_ANSWER, checkout=f"ws_CO_{len(pushed_at)}")
            await settlement(till).take_callback(till.token, report)
        till.books.time.advance(20)
    assert len(pushed_at) == 3 * 4  # 200 minutes hold the beginnings of four hours
    assert all(fourth - first >= 3600 for first, fourth in zip(pushed_at, pushed_at[3:], strict=False))
    assert all(later - earlier >= 60 for earlier, later in pairwise(pushed_at))


async def test_a_crowd_at_one_moment_is_counted_one_by_one(till: Till) -> None:
    """Orders that race for the last places of a minute do not share them."""
    till.limits = PushLimits(site_minute=5)
    orders = [till.try_again(number, phone=Msisdn(f"2547220001{number:02}"), mac=None) for number in range(30)]
    ends = await asyncio.gather(*orders, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, ConflictError)]
    assert len(till.gateway.pushes) == till.books.count("purchases") == 5
    assert [error.code for error in refused] == ["purchase.limit_site"] * 25


async def test_what_was_never_sent_counts_for_nothing(till: Till) -> None:
    """While M-Pesa cannot be reached, the customer may try as often as they like."""
    for number in range(10):
        till.gateway.push_answers.append(UnavailableError("daraja.unreachable", "no"))
        assert (await till.try_again(number)).reason is Reason.UNREACHABLE
    assert (await till.try_again(10)).state is PurchaseState.PROMPTED


async def test_limits_follow_the_configuration(till: Till) -> None:
    """They are those in force when the customer asks, over all that was pushed before."""
    await till.service.start_purchase(ORDER)
    till.books.time.advance(PHONE_HOLD.total_seconds())
    till.limits = PushLimits(device_hour=1)
    with pytest.raises(ConflictError) as refused:
        await till.try_again(1, phone=OTHER_PHONE)
    assert refused.value.code == "purchase.limit_device"
    till.limits = PushLimits(device_hour=2)
    assert (await till.try_again(1, phone=OTHER_PHONE)).state is PurchaseState.PROMPTED


async def test_a_refused_push_leaves_no_purchase(till: Till) -> None:
    """The key is free: the same page may be sent again later, or without a prompt."""
    await till.service.start_purchase(ORDER)
    till.limits = PushLimits(device_hour=1)
    again = replace(ORDER, purchase_id=OTHER_PURCHASE_ID, phone=OTHER_PHONE)
    with pytest.raises(ConflictError):
        await till.service.start_purchase(again)
    assert till.books.count("purchases") == 1
    assert (await till.service.start_purchase(again, prompt=False)).state is PurchaseState.OFFERED


# Paying from the M-Pesa menu


@pytest.mark.parametrize("has_api", [True, False])
async def test_an_offer_prompts_nobody(till: Till, has_api: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The customer wants no prompt, or the gateway has none: the purchase waits with its pay code."""
    till.has_api = has_api
    assert till.service.door_for(TENANT, HOUR.service).prompts == has_api
    purchase = await till.service.start_purchase(ORDER, prompt=not has_api)
    assert (purchase.state, purchase.query_at, purchase.checkout_request_id) == (PurchaseState.OFFERED, None, None)
    assert read_pay_code(purchase.account_reference)
    assert purchase == till.purchase()
    assert (till.gateway.pushes, till.rings) == ([], [])
    assert till.books.events() == ["purchase.started"]


async def test_an_order_is_offered_once(till: Till) -> None:
    """The same wish again, under whatever key, within a day, shows the same pay code; another wish another."""
    first = await till.service.start_purchase(ORDER, prompt=False)
    assert await till.service.start_purchase(ORDER, prompt=False) == first
    till.books.time.advance(OFFERED_LIFE.total_seconds() - 1)
    again = replace(ORDER, purchase_id=OTHER_PURCHASE_ID)
    assert await till.service.start_purchase(again, prompt=False) == first
    others = [{"package_id": "1d"}, {"mac": OTHER_MAC}, {"mac": None}, {"phone": OTHER_PHONE}]
    for number, change in enumerate(others):
        other = replace(ORDER, purchase_id=f"{number:032x}", **change)  # type: ignore[arg-type]
        for key in (other.purchase_id, f"{number:032x}".replace("0", "f")):
            offered = await till.service.start_purchase(replace(other, purchase_id=key), prompt=False)
            assert offered.purchase_id == other.purchase_id
    till.books.time.advance(1)
    assert (await till.service.start_purchase(again, prompt=False)).purchase_id == OTHER_PURCHASE_ID


async def test_an_offer_stands_in_no_prompts_way(till: Till) -> None:
    """It holds no phone and counts as no push: who changes their mind is prompted at once."""
    await till.service.start_purchase(ORDER, prompt=False)
    second = await till.try_again(1)
    assert (second.state, len(till.gateway.pushes)) == (PurchaseState.PROMPTED, 1)


async def test_no_prompt_stands_in_an_offers_way(till: Till) -> None:
    """Who waits in vain for the prompt gets a pay code, for the same or another package."""
    await till.service.start_purchase(ORDER)
    for number, package_id in ((1, "1h"), (2, "1d")):
        again = replace(ORDER, purchase_id=f"{number:032x}", package_id=package_id)
        assert (await till.service.start_purchase(again, prompt=False)).state is PurchaseState.OFFERED
    assert len(till.gateway.pushes) == 1


async def test_a_device_is_offered_so_much_in_an_hour(till: Till) -> None:
    """For whatever numbers: each is kept for good. Who asks for what stands open has that; later there is more."""
    phones = [replace(ORDER, purchase_id=None, phone=Msisdn(f"2547100000{n:02}")) for n in range(40)]
    for order in phones[:OFFERS_PER_DEVICE_HOUR]:
        await till.service.start_purchase(order, prompt=False)
        till.books.time.advance(1)
    with pytest.raises(ConflictError) as refused:
        await till.service.start_purchase(phones[-1], prompt=False)
    assert (refused.value.code, refused.value.values["minutes"]) == ("purchase.limit_offers", 60)
    assert (await till.service.start_purchase(phones[0], prompt=False)).phone == phones[0].phone
    assert (await till.service.start_purchase(phones[-1])).state is PurchaseState.PROMPTED
    await till.service.start_purchase(replace(phones[-1], mac=OTHER_MAC), prompt=False)
    till.books.time.advance(3600)
    assert (await till.service.start_purchase(phones[-1], prompt=False)).state is PurchaseState.OFFERED


async def test_a_site_is_offered_so_much_in_a_minute(till: Till) -> None:
    """By devices that nobody knows, too."""
    orders = [replace(ORDER, purchase_id=None, mac=None, phone=Msisdn(f"254710000{n:03}")) for n in range(400)]
    for order in orders[:PURCHASES_PER_SITE_MINUTE]:
        await till.service.start_purchase(order, prompt=False)
    with pytest.raises(ConflictError) as refused:
        await till.service.start_purchase(orders[-1], prompt=False)
    assert refused.value.code == "purchase.limit_offers"
    till.books.time.advance(60)
    assert (await till.service.start_purchase(orders[-1], prompt=False)).state is PurchaseState.OFFERED


async def test_a_restart_leaves_offers_alone(till: Till) -> None:
    """Nothing was sent that could be lost."""
    offer = await till.service.start_purchase(ORDER, prompt=False)
    await till.service.recover()
    assert till.purchase() == offer


# Finding the purchase that money is for


async def test_prompts_and_offers_grow_old_apart(till: Till) -> None:
    """Each kind is listed by its own age."""
    offer = await till.service.start_purchase(ORDER, prompt=False)
    prompted = await till.try_again(1)
    later, purchases = till.books.now() + timedelta(seconds=1), till.books.store.read.purchases
    assert purchases.open_since_before(later) == [prompted]
    assert purchases.offered_since_before(later) == [offer]
    assert purchases.open_since_before(prompted.created_at) == purchases.offered_since_before(offer.created_at) == []


async def test_money_finds_what_it_may_pay(till: Till) -> None:
    """By gateway and amount within a span, both ends included, whatever its state, oldest first."""
    first = await till.service.start_purchase(ORDER, prompt=False)
    till.books.time.advance(30)
    second = await till.try_again(1)
    await settlement(till).take_callback(till.token, not_paid(EvidenceSource.STK_CALLBACK, checkout="ws_CO_1"))
    second = till.purchase(second.purchase_id)
    await till.service.start_purchase(replace(ORDER, package_id="1d", purchase_id=OTHER_PURCHASE_ID), prompt=False)
    purchases, began, ended = till.books.store.read.purchases, first.created_at, second.created_at
    assert purchases.payable(GATEWAY, HOUR.price, began, ended) == [first, second]
    assert purchases.payable(GATEWAY, HOUR.price, began, ended - timedelta(seconds=1)) == [first]
    assert purchases.payable(GATEWAY, HOUR.price, began + timedelta(seconds=1), ended) == [second]
    assert purchases.payable(GATEWAY, Money(999), began, ended) == []
    assert purchases.payable("elsewhere", HOUR.price, began, ended) == []


async def test_a_device_finds_what_it_tried(till: Till) -> None:
    """At one tenant, since a moment, newest first."""
    first = await till.service.start_purchase(ORDER, prompt=False)
    till.books.time.advance(1)
    second = await till.try_again(1, package_id="1d")
    await till.try_again(2, phone=OTHER_PHONE, mac=OTHER_MAC)
    purchases = till.books.store.read.purchases
    assert purchases.recent_of_device(TENANT, MAC, first.created_at) == [second, first]
    assert purchases.recent_of_device(TENANT, MAC, second.created_at) == [second]
    assert purchases.recent_of_device("elsewhere", MAC, first.created_at) == []
