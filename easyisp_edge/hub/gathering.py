"""Work done for many at once: what comes in while one round runs is the next round. No timer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from easyisp_edge.errors import EdgeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)


class Gathered(Generic[T, R]):
    """Collects what is asked, and has it done in rounds.

    Args:
        work: Does a round; gives a result for each that was asked, in their order.
        round_most: So many in a round.
        waiting_most: So many may wait.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, round_most: int, waiting_most: int
    ) -> None:
        self._work = work
        self._round_most = round_most
        self._waiting_most = waiting_most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._something = asyncio.Event()

    async def ask(self, asked: T) -> R:
        """The result for one.

        Raises:
            UnavailableError: Too many wait, or the round could not be done.
        """
        if len(self._waiting) >= self._waiting_most:
            raise UnavailableError("hub.busy", "Too many requests wait.")
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        self._something.set()
        return await answer

    async def run(self) -> None:
        """Do rounds until cancelled; several may run side by side."""
        while True:
            await self._something.wait()
            # Whoever gave up meanwhile is not worked for.
            live = [one for one in self._waiting if not one[1].done()]
            taken, self._waiting = live[: self._round_most], live[self._round_most :]
            if not self._waiting:
                self._something.clear()
            if taken:
                await self._round(taken)

    async def _round(self, taken: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._work([asked for asked, _ in taken])
        except UnavailableError as error:
            _fail(taken, error)
        except Exception as error:
            if len(taken) > 1:  # one of them brought the others down
                for one in taken:
                    await self._round([one])
                return
            log.exception("a request could not be worked on")
            _fail(taken, EdgeError("hub.fault", f"The hub failed: {type(error).__name__}."))
        except BaseException:
            for _, answer in taken:
                answer.cancel()
            raise
        else:
            for (_, answer), result in zip(taken, results, strict=True):
                if not answer.done():
                    answer.set_result(result)


def _fail(taken: list[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    for _, answer in taken:
        if not answer.done():
            answer.set_exception(error)
