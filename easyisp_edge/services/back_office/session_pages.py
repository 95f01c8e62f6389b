"""The sessions of a tenant for its back office, open and over.

Whose a session is its router says: also one of somebody whose user name nobody knows is on by that router's tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.services.back_office.grants_desk import unknown_grant

if TYPE_CHECKING:
    from easyisp_edge.domain.paging import Page, Position
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store, Tables


class SessionsSought(NamedTuple):
    """Which sessions are looked for; None for any.

    Args:
        mac: Those of that device.
        grant_id: Those by that grant.
        router_id: Those on that router.
        over: Whether also those that are over.
    """

    mac: MacAddress | None = None
    grant_id: str | None = None
    router_id: str | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class SessionPages:
    """Reads sessions.

    Args:
        store: The store.
        site: Whose routers they are on.
    """

    store: Store
    site: Site

    async def page(
        self, tenant_id: str, sought: SessionsSought, *, limit: int, after: Position | None = None
    ) -> Page[Session]:
        """A page of a tenant's sessions, the last to begin first.

        Raises:
            InvalidError: A grant is named beside a device or a router, or the page before cannot have ended there.
            NotFoundError: The tenant has no such router or grant.
        """
        if sought.grant_id is not None and (sought.mac is not None or sought.router_id is not None):
            raise InvalidError("request.invalid", "Name a grant, or a device and a router.", field="grantId")
        router_ids = self._routers(tenant_id, sought.router_id)

        def look(tables: Tables) -> Page[Session]:
            if sought.grant_id is not None:
                if tables.grants.owned(tenant_id, sought.grant_id) is None:
                    raise unknown_grant(sought.grant_id)
                return tables.sessions.page_of_grant(sought.grant_id, over=sought.over, limit=limit, after=after)
            if sought.mac is not None:
                return tables.sessions.page_of_device(
                    sought.mac, router_ids, over=sought.over, limit=limit, after=after
                )
            return tables.sessions.page_of_routers(router_ids, over=sought.over, limit=limit, after=after)

        return await self.store.survey(look)

    def _routers(self, tenant_id: str, router_id: str | None) -> list[str]:
        own = [router.id for router in self.site.config.routers if router.tenant == tenant_id]
        if router_id is None:
            return own
        if router_id not in own:
            raise NotFoundError("router.unknown", f'There is no router "{router_id:.64}".')
        return [router_id]
