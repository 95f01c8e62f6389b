"""A router's way of letting devices on is changed: nobody who is on is put off, and all they use is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.sessions import TerminateCause
from tests.whole.stage import MAC, OTHER_ADDRESS, OTHER_MAC, OTHER_PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path


async def test_from_radius_to_users(tmp_path: Path) -> None:
    """Who is on by RADIUS stays on to the end of the session, counted; the next login is by the user written."""
    async with Stage(tmp_path, mode="radius") as stage:
        await buy(stage)
        session = on(stage)
        await change_way(stage, "hotspot-user")
        await stage.until(lambda: users(stage), seconds=5, what="the user")
        stage.router.traffic(MAC, bytes_in=1000, bytes_out=2000)
        await stage.until(lambda: used(stage, 3000), seconds=5, what="what it uses counted")
        assert on(stage) == session
        stage.router.disconnect_device(MAC)
        await end(stage)
        stage.router.connect_device(MAC, "10.5.50.11")
        await stage.until_online(seconds=10)
        assert on(stage) != session
        assert not stage.router.active[0].radius
        await stage.until(lambda: closed(stage), seconds=5, what="the session by RADIUS closed")


async def test_from_users_to_radius(tmp_path: Path) -> None:
    """The user goes once nobody is on by it, with all it used counted; the next login is by RADIUS."""
    async with Stage(tmp_path, mode="radius") as stage:
        await change_way(stage, "hotspot-user")
        await buy(stage)
        session = on(stage)
        await change_way(stage, "radius")
        stage.router.traffic(MAC, bytes_in=1000, bytes_out=2000)
        await stage.until(lambda: used(stage, 3000), seconds=5, what="what it uses counted")
        assert on(stage) == session
        assert users(stage)
        stage.router.traffic(MAC, bytes_in=100, bytes_out=200)
        await end(stage)
        await stage.until(lambda: used(stage, 3300), seconds=5, what="what it used last counted")
        await stage.until_online(seconds=10)
        assert stage.router.active[0].radius
        await stage.until(lambda: not users(stage), seconds=5, what="the user gone")


async def test_a_grant_that_ends_after_the_change_is_off(tmp_path: Path) -> None:
    """A session by the old way has no end of its own that the box knows of: the box ends it, either way."""
    for folder, first, second in (("there", "hotspot-user", "radius"), ("back", "radius", "hotspot-user")):
        (tmp_path / folder).mkdir()
        async with Stage(tmp_path / folder, mode="radius") as stage:
            await change_way(stage, first)
            await buy(stage)
            await stage.until_running()
            await change_way(stage, second)
            stage.time.move(3600)
            stage.daemon.parts.access.ended.ring()
            await stage.until(lambda there=stage: not there.router.active, seconds=5, what="off")  # type: ignore[misc]
            await stage.until(lambda there=stage: not users(there), seconds=5, what="no user")  # type: ignore[misc]


async def test_a_box_that_restarts_keeps_everybody_on(tmp_path: Path) -> None:
    """Way by RADIUS: the sessions are the router's, and the box finds them as it left them."""
    async with Stage(tmp_path, mode="radius") as stage:
        await buy(stage)
        session = on(stage)
        await stage.stop_daemon()
        assert on(stage) == session
        await stage.start_daemon()
        seen = len(stage.router.commands_seen)
        await stage.until(lambda: len(stage.router.commands_seen) > seen + 8, seconds=10, what="rounds")
        assert on(stage) == session
        await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
        await stage.pay(OTHER_PHONE)
        await stage.until_online(OTHER_MAC)


async def test_there_and_back_with_somebody_on(tmp_path: Path) -> None:
    """Changed twice under one session: it is the same all the while, and no user stands twice."""
    async with Stage(tmp_path, mode="radius") as stage:
        await change_way(stage, "hotspot-user")
        await buy(stage)
        session = on(stage)
        for way in ("radius", "hotspot-user"):
            await change_way(stage, way)
            seen = len(stage.router.commands_seen)
            await stage.until(
                lambda before=seen: len(stage.router.commands_seen) > before + 12,  # type: ignore[misc]
                seconds=10,
                what="rounds",
            )
            assert on(stage) == session
        assert len(users(stage)) == 1
        stage.router.connect_device(OTHER_MAC, OTHER_ADDRESS)


async def change_way(stage: Stage, mode: str) -> None:
    """The file says otherwise, the router is set to it, and the box starts anew."""
    await stage.stop_daemon()
    stage.mode = mode
    stage._write_config()
    profiles = stage.router.configuration.server_profiles
    profiles.change("hsprof1", {"use-radius": "yes" if mode == "radius" else "no"})
    await stage.start_daemon()


async def buy(stage: Stage) -> None:
    """An hour is bought, and the device on."""
    await stage.buy()
    await stage.pay()
    await stage.until_online()


def on(stage: Stage) -> list[str]:
    """The sessions on the router."""
    return [active.session_id for active in stage.router.active]


async def end(stage: Stage) -> None:
    """The device's session ends on the router, as at an idle time-out."""
    (session,) = stage.router.hotspot.sessions.values()
    stage.router.hotspot.end(session, TerminateCause.IDLE_TIMEOUT)


def users(stage: Stage) -> list[str]:
    """Our users on the router."""
    return [user["name"] for user in stage.router.users if user.get("comment", "").startswith("edge:")]


async def used(stage: Stage, octets: int) -> bool:
    """Whether the books have exactly that much."""
    return await stage.count("grants", f"octets_used = {octets}") == 1


async def closed(stage: Stage) -> bool:
    """Whether no session by RADIUS is open in the books."""
    return not await stage.count("sessions", "stopped_at IS NULL AND acct_session_id NOT LIKE 'edge:%'")
