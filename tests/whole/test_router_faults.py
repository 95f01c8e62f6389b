"""A router that is away, restarts or forgets everything is healed without anyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

MODES = pytest.mark.parametrize("mode", ["hotspot-user", "radius"])


@MODES
async def test_away_at_settlement_back_later(tmp_path: Path, mode: str) -> None:
    """Paid while the router is unreachable: on as soon as it is back, with all the time that was bought."""
    async with Stage(tmp_path, mode=mode) as stage:
        purchase_id = await stage.buy()
        await stage.router.unreachable()
        await stage.pay()
        status = await stage.until_status(purchase_id, "completed")
        assert (status["step"], status["secondsLeft"]) == ("connecting", 3600)
        stage.time.move(600)  # waiting for the router costs the customer nothing
        assert (await stage.status(purchase_id))["secondsLeft"] == 3600
        await stage.router.reachable()
        await stage.until_online(seconds=30)
        assert await stage.count("grants") == 1


@MODES
async def test_a_rebooted_router_has_its_devices_back(tmp_path: Path, mode: str) -> None:
    """Power goes at the router: its hosts and sessions are gone; devices are on again once it sees them."""
    async with Stage(tmp_path, mode=mode) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.router.reboot(down_seconds=0.5)
        assert not stage.router.is_online(MAC)
        await stage.router.until_up()
        await stage.until_online(seconds=30)
        assert await stage.count("grants") == 1


async def test_a_wiped_router_gets_its_active_grants_back_with_the_time_left(tmp_path: Path) -> None:
    """Users and profiles wiped: written anew with what is left, not with what was bought."""
    async with Stage(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.until_running()
        stage.time.move(1800)
        stage.wipe_router()
        assert not stage.router.is_online(MAC)
        await stage.until_online(seconds=10)
        (user,) = [user for user in stage.router.users if user.get("comment", "").startswith("edge:")]
        assert user["limit-uptime"] in {"30m", "29m59s", "29m58s", "29m57s"}
        assert stage.router.configuration.user_profiles.named(user["profile"]) is not None


async def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    """A user an administrator made, online, stays online through rounds, purchases and expiries."""
    async with Stage(tmp_path) as stage:
        stage.router.configuration.users.add({"name": "owner", "password": "letmein"})
        await stage.router.log_in(OTHER_MAC, "owner", "letmein")
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.until_running()
        stage.time.move(3600)
        stage.daemon.parts.access.ended.ring()
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the paid device off")
        assert stage.router.is_online(OTHER_MAC)
        left = [user["name"] for user in stage.router.users]
        assert left == ["default-trial", "owner"]


async def test_a_device_that_comes_back_later_is_let_on(tmp_path: Path) -> None:
    """Not seen by the router when it paid: on when the router hears it, and not charged for the time before."""
    mac = "AA:BB:CC:00:00:03"
    async with Stage(tmp_path) as stage:
        purchase_id = await stage.buy(macAddress=mac)
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        stage.time.move(3000)
        stage.router.connect_device(mac, "10.5.50.13")
        await stage.until_online(mac, seconds=15)
        assert (await stage.status(purchase_id))["secondsLeft"] > 3590


async def test_two_customers_at_once_each_get_their_own(tmp_path: Path) -> None:
    """Two phones, two devices, one moment: two grants, both devices on."""
    async with Stage(tmp_path) as stage:
        await stage.buy()
        await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC, packageId="1d")
        await stage.pay()
        await stage.pay(OTHER_PHONE)
        await stage.until_online(MAC)
        await stage.until_online(OTHER_MAC)
        assert await stage.count("grants") == 2
