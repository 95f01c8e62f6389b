"""A pasted receipt whose money is known: what it buys, gives back, or is refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY
from tests.fakes.gateway import PAYER
from tests.unit.claims_stage import (
    AN_HOUR,
    DAY,
    ELSEWHERE,
    TODAY,
    TODAY_TOO,
    ClaimsStage,
    device,
    open_claims_stage,
)
from tests.unit.shop import MAC, OTHER_MAC, OTHER_PHONE, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY, OTHER_KEY = "5" * 32, "6" * 32
MESSAGE = (
    f"{TODAY} Confirmed. Ksh10.00 sent to WANJIKU CYBER for account 45136199804 on 21/11/26 at 8:55 AM New M-PESA"
    " balance is Ksh3,331.90. Transaction cost, Ksh5.00.Amount you can transact within the day is 499,800.00."
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with an hour at ten shillings and a day at fifty on sale."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


def all_octets(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_nobodys_money_buys_the_package_for_the_claimant(stage: ClaimsStage) -> None:
    """The grant is for the device that pasted it, the payment stands behind it, and the routers are told."""
    await stage.comes_in()
    stage.granted.clear()
    claim = await stage.paste()
    grant = stage.grant(claim.grant_id)
    assert (claim.state, claim.look_at) == (ClaimState.GRANTED, None)
    assert (grant.mac, grant.seconds_left, grant.payment_id) == (MAC, 3600, stage.payment().payment_id)
    assert stage.payment().disposition is Disposition.GRANT
    assert stage.granted == [TENANT]
    assert stage.looks == []


async def test_what_is_too_much_goes_to_the_wallet(stage: ClaimsStage) -> None:
    """Fifteen shillings buy an hour at ten, and five remain."""
    await stage.comes_in(amount=Money(1500))
    claim = await stage.paste()
    assert claim.state is ClaimState.GRANTED
    assert stage.wallet(claim) == Money(500)


async def test_what_is_too_little_becomes_credit(stage: ClaimsStage) -> None:
    """Nothing is lost and nothing is given."""
    await stage.comes_in(amount=Money(600))
    claim = await stage.paste()
    assert (claim.state, claim.grant_id) == (ClaimState.CREDITED, None)
    assert stage.wallet(claim) == Money(600)
    assert stage.books.count("grants") == 0


async def test_too_little_twice_is_enough(stage: ClaimsStage) -> None:
    """With the credit of the first receipt the second buys the hour; the rest stays."""
    await stage.comes_in(amount=Money(600))
    await stage.comes_in(TODAY_TOO, Money(600))
    await stage.paste()
    claim = await stage.paste(TODAY_TOO)
    assert claim.state is ClaimState.GRANTED
    assert stage.wallet(claim) == Money(200)
    assert stage.books.count("grants") == 1


async def test_a_receipt_with_nothing_chosen_buys_what_costs_just_that(stage: ClaimsStage) -> None:
    """Fifty shillings are the day."""
    await stage.comes_in(amount=DAY.price)
    claim = await stage.paste(package_id=None)
    assert stage.grant(claim.grant_id).seconds_left == DAY.duration.total_seconds()


async def test_a_receipt_with_nothing_chosen_that_no_package_costs_is_credit(stage: ClaimsStage) -> None:
    """Nobody guesses what seventy shillings were meant for."""
    await stage.comes_in(amount=Money(7000))
    claim = await stage.paste(package_id=None)
    assert claim.state is ClaimState.CREDITED
    assert stage.wallet(claim) == Money(7000)


async def test_somebody_elses_receipt_is_refused(stage: ClaimsStage) -> None:
    """What bought for one device buys and moves nothing for another."""
    await stage.comes_in()
    first = await stage.paste()
    claim = await stage.paste(mac=OTHER_MAC)
    assert (claim.state, claim.reason, claim.grant_id) == (ClaimState.REFUSED, Refusal.USED, None)
    assert stage.books.count("grants") == 1
    assert stage.grant(first.grant_id).mac == MAC


async def test_ones_own_used_receipt_is_given_back(stage: ClaimsStage) -> None:
    """The same device is told what it has already."""
    await stage.comes_in()
    first = await stage.paste()
    again = await stage.paste()
    assert again.claim_id != first.claim_id
    assert (again.state, again.grant_id) == (ClaimState.GIVEN_BACK, first.grant_id)
    assert stage.books.count("grants") == 1


async def test_a_grant_follows_its_payer_to_another_device(stage: ClaimsStage) -> None:
    """By receipt and the number it was paid from, the routers being told."""
    await stage.comes_in(payer=Payer(phone=PAYER))
    first = await stage.paste()
    stage.granted.clear()
    claim = await stage.paste(mac=OTHER_MAC, phone=PAYER)
    assert (claim.state, claim.grant_id) == (ClaimState.GIVEN_BACK, first.grant_id)
    assert stage.grant(first.grant_id).mac == OTHER_MAC
    assert stage.granted == [TENANT]


async def test_a_wrong_number_moves_nothing(stage: ClaimsStage) -> None:
    """Who knows the receipt and not the number is somebody else."""
    await stage.comes_in(payer=Payer(phone=PAYER))
    first = await stage.paste()
    claim = await stage.paste(mac=OTHER_MAC, phone=OTHER_PHONE)
    assert claim.reason is Refusal.USED
    assert stage.grant(first.grant_id).mac == MAC


async def test_a_grant_moves_only_so_often_a_day(stage: ClaimsStage) -> None:
    """One grant is not handed around: the fourth device of a day is told of it, and does not get it."""
    await stage.comes_in(amount=DAY.price, payer=Payer(phone=PAYER))
    first = await stage.paste(package_id=DAY.package_id)
    for number in range(MOVES_PER_DAY + 1):
        claim = await stage.paste(mac=device(number), phone=PAYER)
        assert claim.state is ClaimState.GIVEN_BACK
    assert stage.grant(first.grant_id).mac == device(MOVES_PER_DAY - 1)
    stage.pass_by(24 * AN_HOUR + 1)
    await stage.paste(mac=OTHER_MAC, phone=PAYER)
    assert stage.grant(first.grant_id).mac == OTHER_MAC


async def test_what_was_refunded_buys_nothing(stage: ClaimsStage) -> None:
    """The money went back."""
    await stage.comes_in()
    await stage.books.store.write(lambda tx: stage.settlement.judge(tx).books.refund(stage.payment()))
    claim = await stage.paste()
    assert (claim.state, claim.reason) == (ClaimState.REFUSED, Refusal.REFUNDED)
    assert stage.books.count("grants") == 0


async def test_another_tenants_receipt_is_unknown(stage: ClaimsStage) -> None:
    """Nobody learns of money that others received, and it stays where it is."""
    await stage.comes_in(receiver=ELSEWHERE)
    claim = await stage.paste()
    assert (claim.state, claim.reason) == (ClaimState.REFUSED, Refusal.UNKNOWN_RECEIPT)
    assert stage.payment().disposition is Disposition.UNMATCHED


async def test_a_device_that_nobody_knows_needs_no_number(stage: ClaimsStage) -> None:
    """Nor does a number need a device: what it buys is for whoever logs in with it."""
    await stage.comes_in()
    claim = await stage.paste(mac=None, phone=PAYER)
    assert stage.grant(claim.grant_id).mac is None


# --- the same again


async def test_the_same_key_is_the_same_claim(stage: ClaimsStage) -> None:
    """A page that heard no answer asks again; nothing is made twice."""
    first = await stage.paste(claim_id=KEY)
    again = await stage.paste(claim_id=KEY)
    assert first.claim_id == again.claim_id == KEY
    assert stage.books.count("claims") == 1


async def test_the_same_key_tells_how_it_was_decided(stage: ClaimsStage) -> None:
    """Also when that happened meanwhile."""
    await stage.paste(claim_id=KEY)
    await stage.comes_in()
    assert (await stage.paste(claim_id=KEY)).state is ClaimState.GRANTED
    assert stage.books.count("claims") == 1


async def test_the_same_order_is_the_same_claim(stage: ClaimsStage) -> None:
    """Pasted again while it is looked for, whatever key the page made and however it is written."""
    first = await stage.paste()
    assert (await stage.paste(TODAY.lower())).claim_id == first.claim_id
    assert (await stage.paste(MESSAGE, claim_id=KEY)).claim_id == first.claim_id
    assert stage.books.count("claims") == 1


async def test_another_receipt_under_the_same_key_is_another_claim(stage: ClaimsStage) -> None:
    """Who corrects a receipt on the same page is not told of the wrong one."""
    first = await stage.paste(TODAY_TOO, claim_id=KEY)
    second = await stage.paste(claim_id=KEY)
    assert second.mpesa_receipt_number == TODAY
    assert (await stage.paste(claim_id=KEY)).claim_id == second.claim_id != first.claim_id
    assert stage.books.count("claims") == 2


@pytest.mark.parametrize("known_first", [True, False])
async def test_of_two_devices_the_first_gets_it(stage: ClaimsStage, *, known_first: bool) -> None:
    """First come first, whether the money is known when they paste its receipt or comes to be."""
    if known_first:
        await stage.comes_in()
    first = await stage.paste(claim_id=OTHER_KEY)
    stage.pass_by(0.001)
    second = await stage.paste(mac=OTHER_MAC, claim_id=KEY)
    if not known_first:
        await stage.comes_in()
    assert stage.claim(first.claim_id).state is ClaimState.GRANTED
    assert stage.claim(second.claim_id).reason is Refusal.USED
    assert stage.books.count("grants") == 1


# --- mistyped


async def test_a_mistyped_receipt_is_read_as_the_known_one(stage: ClaimsStage) -> None:
    """Nought for O, where only the other is known."""
    await stage.comes_in("UKL41A7COO")
    claim = await stage.paste("UKL41A7C0O")
    assert (claim.state, claim.mpesa_receipt_number) == (ClaimState.GRANTED, "UKL41A7COO")


async def test_nothing_is_guessed_while_nothing_is_known(stage: ClaimsStage) -> None:
    """It is kept as it was typed, and is looked for."""
    claim = await stage.paste("UKL41A7C0O")
    assert (claim.state, claim.mpesa_receipt_number) == (ClaimState.VERIFYING, "UKL41A7C0O")


async def test_a_mistyped_receipt_is_found_when_its_money_comes_to_be_known(stage: ClaimsStage) -> None:
    """At the next look, which is soon."""
    claim = await stage.paste("UKL41A7C0O")
    await stage.comes_in("UKL41A7COO")
    await stage.wait(20)
    assert stage.claim(claim.claim_id).state is ClaimState.GRANTED
    assert stage.payment("UKL41A7COO").disposition is Disposition.GRANT


async def test_what_is_known_as_typed_is_not_read_otherwise(stage: ClaimsStage) -> None:
    """Two receipts that look alike are two payments."""
    await stage.comes_in("UKL41A7COO")
    await stage.comes_in("UKL41A7C0O")
    claim = await stage.paste("UKL41A7C0O")
    assert stage.grant(claim.grant_id).payment_id == stage.payment("UKL41A7C0O").payment_id
    assert stage.payment("UKL41A7COO").disposition is Disposition.UNMATCHED


async def test_another_tenants_receipt_is_no_reading(stage: ClaimsStage) -> None:
    """What others received does not make a true receipt be taken for a wrong one."""
    await stage.comes_in("UKL41A7COO", receiver=ELSEWHERE)
    claim = await stage.paste("UKL41A7C0O")
    assert claim.state is ClaimState.VERIFYING


# --- what is taken at all


async def test_of_the_message_only_the_receipt_is_kept(tmp_path: Path) -> None:
    """Names, balances and accounts are nobody's business: they are nowhere in the database's files."""
    async with open_claims_stage(tmp_path) as stage:
        claim = await stage.paste(MESSAGE)
        written = all_octets(tmp_path)  # the log of the newest writes among them
    written += all_octets(tmp_path)
    assert claim.mpesa_receipt_number.encode() in written
    for private in (b"WANJIKU", b"45136199804", b"3,331", b"499,800", b"Confirmed", b"balance"):
        assert private not in written


async def test_somebody_has_to_be_given_it(stage: ClaimsStage) -> None:
    """Without device and number there is nobody."""
    with pytest.raises(InvalidError) as caught:
        await stage.paste(mac=None)
    assert (caught.value.code, caught.value.field) == ("claim.who", "phone")


@pytest.mark.parametrize("text", ["", "I paid, where is it", "x" * 3000])
async def test_a_text_without_a_receipt_is_no_claim(stage: ClaimsStage, text: str) -> None:
    """Nothing is written, and the person is told what to do."""
    with pytest.raises(InvalidError) as caught:
        await stage.paste(text)
    assert caught.value.field == "message"
    assert stage.books.count("claims") == stage.books.count("evidence") == 0


async def test_a_malformed_key_is_refused(stage: ClaimsStage) -> None:
    """A key that could be guessed is none."""
    with pytest.raises(InvalidError) as caught:
        await stage.paste(claim_id="1")
    assert caught.value.field == "key"


async def test_what_is_not_on_sale_cannot_be_claimed(stage: ClaimsStage) -> None:
    """As with a purchase."""
    with pytest.raises(NotFoundError) as caught:
        await stage.paste(package_id="1y")
    assert caught.value.code == "purchase.package_closed"


async def test_without_a_gateway_there_are_no_claims(stage: ClaimsStage) -> None:
    """Nobody could have paid."""
    stage.known = None
    with pytest.raises(NotFoundError) as caught:
        await stage.paste()
    assert caught.value.code == "gateway.missing"
