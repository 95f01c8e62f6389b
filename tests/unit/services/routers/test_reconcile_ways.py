"""A device on by another way than the router's present one, or at another router by now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.routers import HotspotHost
from easyisp_edge.services.routers.sessions import SILENT_SECONDS
from tests.unit.services.spot import ONE, Spot
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """A router with users of its own, and a device in sight."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        yield spot


def change_way(spot: Spot, mode: RouterMode) -> None:
    """The box starts anew with another mode in its files."""
    spot.mode = mode
    spot.start_box()


def report(spot: Spot, router_id: str, *, seconds: int, mac: object = MAC, name: str = "81a00001") -> UsageReport:
    """A router reports a session by RADIUS."""
    return UsageReport(
        router_id=router_id,
        kind=UsageKind.INTERIM,
        session_id=name,
        username=ONE,
        grant_id="grant-1",
        mac=mac,  # type: ignore[arg-type]
        address="10.5.50.11",
        seconds=seconds,
        octets_in=0,
        octets_out=0,
        cause="",
        at=spot.books.clock.now(),
    )


async def test_a_user_somebody_is_on_by_goes_after_them(spot: Spot) -> None:
    """Changed to RADIUS: the row stands while it counts, and goes in the round after, with all in the books."""
    await spot.add()
    await spot.round()
    change_way(spot, RouterMode.RADIUS)
    await spot.pass_time(60, octets=10)
    assert await spot.round() == []
    await spot.pass_time(30, octets=10)
    spot.router.end_session(ONE)
    spot.router.radius = True
    assert await spot.round() == [f"remove_user {ONE}", f"login {ONE}"]
    assert spot.used() == (90, 60)


async def test_a_user_nobody_is_on_by_goes_at_once(spot: Spot) -> None:
    """Nothing is left that it would count."""
    await spot.add()
    await spot.round()
    spot.router.end_session(ONE)
    spot.router.hosts.clear()
    change_way(spot, RouterMode.RADIUS)
    assert await spot.round() == [f"remove_user {ONE}"]


async def test_over_is_over_whatever_the_way(spot: Spot) -> None:
    """A user that somebody is on by goes with them when the grant ends."""
    await spot.add()
    await spot.round()
    change_way(spot, RouterMode.RADIUS)
    await spot.round()
    await spot.pass_time(3600)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}"]


async def test_a_session_by_radius_is_counted_where_nobody_reports_it(spot: Spot) -> None:
    """Changed from RADIUS: what the router shows of it goes on in the books, and it is closed when it is gone."""
    await spot.add()
    spot.router.radius = True
    session = spot.router.add_session(ONE, MAC, uptime_seconds=10)
    spot.router.active[session.item_id] = session
    await spot.accounting.account(report(spot, ROUTER, seconds=10))
    spot.books.time.advance(60)
    spot.router.run_session(ONE, 60, 100)
    assert f"logout {ONE}" not in await spot.round()
    assert spot.used() == (70, 300)
    await spot.glance()
    assert spot.used() == (70, 300)
    spot.router.end_session(ONE)
    await spot.round()
    assert [each.acct_session_id for each in spot.books.store.read.sessions.open_on(ROUTER)] == []
    assert spot.used() == (70, 300)


async def test_a_ghost_is_ended(spot: Spot) -> None:
    """Silent here, and begun elsewhere since: it is off here, and not let on here again while it is silent."""
    await spot.add()
    await spot.round()
    spot.books.time.advance(60)
    spot.router.run_session(ONE, 60)
    await spot.accounting.account(report(spot, "second", seconds=5))
    silent(spot, SILENT_SECONDS - 1)
    assert await spot.round() == []
    silent(spot, SILENT_SECONDS)
    assert await spot.round() == [f"logout {ONE}"]
    assert await spot.round() == []


async def test_what_began_later_here_stays(spot: Spot) -> None:
    """The session elsewhere is the older one: that is the ghost, and ended there."""
    await spot.add()
    await spot.accounting.account(report(spot, "second", seconds=500))
    await spot.round()
    spot.books.time.advance(60)
    spot.router.run_session(ONE, 60)
    silent(spot, SILENT_SECONDS * 2)
    assert await spot.round() == []
    assert spot.router.sessions_of(ONE)


async def test_another_device_elsewhere_makes_no_ghost(spot: Spot) -> None:
    """It is the device that went, not the grant."""
    await spot.add()
    await spot.round()
    spot.books.time.advance(60)
    spot.router.run_session(ONE, 60)
    await spot.accounting.account(report(spot, "second", seconds=5, mac=OTHER_MAC))
    silent(spot, SILENT_SECONDS * 2)
    assert await spot.round() == []


def silent(spot: Spot, seconds: int) -> None:
    """The router has not heard the device for so long."""
    for item_id, session in spot.router.active.items():
        spot.router.active[item_id] = replace(session, idle_seconds=seconds)
    spot.router.hosts[MAC] = HotspotHost(MAC, "10.5.50.11", authorized=True, bypassed=False, idle_seconds=seconds)
