"""Telling M-Pesa where to confirm what customers pay from its menu (C2B)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import ConflictError

if TYPE_CHECKING:
    from easyisp_edge.config import Gateway
    from easyisp_edge.services.money.sweep import SweepService
    from easyisp_edge.services.site import Site

log = logging.getLogger(__name__)


class NoticeAddresses(NamedTuple):
    """Where a gateway's payments are told; secrets.

    Args:
        confirmation_url: Each payment, when it was made.
        validation_url: Each payment, before it is made.
    """

    confirmation_url: str
    validation_url: str


@dataclass(frozen=True, slots=True)
class RegistrationService:
    """Registers a gateway's addresses.

    Args:
        site: The gateways, and the address they call back.
        sweep: Knows the secret of each gateway's addresses.
    """

    site: Site
    sweep: SweepService

    async def addresses(self, gateway_id: str) -> NoticeAddresses:
        """The addresses that are, or would be, registered.

        Raises:
            NotFoundError: No such gateway.
            ConflictError: It is not set up for this in the files.
        """
        self._gateway(gateway_id)
        token = await self.sweep.notice_token(gateway_id)
        base = self.site.callback_base
        return NoticeAddresses(f"{base}/n/{token}", f"{base}/v/{token}")

    async def register(self, gateway_id: str, by: str) -> NoticeAddresses:
        """Register them; in production M-Pesa takes them once for each short code.

        Raises:
            NotFoundError: No such gateway.
            ConflictError: It is not set up for this in the files.
            InvalidError: M-Pesa takes no such address; nothing was sent.
            RefusedError: M-Pesa said no; `c2b.registered` where others stand.
            UnavailableError: Nothing was registered; try again later.
            OutcomeUnknownError: They may be registered: a next try that is refused as registered says so.
        """
        gateway, addresses = self._gateway(gateway_id), await self.addresses(gateway_id)
        await self.site.open_gateway(gateway).register_urls(*addresses)
        data = {"by": by, "tenant": gateway.tenant, "shortCode": gateway.shortcode}
        await self.sweep.settlement.store.write(
            lambda tx: tx.events.append(Stream.MONEY, "staff.c2b_registered", gateway_id, data)
        )
        log.info("the C2B addresses of %s are registered, says %s", gateway_id, by)
        return addresses

    def _gateway(self, gateway_id: str) -> Gateway:
        gateway = self.site.config.gateway(gateway_id)
        if not gateway.c2b:
            raise ConflictError("gateway.c2b_off", f"First set c2b = true for gateway {gateway_id} in gateways.toml.")
        if not self.site.callback_base:  # the files are refused without it: this is for what was read before
            raise ConflictError("gateway.no_address", "First set public_url under [callbacks] in edge.toml.")
        return gateway
