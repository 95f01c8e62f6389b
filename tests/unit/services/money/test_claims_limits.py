"""How many receipts are taken at most, and that inventing them by the thousand leads to nothing."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.claims import Claim, ClaimState
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.claims import ClaimRules
from easyisp_edge.services.money.sweep import PAUSE_SECONDS
from tests.fakes.gateway import PAYER
from tests.unit.claims_stage import AN_HOUR, MINUTE, TODAY, TODAY_TOO, ClaimsStage, device, open_claims_stage
from tests.unit.shop import GATEWAY, MAC, OTHER_MAC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECOND = timedelta(seconds=1)


def invented(number: int) -> str:
    """A well-formed receipt of today, as anybody can make one up."""
    return f"UKL{number:07}"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with nothing in them; the limits as they are without configuration."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


async def test_a_device_has_six_receipts_an_hour(stage: ClaimsStage) -> None:
    """The next one waits until the oldest of them is an hour ago, and the page says for how long."""
    for number in range(6):
        await stage.paste(invented(number))
        stage.pass_by(MINUTE)
    with pytest.raises(ConflictError) as caught:
        await stage.paste(invented(6))
    assert (caught.value.code, caught.value.values) == ("claim.limit", {"minutes": 54})
    stage.pass_by(54 * MINUTE + 1)
    await stage.paste(invented(6))
    with pytest.raises(ConflictError):
        await stage.paste(invented(7))
    assert stage.books.count("claims") == 7


async def test_what_is_known_counts_too(stage: ClaimsStage) -> None:
    """Trying receipts until one fits is limited, whatever comes of each."""
    for number in range(6):
        await stage.comes_in(invented(number))
        await stage.paste(invented(number))
    with pytest.raises(ConflictError):
        await stage.paste(TODAY)


async def test_the_same_again_does_not_count(stage: ClaimsStage) -> None:
    """A page that asks again uses up nothing."""
    for _ in range(10):
        await stage.paste()
    await stage.paste(TODAY_TOO)


async def test_one_device_takes_nothing_from_another(stage: ClaimsStage) -> None:
    """Its neighbours still have theirs."""
    for number in range(6):
        await stage.paste(invented(number))
    assert (await stage.paste(mac=OTHER_MAC)).state is ClaimState.VERIFYING


async def test_a_site_has_so_many_an_hour(stage: ClaimsStage) -> None:
    """Devices are invented as easily as receipts; who has none but a number counts as well."""
    stage.rules = ClaimRules(per_site_hour=3)
    await stage.paste(invented(1), mac=device(1))
    await stage.paste(invented(2), mac=device(2))
    await stage.paste(invented(3), mac=None, phone=PAYER)
    with pytest.raises(ConflictError) as caught:
        await stage.paste(invented(4), mac=device(4))
    assert caught.value.values == {"minutes": 60}
    stage.pass_by(AN_HOUR + 1)
    await stage.paste(invented(4), mac=device(4))


async def test_a_lower_limit_counts_what_was_made_before(stage: ClaimsStage) -> None:
    """With two allowed and four made, the second-newest has to be an hour ago."""
    for number in range(4):
        await stage.paste(invented(number))
        stage.pass_by(10 * MINUTE)
    stage.rules = ClaimRules(per_device_hour=2)
    with pytest.raises(ConflictError) as caught:
        await stage.paste()
    assert caught.value.values == {"minutes": 40}
    stage.pass_by(40 * MINUTE - 1)
    with pytest.raises(ConflictError):
        await stage.paste()
    stage.pass_by(2)
    await stage.paste()


@pytest.mark.parametrize("rules", [ClaimRules(per_device_hour=2), ClaimRules(per_site_hour=2)])
async def test_a_restart_forgets_nothing(tmp_path: Path, rules: ClaimRules) -> None:
    """What was tried before the power cut was tried."""
    async with open_claims_stage(tmp_path) as stage:
        await stage.paste(invented(1))
        await stage.paste(invented(2))
    async with open_claims_stage(tmp_path) as stage:
        stage.pass_by(MINUTE)
        stage.rules = rules
        with pytest.raises(ConflictError):
            await stage.paste(invented(3))


async def test_inventing_receipts_leads_to_nothing(stage: ClaimsStage) -> None:
    """Ten thousand in five hours, from as many devices: nothing granted, little kept, M-Pesa asked no more for it.

    The list is read whenever a claim asks for that and the time between two readings is over.
    """
    hours, each_time, chance = 5, 200, random.Random(1)
    begun = stage.books.now()
    made: list[Claim | BaseException] = []
    await stage.prompt(query_at=None)  # somebody's push, about which none of this makes us ask
    for lot in range(50):
        receipts = ["UKL" + "".join(chance.choices(LETTERS, k=7)) for _ in range(each_time)]
        pastes = [stage.paste(receipt, mac=device(lot * each_time + at)) for at, receipt in enumerate(receipts)]
        made += await asyncio.gather(*pastes, return_exceptions=True)
        while stage.books.now() < begun + (lot + 1) * hours * AN_HOUR / 50 * SECOND:
            while await stage.claims.round() == 0.0:
                pass
            if stage.looks:
                stage.looks.clear()
                await stage.read_list()
            stage.pass_by(5)
    refusals = {getattr(each, "code", "taken") for each in made}
    assert (len(made), refusals) == (10_000, {"taken", "claim.limit"})
    assert stage.books.count("claims") <= (hours + 1) * ClaimRules().per_site_hour
    assert stage.books.count("evidence") == stage.books.count("claims")
    assert stage.books.count("grants") == stage.books.count("payments") == 0
    assert len(stage.gateway.pulls) <= hours * AN_HOUR / PAUSE_SECONDS
    assert stage.gateway.queries == []
    assert stage.books.store.read.purchases.next_query_at(GATEWAY) is None
    assert stage.books.store.read.grants.usable_of_device("default", MAC) == []
