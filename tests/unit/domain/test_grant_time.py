"""A grant's time: rounded in the customer's favour, running from the first use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.grants import Admission, GrantState, letting_on
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from tests.fakes.clocks import START
from tests.unit.shop import HOUR, MAC, OTHER_MAC, a_grant, admission_of

WEEK = replace(HOUR, duration=timedelta(days=7))
ONLINE = replace(WEEK, online_time=timedelta(hours=3))
DATA = replace(HOUR, data_limit=DataVolume(1000))
NIGHT = replace(WEEK, schedule=Schedule.parse("22:00-06:00"))  # START is nine in the morning there


MICROSECONDS = st.integers(0, 2 * 3600 * 10**6)


@given(MICROSECONDS)
def test_time_left_is_rounded_up_and_never_negative(passed: int) -> None:
    """Nobody is cut short by a fraction of a second, and nobody owes time."""
    running = a_grant(seconds_left=3600).started(START)
    left = running.seconds_left_at(START + timedelta(microseconds=passed))
    exact = 3600 - passed / 10**6
    assert left == 0 if exact <= 0 else 0 <= left - exact < 1


@given(MICROSECONDS, MICROSECONDS)
def test_time_left_only_shrinks(one: int, other: int) -> None:
    """Later is never more."""
    running = a_grant().started(START)
    earlier, later = sorted((one, other))
    assert running.seconds_left_at(START + timedelta(microseconds=earlier)) >= running.seconds_left_at(
        START + timedelta(microseconds=later)
    )


@given(st.integers(0, 10**8))
def test_no_time_runs_before_the_first_use(seconds: int) -> None:
    """A waiting grant keeps all that was bought, however long it waits."""
    waiting = a_grant(seconds_left=3600)
    assert waiting.seconds_left_at(START + timedelta(seconds=seconds)) == 3600
    assert admission_of(waiting).usable_at(START + timedelta(seconds=seconds))


def test_it_runs_from_the_first_use() -> None:
    """The end is the start and what was bought."""
    first_use = START + timedelta(days=3)
    running = a_grant(seconds_left=3600).started(first_use)
    assert running.state is GrantState.RUNNING
    assert (running.started_at, running.ends_at) == (first_use, first_use + timedelta(hours=1))
    assert running.seconds_left_at(first_use) == 3600


@pytest.mark.parametrize(("after", "usable"), [(0, True), (3599, True), (3600, False), (3601, False)])
def test_it_is_usable_until_its_end(after: int, *, usable: bool) -> None:
    """Up to the very second, not in it."""
    running = a_grant(seconds_left=3600).started(START)
    assert admission_of(running).usable_at(START + timedelta(seconds=after)) == usable


def test_an_ended_grant_lets_nobody_on() -> None:
    """Also where it is ended before its time."""
    ended = a_grant().started(START).ended(START)
    assert ended.state is GrantState.ENDED
    assert ended.seconds_left_at(START) == 0
    assert not admission_of(ended).usable_at(START)


@given(st.integers(1, 10**7), st.integers(0, 10**10), st.integers(0, 10**10))
def test_what_is_set_aside_keeps_its_time(seconds: int, used_milliseconds: int, aside: int) -> None:
    """Rounded up to whole seconds, for however long; once nothing is left, nothing comes back."""
    running = a_grant(seconds_left=seconds).started(START)
    paused_at = START + timedelta(milliseconds=used_milliseconds)
    paused = running.paused(paused_at)
    exact = seconds - used_milliseconds / 1000
    assert paused.state is GrantState.PAUSED
    assert 0 <= paused.seconds_left - max(exact, 0) < 1
    later = paused_at + timedelta(milliseconds=aside)
    assert paused.seconds_left_at(later) == paused.seconds_left
    assert admission_of(paused).usable_at(later) == (paused.seconds_left > 0)
    again = paused.started(later)
    assert again.started_at == START
    assert again.ends_at == later + timedelta(seconds=paused.seconds_left)


@given(st.integers(0, 7 * 86_400), st.integers(0, 4 * 3600))
def test_time_online_and_time_by_the_clock_run_out_whichever_is_first(passed: int, used: int) -> None:
    """What is left is the lesser of the two; with either gone, nobody is let on."""
    running = replace(a_grant(seconds_left=7 * 86_400).started(START), seconds_used=used)
    now, held = START + timedelta(seconds=passed), admission_of(running, ONLINE)
    left = max(0, min(7 * 86_400 - passed, 3 * 3600 - used))
    assert held.seconds_left_at(now) == left
    assert held.session_seconds_at(now) == left
    assert held.usable_at(now) == (left > 0)


@given(st.integers(0, 2000))
def test_data_left_is_what_was_bought_less_what_was_used(used: int) -> None:
    """Never below nought, and at nought it is over."""
    held = admission_of(replace(a_grant(), octets_used=used), DATA)
    assert held.data_left == DataVolume(max(0, 1000 - used))
    assert held.usable_at(START) == (used < 1000)
    assert admission_of(replace(a_grant(), octets_used=used)).data_left is None


def test_a_session_ends_with_the_hours_at_the_latest() -> None:
    """None begins while it is shut, though there is much left."""
    held = admission_of(a_grant(seconds_left=7 * 86_400).started(START), NIGHT)
    assert held.usable_at(START)
    assert not held.open_at(START)
    assert held.session_seconds_at(START) == 0
    assert held.session_seconds_at(START + timedelta(hours=13)) == 8 * 3600
    assert held.session_seconds_at(START + timedelta(hours=20, seconds=59.5)) == 3541


@pytest.mark.parametrize(
    ("bound", "asked", "devices_max", "served"),
    [(MAC, MAC, 1, True), (MAC, OTHER_MAC, 1, False), (None, MAC, 1, True), (MAC, None, 1, True),
     (MAC, OTHER_MAC, 2, True)],
)  # fmt: skip
def test_whom_a_grant_serves(bound: object, asked: object, devices_max: int, *, served: bool) -> None:
    """Its own device, any where it names none or may have several, and one that its router does not tell."""
    held = admission_of(a_grant(mac=bound), replace(HOUR, devices_max=devices_max))
    assert held.serves(asked) == served  # type: ignore[arg-type]


def names(*held: Admission) -> list[str]:
    return [each.grant_id for each in letting_on(held, START)]


def test_what_lets_on_is_what_is_left_open_and_next() -> None:
    """What is over or shut does not; what was set aside does once nothing else of its device runs."""
    running = admission_of(a_grant(grant_id="running").started(START))
    paused = admission_of(a_grant(grant_id="paused").started(START).paused(START))
    others = admission_of(a_grant(grant_id="other's", mac=OTHER_MAC).started(START))
    over = admission_of(a_grant(grant_id="over").started(START - timedelta(hours=1)))
    shut = admission_of(a_grant(grant_id="shut").started(START), NIGHT)
    waiting = admission_of(a_grant(grant_id="waiting"))
    assert names(running, paused, others, over, shut, waiting) == ["running", "other's", "waiting"]
    assert names(paused, others, over, shut) == ["paused", "other's"]


def test_what_is_of_no_device_waits_for_none() -> None:
    """Set aside by a hand, say: nothing says that two without a device are one's."""
    running = admission_of(a_grant(grant_id="running", mac=None).started(START))
    paused = admission_of(a_grant(grant_id="paused", mac=None).started(START).paused(START))
    assert names(running, paused) == ["running", "paused"]


@pytest.mark.parametrize(
    ("routers", "valid"), [((), True), (("main",), True), (("other", "main"), True), (("other",), False)]
)
def test_a_package_is_valid_where_it_says(routers: tuple[str, ...], *, valid: bool) -> None:
    """No routers named means all of them."""
    assert replace(HOUR, router_ids=routers).valid_on("main") == valid
