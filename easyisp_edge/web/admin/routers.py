"""The back office: the routers, and how they are; their passwords and secrets are never told."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field

from easyisp_edge.config import Router, RouterMode
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.site import Site
from easyisp_edge.web.admin.models import ApiModel, Instant, Listed
from easyisp_edge.web.admin.operations import Call, operation


class RouterModel(ApiModel):
    """A router."""

    id: str
    name: str
    address: str
    mode: RouterMode
    state: LinkState | None = Field(description="How the last command to its API ended; null where it has none here.")
    identity: str | None = Field(description="What it calls itself.")
    version: str | None = Field(description="Of RouterOS.")
    board: str | None
    connected_since: Instant | None
    last_error: str | None = Field(description="What went wrong last; null since it answered.")
    online_devices: int = Field(description="As last seen or heard.")


@dataclass(frozen=True)
class RoutersArea:
    """Routers.

    Args:
        site: Which there are.
        presence: Who is on.
        health_of: How one is; None for one without an API.
    """

    site: Site
    presence: Presence
    health_of: Callable[[str], RouterHealth | None]

    @operation("GET", "/api/routers", needs=Permission.ROUTERS_VIEW, answers=Listed[RouterModel])
    async def list_routers(self, call: Call) -> Listed[RouterModel]:
        """All routers, in the order of the files."""
        own = [router for router in self.site.config.routers if router.tenant == call.tenant_id]
        return Listed(items=[self._model(router) for router in own])

    def _model(self, router: Router) -> RouterModel:
        health = self.health_of(router.id)
        known = RouterHealth() if health is None else health
        return RouterModel(
            id=router.id,
            name=router.label,
            address=router.address,
            mode=router.mode,
            state=None if health is None else health.state,
            identity=known.identity or None,
            version=None if known.version is None else str(known.version),
            board=known.board or None,
            connected_since=known.connected_since,
            last_error=known.last_error,
            online_devices=self.presence.count_on(router.id),
        )
