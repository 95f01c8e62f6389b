"""A session adds up what is reported of it, and what is guessed of its end can be taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.sessions import RESTARTED, SILENT, Session, spoken_of
from easyisp_edge.domain.values import MacAddress

BEGAN = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
NEVER_SET = datetime(2026, 11, 1, tzinfo=UTC)
MAC, OTHER_MAC = MacAddress("AA:BB:CC:00:00:01"), MacAddress("AA:BB:CC:00:00:02")
INTERIM = timedelta(seconds=60)
REPORT = UsageReport("main", UsageKind.INTERIM, "80100001", "USER", None, MAC, None, 0, 0, 0, "")

COUNTS = st.integers(0, 2**64 - 1)
REPORTS = st.builds(
    lambda kind, seconds, into, out: REPORT._replace(kind=kind, seconds=seconds, octets_in=into, octets_out=out),
    st.sampled_from([UsageKind.START, UsageKind.INTERIM, UsageKind.STOP]),
    st.integers(0, 2**32 - 1),
    COUNTS,
    COUNTS,
)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def an_interim(seconds: int, octets: int = 0) -> UsageReport:
    return REPORT._replace(seconds=seconds, octets_in=octets, octets_out=octets)


def a_session(seconds: int = 600, octets: int = 1000) -> Session:
    """One that was last heard of after so many seconds."""
    return Session.begun(an_interim(seconds, octets), None, after(seconds))


@given(REPORTS, st.lists(REPORTS, max_size=6))
def test_counters_only_grow(first: UsageReport, more: list[UsageReport]) -> None:
    """Whatever is reported, in whatever order; and they stay numbers that a column holds."""
    session = Session.begun(first, None, BEGAN)
    for report in more:
        told = session.told(report, BEGAN)
        assert told.seconds >= session.seconds
        assert 2**63 > told.octets_in >= session.octets_in
        assert 2**63 > told.octets_out >= session.octets_out
        assert told.octets_counted >= session.octets_counted
        assert told.is_over or not session.is_over
        session = told


@given(REPORTS, REPORTS, st.booleans())
def test_what_is_told_twice_is_told_once(first: UsageReport, report: UsageReport, given_up: bool) -> None:  # noqa: FBT001 - drawn
    """A repeat changes nothing, whatever state the session is in."""
    session = Session.begun(first, None, BEGAN)
    if given_up and not session.is_over:
        session = session.given_up(after(300), INTERIM, SILENT)
    told = session.told(report, after(1))
    assert told.told(report, after(2)) == told


@given(st.integers(0, 10**6), st.floats(-100, 10_000), st.sampled_from([SILENT, RESTARTED]))
def test_a_guess_can_be_taken_back(seconds: int, found_over: float, cause: str) -> None:
    """It is at most half an interval, never beyond when the session was found to be over, and leaves no trace."""
    session = a_session(seconds)
    over = session.given_up(after(seconds + found_over), INTERIM, cause)
    assert over.was_given_up
    assert not over.is_over
    assert 0 <= over.seconds - session.seconds <= min(30, max(0, found_over))
    assert over.stopped_at == session.updated_at + timedelta(seconds=over.seconds - session.seconds)
    assert over.as_reported == session


def test_guesses_are_right_on_the_whole() -> None:
    """Ends that fall anywhere: over a thousand of them the error is seconds each way, not minutes one way."""
    draw, error = Random(1), 0.0
    for _ in range(1000):
        ends, unseen = draw.randrange(1, 2000), draw.uniform(0, 300)
        heard = ends - ends % 60
        over = a_session(heard).given_up(after(ends + unseen), INTERIM, SILENT)
        assert abs(over.seconds - ends) <= 30 + 30
        error += over.seconds - ends
    assert abs(error) < 1000 * 3


@pytest.mark.parametrize(("late", "same"), [(0, True), (14, True), (29, True), (31, False), (600, False)])
def test_a_start_is_of_a_session_that_began_then(late: int, same: bool) -> None:  # noqa: FBT001 - from the table
    """A router resends for seconds; after a minute it has been started anew and begins to count again."""
    session = Session.begun(REPORT._replace(kind=UsageKind.START), None, BEGAN)
    assert session.is_of(REPORT._replace(kind=UsageKind.START), after(late), NEVER_SET) is same


@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 30))
def test_a_report_on_time_is_of_its_session(known: int, seconds: int, late: int) -> None:
    """However old or new what is known of it, and if it took half a minute to come."""
    assert a_session(known).is_of(an_interim(seconds), after(seconds + late), NEVER_SET)


@given(st.integers(0, 10**5), st.integers(31, 10**5), st.integers(0, 10**5))
def test_a_report_of_a_later_session_is_not(known: int, pause: int, seconds: int) -> None:
    """One that began when a router could be back."""
    assert not a_session(known).is_of(an_interim(seconds), after(known + pause + seconds), NEVER_SET)


def test_another_device_has_another_session() -> None:
    """Whatever the names; where the router does not say which device, the names decide."""
    session = a_session()
    assert not session.is_of(an_interim(660)._replace(mac=OTHER_MAC), after(660), NEVER_SET)
    assert session.is_of(an_interim(660)._replace(mac=None), after(660), NEVER_SET)


def test_of_several_the_one_that_began_then_is_spoken_of() -> None:
    """An old packet of the session before the reboot is not counted to the one after it."""
    before = a_session(600)._replace(session_id=1)
    later = Session.begun(an_interim(5), None, after(650))._replace(session_id=2)
    assert spoken_of([later, before], an_interim(590), after(651), NEVER_SET) == before
    assert spoken_of([later, before], an_interim(10), after(655), NEVER_SET) == later
    assert spoken_of([later, before], an_interim(10), after(1000), NEVER_SET) is None
    assert spoken_of([], an_interim(10), after(1000), NEVER_SET) is None


@pytest.mark.parametrize(
    ("seconds", "octets", "since_set", "same"),
    [(660, 1000, 100, True), (600, 1000, 100, True), (590, 5000, 100, False), (660, 999, 100, False), (0, 0, 20, True)],
)
def test_where_the_clock_was_set_counters_tell(seconds: int, octets: int, since_set: int, same: bool) -> None:  # noqa: FBT001 - from the table
    """A session goes on where nothing of it has become less; just after, less is only late."""
    set_at = after(10**6)
    at = set_at + timedelta(seconds=since_set)
    assert a_session().is_of(an_interim(seconds, octets), at, set_at) is same


def test_where_the_clock_was_set_what_is_over_is_over() -> None:
    """More under its names is a session that came after."""
    set_at = after(10**6)
    over = a_session().told(an_interim(600, 1000)._replace(kind=UsageKind.STOP), after(600))
    assert not over.is_of(an_interim(660, 2000), set_at + timedelta(seconds=100), set_at)


def test_a_report_from_before_the_clock_was_set_is_compared_as_before() -> None:
    """Both are by the same clock, whatever it was."""
    set_at = after(10**6)
    assert a_session().is_of(an_interim(660), after(660), set_at)
    assert not a_session().is_of(an_interim(10), after(700), set_at)
