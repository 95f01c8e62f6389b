from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.domain.routers import ActiveSession, FoundUser, HotspotHost, UserProfile, WantedUser
from easyisp_edge.domain.values import MacAddress, RateLimit
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError
from tests.fakes.scripted_routeros import DONE, Fault, ScriptedRouter, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

Row = dict[str, str]

MARK = "edge:"
MAC = MacAddress.parse("34:12:F9:8A:21:4C")
OTHER_MAC = MacAddress.parse("02:00:00:00:00:01")
SPEED = UserProfile("edge-2M-5M", RateLimit.parse("2M/5M"), 2)
WANTED = WantedUser("12345", "yes", SPEED.name, MAC, 3600, "edge:v1")

USERS = "/ip/hotspot/user"
PROFILES = "/ip/hotspot/user/profile"
ACTIVE = "/ip/hotspot/active"
HOSTS = "/ip/hotspot/host"
COOKIES = "/ip/hotspot/cookie"
BINDINGS = "/ip/hotspot/ip-binding"


class Tables:
    """A router's menus as rows, with just the rules these tests turn on."""

    def __init__(self) -> None:
        self.menus: dict[str, list[Row]] = {menu: [] for menu in (USERS, PROFILES, ACTIVE, HOSTS, COOKIES, BINDINGS)}
        self.login_trap: str | None = None
        self.before: dict[str, Callable[[], object]] = {}
        self.drop_after: str | None = None
        self._ids = iter(range(1, 1000))

    def put(self, menu: str, **fields: str) -> Row:
        row = {".id": f"*{next(self._ids):X}"} | {name.replace("_", "-"): value for name, value in fields.items()}
        self.menus[menu].append(row)
        return row

    def answer(self, words: list[str]) -> Sequence[Step]:
        menu, _, verb = words[0].rpartition("/")
        if intrusion := self.before.pop(words[0], None):
            intrusion()
        arguments = _pairs(words, "=")
        steps = getattr(self, f"_{verb}")(menu, arguments, _pairs(words, "?"))
        if self.drop_after == words[0]:
            self.drop_after = None
            return [Fault.DROP]
        return list(steps)

    def _print(self, menu: str, arguments: Row, queries: Row) -> Sequence[Step]:
        wanted = arguments[".proplist"].split(",")
        rows = [row for row in self.menus[menu] if queries.items() <= row.items()]
        words = [[f"={name}={row[name]}" for name in wanted if name in row] for row in rows]
        return [*(("!re", *fields) for fields in words), *DONE] if rows else [("!empty",), *DONE]

    def _add(self, menu: str, arguments: Row, queries: Row) -> Sequence[Step]:
        key = (arguments["name"], arguments.get("server"))
        if any((row["name"], row.get("server")) == key for row in self.menus[menu]):
            return _trap("failure: already have user with this name for this server")
        row = self.put(menu, **arguments)
        return [("!done", f"=ret={row['.id']}")]

    def _set(self, menu: str, arguments: Row, queries: Row) -> Sequence[Step]:
        for row in self.menus[menu]:
            if row[".id"] == arguments[".id"]:
                row.update(arguments)
                return DONE
        return _trap("no such item")

    def _remove(self, menu: str, arguments: Row, queries: Row) -> Sequence[Step]:
        kept = [row for row in self.menus[menu] if row[".id"] != arguments[".id"]]
        if len(kept) == len(self.menus[menu]):
            return _trap("failure: no such item")
        self.menus[menu] = kept
        return DONE

    def _login(self, menu: str, arguments: Row, queries: Row) -> Sequence[Step]:
        if self.login_trap is not None:
            return _trap(self.login_trap)
        self.put(ACTIVE, user=arguments["user"], mac_address=arguments["mac-address"], address=arguments["ip"])
        return DONE


def _trap(message: str) -> Sequence[Step]:
    return [("!trap", f"=message={message}"), *DONE]


def _pairs(words: list[str], marker: str) -> Row:
    return {name: value for name, _, value in (word[1:].partition("=") for word in words if word[0] == marker)}


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
async def router(tables: Tables) -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter(tables.answer) as router:
        yield router


@pytest.fixture
async def hotspot(router: ScriptedRouter) -> AsyncIterator[MikrotikHotspot]:
    connect = functools.partial(dial, "127.0.0.1", router.port, username="edge", password="s3cret")
    link = RouterLink("test", connect, deadline_seconds=5)
    yield MikrotikHotspot(link, hotspot_server="hotspot1", mark=MARK)
    await link.close()


def found_of(row: Row, *, uptime_seconds: int = 0) -> FoundUser:
    comment = row.get("comment", "")
    return FoundUser(row[".id"], row["name"], "default", uptime_seconds, 0, disabled=False, comment=comment)


async def test_all_tables_are_read_into_values(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """One round reads our profiles and users and every session and host, whatever their values look like."""
    tables.put(PROFILES, name="edge-2M-5M", rate_limit="2M/5M", shared_users="2")
    tables.put(
        USERS,
        name="12345",
        profile="edge-2M-5M",
        uptime="1h2m",
        limit_uptime="1d",
        disabled="true",
        comment="edge:v1",
    )
    tables.put(ACTIVE, user="12345", mac_address=str(MAC), address="10.5.50.10", radius="false", uptime="12m4s")
    tables.put(ACTIVE, user="yes", address="10.5.50.11", radius="true", uptime="00:00:05")
    tables.put(HOSTS, mac_address=str(MAC), address="10.5.50.10", authorized="true", bypassed="false")
    state = await hotspot.observe()
    assert state.profiles == {"edge-2M-5M": SPEED}
    assert state.users == {
        "12345": FoundUser("*2", "12345", "edge-2M-5M", 3720, 86400, disabled=True, comment="edge:v1")
    }
    assert state.active == (
        ActiveSession("*3", "12345", MAC, "10.5.50.10", by_radius=False, uptime_seconds=724),
        ActiveSession("*4", "yes", None, "10.5.50.11", by_radius=True, uptime_seconds=5),
    )
    assert state.hosts == (HotspotHost(MAC, "10.5.50.10", authorized=True, bypassed=False),)


async def test_a_round_is_four_prints_with_field_lists(router: ScriptedRouter, hotspot: MikrotikHotspot) -> None:
    """However many customers there are, a round is four commands, each asking only for what it needs."""
    await hotspot.observe()
    assert [words[0] for words in router.received] == [f"{menu}/print" for menu in (PROFILES, USERS, ACTIVE, HOSTS)]
    assert all(words[1].startswith("=.proplist=") and len(words) == 2 for words in router.received)


async def test_what_is_not_ours_is_not_seen(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Users without our mark and profiles without our prefix are none of our business, readable or not."""
    tables.put(USERS, name="owner", uptime="what?", comment="my own")
    tables.put(USERS, name="guest", uptime="0s")
    tables.put(USERS, name="trick", uptime="0s", comment="not edge:v1")
    tables.put(PROFILES, name="default", shared_users="unlimited")
    state = await hotspot.observe()
    assert (state.profiles, state.users) == ({}, {})


@pytest.mark.parametrize(
    "fields",
    [
        {"shared_users": "2"},
        {"rate_limit": "2M/5M 4M/8M", "shared_users": "2"},
        {"rate_limit": "2M/5M", "shared_users": "unlimited"},
    ],
)
async def test_a_profile_somebody_changed_is_set_anew(
    fields: dict[str, str], tables: Tables, hotspot: MikrotikHotspot
) -> None:
    """A profile of ours with other values does not read as the one wanted; putting it sets the row that stands."""
    tables.put(PROFILES, name=SPEED.name, **fields)
    assert (await hotspot.observe()).profiles.get(SPEED.name) != SPEED
    await hotspot.put_profile(SPEED)
    assert (await hotspot.observe()).profiles == {SPEED.name: SPEED}
    assert len(tables.menus[PROFILES]) == 1


async def test_an_answer_that_cannot_be_read_is_unavailable(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """A value in no known form ends the round, to be tried again, and nothing else."""
    tables.put(USERS, name="u", uptime="soon", comment="edge:v1")
    with pytest.raises(UnavailableError) as unavailable:
        await hotspot.observe()
    assert unavailable.value.code == "router.unreadable"


async def test_a_profile_is_made_then_set(tables: Tables, router: ScriptedRouter, hotspot: MikrotikHotspot) -> None:
    """Putting a profile twice leaves one, with the later values; upload is written first, as the router has it."""
    await hotspot.put_profile(replace(SPEED, shared_users=1))
    await hotspot.put_profile(SPEED)
    assert tables.menus[PROFILES] == [{".id": "*1", "name": SPEED.name, "rate-limit": "2M/5M", "shared-users": "2"}]
    assert not [words for words in router.received if words[0].endswith("/remove")]


async def test_a_profile_made_meanwhile_is_set(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """When the name turns up between our look and our add, the row that stands is set."""
    tables.before[f"{PROFILES}/add"] = lambda: tables.put(PROFILES, name=SPEED.name)
    await hotspot.put_profile(SPEED)
    assert (await hotspot.observe()).profiles == {SPEED.name: SPEED}


async def test_a_profile_without_our_prefix_is_never_written(router: ScriptedRouter, hotspot: MikrotikHotspot) -> None:
    """A profile whose name does not say it is ours is refused before anything is sent."""
    with pytest.raises(InvalidError):
        await hotspot.put_profile(replace(SPEED, name="default"))
    assert router.received == []


async def test_a_new_user_is_written_whole(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """A user carries name, password, profile, server, device, limit and mark, as plain text."""
    await hotspot.put_user(WANTED, None)
    assert tables.menus[USERS] == [
        {
            ".id": "*1",
            "name": "12345",
            "password": "yes",
            "profile": SPEED.name,
            "server": "hotspot1",
            "mac-address": str(MAC),
            "limit-uptime": "1h",
            "limit-bytes-total": "0",
            "comment": "edge:v1",
            "disabled": "no",
        }
    ]


async def test_a_found_user_keeps_its_row_and_counters(
    tables: Tables, router: ScriptedRouter, hotspot: MikrotikHotspot
) -> None:
    """Setting a user never removes it; its limit is the time used and the time left together."""
    row = tables.put(USERS, name="12345", server="hotspot1", comment="edge:v0", uptime="2h", disabled="true")
    await hotspot.put_user(replace(WANTED, mac=None), found_of(row, uptime_seconds=7200))
    assert [words[0] for words in router.received] == [f"{USERS}/set"]
    assert (row["uptime"], row["limit-uptime"], row["comment"]) == ("2h", "3h", "edge:v1")
    assert (row["disabled"], row["mac-address"]) == ("no", "00:00:00:00:00:00")


@pytest.mark.parametrize("left", [0, -5])
async def test_no_time_left_is_never_no_limit(left: int, tables: Tables, hotspot: MikrotikHotspot) -> None:
    """The router takes a limit of 0 for none; a user without time left gets one second."""
    await hotspot.put_user(replace(WANTED, uptime_left_seconds=left), None)
    assert tables.menus[USERS][0]["limit-uptime"] == "1s"


@pytest.mark.parametrize(
    ("left", "counted", "limit"),
    [(None, 500, "0"), (0, 0, "1"), (-5, 0, "1"), (70, 30, "100"), (2**62, 2**62, str(2**63)), (2**63, 2**64, "max")],
)
async def test_a_data_limit_is_what_was_counted_and_what_is_left(
    left: int | None, counted: int, limit: str, tables: Tables, hotspot: MikrotikHotspot
) -> None:
    """In both directions together, in 64 bits; the router takes 0 for none, so it stands only for none."""
    row = tables.put(USERS, name="12345", server="hotspot1", comment="edge:v1", limit_bytes_total="7")
    found = replace(found_of(row), octets_in=counted // 3, octets_out=counted - counted // 3)
    await hotspot.put_user(replace(WANTED, octets_left=left), found)
    assert row["limit-bytes-total"] == (str(2**64 - 1) if limit == "max" else limit)


async def test_counters_and_limits_are_read_back(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Of a user its ended sessions and its limit, of a session what it used so far; what is not set is nothing."""
    counts = {"bytes_in": str(2**33), "bytes_out": str(2**63)}
    tables.put(USERS, name="12345", comment="edge:grant-1 abc 69a0", limit_bytes_total=str(2**64 - 1), **counts)
    tables.put(USERS, name="6789", comment="edge:grant-2 abc")
    tables.put(ACTIVE, user="12345", address="10.5.50.10", radius="false", uptime="12m", **counts)
    state = await hotspot.observe()
    user, other, (session,) = state.users["12345"], state.users["6789"], state.active
    assert (user.octets_in, user.octets_out, user.limit_octets, user.since) == (2**33, 2**63, 2**64 - 1, "69a0")
    assert (other.octets_in, other.octets_out, other.limit_octets, other.since) == (0, 0, 0, "")
    assert (session.octets_in, session.octets_out) == (2**33, 2**63)


@pytest.mark.parametrize("count", ["-1", "1.5", "10M", "", "9" * 30])
async def test_a_count_that_cannot_be_read_is_unavailable(count: str, tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Nothing is accounted for by a guess."""
    tables.put(USERS, name="12345", comment="edge:v1", bytes_in=count)
    with pytest.raises(UnavailableError, match="no count of bytes"):
        await hotspot.observe()


async def test_an_add_whose_answer_was_lost_is_found_again(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """A retry after a lost answer sets the user the first try made; there is one, with its time counted."""
    tables.drop_after = f"{USERS}/add"
    with pytest.raises(UnavailableError):
        await hotspot.put_user(WANTED, None)
    tables.menus[USERS][0]["uptime"] = "10m"
    await hotspot.put_user(replace(WANTED, comment="edge:v2"), None)
    (user,) = tables.menus[USERS]
    assert (user["comment"], user["limit-uptime"]) == ("edge:v2", "1h10m")


@pytest.mark.parametrize("comment", [{}, {"comment": "my own"}])
async def test_a_user_that_is_not_ours_is_never_touched(
    comment: dict[str, str], tables: Tables, hotspot: MikrotikHotspot
) -> None:
    """When the name is taken by a user without our mark, that user stays letter for letter and we are refused."""
    row = tables.put(USERS, name="12345", server="hotspot1", password="own", **comment)
    before = dict(row)
    with pytest.raises(RefusedError) as refused:
        await hotspot.put_user(WANTED, None)
    assert refused.value.code == "router.user_not_ours"
    assert tables.menus[USERS] == [before]


async def test_the_same_name_on_another_server_is_another_user(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Of two users with our name, the one on our server counts: ours is set, the owner's elsewhere stays."""
    theirs = dict(tables.put(USERS, name="12345", server="hotspot2", comment="my own"))
    tables.put(USERS, name="12345", server="hotspot1", comment="edge:v0", uptime="0s")
    await hotspot.put_user(WANTED, None)
    assert tables.menus[USERS][0] == theirs
    assert tables.menus[USERS][1]["comment"] == "edge:v1"


async def test_a_found_user_that_went_is_made_again(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """A user removed on the router since we looked is made anew, with the time left only."""
    gone = FoundUser("*FF", "12345", "default", 7200, 7300, disabled=False, comment="edge:v0")
    await hotspot.put_user(WANTED, gone)
    assert tables.menus[USERS][0]["limit-uptime"] == "1h"


async def test_a_user_that_comes_and_goes_is_left_to_the_next_round(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Taken when we add and gone when we look: try again later."""
    tables.put(USERS, name="12345", server="hotspot1")
    tables.before[f"{USERS}/print"] = tables.menus[USERS].clear
    with pytest.raises(UnavailableError) as unavailable:
        await hotspot.put_user(WANTED, None)
    assert unavailable.value.code == "router.changing"


async def test_what_has_no_mark_is_never_set_or_removed(
    tables: Tables, router: ScriptedRouter, hotspot: MikrotikHotspot
) -> None:
    """Handed a user without our mark, wanted or found, nothing is sent at all."""
    row = tables.put(USERS, name="12345", comment="my own")
    with pytest.raises(InvalidError):
        await hotspot.put_user(replace(WANTED, comment=""), None)
    with pytest.raises(InvalidError):
        await hotspot.put_user(WANTED, found_of(row))
    with pytest.raises(InvalidError):
        await hotspot.remove_user(found_of(row))
    assert router.received == []


async def test_an_empty_mark_is_refused() -> None:
    """Without a mark every user would be ours; such a hotspot cannot be made."""

    async def never() -> NoReturn:
        raise AssertionError

    with pytest.raises(InvalidError):
        MikrotikHotspot(RouterLink("test", never), hotspot_server="all", mark="")


async def test_a_user_goes_with_its_cookies(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Removing a user takes its cookies, which would let it in again, and no one else's."""
    row = tables.put(USERS, name="12345", comment="edge:v1")
    tables.put(COOKIES, user="12345", mac_address=str(MAC))
    tables.put(COOKIES, user="12345", mac_address=str(OTHER_MAC))
    theirs = tables.put(COOKIES, user="owner")
    await hotspot.remove_user(found_of(row))
    assert tables.menus[USERS] == []
    assert tables.menus[COOKIES] == [theirs]


async def test_what_is_gone_already_is_removed(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Two clean-ups at once harm nobody: gone is what was wanted, and the cookies still go."""
    tables.put(COOKIES, user="12345")
    await hotspot.remove_user(FoundUser("*FF", "12345", "default", 0, 0, disabled=False, comment="edge:v1"))
    await hotspot.logout("*FF")
    assert tables.menus[COOKIES] == []


async def test_a_device_is_logged_in_and_out(tables: Tables, router: ScriptedRouter, hotspot: MikrotikHotspot) -> None:
    """A login names user, password, address and device; a logout ends that session."""
    await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    assert router.received == [
        [f"{ACTIVE}/login", "=user=12345", "=password=yes", "=ip=10.5.50.10", f"=mac-address={MAC}"]
    ]
    (session,) = (await hotspot.observe()).active
    await hotspot.logout(session.item_id)
    assert tables.menus[ACTIVE] == []


async def test_an_empty_password_is_left_out(router: ScriptedRouter, hotspot: MikrotikHotspot) -> None:
    """The router does not take empty arguments to a login; they are not sent."""
    await hotspot.login(username="12345", password="", mac=MAC, address="10.5.50.10")
    assert router.received[0] == [
        f"{ACTIVE}/login", "=user=12345", "=ip=10.5.50.10", f"=mac-address={MAC}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("trap", "code"),
    [
        ("failure: unknown host IP 10.5.50.10", "router.device_unseen"),
        ("unknown host IP 10.5.50.10", "router.device_unseen"),
        ("already authorizing, retry later", "router.device_authorizing"),
        ("RADIUS server is not responding", "router.radius_silent"),
    ],
)
async def test_a_login_that_may_work_later_is_a_conflict(
    trap: str, code: str, tables: Tables, hotspot: MikrotikHotspot
) -> None:
    """A device not seen, a login under way, a silent RADIUS server: nothing happened, try again."""
    tables.login_trap = trap
    with pytest.raises(ConflictError) as conflict:
        await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    assert conflict.value.code == code


@pytest.mark.parametrize(
    ("trap", "code"),
    [
        ("invalid username or password", "router.unknown_user"),
        ("wrong MAC provided", "router.refused"),
        ("user 12345 has reached uptime limit", "router.time_up"),
        ("user 12345 has reached traffic limit", "router.data_up"),
        ("failure: no more sessions are allowed for user 12345", "router.devices_full"),
        ("user 12345 is not allowed to log in from this MAC address", "router.other_device"),
        ("invalid username (34:12:F9:8A:21:4D): this MAC address is not yours", "router.other_device"),
        ("session limit reached (200)", "router.licence_full"),
        ("Your time is up, asante", "router.refused"),
    ],
)
async def test_a_login_refused_says_why(trap: str, code: str, tables: Tables, hotspot: MikrotikHotspot) -> None:
    """The router's no comes with the router's words, a RADIUS server's message among them, and what it means."""
    tables.login_trap = trap
    with pytest.raises(RefusedError) as refused:
        await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    assert (refused.value.code, refused.value.message) == (code, trap)


async def test_a_device_that_is_in_already_is_fine(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """A refusal for a device that is logged in as that user is what was wanted; as another user it is not."""
    tables.login_trap = "no more sessions are allowed for user 12345"
    tables.put(ACTIVE, user="12345", mac_address=str(MAC))
    await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    with pytest.raises(RefusedError):
        await hotspot.login(username="12345", password="yes", mac=OTHER_MAC, address="10.5.50.11")
    with pytest.raises(RefusedError):
        await hotspot.login(username="777", password="yes", mac=MAC, address="10.5.50.10")


async def test_a_login_whose_answer_was_lost_can_be_repeated(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """The device got in and nobody heard: the second try is fine and there is one session."""
    tables.drop_after = f"{ACTIVE}/login"
    with pytest.raises(UnavailableError):
        await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    tables.login_trap = "no more sessions are allowed for user 12345"
    await hotspot.login(username="12345", password="yes", mac=MAC, address="10.5.50.10")
    assert len((await hotspot.observe()).active) == 1


async def test_some_users_are_asked_for_by_name(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Ours of those names; who is not there, or not ours, is left out."""
    for name, comment in (("ONE", "edge:v1"), ("TWO", "edge:v1"), ("owner", "by hand")):
        tables.put(USERS, name=name, comment=comment, uptime="5m")
    found = await hotspot.users_named(["ONE", "owner", "nobody"])
    assert {name: user.uptime_seconds for name, user in found.items()} == {"ONE": 300}


async def test_some_sessions_are_asked_for_by_user_and_device(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """One that is found both ways is one."""
    tables.put(ACTIVE, user="ONE", mac_address=str(MAC), idle_time="7s")
    tables.put(ACTIVE, user="TWO", mac_address=str(OTHER_MAC))
    found = await hotspot.sessions_by(users=["ONE", "nobody"], macs=[MAC])
    assert [(session.user, session.idle_seconds) for session in found] == [("ONE", 7)]
    assert [session.user for session in await hotspot.sessions_by(macs=[OTHER_MAC])] == ["TWO"]


async def test_some_hosts_are_asked_for_by_device(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """With how long they were not heard."""
    tables.put(HOSTS, mac_address=str(MAC), address="10.5.50.10", idle_time="1m2s")
    tables.put(HOSTS, mac_address=str(OTHER_MAC), address="10.5.50.11")
    found = await hotspot.hosts_of([MAC])
    assert [(host.address, host.idle_seconds) for host in found] == [("10.5.50.10", 62)]


async def test_a_device_is_forgotten_as_one_user(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Its other cookies stay, and those of the user's other devices."""
    for user, mac in (("ONE", MAC), ("ONE", OTHER_MAC), ("owner", MAC)):
        tables.put(COOKIES, user=user, mac_address=str(mac))
    await hotspot.forget_device("ONE", MAC)
    left = [(cookie.user, cookie.mac) for cookie in await hotspot.cookies()]
    assert left == [("ONE", OTHER_MAC), ("owner", MAC)]


async def test_a_cookie_gone_already_is_fine(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Cookies run out by themselves."""
    row = tables.put(COOKIES, user="ONE", mac_address=str(MAC))
    await hotspot.remove_cookie(row[".id"])
    await hotspot.remove_cookie(row[".id"])
    assert await hotspot.cookies() == ()


async def test_only_bindings_with_our_mark_are_ours(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """Whatever stands in the others, and where nothing does."""
    tables.put(BINDINGS, comment="television")
    ours = tables.put(BINDINGS, comment="edge:grant-1")
    tables.put(BINDINGS, mac_address=str(MAC))
    assert await hotspot.our_bindings() == (ours[".id"],)
    await hotspot.remove_binding(ours[".id"])
    await hotspot.remove_binding(ours[".id"])
    assert len(tables.menus[BINDINGS]) == 2


async def test_thousands_of_users_hold_nobody_up(tables: Tables, hotspot: MikrotikHotspot) -> None:
    """While they are read others are served, again and again."""
    for number in range(1000):
        tables.menus[USERS].append({".id": f"*{number:X}", "name": f"U{number}", "comment": "edge:v1"})
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    serving = asyncio.create_task(others())
    assert len((await hotspot.observe()).users) == 1000
    serving.cancel()
    assert turns > 10
