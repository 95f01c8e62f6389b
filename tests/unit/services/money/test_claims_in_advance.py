"""Access in advance, on a receipt that nobody can be asked about: seldom, short, never money, taken off later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.claims import Claim, ClaimState, Refusal
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import Money
from easyisp_edge.services.money.claims import PROVISIONAL_OPEN_MAX, PROVISIONAL_PER_DAY_MAX, ClaimGateway, ClaimRules
from tests.fakes.gateway import PAYER
from tests.unit.claims_stage import AN_HOUR, MINUTE, TODAY, TODAY_TOO, ClaimsStage, device, open_claims_stage
from tests.unit.shop import GATEWAY, MAC, OTHER_MAC, OTHER_PHONE, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUARTER = timedelta(minutes=15)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """The owner gives a quarter of an hour, and M-Pesa cannot be asked."""
    async with open_claims_stage(tmp_path) as stage:
        stage.rules = ClaimRules(provisional=QUARTER)
        stage.cut_off()
        yield stage


async def recover(stage: ClaimsStage) -> None:
    """M-Pesa can be asked again, and its list is read."""
    stage.known = ClaimGateway(GATEWAY, listed=True, cut_off=False)
    await stage.read_list()


def with_access(claims: list[Claim]) -> int:
    return len([claim for claim in claims if claim.provisional_grant_id is not None])


async def test_it_lets_the_device_on_for_a_quarter_of_an_hour(stage: ClaimsStage) -> None:
    """The routers are told; the claim goes on being looked at."""
    claim = await stage.paste()
    grant = stage.grant(claim.provisional_grant_id)
    assert (claim.state, claim.grant_id) == (ClaimState.VERIFYING, None)
    assert (grant.funding, grant.mac, grant.seconds_left) == (Funding.PROVISIONAL, MAC, 900)
    assert (grant.payment_id, grant.purchase_id) == (None, None)
    assert stage.granted == [TENANT]
    assert claim.look_at is not None


async def test_it_is_never_more_than_the_package(stage: ClaimsStage) -> None:
    """An hour's package gives an hour in advance, however generous the owner is."""
    stage.rules = ClaimRules(provisional=timedelta(hours=3))
    claim = await stage.paste()
    assert stage.grant(claim.provisional_grant_id).seconds_left == 3600


async def test_it_is_never_money(stage: ClaimsStage) -> None:
    """Nothing came in, nothing is sold, nobody has spent or has credit."""
    claim = await stage.paste()
    assert stage.books.count("entries") == stage.books.count("payments") == 0
    assert set(stage.books.store.read.ledger.balances().values()) == {0}
    assert stage.wallets.credit_of(stage.grant(claim.provisional_grant_id).customer_id) == Money(0)


async def test_it_is_off_unless_the_owner_wants_it(stage: ClaimsStage) -> None:
    """By the rules as they are without configuration."""
    stage.rules = ClaimRules()
    assert with_access([await stage.paste()]) == 0
    assert stage.books.count("grants") == 0


@pytest.mark.parametrize("listed", [True, False])
async def test_it_is_for_when_nobody_can_be_asked(stage: ClaimsStage, *, listed: bool) -> None:
    """While M-Pesa answers, or has never been asked, the claim just waits."""
    stage.known = ClaimGateway(GATEWAY, listed=listed, cut_off=False)
    assert with_access([await stage.paste()]) == 0


@pytest.mark.parametrize("receipt", ["UKK41A7C9D", "UKM41A7C9D", "ZZ941A7C9D"])
async def test_it_is_for_todays_receipt(stage: ClaimsStage, receipt: str) -> None:
    """Not for yesterday's, tomorrow's or one whose letters say no day."""
    claim = await stage.paste(receipt)
    assert (claim.state, with_access([claim])) == (ClaimState.VERIFYING, 0)


@pytest.mark.parametrize(
    ("receipt", "given"), [("UKK41A7C9D", 0), ("UKL41A7C9D", 1), ("UKM41A7C9D", 1), ("UKN41A7C9D", 0)]
)
async def test_in_the_small_hours_it_is_still_the_day_before(stage: ClaimsStage, receipt: str, given: int) -> None:
    """Nobody knows which midnight turns the letters, Nairobi's or three hours later that of UTC."""
    small_hours = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
    stage.pass_by((small_hours - stage.books.now()).total_seconds())
    assert with_access([await stage.paste(receipt)]) == given


async def test_a_device_gets_it_once_a_day(stage: ClaimsStage) -> None:
    """A second invented receipt gets nothing, whoever is said to have paid it."""
    first = await stage.paste()
    stage.pass_by(23 * AN_HOUR)
    again = [await stage.paste("UKM41A7C9D"), await stage.paste("UKM41A7C9E", phone=OTHER_PHONE)]
    assert (with_access([first]), with_access(again)) == (1, 0)
    stage.pass_by(AN_HOUR + 1)
    assert with_access([await stage.paste("UKM41A7C9F")]) == 1


async def test_a_number_gets_it_once_a_day(stage: ClaimsStage) -> None:
    """From whatever device."""
    first = await stage.paste(phone=PAYER)
    second = await stage.paste(TODAY_TOO, mac=OTHER_MAC, phone=PAYER)
    assert (with_access([first]), with_access([second])) == (1, 0)


async def test_at_most_five_have_it_at_once(stage: ClaimsStage) -> None:
    """Who is decided makes room."""
    claims = [await stage.paste(f"UKL00000A{at}", mac=device(at)) for at in range(PROVISIONAL_OPEN_MAX + 2)]
    assert with_access(claims) == PROVISIONAL_OPEN_MAX
    assert with_access(claims[-2:]) == 0
    await stage.comes_in("UKL00000A0")
    assert with_access([await stage.paste(mac=MAC)]) == 1
    assert with_access([await stage.paste(TODAY_TOO, mac=OTHER_MAC)]) == 0


async def test_at_most_twenty_get_it_a_day(stage: ClaimsStage) -> None:
    """Also when all of them paid."""
    claims = []
    for at in range(PROVISIONAL_PER_DAY_MAX + 1):
        claims.append(await stage.paste(f"UKL00000{at:02}", mac=device(at)))
        await stage.comes_in(f"UKL00000{at:02}")
    assert with_access(claims) == PROVISIONAL_PER_DAY_MAX
    assert claims[-1].provisional_grant_id is None
    stage.pass_by(24 * AN_HOUR + 1)
    assert with_access([await stage.paste("UKM41A7C9D")]) == 1


async def test_what_was_used_is_taken_off_what_the_money_buys(stage: ClaimsStage) -> None:
    """Nobody gets a quarter of an hour for nothing by being fast."""
    claim = await stage.paste()
    await stage.use(stage.grant(claim.provisional_grant_id).grant_id)
    stage.pass_by(10 * MINUTE)
    await stage.comes_in()
    verified = stage.claim(claim.claim_id)
    assert verified.state is ClaimState.GRANTED
    assert stage.grant(verified.grant_id).seconds_left == 3600 - 600
    assert stage.grant(verified.provisional_grant_id).state is GrantState.ENDED


async def test_no_more_than_was_given_is_taken_off(stage: ClaimsStage) -> None:
    """After its end the device was off."""
    claim = await stage.paste()
    await stage.use(stage.grant(claim.provisional_grant_id).grant_id)
    stage.pass_by(AN_HOUR)
    await stage.comes_in()
    assert stage.grant(stage.claim(claim.claim_id).grant_id).seconds_left == 3600 - 900


async def test_what_was_never_used_is_not_taken_off(stage: ClaimsStage) -> None:
    """The device was not let on meanwhile."""
    claim = await stage.paste()
    stage.pass_by(10 * MINUTE)
    await stage.comes_in()
    verified = stage.claim(claim.claim_id)
    assert stage.grant(verified.grant_id).seconds_left == 3600
    assert stage.grant(verified.provisional_grant_id).state is GrantState.ENDED


async def test_it_ends_when_the_receipt_is_refused(stage: ClaimsStage) -> None:
    """M-Pesa is back, and nobody paid: the routers are told to put the device off."""
    claim = await stage.paste()
    await stage.use(stage.grant(claim.provisional_grant_id).grant_id)
    stage.pass_by(QUARTER.total_seconds() - 1)
    stage.granted.clear()
    stage.pass_by(1)
    await recover(stage)
    await stage.wait(5 * MINUTE)
    refused = stage.claim(claim.claim_id)
    assert refused.reason is Refusal.UNKNOWN_RECEIPT
    assert stage.grant(refused.provisional_grant_id).state is GrantState.ENDED
    assert stage.granted == [TENANT]
    assert stage.books.store.read.ledger.balances()[AccountKind.SOLD] == 0


async def test_it_ends_when_the_receipt_is_somebody_elses(stage: ClaimsStage) -> None:
    """Told later, and paid by another for another."""
    first = await stage.paste(mac=OTHER_MAC)
    stage.pass_by(1)
    second = await stage.paste()
    assert with_access([first, second]) == 2
    await stage.comes_in()
    refused = stage.claim(second.claim_id)
    assert refused.reason is Refusal.USED
    assert stage.grant(refused.provisional_grant_id).state is GrantState.ENDED


async def test_naming_a_number_opens_no_wallet(stage: ClaimsStage) -> None:
    """The device that names another's number, and is let on for that, has not become that customer's."""
    await stage.comes_in(TODAY_TOO, Money(7000), payer=Payer(phone=PAYER))
    assert (await stage.paste(TODAY_TOO, package_id=None)).state is ClaimState.CREDITED
    assert stage.wallets.credit_of_device(TENANT, MAC) is not None
    claim = await stage.paste(TODAY, mac=OTHER_MAC, phone=PAYER)
    assert with_access([claim]) == 1
    assert stage.wallets.credit_of_device(TENANT, OTHER_MAC) is None
    assert stage.wallets.credit_of_device(TENANT, MAC) is not None
