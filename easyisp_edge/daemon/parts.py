"""The services and what they share, built top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import easyisp_edge
from easyisp_edge.machine import Wake
from easyisp_edge.services.access import AccessService
from easyisp_edge.services.accounting import AccountingService
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.presence import Presence
from easyisp_edge.services.purchase import PurchaseService
from easyisp_edge.services.settlement import SettlementService
from easyisp_edge.services.shelf import Shelf
from easyisp_edge.services.site import Site
from easyisp_edge.services.standing import StandingService
from easyisp_edge.web.pages import Pages
from easyisp_edge.web.portal import Portal
from easyisp_edge.web.texts import Texts

if TYPE_CHECKING:
    from easyisp_edge.config import Config
    from easyisp_edge.daemon.gateways import Gateways
    from easyisp_edge.loops import Errands
    from easyisp_edge.machine import Randomness
    from easyisp_edge.store.store import Store
    from easyisp_edge.timekeeping import BoxClock


@dataclass(frozen=True, slots=True)
class Bells:
    """What wakes background work: one bell a gateway with queries due, one a router to be looked at."""

    queries: dict[str, Wake]
    routers: dict[str, Wake]

    def ring_queries(self) -> None:
        """A purchase may have become due for a query."""
        for wake in self.queries.values():
            wake.ring()


@dataclass(frozen=True, slots=True)
class Parts:
    """The daemon's parts, joined."""

    clock: BoxClock
    store: Store
    bells: Bells
    site: Site
    shelf: Shelf
    presence: Presence
    access: AccessService
    accounting: AccountingService
    settlement: SettlementService
    purchases: PurchaseService
    portal: Portal


def build_parts(
    config: Config,
    *,
    clock: BoxClock,
    store: Store,
    randomness: Randomness,
    gateways: Gateways,
    pushes: Errands,
) -> Parts:
    """Build and join them; nothing runs yet."""
    folder = portal_folder()
    texts = Texts.load(folder / "translations")
    identifiers, presence = Identifiers(randomness), Presence()
    bells = Bells({gateway.id: Wake() for gateway in config.gateways}, {router.id: Wake() for router in config.routers})
    site, shelf = Site(config, gateways.open), Shelf(store, clock)
    access = AccessService(
        store=store,
        clock=clock,
        presence=presence,
        tenant_of={router.id: router.tenant for router in config.routers},
        message=lambda _router_id, key: texts.get(site.config.portal.default_language, key),
        router_changed=bells.routers,
    )
    settlement = SettlementService(
        store=store,
        clock=clock,
        identifiers=identifiers,
        granted=access.tell_routers,
        query_due=bells.ring_queries,
    )
    purchases = PurchaseService(
        store=store,
        clock=clock,
        identifiers=identifiers,
        shelf=shelf,
        door_for=site.door_for,
        pushes=pushes,
        query_due=bells.ring_queries,
    )
    portal = Portal(
        site=site,
        store=store,
        clock=clock,
        identifiers=identifiers,
        shelf=shelf,
        purchases=purchases,
        settlement=settlement,
        access=access,
        standing=StandingService(store, clock, presence),
        pages=Pages(folder, texts),
        texts=texts,
    )
    return Parts(
        clock=clock,
        store=store,
        bells=bells,
        site=site,
        shelf=shelf,
        presence=presence,
        access=access,
        accounting=AccountingService(store, clock, presence),
        settlement=settlement,
        purchases=purchases,
        portal=portal,
    )


def portal_folder() -> Path:
    """Where the portal's files are: inside the installed package, or beside it in a checkout."""
    package = Path(easyisp_edge.__file__).parent
    installed = package / "captive_portal"
    return installed if installed.is_dir() else package.parent / "captive_portal"
