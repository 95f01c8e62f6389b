"""What the back office reads of a site, and does about grants and vouchers, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.services.customers_desk import CustomersDesk
from easyisp_edge.services.grant_pages import GrantPages
from easyisp_edge.services.grants_desk import GrantsDesk
from easyisp_edge.services.listed_grants import GrantView
from easyisp_edge.services.session_pages import SessionPages
from easyisp_edge.services.vouchers_desk import VouchersDesk
from easyisp_edge.web.admin.customers import CustomersArea
from easyisp_edge.web.admin.grants import GrantsArea
from easyisp_edge.web.admin.packages import PackagesArea
from easyisp_edge.web.admin.routers import RoutersArea
from easyisp_edge.web.admin.sessions import SessionsArea
from easyisp_edge.web.admin.vouchers import VouchersArea

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.routers import RouterHealth
    from easyisp_edge.services.access import AccessService
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.services.site import Site
    from easyisp_edge.web.texts import Texts


def site_areas(
    access: AccessService,
    *,
    presence: Presence,
    site: Site,
    identifiers: Identifiers,
    texts: Texts,
    health_of: Callable[[str], RouterHealth | None],
) -> tuple[object, ...]:
    """The areas about what a site sells, to whom, and behind which routers.

    Args:
        access: Starts and ends grants; its store and clock are used.
        presence: Who is on.
        site: What is configured.
        identifiers: New codes.
        texts: Words for people.
        health_of: How a router is; None for one without an API.
    """
    store, clock = access.store, access.clock
    grants = GrantPages(store, clock, GrantView(presence, site))
    return (
        PackagesArea(site, texts),
        CustomersArea(CustomersDesk(store, grants)),
        GrantsArea(GrantsDesk(access, presence, site), grants),
        SessionsArea(SessionPages(store, site)),
        VouchersArea(VouchersDesk(store, clock, identifiers, site), texts),
        RoutersArea(site, presence, health_of),
    )
