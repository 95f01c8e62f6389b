"""Box time: never goes back, and believes nobody at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.machine import ClockState
from easyisp_edge.timekeeping import BUILT_AFTER, BoxClock, ClockMark
from tests.fakes.clocks import START, ManualTime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARK = ClockMark(START, "boot-0", 5000.0)


def test_a_new_box_in_1970_begins_when_it_was_built() -> None:
    """It has nothing else to go by, and says so."""
    clock = BoxClock(ManualTime(EPOCH, synchronised=False), None)
    assert (clock.now(), clock.state) == (BUILT_AFTER, ClockState.UNSET)


def test_a_box_that_wakes_up_in_1970_goes_on_from_its_mark() -> None:
    """How long the power was off nobody knows: it is not charged."""
    clock = BoxClock(ManualTime(EPOCH, synchronised=False), MARK)
    assert (clock.now(), clock.state) == (START, ClockState.UNSET)


def test_within_one_boot_time_is_counted_on() -> None:
    """Where only the daemon was started anew, the time since boot tells how long it was down."""
    time = ManualTime(EPOCH, boot_id="boot-0", since_boot=5090.0, synchronised=False)
    assert BoxClock(time, MARK).now() == START + timedelta(seconds=90)


def test_after_another_boot_time_is_not_counted_on() -> None:
    """The seconds since that boot say nothing about this one."""
    time = ManualTime(EPOCH, boot_id="boot-1", since_boot=9000.0, synchronised=False)
    assert BoxClock(time, MARK).now() == START


@pytest.mark.parametrize(("synchronised", "state"), [(True, ClockState.SYNCED), (False, ClockState.HOLDOVER)])
def test_a_plausible_wall_clock_is_taken_at_start(*, synchronised: bool, state: ClockState) -> None:
    """Later than the mark; whether it is trusted is a question of who set it."""
    wall = START + timedelta(hours=7)
    clock = BoxClock(ManualTime(wall, synchronised=synchronised), MARK)
    assert (clock.now(), clock.state) == (wall, state)


@pytest.mark.parametrize("wall", [EPOCH, BUILT_AFTER - timedelta(seconds=1), START - timedelta(seconds=1)])
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_wall_clock_behind_the_mark_is_not_taken(wall: datetime, *, synchronised: bool) -> None:
    """Whoever set it: box time would go back."""
    clock = BoxClock(ManualTime(wall, synchronised=synchronised), MARK)
    assert (clock.now(), clock.state) == (START, ClockState.UNSET)


def test_time_goes_on_with_the_time_since_boot() -> None:
    """And not with the wall clock, which may jump."""
    time = ManualTime()
    clock = BoxClock(time, None)
    time.advance(90)
    time.set_wall(EPOCH)
    assert clock.now() == START + timedelta(seconds=90)
    assert clock.monotonic() == 190.0


def test_an_unset_clock_is_set_at_once() -> None:
    """There is nothing to protect: its time was only being guessed."""
    time = ManualTime(EPOCH, synchronised=False)
    clock = BoxClock(time, None)
    time.advance(30)
    time.set_wall(START + timedelta(days=3 * 365))
    clock.look()
    assert clock.state is ClockState.UNSET
    time.trusted = True
    clock.look()
    assert (clock.now(), clock.state) == (START + timedelta(days=3 * 365), ClockState.SYNCED)


def test_a_step_of_three_years_is_held_a_minute() -> None:
    """One bad answer about the time must not end every session; one that still stands a minute later is taken."""
    time = ManualTime()
    clock = BoxClock(time, None)
    time.set_wall(START + timedelta(days=3 * 365))
    for _ in range(6):
        clock.look()
        assert clock.now() < START + timedelta(minutes=2)
        time.advance(10)
    clock.look()
    assert clock.now() == time.wall()


def test_a_large_step_that_is_taken_back_leaves_nothing() -> None:
    """The minute begins anew with the next one."""
    time = ManualTime()
    clock = BoxClock(time, None)
    right = time.wall()
    time.set_wall(right + timedelta(days=3 * 365))
    clock.look()
    time.advance(50)
    time.set_wall(right + timedelta(seconds=50))
    clock.look()
    time.set_wall(right + timedelta(days=3 * 365))
    clock.look()
    time.advance(20)
    clock.look()
    assert clock.now() == right + timedelta(seconds=70)


def test_a_large_step_that_is_not_trusted_is_never_taken() -> None:
    """However long it stands."""
    time = ManualTime()
    clock = BoxClock(time, None)
    time.trusted = False
    time.set_wall(START + timedelta(days=365))
    for _ in range(100):
        clock.look()
        time.advance(10)
    assert clock.now() == START + timedelta(seconds=1000)


def test_a_small_step_forward_is_taken_at_once() -> None:
    """A drift of minutes is what synchronisation is for; of less than a second it is left alone."""
    time = ManualTime()
    clock = BoxClock(time, None)
    time.set_wall(START + timedelta(seconds=0.9))
    clock.look()
    assert clock.now() == START
    time.set_wall(START + timedelta(minutes=9))
    clock.look()
    assert clock.now() == START + timedelta(minutes=9)


def test_a_step_back_is_not_taken() -> None:
    """Box time waits for nobody, and stays ahead."""
    time = ManualTime()
    clock = BoxClock(time, None)
    time.advance(60)
    time.set_wall(START - timedelta(days=1))
    clock.look()
    assert (clock.now(), clock.state) == (START + timedelta(seconds=60), ClockState.SYNCED)


def test_the_state_tells_who_is_believed() -> None:
    """Synchronised while it is, counting by itself when that ends, and synchronised again."""
    time = ManualTime()
    clock = BoxClock(time, None)
    states = [clock.state]
    for trusted in (True, False, False, True):
        time.trusted = trusted
        clock.look()
        states.append(clock.state)
    synced, holdover = ClockState.SYNCED, ClockState.HOLDOVER
    assert states == [synced, synced, holdover, holdover, synced]


def test_an_unset_clock_stays_unset_until_somebody_is_trusted() -> None:
    """Counting by itself makes no guess better."""
    time = ManualTime(EPOCH, synchronised=False)
    clock = BoxClock(time, MARK)
    for _ in range(10):
        time.advance(60)
        clock.look()
    assert clock.state is ClockState.UNSET
    assert clock.now() == START + timedelta(minutes=10)


@dataclass(frozen=True)
class Life:
    """What happens between two starts of the daemon."""

    wall_seconds: int
    reboots: bool
    trusted: bool
    jumps: list[tuple[int, int, bool]]


SECONDS = st.integers(-(10**9), 10**8)
LIVES = st.lists(
    st.builds(
        Life,
        wall_seconds=SECONDS,
        reboots=st.booleans(),
        trusted=st.booleans(),
        jumps=st.lists(st.tuples(st.integers(0, 100_000), SECONDS, st.booleans()), max_size=8),
    ),
    min_size=1,
    max_size=5,
)


@given(LIVES)
def test_box_time_never_goes_back(lives: list[Life]) -> None:
    """Whatever the wall clock does, over crashes and reboots: no reading is before an earlier one or its mark."""
    mark: ClockMark | None = None
    since_boot, boots, last = 100.0, 0, BUILT_AFTER
    for life in lives:
        if life.reboots:
            boots, since_boot = boots + 1, 5.0
        wall = START + timedelta(seconds=life.wall_seconds)
        time = ManualTime(wall, boot_id=str(boots), since_boot=since_boot, synchronised=life.trusted)
        clock = BoxClock(time, mark)
        for passed, jump, trusted in life.jumps:
            assert clock.now() >= last
            last = clock.now()
            time.advance(passed)
            time.set_wall(START + timedelta(seconds=jump))
            time.trusted = trusted
            clock.look()
            assert clock.now() >= last + timedelta(seconds=passed)
        last, mark, since_boot = clock.now(), clock.mark(), time.since_boot()


@given(st.lists(st.tuples(st.integers(1, 59), SECONDS), min_size=1, max_size=10))
def test_a_liar_of_less_than_a_minute_never_costs_more_than_ten_minutes(jumps: list[tuple[int, int]]) -> None:
    """However often the trusted wall clock jumps, if no jump stands for a minute each step is a small one."""
    time = ManualTime()
    clock = BoxClock(time, None)
    for stands, jump in jumps:
        before, right = clock.now(), time.wall()
        time.set_wall(START + timedelta(seconds=jump))
        clock.look()
        time.advance(stands)
        clock.look()
        assert clock.now() - before <= timedelta(minutes=10, seconds=stands)
        time.set_wall(right)
        clock.look()


def test_time_that_nobody_set_goes_on_without_a_step() -> None:
    """Instants from before and after can be compared, also where the clock was corrected by a little."""
    time = ManualTime()
    clock = BoxClock(time, MARK)
    since = clock.set_at
    time.advance(3600)
    time.set_wall(clock.now() + timedelta(seconds=4))
    clock.look()
    assert clock.now() == time.wall()
    assert clock.set_at == since <= START


@pytest.mark.parametrize("step", [6, 599, 3 * 365 * 86400])
def test_a_step_of_the_clock_is_noted(step: int) -> None:
    """From then on time goes on without one."""
    time = ManualTime(synchronised=False)
    clock = BoxClock(time, None)
    clock.state = ClockState.UNSET
    time.trusted = True
    time.set_wall(START + timedelta(seconds=step))
    clock.look()
    assert clock.set_at == clock.now() == time.wall()
    time.advance(10)
    clock.look()
    assert clock.set_at == START + timedelta(seconds=step)


@pytest.mark.parametrize(("ahead", "noted"), [(0, False), (4, False), (6, True), (10**8, True)])
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_step_while_the_daemon_was_down_is_noted(ahead: int, *, synchronised: bool, noted: bool) -> None:
    """Within one boot the time since it tells what the clock should say."""
    wall = START + timedelta(seconds=90 + ahead)
    time = ManualTime(wall, boot_id="boot-0", since_boot=5090.0, synchronised=synchronised)
    clock = BoxClock(time, MARK)
    assert clock.now() == wall
    assert (clock.set_at == wall) is noted
    assert noted or clock.set_at < MARK.at


@pytest.mark.parametrize("wall", [EPOCH, START + timedelta(seconds=60), START + timedelta(days=300)])
@pytest.mark.parametrize("synchronised", [True, False])
def test_over_a_power_cut_a_step_is_taken_for_granted(wall: datetime, *, synchronised: bool) -> None:
    """How long it was nobody knows, nor how wrong time was before: what was noted then is compared with care."""
    clock = BoxClock(ManualTime(wall, synchronised=synchronised), MARK)
    assert clock.set_at == clock.now()


def test_an_unset_clock_believes_the_hub_and_no_other_does() -> None:
    """Forward only, with half of the way the answer took; it counts by itself from there."""
    time = ManualTime(datetime(1970, 1, 1, tzinfo=UTC), synchronised=False)
    clock = BoxClock(time, None)
    began = clock.monotonic()
    time.advance(4)
    clock.believe(START, since=began)
    assert (clock.now(), clock.state) == (START + timedelta(seconds=2), ClockState.HOLDOVER)
    assert clock.set_at == clock.now()
    clock.believe(START + timedelta(days=1), since=began)
    assert clock.now() == START + timedelta(seconds=2)


def test_an_unset_clock_is_never_set_back() -> None:
    """What was written down before is not undone by whoever tells the time."""
    time = ManualTime(datetime(1970, 1, 1, tzinfo=UTC), synchronised=False)
    clock = BoxClock(time, ClockMark(START, "another boot", 1.0))
    clock.believe(START - timedelta(days=3), since=clock.monotonic())
    assert clock.now() == START
