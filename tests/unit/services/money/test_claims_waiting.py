"""A pasted receipt that nobody knows yet: how long it is looked for, and what that looking may prove."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import Disposition, EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.money.judgement import Receiver
from easyisp_edge.store.gateway_states import GatewayState
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, callback_paid, money_record, not_paid, query_paid, unavailable
from tests.unit.claims_stage import (
    AN_HOUR,
    BASE,
    MINUTE,
    NOMINATED,
    TODAY,
    TODAY_TOO,
    ClaimsStage,
    device,
    open_claims_stage,
)
from tests.unit.shop import GATEWAY, MAC, OTHER_MAC, OTHER_PHONE, PURCHASE_ID, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUARTER = 15 * MINUTE


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with nothing in them, and a gateway whose list is read."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


async def test_an_unknown_receipt_is_looked_for_by_schedule(stage: ClaimsStage) -> None:
    """Soon and often at first, then ever rarer; each look has the merchant's books looked at."""
    claim = await stage.paste()
    assert (claim.state, len(stage.looks)) == (ClaimState.VERIFYING, 1)
    seen = []
    for looks in range(9):
        standing = stage.claim(claim.claim_id)
        assert (standing.state, standing.looks, len(stage.looks)) == (ClaimState.VERIFYING, looks, 1 + looks)
        assert standing.look_at is not None
        seen.append((standing.look_at - START).total_seconds())
        await stage.wait((standing.look_at - stage.books.now()).total_seconds())
    assert seen == [20, 60, 120, 300, 600, 1200, 3600, 7200, 10800]


async def test_a_round_tells_when_the_next_look_is_due(stage: ClaimsStage) -> None:
    """Nobody polls: with nothing to wait for there is nothing due."""
    assert await stage.claims.round() is None
    await stage.paste()
    assert await stage.claims.round() == 20.0
    stage.pass_by(30)
    assert await stage.claims.round() == 30.0


async def test_more_than_a_handful_are_looked_at_one_lot_after_the_other(stage: ClaimsStage) -> None:
    """None is forgotten: a round that left some says so."""
    for number in range(25):
        await stage.paste(f"UKL41A{number:04}", mac=device(number))
    stage.pass_by(20)
    assert await stage.claims.round() == 0.0
    assert await stage.claims.round() == 40.0


async def test_a_list_that_decides_it_is_heeded_at_once(stage: ClaimsStage) -> None:
    """Not only when the claim's own next look is due."""
    claim = await stage.paste()
    stage.pass_by(10 * MINUTE)
    await stage.claims.round()
    stage.pass_by(5 * MINUTE - 1)
    await stage.read_list()
    await stage.claims.round()
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING
    stage.pass_by(MINUTE)
    await stage.read_list()
    due = stage.claim(claim.claim_id).look_at
    assert due is not None
    assert due > stage.books.now()
    await stage.claims.round()
    assert stage.claim(claim.claim_id).reason is Refusal.UNKNOWN_RECEIPT


async def test_another_gateways_list_decides_nothing(stage: ClaimsStage) -> None:
    """What was paid to the one is not in the list of the other."""
    claim = await stage.paste()
    stage.pass_by(20 * MINUTE)
    now = stage.books.now()
    other = GatewayState("till", "e" * 32, swept_until=now, swept_at=now)
    await stage.books.store.write(lambda tx: tx.gateways.put(other))
    await stage.claims.round()
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING


async def test_money_that_comes_to_be_known_is_the_claimants(stage: ClaimsStage) -> None:
    """At once when it is told, without another look."""
    claim = await stage.paste()
    stage.pass_by(5)
    stage.granted.clear()
    await stage.comes_in()
    assert stage.claim(claim.claim_id).state is ClaimState.GRANTED
    assert stage.granted == [TENANT]


# --- the claimant's own pushes


async def test_ones_own_open_push_is_asked_about_at_once(stage: ClaimsStage) -> None:
    """Most often its callback was lost; the query proves the payment."""
    later = START + timedelta(hours=1)
    await stage.prompt(query_at=later)
    await stage.paste()
    assert stage.purchase().query_at == START
    stage.gateway.query_answers.append(query_paid())
    await stage.settlement.query_round(GATEWAY, stage.gateway)
    assert stage.purchase().state is PurchaseState.PAID


async def test_a_push_that_is_said_to_have_failed_is_asked_about_too(stage: ClaimsStage) -> None:
    """Failure is provisional, and here somebody says it was paid."""
    await stage.prompt()
    await stage.say(not_paid(EvidenceSource.STK_CALLBACK))
    await stage.paste()
    assert stage.purchase().query_at == START


async def test_the_pushes_of_the_number_it_was_paid_from_are_asked_about(stage: ClaimsStage) -> None:
    """The device may be another one by now."""
    await stage.prompt(query_at=None)
    await stage.paste(mac=OTHER_MAC, phone=PAYER)
    assert stage.purchase().query_at == START


async def test_nobody_elses_push_is_asked_about(stage: ClaimsStage) -> None:
    """Nor one of long ago."""
    await stage.prompt(query_at=None)
    await stage.paste(mac=OTHER_MAC, phone=OTHER_PHONE)
    assert stage.purchase().query_at is None
    stage.pass_by(49 * AN_HOUR)
    await stage.paste(TODAY_TOO)
    assert stage.purchase().query_at is None


async def test_a_push_that_cannot_be_asked_about_takes_no_ones_turn(stage: ClaimsStage) -> None:
    """Three at most are asked about; those M-Pesa never took have no id to ask by."""
    await stage.prompt(query_at=None)
    for number in range(5):
        stage.pass_by(MINUTE)
        await stage.prompt(
            f"lost {number}",
            purchase_id=f"{number:032}",
            account_reference=f"LOST{number}",
            state=PurchaseState.UNKNOWN,
            checkout_request_id=None,
        )
    await stage.paste()
    assert stage.purchase().query_at == stage.books.now()


async def test_at_most_three_pushes_are_asked_about(stage: ClaimsStage) -> None:
    """A claim buys no more questions than that."""
    for number in range(5):
        await stage.prompt(
            f"token {number}",
            purchase_id=f"{number:032}",
            account_reference=f"REF{number}",
            checkout_request_id=f"ws_CO_{number}",
            query_at=None,
        )
    await stage.paste()
    asked = [stage.purchase(f"{number:032}").query_at for number in range(5)]
    assert len([at for at in asked if at is not None]) == 3


# --- refusing


async def test_a_list_read_too_soon_proves_nothing(stage: ClaimsStage) -> None:
    """A payment may show up in it some minutes late."""
    claim = await stage.paste()
    await stage.wait(QUARTER - 1)
    await stage.read_list()
    await stage.wait(20 * MINUTE)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING


async def test_a_list_read_late_enough_proves_that_nobody_paid(stage: ClaimsStage) -> None:
    """A quarter of an hour after the claim it would be there."""
    claim = await stage.paste()
    await stage.wait(QUARTER)
    await stage.read_list()
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING
    await stage.wait(5 * MINUTE)
    refused = stage.claim(claim.claim_id)
    assert (refused.state, refused.reason) == (ClaimState.REFUSED, Refusal.UNKNOWN_RECEIPT)
    assert refused.look_at is None


async def test_a_list_that_could_not_be_read_proves_nothing(stage: ClaimsStage) -> None:
    """However late it was tried; half of it was read."""
    claim = await stage.paste()
    await stage.wait(2 * AN_HOUR)
    stage.gateway.pull_answers += [[], [], unavailable()]
    with pytest.raises(UnavailableError):
        await stage.read_list()
    await stage.wait(2 * AN_HOUR)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING


async def test_another_gateways_list_proves_nothing(stage: ClaimsStage) -> None:
    """The money should have come through the claim's own."""
    claim = await stage.paste()
    await stage.wait(AN_HOUR)
    await stage.sweep.round(Receiver(TENANT, "till"), stage.gateway, NOMINATED, BASE)
    await stage.wait(AN_HOUR)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING


async def test_what_the_late_list_tells_is_the_claimants(stage: ClaimsStage) -> None:
    """Found by the very reading that would have refused it."""
    claim = await stage.paste()
    await stage.wait(QUARTER)
    stage.gateway.records = [money_record(receipt=TODAY, payer=Payer(), paid_at=START)]
    await stage.read_list()
    assert stage.claim(claim.claim_id).state is ClaimState.GRANTED


async def test_without_a_list_it_is_looked_for_for_two_days(stage: ClaimsStage) -> None:
    """Somebody else may tell of it; after that nobody will."""
    stage.unlisted()
    claim = await stage.paste()
    await stage.wait(48 * AN_HOUR - 1)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING
    await stage.wait(1)
    refused = stage.claim(claim.claim_id)
    assert (refused.state, refused.reason) == (ClaimState.REFUSED, Refusal.NOT_FOUND_IN_TIME)
    assert refused.looks < 60


async def test_without_its_gateway_a_claim_ends_too(stage: ClaimsStage) -> None:
    """The gateway may be taken out of the files meanwhile."""
    claim = await stage.paste()
    stage.known = None
    await stage.wait(48 * AN_HOUR)
    assert stage.claim(claim.claim_id).reason is Refusal.NOT_FOUND_IN_TIME


async def test_a_refused_claim_can_be_made_again(stage: ClaimsStage) -> None:
    """Money told after all is nobody's, until somebody claims it."""
    claim = await stage.paste()
    await stage.wait(QUARTER)
    await stage.read_list()
    await stage.wait(5 * MINUTE)
    await stage.comes_in()
    assert stage.payment().disposition is Disposition.UNMATCHED
    again = await stage.paste()
    assert (again.state, again.claim_id != claim.claim_id) == (ClaimState.GRANTED, True)


@pytest.mark.parametrize(("receipt", "reason"), [("UKI41A7C9D", None), ("UKH41A7C9D", Refusal.TOO_OLD)])
async def test_a_receipt_older_than_any_list_is_refused_at_once(
    stage: ClaimsStage, receipt: str, reason: Refusal | None
) -> None:
    """By its letters, a day's doubt being the customer's: staff can look. Three days back may be two, four may not."""
    assert (await stage.paste(receipt)).reason is reason


async def test_an_old_receipt_that_is_known_counts(stage: ClaimsStage) -> None:
    """The books go further back than the list."""
    await stage.comes_in("UAH41A7C9D")
    assert (await stage.paste("UAH41A7C9D")).state is ClaimState.GRANTED


async def test_without_a_list_no_receipt_is_too_old(stage: ClaimsStage) -> None:
    """Whoever tells of it may know it still."""
    stage.unlisted()
    assert (await stage.paste("UAH41A7C9D")).state is ClaimState.VERIFYING


async def test_letters_that_say_no_day_are_no_reason(stage: ClaimsStage) -> None:
    """Nor a day to come: clocks are wrong at times."""
    assert (await stage.paste("ZZ941A7C9D")).state is ClaimState.VERIFYING
    assert (await stage.paste("ULA41A7C9D")).state is ClaimState.VERIFYING


# --- a payment proven by a query, which tells no receipt


async def test_a_proven_payments_receipt_is_given_back(stage: ClaimsStage) -> None:
    """Without a list nobody tells whose receipt it is: most likely that of the device's own payment."""
    stage.unlisted()
    await stage.prompt()
    await stage.say(query_paid())
    claim = await stage.paste()
    assert claim.state is ClaimState.VERIFYING
    await stage.wait(20)
    given = stage.claim(claim.claim_id)
    assert given.state is ClaimState.GIVEN_BACK
    assert stage.grant(given.grant_id).purchase_id == PURCHASE_ID
    assert stage.books.count("grants") == 1


async def test_the_receipt_is_attached_when_it_is_told_after_all(stage: ClaimsStage) -> None:
    """The payment learns it; nothing more is granted or booked."""
    await test_a_proven_payments_receipt_is_given_back(stage)
    await stage.comes_in(payer=Payer(phone=PAYER))
    assert stage.payment().purchase_id == PURCHASE_ID
    assert stage.books.count("grants") == stage.books.count("payments") == 1


async def test_with_a_list_the_list_tells(stage: ClaimsStage) -> None:
    """The receipt is attached to the proven payment, and the claimant gets what that bought."""
    await stage.prompt()
    await stage.say(query_paid())
    claim = await stage.paste()
    await stage.wait(MINUTE)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING
    stage.gateway.records = [money_record(receipt=TODAY, payer=Payer(phone=PAYER), paid_at=START)]
    await stage.read_list()
    assert stage.claim(claim.claim_id).state is ClaimState.GIVEN_BACK
    assert stage.payment().purchase_id == PURCHASE_ID
    assert stage.books.count("grants") == stage.books.count("payments") == 1


async def test_a_list_that_never_tells_takes_nothing_away(stage: ClaimsStage) -> None:
    """What the device has proven it keeps."""
    await stage.prompt()
    await stage.say(query_paid())
    claim = await stage.paste()
    await stage.wait(QUARTER)
    await stage.read_list()
    await stage.wait(5 * MINUTE)
    assert stage.claim(claim.claim_id).state is ClaimState.GIVEN_BACK
    assert stage.books.count("grants") == 1


async def test_the_callback_that_comes_late_decides(stage: ClaimsStage) -> None:
    """It tells the receipt of a payment that was proven before."""
    await stage.prompt()
    await stage.say(query_paid())
    claim = await stage.paste()
    await stage.say(callback_paid(receipt=TODAY))
    assert stage.claim(claim.claim_id).state is ClaimState.GIVEN_BACK
    assert stage.books.count("payments") == 1


async def test_naming_somebodys_number_moves_nothing(stage: ClaimsStage) -> None:
    """With an invented receipt and another's number nobody gets what that number paid for."""
    stage.unlisted()
    await stage.prompt()
    await stage.say(query_paid())
    claim = await stage.paste(mac=OTHER_MAC, phone=PAYER)
    await stage.wait(48 * AN_HOUR)
    assert stage.claim(claim.claim_id).reason is Refusal.NOT_FOUND_IN_TIME
    [usable] = stage.books.store.read.grants.usable(TENANT)
    assert usable.mac == MAC


async def test_a_receipt_of_another_day_is_not_the_proven_payments(stage: ClaimsStage) -> None:
    """What was bought the day before yesterday is not today's answer."""
    stage.unlisted()
    stage.pass_by(1)
    await stage.prompt()
    await stage.say(query_paid())
    stage.pass_by(47 * AN_HOUR)
    claim = await stage.paste("UKN41A7C9D")
    await stage.wait(AN_HOUR)
    assert stage.claim(claim.claim_id).state is ClaimState.VERIFYING
