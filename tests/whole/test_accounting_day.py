"""A day of more than forty sessions by one grant: what was bought, what the router served and what the books say."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from easyisp_edge.domain.values import DataVolume
from easyisp_edge.lab.mikrotik.sessions import TerminateCause
from tests.unit.shop import HOUR
from tests.whole.accounting_stage import INTERIM_SECONDS, a_day

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.lab.mikrotik.sessions import Session
    from tests.whole.accounting_stage import Day

MAC = "34:12:F9:8A:21:4C"
OCTETS_PER_SECOND = 400_000
SESSIONS_MAX = 70
FIVE_HOURS = replace(
    HOUR,
    package_id="online",
    online_time=timedelta(hours=5),
    data_limit=DataVolume(10**11),
    duration=timedelta(days=2),
)
EIGHT_GIGABYTES = replace(
    FIVE_HOURS, package_id="data", data_limit=DataVolume(8 * 10**9), online_time=timedelta(hours=9)
)
TWENTY_HOURS = replace(HOUR, package_id="clock", duration=timedelta(hours=20))


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, by the number of the session.

    Args:
        stops_lost: Whose end is told into the void.
        power_cuts: Those that a power cut ends.
        same_ids: Whether the router names its sessions the same after each boot; else its ids come round by the 16th.
    """

    stops_lost: AbstractSet[int]
    power_cuts: AbstractSet[int]
    same_ids: bool


class Balance(NamedTuple):
    """The day in figures.

    Args:
        seconds_served: On the router, really.
        octets_served: The same.
        seconds: As the books say.
        octets: The same.
        unheard: Sessions whose end nobody told.
    """

    seconds_served: float
    octets_served: int
    seconds: int
    octets: int
    unheard: int


BAD = Trouble(frozenset({19}), frozenset({28}), same_ids=False)
BAD_WITH_ONE_NAME = replace(BAD, same_ids=True)
TERRIBLE = Trouble(frozenset(range(0, 99, 3)), frozenset(range(1, 99, 3)), same_ids=True)


async def live_a_day(day: Day, trouble: Trouble) -> None:
    """Go on and off until the box refuses: the router loses its power before every other login, the box twice."""
    for number in range(SESSIONS_MAX):
        if number % 2:
            await day.cut_power(same_ids=trouble.same_ids)
        await day.clock.advance(day.draw.uniform(30, 2000))
        session = await day.log_in(MAC)
        if session is None:
            break
        if number in {14, 33}:
            await day.restart_box(power_cut=number == 33)
        await be_on(day, day.draw.uniform(120, 720))
        if MAC in day.lab.hotspot.sessions:
            await go_off(day, session, trouble, number)
    else:
        pytest.fail("the box never refused")
    await day.clock.advance(10 * INTERIM_SECONDS)


async def be_on(day: Day, seconds: float) -> None:
    """Use the line for so long, or until the router puts the device off."""
    end = day.clock.monotonic() + seconds
    while MAC in day.lab.hotspot.sessions and (left := end - day.clock.monotonic()) > 0:
        spent = min(10.0, left)
        await day.clock.advance(spent)
        octets = round(spent * OCTETS_PER_SECOND / 4)
        day.lab.traffic(MAC, octets, 3 * octets)


async def go_off(day: Day, session: Session, trouble: Trouble, number: int) -> None:
    """End a session in one of three ways."""
    if number in trouble.power_cuts:
        await day.cut_power(same_ids=trouble.same_ids)
        return
    assert day.box is not None
    day.box.wire.deaf = number in trouble.stops_lost
    day.lab.hotspot.end(session, TerminateCause.USER_REQUEST)
    await day.clock.advance(3)
    day.box.wire.deaf = False


def balance(day: Day) -> Balance:
    """Hold each session against the books, and add them up."""
    rows = day.sql.execute(
        "SELECT acct_session_id, seconds, octets_in + octets_out, cause, stopped_at IS NOT NULL, grant_id"
        " FROM sessions ORDER BY started_at"
    ).fetchall()
    assert len(rows) == len(day.served) >= 40
    for (name, seconds, octets, cause, over, grant_id), (session, really) in zip(rows, day.served, strict=True):
        assert (name, bool(over), grant_id) == (session.acct_id, True, "grant-1")
        unheard = cause in {"Lost-Stop", "Router-Restart"}
        assert abs(seconds - really) <= (INTERIM_SECONDS / 2 + 1 if unheard else 1)
        missed = session.bytes_in + session.bytes_out - octets
        assert 0 <= missed <= (INTERIM_SECONDS * 1.2 * OCTETS_PER_SECOND if unheard else 0)
    used = day.sql.execute("SELECT seconds_used, octets_used FROM grants").fetchone()
    assert used == (sum(row[1] for row in rows), sum(row[2] for row in rows))
    return Balance(
        seconds_served=sum(really for _, really in day.served),
        octets_served=sum(session.bytes_in + session.bytes_out for session, _ in day.served),
        seconds=used[0],
        octets=used[1],
        unheard=sum(row[3] in {"Lost-Stop", "Router-Restart"} for row in rows),
    )


async def a_whole_day(package: Package, trouble: Trouble, seed: int) -> tuple[Day, Balance]:
    """Live through it and draw the balance; the grant is over then."""
    async with a_day(package, random.Random(seed)) as day:
        await live_a_day(day, trouble)
        grant = day.tx.grants.by_id("grant-1")
        assert grant is not None
        assert grant.state.value == "ended"
        return day, balance(day)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trouble", [BAD, BAD_WITH_ONE_NAME])
async def test_time_online_is_served_as_bought(trouble: Trouble, seed: int) -> None:
    """To the minute over a day, with the ends of two sessions lost: served, bought, and in the books."""
    _, day = await a_whole_day(FIVE_HOURS, trouble, seed)
    bought = 5 * 3600
    assert day.unheard == 2
    assert abs(day.seconds_served - bought) <= 60
    assert abs(day.seconds - bought) <= 60
    assert abs(day.seconds - day.seconds_served) <= 60
    assert 0 <= day.octets_served - day.octets <= day.unheard * INTERIM_SECONDS * OCTETS_PER_SECOND


@pytest.mark.parametrize("seed", range(3))
async def test_data_is_served_as_bought(seed: int) -> None:
    """Never less than was bought; more by what no report told of, at most an interval's worth for each end lost."""
    _, day = await a_whole_day(EIGHT_GIGABYTES, BAD, seed)
    unseen = day.unheard * INTERIM_SECONDS * OCTETS_PER_SECOND
    at_once = 10 * OCTETS_PER_SECOND  # what a device moves before the router looks at its limit
    assert 0 <= day.octets_served - 8 * 10**9 <= unseen + at_once
    assert 0 <= day.octets_served - day.octets <= unseen


@pytest.mark.parametrize("seed", range(3))
async def test_time_by_the_clock_is_served_as_bought(seed: int) -> None:
    """Whatever gets lost: it ends that long after it began; the books say what was used of it, to the minute.

    Half a second of each session is nowhere: a router tells whole ones.
    """
    day, sums = await a_whole_day(TWENTY_HOURS, BAD, seed)
    first, last = day.served[0][0], day.served[-1]
    on_for = last[0].started + last[1] - first.started
    assert on_for <= 20 * 3600 + 1
    assert abs(sums.seconds - sums.seconds_served) <= 60 + len(day.served) / 2


async def test_where_most_ends_are_lost_the_errors_even_out() -> None:
    """Two of three, under names that come round at once: no session is lost, doubled or joined to another.

    Each lost end costs half an interval at most, some too much and some too little: over four days the sum is within
    three deviations of nought. What nobody told of data is for the customer.
    """
    days = [(await a_whole_day(FIVE_HOURS, TERRIBLE, seed))[1] for seed in range(4)]
    for day in days:
        assert day.unheard >= 25
        assert abs(day.seconds - day.seconds_served) <= day.unheard * INTERIM_SECONDS / 2
        assert day.seconds >= 5 * 3600
        assert 0 <= day.octets_served - day.octets <= day.unheard * INTERIM_SECONDS * OCTETS_PER_SECOND
    error = sum(day.seconds - day.seconds_served for day in days)
    deviation = INTERIM_SECONDS * (sum(day.unheard for day in days) / 12) ** 0.5
    assert abs(error) <= 3 * deviation
