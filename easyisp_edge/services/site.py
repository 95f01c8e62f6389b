"""The configuration in force: what files declare, replaced as a whole and only by a good one, and what people made."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.config import ShortPayment
from easyisp_edge.config.central import with_central
from easyisp_edge.config.made_gateways import with_made
from easyisp_edge.config.problems import ConfigError
from easyisp_edge.errors import InvalidError, NotFoundError, UnavailableError
from easyisp_edge.services.money.claims import ClaimRules
from easyisp_edge.services.money.judgement import Receiver
from easyisp_edge.services.money.limits import PushLimits
from easyisp_edge.services.money.purchase import GatewayDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from easyisp_edge.config import Config, Gateway, Tenant
    from easyisp_edge.domain.central import ConfigSnapshot
    from easyisp_edge.domain.packages import Package, Service
    from easyisp_edge.services.ports import PaymentGateway

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Site:
    """What is configured now.

    Args:
        config: The last good configuration, with the gateways that people made.
        open_gateway: Makes, or finds, the way to a configured gateway.
        declared: What the files, and the environment, say alone.
        relayed_base: Where the hub takes callbacks for this box; empty where it has none.
    """

    config: Config
    open_gateway: Callable[[Gateway], PaymentGateway]
    declared: Config = field(init=False)
    relayed_base: str = ""
    _made: tuple[Gateway, ...] = ()
    _published: ConfigSnapshot | None = None
    _held: set[str] = field(default_factory=set)
    _left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.declared = self.config

    def named_tenant(self, tenant_id: str | None, *, field: str = "tenant") -> str:
        """The tenant of that id, or the only one; `field` is where it would be named.

        Raises:
            NotFoundError: There is no such tenant.
            InvalidError: There are several, and none is named.
        """
        if tenant_id is not None:
            return self.config.tenant(tenant_id).id
        only = self.config.only_tenant()
        if only is None:
            known = ", ".join(tenant.id for tenant in self.config.tenants)
            raise InvalidError("tenant.which", f"Say for which tenant: {known}.", field=field)
        return only.id

    def declare(self, config: Config) -> None:
        """Put in force what the files say now; what was made stays."""
        self.declared = config
        self._join()

    def put_made(self, gateways: Iterable[Gateway]) -> None:
        """Put in force the gateways that people made, in place of those before; oldest first."""
        self._made = tuple(gateways)
        self._join()

    def put_published(self, snapshot: ConfigSnapshot | None) -> None:
        """Put in force what the hub publishes, below what files and people say.

        Raises:
            ConfigError: It does not go together with what they say; what was published before stays.
        """
        if snapshot is not None:
            with_central(with_made(self.declared, self._made)[0], snapshot.content)
        self._published = snapshot
        self._join()

    def _join(self) -> None:
        self.config, left_out = with_made(self.declared, self._made)
        self._add_published()
        for gateway_id, reason in left_out.items():
            if self._left_out.get(gateway_id) != reason:
                log.warning("gateway %s, made at the back office, is not used: %s", gateway_id, reason)
        self._left_out = left_out

    def _add_published(self) -> None:
        """What the hub published went with what files and people said then, and may not any more."""
        if self._published is not None:
            try:
                self.config = with_central(self.config, self._published.content)
            except ConfigError as error:
                log.warning("what the hub published is not used now: %s", error.message)

    @contextlib.contextmanager
    def holding(self, gateway_id: str) -> Iterator[None]:
        """Have nothing sold through a gateway within this block: what it is may be another after it."""
        self._held.add(gateway_id)
        try:
            yield
        finally:
            self._held.discard(gateway_id)

    def door_for(self, tenant_id: str, service: Service) -> GatewayDoor:
        """The gateway that takes a tenant's money for a service.

        Raises:
            NotFoundError: There is none, or nowhere for it to call back to.
            UnavailableError: It is being changed at this moment.
        """
        gateway = self.config.gateway_for(tenant_id, service)
        if gateway is None or (gateway.has_api and not self.callback_base):
            raise NotFoundError("gateway.missing", "M-Pesa payments are not set up for this service yet.")
        if gateway.id in self._held:
            raise UnavailableError("gateway.changing", "The way to pay is being changed. Try again in a moment.")
        opened = self.open_gateway(gateway) if gateway.has_api else None
        return GatewayDoor(gateway.id, opened, self.callback_base)

    @property
    def callback_base(self) -> str:
        """Where M-Pesa is told to call back, without a slash at the end; empty where nobody said."""
        return str(self.config.edge.callbacks.public_url or self.relayed_base).rstrip("/")

    @property
    def webhook_key(self) -> str:
        """What proves that who tells of a payment may; empty where nobody may."""
        key = self.config.edge.callbacks.webhook_key
        return "" if key is None else key.get_secret_value()

    def gateway(self, gateway_id: str) -> Gateway | None:
        """A gateway by its id; None where it is not there any more."""
        return next((gateway for gateway in self.config.gateways if gateway.id == gateway_id), None)

    def receiver(self, gateway_id: str) -> Receiver | None:
        """Whose a gateway is; None where it is not there any more."""
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
