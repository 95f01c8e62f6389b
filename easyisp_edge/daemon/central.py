"""The hub's side of the daemon: what talks with it, built and joined."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.central.client import CentralClient, dateless, hub_url
from easyisp_edge.adapters.central.client import enrol as enrol_at
from easyisp_edge.adapters.central.keys import KeyFiles
from easyisp_edge.adapters.daraja.c2b import parse_c2b
from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import EdgeError
from easyisp_edge.services.sync.apart import Progress, TakingBack
from easyisp_edge.services.sync.asks import AskService
from easyisp_edge.services.sync.central_config import CentralConfigService
from easyisp_edge.services.sync.down import DownService
from easyisp_edge.services.sync.enrolment import EnrolmentService
from easyisp_edge.services.sync.in_step import SyncService
from easyisp_edge.services.sync.key_renewal import KeyRenewal
from easyisp_edge.services.sync.link import SyncLink
from easyisp_edge.services.sync.shedding import SheddingService
from easyisp_edge.web.control_sync import ControlSync

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Awaitable, Callable

    import httpx

    from easyisp_edge.daemon.surroundings import Surroundings
    from easyisp_edge.domain.central import EdgeKey, Enrolled
    from easyisp_edge.domain.payments import MoneyRecord
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.money.selling import Selling
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store
    from easyisp_edge.timekeeping import BoxClock

log = logging.getLogger(__name__)

_NONCE_OCTETS = 16


@dataclass(frozen=True, slots=True)
class HubClients:
    """HTTP clients for the hub, each opened when it is first needed.

    Args:
        surroundings: What opens them.
        site: Says who vouches for the hub.
        stack: Closes them.
    """

    surroundings: Surroundings
    site: Site
    stack: contextlib.AsyncExitStack
    _open: dict[tuple[str, bool], httpx.AsyncClient]

    def get(self, *, without_dates: bool = False) -> httpx.AsyncClient:
        """The client by what the configuration says now.

        Raises:
            EdgeError: Who vouches for the hub cannot be read.
        """
        ca_file = str(self.site.config.edge.central.ca_file or "")
        if (ca_file, without_dates) not in self._open:
            client = self.surroundings.open_hub(_trust(ca_file, without_dates=without_dates))
            self.stack.push_async_callback(client.aclose)
            self._open[ca_file, without_dates] = client
        return self._open[ca_file, without_dates]


def _trust(ca_file: str, *, without_dates: bool) -> ssl.SSLContext | bool:
    if not ca_file and not without_dates:
        return True
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise EdgeError("sync.ca_file", f"{ca_file} does not tell who vouches for the hub: {error}") from error
    return dateless(context) if without_dates else context


@dataclass(frozen=True, slots=True)
class CentralSide:
    """All that has to do with the hub.

    Args:
        link: To it.
        sync: Keeps box and hub in step.
        configs: What it publishes.
        enrolment: Enrols the box.
        shedding: Sees that the disk does not fill up with what is to go to it.
        site: What is configured.
    """

    link: SyncLink
    sync: SyncService
    configs: CentralConfigService
    enrolment: EnrolmentService
    shedding: SheddingService
    site: Site

    @property
    def control(self) -> ControlSync:
        """What staff may ask."""
        return ControlSync(self.enrolment, self.sync)

    async def take_up(self) -> None:
        """Go on as it was when the daemon ended: selling or not, and with what was published."""
        store, boot_id = self.link.store, self.link.boot_id
        self.link.begin()
        site = self.link.site
        self.site.relayed_base = "" if site is None else site.callback_base
        edge = self.site.config.edge
        if site is None and edge.central.callbacks and not edge.callbacks.public_url:
            log.info(
                "nothing is sold by M-Pesa yet: its callbacks are to come by way of a hub, and this box is enrolled at"
                " none; see: easyisp-edge enrol --help"
            )
        version = await store.write(lambda tx: tx.central.begin_life(boot_id))
        if version is not None:
            message = f"The daemon died while configuration {version} of the hub was on trial: the one before is back."
            await self.link.alarm("config.withdrawn", message)
        self.configs.take_up()


def build_central(
    *,
    surroundings: Surroundings,
    store: Store,
    clock: BoxClock,
    stack: contextlib.AsyncExitStack,
    settlement: SettlementService,
    access: AccessService,
    site: Site,
    shelf: Shelf,
    selling: Selling,
    look: Callable[[], None],
    in_force: Callable[[], Awaitable[object]],
) -> CentralSide:
    """Build and join it; nothing runs yet."""
    randomness = surroundings.randomness
    keys = KeyFiles(site.config.edge.store.path.parent, randomness)
    clients = HubClients(surroundings, site, stack, {})
    link = SyncLink(
        store=store,
        clock=clock,
        randomness=randomness,
        connect=lambda at: CentralClient(clients.get(), at, keys.of(at.public_key)),
        boot_id=clock.mark().boot_id,
        selling=selling,
    )

    def all_tenants() -> set[str]:
        return {router.tenant for router in site.config.routers}

    async def rebuilt() -> None:
        await shelf.put_out(site.config.packages)
        for tenant_id in all_tenants():
            access.tell_routers(tenant_id)
        access.ended.ring()

    async def set_clock() -> None:
        nonce = randomness.token(_NONCE_OCTETS).hex()
        began = clock.monotonic()

        async def ask(_usual: object, counter: int) -> None:
            at = link.site
            if at is None:
                return
            hub = CentralClient(clients.get(without_dates=True), at, keys.of(at.public_key))
            clock.believe(await hub.time(nonce, counter), since=began)

        await link.turn(Lane.ASK, ask)

    busy = asyncio.Lock()
    renewal = KeyRenewal(link, keys.new, keys.keep, busy)
    configs = CentralConfigService(store, clock, site.put_published, in_force)
    down = DownService(
        link=link,
        settlement=settlement,
        access=access,
        site=site,
        configs=configs,
        read_callback=parse_stk_callback,
        read_notice=_notice,
        look=look,
        tenants=all_tenants,
    )
    return CentralSide(
        link=link,
        sync=SyncService(
            link=link,
            taking_back=TakingBack(link, rebuilt, Progress()),
            others={
                "down": down.round,
                "asks": AskService(link, site).round,
                "config": configs.round,
                "new key": renewal.round,
            },
            set_clock=set_clock,
        ),
        configs=configs,
        enrolment=_enrolment(link, keys, clients, site, busy),
        shedding=SheddingService(
            store=store,
            clock=clock,
            free_octets=lambda: surroundings.disk.free_octets(site.config.edge.store.path.parent),
            least_octets=lambda: site.config.edge.central.free_space.octets,
        ),
        site=site,
    )


def _enrolment(link: SyncLink, keys: KeyFiles, clients: HubClients, site: Site, busy: asyncio.Lock) -> EnrolmentService:
    async def enrol(url: str, code: str, key: EdgeKey) -> Enrolled:
        return await enrol_at(clients.get(), url, code, key)

    def enrolled(callback_base: str) -> None:
        site.relayed_base = callback_base

    return EnrolmentService(
        link=link,
        new_key=keys.new,
        keep_key=keys.keep,
        enrol=enrol,
        check_url=lambda url: hub_url(url, development=site.config.development),
        enrolled=enrolled,
        busy=busy,
    )


def _notice(body: bytes) -> MoneyRecord:
    return parse_c2b(body).record
