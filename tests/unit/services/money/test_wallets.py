"""Credit in a wallet: it buys in full or not at all, once, for the device its owner last paid from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import Funding, Grant
from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import MacAddress, Money
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.money.wallets import Credit
from tests.fakes.gateway import PAYER
from tests.unit.claims_stage import DAY, MINUTE, TODAY, TODAY_TOO, ClaimsStage, open_claims_stage
from tests.unit.shop import HOUR, MAC, OTHER_MAC, OTHER_PHONE, ROUTER, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.values import Msisdn

KEY, OTHER_KEY = "5" * 32, "6" * 32


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with an hour at ten shillings and a day at fifty on sale."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


async def give_credit(
    stage: ClaimsStage, cents: int, *, receipt: str = TODAY, phone: Msisdn = PAYER, mac: MacAddress = MAC
) -> str:
    """Have a device claim money that no package costs; gives the customer's id."""
    await stage.comes_in(receipt, Money(cents), payer=Payer(phone=phone))
    claim = await stage.paste(receipt, mac=mac, package_id=None)
    assert claim.customer_id is not None
    stage.granted.clear()
    return claim.customer_id


async def buy(stage: ClaimsStage, package_id: str = HOUR.package_id, *, mac: MacAddress = MAC, key: str = KEY) -> Grant:
    return await stage.wallets.buy(TENANT, package_id, mac, ROUTER, key)


async def test_credit_buys_a_package_in_full(stage: ClaimsStage) -> None:
    """The price goes from the wallet to what is sold, the rest stays, and the routers are told."""
    customer_id = await give_credit(stage, 1700)
    grant = await buy(stage)
    assert (grant.grant_id, grant.funding, grant.mac, grant.seconds_left) == (KEY, Funding.WALLET, MAC, 3600)
    assert (grant.customer_id, grant.payment_id) == (customer_id, None)
    assert stage.wallets.credit_of(customer_id) == Money(700)
    assert stage.books.store.read.ledger.balances()[AccountKind.SOLD] == 1000
    assert stage.granted == [TENANT]


async def test_the_last_cent_can_be_spent(stage: ClaimsStage) -> None:
    """A wallet that holds just the price ends at nought, and then there is none."""
    await give_credit(stage, 2000)
    await buy(stage)
    await buy(stage, key=OTHER_KEY)
    assert stage.wallets.credit_of_device(TENANT, MAC) is None


async def test_credit_never_buys_in_part(stage: ClaimsStage) -> None:
    """What does not cover the price buys nothing, and is not touched."""
    customer_id = await give_credit(stage, 4999)
    with pytest.raises(RefusedError) as caught:
        await buy(stage, DAY.package_id)
    assert caught.value.code == "wallet.short"
    assert stage.wallets.credit_of(customer_id) == Money(4999)
    assert stage.books.count("grants") == 0


async def test_a_device_nobody_paid_from_has_no_credit(stage: ClaimsStage) -> None:
    """There is nothing to spend."""
    assert stage.wallets.credit_of_device(TENANT, MAC) is None
    with pytest.raises(RefusedError) as caught:
        await buy(stage)
    assert caught.value.code == "wallet.short"


async def test_a_wallet_is_one_tenants(stage: ClaimsStage) -> None:
    """What was paid to one buys nothing of another."""
    await give_credit(stage, 1700)
    assert stage.wallets.credit_of_device("elsewhere", MAC) is None


async def test_the_fullest_wallet_is_spent(stage: ClaimsStage) -> None:
    """Where several have paid from one device."""
    await give_credit(stage, 700)
    fullest = await give_credit(stage, 1700, receipt=TODAY_TOO, phone=OTHER_PHONE)
    assert stage.wallets.credit_of_device(TENANT, MAC) == Credit(fullest, Money(1700))
    assert (await buy(stage)).customer_id == fullest


async def test_only_the_device_last_paid_from_may_spend(stage: ClaimsStage) -> None:
    """The customer has gone on to another one."""
    await give_credit(stage, 700)
    await give_credit(stage, 1700, receipt=TODAY_TOO, mac=OTHER_MAC)
    with pytest.raises(RefusedError):
        await buy(stage)
    grant = await buy(stage, mac=OTHER_MAC)
    assert stage.wallets.credit_of(grant.customer_id) == Money(1400)


# --- the same again


async def test_the_same_key_buys_once(stage: ClaimsStage) -> None:
    """A page that heard no answer asks again, and gets what it bought then."""
    customer_id = await give_credit(stage, 2500)
    first = await buy(stage)
    stage.pass_by(MINUTE)
    assert await buy(stage) == first
    assert stage.wallets.credit_of(customer_id) == Money(1500)


async def test_the_same_key_answers_also_when_the_wallet_is_empty(stage: ClaimsStage) -> None:
    """It was this purchase that emptied it."""
    customer_id = await give_credit(stage, 500)
    await give_credit(stage, 500, receipt=TODAY_TOO)
    first = await buy(stage)
    assert stage.wallets.credit_of(customer_id) == Money(0)
    assert await buy(stage) == first


async def test_twice_at_once_buys_once(stage: ClaimsStage) -> None:
    """A tap that was sent twice."""
    customer_id = await give_credit(stage, 6000)
    grants = await asyncio.gather(*(buy(stage) for _ in range(5)))
    assert {grant.grant_id for grant in grants} == {KEY}
    assert stage.wallets.credit_of(customer_id) == Money(5000)


async def test_a_key_for_something_else_is_refused(stage: ClaimsStage) -> None:
    """Nothing is bought, and nobody takes it for bought."""
    customer_id = await give_credit(stage, 9000)
    await buy(stage)
    with pytest.raises(ConflictError) as caught:
        await buy(stage, DAY.package_id)
    assert caught.value.code == "purchase.changed"
    assert stage.wallets.credit_of(customer_id) == Money(8000)


@pytest.mark.parametrize("paid_from", [MAC, OTHER_MAC])
async def test_a_grants_id_opens_nobodys_grant(stage: ClaimsStage, paid_from: MacAddress) -> None:
    """It is no secret: named as a key it gives away neither another's purchase nor what money bought."""
    await stage.comes_in()
    bought = await stage.paste(mac=paid_from)
    await give_credit(stage, 1700, receipt=TODAY_TOO)
    with pytest.raises(ConflictError):
        await buy(stage, key=bought.grant_id or "")
    mine = await buy(stage)
    with pytest.raises(ConflictError):
        await buy(stage, mac=OTHER_MAC, key=mine.grant_id)


# --- racing


async def test_two_that_race_for_one_credit_get_it_once(stage: ClaimsStage) -> None:
    """Never below nought: the second is refused."""
    customer_id = await give_credit(stage, 1700)
    keys = [f"{number:032x}" for number in range(10)]
    outcomes = await asyncio.gather(*(buy(stage, key=key) for key in keys), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Grant) == 1
    assert [getattr(outcome, "code", "") for outcome in outcomes].count("wallet.short") == 9
    assert stage.wallets.credit_of(customer_id) == Money(700)


async def test_two_devices_that_race_for_one_credit_get_it_once(stage: ClaimsStage) -> None:
    """One has paid while the other was about to spend: it has gone over to the first, or was spent before."""
    await give_credit(stage, 1700)
    await stage.comes_in(TODAY_TOO, payer=Payer(phone=PAYER))
    tries = [buy(stage), stage.paste(TODAY_TOO, mac=OTHER_MAC), buy(stage, key=OTHER_KEY), buy(stage, mac=OTHER_MAC)]
    await asyncio.gather(*tries, return_exceptions=True)
    balances = stage.books.store.read.ledger.balances()
    assert (balances[AccountKind.WALLET], balances[AccountKind.SOLD]) == (700, 2000)


# --- what is taken at all


@pytest.mark.parametrize("key", ["", "1", "Z" * 32, "5" * 31])
async def test_a_malformed_key_is_refused(stage: ClaimsStage, key: str) -> None:
    """A key that could be guessed is none."""
    await give_credit(stage, 1700)
    with pytest.raises(InvalidError) as caught:
        await buy(stage, key=key)
    assert caught.value.field == "key"


async def test_only_what_is_on_sale_is_sold(stage: ClaimsStage) -> None:
    """As for money."""
    await give_credit(stage, 1700)
    with pytest.raises(NotFoundError) as caught:
        await buy(stage, "1y")
    assert caught.value.code == "purchase.package_closed"
