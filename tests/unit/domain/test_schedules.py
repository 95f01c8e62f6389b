"""Hours in which a package may be used, held against a list of every minute of two weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.schedules import WEEKDAYS, Schedule
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

MONDAY = datetime(2026, 11, 23, tzinfo=NAIROBI)
DAY = 24 * 60
FORTNIGHT = 14 * DAY
MINUTE = timedelta(minutes=1)

CLOCKS = st.integers(0, DAY - 1) | st.sampled_from([0, 1, DAY // 2, DAY - 1])
DAYS = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
SCHEDULES = st.builds(Schedule, opens=CLOCKS, closes=CLOCKS | st.just(DAY), days=DAYS)


def open_minutes(schedule: Schedule) -> list[bool]:
    """Of each minute from two days before a Monday until four weeks later, whether it is open; told by counting."""
    is_open = [False] * (2 * DAY + 2 * FORTNIGHT)
    for day in range(2 + 28):
        if (day - 2) % 7 not in schedule.days:
            continue
        at = day * DAY + schedule.opens
        while at < len(is_open):
            is_open[at] = True
            at += 1
            if at % DAY == schedule.closes % DAY:
                break
    return is_open[2 * DAY :]


def at_minute(minute: int) -> datetime:
    return MONDAY + minute * MINUTE


@given(SCHEDULES, st.integers(0, FORTNIGHT - 1), st.integers(0, 59_999_999))
def test_it_is_open_when_counting_says_so(schedule: Schedule, minute: int, microseconds: int) -> None:
    """From the first instant of an hour on and up to its last, whatever time zone is asked in."""
    at = at_minute(minute) + timedelta(microseconds=microseconds)
    assert schedule.is_open(at.astimezone(UTC)) == open_minutes(schedule)[minute]


@settings(max_examples=50)
@given(SCHEDULES, st.integers(0, 16))
def test_every_minute_of_two_weeks(schedule: Schedule, offset: int) -> None:
    """When it is open, when that ends, and when it opens next agree with counting, minute by minute."""
    is_open = open_minutes(schedule)
    closes = next_minutes(is_open, wanted=False)
    opens = next_minutes(is_open, wanted=True)
    changes = [minute for minute in range(1, FORTNIGHT) if is_open[minute] != is_open[minute - 1]]
    for minute in (*changes, *range(offset, FORTNIGHT, 17)):
        at = at_minute(minute)
        found = schedule.closes_at(at)
        if not is_open[minute]:
            assert found is None
        elif all(is_open):
            assert found is not None
            assert timedelta(days=6) <= found - at <= timedelta(days=7)
        else:
            assert found == at_minute(closes[minute])
        assert schedule.opens_at(at) == at_minute(opens[minute])


def next_minutes(is_open: list[bool], *, wanted: bool) -> list[int]:
    """Of each minute, the next that is so, itself included; the end of the list where none is."""
    found, after = [0] * len(is_open), len(is_open)
    for minute in reversed(range(len(is_open))):
        if is_open[minute] is wanted:
            after = minute
        found[minute] = after
    return found


@given(SCHEDULES)
def test_the_edges_are_to_the_instant(schedule: Schedule) -> None:
    """Open at the opening and shut at the closing, and not a microsecond before."""
    opens_at = schedule.opens_at(MONDAY + timedelta(days=1))
    closes_at = schedule.closes_at(opens_at)
    assert closes_at is not None
    instant = timedelta(microseconds=1)
    assert schedule.closes_at(closes_at - instant) is not None
    always = schedule.closes_at(closes_at) is not None
    assert always == all(open_minutes(schedule))
    if not always:
        before = schedule.opens_at(closes_at)
        assert not schedule.is_open(before - instant)
        assert schedule.is_open(before)


@given(SCHEDULES)
def test_it_reads_what_it_writes(schedule: Schedule) -> None:
    """What is stored comes back as it was."""
    assert Schedule.parse(str(schedule)) == schedule


READ = {
    "22:00-06:00": Schedule(22 * 60, 6 * 60),
    "6:00-9:30": Schedule(6 * 60, 9 * 60 + 30),
    " 22:00 - 06:00 ": Schedule(22 * 60, 6 * 60),
    "fri,sat 22:00-06:00": Schedule(22 * 60, 6 * 60, (4, 5)),
    "Sat, fri,Friday 22:00 - 06:00": Schedule(22 * 60, 6 * 60, (4, 5)),
    "mon,tue,wed,thu,fri,sat,sun 00:00-24:00": Schedule(0, DAY),
    "sun 24:00-00:00": Schedule(0, 0, (6,)),
}


@pytest.mark.parametrize(("text", "schedule"), READ.items(), ids=READ.keys())
def test_it_reads_what_people_write(text: str, schedule: Schedule) -> None:
    """Blanks, capitals, whole names of days, any order, midnight at either end."""
    assert Schedule.parse(text) == schedule


@pytest.mark.parametrize(
    "text",
    ["", "night", "22:00", "22-06", "22:00-06:60", "25:00-06:00", "24:01-06:00", "22:0-06:00", "fri 22:00",
     "fry 22:00-06:00", "fri, 22:00-06:00", ",fri 22:00-06:00", "fri;sat 22:00-06:00", "22:00-06:00 fri",
     "frigate 22:00-06:00", "\u0662\u0662:00-06:00", "22:00-06:00, 12:00-13:00"],
)  # fmt: skip
def test_what_is_no_hours_is_refused(text: str) -> None:
    """And says what would be."""
    with pytest.raises(InvalidError, match=r"such as|no clock shows"):
        Schedule.parse(text)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    """Friday's night goes on until Saturday morning; Saturday's own morning is not in it."""
    friday_night = Schedule.parse("fri 22:00-06:00")
    friday = MONDAY + timedelta(days=4)
    assert not friday_night.is_open(friday + timedelta(hours=5))
    assert friday_night.closes_at(friday + timedelta(hours=23)) == friday + timedelta(hours=30)
    assert friday_night.closes_at(friday + timedelta(hours=29)) == friday + timedelta(hours=30)
    assert friday_night.opens_at(friday + timedelta(hours=30)) == friday + timedelta(days=7, hours=22)


def test_days_without_a_gap_are_one_opening() -> None:
    """A weekend of whole days is not shut at midnight in between."""
    weekend = Schedule.parse("sat,sun 00:00-24:00")
    saturday = MONDAY + timedelta(days=5)
    assert weekend.closes_at(saturday + timedelta(hours=1)) == saturday + timedelta(days=2)
    assert weekend.opens_at(MONDAY) == saturday


def test_what_is_always_open_closes_a_week_ahead_at_most() -> None:
    """A session is no longer than that, and begins anew."""
    always = Schedule.parse("06:00-06:00")
    closes_at = always.closes_at(MONDAY)
    assert closes_at is not None
    assert closes_at <= MONDAY + timedelta(days=len(WEEKDAYS))
