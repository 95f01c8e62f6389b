"""Money that is not the price: more, less, twice, or another amount than the prompt asked for."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.purchases import PurchaseState, first_recheck_at
from easyisp_edge.domain.values import Money
from easyisp_edge.services.money.judgement import Verdict
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, RECEIPT, callback_paid, money_record, query_paid
from tests.unit.services.desk import HALF_HOUR, Desk, open_desk
from tests.unit.services.schedules import look
from tests.unit.shop import HOUR, PAY_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.domain.payments import MoneyRecord

OTHER_RECEIPT = "SKL41ZZZZZ"


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A purchase for KES 10 whose phone was prompted."""
    with open_desk() as desk:
        yield desk


def by_code(shillings: int, receipt: str = RECEIPT) -> MoneyRecord:
    """Money paid from the M-Pesa menu with the purchase's pay code."""
    return money_record(receipt=receipt, amount=Money.shillings(shillings), account=PAY_CODE)


# --- the prompt takes exactly the price


def test_a_wrong_amount_buys_nothing_and_is_kept(desk: Desk) -> None:
    """The money stands in the books for a person to assign, the page says so, and M-Pesa is asked about it later."""
    assert desk.settle(callback_paid(amount=Money(500))) is Verdict.UNMATCHED
    assert desk.payments() == [(500, "unmatched", RECEIPT)]
    assert desk.grants() == 0
    purchase = desk.purchase()
    assert (purchase.state, purchase.reason) == (PurchaseState.FAILED, Reason.WRONG_AMOUNT)
    assert purchase.query_at == first_recheck_at(START)


def test_a_wrong_amount_told_again_is_booked_once(desk: Desk) -> None:
    """By the same callback, relayed or not."""
    desk.settle(callback_paid(amount=Money(500)))
    assert desk.settle(callback_paid(amount=Money(500))) is Verdict.REPEATED
    relayed = callback_paid(amount=Money(500), source=EvidenceSource.STK_CALLBACK_RELAYED)
    assert desk.settle(relayed) is Verdict.REPEATED
    assert desk.payments() == [(500, "unmatched", RECEIPT)]


def test_a_wrong_amount_without_a_receipt_is_booked_once(desk: Desk) -> None:
    """There is only the amount to know it by; its receipt is attached when it is told."""
    odd = callback_paid(amount=Money(500), receipt=None)
    assert desk.settle(odd) is Verdict.UNMATCHED
    assert desk.settle(odd) is Verdict.REPEATED
    assert desk.payments() == [(500, "unmatched", None)]
    assert desk.settle(callback_paid(amount=Money(500))) is Verdict.RECEIPT_ATTACHED
    assert desk.payments() == [(500, "unmatched", RECEIPT)]


def test_a_query_that_proves_the_push_settles_at_the_price(desk: Desk) -> None:
    """Whatever amount a callback told: that money stays unmatched, before and after."""
    desk.settle(callback_paid(amount=Money(500)))
    assert desk.settle(query_paid()) is Verdict.SETTLED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    assert desk.payments() == [(500, "unmatched", RECEIPT), (1000, "grant", None)]
    assert desk.purchase().state is PurchaseState.PAID
    assert desk.balances() == {"received": -1500, "sold": 1000, "unmatched": 500}


def test_the_right_amount_after_a_wrong_one_settles(desk: Desk) -> None:
    """Both are in the books; one bought the package."""
    desk.settle(callback_paid(amount=Money(500)))
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.SETTLED
    assert desk.payments() == [(500, "unmatched", RECEIPT), (1000, "grant", OTHER_RECEIPT)]
    assert desk.purchase().state is PurchaseState.PAID


def test_a_wrong_amount_after_settlement_is_kept_too(desk: Desk) -> None:
    """Whatever its size, it is somebody's money."""
    desk.settle(callback_paid())
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT, amount=Money(700))) is Verdict.UNMATCHED
    assert desk.payments() == [(1000, "grant", RECEIPT), (700, "unmatched", OTHER_RECEIPT)]
    assert desk.purchase().state is PurchaseState.PAID


# --- money paid from the menu


def test_more_than_the_price_leaves_credit(desk: Desk) -> None:
    """The package is sold, and the rest is in the customer's wallet."""
    assert desk.record(by_code(13)) is Verdict.SETTLED
    assert desk.payments() == [(1300, "grant", RECEIPT)]
    assert desk.balances() == {"received": -1300, "sold": 1000, "wallet": 300}
    assert desk.wallet(PAYER) == Money(300)


def test_less_than_the_price_is_credit(desk: Desk) -> None:
    """The page says that it was too little; none of it is lost."""
    assert desk.record(by_code(4)) is Verdict.CREDITED
    assert desk.payments() == [(400, "wallet", RECEIPT)]
    assert desk.wallet(PAYER) == Money(400)
    purchase = desk.purchase()
    assert (purchase.state, purchase.reason) == (PurchaseState.FAILED, Reason.PAID_SHORT)
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.SETTLED
    assert (desk.wallet(PAYER), desk.purchase().reason) == (Money(400), None)


def test_less_than_the_price_buys_what_it_affords_where_the_owner_says_so(desk: Desk) -> None:
    """The dearest package there is for it; the rest is credit."""
    desk.sell_less()
    assert desk.record(by_code(7)) is Verdict.SETTLED
    assert desk.payments() == [(700, "grant", RECEIPT)]
    assert desk.balances() == {"received": -700, "sold": 600, "wallet": 100}
    assert desk.grant().seconds_left == 1800
    assert desk.purchase().state is PurchaseState.PAID


def test_less_than_anything_costs_is_credit_all_the_same(desk: Desk) -> None:
    """Also where the owner sells less."""
    desk.sell_less()
    assert desk.record(by_code(5)) is Verdict.CREDITED
    assert desk.balances() == {"received": -500, "wallet": 500}


def test_twice_too_little_buys_it_in_the_end(desk: Desk) -> None:
    """What is in the wallet together is enough: it buys, and no more than once."""
    assert desk.record(by_code(4)) is Verdict.CREDITED
    assert desk.record(by_code(7, OTHER_RECEIPT)) is Verdict.SETTLED
    assert desk.payments() == [(400, "wallet", RECEIPT), (700, "wallet", OTHER_RECEIPT)]
    assert desk.balances() == {"received": -1100, "sold": 1000, "wallet": 100}
    grant = desk.grant()
    assert (grant.funding, grant.payment_id) == (Funding.WALLET, None)
    assert desk.purchase().state is PurchaseState.PAID
    assert desk.record(by_code(10, "SKL41YYYYY")) is Verdict.CREDITED
    assert (desk.grants(), desk.wallet(PAYER)) == (1, Money(1100))


def test_a_second_success_is_credit(desk: Desk) -> None:
    """Money twice buys once: the second receipt is in the wallet, told again it changes nothing."""
    desk.settle(callback_paid())
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.CREDITED
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.REPEATED
    assert desk.record(by_code(10, OTHER_RECEIPT)) is Verdict.REPEATED
    assert desk.payments() == [(1000, "grant", RECEIPT), (1000, "wallet", OTHER_RECEIPT)]
    assert (desk.grants(), desk.wallet(PAYER)) == (1, Money(1000))
    assert desk.purchase().state is PurchaseState.PAID


def test_paid_by_prompt_and_by_pay_code(desk: Desk) -> None:
    """A query tells no receipt: of two payments of the price one stays to be told of by its own."""
    assert desk.record(by_code(10)) is Verdict.SETTLED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.CREDITED
    assert desk.balances() == {"received": -2000, "sold": 1000, "wallet": 1000}


def test_what_is_bought_is_what_was_ordered(desk: Desk) -> None:
    """Closed, dearer or shorter by now: the customer gets what the page showed, at that price."""
    ordered = desk.purchase().package_version_id
    closed = replace(HOUR, price=Money(2000), duration=HALF_HOUR.duration, active=False)
    assert desk.tx.packages.version_of(closed, START).version_id != ordered
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    grant = desk.grant()
    assert (grant.package_version_id, grant.seconds_left) == (ordered, 3600)


# --- in any order

TOLD: dict[str, Callable[[Desk], object]] = {
    "a callback of 5": lambda desk: desk.settle(callback_paid(amount=Money(500))),
    "the receiver's books, 5 with code": lambda desk: desk.record(by_code(5)),
    "the receiver's books, 5 without": lambda desk: desk.record(money_record(amount=Money(500), payer=Payer())),
    "a callback of 5 without a receipt": lambda desk: desk.settle(callback_paid(amount=Money(500), receipt=None)),
    "a query": lambda desk: desk.settle(query_paid()),
    "the callback of 10": lambda desk: desk.settle(callback_paid(receipt=OTHER_RECEIPT)),
}
TOGETHER = [
    ("a callback of 5", "a query"),
    ("a callback of 5", "the callback of 10"),
    ("a callback of 5", "a query", "the callback of 10"),
    ("a callback of 5", "the receiver's books, 5 with code"),
    ("a callback of 5", "the receiver's books, 5 without"),
    ("a callback of 5", "a query", "the receiver's books, 5 with code"),
    ("a callback of 5", "a query", "the receiver's books, 5 without"),
    ("a callback of 5 without a receipt", "the receiver's books, 5 with code"),
    ("a callback of 5 without a receipt", "a callback of 5", "the receiver's books, 5 without"),
    ("a query", "the callback of 10", "the receiver's books, 5 with code"),
]


@pytest.mark.parametrize("together", TOGETHER, ids=" + ".join)
def test_odd_amounts_end_the_same_in_any_order(together: tuple[str, ...]) -> None:
    """Also where the receiver's books bear out the amount that was no prompt's: then it is the customer's credit."""
    ends = []
    for order in itertools.permutations(together):
        with open_desk() as desk:
            for name in order:
                TOLD[name](desk)
            ends.append((look(desk.sql), desk.purchase().reason))
    assert all(end == ends[0] for end in ends), ends
