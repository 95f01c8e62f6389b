"""Books, services and routers of the lab, joined by the real wire; grants are written straight into the books."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.config import RouterMode
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.lab.mikrotik import MikrotikLab, MikrotikOptions
from easyisp_edge.loops import every
from easyisp_edge.machine import ClockState, Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
from easyisp_edge.services.routers.reconcile import Reconciler
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, running
from easyisp_edge.system import SystemRandomness
from easyisp_edge.timekeeping import BoxClock
from tests.unit.shop import HOUR, TENANT, add_grant, check_books
from tests.whole.stage import MovedTime

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package

HOST = "127.0.0.1"
ROUND_SECONDS = 0.5


@dataclass
class MovedClock:
    """The lab's clock, moved on together with the box's."""

    time: MovedTime
    state: ClockState = ClockState.SYNCED

    def now(self) -> datetime:
        return self.time.wall()

    def monotonic(self) -> float:
        return self.time.since_boot()

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)


@dataclass
class RouterSite:
    """A box without doors, and its routers, all in hotspot-user mode.

    Args:
        folder: For the database.
        names: Its routers.
        deadline_seconds: For a command to one.
    """

    folder: Path
    names: tuple[str, ...] = ("main",)
    deadline_seconds: float = 0.3
    time: MovedTime = field(default_factory=MovedTime)

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        database = await ThreadedDatabase.open(self.folder / "edge.sqlite")
        self._stack.push_async_callback(database.close)
        self._stack.push_async_callback(database.survey, check_books)
        self.clock = BoxClock(self.time, None)
        self.store = await self._stack.enter_async_context(running(Store(database, self.clock)))
        self.presence, self.bells = Presence(), {name: Wake() for name in self.names}
        self.access = AccessService(
            store=self.store,
            clock=self.clock,
            tenant_of=dict.fromkeys(self.names, TENANT),
            router_changed=self.bells,
        )
        self.accounting = AccountingService(
            store=self.store,
            clock=self.clock,
            presence=self.presence,
            routers={name: ReportingRouter(TENANT, timedelta(seconds=30)) for name in self.names},
            clock_set_at=lambda: self.clock.set_at,
            listening_since=self.clock.now(),
            used_up=self.access.tell_routers,
        )
        self.labs = {name: await self._lab() for name in self.names}
        self._background = [self._repeat(30, self.access.end_round, "ends", self.access.ended)]
        self._background += [
            self._repeat(ROUND_SECONDS, self._rounds(name), name, self.bells[name]) for name in self.names
        ]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._background:
            task.cancel()
        for task in self._background:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._stack.aclose()

    @property
    def router(self) -> MikrotikLab:
        """The only router, or the first."""
        return self.labs[self.names[0]]

    async def _lab(self) -> MikrotikLab:
        options = MikrotikOptions(reappear_seconds=0.1)
        lab = MikrotikLab(clock=MovedClock(self.time), randomness=SystemRandomness(), options=options)
        await lab.start(HOST)
        self._stack.push_async_callback(lab.close)
        return lab

    def _rounds(self, name: str) -> Callable[[], Any]:
        connect = functools.partial(dial, HOST, self.labs[name].api_port, username="edge", password="s3cret")
        link = RouterLink(name, connect, deadline_seconds=self.deadline_seconds)
        self._stack.push_async_callback(link.close)
        return Reconciler(
            router_id=name,
            tenant_id=TENANT,
            mode=RouterMode.HOTSPOT_USER,
            router=MikrotikHotspot(link, hotspot_server="all", mark=USER_MARK),
            store=self.store,
            clock=self.clock,
            presence=self.presence,
            usage=HotspotUsage(
                router_id=name,
                tenant_id=TENANT,
                store=self.store,
                clock=self.clock,
                account=self.accounting.account,
                clock_set_at=lambda: self.clock.set_at,
            ),
            started=self.access.started,
        ).round

    def _repeat(self, seconds: float, work: Callable[[], Any], name: str, wake: Wake) -> asyncio.Task[Any]:
        return asyncio.create_task(
            every(
                seconds,
                work,
                name=name,
                clock=self.clock,
                randomness=SystemRandomness(),
                wake=wake,
                rest_seconds=0.05,
                backoff_most_seconds=0.2,
            )
        )

    async def sell(self, package: Package = HOUR, **changes: Any) -> Grant:
        """A purchase is paid, and all routers told."""
        grant = await self.store.write(lambda tx: add_grant(tx, package, **changes))
        self.access.tell_routers(TENANT)
        return grant

    async def until(self, holds: Callable[[], object], what: str, *, seconds: float = 20) -> float:
        """Wait until it holds; gives how long that took."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while not holds():
            for task in self._background:
                if task.done():
                    task.result()
            assert clock() - began < seconds, f"{what} did not come within {seconds} s"
            await asyncio.sleep(0.01)
        return clock() - began

    def ours(self, name: str | None = None) -> list[str]:
        """The names of our users on a router."""
        users = self.labs[name or self.names[0]].users
        return [user["name"] for user in users if user.get("comment", "").startswith(USER_MARK)]
