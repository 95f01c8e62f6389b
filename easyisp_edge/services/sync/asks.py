"""Receipts that nobody here can look up are looked up by the hub, with secrets that only it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.sync import Lane

if TYPE_CHECKING:
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.sync.link import SyncLink

LOOK_SECONDS, IDLE_SECONDS = 10.0, 60.0
ASKED_AGAIN_AFTER = timedelta(minutes=20)
ASKED_AT_MOST = 12
_ASKED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class AskService:
    """Asks the hub about receipts that customers wait for.

    Args:
        link: To the hub.
        site: Which gateways this box cannot read itself.
    """

    link: SyncLink
    site: Site

    async def round(self) -> float:
        """Ask about what is due; gives the seconds until the next look.

        Raises:
            UnavailableError: It has to be tried again.
            RefusedError: The hub will not hear this box.
        """
        if self.link.site is None or not self.link.in_step:
            return IDLE_SECONDS  # a bell rings when it is
        codes = {gateway.id: gateway.shortcode for gateway in self.site.config.gateways if gateway.pull is None}
        read, now = self.link.store.read, self.link.clock.now()
        for asked in read.sync.to_be_asked(codes, now - ASKED_AGAIN_AFTER, ASKED_AT_MOST, _ASKED_AT_ONCE):
            receipt, short_code = asked.mpesa_receipt_number, codes[asked.gateway_id]
            await self.link.turn(
                Lane.ASK,
                lambda hub, counter, receipt=receipt, code=short_code: hub.look_up(receipt, code, counter),  # type: ignore[misc]
            )
            await self.link.store.write(lambda tx, asked=asked: tx.sync.note_asked(asked, now))  # type: ignore[misc]
        return LOOK_SECONDS
