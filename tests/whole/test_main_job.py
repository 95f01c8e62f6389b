"""The main job on the whole daemon over real sockets: pay, be online."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaOptions
from easyisp_edge.lab.mikrotik import TrapError
from tests.whole.stage import MAC, PACKAGES, PHONE, ROUTERS, Stage

if TYPE_CHECKING:
    from pathlib import Path

LOST = DarajaOptions.unhurried(Behaviour(callback=CallbackHandling(copies=0)))
MODES = pytest.mark.parametrize("mode", ["hotspot-user", "radius"])


@MODES
async def test_the_payer_is_online_within_two_seconds_of_the_pin(tmp_path: Path, mode: str) -> None:
    """With callbacks on: PIN entered, device active on the router and the page says so, within 2 s."""
    async with Stage(tmp_path, mode=mode) as stage:
        purchase_id = await stage.buy()
        assert (await stage.status(purchase_id))["status"] == "pending"
        await stage.pay()
        took = await stage.until_online(seconds=2)
        status = await stage.until_status(purchase_id, "completed", seconds=2 - took)
        assert status["package"]["id"] == "1h"
        assert status["transactionCode"] == stage.daraja.debits[0].receipt

        async def says_online() -> bool:
            _, page = await stage.get(f"/p/{purchase_id}")
            return "You are online" in page

        await stage.until(says_online, seconds=2 - took, what="the page says online")
        assert [device.user for device in stage.router.active] == [status["username"]]


@MODES
async def test_every_callback_lost_the_query_finds_the_payment(tmp_path: Path, mode: str) -> None:
    """With every callback lost and the page closed after the push: online within 30 s of the PIN, by query."""
    async with Stage(tmp_path, mode=mode, daraja_options=LOST) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online(seconds=30)
        assert await stage.count("grants") == 1


async def test_the_page_closed_after_the_push_changes_nothing(tmp_path: Path) -> None:
    """The device is let on by the daemon, whether or not anybody looks."""
    async with Stage(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online(seconds=2)


async def test_a_customer_without_scripts_buys_by_forms(tmp_path: Path) -> None:
    """Choose, phone number, waiting, online: by links and forms alone; reopening resumes where it stands."""
    async with Stage(tmp_path) as stage:
        link = stage.router.portal_link(MAC).partition("?")[2]
        status, first = await stage.get(f"/?{link}")
        assert (status, "1 hour" in first) == (200, True)
        _, phone_page = await stage.get("/buy", package="1h", d="", mac=MAC)
        form = {"package": "1h", "lang": "en", "phone": PHONE, **_hidden(phone_page, "key", "d")}
        async with stage.http.post("/buy", data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            purchase_page = answer.headers["Location"]
        _, waiting = await stage.get(purchase_page.partition("?")[0])
        assert "Enter your PIN" in waiting
        assert "0712\u00a0•••\u00a0678" in waiting
        _, resumed = await stage.get("/", mac=MAC)
        assert "Enter your PIN" in resumed
        await stage.pay()
        await stage.until_online(seconds=2)

        async def resumes_online() -> bool:
            return "You are online" in (await stage.get("/", mac=MAC))[1]

        await stage.until(resumes_online, seconds=2, what="the reopened page says online")


@MODES
async def test_expiry_puts_the_device_off(tmp_path: Path, mode: str) -> None:
    """When the time is up the device is off, and its user is refused from then on."""
    async with Stage(tmp_path, mode=mode) as stage:
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.until_running()
        status = await stage.until_status(purchase_id, "completed")
        stage.time.move(3600)
        stage.daemon.parts.access.ended.ring()
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the device off")
        with pytest.raises(TrapError):
            await stage.router.log_in(MAC, status["username"], status["password"])


async def test_more_time_follows_what_runs(tmp_path: Path) -> None:
    """A second purchase while one runs waits its turn, and lets the device on when the first is over."""
    async with Stage(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.until_running()
        stage.time.move(60)
        second = await stage.buy(packageId="1d")
        await stage.pay()
        status = await stage.until_status(second, "completed")
        assert 24 * 3600 < status["secondsLeft"] <= 25 * 3600
        first_user = stage.router.active[0].user
        stage.time.move(3600)
        stage.daemon.parts.access.ended.ring()
        await stage.until(
            lambda: [device.user for device in stage.router.active] not in ([], [first_user]),
            seconds=5,
            what="the second grant in use",
        )
        assert stage.router.is_online(MAC)


def _hidden(page: str, *names: str) -> dict[str, str]:
    return {name: page.partition(f'name="{name}" value="')[2].partition('"')[0] for name in names}


async def test_a_package_of_another_router_is_not_sold_here(tmp_path: Path) -> None:
    """A package valid behind one router only is neither shown nor sold behind another."""
    packages = PACKAGES + '[[package]]\nid = "annexe"\nname = "Annexe"\nprice = 5\nduration = "1h"\nspeed = "1M"\n'
    routers = ROUTERS + ROUTERS.replace('id = "main"', 'id = "annexe"').replace('"127.0.0.1"', '"127.0.0.9"', 1)
    files = {"packages.toml": packages + 'routers = ["annexe"]\n', "routers.toml": routers}
    async with Stage(tmp_path, files=files) as stage:
        refused = await stage.initiate(expect=404, packageId="annexe", nasIp="127.0.0.1")
        assert refused["code"] == "purchase.package_closed"
        assert (await stage.initiate(packageId="annexe", nasIp="127.0.0.9"))["success"]
        status, _ = await stage.get("/buy", package="annexe", mac=MAC, router="main")
        assert status == 404
