"""Rounds: who may be on is told to the server, what it noted is accounted for once, and trouble is waited out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Grant, GrantState
from easyisp_edge.domain.login_database import NotedSession, SessionsCursor, WantedLogin
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import NAIROBI, DataVolume
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access import followed_grants, freeradius
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.freeradius import LOOK_EVERY_SECONDS, FreeradiusService, ServedRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, Books, add_grant, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.packages import Package

# Box time goes on without a step since before all of it.
SET_AT = datetime(2000, 1, 1, tzinfo=UTC)
ADDRESS = "192.168.88.1"
HERE = ServedRouter(ROUTER, TENANT, ADDRESS, 300)
ANNEXE = ServedRouter("annexe", TENANT, "192.168.88.2", 60)
COAST = ServedRouter("coast", "coast", "192.168.88.3", 300)


class FakeServer:
    """A `LoginDatabase` in memory."""

    def __init__(self) -> None:
        self.users: dict[str, WantedLogin] = {}
        self.kept: list[bool] = []
        self.sessions: list[NotedSession] = []
        self.asked: list[SessionsCursor] = []

    async def keep(self, wanted: Mapping[str, WantedLogin], *, whole: bool) -> int:
        self.kept.append(whole)
        before, self.users = self.users, dict(wanted)
        return sum(before.get(name) != self.users.get(name) for name in before.keys() | self.users.keys())

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        self.asked.append(cursor)
        return sorted((one for one in self.sessions if one.cursor > cursor), key=lambda one: one.cursor)[:limit]


@dataclass
class Site:
    """The service over real books, with a server in memory."""

    books: Books
    routers: tuple[ServedRouter, ...] = (HERE,)
    server: FakeServer = field(default_factory=FakeServer)
    presence: Presence = field(default_factory=Presence)
    reports: list[UsageReport] = field(default_factory=list)
    begun: list[tuple[str, datetime]] = field(default_factory=list)
    used_up: list[str] = field(default_factory=list)
    rings: int = 0
    books_closed: bool = False

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The daemon starts anew: nothing is remembered but what is in the books."""
        self.access = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            tenant_of={router.router_id: router.tenant_id for router in self.routers},
            router_changed={},
        )
        self.accounting = AccountingService(
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            routers={
                router.router_id: ReportingRouter(router.tenant_id, timedelta(seconds=router.interim_seconds))
                for router in self.routers
            },
            clock_set_at=lambda: SET_AT,
            listening_since=self.books.now(),
            used_up=self.used_up.append,
        )
        self.service = FreeradiusService(
            database=self.server,
            routers=self.routers,
            store=self.books.store,
            clock=self.books.clock,
            account=self.account,
            is_noted=self.accounting.is_noted,
            started=self.started,
            written=self.ring,
        )

    async def account(self, usage: UsageReport) -> None:
        if self.books_closed:
            raise UnavailableError("store.not_written", "disk full")
        self.reports.append(usage)
        await self.accounting.account(usage)

    async def started(self, admission: Admission, at: datetime) -> None:
        self.begun.append((admission.grant_id, at))
        await self.access.started(admission, at)

    def ring(self) -> None:
        self.rings += 1

    async def add(self, package: Package = HOUR, number: int = 1, **changes: Any) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, number=number, **changes))

    async def change(self, what: str, grant_id: str, how: Any) -> None:
        def work(tx: Any) -> None:
            tx.grants.update(how(tx.grants.by_id(grant_id)))
            tx.events.append(Stream.MONEY, f"grant.{what}", grant_id, {})

        await self.books.store.write(work)

    def state_of(self, grant_id: str) -> GrantState:
        grant = self.books.store.read.grants.by_id(grant_id)
        assert grant is not None
        return grant.state

    def session_rows(self) -> list[dict[str, Any]]:
        cursor = self.books.store._database.reading.execute("SELECT * FROM sessions ORDER BY session_id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def note(self, row_id: int = 1, **changes: Any) -> NotedSession:
        """The server notes a session, or that it went on."""
        now = self.books.now()
        session = NotedSession(
            row_id=row_id,
            router_address=ADDRESS,
            session_id=f"8010000{row_id}",
            username="USER000001",
            grant_id="grant-1",
            mac=MAC,
            address="10.5.50.9",
            started_at=now,
            changed_at=now,
            stopped=False,
            seconds=0,
            octets_in=0,
            octets_out=0,
            cause="",
        )._replace(**changes)
        self.server.sessions = [one for one in self.server.sessions if one.row_id != row_id] + [session]
        return session


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A box with one router that asks FreeRADIUS; ten seconds after the first purchase."""
    async with open_books(tmp_path) as books:
        books.time.advance(10)
        yield Site(books)


async def test_a_grant_is_told_once(site: Site) -> None:
    """And routers are looked at only when something was written."""
    await site.add()
    await site.service.round()
    assert list(site.server.users) == ["USER000001"]
    assert site.server.users["USER000001"].session_seconds == 3600
    assert site.rings == 1
    await site.service.round()
    assert site.rings == 1


async def test_all_is_compared_now_and_then(site: Site) -> None:
    """In between what was written is taken to stand."""
    await site.service.round()
    await site.service.round()
    site.books.time.advance(LOOK_EVERY_SECONDS)
    await site.service.round()
    await site.service.round()
    assert site.server.kept == [True, False, True, False]


async def test_after_a_failure_all_is_compared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what was written and what was not."""
    await site.service.round()

    async def fail(wanted: Mapping[str, WantedLogin], *, whole: bool) -> int:
        raise UnavailableError("freeradius.database", "away")

    with monkeypatch.context() as broken:
        broken.setattr(site.server, "keep", fail)
        with pytest.raises(UnavailableError):
            await site.service.round()
    await site.service.round()
    assert site.server.kept == [True, True]


async def test_changes_are_followed_by_events(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All grants are read at the start, and again only when too much happened."""
    surveys: list[Any] = []
    survey = site.books.store.survey

    async def counted(work: Any) -> Any:
        surveys.append(work)
        return await survey(work)

    monkeypatch.setattr(site.books.store, "survey", counted)
    await site.service.round()
    await site.add()
    await site.add(number=2)
    await site.service.round()
    assert set(site.server.users) == {"USER000001", "USER000002"}
    await site.change("ended", "grant-1", lambda grant: grant.started(site.books.now()).ended(site.books.now()))
    await site.service.round()
    assert set(site.server.users) == {"USER000002"}
    assert len(surveys) == 1
    monkeypatch.setattr(followed_grants, "EVENTS_FOLLOWED_MAX", 0)
    await site.change("changed", "grant-2", lambda grant: dataclasses.replace(grant, seconds_left=1800))
    await site.service.round()
    assert site.server.users["USER000002"].session_seconds == 1800
    assert len(surveys) == 2


async def test_time_that_ran_out_is_no_longer_told(site: Site) -> None:
    """Even before it is in the books that the grant is over."""
    await site.add()
    await site.change("started", "grant-1", lambda grant: grant.started(site.books.now()))
    await site.service.round()
    assert site.server.users["USER000001"].expires_at == site.books.now() + timedelta(hours=1)
    site.books.time.advance(3601)
    await site.service.round()
    assert site.server.users == {}


async def test_where_a_grant_is_good_is_told(tmp_path: Path) -> None:
    """Only where there is something to tell apart: another tenant's routers, or some of one's own."""
    async with open_books(tmp_path) as books:
        alone, two = Site(books, (HERE,)), Site(books, (HERE, ANNEXE))
        all_three = Site(books, (HERE, ANNEXE, COAST))
        await alone.add()
        await alone.add(dataclasses.replace(HOUR, package_id="here", router_ids=(ROUTER, "elsewhere")), 2)
        await alone.add(dataclasses.replace(HOUR, package_id="there", router_ids=("elsewhere",)), 3)
        said = []
        for site in (alone, two, all_three):
            await site.service.round()
            said.append({name: login[-3:] for name, login in site.server.users.items()})
        assert said == [
            {"USER000001": (300, None, ()), "USER000002": (300, None, ())},
            {"USER000001": (60, None, ()), "USER000002": (300, None, (ROUTER,))},
            {"USER000001": (60, TENANT, ()), "USER000002": (300, TENANT, (ROUTER,))},
        ]


async def test_data_left_is_what_was_not_used(site: Site) -> None:
    """Over all sessions, as they are noted; when all is used it is over, and told no more."""
    await site.add(dataclasses.replace(HOUR, package_id="1kb", data_limit=DataVolume(1000)))
    await site.service.round()
    assert site.server.users["USER000001"].data_left == DataVolume(1000)
    site.note(1, octets_in=100, octets_out=200, seconds=60, stopped=True)
    site.note(2, octets_in=50, octets_out=50, seconds=60)
    await site.service.round()
    assert site.server.users["USER000001"].data_left == DataVolume(600)
    site.note(2, octets_in=50, octets_out=650, seconds=90)
    await site.service.round()
    assert site.server.users == {}
    assert site.state_of("grant-1") is GrantState.ENDED
    assert site.used_up == [TENANT]


ONLINE = dataclasses.replace(HOUR, package_id="online", duration=timedelta(days=7), online_time=timedelta(minutes=10))


async def test_time_online_is_what_was_spent_on(site: Site) -> None:
    """Over all sessions; the time between them is nobody's."""
    await site.add(ONLINE)
    site.note(1, seconds=200, stopped=True)
    await site.service.round()
    site.books.time.advance(86400)
    began = site.begun[0][1]
    site.note(2, seconds=300)
    await site.service.round()
    login = site.server.users["USER000001"]
    assert (login.session_seconds, login.online_seconds) == (100, 600)
    assert login.expires_at == began + timedelta(days=7)
    site.note(2, seconds=400, stopped=True)
    await site.service.round()
    assert site.server.users == {}
    assert site.state_of("grant-1") is GrantState.ENDED


async def test_what_was_used_elsewhere_is_seen_in_time(site: Site) -> None:
    """On a router that asks somebody else: at the next whole look at the latest."""
    await site.add(dataclasses.replace(HOUR, duration=timedelta(days=1), data_limit=DataVolume(1000)))
    await site.service.round()
    await site.books.store.write(lambda tx: tx.grants.use("grant-1", 60, 300))
    site.books.time.advance(LOOK_EVERY_SECONDS)
    await site.service.round()
    assert site.server.users["USER000001"].data_left == DataVolume(700)


async def test_hours_open_and_shut(site: Site) -> None:
    """Told from when it opens, to the end of the opening; not at all while it is shut."""
    midnight = site.books.now().astimezone(NAIROBI).replace(hour=0, minute=0, second=0, microsecond=0)
    site.books.time.advance((midnight + timedelta(days=1, hours=21) - site.books.now()).total_seconds())
    night = dataclasses.replace(HOUR, duration=timedelta(days=9), schedule=Schedule.parse("22:00-06:00"))
    await site.add(night)
    told = []
    for _ in range(12):  # from 21 o'clock on, by the hour
        await site.service.round()
        login = site.server.users.get("USER000001")
        told.append(None if login is None else login.expires_at)
        site.books.time.advance(3600)
    closes = midnight + timedelta(days=2, hours=6)
    assert told == [None] + [closes] * 8 + [None] * 3


async def test_what_was_set_aside_is_not_told_while_another_runs(site: Site) -> None:
    """It comes back by itself with the time it had left, and runs from when its device is on by it again."""
    await site.add()
    await site.add(number=2)
    start = site.books.now()
    site.note(1, stopped=True, seconds=600, changed_at=start + timedelta(seconds=600))
    site.books.time.advance(1200)
    await site.service.round()
    await site.access.switch_to(TENANT, MAC, "grant-2")
    await site.service.round()
    assert set(site.server.users) == {"USER000002"}
    site.books.time.advance(3600)
    await site.access.end_round()
    await site.service.round()
    aside = site.server.users["USER000001"]
    assert (set(site.server.users), aside.session_seconds, aside.expires_at) == ({"USER000001"}, 2400, None)
    site.books.time.advance(60)
    again = site.note(3, seconds=30, started_at=site.books.now() - timedelta(seconds=30))
    await site.service.round()
    assert site.begun[-1] == ("grant-1", again.started_at)
    assert site.server.users["USER000001"].expires_at == site.books.now() + timedelta(seconds=2400)


async def test_a_session_of_before_starts_nothing_that_was_set_aside(site: Site) -> None:
    """Read again after a restart, or left open for ever; only when it is heard of again does time run, from then."""
    await site.add()
    await site.add(number=2)
    site.note(1, seconds=60)
    await site.service.round()
    await site.access.switch_to(TENANT, MAC, "grant-2")
    site.books.time.advance(3600)
    await site.access.end_round()
    site.restart()
    await site.service.round()
    assert site.begun == [("grant-1", site.begun[0][1])]
    assert site.state_of("grant-1") is GrantState.PAUSED
    site.note(1, seconds=3700)
    await site.service.round()
    assert site.state_of("grant-1") is GrantState.RUNNING
    assert site.server.users["USER000001"].expires_at == site.books.now() + timedelta(seconds=3600)


async def test_what_a_device_has_elsewhere_keeps_nothing_aside(tmp_path: Path) -> None:
    """One server answers for two businesses: what runs with one is no reason to wait with the other."""
    async with open_books(tmp_path) as books:
        books.time.advance(10)
        site = Site(books, (HERE, COAST))
        await site.add(tenant_id="coast")
        await site.add(number=2)
        await site.add(number=3)
        await site.change("started", "grant-1", lambda grant: grant.started(books.now()))
        await site.change("started", "grant-2", lambda grant: grant.started(books.now()))
        await site.change("paused", "grant-2", lambda grant: grant.paused(books.now()))
        await site.service.round()
        assert set(site.server.users) == {"USER000001", "USER000002", "USER000003"}


async def test_a_session_that_ends_in_silence_is_over_once(site: Site) -> None:
    """The server keeps it open for ever; it is given up here, and stays so through restarts, until it is heard of."""
    await site.add()
    site.note(1, seconds=300, octets_in=7)
    await site.service.round()
    site.books.time.advance(1000)
    await site.service.round()
    await site.accounting.silence_round()
    over = site.session_rows()
    assert [(row["cause"], row["stopped_at"] is not None) for row in over] == [("Lost-Stop", True)]
    before = site.books.count("events")
    for _ in range(3):
        site.books.time.advance(86400)
        site.restart()
        await site.service.round()
        await site.accounting.silence_round()
    assert (site.session_rows(), site.books.count("events")) == (over, before)
    site.note(1, seconds=300 + 1000 + 3 * 86400, octets_in=9)
    await site.service.round()
    assert [(row["cause"], row["stopped_at"], row["octets_in"]) for row in site.session_rows()] == [("", None, 9)]


async def test_a_session_is_accounted_for_as_it_goes_on(site: Site) -> None:
    """Start, interim, stop: each once, however often it is read."""
    await site.add()
    site.note()
    await site.service.round()
    await site.service.round()
    site.note(seconds=60, octets_in=5)
    await site.service.round()
    site.note(seconds=90, octets_in=7, stopped=True, cause="User-Request")
    await site.service.round()
    await site.service.round()
    assert [(report.kind, report.seconds) for report in site.reports] == [
        (UsageKind.START, 0),
        (UsageKind.INTERIM, 60),
        (UsageKind.STOP, 90),
    ]
    assert {(report.router_id, report.session_id, report.grant_id, report.mac) for report in site.reports} == {
        (ROUTER, "80100001", "grant-1", MAC)
    }


@pytest.mark.parametrize(
    ("started", "seconds", "began"),
    [
        (100, 0, 100),
        (700, 0, 600),  # a little ahead: not in the future
        (-3, 0, 1),  # a little behind: not before it was bought
        (None, 60, 540),
        (-1_000_000, 60, 540),
        (10_000, 60, 540),
    ],
)
async def test_a_grant_begins_when_its_device_came_on(
    site: Site, started: int | None, seconds: int, began: int
) -> None:
    """Not when it was heard of; but a clock that cannot be right is not believed."""
    start = site.books.now() - timedelta(seconds=10)
    grant = await site.add()
    site.books.time.advance(590)
    at = None if started is None else start + timedelta(seconds=started)
    site.note(started_at=at, seconds=seconds)
    await site.service.round()
    assert site.begun == [(grant.grant_id, start + timedelta(seconds=began))]
    login = site.server.users[grant.username]
    assert (login.expires_at, login.session_seconds) == (start + timedelta(seconds=began + 3600), None)


async def test_what_was_used_up_while_nobody_looked_is_over(site: Site) -> None:
    """A day later the grant is not begun anew: its hour was over long ago."""
    await site.add()
    began = site.books.now()
    site.note(stopped=True, seconds=3600, changed_at=began + timedelta(hours=1), cause="Session-Timeout")
    site.books.time.advance(86400)
    await site.service.round()
    assert site.begun == [("grant-1", began)]
    assert site.server.users == {}


async def test_after_a_restart_nothing_is_counted_twice(site: Site) -> None:
    """What is over and in the books is left; what went on meanwhile comes in."""
    await site.add(dataclasses.replace(HOUR, duration=timedelta(days=1)))
    site.note(1, stopped=True, seconds=60, cause="User-Request")
    site.note(2, seconds=30)
    await site.service.round()
    before = site.books.count("sessions"), site.books.count("events")
    site.books.time.advance(5 * 3600)
    began = site.books.now() - timedelta(hours=2)
    site.note(3, stopped=True, seconds=10, started_at=began, cause="Idle-Timeout", mac=OTHER_MAC)
    site.restart()
    site.reports.clear()
    await site.service.round()
    assert sorted((report.session_id, report.kind) for report in site.reports) == [
        ("80100002", UsageKind.INTERIM),
        ("80100003", UsageKind.STOP),
    ]
    assert (site.books.count("sessions"), site.books.count("events")) == (before[0] + 1, before[1] + 1)


async def test_what_could_not_be_noted_is_read_again(site: Site) -> None:
    """The round ends as one to be tried again, and nothing is lost."""
    await site.add()
    site.note(1, seconds=60)
    site.note(2, stopped=True, seconds=5)
    site.books_closed = True
    with pytest.raises(UnavailableError):
        await site.service.round()
    site.books_closed = False
    await site.service.round()
    assert sorted(report.session_id for report in site.reports) == ["80100001", "80100002"]


async def test_many_sessions_come_in_pages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them in one round."""
    monkeypatch.setattr(freeradius, "SESSIONS_READ_MAX", 3)
    await site.add()
    for number in range(1, 9):
        site.note(number, seconds=number)
    await site.service.round()
    assert sorted(report.seconds for report in site.reports) == list(range(1, 9))
    assert len(site.server.asked) == 3


async def test_what_shows_late_is_still_read(site: Site) -> None:
    """A transaction of the server's may be committed after one that began later."""
    await site.add()
    site.note(2, changed_at=site.books.now() + timedelta(seconds=5))
    site.books.time.advance(10)
    await site.service.round()
    site.note(1, changed_at=site.books.now() - timedelta(seconds=20), seconds=7)
    await site.service.round()
    assert [report.seconds for report in site.reports] == [0, 7]


async def test_a_clock_in_the_future_hides_nothing(site: Site) -> None:
    """One row of the year 2040 must not keep all of before from being read."""
    await site.add()
    site.note(1, changed_at=site.books.now() + timedelta(days=5000))
    await site.service.round()
    site.books.time.advance(60)
    site.note(2, seconds=9)
    await site.service.round()
    assert [report.seconds for report in site.reports] == [0, 9]


async def test_sessions_of_others_are_none_of_ours(tmp_path: Path) -> None:
    """The site's own users, a router nobody knows, and another tenant's router."""
    async with open_books(tmp_path) as books:
        books.time.advance(10)
        site = Site(books, (HERE, COAST))
        await site.add()
        site.note(1, username="boss")
        site.note(2, router_address="10.0.0.1")
        site.note(3, router_address=COAST.address)
        await site.service.round()
        assert site.reports == []
        assert site.begun == []
        found = books.store.read.grants.by_id("grant-1")
        assert found is not None
        assert found.state is GrantState.WAITING


async def test_the_only_router_is_known_whatever_its_address(site: Site) -> None:
    """Where the server notes what the router calls itself."""
    await site.add()
    site.note(1, router_address="10.0.0.1")
    await site.service.round()
    assert [report.router_id for report in site.reports] == [ROUTER]
