"""What is sold."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from easyisp_edge.domain.values import DataVolume, Money, RateLimit


class Service(enum.Enum):
    """How the customer is connected, and so which gateway takes the money."""

    HOTSPOT = "hotspot"
    PPPOE = "pppoe"


@dataclass(frozen=True, slots=True)
class Package:
    """Internet time as it is offered.

    Args:
        tenant_id: Who sells it.
        package_id: Its id in the configuration, unique within the tenant.
        name: As the customer reads it.
        service: Hotspot or PPPoE.
        price: In whole shillings, because STK takes no less.
        duration: From the moment the device is first let on.
        rate_limit: Speed, seen from the customer.
        data_limit: Octets in both directions together; None for no limit.
        devices_max: How many devices may be on at once.
        active: Whether it is offered now.
        router_ids: Where it is valid; empty means on every router of the tenant.
    """

    tenant_id: str
    package_id: str
    name: str
    service: Service
    price: Money
    duration: timedelta
    rate_limit: RateLimit
    data_limit: DataVolume | None
    devices_max: int
    active: bool
    router_ids: tuple[str, ...]

    def valid_on(self, router_id: str) -> bool:
        """Whether it may be used behind that router."""
        return not self.router_ids or router_id in self.router_ids


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A package as it stood when it was bought; a later change of price or speed never touches it."""

    version_id: int
    package: Package
