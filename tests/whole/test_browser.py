"""The main job as a customer sees it: the real pages in a real browser, on a small phone's screen."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.lab.daraja import Behaviour, DarajaOptions
from tests.whole.browsing import PAY, BrowsedStage
from tests.whole.stage import MAC, OTHER_MAC, PHONE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.whole.browsing import Customer

pytestmark = pytest.mark.real_part("chromium")

# Without scripts the page loads itself anew every four seconds, and may have to do so twice.
RELOADED_TWICE_SECONDS = 10

SHUT_PACKAGE = """[[package]]
id = "later"
name = "Later"
price = 10
duration = "1d"
hours = "HOURS"
speed = "5M"
"""
ROUTER_WITHOUT_API = """[[router]]
id = "main"
address = "127.0.0.1"
mode = "radius"
login_url = "{login}"
round_seconds = 1
[router.radius]
secret = "only-good-on-loopback"
"""


@pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
async def test_online_by_itself_within_two_seconds_of_the_pin(tmp_path: Path, mode: str) -> None:
    """PIN entered: within 2 s the router has the device on and the page says so untouched; then time runs down."""
    async with BrowsedStage(tmp_path, mode=mode) as stage, stage.customer() as customer, stage.handset() as handset:
        await customer.open()
        assert await customer.heading() == "Choose a package"
        await customer.choose("1 hour")
        await customer.give_number()
        await customer.at("prompted")
        assert "0712\u00a0•••\u00a0678" in await customer.text()
        await handset.look()
        await asyncio.gather(handset.enter_pin(), customer.at("online", seconds=2))
        assert stage.router.is_online(MAC)
        assert await customer.heading() == "You are online"
        assert stage.daraja.debits[0].receipt in await customer.text()
        first = await _seconds_left(customer)
        await asyncio.sleep(2.1)
        assert 3500 < await _seconds_left(customer) <= first - 2


async def test_without_scripts(tmp_path: Path) -> None:
    """Links, forms and pages that load themselves anew are enough to pay and be online."""
    async with BrowsedStage(tmp_path) as stage, stage.customer(scripts=False) as customer, stage.handset() as handset:
        await customer.order()
        assert await customer.heading() == "Enter your PIN"
        await handset.look()
        await handset.enter_pin()
        await stage.until_online(seconds=2)
        await customer.at("online", seconds=RELOADED_TWICE_SECONDS)
        assert await customer.heading() == "You are online"


async def test_in_swahili(tmp_path: Path) -> None:
    """Who chose Swahili reads Swahili to the end."""
    async with (
        BrowsedStage(tmp_path) as stage,
        stage.customer(language="sw") as customer,
        stage.handset() as handset,
    ):
        await customer.open()
        assert await customer.heading() == "Chagua kifurushi"
        await customer.choose()
        assert await customer.heading() == "Lipa na M-Pesa"
        await customer.give_number("12")
        assert "Hii si nambari ya Safaricom" in await customer.page.locator("#wrong").inner_text()
        await customer.give_number()
        await customer.at("prompted")
        assert await customer.heading() == "Weka PIN yako"
        await handset.look()
        await handset.cancel()
        await customer.at("failed")
        assert await customer.heading() == "Malipo yameghairiwa"
        stage.time.move(60)  # a phone is not prompted twice within a minute
        await customer.page.get_by_role("link", name="Jaribu tena").click()
        await customer.give_number()
        await customer.at("prompted")
        await handset.look()
        await handset.enter_pin()
        await customer.at("online")
        assert await customer.heading() == "Uko mtandaoni"


async def test_two_tabs_are_one_purchase(tmp_path: Path) -> None:
    """Two tabs of one device that both ask to pay: one prompt, one purchase, and both end online."""
    async with BrowsedStage(tmp_path) as stage, stage.customer() as customer, stage.handset() as handset:
        tabs = (customer, await customer.another_tab())
        for tab in tabs:
            await tab.open()
            await tab.choose()
        await asyncio.gather(*(tab.give_number() for tab in tabs))
        await asyncio.gather(*(tab.at("prompted") for tab in tabs))
        await _one_push(stage)
        await handset.look()
        await handset.enter_pin()
        await asyncio.gather(*(tab.at("online") for tab in tabs))
        await _one_push(stage)
        assert len(stage.daraja.debits) == 1


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_impatient_finger_pays_once(tmp_path: Path, scripts: bool) -> None:  # noqa: FBT001 - a case
    """The button tapped three times, the waiting page reloaded, back and paid again: one prompt, one purchase."""
    slow = DarajaOptions.unhurried(Behaviour(answer_after_seconds=0.5))
    async with BrowsedStage(tmp_path, daraja_options=slow) as stage, stage.customer(scripts=scripts) as customer:
        await customer.open()
        await customer.choose()
        await customer.page.fill("#phone", PHONE)
        await customer.tap_again_and_again(PAY)
        await customer.at("prompted")
        assert customer.posts == 1 if scripts else customer.posts > 1
        waiting = customer.page.url
        for _ in range(2):
            await customer.reload()
            await customer.at("prompted")
        await customer.page.go_back()
        await customer.page.locator("#phone").wait_for()
        await customer.give_number()
        await customer.at("prompted")
        assert customer.page.url == waiting
        await _one_push(stage)


async def test_a_busy_phone_is_not_asked_again(tmp_path: Path) -> None:
    """A second device that names a phone with an open prompt is told so in words, and nothing is sent."""
    async with BrowsedStage(tmp_path) as stage, stage.customer() as customer, stage.customer() as other:
        await customer.order()
        await other.open(OTHER_MAC)
        await other.choose()
        await other.give_number()
        wrong = other.page.locator("#wrong")
        assert re.search(r"asked a moment ago.* wait \d+ seconds", await wrong.inner_text())
        assert await other.page.input_value("#phone") == PHONE
        await _one_push(stage)


async def test_who_is_told_to_answer_that_prompt_finds_its_page(tmp_path: Path) -> None:
    """Another package for a phone that is asked already: refused, with a way to the page that follows the prompt."""
    async with BrowsedStage(tmp_path) as stage, stage.customer() as customer, stage.handset() as handset:
        await customer.order()
        await customer.page.go_back()
        await customer.page.get_by_role("link", name="Choose another package").click()
        await customer.choose("1 day")
        await customer.give_number()
        await customer.page.locator("#wrong").wait_for()
        await customer.page.get_by_role("link", name="Back to what was asked for").click()
        await customer.at("prompted")
        await handset.look()
        await handset.enter_pin()
        await customer.at("online")


async def test_cancelled_then_paid(tmp_path: Path) -> None:
    """Cancelled on the phone: the page says so by itself, and trying again leads online."""
    options = DarajaOptions.unhurried()
    async with (
        BrowsedStage(tmp_path, daraja_options=options) as stage,
        stage.customer() as customer,
        stage.handset() as handset,
    ):
        await customer.order()
        await handset.look()
        await asyncio.gather(handset.cancel(), customer.at("failed", seconds=2))
        assert await customer.heading() == "The payment was cancelled"
        assert "The prompt was closed before a PIN was entered" in await customer.text()
        stage.time.move(60)  # a phone is not prompted twice within a minute
        await customer.page.get_by_role("link", name="Try again").click()
        await customer.give_number()
        await customer.at("prompted")
        await handset.look()
        await asyncio.gather(handset.enter_pin(), customer.at("online", seconds=2))
        assert [len(stage.daraja.pushes), len(stage.daraja.debits)] == [2, 1]


async def test_a_wrong_number_is_said_beside_the_field(tmp_path: Path) -> None:
    """A number nobody can be asked at: the reason stands by the field, and what was typed is kept."""
    async with BrowsedStage(tmp_path) as stage, stage.customer() as customer:
        await customer.open()
        await customer.choose()
        await customer.give_number("0712 34")
        field = customer.page.locator("#phone")
        assert await field.input_value() == "0712 34"
        described = (await field.get_attribute("aria-describedby") or "").split()
        assert "wrong" in described
        assert "not a Safaricom number" in await customer.page.locator("#wrong").inner_text()
        assert stage.daraja.pushes == []
        await customer.give_number()
        await customer.at("prompted")


@pytest.mark.parametrize("scripts", [True, False])
async def test_connect_now_where_the_router_cannot_be_told(
    tmp_path: Path,
    scripts: bool,  # noqa: FBT001 - a case
) -> None:
    """Without the router's API the paid page offers "Connect now", and one tap logs the device in."""
    async with (
        StageWithoutApi(tmp_path, mode="radius") as stage,
        stage.customer(scripts=scripts) as customer,
        stage.handset() as handset,
    ):
        router = stage.router.http_url
        customer.other_hosts.add(router.removeprefix("http://"))
        await customer.goto(f"{router}/devices/{MAC}")  # be that device to the router from here on
        await customer.choose()
        await customer.give_number()
        await handset.look()
        await handset.enter_pin()
        await customer.at("connecting")
        assert not stage.router.is_online(MAC)
        await customer.page.get_by_role("button", name="Connect now").click()
        await customer.at("online")
        assert stage.router.is_online(MAC)
        assert await customer.heading() == "You are online"


# On a busy machine a second of the new package is gone before the page is made.
DAY_LEFT = {"1 day", "23 hours 59 min", "siku 1", "saa 23 dakika 59"}


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("language", ["en", "sw"])
async def test_the_other_package_is_started_at_once(
    tmp_path: Path,
    scripts: bool,  # noqa: FBT001 - a case
    language: str,
) -> None:
    """Bought while another runs, it comes after that; one tap begins it, and the first is set aside with its time."""
    async with BrowsedStage(tmp_path) as stage, stage.customer(scripts=scripts, language=language) as customer:
        for package in ("1h", "1d"):
            purchase_id = await stage.buy(packageId=package)
            await stage.pay()
            await stage.until_status(purchase_id, "completed")
            await stage.until_online()
            stage.time.move(60)  # a phone is not prompted twice within a minute
        first_user = stage.router.active[0].user
        await customer.open()
        await customer.at("online")
        assert "1 day" in await customer.page.locator("section").inner_text()
        await customer.page.locator("form[action='/switch'] button").click()
        await customer.at("online")
        assert await customer.page.locator(".big").inner_text() in DAY_LEFT
        assert "1 hour" in await customer.page.locator("section").inner_text()
        await stage.until(
            lambda: [device.user for device in stage.router.active] not in ([], [first_user]),
            seconds=5,
            what="the other package in use",
        )


async def test_outside_its_hours_a_package_says_when_it_opens(tmp_path: Path) -> None:
    """Nobody is left waiting to be connected; at the hour the page goes on by itself, and the device is online."""
    opens = datetime.now(NAIROBI) + timedelta(hours=3)
    files = {"packages.toml": SHUT_PACKAGE.replace("HOURS", f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")}
    async with BrowsedStage(tmp_path, files=files) as stage, stage.customer() as customer:
        purchase_id = await stage.buy(packageId="later")
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        await customer.open()
        await customer.at("shut")
        assert (await customer.heading()).startswith("Your package works from ")
        assert f"{opens:%H:%M}" in await customer.heading()
        assert not stage.router.is_online(MAC)
        stage.time.move(3 * 3600)
        await customer.reload()
        await customer.at("online")
        assert stage.router.is_online(MAC)


class StageWithoutApi(BrowsedStage):
    """A site whose daemon can only answer the router's questions."""

    def _write_config(self) -> None:
        self.files["routers.toml"] = ROUTER_WITHOUT_API.replace("{login}", f"{self.router.http_url}/login")
        super()._write_config()


async def _one_push(stage: BrowsedStage) -> None:
    assert len(stage.daraja.pushes) == 1
    assert await stage.count("purchases") == 1


async def _seconds_left(customer: Customer) -> int:
    said = await customer.page.locator("[role=timer]").inner_text()
    amounts: list[tuple[str, str]] = re.findall(r"(\d+) (h|min|s)", said)
    return sum(int(count) * {"h": 3600, "min": 60, "s": 1}[unit] for count, unit in amounts)
