"""A customer walks about: between two hotspots of one site, and from one device to the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.services.access import grant_life
from easyisp_edge.services.routers.sessions import SILENT_SECONDS
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT
from tests.whole.router_site import RouterSite

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.store.store import Tables

DAY = replace(HOUR, package_id="1d", duration=timedelta(days=1))
THIRD_MAC = "AA:BB:CC:00:00:03"


async def test_a_device_walks_over_and_back(tmp_path: Path) -> None:
    """Let on by itself at the second router, once each way; what it left behind at the first is ended."""
    async with RouterSite(tmp_path, names=("yard", "hall")) as site:
        yard, hall = site.labs["yard"], site.labs["hall"]
        yard.connect_device(MAC.text, "10.5.50.11")
        await site.sell(DAY)
        await site.until(lambda: yard.is_online(MAC.text), "on in the yard")
        await site.until(lambda: site.presence.is_online("USER000001"), "known to be on")
        for left, entered in ((yard, hall), (hall, yard)):
            site.time.move(60)
            left.disconnect_device(MAC.text)
            entered.connect_device(MAC.text, "10.5.60.11")
            await site.until(lambda there=entered: there.is_online(MAC.text), "on where it went")  # type: ignore[misc]
            site.time.move(SILENT_SECONDS + 1)
            await site.until(lambda gone=left: not gone.active, "the ghost ended")  # type: ignore[misc]
            site.time.move(1)
            await site.until(lambda there=entered: len(there.active) == 1, "still on")  # type: ignore[misc]
            assert not left.active
        assert site.presence.is_online("USER000001")
        assert await site.store.survey(lambda tables: tables.grants.by_id("grant-1")) is not None


async def test_a_device_that_only_sleeps_is_not_put_off(tmp_path: Path) -> None:
    """Silent for long, but on nowhere else: no ghost."""
    async with RouterSite(tmp_path, names=("yard", "hall")) as site:
        yard = site.labs["yard"]
        yard.connect_device(MAC.text, "10.5.50.11")
        await site.sell(DAY)
        await site.until(lambda: yard.is_online(MAC.text), "on")
        session = yard.active[0].session_id
        site.time.move(SILENT_SECONDS * 3)
        seen = len(yard.commands_seen)
        await site.until(lambda: len(yard.commands_seen) > seen + 12, "some rounds")
        assert [active.session_id for active in yard.active] == [session]


async def test_a_phone_with_a_new_address_takes_its_grant_along(tmp_path: Path) -> None:
    """Moved to the new random address by its buyer: on there, off under the old one, the time goes on."""
    async with RouterSite(tmp_path) as site:
        lab = site.router
        lab.connect_device(MAC.text, "10.5.50.11")
        grant = await site.sell()
        await site.until(lambda: lab.is_online(MAC.text), "on")
        lab.connect_device(OTHER_MAC.text, "10.5.50.12")

        def move(tx: Tables) -> None:
            held = tx.grants.by_id(grant.grant_id)
            assert held is not None
            grant_life.move(tx, held, OTHER_MAC, by="receipt")

        await site.store.write(move)
        site.access.tell_routers(TENANT)
        await site.until(lambda: lab.is_online(OTHER_MAC.text), "on under the new address")
        assert not lab.is_online(MAC.text)
        (user,) = [user for user in lab.users if user["name"] == grant.username]
        assert user["mac-address"] == OTHER_MAC.text


async def test_two_devices_of_a_package_for_two(tmp_path: Path) -> None:
    """Both are on; the third is told by the router why it is not."""
    async with RouterSite(tmp_path) as site:
        lab = site.router
        for number, mac in enumerate((MAC.text, OTHER_MAC.text, THIRD_MAC)):
            lab.connect_device(mac, f"10.5.50.{11 + number}")
        grant = await site.sell(replace(DAY, devices_max=2))
        await site.until(lambda: lab.is_online(MAC.text), "the buyer's device on")
        await lab.log_in(OTHER_MAC.text, grant.username, grant.password)
        with pytest.raises(TrapError, match="no more sessions are allowed"):
            await lab.log_in(THIRD_MAC, grant.username, grant.password)
        site.time.move(60)
        await site.until(lambda: site.store.read.grants.by_id("grant-1").seconds_used >= 120, "both counted")  # type: ignore[union-attr]
        assert {active.mac for active in lab.active} == {MAC.text, OTHER_MAC.text}
