"""The portal's JSON for devices over open books: who asks is said as a proxy on the same machine would."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer

from easyisp_edge.domain.routers import HotspotHost
from easyisp_edge.domain.sessions import Session
from easyisp_edge.services.access.lockout import Lockout
from easyisp_edge.services.access.logins import LoginService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder, VouchersDesk
from easyisp_edge.services.money.judgement import NO_SUBSTITUTE
from easyisp_edge.services.money.settlement import SettlementService
from easyisp_edge.services.portal.trials import TrialService
from easyisp_edge.services.portal.vouchers import VoucherService
from easyisp_edge.web.app import _app
from easyisp_edge.web.captive_api import CaptiveApi
from easyisp_edge.web.portal_api import PortalApi
from easyisp_edge.web.portal_pages import PortalPages
from easyisp_edge.web.session_api import SessionApi
from tests.unit.shop import HOUR, MAC, ROUTER, Books, add_grant, open_books
from tests.unit.web.counter import open_portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.store.store import Tables
    from easyisp_edge.web.portal import Portal

ADDRESS, OTHER_ADDRESS = "10.5.50.11", "10.5.50.12"
PACKAGES = """[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
"""
ROUTERS = """[[router]]
id = "main"
address = "10.0.0.1"
mode = "hotspot-user"
login_url = "http://10.5.50.1/login"
api = { tls = false, username = "u", password = "p" }
"""


@dataclass
class Gatehouse:
    """The routes, what stands behind them, and what the router sees."""

    books: Books
    portal: Portal
    client: TestClient[web.Request, web.Application]
    hosts: dict[MacAddress, HotspotHost] = field(default_factory=dict)

    @property
    def presence(self) -> Presence:
        return self.portal.standing.presence

    def see(
        self, mac: MacAddress = MAC, address: str = ADDRESS, *, authorized: bool = False, bypassed: bool = False
    ) -> None:
        """The router sees a device, as its last look tells."""
        self.hosts[mac] = HotspotHost(mac, address, authorized=authorized, bypassed=bypassed)
        self.presence.saw(ROUTER, self.hosts.values(), self.books.clock.monotonic())

    async def sell(self, package: Package = HOUR, **changes: Any) -> Grant:
        """Sell a package; it is a moment later then."""
        sold = await self.books.store.write(lambda tx: add_grant(tx, package, **changes))
        self.books.time.advance(10)
        return sold

    async def make_voucher(self) -> str:
        """A voucher for an hour, by its code."""
        desk = VouchersDesk(self.books.store, self.books.clock, self.books.identifiers, self.portal.site)
        made = await desk.make(BatchOrder(tenant_id=None, package_id="1h", count=1), "owner")
        shown = await desk.show(made.batch.batch_id, "owner")
        return shown.vouchers[0][0].code

    async def rung(self) -> bool:
        """Whether the router is to be looked at; asking takes it back."""
        return await self.portal.access.router_changed[ROUTER].wait(self.books.clock, 0)

    async def go_online(self, grant: Grant) -> Grant:
        """The router has let its device on."""
        await self.portal.access.started(grant)
        self.presence.came(ROUTER, grant.username)
        return self.grant(grant.grant_id)

    async def report(self, grant: Grant, **changes: Any) -> None:
        """A session of a grant stands in the books."""
        now = self.books.now()
        name, grant_id = grant.username, grant.grant_id
        session = Session(0, ROUTER, "81a0000c", name, grant_id, MAC, ADDRESS, now, now, None, 0, 0, 0, "")
        session = session._replace(**changes)

        def add(tx: Tables) -> None:
            tx.sessions.add(session)
            tx.grants.use(grant.grant_id, session.seconds, session.octets_in + session.octets_out)

        await self.books.store.write(add)

    def grant(self, grant_id: str = "grant-1") -> Grant:
        found = self.books.store.read.grants.by_id(grant_id)
        assert found is not None
        return found

    async def get(
        self, path: str, *, source: str | None = ADDRESS, host: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask from an address, by a name; gives status, headers and body. No redirect is followed."""
        headers = {} if source is None else {"X-Forwarded-For": source}
        if host is not None:
            headers["Host"] = host
        async with self.client.get(path, headers=headers, allow_redirects=False) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def ask(self, path: str, *, source: str | None = ADDRESS) -> tuple[int, dict[str, Any]]:
        """The same for JSON."""
        status, _, body = await self.get(f"/api/portal{path}", source=source)
        return status, json.loads(body)

    async def captive(self, source: str | None = ADDRESS, query: str = "") -> dict[str, Any]:
        """What the captive-portal API says."""
        status, _, body = await self.get(f"/captive{query}", source=source)
        assert status == 200
        return dict(json.loads(body))

    async def post(
        self, path: str, *, source: str | None = ADDRESS, origin: str | None = None, **fields: Any
    ) -> tuple[int, dict[str, Any]]:
        """Post JSON, as a page of some origin does where one is named."""
        headers = {} if source is None else {"X-Forwarded-For": source}
        if origin is not None:
            headers["Origin"] = origin
        async with self.client.post(f"/api/portal{path}", json=fields, headers=headers) as answer:
            return answer.status, await answer.json()


@contextlib.asynccontextmanager
async def open_gatehouse(folder: Path, *, routers: str = ROUTERS, portal_toml: str = "") -> AsyncIterator[Gatehouse]:
    """One over books of its own."""
    (folder / "edge.toml").write_text("development = true\n")
    (folder / "routers.toml").write_text(routers)
    (folder / "portal.toml").write_text(portal_toml)
    (folder / "packages.toml").write_text(PACKAGES)
    async with open_books(folder) as books:
        portal = open_portal(books, folder, Presence())
        logins = LoginService(portal.access, lambda _, refusal: refusal.key, Lockout(books.clock))
        settlement = SettlementService(
            store=books.store,
            clock=books.clock,
            identifiers=books.identifiers,
            substitute=NO_SUBSTITUTE,
            granted=portal.access.tell_routers,
            query_due=lambda: None,
        )
        portal = replace(
            portal,
            logins=logins,
            vouchers=VoucherService(settlement, Lockout(books.clock)),
            trials=TrialService(settlement, portal.site),
        )
        api, pages, captive = PortalApi(portal), PortalPages(portal), CaptiveApi(portal)
        app = _app(api.error, captive.by_host())
        app.add_routes(captive.routes() + SessionApi(portal).routes() + api.routes() + pages.routes())
        async with TestClient(TestServer(app)) as client:
            yield Gatehouse(books, portal, client)
