"""Ways of coming back, moving, taking turns: the whole daemon with a router that asks it by RADIUS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.values import NAIROBI, MacAddress
from easyisp_edge.lab.mikrotik import TrapError
from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, PACKAGES, PHONE, RADIUS_ONLY, ROUTERS, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.lab.mikrotik import MikrotikOptions

INCOMING = "incoming_port = {coa_port}\n"
# Put off by RADIUS alone, by the API alone, by both.
WAYS = pytest.mark.parametrize(
    "routers", [RADIUS_ONLY + INCOMING, ROUTERS, ROUTERS + INCOMING], ids=["by order", "by API", "both ways"]
)


class MacLoginStage(Stage):
    """A router that asks for each device by its address as soon as it is heard."""

    def _router_options(self) -> MikrotikOptions:
        return replace(super()._router_options(), login_by="mac,http-pap")


def stage_of(folder: Path, routers: str, packages: str = PACKAGES, kind: type[Stage] = Stage) -> Stage:
    return kind(folder, mode="radius", incoming=True, files={"routers.toml": routers, "packages.toml": packages})


async def buy(stage: Stage, phone: str = PHONE, **fields: Any) -> dict[str, Any]:
    """Buy and pay; gives what the page knows then, receipt and credentials among it."""
    purchase_id = await stage.buy(phone=phone, **fields)
    await stage.pay(phone)
    return await stage.until_status(purchase_id, "completed")


async def come_on(stage: Stage, bought: dict[str, Any]) -> None:
    """The payer's device is on: by the API, or by the form that the page posts."""
    if stage.daemon._config.routers[0].api is None:
        await stage.router.log_in(MAC, bought["username"], bought["password"])
    await stage.until_online()
    await stage.until(lambda: in_the_books(stage), seconds=5, what="the session in the books")


async def in_the_books(stage: Stage) -> bool:
    return await stage.count("sessions", "stopped_at IS NULL AND grant_id IS NOT NULL") > 0


def on_as(stage: Stage, username: str, mac: str = MAC) -> bool:
    return [(device.mac, device.user) for device in stage.router.active] == [(mac, username)]


async def grant_ids(stage: Stage) -> list[str]:
    """In the order they were bought."""
    async with stage.books() as (_, connection):
        return [row[0] for row in connection.execute("SELECT grant_id FROM grants ORDER BY created_at")]


async def test_a_device_is_back_by_its_address_after_the_router_was_off(tmp_path: Path) -> None:
    """Nobody types anything, no API is there: the router asks for the address, and the session counts to the grant."""
    async with stage_of(tmp_path, RADIUS_ONLY, kind=MacLoginStage) as stage:
        hosts = stage.router.hotspot.hosts
        await stage.until(lambda: not hosts[MAC].authorizing, seconds=5, what="the first refusal")
        assert not stage.router.is_online(MAC)
        await come_on(stage, await buy(stage))
        await stage.router.reboot(down_seconds=0.2)
        await stage.router.until_up()
        await stage.until(lambda: on_as(stage, MAC), seconds=5, what="the device back by its address")
        assert not stage.router.is_online(OTHER_MAC)

        async def counted() -> bool:
            by_address = f"username = '{MAC}' AND grant_id IS NOT NULL AND stopped_at IS NULL"
            return await stage.count("sessions", by_address) == 1

        await stage.until(counted, seconds=5, what="its session")
        assert await stage.count("sessions", "stopped_at IS NULL") == 1


@WAYS
async def test_a_receipt_moves_a_grant_to_a_second_phone(tmp_path: Path, routers: str) -> None:
    """Typed in small letters on the other phone: that one is on, and the first is put off and stays off."""
    async with stage_of(tmp_path, routers) as stage:
        bought = await buy(stage)
        await come_on(stage, bought)
        receipt = bought["transactionCode"].lower()
        await stage.router.log_in(OTHER_MAC, receipt, receipt)
        await stage.until(lambda: on_as(stage, receipt, OTHER_MAC), seconds=5, what="the first phone off")
        with pytest.raises(TrapError, match="another device"):
            await stage.router.log_in(MAC, bought["username"], bought["password"])
        assert await stage.count("grants", f"state = 'running' AND mac = '{OTHER_MAC}'") == 1
        assert on_as(stage, receipt, OTHER_MAC)


async def test_a_receipt_that_is_nobodys_is_refused_until_nobody_listens(tmp_path: Path) -> None:
    """Told in the customer's words by the router itself; the payer's own way stays open."""
    async with stage_of(tmp_path, RADIUS_ONLY) as stage:
        bought = await buy(stage)
        for _ in range(5):
            with pytest.raises(TrapError, match="We do not know this login"):
                await stage.router.log_in(OTHER_MAC, "UJ25X7KQ3M", "UJ25X7KQ3M")
        receipt = bought["transactionCode"]
        with pytest.raises(TrapError, match="Too many wrong tries"):
            await stage.router.log_in(OTHER_MAC, receipt, receipt)
        await come_on(stage, bought)


@WAYS
async def test_the_second_package_begins_when_the_first_is_used_up(tmp_path: Path, routers: str) -> None:
    """Two hours bought are two hours: the second waits, and lets on when its turn has come."""
    async with stage_of(tmp_path, routers) as stage:
        first = await buy(stage)
        await come_on(stage, first)
        second = await buy(stage, OTHER_PHONE)
        assert on_as(stage, first["username"])
        assert await stage.count("grants", "state = 'waiting'") == 1
        stage.time.move(3600)
        stage.daemon.parts.access.ended.ring()

        async def first_off() -> bool:
            return not on_as(stage, first["username"]) and await stage.count("grants", "state = 'ended'") == 1

        await stage.until(first_off, seconds=5, what="the first package over")
        await come_on(stage, second)
        assert on_as(stage, second["username"])
        assert await stage.count("grants", "state = 'running'") == 1


async def test_switch_now_and_back_by_itself(tmp_path: Path) -> None:
    """The day package is started before the hour is over; the hour goes on afterwards with what it had left."""
    async with stage_of(tmp_path, ROUTERS + INCOMING) as stage:
        first = await buy(stage)
        await come_on(stage, first)
        second = await buy(stage, OTHER_PHONE, packageId="1d")
        hour, day = await grant_ids(stage)
        stage.time.move(1200)
        access = stage.daemon.parts.access
        await access.switch_to("default", MacAddress(MAC), day)
        await stage.until(lambda: on_as(stage, second["username"]), seconds=5, what="the day package on")
        stage.time.move(86_400)
        access.ended.ring()
        await stage.until(lambda: on_as(stage, first["username"]), seconds=5, what="the hour back")
        grant = stage.daemon.parts.store.read.grants.by_id(hour)
        assert grant is not None
        left = grant.seconds_left_at(stage.daemon.parts.clock.now())
        assert 2380 <= left <= 2400
        assert await stage.count("events", "type = 'grant.paused'") == 1


def hours_from(now: datetime, opens_in: timedelta, length: timedelta) -> str:
    """Hours by Kenya's clock that begin that long after now."""
    opens = now.astimezone(NAIROBI) + opens_in
    return f"{opens:%H:%M}-{opens + length:%H:%M}"


@WAYS
async def test_a_package_with_hours(tmp_path: Path, routers: str) -> None:
    """Bought before they begin it lets nobody on; it does from then on, until they end."""
    hours = hours_from(datetime.now(UTC), timedelta(hours=2), timedelta(hours=3))
    night = f'[[package]]\nid = "night"\nname = "Night"\nprice = 20\nduration = "7d"\nspeed = "2M"\nhours = "{hours}"\n'
    async with stage_of(tmp_path, routers, PACKAGES + night) as stage:
        bought = await buy(stage, packageId="night")
        with pytest.raises(TrapError, match=f"from {hours[:5]}|tomorrow at {hours[:5]}"):
            await stage.router.log_in(MAC, bought["username"], bought["password"])
        access = stage.daemon.parts.access
        assert await access.hours_round()
        stage.time.move(2 * 3600)
        await access.hours_round()
        await come_on(stage, bought)
        stage.time.move(3 * 3600)
        await access.hours_round()
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the device off at closing")
        assert await stage.count("grants", "state = 'running'") == 1
        with pytest.raises(TrapError, match="works from"):
            await stage.router.log_in(MAC, bought["username"], bought["password"])
