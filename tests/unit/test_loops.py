"""Background work: rounds that wait out what they expect, and errands that outlive who began them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.errors import InvalidError, OutcomeUnknownError, UnavailableError
from easyisp_edge.loops import Errands, backoff_seconds, every
from easyisp_edge.machine import Wake
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime, SeededRandomness, settle_down

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AWAY = UnavailableError("router.unreachable", "The router was not reached.")


@dataclass
class Rounds:
    """Work that answers as it is told, in a loop one can watch."""

    time: ManualTime = field(default_factory=ManualTime)
    wake: Wake = field(default_factory=Wake)
    answers: deque[float | Exception | None] = field(default_factory=deque)
    begun: int = 0

    async def work(self) -> float | None:
        self.begun += 1
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run(self, seconds: float = 60.0, most: float = 60.0, fraction: float = 0.0) -> None:
        await every(
            seconds,
            self.work,
            name="test",
            clock=BoxClock(self.time, None),
            randomness=SeededRandomness(fraction=fraction),
            wake=self.wake,
            backoff_most_seconds=most,
        )


@contextlib.asynccontextmanager
async def going(rounds: Rounds, **settings: float) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(rounds.run(**settings))
    await settle_down()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def advance(rounds: Rounds, seconds: float) -> int:
    """Time goes by; gives how many rounds began meanwhile."""
    before = rounds.begun
    rounds.time.advance(seconds)
    await settle_down()
    return rounds.begun - before


async def test_work_begins_at_once_and_comes_round() -> None:
    """Once in each span, not sooner."""
    rounds = Rounds()
    async with going(rounds):
        assert rounds.begun == 1
        assert await advance(rounds, 59.9) == 0
        assert await advance(rounds, 0.2) == 1
        assert await advance(rounds, 60) == 1


async def test_a_ring_cuts_a_wait_short() -> None:
    """And the next wait is whole again."""
    rounds = Rounds()
    async with going(rounds):
        rounds.wake.ring()
        await settle_down()
        assert rounds.begun == 2
        assert await advance(rounds, 59) == 0
        assert await advance(rounds, 1) == 1


async def test_many_rings_are_one_round() -> None:
    """Whoever waits is woken once."""
    rounds = Rounds()
    async with going(rounds):
        for _ in range(10):
            rounds.wake.ring()
        await settle_down()
        assert rounds.begun == 2


async def test_a_ring_during_the_work_is_not_lost() -> None:
    """What changed while it looked is looked at again."""
    rounds, gate = Rounds(), asyncio.Event()

    async def slow() -> None:
        rounds.begun += 1
        await gate.wait()

    rounds.work = slow  # type: ignore[method-assign]
    async with going(rounds):
        rounds.wake.ring()
        await settle_down()
        assert rounds.begun == 1
        gate.set()
        await settle_down()
        assert rounds.begun == 2


async def test_work_may_ask_for_a_shorter_wait() -> None:
    """Never for a longer one."""
    rounds = Rounds(answers=deque([5.0, 500.0, 0.5]))
    async with going(rounds):
        assert await advance(rounds, 4.9) == 0
        assert await advance(rounds, 0.2) == 1
        assert await advance(rounds, 59.8) == 0
        assert await advance(rounds, 0.3) == 1
        assert await advance(rounds, 0.6) == 1


async def test_failures_back_off_and_are_bounded() -> None:
    """Doubling from a second to the bound, and back to the usual span after a success."""
    rounds = Rounds(answers=deque([AWAY] * 6))
    async with going(rounds, seconds=300.0, most=8.0, fraction=1.0):
        for _ in range(6):
            await advance(rounds, rounds.time.naps[-1])
        assert rounds.time.naps[:7] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 300.0]
        rounds.answers.append(AWAY)
        await advance(rounds, 300)
        assert rounds.time.naps[-1] == 1.0


async def test_who_says_when_to_come_again_is_heard() -> None:
    """Where that is later than the pause it would have been."""
    told = [UnavailableError("busy", "Later.", retry_after_seconds=seconds) for seconds in (45.0, 0.1)]
    rounds = Rounds(answers=deque(told))
    async with going(rounds, fraction=1.0):
        assert rounds.time.naps == [45.0]
        await advance(rounds, 45)
        assert rounds.time.naps == [45.0, 2.0]


async def test_a_ring_cuts_a_pause_after_a_failure_short() -> None:
    """A customer who has just paid does not wait out a long silence of the router."""
    rounds = Rounds(answers=deque([AWAY] * 10))
    async with going(rounds):
        for _ in range(5):
            rounds.wake.ring()
            await settle_down()
        assert rounds.begun == 6


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), InvalidError("a.b", "odd"), OutcomeUnknownError("a.b", "?"), OSError("gone")]
)
async def test_any_other_error_ends_the_loop(error: Exception) -> None:
    """It is not expected: the daemon ends and is started anew."""
    rounds = Rounds(answers=deque([AWAY, error]))
    async with going(rounds) as task:
        await advance(rounds, 2)
        with pytest.raises(type(error)):
            await task


async def test_a_trouble_that_lasts_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """And its end: a router that is away for a week fills no disk."""
    rounds = Rounds(answers=deque([*[AWAY] * 5, None]))
    with caplog.at_level(logging.INFO):
        async with going(rounds, most=1.0):
            for _ in range(5):
                await advance(rounds, 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_cancelling_ends_it_quietly() -> None:
    """Nothing of it goes on."""
    rounds = Rounds()
    async with going(rounds) as task:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert [other for other in asyncio.all_tasks() if other is not asyncio.current_task()] == []


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.floats(0.01, 10), st.floats(10, 1000))
def test_pauses_lie_between_half_and_whole(failures: int, fraction: float, first: float, most: float) -> None:
    """Never nought, never above the bound, however long it lasts."""
    pause = backoff_seconds(failures, SeededRandomness(fraction=fraction), first=first, most=most)
    ceiling = min(most, first * 2.0 ** min(failures - 1, 16))
    assert ceiling / 2 <= pause <= ceiling <= most


async def test_a_bell_that_rang_before_is_heard() -> None:
    """Once."""
    wake, clock = Wake(), BoxClock(ManualTime(), None)
    wake.ring()
    assert await wake.wait(clock, 0)
    assert not await wake.wait(clock, 0)


async def test_a_bell_is_waited_for_no_longer_than_asked() -> None:
    """And leaves nothing behind."""
    wake, time = Wake(), ManualTime()
    waiting = asyncio.create_task(wake.wait(BoxClock(time, None), 5))
    await settle_down()
    time.advance(5)
    assert not await waiting
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_an_errand_outlives_who_began_it() -> None:
    """A request that is cancelled does not take it along."""
    done, gate = [], asyncio.Event()

    async def errand() -> None:
        await gate.wait()
        done.append("errand")

    async with asyncio.TaskGroup() as group:
        errands = Errands(group)

        async def request() -> None:
            await asyncio.wait({errands.begin(errand(), name="errand")})

        asking = asyncio.create_task(request())
        await settle_down()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        gate.set()
    assert done == ["errand"]


async def test_errands_are_let_finish_then_cancelled() -> None:
    """Within the time that is given; what takes longer is cut off, and the group is not harmed."""
    ended: list[str] = []

    async def errand(name: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        finally:
            ended.append(name)

    open_gate, shut_gate = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        errands = Errands(group)
        quick = errands.begin(errand("quick", open_gate), name="quick")
        slow = errands.begin(errand("slow", shut_gate), name="slow")
        open_gate.set()
        await errands.finish(0.02)
    assert (quick.cancelled(), slow.cancelled()) == (False, True)
    assert ended == ["quick", "slow"]


async def test_no_errands_are_finished_at_once() -> None:
    """There is nothing to wait for."""
    async with asyncio.TaskGroup() as group:
        await asyncio.wait_for(Errands(group).finish(60), 1)


async def test_an_errand_that_fails_ends_the_group() -> None:
    """What is not expected is nobody's to swallow."""

    async def errand() -> None:
        raise ValueError("a bug")

    async def owner() -> None:
        async with asyncio.TaskGroup() as group:
            Errands(group).begin(errand(), name="errand")
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(owner(), 5)
    assert ended.group_contains(ValueError)
