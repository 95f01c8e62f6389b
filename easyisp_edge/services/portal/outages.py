"""What does not work now, so that pages can say plainly what still does."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.routers import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.config import Gateway
    from easyisp_edge.domain.reach import Reach
    from easyisp_edge.domain.routers import RouterHealth
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.site import Site


class Outage(enum.StrEnum):
    """Something that is away. Values are part of the JSON."""

    DARAJA = "daraja"  # no prompts, and no news of payments; vouchers and known receipts work on
    UPLINK = "uplink"  # the same, and what is bought leads nowhere until it is back
    ROUTER = "router"  # nobody is let on or put off; what is bought waits
    CENTRAL = "central"  # customers do not notice
    SALES = "sales"  # nothing is sold while the books are put right; what is bought works on


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Outages:
    """Tells what is away, from what was tried last; nothing is tried for it.

    Args:
        site: What is configured.
        clock: Box time.
        reach_of: How asking a gateway went; None where it was not asked yet.
        health_of: How a router is; None for one without an API.
        central_away: Whether the central server is; never, where there is none.
        sales_rest: Whether nothing is sold for the moment.
    """

    site: Site
    clock: Clock
    reach_of: Callable[[Gateway], Reach | None]
    health_of: Callable[[str], RouterHealth | None]
    central_away: Callable[[], bool] = _never
    sales_rest: Callable[[], bool] = _never

    def now(self, tenant_id: str, router_id: str | None) -> set[Outage]:
        """What is away for a tenant's customers.

        Args:
            tenant_id: Whose customers.
            router_id: The router they are behind; None where unknown: then all of the tenant's have to be away.
        """
        found = self._of_gateway(tenant_id)
        if self._router_away(tenant_id, router_id):
            found.add(Outage.ROUTER)
        if self.central_away():
            found.add(Outage.CENTRAL)
        if self.sales_rest():
            found.add(Outage.SALES)
        return found

    def _of_gateway(self, tenant_id: str) -> set[Outage]:
        gateway = self.site.config.gateway_for(tenant_id, Service.HOTSPOT)
        reach = None if gateway is None or not gateway.has_api else self.reach_of(gateway)
        now = self.clock.monotonic()
        if reach is None or not reach.is_away(now):
            return set()
        return {Outage.DARAJA, Outage.UPLINK} if reach.is_cut_off(now) else {Outage.DARAJA}

    def _router_away(self, tenant_id: str, router_id: str | None) -> bool:
        own = [router.id for router in self.site.config.routers if router.tenant == tenant_id]
        asked = [each for each in own if router_id in {None, each}]
        healths = [self.health_of(each) for each in asked]
        return bool(healths) and all(health is not None and health.state is LinkState.DOWN for health in healths)
