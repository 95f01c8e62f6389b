"""Who names another's device, which anybody on the Wi-Fi can see: nothing of it is spent, moved, joined or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.values import MacAddress
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.limits import PushLimits
from easyisp_edge.services.portal.vouchers import GUESSES
from easyisp_edge.system import SystemRandomness
from easyisp_edge.web.visits import Device
from tests.whole.stage import ADDRESS, GATEWAYS, MAC, OTHER_ADDRESS, OTHER_MAC, PACKAGES, PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILES = {
    "tenants.toml": '[[tenant]]\nid = "default"\nname = "Wi-Fi"\ntrial = "taste"\n',
    "packages.toml": PACKAGES
    + '[[package]]\nid = "taste"\nname = "Taste"\nprice = 1\nduration = "5m"\nspeed = "1M/1M"\nactive = false\n',
    "gateways.toml": GATEWAYS + '[gateway.pull]\nnominated_number = "0722000000"\nevery = "1m"\n',
}
TOKEN = Device(MacAddress.parse(MAC), "main").token
KEY = "a" * 32
UNPROVEN = "Only the device itself can do this"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site whose router is looked at: it has both devices in sight."""
    async with Stage(tmp_path, files=FILES) as site:
        presence, clock = site.daemon.parts.presence, site.daemon.parts.clock
        await site.until(
            lambda: presence.host_at("main", OTHER_ADDRESS, clock.monotonic()), seconds=5, what="the devices in sight"
        )
        yield site


async def post(stage: Stage, path: str, source: str, **fields: str) -> tuple[int, str]:
    """Send a form about the usual device, from an address; gives where it leads to, or the page that came back."""
    form = {"d": TOKEN, "lang": "en", **fields}
    headers = {"X-Forwarded-For": source}
    async with stage.http.post(path, data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


async def order(stage: Stage, source: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    """Start a purchase for the usual device, from an address."""
    wanted = {"phone": PHONE, "packageId": "1h", "macAddress": MAC, **fields}
    headers = {"X-Forwarded-For": source}
    async with stage.http.post("/api/portal/mpesa/initiate", json=wanted, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_credit_is_spent_by_its_own_device_alone(stage: Stage) -> None:
    """Whoever buys holds the key by which it can be taken along: nobody else may buy with a device's credit."""
    debit = await stage.daraja.pay_bill(PHONE, "174379", "WIFI", 12)
    status, path = await post(stage, "/paid", ADDRESS, text=debit.receipt, package="1d")
    assert status == 303, path
    stage.time.move(21)
    stage.daemon.parts.bells.ring_look()

    async def credited() -> bool:
        return await stage.count("claims", "state = 'credited'") == 1

    await stage.until(credited, seconds=5, what="the credit")
    status, page = await post(stage, "/credit", OTHER_ADDRESS, package="1h", key=KEY)
    assert status == 422
    assert UNPROVEN in page
    assert await stage.count("grants") == 0
    assert (await post(stage, "/credit", ADDRESS, package="1h", key=KEY))[0] == 303
    assert await stage.count("grants", "funding = 'wallet'") == 1


@pytest.mark.parametrize("prompt", [True, False])
async def test_an_order_is_made_by_its_own_device_alone(stage: Stage, prompt: bool) -> None:  # noqa: FBT001 - a parameter
    """The same order again is given the id of what stands open: whoever made it could take along what it buys."""
    status, told = await order(stage, OTHER_ADDRESS, prompt=prompt)
    assert (status, told["code"]) == (422, "device.unproven")
    _, first = await order(stage, ADDRESS, prompt=prompt)
    status, told = await order(stage, OTHER_ADDRESS, prompt=prompt)
    assert (status, told["code"]) == (422, "device.unproven")
    assert (await order(stage, ADDRESS, prompt=prompt))[1]["checkoutRequestId"] == first["checkoutRequestId"]
    status, page = await post(stage, "/buy", OTHER_ADDRESS, package="1h", phone=PHONE, key=KEY)
    assert status == 422
    assert UNPROVEN in page
    assert await stage.count("purchases") == 1


async def test_who_is_not_in_sight_is_believed(stage: Stage) -> None:
    """An address of which the router told nothing, or one that stands for all: else nobody there could buy."""
    for source in ("10.5.50.99", "127.0.0.1"):
        assert (await order(stage, source))[0] == 200


async def test_receipts_are_shown_by_their_own_device_alone(stage: Stage) -> None:
    """How many a device may show within the hour is no limit for one that calls itself by another name each time."""
    for path in ("/paid", "/find"):
        status, page = await post(stage, path, OTHER_ADDRESS, text="UKL5QWERT1")
        assert status == 422
        assert UNPROVEN in page
    claim = {"smsText": "UKL5QWERT1", "phone": PHONE}
    for named in ({"macAddress": MAC}, {}):  # who names none is the one that asks
        async with stage.http.post(
            "/api/portal/mpesa/verify-sms", json=claim | named, headers={"X-Forwarded-For": OTHER_ADDRESS}
        ) as answer:
            assert answer.status == (422 if named else 202)
    assert await stage.count("claims", f"mac = '{OTHER_MAC}'") == await stage.count("claims") == 1


async def test_problems_are_reported_by_their_own_device_alone(stage: Stage) -> None:
    """The same holds for what the staff have to read."""
    assert (await post(stage, "/problem", OTHER_ADDRESS, text="slow"))[0] == 422
    assert (await post(stage, "/problem", ADDRESS, text="slow"))[0] == 303


async def test_a_trial_is_started_by_its_own_device_alone(stage: Stage) -> None:
    """Else one device has a router write users for thousands that are not there."""
    status, page = await post(stage, "/trial", OTHER_ADDRESS)
    assert status == 422
    assert UNPROVEN in page
    assert await stage.count("grants") == 0
    assert (await post(stage, "/trial", ADDRESS))[0] == 303
    assert await stage.count("grants", "funding = 'trial'") == 1


async def test_packages_are_switched_by_their_own_device_alone(stage: Stage) -> None:
    """Else a stranger has somebody's dear package begin, or a paused one run out."""
    status, page = await post(stage, "/switch", OTHER_ADDRESS, turn="0" * 24)
    assert status == 422
    assert UNPROVEN in page
    assert (await post(stage, "/switch", ADDRESS, turn="0" * 24))[0] == 404


async def test_who_guesses_shuts_out_nobody_else(stage: Stage) -> None:
    """Wrong vouchers are counted by where they come from, by whatever names: a site's own limit is far from there."""
    codes = Identifiers(SystemRandomness())

    async def guess(source: str, mac: str) -> str:
        tried = {"code": codes.voucher_code(), "macAddress": mac}
        headers = {"X-Forwarded-For": source}
        async with stage.http.post("/api/portal/voucher", json=tried, headers=headers) as answer:
            return str((await answer.json())["code"])

    named = [f"06:02:00:00:{number >> 8:02X}:{number & 255:02X}" for number in range(GUESSES.site + 20)]
    answers = [await guess(OTHER_ADDRESS, mac) for mac in named]
    assert answers.count("voucher.unknown") == GUESSES.device
    assert await guess(ADDRESS, MAC) == "voucher.unknown"
    for path in ("/voucher", "/find"):
        status, page = await post(stage, path, ADDRESS, code=(code := codes.voucher_code()), text=code)
        assert status == 404, page
        assert "We do not know this voucher" in page


async def test_who_names_no_device_is_the_one_that_asks(stage: Stage) -> None:
    """Prompts to any number of phones: a device's own limit holds, and the site's is left to others."""
    said = []
    for number in range(22):
        unnamed = {"macAddress": None, "phone": f"07123450{number:02}"}
        status, told = await order(stage, OTHER_ADDRESS, **unnamed)
        said.append(told.get("code") if status != 200 else status)
    limit = PushLimits().device_hour
    assert said == [200] * limit + ["purchase.limit_device"] * (22 - limit)
    assert await stage.count("purchases", f"mac = '{OTHER_MAC}'") == limit
    status, page = await post(stage, "/buy", OTHER_ADDRESS, d="", package="1h", phone="0733000999", key=KEY)
    assert status == 409, page
    assert (await order(stage, ADDRESS))[0] == 200
