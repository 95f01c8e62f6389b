"""The sessions of grants that are over are ended by RADIUS, where the RouterOS API cannot do it.

The API is the first way: it also sees sessions that no accounting told of.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.logins import OpenSession
    from easyisp_edge.machine import Clock, Wake
    from easyisp_edge.services.ports import SessionControl
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

SessionT = TypeVar("SessionT")

# Told at once; when none of them is answered, the others would not be either.
TOLD_AT_ONCE_MAX = 32
# Sessions whose end was never reported stay open in the books; a router that lives speaks of a session every hour.
HEARD_OF_WITHIN = timedelta(days=1)


@dataclass(slots=True)
class ApiReach:
    """Whether a router was reached by its API when that was last tried.

    Args:
        away: It was not; for good where it has no API.
        lost: Rings when it comes to be away.
    """

    away: bool
    lost: Wake

    async def tried(self, work: Callable[[], Awaitable[float | None]]) -> float | None:
        """Do work that goes by the API, and note whether it got through.

        Raises:
            UnavailableError: It did not.
        """
        try:
            pause = await work()
        except UnavailableError:
            if not self.away:
                self.away = True
                self.lost.ring()
            raise
        self.away = False
        return pause


@dataclass(frozen=True, slots=True)
class DisconnectService(Generic[SessionT]):
    """Ends the sessions of grants that are over on one router.

    Args:
        router_id: Which router.
        store: The store.
        clock: Box time.
        presence: Who is online; told of who is put off.
        control: How to speak to it.
        named: A session as `control` names it.
        reach: While the API is there, nothing is done here.
    """

    router_id: str
    store: Store
    clock: Clock
    presence: Presence
    control: SessionControl[SessionT]
    named: Callable[[OpenSession], SessionT]
    reach: ApiReach
    _answered: dict[int, datetime] = field(default_factory=dict)

    async def round(self) -> None:
        """Have sessions ended that should be over.

        What the router answered is not said again, unless it goes on to report the session.

        Raises:
            UnavailableError: The router did not answer for all of them; the rest is for the next round.
        """
        if not self.reach.away:
            return
        since = self.clock.now() - HEARD_OF_WITHIN
        found = await self.store.survey(lambda tables: tables.sessions.open_of_ended(self.router_id, since))
        self._forget_closed({session.session_id for session in found})
        due = [session for session in found if self._answered.get(session.session_id) != session.updated_at]
        for first in range(0, len(due), TOLD_AT_ONCE_MAX):
            await self._end_all(due[first : first + TOLD_AT_ONCE_MAX])

    def _forget_closed(self, still_open: set[int]) -> None:
        for session_id in self._answered.keys() - still_open:
            del self._answered[session_id]

    async def _end_all(self, sessions: list[OpenSession]) -> None:
        unanswered: list[UnavailableError] = []
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                group.create_task(self._end(session, unanswered), name=f"disconnect {session.username}")
        if unanswered:
            raise unanswered[0]

    async def _end(self, session: OpenSession, unanswered: list[UnavailableError]) -> None:
        try:
            await self.control.disconnect(self.named(session))
        except UnavailableError as error:
            unanswered.append(error)
            return
        except ConflictError as error:
            log.info("%s: %s is off already: %s", self.router_id, session.username, error.message)
        except (RefusedError, InvalidError) as error:
            log.error("%s: %s is not put off: %s", self.router_id, session.username, error.message)  # noqa: TRY400 - no bug of ours
            self._answered[session.session_id] = session.updated_at
            return
        self._answered[session.session_id] = session.updated_at
        self.presence.left(self.router_id, session.username)
