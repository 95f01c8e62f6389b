"""Money in the receiver's own books: whose it is has to be found out, now or when more is told."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.judgement import Receiver, Verdict
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, RECEIPT, callback_paid, money_record, not_paid, query_paid
from tests.unit.services.desk import Desk, open_desk
from tests.unit.services.schedules import look
from tests.unit.shop import (
    OTHER_MAC,
    OTHER_PAY_CODE,
    OTHER_PURCHASE_ID,
    PAY_CODE,
    PURCHASE_ID,
    RECEIVER,
    TENANT,
    a_prompted_purchase,
    add_purchase,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OTHER_RECEIPT = "SKL41ZZZZZ"
THIRD_PAY_CODE = "QRSTVW8"
# Ends like the payer's number, so that a mask fits both.
TWIN = Msisdn("254799999678")
MASKED = Payer.read("2547 ***** 678")
DIGEST = Payer.read(hashlib.sha256(PAYER.digits.encode()).hexdigest())
NOBODY = Payer()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A purchase whose phone was prompted."""
    with open_desk() as desk:
        yield desk


def add_twin(desk: Desk, **changes: Any) -> None:
    """A second purchase at the same price, of a phone whose number ends in the same way."""
    twin = a_prompted_purchase(
        purchase_id=OTHER_PURCHASE_ID,
        phone=TWIN,
        mac=OTHER_MAC,
        account_reference=OTHER_PAY_CODE,
        checkout_request_id="ws_CO_2",
    )
    add_purchase(desk.tx, replace(twin, **changes), "other token")


def reads(query: str, desk: Desk) -> Any:
    return desk.sql.execute(query).fetchone()[0]


# --- by pay code


@pytest.mark.parametrize("typed", [PAY_CODE, PAY_CODE.lower(), "abc-defp", " ABC DEFP ", "abc.de_fp"])
def test_a_pay_code_names_its_purchase(desk: Desk, typed: str) -> None:
    """However people type it, whoever pays, without any prompt's word; it is written in its one spelling."""
    assert desk.record(money_record(account=typed, payer=NOBODY)) is Verdict.SETTLED
    payment = desk.payment(RECEIPT)
    assert (payment.purchase_id, payment.account, payment.phone) == (PURCHASE_ID, PAY_CODE, None)
    assert desk.purchase().state is PurchaseState.PAID


def test_a_pay_code_goes_before_the_payer(desk: Desk) -> None:
    """Who pays for a friend's package is not taken to pay for the own one."""
    add_twin(desk)
    desk.record(money_record(account=OTHER_PAY_CODE, payer=Payer(phone=PAYER)))
    assert desk.payment(RECEIPT).purchase_id == OTHER_PURCHASE_ID
    assert desk.purchase().state is PurchaseState.PROMPTED


@pytest.mark.parametrize("account", ["ABCDEFA", "GARBAGE", "0712345678", "WIFI", ""])
def test_what_is_no_pay_code_names_nothing(desk: Desk, account: str) -> None:
    """A mistyped code, a phone number, anything: kept as it came, for a person to assign or a receipt to claim."""
    assert desk.record(money_record(account=account, payer=NOBODY)) is Verdict.UNMATCHED
    payment = desk.payment(RECEIPT)
    assert (payment.purchase_id, payment.account, payment.description) == (None, account, "Nobody knows yet what for")
    assert desk.balances() == {"received": -1000, "unmatched": 1000}


def test_a_code_counts_at_any_till_of_its_tenant(desk: Desk) -> None:
    """Paid to another PayBill of the same owner, it is paid; the books say by which gateway it came."""
    assert desk.record(money_record(account=PAY_CODE, payer=NOBODY), Receiver(TENANT, "other")) is Verdict.SETTLED
    assert desk.payment(RECEIPT).gateway_id == "other"


def test_another_tenants_code_buys_nothing_here(desk: Desk) -> None:
    """What one tenant received is never spent at another's, not even when a callback or a person names it."""
    add_twin(desk, purchase_id="e" * 32, tenant_id="other", gateway_id="theirs")
    assert desk.record(money_record(account=OTHER_PAY_CODE)) is Verdict.UNMATCHED
    assert desk.settle(callback_paid(checkout="ws_CO_2"), "e" * 32) is Verdict.CONTRADICTED
    with pytest.raises(ConflictError):
        desk.judge.assign(desk.payment(RECEIPT), desk.purchase("e" * 32))
    assert desk.payments() == [(1000, "unmatched", RECEIPT)]
    assert desk.purchase("e" * 32).state is PurchaseState.PROMPTED


# --- by payer, amount and time


@pytest.mark.parametrize("payer", [Payer(phone=PAYER), MASKED, DIGEST], ids=["number", "masked", "digest"])
def test_without_a_code_the_payer_names_it(desk: Desk, payer: Payer) -> None:
    """As far as the number is told: it fits one who wanted to pay that amount just before."""
    assert desk.record(money_record(payer=payer)) is Verdict.SETTLED
    assert desk.payment(RECEIPT).purchase_id == PURCHASE_ID


NOT_FITTING = {
    "nobody": money_record(payer=NOBODY),
    "another number": money_record(payer=Payer(phone=TWIN)),
    "another mask": money_record(payer=Payer.read("2547 ***** 679")),
    "another digest": money_record(payer=Payer.read("0" * 64)),
    "another amount": money_record(amount=Money(1100)),
    "before it was wanted": money_record(paid_at=START - timedelta(minutes=6), source=EvidenceSource.C2B),
    "a day later": money_record(paid_at=START + timedelta(hours=24, seconds=1)),
    "masked, half an hour later": money_record(payer=MASKED, paid_at=START + timedelta(minutes=30, seconds=1)),
}


@pytest.mark.parametrize("name", NOT_FITTING)
def test_what_does_not_fit_is_nobodys(desk: Desk, name: str) -> None:
    """Rather kept than guessed: the less is told of the payer, the shorter the time."""
    assert desk.record(NOT_FITTING[name]) is Verdict.UNMATCHED
    assert desk.purchase().state is PurchaseState.PROMPTED


def test_another_gateways_money_is_not_taken_for_it(desk: Desk) -> None:
    """Without a code, only what came to the number that the purchase was to be paid to."""
    assert desk.record(money_record(), Receiver(TENANT, "other")) is Verdict.UNMATCHED


def test_two_it_may_be_of_get_nothing(desk: Desk) -> None:
    """A mask that fits two who want to pay the same: neither is guessed at."""
    add_twin(desk)
    assert desk.record(money_record(payer=MASKED)) is Verdict.UNMATCHED
    assert desk.grants() == 0


def test_more_told_later_decides_it(desk: Desk) -> None:
    """The confirmation is masked, the list has the number: then it is that one's, told by whichever comes first."""
    add_twin(desk)
    confirmation = money_record(payer=MASKED, source=EvidenceSource.C2B)
    desk.record(confirmation)
    assert desk.record(money_record()) is Verdict.SETTLED
    assert desk.record(confirmation) is Verdict.REPEATED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    assert (desk.payment(RECEIPT).account, desk.payment(RECEIPT).phone) == ("", PAYER)


def test_of_one_payers_purchases_the_last_is_meant(desk: Desk) -> None:
    """But one that a query has proven waits for its receipt, and goes before."""
    add_twin(desk, phone=PAYER, created_at=START + timedelta(seconds=30))
    with_receipt = money_record()
    desk.sql.execute("SAVEPOINT first")
    desk.record(with_receipt)
    assert desk.payment(RECEIPT).purchase_id == OTHER_PURCHASE_ID
    desk.sql.execute("ROLLBACK TO first")
    desk.settle(query_paid())
    assert desk.record(with_receipt) is Verdict.RECEIPT_ATTACHED
    assert desk.payment(RECEIPT).purchase_id == PURCHASE_ID


@pytest.mark.parametrize("named", [True, False])
def test_one_payment_of_two_that_were_wanted_buys_one(desk: Desk, *, named: bool) -> None:
    """Prompted, and then offered a pay code: the till's books tell the payer alone, and the query comes after them.

    What the query proves is the money that is booked for the other purchase, and not another one.
    """
    add_twin(desk, phone=PAYER, state=PurchaseState.OFFERED, checkout_request_id=None)
    desk.record(money_record())
    assert desk.payment(RECEIPT).purchase_id == OTHER_PURCHASE_ID
    if named:
        assert desk.settle(callback_paid()) is Verdict.CONTRADICTED
    for _ in range(2):
        assert desk.settle(query_paid()) is Verdict.REPEATED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    assert desk.payment(RECEIPT).account == PAY_CODE  # it came with that push
    purchase = desk.purchase()
    assert purchase.state is PurchaseState.PROMPTED
    assert purchase.query_at is not None
    assert purchase.query_at > START
    # The second payment, when there is one after all, is for what is still wanted.
    assert desk.record(money_record(receipt=OTHER_RECEIPT)) is Verdict.SETTLED
    assert desk.payment(OTHER_RECEIPT).purchase_id == PURCHASE_ID


def test_one_payment_explains_one_push(desk: Desk) -> None:
    """Three pushes are proven, and one payment without an account is known: the others took money of their own.

    Each is counted once, and buys or is credit.
    """
    add_twin(desk, phone=PAYER)
    third = a_prompted_purchase(purchase_id="f" * 32, account_reference=THIRD_PAY_CODE, checkout_request_id="ws_CO_3")
    add_purchase(desk.tx, third, "third token")
    desk.record(money_record())
    pushes = {"ws_CO_1": PURCHASE_ID, "ws_CO_2": OTHER_PURCHASE_ID, "ws_CO_3": "f" * 32}
    verdicts = [desk.settle(query_paid(checkout), purchase_id) for checkout, purchase_id in pushes.items()]
    assert sorted(verdicts) == [Verdict.CREDITED, Verdict.REPEATED, Verdict.SETTLED]
    for checkout, purchase_id in pushes.items():
        assert desk.settle(query_paid(checkout), purchase_id) is Verdict.REPEATED
    assert desk.balances() == {"received": -3000, "sold": 2000, "wallet": 1000}


def test_what_was_paid_with_a_code_explains_no_push(desk: Desk) -> None:
    """Paid for one purchase by its code and for another by its prompt: those are two payments."""
    add_twin(desk, phone=PAYER)
    desk.record(money_record(account=OTHER_PAY_CODE))
    assert desk.settle(query_paid()) is Verdict.SETTLED
    assert desk.balances() == {"received": -2000, "sold": 2000}


def test_what_came_before_a_push_explains_it_not(desk: Desk) -> None:
    """Nobody pays a prompt before it was sent."""
    desk.record(money_record())
    desk.now += timedelta(minutes=3)
    add_twin(desk, phone=PAYER, created_at=desk.now)
    assert desk.settle(query_paid("ws_CO_2"), OTHER_PURCHASE_ID) is Verdict.SETTLED
    assert desk.balances() == {"received": -2000, "sold": 2000}


def test_a_failure_does_not_stand_in_the_way(desk: Desk) -> None:
    """The prompt was cancelled and the same amount paid at the till by hand: it is for what was wanted."""
    desk.settle(not_paid(EvidenceSource.STK_CALLBACK))
    assert desk.record(money_record(payer=MASKED)) is Verdict.SETTLED
    assert desk.purchase().reason is None


# --- told again, and told otherwise


def test_a_record_told_again_is_noted_once(desk: Desk) -> None:
    """A list is read again and again: one statement of each source is kept, and nothing else happens."""
    for _ in range(3):
        desk.record(money_record(account=PAY_CODE))
        desk.record(money_record(account=PAY_CODE, payer=MASKED, source=EvidenceSource.C2B))
    assert reads("SELECT group_concat(source) FROM evidence", desk) == "pull,c2b"
    assert reads("SELECT count(*) FROM payments", desk) == 1


@pytest.mark.parametrize(
    ("receiver", "amount"),
    [(Receiver("other", "theirs"), Money(1000)), (RECEIVER, Money(900))],
    ids=["tenant", "amount"],
)
def test_a_record_that_contradicts_is_noted_once(desk: Desk, receiver: Receiver, amount: Money) -> None:
    """Another receiver, or another amount, under a receipt that is booked: no effect, and the owner can see it."""
    desk.settle(callback_paid())
    payment = desk.payment(RECEIPT)
    odd = money_record(amount=amount)
    assert desk.record(odd, receiver) is Verdict.CONTRADICTED
    assert desk.record(odd, receiver) is Verdict.REPEATED
    assert desk.payment(RECEIPT) == payment
    assert desk.tx.events.of_key(payment.payment_id).count("evidence.contradicted") == 1


# --- known first, explained later


def test_a_callback_adopts_what_the_books_had(desk: Desk) -> None:
    """The record came first and named nobody: the callback says whose it is, and it is the same money."""
    desk.record(money_record(payer=NOBODY))
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    payment = desk.payment(RECEIPT)
    assert (payment.account, payment.phone, payment.purchase_id) == (PAY_CODE, PAYER, PURCHASE_ID)
    told = ["payment.booked", "payment.explained", "payment.payer", "payment.assigned"]
    assert desk.tx.events.of_key(payment.payment_id) == told


def test_two_bookings_of_the_same_money_are_merged(desk: Desk) -> None:
    """At a till: masked and ambiguous, settled by a query meanwhile; the callback names the receipt."""
    add_twin(desk)
    desk.record(money_record(payer=MASKED))
    assert desk.settle(query_paid()) is Verdict.SETTLED
    assert desk.balances() == {"received": -2000, "sold": 1000, "unmatched": 1000}
    made = desk.grant()
    assert desk.settle(callback_paid()) is Verdict.MERGED
    assert desk.payments() == [(1000, "grant", RECEIPT), (1000, "merged", None)]
    assert desk.balances() == {"received": -1000, "sold": 1000}
    assert desk.grant() == replace(made, payment_id=desk.payment(RECEIPT).payment_id)
    for again in (callback_paid(), query_paid()):
        assert desk.settle(again) is Verdict.REPEATED
    assert desk.record(money_record(payer=MASKED)) is Verdict.REPEATED


AMBIGUOUS: dict[str, Callable[[Desk], object]] = {
    "record": lambda desk: desk.record(money_record(payer=MASKED)),
    "confirmation": lambda desk: desk.record(money_record(payer=MASKED, source=EvidenceSource.C2B)),
    "query": lambda desk: desk.settle(query_paid()),
    "callback": lambda desk: desk.settle(callback_paid()),
    "receipt pasted": lambda desk: desk.paste(),
    "the other's callback": lambda desk: desk.settle(
        callback_paid(checkout="ws_CO_2", receipt=OTHER_RECEIPT, phone=TWIN), OTHER_PURCHASE_ID
    ),
}


def test_ambiguous_money_ends_the_same_in_any_order() -> None:
    """What was merged counts no more and is left out; all else is as though the callback had come first."""
    ends: dict[str, tuple[str, ...]] = {}
    for order in itertools.permutations(AMBIGUOUS):
        with open_desk() as desk:
            add_twin(desk)
            for name in order:
                AMBIGUOUS[name](desk)
            ends.setdefault(repr(look(desk.sql)), order)
    assert len(ends) == 1, ends


# --- what people do


def test_a_person_assigns_what_nobody_could_match(desk: Desk) -> None:
    """It counts as though it had been told with its pay code."""
    desk.record(money_record(payer=NOBODY))
    assert desk.judge.assign(desk.payment(RECEIPT), desk.purchase()) is Verdict.SETTLED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    assert desk.payment(RECEIPT).account == ""


def test_a_person_assigns_the_missing_receipt(desk: Desk) -> None:
    """To a purchase that a query has settled: it is that money's receipt, and is not counted again."""
    desk.record(money_record(payer=NOBODY))
    desk.settle(query_paid())
    assert desk.judge.assign(desk.payment(RECEIPT), desk.purchase()) is Verdict.MERGED
    assert desk.balances() == {"received": -1000, "sold": 1000}


def test_a_person_assigns_money_that_came_for_another_purchase(desk: Desk) -> None:
    """It pays for this one by way of the wallet, so that the other can still be paid by what is its own."""
    add_twin(desk)
    desk.settle(callback_paid(amount=Money(1200)))
    assert desk.judge.assign(desk.payment(RECEIPT), desk.purchase(OTHER_PURCHASE_ID)) is Verdict.SETTLED
    assert desk.purchase(OTHER_PURCHASE_ID).state is PurchaseState.PAID
    assert desk.wallet(TWIN) == Money(200)
    assert desk.settle(query_paid()) is Verdict.SETTLED
    assert desk.payments() == [(1200, "wallet", RECEIPT), (1000, "grant", None)]


def test_a_person_assigns_the_wrong_amount_to_the_purchase_it_came_for(desk: Desk) -> None:
    """What it is too much is credit."""
    desk.settle(callback_paid(amount=Money(1200)))
    assert desk.judge.assign(desk.payment(RECEIPT), desk.purchase()) is Verdict.SETTLED
    assert desk.balances() == {"received": -1200, "sold": 1000, "wallet": 200}


@pytest.mark.parametrize("first", ["assigned", "refunded"])
def test_two_people_at_once_move_it_once(desk: Desk, first: str) -> None:
    """Whoever looked before the other was done is told to look again."""
    desk.record(money_record(payer=NOBODY))
    seen = desk.payment(RECEIPT)
    if first == "assigned":
        desk.judge.assign(seen, desk.purchase())
    else:
        desk.judge.books.refund(seen)
    before = list(desk.sql.iterdump())
    with pytest.raises(ConflictError):
        desk.judge.assign(desk.payment(RECEIPT), desk.purchase())
    for late in (desk.judge.books.refund, lambda payment: desk.judge.assign(payment, desk.purchase())):
        desk.sql.execute("SAVEPOINT late")
        with pytest.raises(ConflictError):
            late(seen)
        desk.sql.execute("ROLLBACK TO late")
    assert list(desk.sql.iterdump()) == before


def test_what_was_given_back_and_bought_something_too_is_told(desk: Desk) -> None:
    """Staff gave back what a query had proven to be paid: both stand, and the owner can see it."""
    desk.record(money_record(payer=NOBODY))
    desk.settle(query_paid())
    desk.judge.books.refund(desk.payment(RECEIPT))
    assert desk.settle(callback_paid()) is Verdict.CONTRADICTED
    assert desk.payments() == [(1000, "refunded", RECEIPT), (1000, "grant", None)]
    assert "evidence.contradicted" in desk.tx.events.of_key(PURCHASE_ID)


def test_what_was_given_back_stays_given_back(desk: Desk) -> None:
    """Told again, or named by its callback, it buys nothing; a query does not book it anew, and is not put for ever."""
    desk.record(money_record(payer=NOBODY))
    desk.judge.books.refund(desk.payment(RECEIPT))
    assert desk.balances() == {"received": -1000, "refunded": 1000}
    assert desk.record(money_record()) is Verdict.REPEATED
    assert desk.record(money_record(source=EvidenceSource.C2B)) is Verdict.CONTRADICTED
    assert desk.settle(callback_paid()) is Verdict.REPEATED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    purchase = desk.purchase()
    assert purchase.state is PurchaseState.PROMPTED
    assert purchase.query_at is not None
    assert purchase.query_at > START
    assert desk.payments() == [(1000, "refunded", RECEIPT)]
