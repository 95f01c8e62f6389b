"""What is sold."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from easyisp_edge.domain.schedules import Schedule
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
        duration: How long it lasts by the clock, from the moment the device is first let on.
        rate_limit: Speed, seen from the customer.
        data_limit: Octets in both directions together, over all sessions; None for no limit.
        devices_max: How many devices may be on at once.
        active: Whether it is offered now.
        router_ids: Where it is valid; empty means on every router of the tenant.
        online_time: How long it lasts counting only time spent online, over all sessions and devices; None for no
            limit. With `duration`, whichever is over first.
        schedule: The hours it may be used in; None for always.
        language: In which who bought it is spoken to; None for the one they chose.
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
    online_time: timedelta | None = None
    schedule: Schedule | None = None
    language: str | None = None

    def valid_on(self, router_id: str) -> bool:
        """Whether it may be used behind that router."""
        return not self.router_ids or router_id in self.router_ids


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A package as it stood when it was bought; a later change of price or speed never touches it."""

    version_id: int
    package: Package
