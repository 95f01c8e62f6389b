"""A router in hotspot-user mode with its box around it: reconciler, accounting and access over real books."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.config import RouterMode
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
from easyisp_edge.services.routers.reconcile import Reconciler
from tests.fakes.router import FakeRouter
from tests.unit.shop import HOUR, ROUTER, TENANT, Books, add_grant

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Grant, GrantState
    from easyisp_edge.domain.packages import Package

ONE, TWO = "USER000001", "USER000002"


@dataclass
class Spot:
    """A reconciler over real books, with a router it looks after."""

    books: Books
    mode: RouterMode = RouterMode.HOTSPOT_USER
    router: FakeRouter = field(default_factory=FakeRouter)
    presence: Presence = field(default_factory=Presence)

    def __post_init__(self) -> None:
        self.start_box()

    def start_box(self) -> None:
        """The box's services begin with what the books say, and nothing remembered."""
        self.access = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            tenant_of={ROUTER: TENANT},
            router_changed={ROUTER: Wake()},
        )
        self.accounting = AccountingService(
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            routers=dict.fromkeys((ROUTER, "second"), ReportingRouter(TENANT, timedelta(seconds=30))),
            clock_set_at=lambda: self.books.clock.set_at,
            listening_since=self.books.clock.now(),
            used_up=self.access.tell_routers,
        )
        self.reconciler = Reconciler(
            router_id=ROUTER,
            tenant_id=TENANT,
            mode=self.mode,
            router=self.router,
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            usage=HotspotUsage(
                router_id=ROUTER,
                tenant_id=TENANT,
                store=self.books.store,
                clock=self.books.clock,
                account=self.accounting.account,
                clock_set_at=lambda: self.books.clock.set_at,
            ),
            started=self.access.started,
        )

    async def add(self, package: Package = HOUR, **changes: Any) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, **changes))

    async def round(self) -> list[str]:
        """One round; gives the steps it took."""
        before = len(self.router.steps)
        await self.reconciler.round()
        return self.router.steps[before:]

    async def glance(self) -> list[str]:
        """A round in which all is not due to be looked at; gives the steps it took."""
        memory = self.reconciler._memory
        due, memory._all_due_at = memory._all_due_at, math.inf
        before = len(self.router.steps)
        self.router.looks.clear()
        try:
            await self.reconciler.round()
        finally:
            memory._all_due_at = due
        return self.router.steps[before:]

    async def hurry(self) -> list[str]:
        """A round in which nothing is due; gives the steps it took."""
        memory = self.reconciler._memory
        memory._devices_due_at = math.inf
        try:
            return await self.glance()
        finally:
            memory._devices_due_at = 0.0

    async def pass_time(self, seconds: int, user: str = ONE, octets: int = 0) -> None:
        """Time goes by with a user on, who sends so much and is sent twice as much; what is over is ended."""
        self.books.time.advance(seconds)
        self.router.run_session(user, seconds, octets)
        await self.access.end_round()

    def used(self, number: int = 1) -> tuple[int, int]:
        """What the books say a grant used: seconds and octets."""
        found = self.books.store.read.grants.by_id(f"grant-{number}")
        assert found is not None
        return found.seconds_used, found.octets_used

    def state(self, number: int = 1) -> GrantState:
        found = self.books.store.read.grants.by_id(f"grant-{number}")
        assert found is not None
        return found.state
