"""The daemon's life: start, background work, a new configuration, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.freeradius.opening import freeradius_database
from easyisp_edge.adapters.radius.coa_client import CoaClient
from easyisp_edge.adapters.routeros.legacy_users import LegacyUsers
from easyisp_edge.daemon.doors import Doors
from easyisp_edge.daemon.gateways import Gateways
from easyisp_edge.daemon.parts import build_parts
from easyisp_edge.daemon.routers import (
    FreeradiusRounds,
    coa_router,
    disconnecting,
    reconciler,
    router_link,
    served_routers,
)
from easyisp_edge.loops import Errands, every
from easyisp_edge.machine import Wake
from easyisp_edge.services.keyring import Keyring
from easyisp_edge.store.store import Store, Tables
from easyisp_edge.timekeeping import BoxClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine

    from easyisp_edge.config import Config, Router
    from easyisp_edge.daemon.parts import Parts
    from easyisp_edge.daemon.surroundings import Surroundings

log = logging.getLogger(__name__)

EXPIRE_EVERY_SECONDS = 15.0
END_LOOK_SECONDS = 30.0
HOURS_LOOK_SECONDS = 60.0
SILENCE_LOOK_SECONDS = 60.0
QUERY_LOOK_SECONDS = 60.0
CLAIM_LOOK_SECONDS = 60.0
# A gateway's list is read as often as its files say; this is for one whose files say nothing of it any more.
SWEEP_LOOK_SECONDS = 6 * 3600.0
LATE_LOOK_SECONDS = 10.0
CLOCK_LOOK_SECONDS = 10.0
CLOCK_WRITTEN_SECONDS = 60.0
ROUTER_BACKOFF_MOST_SECONDS = 15.0
FREERADIUS_LOOK_SECONDS = 30.0
# However many customers pay at once, a router is looked at no more than half of the time.
ROUTER_REST_SECONDS = 1.0
DISCONNECT_LOOK_SECONDS = 60.0
DISK_LOOK_SECONDS = 60.0
# What a push in flight may still take when the daemon is asked to stop; systemd waits 20 s in all.
PUSHES_FINISH_SECONDS = 12.0


class Daemon:
    """The daemon. Make it, `run` it once.

    Args:
        config: The configuration to start with.
        surroundings: What it runs on.
    """

    parts: Parts
    """The joined parts, once it is ready."""

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.ready = asyncio.Event()
        self.doors = Doors(surroundings)
        self._config = config
        self._surroundings = surroundings
        self._stopping = asyncio.Event()
        self._background: dict[str, asyncio.Task[Any]] = {}
        self._group: asyncio.TaskGroup
        self._gateways: Gateways

    def stop(self) -> None:
        """Ask it to stop: doors close, pushes under way finish, then `run` returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped. Any unexpected failure of any part ends it with that error."""
        async with contextlib.AsyncExitStack() as stack:
            # Before anything is looked at: what a start puts right would be wrong for a daemon that lives.
            stack.enter_context(self._surroundings.sole_keeper(self._config.edge.store.path))
            database = await self._surroundings.open_database(self._config.edge.store.path)
            stack.push_async_callback(database.close)
            clock = BoxClock(self._surroundings.time, Tables(database.reading, None).clock.last())
            store = Store(database, clock)
            async with asyncio.TaskGroup() as self._group:
                pushes = Errands(self._group)
                self._gateways = Gateways(self._surroundings.open_http, clock, stack, self._config.edge.mpesa)
                self.parts = build_parts(
                    self._config,
                    clock=clock,
                    store=store,
                    randomness=self._surroundings.randomness,
                    gateways=self._gateways,
                    gateways_changed=self._gateways_changed,
                    pushes=pushes,
                    keyring=Keyring(self._master_key()),
                    surroundings=self._surroundings,
                    stack=stack,
                    in_force=self._put_in_force,
                )
                await self._start(stack)
                self._surroundings.tell("READY=1")
                self.ready.set()
                log.info("ready: %s", self.doors)
                await self._stopping.wait()
                self._surroundings.tell("STOPPING=1")
                await self.doors.close_http()
                await pushes.finish(PUSHES_FINISH_SECONDS)
                await self.parts.central.configs.rest()
                for task in reversed(self._background.values()):
                    task.cancel()

    async def reload(self, config: Config) -> list[str]:
        """Put a good configuration in force; gives the files whose changes need a restart to take effect."""
        was = self.parts.site.declared
        self.parts.site.declare(config)
        await self._put_in_force()
        log.info("configuration read anew")
        callbacks = config.edge.callbacks.model_copy(update={"webhook_key": was.edge.callbacks.webhook_key})
        edge = config.edge.model_copy(  # these are read anew at each use
            update={"limits": was.edge.limits, "callbacks": callbacks, "central": was.edge.central}
        )
        kept = {"edge.toml": (was.edge, edge), "routers.toml": (was.routers, config.routers)}
        return [name for name, (before, after) in kept.items() if before != after]

    async def _put_in_force(self) -> None:
        """Other packages and gateways may be in force than before."""
        await self.parts.shelf.put_out(self.parts.site.config.packages)
        self._gateways_changed()

    def _master_key(self) -> bytes:
        return self._surroundings.master_key(self._config.edge.store.secrets_key_path, self._surroundings.randomness)

    def _gateways_changed(self) -> None:
        """Other gateways may be in force than before."""
        configured = self.parts.site.config.gateways
        self._gateways.keep(configured)
        self.parts.portal.ready_made.forget()
        self._stop_asking({gateway.id for gateway in configured})
        self._repeat_asking()
        self.parts.bells.ring_look()  # a list may be read now that was not, or more often

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        parts = self.parts
        self._begin("store", parts.store.run())
        parts.gateways_desk.take_in()
        await parts.central.take_up()
        await parts.shelf.put_out(parts.site.config.packages)
        await parts.purchases.recover()
        self._repeat("clock", CLOCK_LOOK_SECONDS, self._look_at_clock)
        self._repeat("box time", CLOCK_WRITTEN_SECONDS, self._prove_store)
        self._repeat("expire", EXPIRE_EVERY_SECONDS, parts.settlement.expire_round)
        self._repeat("end grants", END_LOOK_SECONDS, parts.access.end_round, wake=parts.access.ended)
        self._repeat("hours", HOURS_LOOK_SECONDS, parts.access.hours_round)
        self._repeat("silent sessions", SILENCE_LOOK_SECONDS, parts.accounting.silence_round)
        self._repeat_asking()
        self._repeat("late queries", LATE_LOOK_SECONDS, self._hurry_lists)
        self._repeat("claims", CLAIM_LOOK_SECONDS, parts.claims.round, wake=parts.bells.claims)
        self._begin("sync", parts.central.sync.run())
        self._repeat("disk", DISK_LOOK_SECONDS, parts.central.shedding.round)
        for router in self._config.routers:
            self._begin_router(router, stack)
        self._begin_freeradius(stack)
        self._begin_disconnecting(stack)
        await self.doors.open_control(self._config.edge.control.path, parts.control)
        await self.doors.open_http(self._config, parts)
        if self._config.radius_enabled:
            self._begin("radius", self.doors.open_radius(self._config, parts, stack).run())
        if self._surroundings.watchdog_seconds is not None:
            self._repeat("watchdog", self._surroundings.watchdog_seconds / 3, self._feed_watchdog)

    def _begin_router(self, router: Router, stack: contextlib.AsyncExitStack) -> None:
        if router.api is None:
            self._remember_sessions(router)
            return
        link = router_link(router, router.api, self._surroundings.dial, self.parts.watches[router.id])
        stack.push_async_callback(link.close)
        turns = self.parts.importing.open(router.id, LegacyUsers(link))
        self._repeat(
            f"router {router.id}",
            router.round_seconds,
            turns.rounds(reconciler(router, link, self.parts).round),
            wake=self.parts.bells.routers[router.id],
            rest_seconds=ROUTER_REST_SECONDS,
            backoff_most_seconds=ROUTER_BACKOFF_MOST_SECONDS,
        )

    def _begin_freeradius(self, stack: contextlib.AsyncExitStack) -> None:
        served, freeradius = served_routers(self._config), self._config.edge.freeradius
        if not served or freeradius is None:
            return
        database = freeradius_database(freeradius.database)
        stack.push_async_callback(database.close)
        self._repeat(
            "freeradius",
            FREERADIUS_LOOK_SECONDS,
            FreeradiusRounds.of(served, database, self.parts).round,
            wake=self.parts.bells.freeradius,
            rest_seconds=ROUTER_REST_SECONDS,
            backoff_most_seconds=ROUTER_BACKOFF_MOST_SECONDS,
        )

    def _begin_disconnecting(self, stack: contextlib.AsyncExitStack) -> None:
        """Have sessions ended by RADIUS on routers that take such orders."""
        taking = [(router, place) for router in self._config.routers if (place := coa_router(router)) is not None]
        if not taking:
            return
        endpoint = self._surroundings.ask_udp(self._config.edge.radius.address)
        stack.callback(endpoint.close)
        client = CoaClient(endpoint=endpoint, clock=self.parts.clock)
        self._begin("radius orders", client.run())
        for router, place in taking:
            self._repeat(
                f"disconnect {router.id}",
                DISCONNECT_LOOK_SECONDS,
                disconnecting(place, client, self.parts).round,
                wake=self.parts.bells.sessions_over[router.id],
                rest_seconds=ROUTER_REST_SECONDS,
                backoff_most_seconds=ROUTER_BACKOFF_MOST_SECONDS,
            )

    def _remember_sessions(self, router: Router) -> None:
        """Who is on a router that is never looked at is what it reported last."""
        if router.radius is not None:
            self.parts.presence.observed(router.id, self.parts.accounting.remembered(router.id))

    def _repeat_asking(self) -> None:
        """Ask each gateway about its purchases, and read its list; those that are new, too."""
        bells = self.parts.bells
        for gateway in self.parts.site.config.gateways:
            query, sweep = f"query {gateway.id}", f"sweep {gateway.id}"
            if query not in self._background:
                wake = bells.queries.setdefault(gateway.id, Wake())
                self._repeat(query, QUERY_LOOK_SECONDS, functools.partial(self._query, gateway.id), wake=wake)
            if gateway.pull is not None and sweep not in self._background:
                self._repeat(
                    sweep,
                    SWEEP_LOOK_SECONDS,
                    functools.partial(self._sweep, gateway.id),
                    wake=bells.sweeps.setdefault(gateway.id, Wake()),
                )

    def _stop_asking(self, configured: Collection[str]) -> None:
        """Stop asking gateways that are gone."""
        for gateway_id in self.parts.bells.queries.keys() - configured:
            for name in (f"query {gateway_id}", f"sweep {gateway_id}"):
                if name in self._background:
                    self._background.pop(name).cancel()

    async def _query(self, gateway_id: str) -> float | None:
        site = self.parts.site
        gateway = site.gateway(gateway_id)
        if gateway is None or not gateway.has_api:  # what is open there waits for it to come back
            return None
        return await self.parts.settlement.query_round(gateway_id, site.open_gateway(gateway))

    async def _hurry_lists(self) -> None:
        """Have lists read before their time, where M-Pesa answers fewer queries than there are customers waiting."""
        for gateway_id, wake in self.parts.bells.sweeps.items():
            if self.parts.sweep.wanted_early(gateway_id):
                wake.ring()

    async def _sweep(self, gateway_id: str) -> float | None:
        parts = self.parts
        gateway, receiver = parts.site.gateway(gateway_id), parts.site.receiver(gateway_id)
        if gateway is None or gateway.pull is None or receiver is None:
            return None
        pause = await parts.sweep.round(
            receiver, parts.site.open_gateway(gateway), gateway.pull.nominated_number, parts.site.callback_base
        )
        parts.bells.claims.ring()
        at_the_latest = gateway.pull.every.total_seconds()
        return at_the_latest if pause is None else min(pause, at_the_latest)

    def _begin(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self._background[name] = self._group.create_task(work, name=name)

    def _repeat(
        self,
        name: str,
        seconds: float,
        work: Callable[[], Awaitable[float | None]],
        *,
        wake: Wake | None = None,
        rest_seconds: float = 0.0,
        backoff_most_seconds: float = 60.0,
    ) -> None:
        repeating = every(
            seconds,
            work,
            name=name,
            clock=self.parts.clock,
            randomness=self._surroundings.randomness,
            wake=wake or Wake(),
            rest_seconds=rest_seconds,
            backoff_most_seconds=backoff_most_seconds,
        )
        self._begin(name, repeating)

    async def _look_at_clock(self) -> None:
        self.parts.clock.look()

    async def _prove_store(self) -> None:
        """A commit, even of nothing, writes box time down and shows that the disk takes it."""
        await self.parts.store.write(lambda _tx: None)

    async def _feed_watchdog(self) -> None:
        await self._prove_store()
        self._surroundings.tell("WATCHDOG=1")
