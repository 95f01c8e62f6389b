"""The configuration in force: replaced as a whole when the files are read anew, and only by a good one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.config import ShortPayment
from easyisp_edge.errors import NotFoundError
from easyisp_edge.services.claims import ClaimRules
from easyisp_edge.services.judgement import Receiver
from easyisp_edge.services.limits import PushLimits
from easyisp_edge.services.purchase import GatewayDoor

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.config import Config, Gateway, Tenant
    from easyisp_edge.domain.packages import Package, Service
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
        if gateway is None or (gateway.has_api and not self.callback_base):
            raise NotFoundError("gateway.missing", "M-Pesa payments are not set up for this service yet.")
        opened = self.open_gateway(gateway) if gateway.has_api else None
        return GatewayDoor(gateway.id, opened, self.callback_base)

    @property
    def callback_base(self) -> str:
        """Where M-Pesa is told to call back, without a slash at the end; empty where nobody said."""
        return str(self.config.edge.callbacks.public_url or "").rstrip("/")

    def gateway(self, gateway_id: str) -> Gateway | None:
        """A gateway by its id; None where it is not in the files any more."""
        return next((gateway for gateway in self.config.gateways if gateway.id == gateway_id), None)

    def receiver(self, gateway_id: str) -> Receiver | None:
        """Whose a gateway is; None where it is not in the files any more."""
        gateway = self.gateway(gateway_id)
        return None if gateway is None else Receiver(gateway.tenant, gateway.id)

    def push_limits(self) -> PushLimits:
        """How often phones are prompted at most."""
        limits = self.config.edge.limits
        return PushLimits(
            phone_hour=limits.pushes_per_phone_hour,
            device_hour=limits.pushes_per_device_hour,
            site_minute=limits.pushes_per_site_minute,
            cancels_day=limits.cancels_per_phone_day,
            rest=timedelta(minutes=limits.rest_minutes),
        )

    def claim_rules(self, tenant_id: str) -> ClaimRules:
        """How many receipts are taken at most, and what is given in advance."""
        limits = self.config.edge.limits
        tenant = self._tenant(tenant_id)
        given = None if tenant is None else tenant.provisional_access
        return ClaimRules(limits.claims_per_device_hour, limits.claims_per_site_hour, given or timedelta(0))

    def sells_less(self, tenant_id: str) -> bool:
        """Whether too little money buys the dearest package it affords, rather than waiting in the wallet."""
        tenant = self._tenant(tenant_id)
        return tenant is not None and tenant.short_payment is ShortPayment.BEST_PACKAGE

    def trial_package(self, tenant_id: str) -> Package | None:
        """What a device may have for free once a day; None where a tenant gives nothing."""
        tenant = self._tenant(tenant_id)
        if tenant is None or tenant.trial is None:
            return None
        return self.config.package(tenant_id, tenant.trial)

    def _tenant(self, tenant_id: str) -> Tenant | None:
        """A tenant by its id; None where it is not in the files any more."""
        return next((tenant for tenant in self.config.tenants if tenant.id == tenant_id), None)
