"""A device that may not be on any more is put off by RADIUS, with the API and without."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik import TrapError
from tests.whole.stage import MAC, RADIUS_ONLY, ROUTERS, Stage

if TYPE_CHECKING:
    from pathlib import Path

INCOMING = "incoming_port = {coa_port}\n"


async def log_in_by_form(stage: Stage) -> dict[str, str]:
    """Buy, pay, and log in as the customer's page does where the box cannot."""
    purchase_id = await stage.buy()
    await stage.pay()
    status = await stage.until_status(purchase_id, "completed")
    await stage.router.log_in(MAC, status["username"], status["password"])
    assert stage.router.is_online(MAC)
    return {"username": status["username"], "password": status["password"]}


async def in_the_books(stage: Stage) -> None:
    """The router's report of the session has come."""

    async def known() -> bool:
        return await stage.count("sessions", "stopped_at IS NULL AND grant_id IS NOT NULL") == 1

    await stage.until(known, seconds=5, what="the session in the books")


async def grant_over(stage: Stage) -> None:
    """What was bought is used up, by the box's clock; the router's stands where it stood."""
    await in_the_books(stage)
    stage.time.move(3600)
    stage.daemon.parts.access.ended.ring()


async def off_by_order(stage: Stage, *, seconds: float) -> None:
    """The device goes off at an order, and the router says so to accounting."""
    await stage.until(lambda: not stage.router.is_online(MAC), seconds=seconds, what="the device off")
    assert stage.router.incoming.counters.acks == 1

    async def told() -> bool:
        return await stage.count("sessions", "cause = 'Admin-Reset'") == 1

    await stage.until(told, seconds=5, what="the Stop")
    assert await stage.count("sessions", "stopped_at IS NULL") == 0


async def test_a_router_without_api_puts_off_at_an_order(tmp_path: Path) -> None:
    """Spoken to by RADIUS only: off within seconds of the end, and refused from then on."""
    async with Stage(tmp_path, mode="radius", incoming=True, files={"routers.toml": RADIUS_ONLY + INCOMING}) as stage:
        login = await log_in_by_form(stage)
        await grant_over(stage)
        await off_by_order(stage, seconds=3)
        with pytest.raises(TrapError):
            await stage.router.log_in(MAC, login["username"], login["password"])
        await asyncio.sleep(1.2)  # an answer that is not heard is asked for again after a second
        assert stage.router.incoming.counters.requests == 1


async def test_with_the_api_down_the_order_goes_by_radius(tmp_path: Path) -> None:
    """Let on by the API, which then goes away while RADIUS gets through: off within seconds of the end."""
    async with Stage(tmp_path, mode="radius", incoming=True, files={"routers.toml": ROUTERS + INCOMING}) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.router._api.shut()
        await grant_over(stage)
        await off_by_order(stage, seconds=6)


async def test_both_ways_at_once_put_off_once(tmp_path: Path) -> None:
    """By whichever comes first; the other finds the session gone, and its end is in the books once."""
    async with Stage(tmp_path, mode="radius", incoming=True, files={"routers.toml": ROUTERS + INCOMING}) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await grant_over(stage)
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=3, what="the device off")

        async def told() -> bool:
            return await stage.count("sessions", "stopped_at IS NOT NULL AND cause = 'Admin-Reset'") == 1

        await stage.until(told, seconds=5, what="the Stop")
        await asyncio.sleep(1.2)  # a round of each more
        assert stage.router.incoming.counters.requests <= 1
        assert await told()
        assert await stage.count("sessions", "stopped_at IS NULL") == 0


async def test_an_order_that_got_lost_is_given_again(tmp_path: Path) -> None:
    """The link was down at the end of the grant: off once it is back, without anyone."""
    async with Stage(tmp_path, mode="radius", incoming=True, files={"routers.toml": RADIUS_ONLY + INCOMING}) as stage:
        await log_in_by_form(stage)
        await in_the_books(stage)
        async with stage.router.outage():
            stage.time.move(3600)
            stage.daemon.parts.access.ended.ring()

            async def over() -> bool:
                return await stage.count("grants", "state = 'ended'") == 1

            await stage.until(over, seconds=5, what="the end")
            await asyncio.sleep(0.3)  # the order goes out at once, and nobody hears it
            assert stage.router.is_online(MAC)
        await off_by_order(stage, seconds=10)
