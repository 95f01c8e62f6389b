"""The box changes its key twice a year: one that was copied from its card is worth nothing from then on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import fingerprint
from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    from asyncio import Lock
    from collections.abc import Callable

    from easyisp_edge.domain.central import EdgeKey, SyncSite
    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

RENEWED_EVERY = timedelta(days=180)
LOOK_SECONDS = 6 * 3600.0
_BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class KeyRenewal:
    """Changes this box's key when it is old.

    The hub goes on with the present key until the new one has signed a request: whatever answer is lost, and wherever
    the power goes, the box holds a key that the hub takes.

    Args:
        link: To the hub.
        new_key: Makes the key, or gives the one of a try before; `EdgeError` where that cannot be written.
        keep_key: Told that the key is in use.
        busy: Held by who enrols this box meanwhile.
        every: How old a key gets.
    """

    link: SyncLink
    new_key: Callable[[], EdgeKey]
    keep_key: Callable[[], None]
    busy: Lock = field(compare=False)
    every: timedelta = RENEWED_EVERY

    async def round(self) -> float:
        """Change the key where it is due; gives the seconds until the next look.

        Raises:
            UnavailableError: It has to be tried again.
            RefusedError: The hub will not hear this box.
            EdgeError: The key cannot be written.
        """
        site, clock = self.link.site, self.link.clock
        if site is None or not self.link.in_step or clock.state is ClockState.UNSET:
            return LOOK_SECONDS  # a bell rings when they are in step
        due = (site.key_since + self.every - clock.now()).total_seconds()
        if due > 0:
            return min(due, LOOK_SECONDS)
        if self.busy.locked():
            return _BUSY_SECONDS
        async with self.busy:
            await self._change(site)
        return min(self.every.total_seconds(), LOOK_SECONDS)

    async def _change(self, site: SyncSite) -> None:
        key = self.new_key()
        if key.public == site.public_key:  # the power went before it was noted as in use
            self.keep_key()
            key = self.new_key()
        await self.link.turn_alone(
            lambda hub, counter: hub.announce_key(key, counter),
            lambda: self.link.store.write(lambda tx: self._begin_with(tx, site, key.public)),
        )
        self.keep_key()
        log.info("this box signs with a new key: %s", fingerprint(key.public))

    def _begin_with(self, tx: Tables, site: SyncSite, public: bytes) -> None:
        tx.sync.change_key(public, self.link.clock.now())
        tx.events.append(Stream.MONEY, "sync.key_changed", site.site_id, {"fingerprint": fingerprint(public)})
