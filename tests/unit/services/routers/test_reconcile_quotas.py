"""Data and time online on a router in hotspot-user mode: what its users may come to, and what ends them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.services.routers.wanted_users import OCTETS_SLACK, SURPLUS_PART
from tests.unit.services.spot import ONE, TWO, Spot
from tests.unit.shop import HOUR, MAC, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GIGABYTE = 10**9
DATA = replace(HOUR, package_id="1gb", duration=timedelta(days=30), data_limit=DataVolume(GIGABYTE))
ONLINE = replace(HOUR, package_id="5h", duration=timedelta(days=7), online_time=timedelta(hours=5))


@pytest.fixture
async def spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """A router that is there and empty, with one device in sight."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        yield spot


def left_of(spot: Spot, user: str = ONE) -> int:
    """Data a user on the router may still use, sessions under way left out."""
    found = spot.router.users[user]
    return found.limit_octets - found.octets_in - found.octets_out


async def test_a_data_limit_stands_on_the_user(spot: Spot) -> None:
    """All that was bought at first; rounds over a session that uses it set nothing, since the router counts too."""
    await spot.add(DATA)
    await spot.round()
    assert spot.router.users[ONE].limit_octets == GIGABYTE
    for _ in range(3):
        await spot.pass_time(60, octets=50_000_000)
        assert await spot.round() == []
    spot.router.end_session(ONE)
    assert await spot.round() == [f"login {ONE}"]
    assert left_of(spot) == GIGABYTE - 450_000_000


async def test_no_limit_is_none(spot: Spot) -> None:
    """A package without a data limit has none on the router; one that was put there by hand is taken off."""
    await spot.add()
    await spot.round()
    assert spot.router.users[ONE].limit_octets == 0
    spot.router.users[ONE] = replace(spot.router.users[ONE], limit_octets=5)
    assert await spot.round() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_octets == 0


async def test_a_limit_taken_off_by_hand_is_put_back(spot: Spot) -> None:
    """Counted so far and left, the session that runs included."""
    await spot.add(DATA)
    await spot.round()
    await spot.pass_time(60, octets=100_000_000)
    spot.router.end_session(ONE)
    await spot.round()
    await spot.pass_time(60, octets=10_000_000)
    spot.router.users[ONE] = replace(spot.router.users[ONE], limit_octets=0)
    assert await spot.round() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_octets == GIGABYTE


async def test_used_up_it_ends_and_is_put_off_in_the_same_round(spot: Spot) -> None:
    """Whether the router ended the session or has yet to; the event says why, and it does not come back."""
    await spot.add(DATA)
    await spot.round()
    await spot.pass_time(60, octets=200_000_000)
    await spot.round()
    await spot.pass_time(60, octets=134_000_000)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}"]
    assert spot.state() is GrantState.ENDED
    assert spot.used() == (120, 1_002_000_000)
    assert await spot.round() == []
    (body,) = spot.books.store._database.reading.execute(
        "SELECT CAST(body AS TEXT) FROM events WHERE type = 'grant.ended'"
    ).fetchone()
    assert '"data"' in body


async def test_used_up_over_many_sessions_and_reboots(spot: Spot) -> None:
    """What was seen before a power cut stays used: the limit is reached within what no look saw."""
    await spot.add(DATA)
    served = unseen = 0
    while True:
        spot.router.see(MAC)
        await spot.round()
        for _ in range(3):
            await spot.pass_time(30, octets=10_000_000)
            served += 30_000_000
            await spot.round()
            if not spot.router.sessions_of(ONE):
                break
        else:
            await spot.pass_time(10, octets=1_000_000)
            served, unseen = served + 3_000_000, unseen + 3_000_000
            spot.router.reboot()
            spot.books.time.advance(60)
            await spot.round()
            continue
        break
    assert spot.state() is GrantState.ENDED
    assert spot.used()[1] == served - unseen
    assert GIGABYTE <= served - unseen < GIGABYTE + 30_000_000


async def _use_elsewhere(spot: Spot, octets: int, seconds: int = 60) -> None:
    await spot.accounting.account(
        UsageReport(
            "second", UsageKind.INTERIM, "80000001", ONE, "grant-1", MAC, None, seconds, octets, 0, "", spot.books.now()
        )
    )


async def test_used_on_another_router_it_is_less_here(spot: Spot) -> None:
    """The user here is set to what is left, but not for every little: each time it is a part less."""
    spot.accounting.routers["second"] = spot.accounting.routers["main"]  # type: ignore[index]
    await spot.add(DATA)
    await spot.round()
    spot.router.end_session(ONE)
    spot.router.hosts.clear()
    await spot.round()
    steps = []
    for used in range(0, GIGABYTE - 5_000_000, 5_000_000):
        spot.books.time.advance(30)
        await _use_elsewhere(spot, used, used // 5_000_000 * 30)
        steps += await spot.round()
        left = GIGABYTE - used
        assert left <= left_of(spot) <= left + left // SURPLUS_PART + OCTETS_SLACK
    assert set(steps) == {f"put_user {ONE}"}
    assert len(steps) < 60
    await _use_elsewhere(spot, GIGABYTE, 6000)
    assert await spot.round() == [f"remove_user {ONE}"]


async def test_what_the_router_holds_too_little_is_raised(spot: Spot) -> None:
    """A device that the router refuses while it has something left could never use it."""
    await spot.add(DATA)
    await spot.round()
    await spot.pass_time(60, octets=100_000_000)
    spot.router.end_session(ONE)
    spot.router.users[ONE] = replace(spot.router.users[ONE], limit_octets=300_000_000)
    assert f"put_user {ONE}" in await spot.round()
    assert spot.router.users[ONE].limit_octets == GIGABYTE


async def test_time_online_stands_on_the_user(spot: Spot) -> None:
    """Only what was spent online goes off it; a night without the device costs nothing."""
    await spot.add(ONLINE)
    await spot.round()
    assert spot.router.users[ONE].limit_uptime_seconds == 5 * 3600
    await spot.pass_time(2 * 3600)
    spot.router.end_session(ONE)
    spot.router.hosts.clear()
    await spot.round()
    spot.books.time.advance(10 * 3600)
    assert await spot.round() == []
    found = spot.router.users[ONE]
    assert found.limit_uptime_seconds - found.uptime_seconds == 3 * 3600
    assert spot.state() is GrantState.RUNNING


async def test_time_online_used_up_ends_it(spot: Spot) -> None:
    """In the round that sees it, over all sessions."""
    await spot.add(ONLINE)
    await spot.round()
    for _ in range(4):
        await spot.pass_time(3600)
        spot.router.end_session(ONE)
        assert await spot.round() == [f"login {ONE}"]
    await spot.pass_time(3600)
    spot.router.end_session(ONE)
    assert await spot.round() == [f"remove_user {ONE}"]
    assert spot.state() is GrantState.ENDED
    assert spot.used()[0] == 5 * 3600


async def test_time_online_ends_with_the_clock_at_the_latest(spot: Spot) -> None:
    """What is less holds: the time by the clock, also as it runs out."""
    await spot.add(replace(ONLINE, duration=timedelta(hours=2)))
    await spot.round()
    assert spot.router.users[ONE].limit_uptime_seconds == 2 * 3600
    await spot.pass_time(3600)
    spot.router.end_session(ONE)
    assert await spot.round() == [f"login {ONE}"]
    await spot.pass_time(3600)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}"]


async def test_what_is_shut_is_off_and_comes_back_with_what_is_left(spot: Spot) -> None:
    """At the end of its hours user and session go; when they begin again it may come to what is left by the books."""
    await spot.add(replace(DATA, schedule=Schedule.parse("08:00-10:00")))  # it is nine o'clock in Nairobi
    await spot.round()
    assert spot.router.users[ONE].limit_uptime_seconds == 3600
    await spot.pass_time(3600, octets=100_000_000)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}"]
    await spot.round()
    spot.books.time.advance(22 * 3600)
    assert [step.split()[0] for step in await spot.round()] == ["put_user", "login"]
    assert spot.router.users[ONE].limit_octets == GIGABYTE - 300_000_000
    await spot.pass_time(60, octets=1_000_000)
    await spot.round()
    assert spot.used() == (3660, 303_000_000)


async def test_what_was_set_aside_comes_back_with_what_is_left(spot: Spot) -> None:
    """Switched away from, it is off the router; switched to again, it has its counters."""
    await spot.add(DATA)
    await spot.add(replace(DATA, package_id="2gb", data_limit=DataVolume(2 * GIGABYTE)), number=2)
    await spot.round()
    await spot.pass_time(60, octets=100_000_000)
    await spot.access.switch_to(TENANT, MAC, "grant-2")
    assert {f"remove_user {ONE}", f"logout {ONE}", f"login {TWO}"} <= set(await spot.round())
    assert spot.state(1) is GrantState.PAUSED
    await spot.pass_time(60, TWO, octets=1_000_000)
    await spot.access.switch_to(TENANT, MAC, "grant-1")
    await spot.round()
    await spot.pass_time(60, octets=1_000_000)
    await spot.round()
    assert spot.router.users[ONE].limit_octets == GIGABYTE - 300_000_000
    assert (spot.used(1), spot.used(2)) == ((120, 303_000_000), (60, 3_000_000))
