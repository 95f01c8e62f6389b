"""A poster: a picture that customers scan to pay for a package; made by M-Pesa once and kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from easyisp_edge.config import Config, Gateway
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store

# As large as M-Pesa makes them: it is for paper.
PIXELS = 1000
REFERENCE_LENGTH_MAX = 12
_NAME_LENGTH_MAX = 50


@dataclass(frozen=True, slots=True)
class PosterService:
    """Gives posters.

    Args:
        site: Who sells, and by which gateway.
        shelf: What is on sale.
        store: Where pictures are kept.
        clock: Box time.
    """

    site: Site
    shelf: Shelf
    store: Store
    clock: Clock

    async def png(self, tenant_id: str, package_id: str) -> bytes:
        """The picture for a package at its price now. What is paid by it comes without a purchase.

        Raises:
            NotFoundError: No such tenant, no such package on sale, or no gateway for it.
            RefusedError: The gateway has no API, or M-Pesa said no.
            UnavailableError: No picture came; ask again later.
            InvalidError: M-Pesa would not take what the poster is to say.
        """
        package = self.shelf.version(tenant_id, package_id).package
        gateway = self._gateway(package)
        reference = poster_reference(package_id)
        says = f"{gateway.shortcode} {reference}"
        kept = self.store.read.posters.png(gateway.id, says, package.price)
        if kept is not None:
            return kept
        png = await self.site.open_gateway(gateway).dynamic_qr(
            merchant_name=merchant_name(self.site.config, tenant_id),
            reference=reference,
            amount=package.price,
            pixels=PIXELS,
        )
        at = self.clock.now()
        await self.store.write(lambda tx: tx.posters.put(gateway.id, says, package.price, png, at))
        return png

    def _gateway(self, package: Package) -> Gateway:
        gateway = self.site.config.gateway_for(package.tenant_id, package.service)
        if gateway is None:
            raise NotFoundError("gateway.missing", "No gateway in gateways.toml takes the money for this package.")
        if not gateway.has_api:
            raise RefusedError("poster.no_api", f"M-Pesa makes no picture for gateway {gateway.id}: it has no API.")
        return gateway


def poster_reference(package_id: str) -> str:
    """What payments by a package's poster carry as account: at most 12 capitals and digits."""
    return re.sub(r"[^A-Z0-9]", "", package_id.upper())[:REFERENCE_LENGTH_MAX]


def merchant_name(config: Config, tenant_id: str) -> str:
    """What a poster calls the seller, cut to what fits."""
    tenant = config.tenant(tenant_id)
    return (tenant.business_name or tenant.name)[:_NAME_LENGTH_MAX].strip()
