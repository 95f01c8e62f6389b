"""Sessions that should be over are ended by RADIUS, on routers that take such orders.

It is the quick way, and the only one where there is no API. The rounds by the API are the other: they see on the
router itself what got no answer here, and what no accounting told of.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.services.ports import SessionControl
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

SessionT = TypeVar("SessionT")

# Told at once; when none of them is answered, the others would not be either.
TOLD_AT_ONCE_MAX = 32
# Sessions whose end was never reported stay open in the books; a router that lives speaks of a session every hour.
HEARD_OF_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DisconnectService(Generic[SessionT]):
    """Ends the sessions on one router whose devices may not be on any more.

    Args:
        router_id: Which router.
        store: The store.
        clock: Box time.
        presence: Who is online; told of who is put off.
        control: How to speak to it.
        named: A session as `control` names it.
        may_stay: Whether the device of a session may be on.
    """

    router_id: str
    store: Store
    clock: Clock
    presence: Presence
    control: SessionControl[SessionT]
    named: Callable[[Session], SessionT]
    may_stay: Callable[[Session], bool]
    _answered: dict[int, datetime] = field(default_factory=dict)

    async def round(self) -> None:
        """Have sessions ended that should be over.

        What the router answered is not said again, unless it goes on to report the session.

        Raises:
            UnavailableError: The router did not answer for all of them; the rest is for the next round.
        """
        since = self.clock.now() - HEARD_OF_WITHIN
        found = await self.store.survey(lambda tables: tables.sessions.open_on(self.router_id))
        self._forget_closed({session.session_id for session in found})
        over = [session for session in found if session.updated_at >= since and not self.may_stay(session)]
        due = [session for session in over if self._answered.get(session.session_id) != session.updated_at]
        for first in range(0, len(due), TOLD_AT_ONCE_MAX):
            await self._end_all(due[first : first + TOLD_AT_ONCE_MAX])

    def _forget_closed(self, still_open: set[int]) -> None:
        for session_id in self._answered.keys() - still_open:
            del self._answered[session_id]

    async def _end_all(self, sessions: list[Session]) -> None:
        unanswered: list[UnavailableError] = []
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                group.create_task(self._end(session, unanswered), name=f"disconnect {session.username}")
        if unanswered:
            raise unanswered[0]

    async def _end(self, session: Session, unanswered: list[UnavailableError]) -> None:
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
