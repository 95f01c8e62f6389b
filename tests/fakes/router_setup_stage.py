"""A set-up on stage: the lab's router, what it is to become, and time that goes on by itself while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.adapters.routeros.setup.apply import Doors, SetupJob
from easyisp_edge.adapters.routeros.setup.rows import SetupSite, SiteApi, SiteRadius
from easyisp_edge.adapters.routeros.setup.tables import observed
from easyisp_edge.lab.mikrotik import MikrotikOptions
from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.system_tables import POLICIES
from tests.fakes.mikrotik_stage import Stage, mikrotik_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

T = TypeVar("T")
ADMIN = ApiUser("admin", "admin-password", frozenset(POLICIES))
UNDO_AFTER = timedelta(minutes=10)
PAGES = {"login.html": "<p>$(mac-esc)</p>\n", "api.json": '{"captive": true}\n'}
# What passes by itself, or is nothing that a set-up writes.
_PASSING = {"/system/clock", "/user/active"}
SITE = SetupSite(
    router_id="main",
    router_address="10.5.50.1",
    interface="bridge1",
    server=None,
    box_address="127.0.0.1",
    portal_url="http://127.0.0.1:8080",
    pages=PAGES,
    api=SiteApi("easyisp", "box-password", tls=False, port=8728),
    radius=SiteRadius("a-secret-of-sixteen", 1812, 1813, timedelta(minutes=5), 3799),
    cookies=("mac-cookie",),
    idle_timeout=timedelta(minutes=30),
    keepalive_timeout=None,
    addresses_per_mac=2,
    dns_name="wifi.example.com",
    captive_api_url="https://wifi.example.com/api",
    ntp_servers=("0.pool.ntp.org",),
    management_networks=("192.168.88.0/24", "127.0.0.0/8"),
)


def options(version: str = "7.24", **others: Any) -> MikrotikOptions:
    return MikrotikOptions(version=version, api_users=(ADMIN,), **others)


@dataclass
class SetupStage:
    """A lab router with an administrator, and set-ups of it."""

    stage: Stage
    site: SetupSite
    said: list[str] = field(default_factory=list)
    seconds: float = 5.0

    def link(self, username: str, password: str) -> RouterLink:
        used = False

        async def connect() -> Any:
            nonlocal used
            if used:
                raise ConnectionError("the connection was lost")
            used = True
            return await dial("127.0.0.1", self.stage.router.api_port, username=username, password=password)

        return RouterLink("main", connect, deadline_seconds=self.seconds)

    def setup(self, site: SetupSite | None = None, **others: Any) -> SetupJob:
        site = site or self.site
        doors = Doors(
            admin=lambda: self.link(ADMIN.name, ADMIN.password),
            box=lambda: self.link(site.api.username, site.api.password),
        )
        return SetupJob(site, doors, self.stage.clock, UNDO_AFTER, self.said.append, **others)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have it done; whenever nothing moves any more some seconds pass, so that waiting costs nothing."""
        task = asyncio.create_task(coroutine)
        try:
            while not task.done():
                seen = len(self.stage.router.commands_seen)
                await asyncio.sleep(0.003)
                if len(self.stage.router.commands_seen) == seen and not task.done():
                    await self.stage.clock.advance(3.0)
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def state(self, site: SetupSite | None = None) -> dict[str, Any]:
        """Everything on the router that a set-up reads or writes, without ids."""
        session = self.link(ADMIN.name, ADMIN.password)
        try:
            tables = await observed(session, site or self.site)
        finally:
            await session.close()
        return {
            menu: [{name: value for name, value in row.items() if name != ".id"} for row in rows]
            for menu, rows in tables.items()
            if menu not in _PASSING
        }


@contextlib.asynccontextmanager
async def setup_stage(given: MikrotikOptions | None = None, **changes: Any) -> AsyncIterator[SetupStage]:
    async with mikrotik_stage(given or options()) as stage:
        api = SiteApi("easyisp", "box-password", tls=False, port=stage.router.api_port)
        yield SetupStage(stage, replace(SITE, api=api, **changes))


def commands_of(stage: SetupStage, since: int, wanted: Callable[[str], bool]) -> list[int]:
    """Which of the commands seen since then are wanted: their numbers, 1 for the first."""
    seen = [words[0] for words in list(stage.stage.router.commands_seen)[since:] if words[0] != "/login"]
    return [number for number, command in enumerate(seen, start=1) if wanted(command)]
