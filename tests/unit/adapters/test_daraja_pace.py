from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.daraja.pace import QueryPace, allowed_interval_seconds
from easyisp_edge.machine import ClockState

SPIKE_ARREST = (
    "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, periodInMicroseconds=60000000, "
    "maxBurstMessageCount=1.0}"
)


class LeapingClock:
    """Time passes only by sleeping, and then at once; held, it does not pass at all."""

    state = ClockState.SYNCED

    def __init__(self, start: float = 1_000_000.3) -> None:
        self.seconds = start
        self.flowing = asyncio.Event()
        self.flowing.set()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await self.flowing.wait()
        self.seconds += seconds
        await asyncio.sleep(0)


async def turns(pace: QueryPace, clock: LeapingClock, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        await pace.turn()
        taken.append(round(clock.monotonic() - 1_000_000.3, 3))
    return taken


async def test_one_turn_in_twelve_seconds() -> None:
    """Five a minute means one each twelve seconds and a little; the first at once."""
    clock = LeapingClock()
    assert await turns(QueryPace(clock), clock, 4) == pytest.approx([0.0, 12.6, 25.2, 37.8])


async def test_turns_are_not_saved_up() -> None:
    """After a quiet hour there is one turn at once, not many."""
    clock = LeapingClock()
    pace = QueryPace(clock, 60)
    await pace.turn()
    clock.seconds += 3600
    assert await turns(pace, clock, 3) == pytest.approx([3600.0, 3601.05, 3602.1])


async def test_first_come_first_served() -> None:
    """Waiters get their turns in the order they came."""
    clock = LeapingClock()
    pace = QueryPace(clock)
    order: list[int] = []

    async def wait(number: int) -> None:
        await pace.turn()
        order.append(number)

    await asyncio.gather(*(wait(number) for number in range(10)))
    assert order == list(range(10))
    assert clock.monotonic() == pytest.approx(1_000_000.3 + 9 * 12.6)


async def test_giving_up_costs_the_others_nothing() -> None:
    """Cancelled waiters, the one at the front included, leave their turns to those behind."""
    clock = LeapingClock()
    pace = QueryPace(clock)
    await pace.turn()
    clock.flowing.clear()
    waiters = [asyncio.ensure_future(pace.turn()) for _ in range(4)]
    await asyncio.sleep(0)
    for waiter in waiters[:3]:
        waiter.cancel()
    await asyncio.gather(*waiters[:3], return_exceptions=True)
    clock.flowing.set()
    await waiters[3]
    assert clock.monotonic() == pytest.approx(1_000_000.3 + 12.6)


async def test_a_refusal_halves_the_pace_for_those_already_waiting_too() -> None:
    """After a refusal the next turn, and all after it, are twice as far apart."""
    clock = LeapingClock()
    pace = QueryPace(clock)
    await pace.turn()
    clock.flowing.clear()
    waiting = asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    clock.seconds += 5
    pace.slow_down("")
    clock.flowing.set()
    await waiting
    assert clock.monotonic() >= 1_000_000.3 + 5 + 25.2
    assert pace.interval_seconds == pytest.approx(25.2)


async def test_the_pace_is_restored_slowly_and_no_further_than_configured() -> None:
    """One answer gives back a tenth; many give back all and no more."""
    pace = QueryPace(LeapingClock())
    pace.slow_down("")
    pace.ease()
    assert pace.interval_seconds == pytest.approx(22.68)
    for _ in range(50):
        pace.ease()
    assert pace.interval_seconds == pytest.approx(12.6)


async def test_a_told_rate_slower_than_ours_stays() -> None:
    """When a refusal tells a slower rate than configured, the pace never gets faster than told."""
    pace = QueryPace(LeapingClock(), 60)
    pace.slow_down(SPIKE_ARREST)
    assert pace.interval_seconds == pytest.approx(12.6)
    for _ in range(50):
        pace.ease()
    assert pace.interval_seconds == pytest.approx(12.6)


async def test_the_pace_never_stops() -> None:
    """However often it is refused, and whatever rate it is told, there is a turn every two minutes."""
    pace = QueryPace(LeapingClock())
    for _ in range(20):
        pace.slow_down("messagesPerPeriod=1, periodInMicroseconds=99999999999999")
    assert pace.interval_seconds == 120


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        (SPIKE_ARREST, 12.0),
        ("MESSAGESPERPERIOD = 60 ; PeriodInMicroseconds = 60000000", 1.0),
        ("messagesPerPeriod=0, periodInMicroseconds=60000000", None),
        ("messagesPerPeriod=5", None),
        ("", None),
    ],
)
def test_a_told_rate_is_read_leniently(text: str, interval: float | None) -> None:
    """Case, blanks and order may change; what makes no sense is no rate."""
    assert allowed_interval_seconds(text) == interval


@given(
    st.lists(st.sampled_from(["messagesPerPeriod", "periodInMicroseconds", "=", "0", "7", "9" * 40, " ", "x"])).map(
        "".join
    )
)
def test_no_text_breaks_the_reading_of_a_rate(text: str) -> None:
    """Any refusal is read; a rate comes of it only when it tells both numbers."""
    interval = allowed_interval_seconds(text)
    if interval is not None:
        assert interval >= 0
        assert "messagesPerPeriod" in text
        assert "periodInMicroseconds" in text
