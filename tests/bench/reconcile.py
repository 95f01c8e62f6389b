"""Routers kept equal to many grants: what a round costs, and how soon a buyer is on, beside the bare round trips.

Four of the lab's routers, a process each; the reconcilers run in this one, as they do in the daemon, on a core that
they share with nothing but the store. Filling the routers takes a minute or two, so it is run by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.loops import every
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
from easyisp_edge.services.routers.reconcile import Reconciler
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, running
from easyisp_edge.system import SystemRandomness, SystemTime
from easyisp_edge.timekeeping import BoxClock
from tests.bench.books import Books
from tests.bench.measures import Measure, Spread, at_most, one, percentile
from tests.bench.processes import HOST, LOAD_CORE, SERVER_CORE, Server, on_core, own_module
from tests.bench.site import Site
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.store.store import Tables
    from tests.bench.books import Past
    from tests.bench.sizes import Sizes

ROUTERS = ("north", "east", "south", "west")
_ACTIVE_PART = 20
_BUYERS = 40
_ROUNDS = 3
_TOOK_TARGET = at_most(1.5)
_TICK_SECONDS = 0.001
_PAUSE_SECONDS = 0.4
_ASKED_TOGETHER = 50
_PASSWORD = "s3cret"
_TIMEOUT_SECONDS = 60.0


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Rounds over all of it, rounds over devices, and buyers."""
    site = Site.lay_out(folder / "site", "hotspot-user")
    shutil.copy(past.path, site.store)
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in ROUTERS]
        labs = [stack.enter_context(Server(own_module("lab_router", str(port)), core=LOAD_CORE)) for port in ports]
        stack.enter_context(on_core(SERVER_CORE))
        yield from asyncio.run(_measured(site, past, sizes, labs, ports))


async def _measured(
    site: Site, past: Past, sizes: Sizes, labs: Sequence[Server], ports: Sequence[int]
) -> list[Measure]:
    named = f"{sizes.grants} users, {sizes.grants // _ACTIVE_PART} on, {len(ROUTERS)} routers"
    async with _Box(site, labs, ports) as box:
        _connect(labs, [granted.mac for granted in past.running[: sizes.grants // _ACTIVE_PART]])
        filled = await _watched(box.all_rounds)
        measures = [one(named, "filled at first", "s", filled.seconds)]
        await box.all_rounds()
        for name, prepare in (("round over all", box.have_all_due), ("round over devices", box.have_devices_due)):
            rounds = []
            for _ in range(_ROUNDS):
                prepare()
                rounds.append(await _watched(box.all_rounds))
            measures += _of_rounds(f"{named}, {name}", rounds)
        ours, bare = await box.buyers(_BUYERS if sizes.rounds > 1 else 3)
    figure = f"{named}, a buyer"
    for share, said in ((0.5, "median"), (0.95, "p95")):
        measures.append(one(figure, f"commit to login, {said}", "ms", percentile(ours, share) * 1e3))
        measures.append(one(figure, f"bare round trips, {said}", "ms", percentile(bare, share) * 1e3))
    ratio = percentile(ours, 0.5) / percentile(bare, 0.5)
    return [*measures, one(figure, "of the bare round trips", "times", ratio, _TOOK_TARGET)]


def _of_rounds(figure: str, rounds: Sequence[_Watched]) -> Iterator[Measure]:
    yield Measure(figure, "takes", "s", Spread.of(each.seconds for each in rounds))
    yield Measure(figure, "takes of this process's CPU", "s", Spread.of(each.cpu_seconds for each in rounds))
    yield Measure(figure, "keeps others waiting at most", "ms", Spread.of(each.hold_seconds * 1e3 for each in rounds))


def _connect(labs: Sequence[Server], macs: Sequence[str]) -> None:
    """Devices come into sight, some of them at each router."""
    for number, lab in enumerate(labs):
        here = macs[number :: len(labs)]
        for first in range(0, len(here), _ASKED_TOGETHER):
            some = enumerate(here[first : first + _ASKED_TOGETHER], first)
            lab.ask(" ".join(f"{mac}={_address(at)}" for at, mac in some))


def _address(number: int) -> str:
    return f"10.5.{number // 200}.{number % 200 + 2}"


@dataclass(frozen=True, slots=True)
class _Watched:
    """What something took: real time, CPU of this process, and the most CPU between two turns of somebody else."""

    seconds: float
    cpu_seconds: float
    hold_seconds: float


async def _watched(work: Callable[[], Awaitable[object]]) -> _Watched:
    holds = [0.0]

    async def tick() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_TICK_SECONDS)
            holds.append(time.thread_time() - before)

    ticking = asyncio.create_task(tick())
    began, cpu = time.perf_counter(), time.process_time()
    await work()
    took = _Watched(time.perf_counter() - began, time.process_time() - cpu, max(holds))
    ticking.cancel()
    return took


@dataclass
class _Box:
    """The services of a box, with its routers.

    Args:
        site: Whose books.
        labs: The routers.
        ports: Of their APIs.
    """

    site: Site
    labs: Sequence[Server]
    ports: Sequence[int]
    reconcilers: list[Reconciler] = field(default_factory=list)
    let_on: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        database = await ThreadedDatabase.open(self.site.store)
        self._stack.push_async_callback(database.close)
        self.clock = BoxClock(SystemTime(), None)
        self.store = await self._stack.enter_async_context(running(Store(database, self.clock)))
        self.tenant_id = self.site.config.tenants[0].id
        self.bells, presence = {name: Wake() for name in ROUTERS}, Presence()
        self.access = AccessService(
            store=self.store,
            clock=self.clock,
            tenant_of=dict.fromkeys(ROUTERS, self.tenant_id),
            router_changed=self.bells,
        )
        accounting = AccountingService(
            store=self.store,
            clock=self.clock,
            presence=presence,
            routers=dict.fromkeys(ROUTERS, ReportingRouter(self.tenant_id, timedelta(seconds=30))),
            clock_set_at=lambda: self.clock.set_at,
            listening_since=self.clock.now(),
            used_up=self.access.tell_routers,
        )
        for name, port in zip(ROUTERS, self.ports, strict=True):
            self.reconcilers.append(self._reconciler(name, port, presence, accounting))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def _reconciler(self, name: str, port: int, presence: Presence, accounting: AccountingService) -> Reconciler:
        connect = functools.partial(dial, HOST, port, username="edge", password=_PASSWORD)
        link = RouterLink(name, connect, deadline_seconds=_TIMEOUT_SECONDS)
        self._stack.push_async_callback(link.close)
        return Reconciler(
            router_id=name,
            tenant_id=self.tenant_id,
            mode=RouterMode.HOTSPOT_USER,
            router=MikrotikHotspot(link, hotspot_server="all", mark=USER_MARK),
            store=self.store,
            clock=self.clock,
            presence=presence,
            usage=HotspotUsage(
                router_id=name,
                tenant_id=self.tenant_id,
                store=self.store,
                clock=self.clock,
                account=accounting.account,
                clock_set_at=lambda: self.clock.set_at,
            ),
            started=self._started,
        )

    async def _started(self, grant: Admission) -> None:
        waiting = self.let_on.get(grant.username)
        if waiting is not None and not waiting.done():
            waiting.set_result(time.perf_counter())
        await self.access.started(grant)

    async def all_rounds(self) -> None:
        """A round of each router, side by side."""
        await asyncio.gather(*(reconciler.round() for reconciler in self.reconcilers))

    def have_all_due(self) -> None:
        """All of each router is to be looked at."""
        for reconciler in self.reconcilers:
            reconciler._memory._all_due_at = 0.0

    def have_devices_due(self) -> None:
        """Only devices are."""
        for reconciler in self.reconcilers:
            reconciler._memory._all_due_at = float("inf")
            reconciler._memory._devices_due_at = 0.0

    async def buyers(self, count: int) -> tuple[list[float], list[float]]:
        """Let that many buy, one after the other, in turns with the bare round trips; the seconds of each."""
        loops = [
            asyncio.create_task(
                every(
                    30,
                    reconciler.round,
                    name=reconciler.router_id,
                    clock=self.clock,
                    randomness=SystemRandomness(),
                    wake=self.bells[reconciler.router_id],
                    rest_seconds=1.0,
                )
            )
            for reconciler in self.reconcilers
        ]
        connections = [await dial(HOST, port, username="edge", password=_PASSWORD) for port in self.ports]
        ours, bare = [], []
        for number in range(count):
            await asyncio.sleep(_PAUSE_SECONDS)
            bare.append(await self._bare(connections, number))
            await asyncio.sleep(_PAUSE_SECONDS)
            ours.append(await self._buyer(number))
        for connection in connections:
            await connection.close()
        for task in loops:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return ours, bare

    async def _buyer(self, number: int) -> float:
        """A grant is committed, and all routers told; seconds until its device is logged in."""
        mac = f"06:00:00:00:{number // 256:02X}:{number % 256:02X}"
        self.labs[0].ask(f"{mac}=10.6.0.{number + 2}")
        books = Books(self.site.config, self.site.store)
        package = max(self.site.config.packages, key=lambda package: package.duration)

        def buy(tx: Tables) -> str:
            version = tx.packages.version_of(package, self.clock.now())
            username = books._grant(tx, self.clock, version, GrantState.WAITING).username
            grant = tx.grants.by_username(username)
            if grant is None:
                raise LookupError(username)
            tx.grants.update(replace(grant, mac=MacAddress.parse(mac)))
            self.let_on[username] = loop.create_future()
            return username

        loop = asyncio.get_running_loop()
        username = await self.store.write(buy)
        began = time.perf_counter()
        self.access.tell_routers(self.tenant_id)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await self.let_on[username] - began

    async def _bare(self, connections: Sequence[ApiConnection], number: int) -> float:
        """What a buyer takes and no more, on bare connections: a user at each router, and a login at one."""
        mac, address = f"0A:00:00:00:{number // 256:02X}:{number % 256:02X}", f"10.7.0.{number + 2}"
        self.labs[0].ask(f"{mac}={address}")
        began = time.perf_counter()
        ends = await asyncio.gather(*(_bare_steps(each, mac, address) for each in connections))
        return ends[0] - began


async def _bare_steps(connection: ApiConnection, mac: str, address: str) -> float:
    """Where the device is, a user, and a login where it is seen; gives when that was done."""
    hosts = await connection.run("/ip/hotspot/host/print", "=.proplist=mac-address,address", f"?mac-address={mac}")
    name = mac.replace(":", "")
    await connection.run(
        "/ip/hotspot/user/add",
        f"=name=bare{name}",
        "=password=PASSWORDAAAAAAAAAAAA",
        "=profile=default",
        "=limit-uptime=30d",
        "=comment=bare",
    )
    if hosts.rows:
        words = (f"=user=bare{name}", "=password=PASSWORDAAAAAAAAAAAA", f"=ip={address}", f"=mac-address={mac}")
        await connection.run("/ip/hotspot/active/login", *words)
    return time.perf_counter()
