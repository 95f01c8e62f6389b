"""The configured routers as links, reconcilers and RADIUS clients, of this box or of FreeRADIUS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius.coa_packets import CoaRouter, CoaSession
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.adapters.routeros.tls import RouterTls
from easyisp_edge.config.certificates import read_certificate
from easyisp_edge.daemon.bells import LoginsFirst
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.errors import EdgeError, UnavailableError
from easyisp_edge.services.access.disconnect import DisconnectService
from easyisp_edge.services.access.freeradius import FreeradiusService, ServedRouter
from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
from easyisp_edge.services.routers.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easyisp_edge.adapters.radius.coa_client import CoaClient
    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.adapters.routeros.watch import RouterWatch
    from easyisp_edge.config import Config, Router, RouterApi
    from easyisp_edge.daemon.parts import Parts
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.services.access.freeradius import LoginDatabase


def router_link(
    router: Router, api: RouterApi, dial: Callable[..., Awaitable[ApiConnection]], watch: RouterWatch | None = None
) -> RouterLink:
    """A link to a router's API; it connects at its first command.

    Args:
        router: Where it leads.
        api: How to log in there.
        dial: Connects and logs in.
        watch: Is told how it goes; None where a person is waiting who may try as often as they like.
    """

    async def connect() -> ApiConnection:
        # Read at each connection: a certificate pinned anew counts from then on.
        password, tls = api.password.get_secret_value(), router_tls(router.id, api)
        return await dial(router.address, api.port, username=api.username, password=password, tls=tls)

    return RouterLink(router.id, connect, deadline_seconds=api.timeout_seconds, watch=watch)


def router_tls(router_id: str, api: RouterApi) -> RouterTls | None:
    """How a router proves who it is; None where its API is spoken in the clear.

    Raises:
        UnavailableError: The file that would tell cannot be read.
    """
    file = api.certificate_file or api.ca_file
    if not api.tls or file is None:
        return None
    try:
        return RouterTls.vouched_by(file) if api.certificate_file is None else RouterTls.pinning(read_certificate(file))
    except (EdgeError, OSError) as error:
        raise UnavailableError(
            "router.certificate_unread",
            f"Router {router_id} cannot be told from others, for its certificate is not to be had: {file}: {error}",
        ) from error


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
        usage=HotspotUsage(
            router_id=router.id,
            tenant_id=router.tenant,
            store=parts.store,
            clock=parts.clock,
            account=parts.accounting.account,
            clock_set_at=lambda: parts.clock.set_at,
        ),
        started=parts.access.started,
    )


def radius_clients(config: Config) -> list[RadiusClient]:
    """The routers that may ask this box by RADIUS."""
    return [
        RadiusClient(
            router_id=router.id,
            address=router.address,
            secret=router.radius.secret.get_secret_value().encode(),
            message_authenticator=router.radius.message_authenticator,
            interim_seconds=router.radius.interim_seconds,
            pppoe_pool=router.radius.pppoe_pool,
        )
        for router in config.routers
        if router.uses_radius and router.radius is not None and not router.asks_freeradius
    ]


def served_routers(config: Config) -> list[ServedRouter]:
    """The routers that ask FreeRADIUS."""
    return [
        ServedRouter(router.id, router.tenant, router.address, router.radius.interim_seconds)
        for router in config.routers
        if router.asks_freeradius and router.radius is not None
    ]


@dataclass(frozen=True, slots=True)
class FreeradiusRounds:
    """FreeRADIUS's rounds, and what its routers do after them.

    Args:
        service: What keeps its users.
        bells: Of the routers that ask it.
    """

    service: FreeradiusService
    bells: list[LoginsFirst]

    @classmethod
    def of(cls, served: list[ServedRouter], database: LoginDatabase, parts: Parts) -> FreeradiusRounds:
        """One for all those routers; at least one."""
        bells = [bell for bell in parts.bells.routers.values() if isinstance(bell, LoginsFirst)]

        def ring_routers() -> None:
            for bell in bells:
                bell.ring_router()

        service = FreeradiusService(
            database=database,
            routers=served,
            store=parts.store,
            clock=parts.clock,
            account=parts.accounting.account,
            is_noted=parts.accounting.is_noted,
            started=parts.access.started,
            written=ring_routers,
        )
        return cls(service, bells)

    async def round(self) -> float | None:
        """One round; then routers that were rung for are looked at, whether or not there was anything to write."""
        waiting = [bell for bell in self.bells if bell.take()]
        try:
            return await self.service.round()
        finally:
            # Where nothing could be written, who is over is put off the router all the same.
            for bell in waiting:
                bell.ring_router()


def coa_router(router: Router) -> CoaRouter | None:
    """A router as one that ends sessions at our word; None where it is not set up for that."""
    radius = router.radius
    if not router.uses_radius or radius is None or radius.incoming_port is None:
        return None
    return CoaRouter(router.id, router.address, radius.incoming_port, radius.secret.get_secret_value().encode())


def disconnecting(router: CoaRouter, client: CoaClient, parts: Parts) -> DisconnectService[CoaSession]:
    """What ends sessions that should be over, by RADIUS."""

    def named(session: Session) -> CoaSession:
        # Without the MAC: the router compares it in the form it was set to write, and finds none in another.
        return CoaSession(router, session.username, session.address, session.acct_session_id)

    return DisconnectService(
        router_id=router.router_id,
        store=parts.store,
        clock=parts.clock,
        presence=parts.presence,
        control=client,
        named=named,
        may_stay=parts.access.may_stay,
    )
