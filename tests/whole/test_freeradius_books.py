"""The real FreeRADIUS beside real books: what is sold lets on through it, and what it counts is what the books say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import NAIROBI, DataVolume
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.freeradius import FreeradiusService, ServedRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from tests.fakes.freeradius_stage import (
    DATABASES,
    FROM_MAC,
    FROM_OTHER,
    REJECTS,
    ROUTERS,
    FreeradiusStage,
    books_of_today,
    credentials,
    emptied,
    freeradius_on,
    seconds_of,
    session,
)
from tests.unit.shop import HOUR, MAC, TENANT, Books, add_grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase
    from easyisp_edge.domain.grants import Grant

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

SERVED = [ServedRouter(name, tenant, ip, 300) for name, (ip, tenant, _) in ROUTERS.items()]
# Box time goes on without a step since before all of it.
SET_AT = datetime(2000, 1, 1, tzinfo=UTC)
ONLINE = replace(HOUR, package_id="online", duration=timedelta(days=7), online_time=timedelta(hours=1))


@pytest.fixture(scope="module", params=DATABASES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeradiusStage]:
    """A running server for each kind of database."""
    with freeradius_on(request.param, tmp_path_factory.mktemp("freeradius_books")) as stage:
        yield stage


@dataclass
class Site:
    """A box beside the server, which it tells and reads."""

    books: Books
    stage: FreeradiusStage
    database: FreeradiusDatabase
    presence: Presence = field(default_factory=Presence)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The daemon starts anew: nothing is remembered but what is in the books, and in the database."""
        self.access = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            tenant_of={router.router_id: router.tenant_id for router in SERVED},
            router_changed={},
        )
        self.accounting = AccountingService(
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            routers={
                router.router_id: ReportingRouter(router.tenant_id, timedelta(seconds=router.interim_seconds))
                for router in SERVED
            },
            clock_set_at=lambda: SET_AT,
            listening_since=self.books.now(),
            used_up=self.access.tell_routers,
        )
        self.service = FreeradiusService(
            database=self.database,
            routers=SERVED,
            store=self.books.store,
            clock=self.books.clock,
            account=self.accounting.account,
            is_noted=self.accounting.is_noted,
            started=self.access.started,
            written=lambda: None,
        )

    async def add(self, package: Any = HOUR, *, number: int = 1, **changes: Any) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, number=number, **changes))

    async def login(self, grant: Grant, *more: str) -> Any:
        return await self.stage.login(grant.username, grant.password, *(more or (FROM_MAC,)))

    async def refused(self, grant: Grant, refusal: str, *more: str) -> bool:
        """Whether a login is rejected for that reason."""
        answer = await self.login(grant, *more)
        said = REJECTS[refusal].replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
        return not answer.accepted and answer.attributes["Reply-Message"] == said

    async def report(self, *reports: str) -> None:
        """The server notes what routers say, and the box reads it."""
        await self.stage.report(*reports)
        await self.service.round()

    def now_of(self, grant: Grant) -> Grant:
        found = self.books.store.read.grants.by_id(grant.grant_id)
        assert found is not None
        return found

    def sessions(self) -> list[tuple[Any, ...]]:
        rows = self.books.store._database.reading.execute(
            "SELECT username, seconds, octets_in, octets_out, stopped_at IS NOT NULL, cause, grant_id FROM sessions"
            " ORDER BY session_id"
        )
        return rows.fetchall()

    async def books_say_what_was_noted(self) -> bool:
        """Whether the books hold the sessions the server noted, each once, with its time and its data."""
        noted = await asyncio.to_thread(
            self.stage.sql,
            "SELECT acctsessionid, username, callingstationid, acctsessiontime, acctinputoctets, acctoutputoctets,"
            " acctterminatecause FROM radacct",
        )
        held = self.books.store._database.reading.execute(
            "SELECT acct_session_id, username, mac, seconds, octets_in, octets_out, cause FROM sessions"
        ).fetchall()
        used = self.books.store._database.reading.execute(
            "SELECT coalesce(sum(seconds_used), 0), coalesce(sum(octets_used), 0) FROM grants"
        ).fetchone()
        counted = sum(row[3] for row in noted), sum(row[4] + row[5] for row in noted)
        return sorted(noted) == sorted(held) and tuple(used) == counted


@pytest.fixture
async def site(stage: FreeradiusStage, tmp_path: Path) -> AsyncIterator[Site]:
    """A box beside the server; its clock stands where the server's is."""
    async with emptied(stage) as database, books_of_today(tmp_path) as books:
        yield Site(books, stage, database)


def stop(grant: Grant, seconds: int, *more: str, **where: Any) -> str:
    """A session that is over after so many seconds."""
    length = f"Acct-Session-Time = {seconds}"
    return session(grant.username, "Stop", length, "Acct-Terminate-Cause = User-Request", *more, **where)


async def test_a_grant_lives_its_whole_life(site: Site) -> None:
    """Bought, let on, begun when the device came on, counted, over."""
    grant = await site.add()
    await site.service.round()
    assert seconds_of(await site.login(grant)) == 3600
    await site.report(session(grant.username, "Start", 'Class = "edge:grant-1"'))
    running = site.now_of(grant)
    assert running.state is GrantState.RUNNING
    assert running.started_at is not None
    assert abs((running.started_at - datetime.now(UTC)).total_seconds()) < 30
    assert site.presence.is_online(grant.username)
    assert 3500 < seconds_of(await site.login(grant)) <= 3601
    octets = ["Acct-Input-Octets = 5", "Acct-Input-Gigawords = 1", "Acct-Output-Octets = 7"]
    await site.report(stop(grant, 50, *octets))
    await site.service.round()
    assert site.sessions() == [(grant.username, 50, 2**32 + 5, 7, 1, "User-Request", grant.grant_id)]
    assert await site.books_say_what_was_noted()
    assert not site.presence.is_online(grant.username)
    site.books.time.advance(3601)
    await site.access.end_round()
    await site.service.round()
    assert await site.refused(grant, "unknown_user")


async def test_a_waiting_grant_is_bounded_while_nobody_looks(site: Site) -> None:
    """With the box down for a day it lets nobody on for longer than was paid."""
    grant = await site.add()
    await site.service.round()
    await site.stage.report(stop(grant, 3000))
    assert seconds_of(await site.login(grant)) == 600
    await site.stage.report(stop(grant, 600, number=2))
    assert await site.refused(grant, "time_up")


async def test_a_grant_that_ran_out_while_nobody_looks_is_refused(site: Site) -> None:
    """By the server alone, to the second, and with a word the customer understands."""
    grant = await site.add()
    started_at = datetime.now(UTC) - timedelta(hours=1, seconds=-3)
    await site.access.started(grant, started_at)
    await site.service.round()
    assert 1 <= seconds_of(await site.login(grant)) <= 5
    await asyncio.sleep(max(0.0, 3600 - (datetime.now(UTC) - started_at).total_seconds()) + 1.1)
    assert await site.refused(grant, "time_up")


@pytest.mark.parametrize("nobody_looks", [False, True])
async def test_time_online_is_counted_over_several_sessions(site: Site, nobody_looks: bool) -> None:  # noqa: FBT001
    """The server alone does so; with the box the books agree, and it is over when all is used."""
    grant = await site.add(ONLINE)
    await site.service.round()
    assert seconds_of(await site.login(grant)) == 3600
    for number, (seconds, left) in enumerate([(3000, 600), (500, 100), (60, 40)], start=1):
        await site.stage.report(stop(grant, seconds, number=number))
        if not nobody_looks:
            await site.service.round()
        assert seconds_of(await site.login(grant)) == left
    await site.stage.report(stop(grant, 40, number=4))
    assert await site.refused(grant, "time_up")
    await site.service.round()
    assert await site.books_say_what_was_noted()
    assert site.now_of(grant).state is GrantState.ENDED
    assert await site.refused(grant, "unknown_user")


async def test_time_online_that_another_router_counted_is_taken_off(site: Site) -> None:
    """The server knows nothing of it; the books do."""
    grant = await site.add(ONLINE)
    await site.report(stop(grant, 600))
    await site.books.store.write(lambda tx: tx.grants.use(grant.grant_id, 2000, 0))
    site.restart()
    await site.service.round()
    assert seconds_of(await site.login(grant)) == 1000


async def test_data_used_is_taken_off(site: Site) -> None:
    """Over several sessions and beyond 32 bits; when all is used nobody is let on by it."""
    grant = await site.add(replace(HOUR, duration=timedelta(days=1), data_limit=DataVolume(6 * 2**30)))
    await site.service.round()
    assert (await site.login(grant)).attributes["Mikrotik-Total-Limit-Gigawords"] == "1"
    await site.report(stop(grant, 10, "Acct-Input-Gigawords = 1", "Acct-Output-Octets = 1073741824"))
    attributes = (await site.login(grant)).attributes
    assert attributes["Mikrotik-Total-Limit"] == str(2**30)
    assert "Mikrotik-Total-Limit-Gigawords" not in attributes
    half = f"Acct-Input-Octets = {2**29}"
    await site.report(session(grant.username, "Interim-Update", "Acct-Session-Time = 10", half, number=2))
    assert (await site.login(grant)).attributes["Mikrotik-Total-Limit"] == str(2**29)
    await site.stage.report(stop(grant, 20, half, f"Acct-Output-Octets = {2**29}", number=2))
    assert await site.refused(grant, "data_up")
    await site.service.round()
    assert site.now_of(grant).state is GrantState.ENDED
    assert await site.books_say_what_was_noted()
    assert await site.refused(grant, "unknown_user")


async def test_hours_bound_each_session(site: Site) -> None:
    """Up to the end of the opening; while it is shut nobody is known, and at the next opening they are."""
    now = site.books.now().astimezone(NAIROBI)
    minute = now.hour * 60 + now.minute
    hours = Schedule((minute - 60) % 1440, (minute + 30) % 1440)
    grant = await site.add(replace(HOUR, duration=timedelta(days=3), schedule=hours))
    await site.service.round()
    assert 29 * 60 - 60 <= seconds_of(await site.login(grant)) <= 30 * 60 + 1
    site.books.time.advance(31 * 60)
    await site.service.round()
    assert await site.refused(grant, "unknown_user")
    site.books.time.advance(24 * 3600 - 31 * 60)
    await site.service.round()
    assert (await site.login(grant)).accepted


async def test_what_is_set_aside_waits_for_the_other(site: Site) -> None:
    """The device has one login at a time; what was set aside comes back with the time it had left."""
    first, second = await site.add(), await site.add(number=2)
    await site.report(session(first.username, "Start"))
    await site.access.switch_to(TENANT, MAC, second.grant_id)
    await site.report(session(first.username, "Stop", "Acct-Session-Time = 5"))
    assert await site.refused(first, "unknown_user")
    assert 3500 < seconds_of(await site.login(second)) <= 3601
    site.books.time.advance(3601)
    await site.access.end_round()
    await site.service.round()
    assert await site.refused(second, "unknown_user")
    assert 3590 < seconds_of(await site.login(first)) <= 3600


async def test_two_devices_share_what_was_bought(site: Site) -> None:
    """Both are let on, no third is; what both used is counted together."""
    grant = await site.add(replace(ONLINE, devices_max=2))
    await site.service.round()
    third = 'Calling-Station-Id = "AA:BB:CC:00:00:03"'
    await site.report(session(grant.username, "Start"), session(grant.username, "Start", number=2, mac=FROM_OTHER))
    request = ", ".join(credentials(grant.username, grant.password))
    answers = await site.stage.ask(f"{request}, {FROM_MAC}", f"{request}, {FROM_OTHER}", f"{request}, {third}")
    assert [answer.accepted for answer in answers] == [True, True, False]
    assert await site.refused(grant, "devices_full", third)
    await site.report(stop(grant, 60), stop(grant, 100, number=2, mac=FROM_OTHER))
    assert seconds_of(await site.login(grant, third)) == 3440
    assert await site.books_say_what_was_noted()


async def test_a_restart_counts_nothing_twice(site: Site) -> None:
    """All is read again from the start: what is in the books stays as it is, what is not comes in."""
    grant = await site.add(ONLINE)
    octets = "Acct-Output-Octets = 7"
    await site.report(stop(grant, 50, octets), stop(grant, 70, octets, number=2))
    await site.report(session(grant.username, "Interim-Update", "Acct-Session-Time = 30", octets, number=3))
    before = site.sessions(), site.books.count("events"), site.now_of(grant)
    for _ in range(2):
        site.books.time.advance(30)
        site.restart()
        await site.service.round()
        await site.service.round()
        assert (site.sessions(), site.books.count("events"), site.now_of(grant)) == before
    site.restart()
    await site.report(stop(grant, 60, octets, number=3), stop(grant, 60, octets, number=4))
    assert len(site.sessions()) == 4
    assert await site.books_say_what_was_noted()


async def test_a_session_whose_end_is_never_told_is_over_in_the_books(site: Site) -> None:
    """After three intervals of silence, once, also through restarts; the server keeps it open for ever."""
    grant = await site.add(ONLINE)
    await site.report(session(grant.username, "Interim-Update", "Acct-Session-Time = 60", "Acct-Input-Octets = 9"))
    assert site.presence.is_online(grant.username)
    site.books.time.advance(1000)
    await site.service.round()
    await site.accounting.silence_round()
    over = site.sessions()
    assert [(*row[2:4], *row[4:6]) for row in over] == [(9, 0, 1, "Lost-Stop")]
    assert not site.presence.is_online(grant.username)
    events = site.books.count("events")
    for _ in range(2):
        site.books.time.advance(86400)
        site.restart()
        await site.service.round()
        await site.accounting.silence_round()
    assert (site.sessions(), site.books.count("events")) == (over, events)
    open_rows = "SELECT count(*) FROM radacct WHERE acctstoptime IS NULL"
    assert await asyncio.to_thread(site.stage.sql, open_rows) == [(1,)]
