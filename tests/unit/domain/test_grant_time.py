"""A grant's time: rounded in the customer's favour, running from the first use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.grants import GrantState
from tests.fakes.clocks import START
from tests.unit.shop import HOUR, a_grant

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
    assert waiting.usable_at(START + timedelta(seconds=seconds))


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
    assert running.usable_at(START + timedelta(seconds=after)) == usable


def test_an_ended_grant_lets_nobody_on() -> None:
    """Also where it is ended before its time."""
    ended = a_grant().started(START).ended()
    assert ended.state is GrantState.ENDED
    assert ended.seconds_left_at(START) == 0
    assert not ended.usable_at(START)


@pytest.mark.parametrize(
    ("routers", "valid"), [((), True), (("main",), True), (("other", "main"), True), (("other",), False)]
)
def test_a_package_is_valid_where_it_says(routers: tuple[str, ...], *, valid: bool) -> None:
    """No routers named means all of them."""
    assert replace(HOUR, router_ids=routers).valid_on("main") == valid
