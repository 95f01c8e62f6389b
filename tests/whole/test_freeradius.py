"""FreeRADIUS itself, with the configuration and the users that are written for it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import re
import string
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.freeradius.rows import checked
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.accounting import AccountingService
from easyisp_edge.services.freeradius import FreeradiusService, ServedRouter
from easyisp_edge.services.presence import Presence
from tests.fakes.freeradius_stage import (
    ANNEXE,
    COAST,
    MAIN,
    OTHER_TENANT,
    ROUTERS,
    STRICT,
    FreeradiusStage,
    books_of_today,
    check_configuration,
    credentials,
    freeradius,
    postgresql,
    stage_configuration,
)
from tests.unit.adapters.test_freeradius_rows import RUNNING
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT, Books, add_grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase
    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.login_database import WantedLogin

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

DATABASES = ("sqlite", "postgresql")
SIGNED = "Message-Authenticator"
_MONEY = Stream.MONEY
FROM_MAC, FROM_OTHER = f'Calling-Station-Id = "{MAC}"', f'Calling-Station-Id = "{OTHER_MAC}"'


@pytest.fixture(scope="module", params=DATABASES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeradiusStage]:
    """A running server for each kind of database; every test brings users of its own."""
    folder: Path = tmp_path_factory.mktemp("freeradius")
    folder.parent.chmod(0o755)
    folder.parent.parent.chmod(0o755)
    folder.chmod(0o755)
    with ExitStack() as stack:
        if request.param == "sqlite":
            address: Any = SqliteAddress(folder / "radius.sqlite")
        else:
            (folder / "server").mkdir()
            address = stack.enter_context(postgresql(folder / "server"))
        yield stack.enter_context(freeradius(folder, address))


@pytest.fixture
async def database(stage: FreeradiusStage) -> AsyncIterator[FreeradiusDatabase]:
    """The server's database, with no user of ours and no session in it."""
    stage_tables = ("radcheck", "radreply", "radusergroup", "radgroupreply", "radacct")
    for table in stage_tables:
        await asyncio.to_thread(stage.sql, f"DELETE FROM {table}")  # noqa: S608 - a test's own words
    database = stage.open()
    yield database
    await database.close()


def a_login(number: int, **changes: Any) -> WantedLogin:
    """A running login that ends in an hour."""
    login = RUNNING._replace(
        username=f"USER{number:06}",
        password=f"PASSWORD{number:06}",
        grant_id=f"grant-{number}",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    return login._replace(**changes)


async def write(database: FreeradiusDatabase, *logins: WantedLogin) -> None:
    await database.keep({login.username: login for login in logins}, whole=True)


def session(username: str, status: str, *more: str, number: int = 1, mac: str = FROM_MAC) -> str:
    """An accounting packet as a hotspot sends it; its clock has not been set."""
    return ", ".join(
        [
            f"Acct-Status-Type = {status}",
            f'User-Name = "{username}"',
            f"Acct-Session-Id = 8010000{number}",
            "NAS-Port = 2148532244",
            "NAS-Port-Id = vlan888-hotspot",
            "NAS-IP-Address = 10.99.99.99",
            'Event-Timestamp = "Jan  1 1970 00:01:00 UTC"',
            "Framed-IP-Address = 10.5.50.9",
            mac,
            *more,
        ]
    )


def seconds_of(answer: Any) -> int:
    return int(answer.attributes["Session-Timeout"])


@pytest.mark.parametrize("version", ["3.2.1", "3.2.9"])
def test_freeradius_accepts_the_configuration(stage: FreeradiusStage, version: str, tmp_path: Path) -> None:
    """As it is written, for either database; what a later release knows more is no fault to an earlier one."""
    stage_configuration(tmp_path, stage.address, version=version)
    code, said = check_configuration(tmp_path)
    assert "Configuration appears to be OK" in said[-2000:]
    assert code == 0
    assert not re.findall(
        r"^.*(?:deprecated|unused by the configuration|error|not found).*$", said, re.MULTILINE | re.IGNORECASE
    )


async def test_a_running_grant_is_let_on(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """By PAP and by CHAP, in whatever spelling the device's address comes, and told all that bounds it."""
    await write(database, a_login(1, data_left=DataVolume(5 * 2**30)))
    user, password = credentials("USER000001", "PASSWORD000001")
    chap = password.replace("User-Password", "CHAP-Password")
    answers = await stage.ask(f"{user}, {password}, {FROM_MAC}", f"{user}, {chap}, Calling-Station-Id = aabb.cc00.0001")
    for answer in answers:
        assert answer.accepted
        assert 3590 <= seconds_of(answer) <= 3601  # rounded up
        signature = answer.attributes.pop(SIGNED)
        assert re.fullmatch(r"0x(?!0{32})[0-9a-f]{32}", signature)
        del answer.attributes["Session-Timeout"]
        assert answer.attributes == {
            "Class": "0x" + b"edge:grant-1".hex(),
            "Mikrotik-Rate-Limit": "2M/5M",
            "Port-Limit": "1",
            "Acct-Interim-Interval": "300",
            "Mikrotik-Total-Limit": "1073741824",
            "Mikrotik-Total-Limit-Gigawords": "1",
        }


async def test_all_else_is_rejected(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """Each reject is signed too, and holds nothing of what an accept would have."""
    past = datetime.now(UTC) - timedelta(seconds=5)
    await write(database, a_login(1), a_login(2, expires_at=past), a_login(3, service=Service.PPPOE, mac=None))
    right, third = (
        ", ".join(credentials("USER000001", "PASSWORD000001")),
        ", ".join(credentials("USER000003", "PASSWORD000003")),
    )
    answers = await stage.ask(
        ", ".join([*credentials("USER000001", "WRONG"), FROM_MAC]),
        f"{right}, {FROM_OTHER}",
        f"{right}, {FROM_MAC}, Framed-Protocol = PPP",
        third,
        ", ".join([*credentials("USER000002", "PASSWORD000002"), FROM_MAC]),
        ", ".join([*credentials("NOBODY", "PASSWORD000001"), FROM_MAC]),
    )
    assert [answer.code for answer in answers] == ["Access-Reject"] * 6
    assert {name for answer in answers for name in answer.attributes} == {SIGNED}
    assert (await stage.ask(f"{third}, Framed-Protocol = PPP"))[0].accepted


async def test_who_is_taken_away_is_let_on_no_more(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """From the next request on; so is a changed password."""
    await write(database, a_login(1), a_login(2))
    assert (await stage.login("USER000001", "PASSWORD000001", FROM_MAC)).accepted
    await write(database, a_login(2, password="ANOTHER"))
    assert not (await stage.login("USER000001", "PASSWORD000001", FROM_MAC)).accepted
    assert (await stage.login("USER000002", "ANOTHER", FROM_MAC)).accepted


async def test_online_time_is_counted(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """What was used is taken off; when all is, the customer is told."""
    await write(database, a_login(1, online_seconds=3000))
    await stage.report(
        session("USER000001", "Start"),
        session("USER000001", "Interim-Update", "Acct-Session-Time = 400"),
        session("USER000001", "Stop", "Acct-Session-Time = 1000"),
        session("USER000001", "Stop", "Acct-Session-Time = 1000"),
    )
    assert seconds_of(await stage.login("USER000001", "PASSWORD000001", FROM_MAC)) == 2000
    await stage.report(session("USER000001", "Stop", "Acct-Session-Time = 2000", number=2))
    answer = await stage.login("USER000001", "PASSWORD000001", FROM_MAC)
    assert answer.code == "Access-Reject"
    assert "maximum" in answer.attributes["Reply-Message"]


async def test_one_device_too_many_is_refused(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """By the number of other devices that are on: one that comes back is not kept out by its own session of before."""
    await write(database, a_login(1, mac=None), a_login(2, devices_max=2))
    third = 'Calling-Station-Id = "AA:BB:CC:00:00:03"'
    await stage.report(
        session("USER000001", "Start"),
        session("USER000002", "Start", number=2),
        session("USER000002", "Start", number=3, mac=FROM_OTHER),
    )
    one, two = (
        ", ".join(credentials("USER000001", "PASSWORD000001")),
        ", ".join(credentials("USER000002", "PASSWORD000002")),
    )
    answers = await stage.ask(f"{one}, {FROM_OTHER}", f"{one}, {FROM_MAC}", f"{two}, {third}", f"{two}, {FROM_OTHER}")
    assert [answer.accepted for answer in answers] == [False, True, False, True]
    assert "already logged in" in answers[0].attributes["Reply-Message"]
    await stage.report(session("USER000001", "Stop"))
    assert (await stage.ask(f"{one}, {FROM_OTHER}"))[0].accepted


async def test_a_session_of_before_a_power_cut_keeps_nobody_out(
    stage: FreeradiusStage, database: FreeradiusDatabase
) -> None:
    """It was not heard of for three intervals, or the router says that it is back."""
    await write(database, a_login(1, mac=None), a_login(2, mac=None))
    await stage.report(session("USER000001", "Start"), session("USER000002", "Start", number=2))
    sqlite = isinstance(stage.address, SqliteAddress)
    earlier = "acctupdatetime - 901" if sqlite else "acctupdatetime - interval '901 seconds'"
    await asyncio.to_thread(stage.sql, f"UPDATE radacct SET acctupdatetime = {earlier} WHERE username = 'USER000001'")  # noqa: S608
    assert (await stage.login("USER000001", "PASSWORD000001", FROM_OTHER)).accepted
    assert not (await stage.login("USER000002", "PASSWORD000002", FROM_OTHER)).accepted
    await stage.report("Acct-Status-Type = Accounting-On", "Acct-Status-Type = Accounting-On")
    assert (await stage.login("USER000002", "PASSWORD000002", FROM_OTHER)).accepted


async def test_a_login_is_good_behind_its_routers_only(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """Told by the address the packet comes from, whatever it says of itself."""
    await write(
        database,
        a_login(1, tenant_id=TENANT),
        a_login(2, tenant_id=OTHER_TENANT),
        a_login(3, router_ids=("annexe", "coast")),
    )
    lies = "NAS-IP-Address = 127.0.0.3, NAS-Identifier = coast"
    requests = [", ".join([*credentials(f"USER{n:06}", f"PASSWORD{n:06}"), FROM_MAC, lies]) for n in (1, 2, 3)]
    where = await asyncio.gather(*(stage.ask(*requests, router=router) for router in (MAIN, ANNEXE, COAST)))
    assert [[answer.accepted for answer in answers] for answers in where] == [
        [True, False, False],
        [True, False, True],
        [False, True, True],
    ]


async def test_an_unsigned_request_is_ignored_where_signing_is_demanded(
    stage: FreeradiusStage, database: FreeradiusDatabase
) -> None:
    """A signed one is answered there."""
    await write(database, a_login(1))
    request = ", ".join([*credentials("USER000001", "PASSWORD000001"), FROM_MAC])
    unsigned, signed = await asyncio.gather(
        stage.ask(request, router=STRICT, tries=1), stage.ask(f"{request}, {SIGNED} = 0x00", router=STRICT)
    )
    assert unsigned[0].code == ""
    assert signed[0].accepted


async def test_whatever_may_be_written_comes_through_unchanged(
    stage: FreeradiusStage, database: FreeradiusDatabase
) -> None:
    """Passwords of all characters that are not refused are exactly those that let one on."""
    drawn, passwords = random.Random(7), ["100%", "%l", "a%b", "#x", "$1", "a'b", "{}", "(a|b)", "a=b", "x  y", 'a"b']
    while len(passwords) < 30:
        password = "".join(drawn.choices(string.printable, k=drawn.randint(1, 24)))
        try:
            passwords.append(checked(password))
        except UnwritableError:
            continue
    logins = [a_login(number, password=password) for number, password in enumerate(passwords)]
    await write(database, *logins)
    requests = [", ".join([*credentials(login.username, login.password), FROM_MAC]) for login in logins]
    answers = await stage.ask(*requests)
    assert [login.password for login, answer in zip(logins, answers, strict=True) if not answer.accepted] == []


async def test_logins_go_on_while_users_are_written(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """Neither keeps the other out: no login is rejected, and no user is lost."""
    steady, many = (
        a_login(1),
        {f"MANY{number:06}": a_login(number, username=f"MANY{number:06}") for number in range(400)},
    )
    request = ", ".join([*credentials(steady.username, steady.password), FROM_MAC])

    async def keep_writing() -> None:
        for turn in range(6):
            changed = {name: login._replace(password=f"TURN{turn}") for name, login in many.items()}
            await database.keep(changed | {steady.username: steady}, whole=turn == 0)

    await write(database, steady)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_writing())
        answers = [answer for _ in range(4) for answer in await stage.ask(*[request] * 10)]
    assert [answer.code for answer in answers] == ["Access-Accept"] * 40
    last = ", ".join([*credentials("MANY000399", "TURN5"), FROM_MAC])
    assert (await stage.ask(last))[0].accepted


# Of SQLite's driver a table that goes missing is no failure while a connection remembers it: it finds no row.
@pytest.mark.parametrize("stage", ["postgresql"], indirect=True)
async def test_a_database_that_fails_is_silence(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """The router asks again, or asks its next server; a reject would say that the customer has not paid."""
    await write(database, a_login(1))
    await asyncio.to_thread(stage.sql, "ALTER TABLE radcheck RENAME TO radcheck_away")
    try:
        request = ", ".join([*credentials("USER000001", "PASSWORD000001"), FROM_MAC])
        assert (await stage.ask(request, tries=1))[0].code == ""
    finally:
        await asyncio.to_thread(stage.sql, "ALTER TABLE radcheck_away RENAME TO radcheck")
    assert (await stage.login("USER000001", "PASSWORD000001", FROM_MAC)).accepted


FOREIGN = (
    "INSERT INTO radcheck (username, attribute, op, value) VALUES ('boss', 'Cleartext-Password', ':=', 'theirs')",
    "INSERT INTO radcheck (username, attribute, op, value) VALUES ('clerk', 'Cleartext-Password', ':=', 'theirs')",
    "INSERT INTO radreply (username, attribute, op, value) VALUES ('boss', 'Reply-Message', ':=', 'Good morning')",
    "INSERT INTO radusergroup (username, groupname) VALUES ('boss', 'staff'), ('boss', 'edge-2M-5M-x1-i300')",
    "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('staff', 'Filter-Id', ':=', 'none')",
)


async def test_the_sites_own_users_stay(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """Whatever is written and taken away beside them, and even where one of theirs is in a group of ours."""
    for statement in FOREIGN:
        await asyncio.to_thread(stage.sql, statement)
    await write(database, a_login(1), a_login(2))
    await write(database, a_login(2), a_login(3, username="clerk"))
    await write(database)
    await write(database, a_login(1))
    assert (await stage.login("boss", "theirs")).attributes["Reply-Message"] == "Good morning"
    assert (await stage.login("clerk", "theirs")).accepted
    counts = [
        await asyncio.to_thread(stage.sql, f"SELECT count(*) FROM {table} WHERE {name} IN ('boss', 'clerk', 'staff')")  # noqa: S608
        for table, name in (("radusergroup", "username"), ("radgroupreply", "groupname"), ("radcheck", "username"))
    ]
    assert counts == [[(2,)], [(1,)], [(2,)]]


async def test_what_somebody_changed_by_hand_is_put_right(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """At the next whole look; then nothing differs any more, to the order of the rows."""
    logins = {login.username: login for login in (a_login(number) for number in range(3))}
    await database.keep(logins, whole=True)
    for change in (
        "UPDATE radcheck SET value = 'guessed' WHERE username = 'USER000000' AND attribute = 'Cleartext-Password'",
        "DELETE FROM radreply WHERE username = 'USER000001'",
        "UPDATE radgroupreply SET value = '99M' WHERE attribute = 'Mikrotik-Rate-Limit'",
    ):
        await asyncio.to_thread(stage.sql, change)
    assert await database.keep(logins, whole=True) == 2
    assert await database.keep(logins, whole=True) == 0
    answer = await stage.login("USER000000", "PASSWORD000000", FROM_MAC)
    assert answer.attributes["Mikrotik-Rate-Limit"] == "2M/5M"


@pytest.mark.parametrize("stage", ["postgresql"], indirect=True)
async def test_a_lost_connection_is_made_again(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """The call under way fails as one to be tried again; the next one connects."""
    await write(database, a_login(1))
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'easyisp-edge'"
    assert await asyncio.to_thread(stage.sql, ours) == [(True,)]
    with pytest.raises(UnavailableError, match="postgres on 127"):
        await write(database, a_login(1), a_login(2))
    await write(database, a_login(1), a_login(2))
    assert (await stage.login("USER000002", "PASSWORD000002", FROM_MAC)).accepted


@dataclass
class Site:
    """The service over real books, with the server it tells."""

    books: Books
    stage: FreeradiusStage
    service: FreeradiusService
    presence: Presence

    async def add(self, package: Any = HOUR, *, number: int = 1, **changes: Any) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, number=number, **changes))

    async def login(self, grant: Grant, *more: str) -> Any:
        return await self.stage.login(grant.username, grant.password, *(more or (FROM_MAC,)))

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


@pytest.fixture
async def site(stage: FreeradiusStage, database: FreeradiusDatabase, tmp_path: Path) -> AsyncIterator[Site]:
    """A box beside the server; its clock stands where the server's is."""
    async with books_of_today(tmp_path) as books:
        presence = Presence()

        async def started(admission: Admission, at: datetime) -> None:
            await books.store.write(lambda tx: tx.grants.update(_running(tx.grants.by_id(admission.grant_id), at)))
            await books.store.write(lambda tx: tx.events.append(_MONEY, "grant.started", admission.grant_id, {}))

        service = FreeradiusService(
            database=database,
            routers=[ServedRouter(name, tenant, ip, 300) for name, (ip, tenant, _) in ROUTERS.items()],
            store=books.store,
            clock=books.clock,
            account=AccountingService(books.store, books.clock, presence).account,
            started=started,
            written=lambda: None,
        )
        yield Site(books, stage, service, presence)


def _running(grant: Grant | None, at: datetime) -> Grant:
    assert grant is not None
    return grant.started(at)


async def test_a_grant_lives_its_whole_life(site: Site) -> None:
    """Bought, let on, begun when the device came on, counted, over."""
    grant = await site.add()
    await site.service.round()
    assert seconds_of(await site.login(grant)) == 3600
    await site.stage.report(session(grant.username, "Start", 'Class = "edge:grant-1"'))
    await site.service.round()
    running = site.now_of(grant)
    assert running.state is GrantState.RUNNING
    assert running.started_at is not None
    assert abs((running.started_at - datetime.now(UTC)).total_seconds()) < 30
    assert site.presence.is_online(grant.username)
    assert 3500 < seconds_of(await site.login(grant)) <= 3601
    stop = ["Acct-Session-Time = 50", "Acct-Input-Octets = 5", "Acct-Input-Gigawords = 1", "Acct-Output-Octets = 7"]
    await site.stage.report(session(grant.username, "Stop", *stop, "Acct-Terminate-Cause = User-Request"))
    await site.service.round()
    await site.service.round()
    assert site.sessions() == [(grant.username, 50, 2**32 + 5, 7, 1, "User-Request", grant.grant_id)]
    assert not site.presence.is_online(grant.username)
    await site.books.store.write(lambda tx: tx.grants.update(site.now_of(grant).ended()))
    await site.books.store.write(lambda tx: tx.events.append(_MONEY, "grant.ended", grant.grant_id, {}))
    await site.service.round()
    assert not (await site.login(grant)).accepted


async def test_a_waiting_grant_is_bounded_while_nobody_looks(site: Site) -> None:
    """With the box down for a day it lets nobody on for longer than was paid."""
    grant = await site.add()
    await site.service.round()
    await site.stage.report(session(grant.username, "Stop", "Acct-Session-Time = 3000"))
    assert seconds_of(await site.login(grant)) == 600
    await site.stage.report(session(grant.username, "Stop", "Acct-Session-Time = 600", number=2))
    assert not (await site.login(grant)).accepted


async def test_data_used_is_taken_off(site: Site) -> None:
    """Over all sessions; when all is used nobody is let on by it."""
    package = replace(HOUR, data_limit=DataVolume(6 * 2**30))
    grant = await site.add(package)
    await site.service.round()
    assert (await site.login(grant)).attributes["Mikrotik-Total-Limit-Gigawords"] == "1"
    used = ["Acct-Input-Gigawords = 1", "Acct-Output-Octets = 1073741824"]
    await site.stage.report(session(grant.username, "Interim-Update", "Acct-Session-Time = 10", *used))
    await site.service.round()
    attributes = (await site.login(grant)).attributes
    assert attributes["Mikrotik-Total-Limit"] == str(2**30)
    assert "Mikrotik-Total-Limit-Gigawords" not in attributes
    await site.stage.report(
        session(grant.username, "Stop", "Acct-Session-Time = 20", *used, "Acct-Input-Octets = 1073741824")
    )
    await site.service.round()
    assert not (await site.login(grant)).accepted


async def test_a_restart_counts_nothing_twice(site: Site) -> None:
    """All is read again from the start: what is in the books stays as it is, what is not comes in."""
    grant = await site.add()
    stop = ["Acct-Session-Time = 50", "Acct-Output-Octets = 7", "Acct-Terminate-Cause = Idle-Timeout"]
    await site.stage.report(session(grant.username, "Stop", *stop))
    await site.service.round()
    before = site.sessions(), site.books.count("events")
    site.books.time.advance(3 * 3600)
    again = replace(site.service, _read=type(site.service._read)())
    await again.round()
    assert (site.sessions(), site.books.count("events")) == before
    await site.stage.report(session(grant.username, "Stop", *stop, number=2))
    await replace(site.service, _read=type(site.service._read)()).round()
    assert len(site.sessions()) == 2
