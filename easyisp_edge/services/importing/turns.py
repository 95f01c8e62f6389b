"""A router's rounds and hand-overs, one at a time.

Between the commit of a grant and the mark on its user a round would take the user for a stranger's and put its device
off. So a round waits until both are done; where the router went away in between, it is the round that does the rest,
before anything else. A login script that was under way may write its own comment over our mark some seconds later:
so for a while the mark is looked after.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from datetime import tzinfo

    from easyisp_edge.domain.imported_users import LegacyScheduler, LegacyTables
    from easyisp_edge.machine import Clock

log = logging.getLogger(__name__)

# Mikhmon's login script takes some twelve seconds until it has written when a user ends.
LOOKED_AFTER_SECONDS = 60.0


class LegacyRouter(Protocol):
    """The users that others made on one router. Every call raises `UnavailableError` when it is not reached in time."""

    async def read(self, zone: tzinfo | None) -> LegacyTables:
        """All users, profiles, what ends users by itself, and the router's clock; dates are in that zone, or its own.

        Raises:
            RefusedError: The router does not let us read.
        """

    async def hand_over(self, name: str, comment: str) -> bool:
        """Set a user's comment to our mark, and nothing else; False where it is gone. Again is fine.

        Raises:
            ConflictError: It is ours by another grant, or there are several by that name.
            RefusedError: The router said no.
        """

    async def unmarked(self, names: Collection[str]) -> list[str]:
        """Which of those users are there without our mark.

        Raises:
            RefusedError: The router does not let us read.
        """

    async def disable_scheduler(self, scheduler: LegacyScheduler) -> None:
        """Switch a scheduler off; gone already is fine.

        Raises:
            RefusedError: The router said no.
        """


class _Mark(NamedTuple):
    """A mark that was put on a user.

    Args:
        comment: The whole comment.
        at: When, monotonic seconds.
    """

    comment: str
    at: float


@dataclass(frozen=True, slots=True)
class RouterTurns:
    """Whose turn it is at one router.

    Args:
        router: The users that others made on it.
        clock: For how long marks are looked after.
    """

    router: LegacyRouter
    clock: Clock
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _owed: dict[str, str] = field(default_factory=dict)
    _marked: dict[str, _Mark] = field(default_factory=dict)

    def rounds(self, work: Callable[[], Awaitable[float | None]]) -> Callable[[], Awaitable[float | None]]:
        """The same rounds, each in its turn."""

        async def in_turn() -> float | None:
            async with self._turn:
                await self._look_after()
                await self._settle_or_say()
                return await work()

        return in_turn

    def look_after(self, marks: Mapping[str, str]) -> None:
        """Look after marks, by user name, that may not have been put on: the box may have died in between."""
        now = self.clock.monotonic()
        self._marked.update({name: _Mark(comment, now) for name, comment in marks.items()})

    async def take(self, name: str, commit: Callable[[], Awaitable[str]]) -> None:
        """Commit a grant, then put our mark on its user.

        Args:
            name: The user's.
            commit: Commits, and gives the mark.

        Raises:
            UnavailableError: The router went away; the grant stands, and the next round hands over.
            RefusedError: The router said no; the grant stands.
            ConflictError: The user is not what it was any more; the grant stands.
        """
        async with self._turn:
            await self._settle()
            self._owed[name] = await commit()
            await self._settle()

    async def _settle_or_say(self) -> None:
        try:
            await self._settle()
        except (RefusedError, ConflictError) as error:
            log.error("a user that was taken over keeps its old mark: %s", error.message)  # noqa: TRY400 - no bug of ours

    async def _settle(self) -> None:
        """Put the marks on that are owed."""
        for name, comment in list(self._owed.items()):
            try:
                if await self.router.hand_over(name, comment):
                    self._marked[name] = _Mark(comment, self.clock.monotonic())
                else:
                    log.info("hotspot user %s was gone before it was handed over; it is made anew", name)
            except (RefusedError, ConflictError):
                del self._owed[name]
                raise
            del self._owed[name]

    async def _look_after(self) -> None:
        """Put back what was written over."""
        if not self._marked:
            return
        for name in await self._unmarked():
            self._owed[name] = self._marked[name].comment
        now = self.clock.monotonic()
        for name, mark in list(self._marked.items()):
            if now - mark.at > LOOKED_AFTER_SECONDS:
                del self._marked[name]

    async def _unmarked(self) -> list[str]:
        try:
            return await self.router.unmarked(self._marked)
        except RefusedError as error:
            raise UnavailableError("router.unreadable", f"The router lets us not read: {error.message}") from error
