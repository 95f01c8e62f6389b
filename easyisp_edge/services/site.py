"""The configuration in force: replaced as a whole when the files are read anew, and only by a good one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import NotFoundError
from easyisp_edge.services.purchase import GatewayDoor

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.config import Config, Gateway
    from easyisp_edge.domain.packages import Service
    from easyisp_edge.services.ports import PaymentGateway


@dataclass(slots=True)
class Site:
    """What is configured now.

    Args:
        config: The last good configuration.
        open_gateway: Makes, or finds, the way to a configured gateway.
    """

    config: Config
    open_gateway: Callable[[Gateway], PaymentGateway]

    def door_for(self, tenant_id: str, service: Service) -> GatewayDoor:
        """The gateway that takes a tenant's money for a service.

        Raises:
            NotFoundError: There is none, or nowhere for it to call back to.
        """
        gateway = self.config.gateway_for(tenant_id, service)
        base = self.config.edge.callbacks.public_url
        if gateway is None or base is None:
            raise NotFoundError("gateway.missing", "M-Pesa payments are not set up for this service yet.")
        return GatewayDoor(gateway.id, self.open_gateway(gateway), str(base).rstrip("/"))
