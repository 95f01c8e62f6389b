"""A grant's time begins and ends, stands still and goes on; routers are told when something is to be done there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import UsageKind
from easyisp_edge.domain.schedules import Schedule
from tests.unit.services.gate import Gate
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.sessions import Session

NIGHT = replace(HOUR, package_id="night", duration=timedelta(days=7), schedule=Schedule.parse("22:00-06:00"))
FAMILY = replace(HOUR, package_id="family", devices_max=2)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Nobody has bought anything yet."""
    async with open_books(tmp_path) as books:
        yield Gate(books)


async def test_the_end_round_ends_what_is_over(gate: Gate) -> None:
    """Once, with the routers of that tenant told; it gives the time until the next end."""
    first = await gate.add(number=1)
    second = await gate.add(number=2)
    await gate.access.started(first)
    gate.books.time.advance(600)
    await gate.access.started(second)
    assert await gate.access.end_round() == pytest.approx(3000.0)
    assert await gate.rung() == set()
    gate.books.time.advance(3000)
    assert await gate.access.end_round() == pytest.approx(600.0)
    assert gate.grant("grant-1").state is GrantState.ENDED
    assert gate.grant("grant-2").state is GrantState.RUNNING
    assert await gate.rung() == {ROUTER, "second"}
    await gate.access.end_round()
    assert await gate.rung() == set()
    gate.books.time.advance(600)
    assert await gate.access.end_round() is None
    assert gate.books.events().count("grant.ended") == 2


async def test_a_waiting_grant_never_ends(gate: Gate) -> None:
    """Its time does not run."""
    await gate.add()
    gate.books.time.advance(10**8)
    assert await gate.access.end_round() is None
    assert gate.grant().state is GrantState.WAITING


async def test_a_start_rings_for_the_round_of_ends(gate: Gate) -> None:
    """The next end may be sooner than what it waits for."""
    grant = await gate.add()
    await gate.access.started(grant)
    assert await gate.access.ended.wait(gate.books.clock, 0)
    await gate.access.started(gate.grant())
    assert not await gate.access.ended.wait(gate.books.clock, 0)


async def test_a_start_rings_for_who_wrote_the_login_elsewhere(gate: Gate) -> None:
    """Once: what bounds it there is its end from now on."""
    grant = await gate.add()
    await gate.access.started(grant)
    assert await gate.access.begun.wait(gate.books.clock, 0)
    await gate.access.started(gate.grant())
    assert not await gate.access.begun.wait(gate.books.clock, 0)


async def test_a_start_that_is_learnt_of_late_counts_from_then(gate: Gate) -> None:
    """The hour runs from when the device came on; what is over by now is ended by the next round."""
    grant = await gate.add()
    bought = gate.books.now()
    gate.books.time.advance(3000)
    await gate.access.started(grant, bought)
    assert gate.grant().started_at == bought
    assert gate.grant().ends_at == bought + timedelta(hours=1)
    gate.books.time.advance(600)
    await gate.access.end_round()
    assert gate.grant().state is GrantState.ENDED


async def test_what_was_set_aside_goes_on_from_now(gate: Gate) -> None:
    """Also where its device's session is only learnt of late: what that used before was counted then."""
    grant = await gate.run()
    gate.books.time.advance(600)
    await gate.run(number=2, mac=OTHER_MAC)
    await gate.add(number=3)
    before = gate.books.now()
    await gate.access.switch_to("default", MAC, "grant-3")
    gate.books.time.advance(60)
    await gate.access.started(gate.grant(), before - timedelta(minutes=5))
    assert gate.grant().ends_at == gate.books.now() + timedelta(seconds=3000)
    assert gate.grant().started_at == grant.started_at


async def test_an_end_is_told_once_however_it_is_found(gate: Gate) -> None:
    """Both by the clock and by the time that several devices used online."""
    package = replace(FAMILY, online_time=timedelta(minutes=50))
    grant = await gate.run(package)
    for mac in (MAC, OTHER_MAC):
        await gate.report(grant, mac)
    gate.books.time.advance(3600)
    await gate.access.end_round()
    assert gate.books.events().count("grant.ended") == 1


# Hours


async def test_routers_are_told_when_hours_begin_and_end(gate: Gate) -> None:
    """All of the tenant's, once at each; in between there is nothing to do, and the next round is at the change."""
    await gate.run(NIGHT)
    gate.at(21)
    assert await gate.access.hours_round() == 3600
    assert await gate.rung() == set()
    gate.books.time.advance(3600)
    assert await gate.access.hours_round() == 8 * 3600
    assert await gate.rung() == {ROUTER, "second", "foreign"}
    gate.books.time.advance(3600)
    assert await gate.access.hours_round() == 7 * 3600
    assert await gate.rung() == set()
    gate.books.time.advance(7 * 3600)
    assert await gate.access.hours_round() == 16 * 3600
    assert await gate.rung() == {ROUTER, "second", "foreign"}


async def test_a_box_that_starts_within_hours_tells_its_routers(gate: Gate) -> None:
    """They may have begun while it was off."""
    await gate.add(NIGHT)
    gate.at(23)
    await gate.access.hours_round()
    await gate.rung()
    gate.restart()
    await gate.access.hours_round()
    assert await gate.rung() == {ROUTER, "second", "foreign"}


async def test_without_hours_there_is_no_round_to_wait_for(gate: Gate) -> None:
    """Nor for those of packages of which nobody has anything left."""
    await gate.run()
    assert await gate.access.hours_round() is None
    await gate.run(NIGHT, number=2)
    gate.books.time.advance(8 * 24 * 3600)
    await gate.access.end_round()
    assert await gate.access.hours_round() is None
    assert await gate.rung() == {ROUTER, "second"}  # told of the ends alone


# Who may stay


def the_session(gate: Gate, grant_id: str = "grant-1") -> Session:
    (session,) = gate.books.store.read.sessions.open_of_grant(grant_id)
    return session


async def test_a_device_may_stay_while_its_grant_lasts(gate: Gate) -> None:
    """To the second, and no longer."""
    grant = await gate.run()
    await gate.report(grant, MAC)
    gate.books.time.advance(3599)
    assert gate.access.may_stay(the_session(gate))
    gate.books.time.advance(1)
    assert not gate.access.may_stay(the_session(gate))


async def test_a_device_may_stay_within_hours(gate: Gate) -> None:
    """At closing it goes, though days are left."""
    gate.at(23)
    grant = await gate.run(NIGHT)
    await gate.report(grant, MAC)
    assert gate.access.may_stay(the_session(gate))
    gate.at(6)
    assert not gate.access.may_stay(the_session(gate))


async def test_a_device_whose_grant_was_set_aside_goes(gate: Gate) -> None:
    """And comes on by the other one."""
    grant = await gate.run()
    await gate.report(grant, MAC)
    await gate.add(number=2)
    await gate.access.switch_to("default", MAC, "grant-2")
    assert not gate.access.may_stay(the_session(gate))


async def test_a_device_that_a_grant_has_left_goes(gate: Gate) -> None:
    """Unless it is one of several that it serves."""
    for number, package, stays in ((1, HOUR, False), (2, FAMILY, True)):
        grant = await gate.run(package, number=number, mac=OTHER_MAC)
        await gate.report(grant, MAC)
        assert gate.access.may_stay(the_session(gate, grant.grant_id)) == stays


async def test_who_nobody_knows_is_left_alone(gate: Gate) -> None:
    """Somebody else let them on."""
    grant = await gate.run()
    await gate.report(grant, MAC)
    assert gate.access.may_stay(the_session(gate)._replace(grant_id=None))
    assert gate.access.may_stay(the_session(gate)._replace(grant_id="grant-9"))


# Time online, shared


async def test_time_online_that_two_devices_use_ends_when_its_sum_is_used_up(gate: Gate) -> None:
    """Each was let on for all of it; together they use it twice as fast, and are put off within a minute."""
    package = replace(FAMILY, duration=timedelta(days=7), online_time=timedelta(hours=1))
    grant = await gate.run(package)
    for mac in (MAC, OTHER_MAC):
        await gate.report(grant, mac)
    began = gate.books.now()
    while gate.grant().state is not GrantState.ENDED:
        wait = await gate.access.end_round()
        online = int((gate.books.now() - began).total_seconds())
        if online and online % 300 == 0 and gate.grant().state is GrantState.RUNNING:
            for mac in (MAC, OTHER_MAC):
                await gate.report(grant, mac, UsageKind.INTERIM, online)
        await gate.rung()
        if gate.grant().state is not GrantState.ENDED:
            gate.books.time.advance(30 if wait is None else min(30, max(1, wait)))
    used_seconds = 2 * (gate.books.now() - began).total_seconds()
    assert 3600 <= used_seconds <= 3660
    assert not gate.access.may_stay(the_session_on(gate, MAC))


def the_session_on(gate: Gate, mac: object) -> Session:
    return next(each for each in gate.books.store.read.sessions.open_of_grant("grant-1") if each.mac == mac)


async def test_time_online_that_one_device_uses_is_left_to_its_router(gate: Gate) -> None:
    """It puts the device off to the second; a guess from here would cut it short."""
    package = replace(HOUR, duration=timedelta(days=7), online_time=timedelta(hours=1))
    grant = await gate.run(package)
    await gate.report(grant, MAC)
    gate.books.time.advance(3700)
    await gate.access.end_round()
    assert gate.grant().state is GrantState.RUNNING
    await gate.report(grant, MAC, UsageKind.STOP, 3600)
    assert gate.grant().state is GrantState.ENDED


async def test_devices_that_are_silent_are_not_counted_for_ever(gate: Gate) -> None:
    """What their reports say is made up for; of a router that is cut off nobody knows whether it serves them."""
    package = replace(FAMILY, duration=timedelta(days=7), online_time=timedelta(hours=1))
    grant = await gate.run(package)
    for mac in (MAC, OTHER_MAC):
        await gate.report(grant, mac)
    gate.books.time.advance(6 * 3600)
    await gate.access.end_round()
    assert gate.grant().state is GrantState.RUNNING
