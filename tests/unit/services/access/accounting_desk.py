"""An accounting desk: the service over books in memory, with one grant in them and reports to hand in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.store.store import Store, Tables
from easyisp_edge.timekeeping import BUILT_AFTER, BoxClock
from tests.fakes.clocks import ManualTime
from tests.unit.shop import HOUR, MAC, ROUTER, TENANT, add_grant, tables_in_memory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.packages import Package

T = TypeVar("T")

USER = "USER000001"
SESSION = "80100001"
INTERIM = timedelta(seconds=60)
ROUTERS = {
    ROUTER: ReportingRouter(TENANT, INTERIM),
    "second": ReportingRouter(TENANT, INTERIM),
    "elsewhere": ReportingRouter("another", INTERIM),
}
START_REPORT = UsageReport(ROUTER, UsageKind.START, SESSION, USER, None, MAC, "10.5.50.11", 0, 0, 0, "")
ROUTER_ON = UsageReport(ROUTER, UsageKind.ROUTER_ON, "", "", None, None, None, 0, 0, 0, "")


def start(**changes: Any) -> UsageReport:
    """The first report of a session."""
    return START_REPORT._replace(**changes)


def interim(seconds: int = 60, octets: int = 1000, **changes: Any) -> UsageReport:
    """A report in between: so many octets in, and twice as many out."""
    return START_REPORT._replace(
        kind=UsageKind.INTERIM, seconds=seconds, octets_in=octets, octets_out=2 * octets, **changes
    )


def stop(seconds: int = 120, octets: int = 5000, **changes: Any) -> UsageReport:
    """The last report of a session."""
    report = interim(seconds, octets, **changes)
    return report._replace(kind=UsageKind.STOP, cause=changes.get("cause", "Session-Timeout"))


class Row(NamedTuple):
    """What the books say of a session."""

    seconds: int
    octets_in: int
    octets_out: int
    over: bool
    cause: str
    grant_id: str | None


class MemoryStore(Store):
    """A store whose writes are there at once; for reports by the ten thousand."""

    def __init__(self, connection: sqlite3.Connection, tables: Tables) -> None:
        self._sql = connection
        self.read = tables

    def writing(self, work: Callable[[Tables], T], *, repeatable: bool = False) -> asyncio.Future[T]:
        self._sql.execute("SAVEPOINT one")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, work(self.read))
        self._sql.execute("RELEASE one")
        return done

    async def survey(self, work: Callable[[Tables], T]) -> T:
        return work(self.read)


@dataclass
class AccountingDesk:
    """The service, and what the books say."""

    sql: sqlite3.Connection
    tx: Tables
    time: ManualTime
    clock: BoxClock
    presence: Presence
    service: AccountingService
    set_at: list[datetime]
    told: list[str] = field(default_factory=list)

    async def report(self, *reports: UsageReport) -> None:
        """Hand in reports, one after the other."""
        for usage in reports:
            await self.service.account(usage)

    async def after(self, seconds: float, *reports: UsageReport) -> None:
        """The same, so much later."""
        self.time.advance(seconds)
        await self.report(*reports)

    async def silence(self, seconds: float) -> None:
        """Let so much time go by without a word, and look at what is silent."""
        self.time.advance(seconds)
        await self.service.silence_round()

    def sessions(self) -> list[Row]:
        """All sessions, oldest first."""
        rows = self.sql.execute(
            "SELECT seconds, octets_in, octets_out, stopped_at IS NOT NULL, cause, grant_id FROM sessions"
            " ORDER BY session_id"
        )
        return [Row(*row) for row in rows]

    def used(self, grant_id: str = "grant-1") -> tuple[int, int]:
        """Seconds and octets a grant has used; held against the sum of its sessions."""
        seconds, octets = self.sql.execute(
            "SELECT seconds_used, octets_used FROM grants WHERE grant_id = ?", (grant_id,)
        ).fetchone()
        of_sessions = "SELECT coalesce(sum(seconds), 0) FROM sessions WHERE grant_id = ?"
        assert seconds == self.sql.execute(of_sessions, (grant_id,)).fetchone()[0]
        return seconds, octets

    def events(self, stream: str = "usage") -> list[tuple[str, dict[str, Any]]]:
        """Type and data of all events of a stream."""
        rows = self.sql.execute("SELECT type, body FROM events WHERE stream = ? ORDER BY sequence", (stream,))
        return [(row[0], json.loads(row[1])["data"]) for row in rows]

    def state(self, grant_id: str = "grant-1") -> str:
        """Where a grant stands."""
        return str(self.sql.execute("SELECT state FROM grants WHERE grant_id = ?", (grant_id,)).fetchone()[0])

    def clock_is_set(self, seconds_on: float) -> None:
        """Box time is set forward."""
        self.time.set_wall(self.clock.now() + timedelta(seconds=seconds_on))
        self.clock.look()
        self.set_at[0] = self.clock.set_at


def accounting_desk(package: Package = HOUR, **changes: Any) -> AccountingDesk:
    """Open the desk with one running grant of that package."""
    time = ManualTime()
    sql, tx = tables_in_memory(time)
    clock = BoxClock(time, None)
    tx = Tables(sql, clock)
    grant = add_grant(tx, package, **changes)
    if not changes:
        tx.grants.update(grant.started(clock.now()))
    presence, set_at, told = Presence(), [BUILT_AFTER], list[str]()
    service = AccountingService(
        store=MemoryStore(sql, tx),
        clock=clock,
        presence=presence,
        routers=ROUTERS,
        clock_set_at=lambda: set_at[0],
        listening_since=clock.now(),
        used_up=told.append,
    )
    return AccountingDesk(sql, tx, time, clock, presence, service, set_at, told)
