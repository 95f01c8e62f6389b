"""This box becomes a site's box at a hub: with a key made here, a code used once, and two fingerprints to compare."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.central import SyncPhase, SyncSite
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import fingerprint
from easyisp_edge.errors import ConflictError, InvalidError

if TYPE_CHECKING:
    from asyncio import Lock
    from collections.abc import Awaitable, Callable

    from easyisp_edge.domain.central import EdgeKey, Enrolled
    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

_CODE_LENGTH_MAX = 80


class NewSite(NamedTuple):
    """What an enrolment led to.

    Args:
        site: Who this box is now.
        fingerprint: Of its key, for a person to compare at the hub.
    """

    site: SyncSite
    fingerprint: str


@dataclass(frozen=True, slots=True)
class EnrolmentService:
    """Enrols this box.

    Args:
        link: To the hub; told of it.
        new_key: Makes the key, or gives the one of a try before; `EdgeError` where that cannot be written.
        keep_key: Told that the key is in use.
        enrol: Asks a hub: its address, the code, the key.
        check_url: Reads the hub's address; `InvalidError` where it is none.
        enrolled: Called with where the hub takes callbacks.
        busy: Two people do not enrol at once, nor while the key is changed.
    """

    link: SyncLink
    new_key: Callable[[], EdgeKey]
    keep_key: Callable[[], None]
    enrol: Callable[[str, str, EdgeKey], Awaitable[Enrolled]]
    check_url: Callable[[str], str]
    enrolled: Callable[[str], None]
    busy: Lock = field(compare=False)

    async def run(self, url: str, code: str, by: str) -> NewSite:
        """Enrol; also again, with a new code. What the box has to tell begins to go up then.

        Raises:
            InvalidError: The address or the code is none.
            ConflictError: Somebody is at it.
            UnavailableError: No hub answered; the same code may be tried again.
            RefusedError: The hub does not take the code.
            EdgeError: The key cannot be written.
        """
        url = self.check_url(url)
        code = " ".join(code.split())
        if not 0 < len(code) <= _CODE_LENGTH_MAX or not code.isascii():
            raise InvalidError("sync.code", "Give the code that the hub showed for this site.", field="code")
        if self.busy.locked():
            raise ConflictError("sync.enrolling", "Somebody is enrolling this box, or it changes its key, just now.")
        async with self.busy:
            key = self.new_key()
            found = await self.enrol(url, code, key)
            now = self.link.clock.now()
            site = SyncSite(
                hub_url=url,
                site_id=found.site_id,
                epoch=found.epoch,
                hub_key=found.hub_key,
                public_key=key.public,
                callback_base=found.callback_base,
                enrolled_at=now,
                key_since=now,
            )
            await self.link.store.write(lambda tx: _enrol(tx, site, by))
            self.keep_key()
        self.enrolled(site.callback_base)
        self.link.enrolled_anew()
        return NewSite(site, fingerprint(key.public))


def _enrol(tx: Tables, site: SyncSite, by: str) -> None:
    was = tx.sync.site()
    tx.sync.enrol(site)
    if was is not None and was.phase is SyncPhase.APART:
        tx.sync.come_to(SyncPhase.APART)  # its books are not whole yet, whoever it is now
    if was is None or was.site_id != site.site_id:
        tx.central.forget()  # its numbers would be held against another hub's
    # Books that say nothing yet have to go on saying nothing: another box's may take their place.
    if was is not None or not tx.sync.is_fresh():
        tx.events.append(
            Stream.MONEY, "sync.enrolled", site.site_id, {"hub": site.hub_url, "epoch": site.epoch, "by": by}
        )
