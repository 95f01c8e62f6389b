"""The lab's background work: every task is owned and ends with the lab."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Background:
    """Owns tasks; what one of them failed with comes out at `close`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run `work` until it ends or the lab closes."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def quiet(self) -> None:
        """Return once nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what is under way.

        Raises:
            BaseExceptionGroup: Tasks had failed; a lab that lies is worse than one that stops.
        """
        for task in self._tasks:
            task.cancel()
        await self.quiet()
        if self._failures:
            raise BaseExceptionGroup("background work of the lab failed", self._failures)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
            self._failures.append(error)
