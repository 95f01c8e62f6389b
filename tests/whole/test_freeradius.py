"""FreeRADIUS itself, with the configuration and the users that are written for it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import re
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.adapters.freeradius.configuration import REFUSALS
from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.freeradius.rows import checked
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import DataVolume, RateLimit
from easyisp_edge.errors import UnavailableError
from easyisp_edge.portal_files import portal_folder
from easyisp_edge.web.texts import Texts
from tests.fakes.freeradius_stage import (
    ANNEXE,
    COAST,
    DATABASES,
    FROM_MAC,
    FROM_OTHER,
    MAIN,
    OTHER_TENANT,
    POOL,
    REJECTS,
    STRICT,
    FreeradiusStage,
    check_configuration,
    credentials,
    emptied,
    freeradius,
    freeradius_on,
    seconds_of,
    session,
    stage_configuration,
)
from tests.unit.adapters.test_freeradius_rows import RUNNING
from tests.unit.shop import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase
    from easyisp_edge.domain.login_database import WantedLogin

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

SIGNED, SAID = "Message-Authenticator", "Reply-Message"


@pytest.fixture(scope="module", params=DATABASES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeradiusStage]:
    """A running server for each kind of database; every test brings users of its own."""
    with freeradius_on(request.param, tmp_path_factory.mktemp("freeradius")) as stage:
        yield stage


@pytest.fixture
async def database(stage: FreeradiusStage) -> AsyncIterator[FreeradiusDatabase]:
    """The server's database, with no user of ours and no session in it."""
    async with emptied(stage) as database:
        yield database


def a_login(number: int, **changes: Any) -> WantedLogin:
    """A running login that ends in an hour."""
    login = RUNNING._replace(
        username=f"USER{number:06}",
        password=f"PASSWORD{number:06}",
        grant_id=f"grant-{number}",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    return login._replace(**changes)


def said(refusal: str) -> str:
    """What the stage's server tells a customer, as it arrives."""
    return REJECTS[refusal].replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


async def write(database: FreeradiusDatabase, *logins: WantedLogin) -> None:
    await database.keep({login.username: login for login in logins}, whole=True)


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
    assert {name for answer in answers for name in answer.attributes} == {SIGNED, SAID}
    assert [answer.attributes[SAID] for answer in answers] == [
        said(refusal)
        for refusal in ("wrong_password", "other_device", "other_place", "other_place", "time_up", "unknown_user")
    ]
    assert (await stage.ask(f"{third}, Framed-Protocol = PPP"))[0].accepted


@pytest.mark.parametrize(
    "username",
    ["NO'BODY", "' OR 1=1 --", "%{sql:SELECT value FROM radcheck}", "`id`", "USER000001' --", "a\\\\", "ñ", "$1 ${x}"],
)
async def test_whatever_name_is_asked_for_means_nothing(
    stage: FreeradiusStage, database: FreeradiusDatabase, username: str
) -> None:
    """It is nobody's, and is told so: neither the database nor the server reads it as more than a name."""
    await write(database, a_login(1))
    station = "Calling-Station-Id = \"' OR '1'='1\""
    for more in (FROM_MAC, station):
        answer = (await stage.ask(f'User-Name = "{username}", User-Password = "x", {more}'))[0]
        assert (answer.code, answer.attributes[SAID]) == ("Access-Reject", said("unknown_user"))


async def test_a_device_address_means_nothing_but_itself(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """In the query that finds out why somebody is not let on."""
    await write(database, a_login(1))
    station = "Calling-Station-Id = \"AA:BB:CC:00:00:01' OR '1'='1\""
    answer = await stage.login("USER000001", "PASSWORD000001", station)
    assert (answer.code, answer.attributes[SAID]) == ("Access-Reject", said("other_device"))


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
@pytest.mark.parametrize("language", ["en", "sw"])
async def test_customers_read_the_portals_words(
    stage: FreeradiusStage, database: FreeradiusDatabase, tmp_path: Path, language: str
) -> None:
    """In the language of the site, to the letter."""
    texts = Texts.load(portal_folder() / "translations")
    messages = {refusal: texts.get(language, f"rejects.{refusal}") for refusal in REFUSALS}
    await write(database, a_login(1))
    with freeradius(tmp_path, stage.address, messages=messages) as spoken:
        for password, more, refusal in (
            ("WRONG", FROM_MAC, "wrong_password"),
            ("PASSWORD000001", FROM_OTHER, "other_device"),
        ):
            answer = await spoken.login("USER000001", password, more)
            assert answer.attributes[SAID] == messages[refusal]


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
    assert answer.attributes[SAID] == said("time_up")


async def test_data_is_counted(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """Over all sessions, beyond 32 bits; when all is used the customer is told, even before this box knows."""
    limit = DataVolume(6 * 2**30)
    await write(database, a_login(1, data_limit=limit, data_left=limit))
    used = ["Acct-Session-Time = 10", "Acct-Input-Gigawords = 1", "Acct-Output-Octets = 1073741824"]
    await stage.report(session("USER000001", "Stop", *used))
    assert (await stage.login("USER000001", "PASSWORD000001", FROM_MAC)).accepted
    short = ["Acct-Session-Time = 10", "Acct-Input-Octets = 1073741823"]
    await stage.report(session("USER000001", "Interim-Update", *short, number=2))
    assert (await stage.login("USER000001", "PASSWORD000001", FROM_MAC)).accepted
    await stage.report(session("USER000001", "Stop", *short, "Acct-Output-Octets = 1", number=2))
    answer = await stage.login("USER000001", "PASSWORD000001", FROM_MAC)
    assert (answer.code, answer.attributes[SAID]) == ("Access-Reject", said("data_up"))


async def test_a_burst_is_told_whole(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """With threshold, seconds, priority and least speed, in the router's own grammar, however long."""
    rates = ["2M/5M 4M/10M 1500k/4M 10/10 8 512k/1M", "111111k/222222k 333333k/444444k 111111k/222222k 100/200 1 1k/2k"]
    limits = [RateLimit.parse(rate) for rate in rates]
    await write(database, *(a_login(number, rate_limit=limit) for number, limit in enumerate(limits)))
    for number, limit in enumerate(limits):
        answer = await stage.login(f"USER{number:06}", f"PASSWORD{number:06}", FROM_MAC)
        assert RateLimit.parse(answer.attributes["Mikrotik-Rate-Limit"]) == limit


async def test_pppoe_is_told_its_pool(stage: FreeradiusStage, database: FreeradiusDatabase) -> None:
    """That of the router that asks, where it has one; a hotspot is told nothing of it."""
    await write(database, a_login(1, service=Service.PPPOE), a_login(2))
    request = ", ".join([*credentials("USER000001", "PASSWORD000001"), FROM_MAC, "Framed-Protocol = PPP"])
    pooled, bare = await asyncio.gather(*(stage.ask(request, router=router) for router in (ANNEXE, MAIN)))
    told = ("Service-Type", "Framed-Protocol", "Framed-Pool")
    assert [pooled[0].attributes.get(name) for name in told] == ["Framed-User", "PPP", POOL]
    assert [bare[0].attributes.get(name) for name in told] == ["Framed-User", "PPP", None]
    hotspot = await stage.login("USER000002", "PASSWORD000002", FROM_MAC, router=ANNEXE)
    assert [hotspot.attributes.get(name) for name in told] == [None, None, None]


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
    assert [answer.attributes.get(SAID) for answer in (answers[0], answers[2])] == [said("devices_full")] * 2
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
