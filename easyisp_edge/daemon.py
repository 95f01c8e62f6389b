"""The one place where the daemon's parts are built and joined, and where its background work lives."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

import easyisp_edge
from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.radius.server import RadiusServer
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.config import Environment, SubType
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.loops import Errands, every
from easyisp_edge.machine import Wake
from easyisp_edge.services.access import AccessService
from easyisp_edge.services.accounting import AccountingService
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.presence import Presence
from easyisp_edge.services.purchase import PurchaseService
from easyisp_edge.services.reconcile import Reconciler
from easyisp_edge.services.settlement import SettlementService
from easyisp_edge.services.shelf import Shelf
from easyisp_edge.services.site import Site
from easyisp_edge.services.standing import StandingService
from easyisp_edge.store.store import Store, Tables
from easyisp_edge.timekeeping import BoxClock
from easyisp_edge.web.app import admin_app, callbacks_app, portal_app
from easyisp_edge.web.pages import Pages
from easyisp_edge.web.portal import Portal
from easyisp_edge.web.texts import Texts

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    import httpx

    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.config import Config, Gateway, Router
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.machine import Randomness, TimeSource, UdpEndpoint
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.store.connections import Database

log = logging.getLogger(__name__)

_BASE_URLS = {
    Environment.SANDBOX: "https://sandbox.safaricom.co.ke",
    Environment.PRODUCTION: "https://api.safaricom.co.ke",
}
EXPIRE_EVERY_SECONDS = 15.0
END_LOOK_SECONDS = 30.0
QUERY_LOOK_SECONDS = 60.0
CLOCK_LOOK_SECONDS = 10.0
CLOCK_WRITTEN_SECONDS = 60.0
ROUTER_BACKOFF_MOST_SECONDS = 15.0
# What a push in flight may still take when the daemon is asked to stop; systemd waits 20 s in all.
PUSHES_FINISH_SECONDS = 12.0
_KEEPALIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What the daemon takes from the machine; all of it can be put in other's place.

    Args:
        time: Raw time.
        randomness: Randomness.
        open_database: Opens the SQLite file.
        open_http: Opens an HTTP client that trusts the given authorities, or the usual ones.
        bind_udp: Binds, or finds, the UDP socket of a door: name, address, port.
        listen: Opens, or finds, the listening socket of a door: name, address, port.
        dial: Connects to a RouterOS API and logs in.
        tell: Tells the service manager a state.
        watchdog_seconds: How often it wants to hear that we live; None when it does not watch.
    """

    time: TimeSource
    randomness: Randomness
    open_database: Callable[[Path], Awaitable[Database]]
    open_http: Callable[[ssl.SSLContext | bool], httpx.AsyncClient]
    bind_udp: Callable[[str, str, int], UdpEndpoint]
    listen: Callable[[str, str, int], socket.socket]
    dial: Callable[..., Awaitable[ApiConnection]]
    tell: Callable[[str], None] = lambda _state: None
    watchdog_seconds: float | None = None


@dataclass(slots=True)
class Doors:
    """Where the daemon can be reached, once it is ready."""

    portal: str = ""
    callbacks: str = ""
    admin: str = ""
    radius_auth_port: int = 0
    radius_acct_port: int = 0


@dataclass(slots=True)
class Gateways:
    """Opens configured gateways, each once; apps and HTTP clients are shared where keys and authorities are."""

    machine: Machine
    clock: BoxClock
    stack: contextlib.AsyncExitStack
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    _apps: dict[tuple[str, str, str, str], DarajaApp] = field(default_factory=dict)
    _gateways: dict[Gateway, DarajaClient] = field(default_factory=dict)

    def open(self, gateway: Gateway) -> PaymentGateway:
        """The way to a gateway as it is configured now."""
        if gateway not in self._gateways:
            self._gateways[gateway] = DarajaClient(self._app(gateway), daraja_account(gateway))
        return self._gateways[gateway]

    def _app(self, gateway: Gateway) -> DarajaApp:
        base_url = str(gateway.base_url or _BASE_URLS[gateway.environment])
        secret = gateway.consumer_secret.get_secret_value()
        key = (base_url, gateway.consumer_key.get_secret_value(), secret, str(gateway.ca_file or ""))
        if key not in self._apps:
            self._apps[key] = DarajaApp(
                consumer_key=gateway.consumer_key,
                consumer_secret=gateway.consumer_secret,
                base_url=base_url,
                http=self._client(str(gateway.ca_file or "")),
                clock=self.clock,
                queries_per_minute=gateway.queries_per_minute,
            )
        return self._apps[key]

    def _client(self, ca_file: str) -> httpx.AsyncClient:
        if ca_file not in self._clients:
            verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
            client = self.machine.open_http(verify)
            self.stack.push_async_callback(client.aclose)
            self._clients[ca_file] = client
        return self._clients[ca_file]


def daraja_account(gateway: Gateway) -> DarajaAccount:
    """Who receives the money of a configured gateway, in Daraja's terms."""
    if gateway.sub_type is SubType.BUYGOODS:
        return DarajaAccount.buy_goods(gateway.signing_shortcode, gateway.shortcode, gateway.passkey)
    if gateway.sub_type is SubType.BANK:
        account = gateway.account_number or ""
        return DarajaAccount.bank(gateway.signing_shortcode, gateway.shortcode, account, gateway.passkey)
    return DarajaAccount.paybill(gateway.shortcode, gateway.passkey)


class Daemon:
    """The daemon. Build it, `run` it once.

    Args:
        config: The configuration to start with.
        machine: What it runs on.
    """

    def __init__(self, config: Config, machine: Machine) -> None:
        self.doors = Doors()
        self.ready = asyncio.Event()
        self._config = config
        self._machine = machine
        self._stopping = asyncio.Event()
        self._query_wakes: dict[str, Wake] = {}
        self._router_wakes = {router.id: Wake() for router in config.routers}

    def stop(self) -> None:
        """Ask it to stop: doors close, pushes under way finish, then `run` returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped. Any unexpected failure of any part ends it with that error."""
        async with contextlib.AsyncExitStack() as stack:
            database = await self._machine.open_database(Path(self._config.edge.store.path))
            stack.push_async_callback(database.close)
            self.clock = BoxClock(self._machine.time, Tables(database.reading, None).clock.last())
            self.store = Store(database, self.clock)
            gateways = Gateways(self._machine, self.clock, stack)
            async with asyncio.TaskGroup() as background:
                self._background: dict[str, asyncio.Task[Any]] = {}
                self._tasks = background
                self.pushes = Errands(background)
                self._start("store", self.store.run())
                self._build(gateways)
                await self.shelf.put_out(self._config.packages)
                await self.purchases.recover()
                self._start_background(stack)
                await self._open_doors(stack)
                self._machine.tell("READY=1")
                self.ready.set()
                await self._stopping.wait()
                self._machine.tell("STOPPING=1")
                await self._close_doors()
                await self.pushes.finish(PUSHES_FINISH_SECONDS)
                for name in reversed(list(self._background)):
                    self._background[name].cancel()

    async def reload(self, config: Config) -> list[str]:
        """Put a good configuration in force; gives what of it needs a restart to take effect."""
        was, self.site.config = self.site.config, config
        await self.shelf.put_out(config.packages)
        self.portal_pages.forget_ready_made()
        self._start_queries()
        log.info("configuration read anew")
        parts = {"edge.toml": (was.edge, config.edge), "routers.toml": (was.routers, config.routers)}
        return [name for name, (before, after) in parts.items() if before != after]

    def _build(self, gateways: Gateways) -> None:
        config, folder = self._config, portal_folder()
        self.site = Site(config, gateways.open)
        self.presence = Presence()
        self.texts = Texts.load(folder / "translations")
        self.shelf = Shelf(self.store, self.clock)
        identifiers = Identifiers(self._machine.randomness)
        self.access = AccessService(
            store=self.store,
            clock=self.clock,
            presence=self.presence,
            tenant_of={router.id: router.tenant for router in config.routers},
            message=lambda _router_id, key: self.texts.get(self.site.config.portal.default_language, key),
            router_changed=self._router_wakes,
        )
        self.accounting = AccountingService(self.store, self.clock, self.presence)
        self.settlement = SettlementService(
            store=self.store,
            clock=self.clock,
            identifiers=identifiers,
            granted=self.access.tell_routers,
            query_due=self._ring_queries,
        )
        self.purchases = PurchaseService(
            store=self.store,
            clock=self.clock,
            identifiers=identifiers,
            shelf=self.shelf,
            door_for=self.site.door_for,
            pushes=self.pushes,
            query_due=self._ring_queries,
        )
        self.portal = Portal(
            site=self.site,
            store=self.store,
            clock=self.clock,
            identifiers=identifiers,
            shelf=self.shelf,
            purchases=self.purchases,
            settlement=self.settlement,
            access=self.access,
            standing=StandingService(self.store, self.clock, self.presence),
            pages=Pages(folder, self.texts),
            texts=self.texts,
        )

    def _start_background(self, stack: contextlib.AsyncExitStack) -> None:
        self._repeat("clock", CLOCK_LOOK_SECONDS, self._look_at_clock)
        self._repeat("box time", CLOCK_WRITTEN_SECONDS, self._write_box_time)
        self._repeat("expire", EXPIRE_EVERY_SECONDS, self.settlement.expire_round)
        self._repeat("end grants", END_LOOK_SECONDS, self.access.end_round, wake=self.access.ended)
        self._start_queries()
        for router in self._config.routers:
            if router.api is not None:
                self._start_router(router, stack)
        if self._machine.watchdog_seconds is not None:
            self._repeat("watchdog", self._machine.watchdog_seconds / 3, self._feed_watchdog)

    def _start_queries(self) -> None:
        for gateway in self.site.config.gateways:
            if gateway.id not in self._query_wakes:
                self._query_wakes[gateway.id] = Wake()
                self._repeat(
                    f"query {gateway.id}",
                    QUERY_LOOK_SECONDS,
                    functools.partial(self._query, gateway.id),
                    wake=self._query_wakes[gateway.id],
                )

    async def _query(self, gateway_id: str) -> float | None:
        gateway = next((g for g in self.site.config.gateways if g.id == gateway_id), None)
        if gateway is None:  # taken out of the files; what is open there waits for it to come back
            return None
        return await self.settlement.query_round(gateway_id, self.site.open_gateway(gateway))

    def _start_router(self, router: Router, stack: contextlib.AsyncExitStack) -> None:
        link = self._link(router)
        stack.push_async_callback(link.close)
        reconciler = Reconciler(
            router_id=router.id,
            tenant_id=router.tenant,
            mode=router.mode,
            router=MikrotikHotspot(link, hotspot_server=str(router.hotspot_server), mark=USER_MARK),
            store=self.store,
            clock=self.clock,
            presence=self.presence,
            started=self._started,
        )
        self._repeat(
            f"router {router.id}",
            float(router.round_seconds),
            reconciler.round,
            wake=self._router_wakes[router.id],
            backoff_most_seconds=ROUTER_BACKOFF_MOST_SECONDS,
        )

    async def _started(self, grant: Grant) -> None:
        await self.access.started(grant)

    def _link(self, router: Router) -> RouterLink:
        api = router.api
        if api is None:
            raise LookupError(router.id)
        tls = ssl.create_default_context(cafile=str(api.ca_file) if api.ca_file else None) if api.tls else None

        def connect() -> Awaitable[ApiConnection]:
            return self._machine.dial(
                str(router.address),
                api.port,
                username=str(api.username),
                password=api.password.get_secret_value(),
                tls=tls,
            )

        return RouterLink(router.id, connect, deadline_seconds=api.timeout_seconds)

    async def _open_doors(self, stack: contextlib.AsyncExitStack) -> None:
        edge = self._config.edge
        portal, self.portal_pages = portal_app(self.portal)
        self._runners: list[web.AppRunner] = []
        self.doors.portal = await self._open("portal", portal, str(edge.portal.address), edge.portal.port)
        self.doors.admin = await self._open("admin", admin_app(self._facts), str(edge.admin.address), edge.admin.port)
        if edge.callbacks.enabled:
            callbacks = callbacks_app(self.settlement)
            self.doors.callbacks = await self._open(
                "callbacks", callbacks, str(edge.callbacks.address), edge.callbacks.port
            )
        self.radius: RadiusServer | None = None
        if self._config.radius_enabled:
            self._open_radius(stack)

    async def _open(self, name: str, app: web.Application, address: str, port: int) -> str:
        listening = self._machine.listen(name, address, port)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=_KEEPALIVE_SECONDS, handle_signals=False)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, listening, backlog=1024).start()
        host, real_port = listening.getsockname()[:2]
        return f"http://[{host}]:{real_port}" if ":" in host else f"http://{host}:{real_port}"

    def _open_radius(self, stack: contextlib.AsyncExitStack) -> None:
        listener = self._config.edge.radius
        auth = self._machine.bind_udp("radius-auth", str(listener.address), listener.auth_port)
        stack.callback(auth.close)
        acct = self._machine.bind_udp("radius-acct", str(listener.address), listener.acct_port)
        stack.callback(acct.close)
        self.doors.radius_auth_port, self.doors.radius_acct_port = auth.address.port, acct.address.port
        self.radius = RadiusServer(
            auth=auth,
            acct=acct,
            clients=[_radius_client(router) for router in self._config.routers if router.uses_radius],
            clock=self.clock,
            authorize=self.access.answer,
            account=self.accounting.account,
        )
        self._start("radius", self.radius.run())

    async def _close_doors(self) -> None:
        for runner in reversed(self._runners):
            await runner.cleanup()

    def _start(self, name: str, work: Any) -> None:
        self._background[name] = self._tasks.create_task(work, name=name)

    def _repeat(
        self,
        name: str,
        seconds: float,
        work: Callable[[], Awaitable[float | None]],
        *,
        wake: Wake | None = None,
        backoff_most_seconds: float = 60.0,
    ) -> None:
        repeating = every(
            seconds,
            work,
            name=name,
            clock=self.clock,
            randomness=self._machine.randomness,
            wake=wake or Wake(),
            backoff_most_seconds=backoff_most_seconds,
        )
        self._start(name, repeating)

    def _ring_queries(self) -> None:
        for wake in self._query_wakes.values():
            wake.ring()

    async def _look_at_clock(self) -> None:
        self.clock.look()

    async def _write_box_time(self) -> None:
        await self.store.write(lambda _tx: None)

    async def _feed_watchdog(self) -> None:
        await self.store.write(lambda _tx: None)
        self._machine.tell("WATCHDOG=1")

    def _facts(self) -> dict[str, Any]:
        radius = None if self.radius is None else dataclasses.asdict(self.radius.counters)
        return {"clock": self.clock.state.value, "now": self.clock.now().isoformat(), "radius": radius}


def _radius_client(router: Router) -> RadiusClient:
    if router.radius is None:
        raise LookupError(router.id)
    return RadiusClient(
        router_id=router.id,
        address=str(router.address),
        secret=router.radius.secret.get_secret_value().encode(),
        message_authenticator=router.radius.message_authenticator,
        interim_seconds=router.radius.interim_seconds,
    )


def portal_folder() -> Path:
    """Where the portal's files are: inside the installed package, or beside it in a checkout."""
    package = Path(easyisp_edge.__file__).parent
    installed = package / "captive_portal"
    return installed if installed.is_dir() else package.parent / "captive_portal"
