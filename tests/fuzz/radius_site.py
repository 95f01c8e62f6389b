"""The watched door before a real site: its logins are judged and its reports kept by the daemon's own services."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.values import MacAddress
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.lockout import Lockout, LockoutLimits
from easyisp_edge.services.access.logins import LoginService
from easyisp_edge.services.access.presence import Presence
from tests.fakes.clocks import START
from tests.fuzz.radius_door import WatchedDoor, promise
from tests.fuzz.radius_judgement import DEVICE, ROUTERS, STATUS, attributes
from tests.unit.shop import TENANT, add_grant

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest, UsageReport
    from easyisp_edge.store.store import Tables
    from tests.fuzz.radius_judgement import Offer
    from tests.unit.shop import Books

# Nobody names it.
LEFT_ALONE = "grant-4"
_PPPOE = {(6, b"\0\0\0\x02"), (7, b"\0\0\0\x01")}


def sold(tx: Tables) -> None:
    """What the judgement knows of, and one grant more."""
    for number, mac in enumerate((None, None, MacAddress(DEVICE), MacAddress("BC:24:11:EC:00:01")), start=1):
        add_grant(tx, number=number, mac=mac)


@dataclass
class WatchedSite(WatchedDoor):
    """A door with real books behind it, whose time stands still.

    What it promises beyond a door: only an answered report and an accept change the books.
    """

    books: Books | None = None
    folder: Path | None = None

    async def open(self) -> None:
        assert self.books is not None
        assert self.folder is not None
        store, clock = self.books.store, self.books.clock
        await store.write(sold)
        bells = {router.router_id: Wake() for router in ROUTERS.values()}
        access = AccessService(store=store, clock=clock, tenant_of=dict.fromkeys(bells, TENANT), router_changed=bells)
        never = LockoutLimits(device=10**9, site=10**9)  # else the first guesses would end all logins by receipt
        self.logins = LoginService(access, message=lambda _, refusal: refusal.key, lockout=Lockout(clock, never))
        self.accounting = AccountingService(
            store=store,
            clock=clock,
            presence=Presence(),
            routers=dict.fromkeys(bells, ReportingRouter(TENANT, timedelta(minutes=5))),
            clock_set_at=lambda: START,
            listening_since=START,
            used_up=access.tell_routers,
        )
        self.limited = []
        self.beside = sqlite3.connect(f"file:{self.folder / 'edge.sqlite'}?mode=ro", uri=True)
        await super().open()

    async def close(self) -> None:
        await super().close()
        self.beside.close()

    def authorize(self, request: LoginRequest) -> LoginAnswer | Awaitable[LoginAnswer]:
        self.judged.append(request)
        return self.logins.answer(request)

    async def account(self, report: UsageReport) -> None:
        self.reports.append(report)
        await self.accounting.account(report)

    async def offer(self, offer: Offer) -> bytes | None:
        due = 3 if offer.due == 2 and set(attributes(offer.datagram) or []) >= _PPPOE else offer.due
        before = self._written()
        reply = await super().offer(offer._replace(due=due))  # all that was sold is for hotspots
        answered = reply is not None and reply[0] in {2, 5} and offer.datagram[0] != STATUS
        promise(answered or self._written() == before, "the books changed")
        return reply

    def _written(self) -> int:
        """Another number whenever anything was committed."""
        with closing(self.beside.execute("PRAGMA data_version")) as rows:
            return int(rows.fetchone()[0])
