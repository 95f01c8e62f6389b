"""Sessions nobody said were over: when they are given up, how they are counted, and what takes that back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from easyisp_edge.domain.logins import UsageKind
from tests.unit.services.access.accounting_desk import (
    ROUTER_ON,
    USER,
    AccountingDesk,
    accounting_desk,
    interim,
    start,
    stop,
)
from tests.unit.shop import OTHER_MAC, add_grant

SECOND: dict[str, Any] = {"session_id": "80100002"}


@pytest.fixture
def desk() -> AccountingDesk:
    return accounting_desk()


async def test_a_session_not_heard_of_for_three_intervals_is_given_up(desk: AccountingDesk) -> None:
    """Not a moment before; it counts to the middle of the interval in which it must have ended."""
    await desk.report(start())
    await desk.after(60, interim())
    await desk.silence(180)
    assert not desk.sessions()[0].over
    await desk.silence(1)
    assert desk.sessions() == [(90, 1000, 2000, True, "Lost-Stop", "grant-1")]
    assert desk.used() == (90, 3000)
    assert not desk.presence.is_online(USER)
    ((kind, data),) = desk.events()
    assert (kind, data["cause"], data["seconds"]) == ("session.stopped", "Lost-Stop", 90)


async def test_the_end_that_is_guessed_stands_in_the_books(desk: AccountingDesk) -> None:
    """Not the moment it was found out."""
    await desk.after(60, interim())
    await desk.silence(1000)
    row = desk.sql.execute("SELECT updated_at, stopped_at FROM sessions").fetchone()
    assert row == ("2026-11-21T06:01:00.000Z", "2026-11-21T06:01:30.000Z")


async def test_what_is_heard_of_again_goes_on(desk: AccountingDesk) -> None:
    """As the same session; the guess is taken back, and its real end is told."""
    await desk.after(60, interim())
    await desk.silence(181)
    await desk.after(59, interim(300, 5000))
    assert desk.sessions() == [(300, 5000, 10_000, False, "", "grant-1")]
    assert desk.used() == (300, 15_000)
    assert desk.presence.is_online(USER)
    await desk.after(60, stop(360, 6000))
    assert desk.sessions() == [(360, 6000, 12_000, True, "Session-Timeout", "grant-1")]
    assert desk.used() == (360, 18_000)
    assert [data["seconds"] for _, data in desk.events()] == [90, 360]


@pytest.mark.parametrize("seconds", [60, 66, 75])
async def test_the_late_stop_of_a_session_given_up_takes_the_guess_back(desk: AccountingDesk, seconds: int) -> None:
    """Whether the session was shorter or longer than it was held for."""
    await desk.after(60, interim())
    await desk.after(20, start(**SECOND))
    assert desk.sessions()[0].seconds == 70
    await desk.after(2, stop(seconds, 5000), stop(seconds, 5000))
    first, second = desk.sessions()
    assert first == (seconds, 5000, 10_000, True, "Session-Timeout", "grant-1")
    assert not second.over
    assert desk.used() == (seconds, 15_000)
    assert desk.presence.is_online(USER)
    assert [(data["cause"], data["seconds"]) for _, data in desk.events()] == [
        ("Lost-Stop", 70),
        ("Session-Timeout", seconds),
    ]


async def test_the_stop_of_a_session_given_up_as_silent_is_its_end(desk: AccountingDesk) -> None:
    """Only its reports in between were lost."""
    await desk.after(60, interim())
    await desk.silence(300)
    await desk.report(stop(360, 5000), stop(360, 5000))
    assert desk.sessions() == [(360, 5000, 10_000, True, "Session-Timeout", "grant-1")]
    assert desk.used() == (360, 15_000)


async def test_an_old_report_does_not_bring_back_a_session_given_up(desk: AccountingDesk) -> None:
    """It says nothing about the time since; what it adds to the counters counts all the same."""
    await desk.after(60, interim())
    await desk.after(1, ROUTER_ON)
    await desk.after(2, interim(30, 700), interim(60, 1200))
    assert desk.sessions() == [(60, 1200, 2400, True, "Router-Restart", "grant-1")]
    assert desk.used() == (60, 3600)


async def test_given_up_and_back_many_times_counts_what_was_reported(desk: AccountingDesk) -> None:
    """Whatever was guessed in between leaves nothing."""
    for number in range(1, 20):
        await desk.after(119, interim(300 * number, 100 * number))
        await desk.silence(181)
        assert desk.used()[0] == 300 * number + 30
    await desk.after(60, stop(5760, 5000))
    assert [row.seconds for row in desk.sessions()] == [5760]
    assert desk.used() == (5760, 15_000)


async def test_nobody_is_given_up_who_could_not_be_heard(desk: AccountingDesk) -> None:
    """A daemon that was away for an hour listens for three intervals before it takes silence for an answer."""
    await desk.report(start())
    desk.time.advance(3600)
    service = replace(desk.service, listening_since=desk.clock.now())
    await service.silence_round()
    desk.time.advance(179)
    await service.silence_round()
    assert not desk.sessions()[0].over
    desk.time.advance(1)
    await service.silence_round()
    assert desk.sessions()[0].over


async def test_nobody_is_given_up_because_the_clock_was_set(desk: AccountingDesk) -> None:
    """Silence is measured in time that went by."""
    await desk.report(start())
    desk.time.advance(1000)
    await desk.report(interim(1000))
    desk.clock_is_set(500)
    await desk.silence(100)
    assert not desk.sessions()[0].over
    await desk.silence(81)
    assert desk.sessions()[0].over


@pytest.mark.parametrize("kind", [UsageKind.ROUTER_ON, UsageKind.ROUTER_OFF])
async def test_a_router_that_starts_or_stops_ends_its_sessions(desk: AccountingDesk, kind: UsageKind) -> None:
    """Its own, and nobody else's; who was on there is not on any more."""
    elsewhere = {"router_id": "second", "username": "USER000009", "mac": OTHER_MAC}
    await desk.report(start(**elsewhere))
    await desk.after(60, interim(), interim(username="USER000002", mac=None, **SECOND))
    await desk.after(20, ROUTER_ON._replace(kind=kind))
    assert [(row.over, row.cause, row.seconds) for row in desk.sessions()] == [
        (False, "", 0),
        (True, "Router-Restart", 70),
        (True, "Router-Restart", 70),
    ]
    assert not desk.presence.is_online(USER)
    assert desk.presence.is_online("USER000009")


async def test_a_start_given_up_by_a_word_that_came_too_late_goes_on(desk: AccountingDesk) -> None:
    """The router says it began after its first login was told: the next report puts that right."""
    await desk.report(start(), ROUTER_ON)
    await desk.after(60, interim())
    assert desk.sessions() == [(60, 1000, 2000, False, "", "grant-1")]
    assert desk.presence.is_online(USER)


@pytest.mark.parametrize(("away", "counted"), [(20, 70), (50, 85), (60, 90), (3000, 90)])
async def test_a_device_that_begins_anew_has_ended_the_session_before(
    desk: AccountingDesk, away: int, counted: int
) -> None:
    """On the same router; the older one ended between its last report and that, most likely in the middle."""
    await desk.after(60, interim())
    await desk.after(away, start(**SECOND))
    first, second = desk.sessions()
    assert (first.over, first.cause, first.seconds) == (True, "Lost-Stop", counted)
    assert (second.over, second.seconds) == (False, 0)
    assert desk.presence.is_online(USER)


async def test_a_device_that_began_anew_is_known_by_its_next_report(desk: AccountingDesk) -> None:
    """Where its start was lost: what it says of its length dates it."""
    await desk.after(60, interim())
    await desk.after(100, interim(60, 5, **SECOND))
    assert [(row.over, row.seconds) for row in desk.sessions()] == [(True, 80), (False, 60)]


async def test_a_session_on_another_router_goes_on(desk: AccountingDesk) -> None:
    """Whoever walks from one to the other is not off the first until that says so, or is silent."""
    await desk.after(60, interim())
    await desk.after(20, start(router_id="second", **SECOND))
    assert [row.over for row in desk.sessions()] == [False, False]


async def test_another_device_ends_nobodys_session(desk: AccountingDesk) -> None:
    """Two by one grant are on together."""
    await desk.after(60, interim())
    await desk.after(20, start(mac=OTHER_MAC, **SECOND))
    assert [row.over for row in desk.sessions()] == [False, False]


async def test_a_report_that_was_overtaken_by_the_next_login_only_tells_the_end(desk: AccountingDesk) -> None:
    """Its session stays over; it counts from the later report on, but not into the session that followed."""
    await desk.after(60, interim())
    await desk.after(110, start(**SECOND))
    assert desk.sessions()[0].seconds == 90
    await desk.after(2, interim(120, 1500))
    first, second = desk.sessions()
    assert (first.over, first.octets_in) == (True, 1500)
    assert 120 <= first.seconds <= 150
    assert not second.over
    await desk.after(58, interim(60, 5, **SECOND))
    assert [row.over for row in desk.sessions()] == [True, False]


async def test_two_logins_of_one_device_that_are_both_on_stay_on(desk: AccountingDesk) -> None:
    """One by the hotspot, one by PPPoE: the first is given up when the second begins, and comes back by itself."""
    await desk.after(60, interim())
    await desk.after(10, start(**SECOND))
    for number in range(1, 5):
        await desk.after(50, interim(60 + 60 * number, 2000))
        await desk.after(10, interim(60 * number, 5, **SECOND))
    assert [row[:2] + row[3:4] for row in desk.sessions()] == [(300, 2000, False), (240, 5, False)]
    assert desk.used() == (540, 3 * 2005)


async def test_the_next_grant_of_a_device_takes_the_first_ones_name_off(desk: AccountingDesk) -> None:
    """Who is shown as on is who is on."""
    add_grant(desk.tx, number=2)
    await desk.after(60, interim())
    await desk.after(20, start(username="USER000002", **SECOND))
    assert not desk.presence.is_online(USER)
    assert desk.presence.is_online("USER000002")


@pytest.mark.parametrize("step", [6, 60, 3600, 10 * 365 * 86400])
@pytest.mark.parametrize("late", [0, 50])
async def test_a_session_goes_on_when_the_clock_is_set(desk: AccountingDesk, step: int, late: int) -> None:
    """It is told by its counters then: neither counted twice nor lost."""
    await desk.report(start())
    await desk.after(60, interim(60, 1000))
    desk.clock.state = type(desk.clock.state).UNSET
    desk.time.advance(late)
    desk.clock_is_set(step)
    await desk.after(60 - late, interim(120, 2000))
    await desk.after(60, interim(180, 3000), interim(120, 2000))
    await desk.after(60, stop(240, 4000), stop(240, 4000))
    assert desk.sessions() == [(240, 4000, 8000, True, "Session-Timeout", "grant-1")]
    assert desk.used() == (240, 12_000)


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_comes_again_just_after_the_clock_was_set_is_old(desk: AccountingDesk, *, restarted: bool) -> None:
    """Less than is known, but within the time a router sends things again."""
    await desk.report(start())
    await desk.after(60, interim(60, 1000), *([stop(60, 1000)] if restarted else []))
    desk.clock_is_set(300)
    await desk.after(2, interim(30, 500), start(), *([stop(60, 1000)] if restarted else []))
    assert [row[:2] + row[3:4] for row in desk.sessions()] == [(60, 1000, restarted)]


@pytest.mark.parametrize("over", [False, True])
async def test_an_id_that_comes_round_after_the_clock_was_set_is_new(desk: AccountingDesk, *, over: bool) -> None:
    """What has less than the session before, or is like one whose end is known, is another one."""
    await desk.report(start())
    await desk.after(600, interim(600, 1000), *([stop(610, 1100)] if over else []))
    desk.clock_is_set(300)
    await desk.after(60, interim(20, 500))
    await desk.after(1000, interim(1020, 5000))
    first, second = desk.sessions()
    assert first.over
    assert first.seconds in {610, 630}
    assert second[:2] == (1020, 5000)
