"""Taking over users that somebody else sold: each once, marked before any round looks, and nothing guessed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.adapters.routeros.legacy_users import read_export
from easyisp_edge.domain.imported_users import (
    ExpiryMode,
    LegacyProfile,
    LegacyScheduler,
    LegacyTables,
    LegacyUser,
    MikhmonTerms,
    Outcome,
)
from easyisp_edge.domain.user_usage import Used
from easyisp_edge.domain.values import MacAddress, Money
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, RefusedError, UnavailableError
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.importing.judge import ImportLine, ImportOrder
from easyisp_edge.services.importing.taking_over import TAKEN_AT_ONCE, ImportService
from easyisp_edge.services.importing.turns import LOOKED_AFTER_SECONDS
from tests.fakes.clocks import START
from tests.unit.desk import FILES, Office, open_office
from tests.unit.shop import add_grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import tzinfo
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.services.importing.turns import RouterTurns

HOUR = timedelta(hours=1)
ORDER = ImportOrder("main", mikhmon=True)
PROFILES = {
    "1H": LegacyProfile("1H", 1, MikhmonTerms(ExpiryMode.REMOVE, HOUR, (Money.shillings(10),), locks=False)),
    "weekend": LegacyProfile(
        "weekend", 3, MikhmonTerms(ExpiryMode.NOTICE, 48 * HOUR, (Money.shillings(50),), locks=False)
    ),
    "default": LegacyProfile("default", 1, None),
}


def a_user(name: str = "kofi", **changes: Any) -> LegacyUser:
    """A voucher of an hour that nobody has used."""
    voucher = LegacyUser(
        name=name,
        password=f"pw-{name}",
        server="all",
        profile="1H",
        mac=None,
        comment="vc-123-11.20.26-",
        ends_at=None,
        limit_seconds=None,
        limit_octets=None,
        used=Used(),
    )
    return replace(voucher, **changes)


@dataclass
class FakeRouter:
    """A router whose users others made; may go away, say no, or be slow."""

    users: list[LegacyUser] = field(default_factory=list)
    schedulers: list[LegacyScheduler] = field(default_factory=list)
    time: datetime | None = START
    profiles: dict[str, LegacyProfile] = field(default_factory=lambda: dict(PROFILES))
    trouble: list[Exception] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)
    slow: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    zones: list[tzinfo | None] = field(default_factory=list)

    async def read(self, zone: tzinfo | None) -> LegacyTables:
        self.zones.append(zone)
        users = [replace(each, ours=self.comments.get(each.name, "").startswith("edge:")) for each in self.users]
        return LegacyTables(tuple(users), self.profiles, tuple(self.schedulers), self.time)

    async def hand_over(self, name: str, comment: str) -> bool:
        self.asked.set()
        if self.slow is not None:
            await self.slow.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        self.comments[name] = comment
        return any(user.name == name for user in self.users)

    async def unmarked(self, names: Collection[str]) -> list[str]:
        return [name for name in names if not self.comments.get(name, "").startswith("edge:")]

    async def disable_scheduler(self, scheduler: LegacyScheduler) -> None:
        self.schedulers = [replace(each, disabled=each.disabled or each == scheduler) for each in self.schedulers]


@dataclass
class Move:
    """A shop that moves over."""

    office: Office
    router: FakeRouter
    service: ImportService
    turns: RouterTurns

    async def lines(self, order: ImportOrder = ORDER) -> dict[str, ImportLine]:
        return {line.user.name: line for line in (await self.service.plan(order)).lines}

    async def reason(self, user: LegacyUser, order: ImportOrder = ORDER) -> str:
        """Why a user is refused."""
        self.router.users.append(user)
        line = (await self.lines(order))[user.name]
        assert line.outcome is Outcome.REFUSED
        return line.reason

    async def apply(self, order: ImportOrder = ORDER, *, disable_schedulers: bool = False) -> list[str]:
        """Take over all that may be; whom."""
        taken: list[str] = []
        while True:
            done = await self.service.take_over(order, "jane", disable_schedulers=disable_schedulers)
            taken += done.taken
            if not done.remaining:
                return taken

    def grant(self, name: str) -> Grant:
        grant = self.office.tables.grants.by_username(name)
        assert grant is not None
        return grant


@contextlib.asynccontextmanager
async def a_move(folder: Path, *users: LegacyUser, packages: str = FILES["packages.toml"]) -> AsyncIterator[Move]:
    """A shop whose router has those users."""
    async with open_office(folder, {"packages.toml": packages}) as office:
        access = AccessService(
            store=office.books.store,
            clock=office.books.clock,
            tenant_of={"main": "default"},
            router_changed={"main": Wake()},
        )
        router = FakeRouter(list(users))
        service = ImportService(access, office.site, office.books.identifiers, read_export)
        yield Move(office, router, service, service.open("main", router))


# --- what becomes of users


async def test_a_user_becomes_a_grant_once(tmp_path: Path) -> None:
    """With its name, password, device and what is left; told with where it came from; a second run does nothing."""
    user = a_user(
        ends_at=START + HOUR, limit_seconds=7200, limit_octets=1000, used=Used(600, 10, 20),
        mac=MacAddress("AA:BB:CC:00:11:22"), comment="2026-11-21 10:00:00",
    )  # fmt: skip
    async with a_move(tmp_path, user) as move:
        assert await move.apply() == ["kofi"]
        grant = move.grant("kofi")
        assert (grant.username, grant.password, str(grant.mac)) == ("kofi", "pw-kofi", "AA:BB:CC:00:11:22")
        assert (grant.funding, grant.state, grant.ends_at) == ("imported", "running", START + HOUR)
        assert (grant.seconds_used, grant.octets_used, grant.payment_id) == (600, 30, None)
        admission = move.office.tables.grants.admission("kofi")
        assert admission is not None
        assert admission.data_left is not None
        assert (admission.seconds_left_at(START), admission.data_left.octets) == (3600, 970)
        assert admission.package.package_id == "1h"
        told = move.office.tables.events.told(grant.grant_id, "grant.made")
        assert told is not None
        assert told["takenOver"] == {
            "router": "main", "name": "kofi", "by": "jane", "source": "mikhmon", "profile": "1H",
            "comment": "2026-11-21 10:00:00",
        }  # fmt: skip
        assert move.router.comments["kofi"].startswith(f"edge:{grant.grant_id} ")
        assert await move.apply() == []
        assert (await move.lines())["kofi"].outcome is Outcome.OURS
        assert move.office.books.count("grants") == 1
        assert "payment.booked" not in move.office.books.events()


async def test_what_a_row_counted_before_is_in_the_books(tmp_path: Path) -> None:
    """As a session of that row, so that nobody takes it for newly used."""
    async with a_move(tmp_path, a_user(ends_at=START + HOUR, used=Used(600, 10, 20))) as move:
        await move.apply()
        since = move.router.comments["kofi"].split(" ")[2]
        assert move.office.tables.sessions.ended_of("main", f"edge:{since}/", "kofi") == (600, 10, 20)


async def test_a_voucher_waits_for_its_first_login(tmp_path: Path) -> None:
    """Nobody knows by which device; it has the validity it was sold with, not its package's."""
    weekend = a_user(profile="weekend")
    async with a_move(tmp_path, weekend) as move:
        line = (await move.lines())["kofi"]
        assert line.package is not None
        assert (line.package.package_id, line.reason) == ("week-end_pass-2026", "Was for 3 devices, is for 1.")
        await move.apply()
        grant = move.grant("kofi")
        assert (grant.state, grant.mac, grant.seconds_left, grant.ends_at) == ("waiting", None, 48 * 3600, None)


async def test_many_are_taken_over_some_at_a_time(tmp_path: Path) -> None:
    """Whoever asks is told how many remain."""
    async with a_move(tmp_path, *(a_user(f"u{number}") for number in range(TAKEN_AT_ONCE + 5))) as move:
        done = await move.service.take_over(ORDER, "jane", disable_schedulers=False)
        assert (len(done.taken), done.remaining) == (TAKEN_AT_ONCE, 5)
        assert len(await move.apply()) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profile": "gone"}, "--map gone=PACKAGE"),
        ({"profile": "default"}, "Nothing says when it ends"),
        ({"name": "x" * 65}, "longer than 64"),
        ({"name": "a\nb"}, "not plain text"),
        ({"password": "a\x00"}, "not plain text"),
        ({"name": " blank"}, "not plain text"),
        ({"fault": "Odd."}, "Odd."),
    ],
)
async def test_refused_with_words(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """What is not certain is not taken over."""
    async with a_move(tmp_path, a_user("right")) as move:
        user = replace(a_user("wrong"), **changes)
        if changes.get("profile") == "gone":
            user = replace(user, ends_at=START + HOUR)
        assert words in await move.reason(user)
        assert await move.apply() == ["right"]


async def test_a_name_stands_for_one_user(tmp_path: Path) -> None:
    """Not for those of several servers, nor for what a grant or a payment is called already."""
    async with a_move(tmp_path, a_user("twin", server="a"), a_user("twin", server="b")) as move:
        assert "several users" in (await move.lines())["twin"].reason
        grant = await move.office.books.store.write(lambda tx: add_grant(tx, number=1))
        assert "has had this name" in await move.reason(a_user(grant.username))
        assert "as receipt" in await move.reason(a_user("receipt001"))


async def test_a_name_that_was_taken_over_and_is_over(tmp_path: Path) -> None:
    """A user made anew by that name would get nothing: it needs another one."""
    async with a_move(tmp_path, a_user()) as move:
        await move.apply()
        ended = move.grant("kofi").ended(START)
        await move.office.books.store.write(lambda tx: tx.grants.update(ended))
        move.router.comments.clear()
        line = (await move.lines())["kofi"]
        assert line.outcome is Outcome.REFUSED
        assert not line.is_due


async def test_the_same_user_on_another_router_is_not_this_one(tmp_path: Path) -> None:
    """With another password it is somebody else's."""
    async with a_move(tmp_path, a_user()) as move:
        await move.apply()
        move.router.comments.clear()
        move.router.users = [a_user(password="another")]
        assert (await move.lines())["kofi"].outcome is Outcome.REFUSED


# --- passwords, clocks


async def test_hidden_passwords_stop_all(tmp_path: Path) -> None:
    """With how to show them; where there really are none that has to be said."""
    async with a_move(tmp_path, a_user(password=None)) as move:
        with pytest.raises(RefusedError, match="sensitive"):
            await move.service.plan(ORDER)
        assert await move.apply(replace(ORDER, empty_passwords=True)) == ["kofi"]
        assert move.grant("kofi").password == ""


async def test_passwords_of_an_export(tmp_path: Path) -> None:
    """Go with what the router says; whoever is not in it is refused."""
    export = "/ip hotspot user\nadd name=kofi password=7731 comment=old limit-uptime=9h\n"
    async with a_move(tmp_path, a_user(password=None), a_user("ama", password=None)) as move:
        order = replace(ORDER, export=export)
        assert "does not have its password" in (await move.lines(order))["ama"].reason
        assert await move.apply(order) == ["kofi"]
        assert (move.grant("kofi").password, move.grant("kofi").seconds_left) == ("7731", 3600)


async def test_an_export_alone(tmp_path: Path) -> None:
    """The router is not asked, and nothing is put on it; ends are by Nairobi's clock unless another one is said."""
    export = '/ip hotspot user\nadd name=kofi password=7731 profile=1H comment="nov/21/2026 10:00:00"\n'
    async with a_move(tmp_path) as move:
        move.router.trouble = [AssertionError("asked")]
        order = replace(ORDER, export=export, offline=True, packages={"1H": "1h"})
        assert await move.apply(order) == ["kofi"]
        assert move.grant("kofi").ends_at == datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
        assert (move.router.zones, move.router.comments) == ([], {})
        assert (await move.lines(order))["kofi"].outcome is Outcome.OURS
        assert await move.apply(order) == []
        # Found on a router later, it is the same.
        move.router.trouble, move.router.users = [], [a_user(password="7731")]
        assert await move.apply() == ["kofi"]
        assert move.router.comments["kofi"].startswith("edge:")


@pytest.mark.parametrize("minutes", [-6, 6, 180])
async def test_a_wrong_clock_is_refused(tmp_path: Path, minutes: int) -> None:
    """Ends that are written by it would be wrong, unless somebody knows better."""
    async with a_move(tmp_path, a_user()) as move:
        move.router.time = START + timedelta(minutes=minutes)
        with pytest.raises(RefusedError, match=f"{abs(minutes)} minutes apart"):
            await move.service.plan(ORDER)
        await move.service.plan(replace(ORDER, ignore_clock=True))
        move.router.time = START + timedelta(minutes=4)
        await move.service.plan(ORDER)


async def test_the_zone_is_the_routers_own_unless_said(tmp_path: Path) -> None:
    """It knows best what its comments are in."""
    zone = timezone(3 * HOUR)
    async with a_move(tmp_path, a_user()) as move:
        await move.service.plan(ORDER)
        await move.service.plan(replace(ORDER, zone=zone))
        assert move.router.zones == [None, zone]


async def test_a_router_out_of_reach(tmp_path: Path) -> None:
    """One that is not configured, or that has no API, has no users to take over."""
    async with a_move(tmp_path) as move:
        with pytest.raises(NotFoundError):
            await move.service.plan(replace(ORDER, router_id="other"))
        move.service.turns.clear()
        with pytest.raises(NotFoundError, match="not reached by the RouterOS API"):
            await move.service.plan(ORDER)


# --- packages

SOLD = """[[package]]
id = "a"
name = "Day"
price = 50
duration = "24h"
speed = "2M/5M"
[[package]]
id = "b"
name = "Day fast"
price = 50
duration = "24h"
speed = "5M/9M"
[[package]]
id = "c"
name = "Day dear"
price = 60
duration = "24h"
speed = "5M/9M"
[[package]]
id = "old"
name = "Old"
price = 70
duration = "24h"
speed = "5M/9M"
active = false
[[package]]
id = "home"
name = "Home"
price = 80
duration = "24h"
speed = "5M/9M"
service = "pppoe"
"""


@pytest.mark.parametrize(
    ("profile", "price", "named", "expected"),
    [
        ("x", 60, {}, "c"),
        ("x", 50, {}, "may be any of a, b: say --map x=PACKAGE"),
        ("x", 50, {"x": "b"}, "b"),
        ("x", 60, {"x": "old"}, "old"),
        ("x", 70, {}, "No package is known"),
        ("x", 80, {}, "No package is known"),
        ("DAY FAST", 60, {}, "b"),
        ("A", 60, {}, "a"),
        ("two words", 99, {}, '--map "two words"=PACKAGE'),
    ],
)
async def test_which_package(tmp_path: Path, profile: str, price: int, named: dict[str, str], expected: str) -> None:
    """As somebody says; else of the same name, else of the same price and validity; never one of several."""
    terms = MikhmonTerms(ExpiryMode.REMOVE, 24 * HOUR, (Money.shillings(price),), locks=False)
    async with a_move(tmp_path, a_user(profile=profile), packages=SOLD) as move:
        move.router.profiles = {profile: LegacyProfile(profile, 1, terms)}
        line = (await move.lines(replace(ORDER, packages=named)))["kofi"]
        if line.package is None:
            assert expected in line.reason
        else:
            assert line.package.package_id == expected


@pytest.mark.parametrize("named", [{"typo": "a"}, {"1H": "typo"}, {"1H": "home"}])
async def test_a_map_that_cannot_be_meant(tmp_path: Path, named: dict[str, str]) -> None:
    """A profile that nobody has, a package that is not there, or not for hotspots."""
    async with a_move(tmp_path, a_user(), packages=SOLD) as move:
        with pytest.raises(InvalidError, match="There are"):
            await move.service.plan(replace(ORDER, packages=named))


# --- schedulers


async def test_schedulers_that_nobody_needs_are_switched_off(tmp_path: Path) -> None:
    """Once all are taken over; one that still has somebody to end stays on."""
    staying = a_user("stays", profile="weekend", used=Used(5), under_way=Used(70))
    async with a_move(tmp_path, a_user(), staying) as move:
        move.router.schedulers = [
            LegacyScheduler("*1", "kofi", disabled=False, user="kofi"),
            LegacyScheduler("*2", "1H", disabled=False, profile="1H"),
            LegacyScheduler("*3", "weekend", disabled=False, profile="weekend"),
            LegacyScheduler("*4", "Mikhmon-Expire-Monitor", disabled=False),
        ]
        needed = {each.name: count for each, count in (await move.service.plan(ORDER)).schedulers}
        assert needed == {"kofi": 0, "1H": 0, "weekend": 1, "Mikhmon-Expire-Monitor": 1}
        await move.apply()
        assert not any(each.disabled for each in move.router.schedulers)
        await move.apply(disable_schedulers=True)
        assert [each.name for each in move.router.schedulers if each.disabled] == ["kofi", "1H"]


async def test_only_mikhmon_has_schedulers(tmp_path: Path) -> None:
    """Where it did not keep the users, one by a user's name is something else."""
    async with a_move(tmp_path, a_user(limit_seconds=3600)) as move:
        move.router.schedulers = [LegacyScheduler("*1", "kofi", disabled=False, user="kofi")]
        assert (await move.service.plan(replace(ORDER, mikhmon=False))).schedulers == []


# --- rounds


async def a_round(move: Move, seen: list[dict[str, str]]) -> None:
    """A round of the router, that sees the comments as they are."""

    async def look() -> None:
        seen.append(dict(move.router.comments))

    await move.turns.rounds(look)()


async def test_no_round_sees_a_grant_without_its_mark(tmp_path: Path) -> None:
    """It would put the device off as a stranger's: it waits until the mark is on."""
    async with a_move(tmp_path, a_user()) as move:
        move.router.slow = asyncio.Event()
        seen: list[dict[str, str]] = []
        async with asyncio.TaskGroup() as tasks:
            applying = tasks.create_task(move.apply())
            await move.router.asked.wait()
            round_ = tasks.create_task(a_round(move, seen))
            await asyncio.sleep(0.01)
            assert seen == []
            assert not applying.done()
            assert move.grant("kofi").funding == "imported"
            move.router.slow.set()
            await round_
        assert seen[0]["kofi"].startswith("edge:")


async def test_a_router_that_went_away_is_handed_over_by_the_next_round(tmp_path: Path) -> None:
    """Before that round looks; until then the grant stands, and a second run would do the same."""
    async with a_move(tmp_path, a_user()) as move:
        gone = UnavailableError("router.unreachable", "gone")
        move.router.trouble = [gone, gone]
        with pytest.raises(UnavailableError):
            await move.apply()
        assert move.grant("kofi").funding == "imported"
        line = (await move.lines())["kofi"]
        assert (line.outcome, line.is_due) == (Outcome.OURS, True)
        seen: list[dict[str, str]] = []
        with pytest.raises(UnavailableError):
            await a_round(move, seen)
        assert seen == []
        await a_round(move, seen)
        assert seen[0]["kofi"].startswith("edge:")


async def test_a_second_run_puts_the_same_mark_on(tmp_path: Path) -> None:
    """Where the daemon died in between: nothing is counted anew by it."""
    async with a_move(tmp_path, a_user()) as move:
        await move.apply()
        mark = move.router.comments.pop("kofi")
        assert await move.apply() == ["kofi"]
        assert move.router.comments["kofi"] == mark
        assert move.office.books.count("grants") == 1


@pytest.mark.parametrize("error", [RefusedError("router.refused", "no"), ConflictError("import.other_grant", "no")])
async def test_a_router_that_says_no_keeps_no_round_from_going_on(tmp_path: Path, error: Exception) -> None:
    """It is told to whoever asked; the others are kept all the same."""
    async with a_move(tmp_path, a_user()) as move:
        move.router.trouble = [UnavailableError("router.unreachable", "gone"), error]
        with pytest.raises(UnavailableError):
            await move.apply()
        seen: list[dict[str, str]] = []
        await a_round(move, seen)
        assert len(seen) == 1


async def test_a_mark_that_is_written_over_is_put_back(tmp_path: Path) -> None:
    """Mikhmon's login script may have been under way; only for as long as one may take."""
    async with a_move(tmp_path, a_user()) as move:
        await move.apply()
        mark, seen = move.router.comments["kofi"], list[dict[str, str]]()
        move.office.books.time.advance(12)
        move.router.comments["kofi"] = "2026-11-21 10:00:00"
        await a_round(move, seen)
        assert seen == [{"kofi": mark}]
        move.office.books.time.advance(LOOKED_AFTER_SECONDS + 1)
        await a_round(move, seen)
        move.router.comments["kofi"] = "somebody's"
        await a_round(move, seen)
        assert seen[-1] == {"kofi": "somebody's"}


async def test_a_user_that_is_gone_by_then_is_made_anew(tmp_path: Path) -> None:
    """The grant stands; rounds make its user."""
    async with a_move(tmp_path, a_user()) as move:
        plan = await move.service.plan(ORDER)
        assert plan.lines[0].is_due
        move.router.slow = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            applying = tasks.create_task(move.apply())
            await move.router.asked.wait()
            move.router.users.clear()
            move.router.slow.set()
            assert await applying == ["kofi"]
        seen: list[dict[str, str]] = []
        await a_round(move, seen)
        assert len(seen) == 1
