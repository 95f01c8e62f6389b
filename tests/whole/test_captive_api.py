"""A device asks whether it is captive, goes online, signs out and in again: the whole daemon with its router."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.whole.stage import ADDRESS, MAC, OTHER_ADDRESS, OTHER_MAC, OTHER_PHONE, PHONE, ROUTERS, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MODES = ("hotspot-user", "radius")
# Several looks of the router long, at one a second.
A_WHILE_SECONDS = 2.5
DOWN = ROUTERS.replace('address = "127.0.0.1"', 'address = "127.0.0.1"\nhotspot_networks = ["10.5.50.0/24"]')


@pytest.fixture(params=MODES)
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A site in each way devices get onto its router."""
    async with Stage(tmp_path, mode=request.param) as site:
        await _seen(site)
        yield site


async def _captive(stage: Stage, address: str = ADDRESS) -> dict[str, Any]:
    async with stage.http.get("/captive", headers={"X-Forwarded-For": address}) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/captive+json"
        return dict(await answer.json(content_type=None))


async def _seen(stage: Stage) -> None:
    async def named() -> bool:
        return (
            "?d=" in (await _captive(stage))["user-portal-url"]
            and stage.daemon.parts.presence.host_at("main", ADDRESS, stage.daemon.parts.clock.monotonic()) is not None
        )

    await stage.until(named, seconds=5, what="the router's first look")


async def _post(stage: Stage, path: str, address: str = ADDRESS, **fields: str) -> tuple[int, dict[str, Any]]:
    headers = {"X-Forwarded-For": address}
    async with stage.http.post(f"/api/portal{path}", json=fields, headers=headers) as answer:
        return answer.status, await answer.json()


async def _probe(stage: Stage, path: str, address: str = ADDRESS) -> tuple[int, str]:
    headers = {"X-Forwarded-For": address, "Host": "connectivitycheck.gstatic.com"}
    async with stage.http.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def _buy_and_go_online(stage: Stage) -> dict[str, Any]:
    purchase_id = await stage.buy()
    await stage.pay()
    done = await stage.until_status(purchase_id, "completed")
    await stage.until_online()
    await stage.until_running()
    return done


async def _stays_off(stage: Stage) -> None:
    await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what=f"{MAC} off")
    await asyncio.sleep(A_WHILE_SECONDS)
    assert not stage.router.is_online(MAC)


async def test_out_and_in_again(stage: Stage) -> None:
    """Captive, online, signed out and left alone, signed in: the API, the probes and the router agree at each step."""
    assert (await _captive(stage))["captive"] is True
    assert (await _probe(stage, "/generate_204"))[0] == 302
    login = await _buy_and_go_online(stage)
    online = await _captive(stage)
    assert online["captive"] is False
    assert 3590 <= online["seconds-remaining"] <= 3600
    assert await _probe(stage, "/generate_204") == (204, "")
    assert (await _captive(stage, OTHER_ADDRESS))["captive"] is True
    assert (await _probe(stage, "/generate_204", OTHER_ADDRESS))[0] == 302
    assert await _post(stage, "/logout", OTHER_ADDRESS, macAddress=MAC) == (422, {**_not_theirs()})
    assert await _post(stage, "/logout") == (200, {"success": True})
    await _stays_off(stage)
    assert (await _captive(stage))["captive"] is True
    status, said = await _post(stage, "/login", username=login["username"], password=login["password"])
    assert (status, said["success"]) == (200, True)
    await stage.until_online()
    await stage.until(lambda: _is_free(stage), seconds=5, what="the API saying so")


def _not_theirs() -> dict[str, Any]:
    words = "A device can only sign out itself. Open this page on the device that is to go offline."
    return {"success": False, "code": "session.not_yours", "message": words, "error": words}


async def _is_free(stage: Stage) -> bool:
    return (await _captive(stage))["captive"] is False


async def test_a_restart_leaves_who_signed_out_alone(stage: Stage) -> None:
    """The wish to be off is in the books; what is bought after it lets the device on all the same."""
    await _buy_and_go_online(stage)
    assert (await _post(stage, "/logout"))[0] == 200
    await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what=f"{MAC} off")
    await stage.stop_daemon()
    await stage.start_daemon()
    await _stays_off(stage)
    await stage.buy(packageId="1d", phone=OTHER_PHONE)
    await stage.pay(OTHER_PHONE)
    await stage.until_online()


async def test_the_session_is_told(stage: Stage) -> None:
    """Status and check-session by the device's address, while it is online; nobody's login is in either."""
    login = await _buy_and_go_online(stage)

    async def told() -> dict[str, Any]:
        async with stage.http.get("/api/portal/status", params={"mac": MAC}) as answer:
            return dict(await answer.json())

    await stage.until(lambda: _active(told), seconds=5, what="the session")
    async with stage.http.get("/api/portal/check-session", params={"mac": MAC}) as answer:
        text = await answer.text()
    assert '"hasActiveSession": true' in text
    for said in (text, str(await told())):
        assert login["username"] not in said
        assert login["password"] not in said


async def _active(told: Any) -> bool:
    return bool((await told())["active"])


async def test_a_dead_router_and_a_dead_gateway_are_told(tmp_path: Path) -> None:
    """What the daemon found away is said by the health call, and as well again once it is back."""
    async with Stage(tmp_path, files={"routers.toml": DOWN}) as stage:

        async def away() -> set[str]:
            async with stage.http.get("/api/portal/health") as answer:
                return set((await answer.json())["outages"])

        async def is_well() -> bool:
            return not await away()

        async def router_is_away() -> bool:
            return "router" in await away()

        await stage.until(is_well, seconds=5, what="all well")
        await stage.router.close()
        await stage.until(router_is_away, seconds=10, what="the router said to be away")
        await stage.daraja.close()
        for phone, mac in ((PHONE, MAC), (OTHER_PHONE, OTHER_MAC)):
            await stage.initiate(phone=phone, macAddress=mac)
        assert await away() == {"router", "daraja", "uplink"}
