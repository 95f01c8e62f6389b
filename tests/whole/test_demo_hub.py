"""`easyisp-edge demo --hub`: what is bought at the demo's box is seen at its hub."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.whole.test_demo import ONLINE_SECONDS, _online, _order, _press, demo

if TYPE_CHECKING:
    from tests.whole.test_demo import Demo

SAID_SECONDS, SEEN_SECONDS = 5, 10


async def fleet_of(running: Demo) -> tuple[str, str]:
    """The address of the fleet's page, and the password, as the demo says them."""
    stdout = running.process.stdout
    assert stdout is not None
    address = ""
    async with asyncio.timeout(SAID_SECONDS):
        while True:
            line = (await stdout.readline()).decode().strip()
            assert line, "the demo ended before it said where its hub is"
            if line.startswith("fleet "):
                address = line.removeprefix("fleet ")
            if line.startswith("The fleet's page"):
                return address, line.rpartition(" ")[2]


async def listed(http: aiohttp.ClientSession, page: str, token: str, what: str) -> list[dict[str, Any]]:
    address = page.replace("/fleet", f"/api/fleet/{what}")
    async with http.get(address, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 200
        return list(next(iter((await answer.json()).values())))


async def seen_takings(http: aiohttp.ClientSession, page: str, token: str) -> list[dict[str, Any]]:
    """The takings, once the hub knows of any."""
    while True:
        if taken := await listed(http, page, token, "takings"):
            return taken
        await asyncio.sleep(0.1)


async def test_a_sale_is_seen_at_the_hub() -> None:
    """M-Pesa's callback comes by the hub, and the customer is online as fast; the fleet's page has site and money."""
    async with demo("--hub") as running, aiohttp.ClientSession() as http:
        page, token = await fleet_of(running)
        purchase = await _order(http, running)
        await _press(http, running, act="pin", pin="1234")
        await asyncio.wait_for(_online(http, purchase), ONLINE_SECONDS)
        async with asyncio.timeout(SEEN_SECONDS):
            taken = await seen_takings(http, page, token)
        assert [one["amountCents"] for one in taken] == [1000]
        (site,) = await listed(http, page, token, "sites")
        assert (site["name"], site["state"]) == ("Demo", "confirmed")
        shown = base64.b64encode(f"anybody:{token}".encode()).decode()
        async with http.get(page, headers={"Authorization": f"Basic {shown}"}) as answer:
            assert (answer.status, "Demo" in await answer.text()) == (200, True)
        assert await listed(http, page, token, "alarms") == []
        assert await running.interrupted() == (0, b"")


async def test_ctrl_c_at_once_with_a_hub() -> None:
    """Both are closed, without a word."""
    async with demo("--hub") as running:
        assert await running.interrupted() == (0, b"")
