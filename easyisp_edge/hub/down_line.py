"""The way down: messages wait in order until a box has them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from easyisp_edge.errors import NotFoundError
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.keys import UnopenedError
from easyisp_edge.hub.publish import open_message
from easyisp_edge.hub.store import asks, down, lapsed, sites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.hub.alarms import Alarms
    from easyisp_edge.hub.bells import Bells
    from easyisp_edge.hub.keys import Seal
    from easyisp_edge.hub.store.asks import Ask
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.hub.store.down import Message
    from easyisp_edge.machine import Clock

WAIT_MOST_SECONDS = 55.0
MESSAGES_MOST = 100
# Another hub may have queued a message and its announcement been lost.
_LOOK_EVERY_SECONDS = 10.0
_PASSING_KEPT = timedelta(days=30)
# A box that was away longer asks M-Pesa itself, or a person does.
LAPSED_AFTER: Final = timedelta(days=90)


class DownLine:
    """Queues messages and hands them out.

    Args:
        database: Where they wait.
        clock: For when.
        bells: Who waits for them.
        alarms: Where one is noted that cannot be handed out.
        seal: Opens what waits sealed.
    """

    def __init__(self, database: Database, clock: Clock, bells: Bells, *, alarms: Alarms, seal: Seal) -> None:
        self._database = database
        self._clock = clock
        self._bells = bells
        self._alarms = alarms
        self._seal = seal

    async def publish(self, site_id: str, kind: str, data: Mapping[str, Any]) -> int:
        """Queue a message; once this returns it is on the disk. Gives its number.

        Raises:
            NotFoundError: There is no such site.
            UnavailableError: It may not have been queued.
        """
        async with self._database.transaction() as tx:
            if not await sites.sites_of(tx, [site_id]):
                raise NotFoundError("site.unknown", f"There is no site {site_id}.")
            number = await down.queue(tx, site_id, kind, data, instant(self._clock.now()))
            await tx.announce(site_id)
        self._bells.ring(site_id)
        return number

    async def answer(self, asked: Ask, data: Mapping[str, Any]) -> bool:
        """Answer a look-up by a `receipt` message, once; False where it was answered already."""
        at = instant(self._clock.now())
        async with self._database.transaction() as tx:
            if not await asks.answered(tx, asked, at):
                return False
            await down.queue(tx, asked.site_id, "receipt", data, at)
            await tx.announce(asked.site_id)
        self._bells.ring(asked.site_id)
        return True

    async def take_asks(self, seconds: float, most: int) -> list[Ask]:
        """Look-ups to be done; no other hub takes them for so long."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            return await asks.take_asks(tx, instant(now), instant(now + timedelta(seconds=seconds)), most)

    async def after(self, site_id: str, number: int, wait_seconds: float) -> Sequence[Message]:
        """The messages after one; waits for the first, so long at most.

        A second request for the same site sends the first home with nothing.
        """
        deadline = self._clock.monotonic() + min(wait_seconds, WAIT_MOST_SECONDS)
        with self._bells.waiting(site_id) as bell:
            while True:
                async with self._database.reading() as tx:
                    waiting = await down.waiting(tx, site_id, number, MESSAGES_MOST)
                found = await self._opened(site_id, waiting)
                left = deadline - self._clock.monotonic()
                if found or left <= 0 or not self._bells.is_current(site_id, bell):
                    return found
                await bell.wait(self._clock, min(left, _LOOK_EVERY_SECONDS))

    async def _opened(self, site_id: str, waiting: Sequence[Message]) -> list[Message]:
        """Messages as their box is given them; one that does not open is left out, and in nobody's way."""
        found = []
        for message in waiting:
            try:
                found.append(self._as_given(site_id, message))
            except UnopenedError:
                await self._alarms.note(site_id, "config.sealed", "sealed with another hub.key: publish it again")
        return found

    def _as_given(self, site_id: str, message: Message) -> Message:
        if message.type != "config" or "sealed" not in message.data:
            return message
        return message._replace(data=open_message(self._seal, site_id, message.data))

    async def tidy(self) -> None:
        """Drop what boxes had long ago, and no new box would need; and what waits for boxes that never came back."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await down.forget_passing(tx, instant(now - _PASSING_KEPT))
            await lapsed.forget_lapsed(tx, instant(now - LAPSED_AFTER))
