"""What a pasted receipt leads to, given what the books know of the money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.claims import Claim, ClaimState, Refusal
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import MacAddress, Money
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.claiming import refuse
from easyisp_edge.services.money.judgement import Receiver, Verdict
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, RECEIPT, callback_paid, money_record, not_paid, query_paid
from tests.unit.services.desk import HALF_HOUR, Desk, open_desk
from tests.unit.shop import (
    HOUR,
    MAC,
    OTHER_MAC,
    OTHER_PHONE,
    PAY_CODE,
    PURCHASE_ID,
    TENANT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.domain.grants import Grant

OTHER_RECEIPT = "SKL41ZZZZZ"
THIRD_MAC = MacAddress("AA:BB:CC:00:00:03")
NOBODYS = money_record(payer=Payer())


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A purchase whose phone was prompted."""
    with open_desk() as desk:
        yield desk


def version_of(desk: Desk, package: Any = HOUR) -> int:
    return desk.tx.packages.version_of(package, START).version_id


def paste_elsewhere(desk: Desk, number: int = 1, **changes: Any) -> Claim:
    """A receipt pasted on a device that bought nothing here."""
    return desk.paste(**{"claim_id": f"{number:032}", "mac": OTHER_MAC, **changes})


def claim(desk: Desk, number: int = 1) -> Claim:
    found = desk.tx.claims.by_id(f"{number:032}")
    assert found is not None
    return found


def grant_of(desk: Desk, claim: Claim) -> Grant:
    found = desk.tx.grants.by_id(claim.grant_id or "")
    assert found is not None
    return found


# --- money that is nobody's


@pytest.mark.parametrize("money_first", [True, False])
def test_unmatched_money_is_the_first_claimants(desk: Desk, *, money_first: bool) -> None:
    """It buys the package that is wanted, whichever comes first; whoever else pastes the receipt is refused."""
    if money_first:
        desk.record(NOBODYS)
    decided = paste_elsewhere(desk, package_version_id=version_of(desk))
    assert decided.state is (ClaimState.GRANTED if money_first else ClaimState.VERIFYING)
    desk.record(NOBODYS)
    granted = claim(desk)
    assert (granted.state, granted.reason, granted.look_at) == (ClaimState.GRANTED, None, None)
    grant = grant_of(desk, granted)
    assert (grant.mac, grant.purchase_id, grant.customer_id) == (OTHER_MAC, None, granted.customer_id)
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    late = paste_elsewhere(desk, 2, mac=THIRD_MAC)
    assert (late.state, late.reason, late.grant_id) == (ClaimState.REFUSED, Refusal.USED, None)
    assert desk.grants() == 1


def test_of_many_who_wait_the_first_is_served(desk: Desk) -> None:
    """The others learn that it is used."""
    for number, mac in ((3, THIRD_MAC), (2, OTHER_MAC)):
        paste_elsewhere(
            desk, number, mac=mac, package_version_id=version_of(desk), created_at=START - timedelta(seconds=number)
        )
    desk.record(NOBODYS)
    assert (claim(desk, 3).state, claim(desk, 2).reason) == (ClaimState.GRANTED, Refusal.USED)


def test_what_is_wanted_may_cost_less(desk: Desk) -> None:
    """The rest is credit of who claimed it."""
    desk.record(NOBODYS)
    decided = paste_elsewhere(desk, package_version_id=version_of(desk, HALF_HOUR), phone=OTHER_PHONE)
    assert decided.state is ClaimState.GRANTED
    assert desk.balances() == {"received": -1000, "sold": 600, "wallet": 400}
    # The number a claimant types proves nothing: the wallet is the device's.
    assert (desk.wallet_of_device(OTHER_MAC), desk.wallet(OTHER_PHONE)) == (Money(400), Money(0))


def test_what_is_wanted_may_cost_more(desk: Desk) -> None:
    """Then it is credit; with the next receipt it is enough."""
    dear = version_of(desk, replace(HOUR, package_id="1d", price=Money(1500)))
    desk.record(NOBODYS)
    assert paste_elsewhere(desk, package_version_id=dear, phone=OTHER_PHONE).state is ClaimState.CREDITED
    desk.record(money_record(receipt=OTHER_RECEIPT, payer=Payer()))
    second = paste_elsewhere(desk, 2, mpesa_receipt_number=OTHER_RECEIPT, package_version_id=dear, phone=OTHER_PHONE)
    assert second.state is ClaimState.GRANTED
    assert grant_of(desk, second).funding is Funding.WALLET
    assert desk.wallet_of_device(OTHER_MAC) == Money(500)


def test_what_is_wanted_may_be_left_open(desk: Desk) -> None:
    """It buys the one package of that price where there is one; else it is credit."""
    desk.record(NOBODYS)
    assert paste_elsewhere(desk).state is ClaimState.CREDITED
    desk.sell_less()
    desk.record(money_record(receipt=OTHER_RECEIPT, amount=HALF_HOUR.price, payer=Payer()))
    second = paste_elsewhere(desk, 2, mac=THIRD_MAC, mpesa_receipt_number=OTHER_RECEIPT)
    assert second.state is ClaimState.GRANTED
    assert grant_of(desk, second).seconds_left == 1800


def test_who_paid_is_the_customer(desk: Desk) -> None:
    """Where the number was told it goes before what the claimant says."""
    desk.record(money_record(payer=Payer(phone=OTHER_PHONE), amount=Money(100)))
    paste_elsewhere(desk, phone=PAYER)
    assert (desk.wallet(OTHER_PHONE), desk.wallet(PAYER)) == (Money(100), Money(0))


def test_a_claim_of_nobody_does_not_stop_the_books(desk: Desk) -> None:
    """Neither device nor number: there is no customer to be, so it waits; the money is booked all the same."""
    waiting = paste_elsewhere(desk, mac=None)
    assert desk.record(NOBODYS) is Verdict.UNMATCHED
    assert claim(desk) == waiting
    assert desk.payments() == [(1000, "unmatched", RECEIPT)]
    desk.record(money_record(payer=Payer(phone=OTHER_PHONE), source=EvidenceSource.C2B))
    assert claim(desk).state is ClaimState.CREDITED


# --- money that bought something


@pytest.mark.parametrize("money_first", [True, False])
def test_the_buyers_receipt_gives_the_grant_back(desk: Desk, *, money_first: bool) -> None:
    """On the same device nothing changes; it is no second grant."""
    if money_first:
        desk.settle(callback_paid())
    desk.paste()
    desk.settle(callback_paid())
    given = desk.paste()
    assert (given.state, given.grant_id) == (ClaimState.GIVEN_BACK, desk.grant().grant_id)
    assert (desk.grants(), desk.grant().mac) == (1, MAC)


def test_a_receipt_that_came_late_gives_back_what_a_query_settled(desk: Desk) -> None:
    """Paid, proven without a receipt, pasted on a second phone: one grant, and it moves there."""
    desk.settle(query_paid())
    waiting = paste_elsewhere(desk, phone=PAYER)
    assert waiting.state is ClaimState.VERIFYING
    assert desk.record(money_record()) is Verdict.RECEIPT_ATTACHED
    assert (claim(desk).state, desk.grant().mac, desk.grants()) == (ClaimState.GIVEN_BACK, OTHER_MAC, 1)


def test_a_grant_moves_so_often_a_day(desk: Desk) -> None:
    """Then the receipt still shows it, and it stays where it is."""
    desk.settle(callback_paid())
    macs = [MacAddress(f"AA:BB:CC:00:01:{number:02}") for number in range(MOVES_PER_DAY + 1)]
    for number, mac in enumerate(macs):
        assert paste_elsewhere(desk, number, mac=mac, phone=PAYER).state is ClaimState.GIVEN_BACK
    assert desk.grant().mac == macs[-2]
    desk.now += timedelta(days=1, seconds=1)
    paste_elsewhere(desk, 99, phone=PAYER)
    assert desk.grant().mac in {OTHER_MAC, macs[-2]}


@pytest.mark.parametrize(
    "who",
    [{"mac": OTHER_MAC}, {"mac": OTHER_MAC, "phone": OTHER_PHONE}, {"mac": None, "phone": OTHER_PHONE}],
    ids=["device", "device and number", "number"],
)
def test_somebody_elses_receipt_is_refused(desk: Desk, who: dict[str, Any]) -> None:
    """Neither the device nor the number is the buyer's."""
    desk.settle(callback_paid())
    refused = paste_elsewhere(desk, **who)
    assert (refused.state, refused.reason) == (ClaimState.REFUSED, Refusal.USED)
    assert desk.grant().mac == MAC


def test_another_tenants_receipt_is_unknown_here(desk: Desk) -> None:
    """Nothing is told of what another tenant received."""
    desk.record(NOBODYS, Receiver("other", "theirs"))
    assert paste_elsewhere(desk).reason is Refusal.UNKNOWN_RECEIPT


def test_what_was_given_back_in_money_is_not_given_twice(desk: Desk) -> None:
    """A refunded receipt buys nothing."""
    desk.record(NOBODYS)
    desk.judge.books.refund(desk.payment(RECEIPT))
    assert paste_elsewhere(desk).reason is Refusal.REFUNDED


def test_credit_is_spent_on_what_is_wanted(desk: Desk) -> None:
    """Paid too little with the pay code, and pasted: the payer's wallet buys where it suffices, else it is told."""
    desk.record(money_record(amount=Money(600), account=PAY_CODE))
    assert paste_elsewhere(desk, phone=PAYER, package_version_id=version_of(desk)).state is ClaimState.CREDITED
    bought = paste_elsewhere(desk, 2, phone=PAYER, package_version_id=version_of(desk, HALF_HOUR))
    assert bought.state is ClaimState.GRANTED
    assert grant_of(desk, bought).mac == OTHER_MAC
    assert desk.balances() == {"received": -600, "sold": 600}


# --- the claimant's own purchase


@pytest.mark.parametrize("proven_first", [True, False])
def test_money_claimed_where_it_was_asked_for_answers_that(desk: Desk, *, proven_first: bool) -> None:
    """A receipt nobody could match, pasted on the device of a purchase over that amount: it does not buy twice."""
    if proven_first:
        desk.settle(query_paid())
    desk.record(NOBODYS)
    given = desk.paste(package_version_id=desk.purchase().package_version_id)
    assert (given.state, given.grant_id) == (ClaimState.GIVEN_BACK, desk.grant().grant_id)
    assert desk.purchase().state is PurchaseState.PAID
    for again in (query_paid(), callback_paid()):
        assert desk.settle(again) is Verdict.REPEATED
    assert desk.balances() == {"received": -1000, "sold": 1000}


NOT_ITS_MONEY: dict[str, Callable[[Desk], object]] = {
    "another amount": lambda desk: desk.record(money_record(amount=Money(1200), payer=Payer())),
    "another gateway": lambda desk: desk.record(NOBODYS, Receiver(TENANT, "other")),
}


@pytest.mark.parametrize("name", NOT_ITS_MONEY)
def test_other_money_does_not_answer_a_purchase(desk: Desk, name: str) -> None:
    """It buys what is wanted for it; the purchase goes on waiting for its own."""
    NOT_ITS_MONEY[name](desk)
    assert desk.paste(package_version_id=version_of(desk, HALF_HOUR)).state is ClaimState.GRANTED
    assert desk.purchase().state is PurchaseState.PROMPTED


def test_another_package_is_wanted(desk: Desk) -> None:
    """Who changed the mind gets what is wanted now, not what was cancelled before."""
    desk.settle(not_paid(EvidenceSource.STK_CALLBACK))
    desk.record(NOBODYS)
    other = replace(HOUR, package_id="night", name="A night", duration=timedelta(hours=9))
    decided = desk.paste(package_version_id=version_of(desk, other))
    assert (decided.state, grant_of(desk, decided).seconds_left) == (ClaimState.GRANTED, 9 * 3600)
    assert desk.purchase().state is PurchaseState.FAILED


# --- claimed first, explained later


def claimed_elsewhere(desk: Desk, **changes: Any) -> Claim:
    """Money nobody could match, claimed on a device that nothing is known of."""
    desk.record(NOBODYS)
    return paste_elsewhere(desk, **{"package_version_id": version_of(desk), **changes})


def test_a_purchase_is_answered_by_what_its_money_bought(desk: Desk) -> None:
    """Its callback names a receipt that was claimed on another device: one payment, one grant, and it is paid."""
    claimed = claimed_elsewhere(desk)
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    assert (desk.grant().grant_id, desk.grants()) == (claimed.grant_id, 1)
    assert desk.balances() == {"received": -1000, "sold": 1000}
    given = desk.paste()  # and the buyer's own device gets it back
    assert (given.state, desk.grant().mac) == (ClaimState.GIVEN_BACK, MAC)


def test_money_that_bought_twice_buys_once_in_the_end(desk: Desk) -> None:
    """A query settled the purchase, the claim bought elsewhere: named by the callback, the purchase has it."""
    claimed = claimed_elsewhere(desk)
    desk.settle(query_paid())
    assert desk.balances() == {"received": -2000, "sold": 2000}
    own = desk.grant().grant_id
    assert desk.settle(callback_paid()) is Verdict.MERGED
    assert desk.balances() == {"received": -1000, "sold": 1000}
    assert desk.grant().grant_id == own
    unfunded = grant_of(desk, claimed)
    assert (unfunded.state, unfunded.funding, unfunded.payment_id) == (GrantState.ENDED, Funding.PROVISIONAL, None)
    assert desk.settle(callback_paid()) is Verdict.REPEATED


def test_credit_that_was_counted_twice_is_taken_back(desk: Desk) -> None:
    """The same where the claim had led to credit: no more than was paid is in the wallet."""
    claimed_elsewhere(desk, package_version_id=None, phone=OTHER_PHONE)
    desk.settle(query_paid())
    assert desk.wallet_of_device(OTHER_MAC) == Money(1000)
    assert desk.settle(callback_paid()) is Verdict.MERGED
    assert desk.wallet_of_device(OTHER_MAC) == Money(0)
    assert desk.balances() == {"received": -1000, "sold": 1000}


def test_credit_pays_for_the_purchase_it_was_meant_for(desk: Desk) -> None:
    """Claimed as credit before the callback named the purchase: the wallet pays it."""
    claimed_elsewhere(desk, package_version_id=None, phone=OTHER_PHONE)
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    assert (desk.grant().funding, desk.wallet(OTHER_PHONE)) == (Funding.WALLET, Money(0))
    assert desk.settle(query_paid()) is Verdict.REPEATED


def test_credit_that_is_spent_is_not_spent_again(desk: Desk) -> None:
    """Then the purchase stays unpaid, whatever a query says, and the owner can see why."""
    claimed_elsewhere(desk, package_version_id=None, phone=OTHER_PHONE)
    customer_id = claim(desk).customer_id
    assert customer_id is not None
    version = desk.tx.packages.version_of(HOUR, START)
    spent = desk.judge.books.sell_from_wallet(
        customer_id, Buyer(TENANT, HOUR.service, OTHER_PHONE, OTHER_MAC, None), version
    )
    assert spent is not None
    assert desk.settle(callback_paid()) is Verdict.CONTRADICTED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    assert desk.balances() == {"received": -1000, "sold": 1000}
    assert desk.purchase().state is not PurchaseState.PAID
    assert "evidence.contradicted" in desk.tx.events.of_key(PURCHASE_ID)


def test_credit_spent_meanwhile_stays_where_it_was_booked_twice(desk: Desk) -> None:
    """What cannot be taken back is told, and nothing is below nought."""
    claimed_elsewhere(desk, package_version_id=None, phone=OTHER_PHONE)
    desk.settle(query_paid())
    paste_elsewhere(desk, 2, phone=OTHER_PHONE, package_version_id=version_of(desk))
    assert desk.settle(callback_paid()) is Verdict.CONTRADICTED
    assert desk.balances() == {"received": -2000, "sold": 2000}


def test_a_wrong_amount_that_is_claimed_leaves_the_purchase_payable(desk: Desk) -> None:
    """It is its buyer's credit: the price, when a query proves it, still buys what was ordered."""
    desk.settle(callback_paid(amount=Money(700)))
    decided = desk.paste(package_version_id=version_of(desk, HALF_HOUR))
    assert decided.state is ClaimState.GRANTED
    assert desk.payments() == [(700, "wallet", RECEIPT)]
    assert desk.settle(query_paid()) is Verdict.SETTLED
    assert desk.purchase().state is PurchaseState.PAID
    assert desk.balances() == {"received": -1700, "sold": 1600, "wallet": 100}


def test_a_wrong_amount_is_its_buyers_alone(desk: Desk) -> None:
    """Whoever else pastes the receipt is refused."""
    desk.settle(callback_paid(amount=Money(700)))
    assert paste_elsewhere(desk).reason is Refusal.USED
    assert desk.payments() == [(700, "unmatched", RECEIPT)]


# --- access given in advance


def provided(desk: Desk, *, begun: bool) -> Claim:
    """A claim that was given a quarter of an hour in advance, of which five minutes are over where it begun."""
    buyer = Buyer(TENANT, HOUR.service, None, OTHER_MAC, None)
    given = desk.judge.books.provide(buyer, desk.tx.packages.version_of(HOUR, START), 900)
    assert given.seconds_left == 900
    if begun:
        desk.tx.grants.update(given.started(START))
        desk.now += timedelta(minutes=5)
    return paste_elsewhere(desk, provisional_grant_id=given.grant_id, package_version_id=version_of(desk))


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("way", ["granted", "refused"])
def test_access_in_advance_ends_with_the_decision(desk: Desk, way: str, *, begun: bool) -> None:
    """Used or not; its time is taken off what the money buys."""
    waiting = provided(desk, begun=begun)
    if way == "granted":
        desk.record(NOBODYS)
        assert grant_of(desk, claim(desk)).seconds_left == (3300 if begun else 3600)
    else:
        refuse(desk.judge.books, waiting, Refusal.UNKNOWN_RECEIPT)
    given = desk.tx.grants.by_id(waiting.provisional_grant_id or "")
    assert given is not None
    assert (given.state, given.seconds_left) == (GrantState.ENDED, 0)
    assert desk.tx.events.of_key(given.grant_id) == ["grant.made", "grant.ended"]


def test_time_given_in_advance_is_taken_off_what_a_wallet_buys(desk: Desk) -> None:
    """The same where the money alone does not suffice, and buys with what was credit before."""
    desk.record(money_record(receipt=OTHER_RECEIPT, payer=Payer(), amount=Money(400)))
    assert paste_elsewhere(desk, 2, mpesa_receipt_number=OTHER_RECEIPT).state is ClaimState.CREDITED
    provided(desk, begun=True)
    desk.record(money_record(payer=Payer(), amount=Money(600)))
    assert (claim(desk).state, grant_of(desk, claim(desk)).seconds_left) == (ClaimState.GRANTED, 3300)
