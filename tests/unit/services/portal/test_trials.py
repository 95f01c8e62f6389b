"""Free trials: once per device and day of Nairobi's, where the owner allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import end
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, TENANT
from tests.unit.vouchers_stage import PACKAGES, TENANTS, PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant

HOUR = 3600


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[PaperShop]:
    async with open_paper_shop(tmp_path) as shop:
        yield shop


async def finish(shop: PaperShop, grant: Grant) -> None:
    await shop.office.books.store.write(lambda tx: end(tx, grant, "time", shop.office.books.now()))


async def test_a_device_tries_for_free(shop: PaperShop) -> None:
    """As long and as fast as the package says; no money moves, routers are told, and the day is noted."""
    offered = shop.trials.offer(TENANT, MAC, ROUTER)
    assert offered is not None
    grant = await shop.trials.start(TENANT, MAC, ROUTER)
    assert (grant.funding, grant.mac, grant.seconds_left) == (Funding.TRIAL, MAC, 600)
    assert shop.office.tables.packages.by_id(grant.package_version_id).package == offered
    assert shop.office.granted == [TENANT]
    assert shop.office.books.count("entries") == 0
    assert shop.office.tables.events.told(grant.grant_id, "trial.given") == {"mac": MAC.text, "router": ROUTER}


async def test_the_same_while_it_lasts_and_no_other(shop: PaperShop) -> None:
    """A second tap gives the same one; once it is over there is none today."""
    grant = await shop.trials.start(TENANT, MAC, ROUTER)
    assert shop.trials.offer(TENANT, MAC, ROUTER) is None
    assert await shop.trials.start(TENANT, MAC, ROUTER) == grant
    await finish(shop, grant)
    assert shop.trials.offer(TENANT, MAC, ROUTER) is None
    with pytest.raises(ConflictError) as refused:
        await shop.trials.start(TENANT, MAC, ROUTER)
    assert refused.value.code == "trial.used"
    assert shop.office.books.count("grants") == 1


async def test_other_devices_have_their_own(shop: PaperShop) -> None:
    """Each one."""
    await shop.trials.start(TENANT, MAC, ROUTER)
    assert (await shop.trials.start(TENANT, OTHER_MAC, ROUTER)).mac == OTHER_MAC


async def test_a_day_begins_at_midnight_in_nairobi(shop: PaperShop) -> None:
    """Not by the machine's day, nor after so many hours: it is nine in the morning there."""
    await finish(shop, await shop.trials.start(TENANT, MAC, ROUTER))
    shop.office.books.time.advance(15 * HOUR - 1)
    assert shop.trials.offer(TENANT, MAC, ROUTER) is None
    shop.office.books.time.advance(1)
    assert shop.trials.offer(TENANT, MAC, ROUTER) is not None
    again = await shop.trials.start(TENANT, MAC, ROUTER)
    assert again.state is GrantState.WAITING


async def test_who_has_something_needs_none(shop: PaperShop) -> None:
    """It is not offered, and would begin behind what was paid; once that is over the day's trial is still there."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    assert shop.trials.offer(TENANT, MAC, ROUTER) is None
    with pytest.raises(ConflictError) as refused:
        await shop.trials.start(TENANT, MAC, ROUTER)
    assert refused.value.code == "trial.not_needed"
    await finish(shop, grant)
    assert (await shop.trials.start(TENANT, MAC, ROUTER)).funding is Funding.TRIAL


async def test_nothing_is_free_unless_the_owner_says_so(tmp_path: Path) -> None:
    """Without `trial` in tenants.toml there is none; nor for a page that knows no device."""
    async with open_paper_shop(tmp_path, {"tenants.toml": TENANTS.replace('trial = "trial"\n', "")}) as shop:
        assert shop.trials.offer(TENANT, MAC, ROUTER) is None
        with pytest.raises(NotFoundError) as refused:
            await shop.trials.start(TENANT, MAC, ROUTER)
        assert refused.value.code == "trial.closed"


async def test_only_where_the_package_is_valid(tmp_path: Path) -> None:
    """Behind its routers; where the router is not known, too."""
    packages = PACKAGES.replace("active = false\n", 'active = false\nrouters = ["second"]\n')
    async with open_paper_shop(tmp_path, {"packages.toml": packages}) as shop:
        assert shop.trials.offer(TENANT, MAC, ROUTER) is None
        assert shop.trials.offer(TENANT, MAC, None) is not None
        assert shop.trials.offer(TENANT, None, "second") is None
        with pytest.raises(NotFoundError):
            await shop.trials.start(TENANT, MAC, ROUTER)
        assert (await shop.trials.start(TENANT, MAC, "second")).mac == MAC
