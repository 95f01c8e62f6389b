"""How background work lives: rounds that go on through trouble they expect, and end the daemon at any other."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from easyisp_edge.machine import Clock, Randomness, Wake

log = logging.getLogger(__name__)


class OthersFirst:
    """Awaited, lets the event loop serve everyone else once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def backoff_seconds(failures: int, randomness: Randomness, *, first: float = 1.0, most: float = 60.0) -> float:
    """How long to wait after so many failures in a row: doubling, jittered between half and whole."""
    ceiling = min(most, first * 2.0 ** min(failures - 1, 16))
    return ceiling * (0.5 + randomness.fraction() / 2)


async def every(
    seconds: float,
    work: Callable[[], Awaitable[float | None]],
    *,
    name: str,
    clock: Clock,
    randomness: Randomness,
    wake: Wake,
    rest_seconds: float = 0.0,
    backoff_most_seconds: float = 60.0,
) -> None:
    """Run `work` now, then at each ring of `wake` and at the latest after `seconds`; never returns.

    `work` may return a shorter wait until its next round. After each round it rests as long as the round
    took, `rest_seconds` at most, so that rings that never cease take half of the time at most. An
    `UnavailableError` is waited out with growing pauses (a ring cuts one short, after that rest); any other
    error passes through and ends the daemon.
    """
    failures, told = 0, ""
    while True:
        pause, began = seconds, clock.monotonic()
        try:
            asked = await work()
        except UnavailableError as error:
            failures += 1
            pause = backoff_seconds(failures, randomness, most=backoff_most_seconds)
            pause = max(pause, error.retry_after_seconds or 0.0)
            # Said when it changes: a router that is away for a week must not fill the disk.
            log.log(logging.DEBUG if str(error) == told else logging.WARNING, "%s: %s", name, error)
            told = str(error)
        else:
            if failures:
                log.info("%s: goes on after %d tries in vain", name, failures)
            failures, told = 0, ""
            if asked is not None:
                pause = min(seconds, asked)
        if rest_seconds:
            took = clock.monotonic() - began
            await clock.sleep(rest_seconds if failures else min(rest_seconds, took))
        await wake.wait(clock, max(pause, 0.0))


@dataclass(frozen=True, slots=True)
class Errands:
    """Work that outlives the request that began it; an unexpected failure of any ends the group's owner.

    Args:
        group: What owns them.
    """

    group: asyncio.TaskGroup
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)

    def begin(self, errand: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Begin one; it goes on whatever becomes of the caller."""
        task = self.group.create_task(errand, name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def finish(self, seconds: float) -> None:
        """Let those under way finish, for so long at most; then they are cancelled."""
        if self._under_way:
            _, late = await asyncio.wait(set(self._under_way), timeout=seconds)
            for task in late:
                task.cancel()
