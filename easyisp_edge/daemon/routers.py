"""The configured routers as links, reconcilers and RADIUS clients."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.services.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.config import Config, Router, RouterApi
    from easyisp_edge.daemon.parts import Parts


def router_link(router: Router, api: RouterApi, dial: Callable[..., Awaitable[ApiConnection]]) -> RouterLink:
    """A link to a router's API; it connects at its first command."""
    tls = ssl.create_default_context(cafile=None if api.ca_file is None else str(api.ca_file)) if api.tls else None

    def connect() -> Awaitable[ApiConnection]:
        password = api.password.get_secret_value()
        return dial(router.address, api.port, username=api.username, password=password, tls=tls)

    return RouterLink(router.id, connect, deadline_seconds=api.timeout_seconds)


def reconciler(router: Router, link: RouterLink, parts: Parts) -> Reconciler:
    """What keeps a router equal to the grants."""
    return Reconciler(
        router_id=router.id,
        tenant_id=router.tenant,
        mode=router.mode,
        router=MikrotikHotspot(link, hotspot_server=router.hotspot_server, mark=USER_MARK),
        store=parts.store,
        clock=parts.clock,
        presence=parts.presence,
        started=parts.access.started,
    )


def radius_clients(config: Config) -> list[RadiusClient]:
    """The routers that may ask by RADIUS."""
    return [
        RadiusClient(
            router_id=router.id,
            address=router.address,
            secret=router.radius.secret.get_secret_value().encode(),
            message_authenticator=router.radius.message_authenticator,
            interim_seconds=router.radius.interim_seconds,
        )
        for router in config.routers
        if router.uses_radius and router.radius is not None
    ]
