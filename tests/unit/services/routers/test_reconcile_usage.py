"""What a router in hotspot-user mode counted is in the books once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.values import DataVolume, MacAddress
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.accounting import INTERIMS_MISSED_MAX
from easyisp_edge.services.routers.hotspot_usage import DOUBT_SECONDS
from tests.fakes.router import FakeRouter
from tests.unit.services.spot import ONE, TWO, Spot
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from easyisp_edge.domain.logins import UsageReport

MONTH = replace(
    HOUR,
    duration=timedelta(days=30),
    data_limit=DataVolume(10**12),
    online_time=timedelta(days=29),
    devices_max=2,
)
DEVICES = (MAC, OTHER_MAC)
ROUND_SECONDS = 30
BOOT_SECONDS = 41


@pytest.fixture
async def spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """A device on by a package for two of them with data and time to count."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        await spot.add(MONTH)
        await spot.round()
        yield spot


def session_rows(spot: Spot) -> list[tuple[str, int, int, str]]:
    """Name, seconds, octets and cause of the sessions in the books."""
    rows = spot.books.store._database.reading.execute(
        "SELECT acct_session_id, seconds, octets_in + octets_out, cause FROM sessions ORDER BY session_id"
    )
    return [tuple(row) for row in rows]


async def test_a_session_is_counted_while_it_runs_and_to_its_end(spot: Spot) -> None:
    """As at each look, and what came after the last one at its end; in the books it is one session."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    assert spot.used() == (60, 300)
    await spot.pass_time(40, octets=50)
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (100, 450)
    (ended, begun) = session_rows(spot)[0], session_rows(spot)[1:]
    assert ended[1:] == (100, 450, "Gone")
    assert begun == []  # it was let on again in that round, and is seen at the next look
    assert spot.presence.is_online(ONE)


async def test_sessions_nobody_saw_are_counted(spot: Spot) -> None:
    """Begun and ended between two looks, with missed rounds or not: as one of their own."""
    spot.router.end_session(ONE)
    for _ in range(3):
        spot.router.add_session(ONE, MAC)
        await spot.pass_time(10, octets=7)
        spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (30, 63)
    assert [row[1:] for row in session_rows(spot)] == [(30, 63, "Gone")]


async def test_two_devices_are_counted_together(spot: Spot) -> None:
    """Each as a session of its own, their ends too; time online is the sum."""
    spot.router.add_session(ONE, OTHER_MAC)
    await spot.pass_time(60, octets=100)
    await spot.round()
    assert spot.used() == (120, 600)
    await spot.pass_time(10, octets=1)
    spot.router.end_session(ONE, OTHER_MAC)
    await spot.pass_time(10, octets=1)
    await spot.round()
    assert spot.used() == (150, 609)
    assert len(session_rows(spot)) == 2


async def test_nothing_is_written_for_who_is_not_on(spot: Spot) -> None:
    """Rounds over users with counters that stand still leave not even box time behind; the first after a start too."""
    await spot.pass_time(60, octets=100)
    spot.router.end_session(ONE)
    spot.router.hosts.clear()
    await spot.round()
    before = spot.books.store.read.clock.last()
    spot.books.time.advance(60)
    spot.start_box()
    for _ in range(3):
        await spot.round()
    assert spot.books.store.read.clock.last() == before
    assert spot.used() == (60, 300)


async def test_a_crowd_shares_commits(spot: Spot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of sessions that went on cost a few commits a round."""
    commits, write = [], spot.books.store._database.write

    async def counting(work: object) -> None:
        commits.append(work)
        await write(work)  # type: ignore[arg-type]

    monkeypatch.setattr(spot.books.store._database, "write", counting)
    users = [f"USER{number:06}" for number in range(2, 302)]
    for number, user in enumerate(users, start=2):
        await spot.add(HOUR, number=number, mac=None)
        spot.router.add_user(user, comment=f"edge:grant-{number} x 69a0")
        spot.router.add_session(user, MacAddress.parse(f"{number:012X}"))
    before = len(commits)
    for user in users:
        spot.router.run_session(user, 30, 10)
    spot.books.time.advance(30)
    await spot.reconciler.usage.note(await spot.router.observe())
    assert len(commits) - before <= 6
    assert spot.used(2) == (30, 30)
    assert spot.used(301) == (30, 30)


async def test_a_reboot_costs_what_was_not_seen(spot: Spot) -> None:
    """The router never adds up what ran when its power went; what was seen stays counted, and what follows counts."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    await spot.pass_time(20, octets=9)
    spot.router.reboot()
    await spot.round()
    assert spot.used() == (60, 300)
    spot.books.time.advance(DOUBT_SECONDS)
    await spot.round()
    spot.router.add_session(ONE, MAC)
    for octets in (10, 20):
        await spot.pass_time(30, octets=octets)
        await spot.round()
    await spot.pass_time(15, octets=5)
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (135, 405)


async def test_a_session_that_ends_between_two_readings_is_counted_once(spot: Spot) -> None:
    """Not in its user's row yet, not active any more: the row is waited for, and no limit is set by what it lacks."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    (session,) = spot.router.sessions_of(ONE)
    del spot.router.active[session.item_id]
    spot.router.hosts.clear()
    assert await spot.round() == []
    assert spot.used() == (60, 300)
    spot.router.active[session.item_id] = replace(session, uptime_seconds=63, octets_in=104)
    spot.router.end_session(ONE)
    assert await spot.round() == []
    assert spot.used() == (63, 304)


async def test_counters_set_back_by_hand_change_nothing(spot: Spot) -> None:
    """What was used stays used, what follows counts, and the user gets what is left by the books."""
    await spot.pass_time(3600, octets=10**11)
    spot.router.end_session(ONE)
    spot.router.hosts.clear()
    await spot.round()
    spot.router.reset_counters(ONE)
    assert await spot.round() == []
    spot.books.time.advance(DOUBT_SECONDS)
    assert await spot.round() == [f"put_user {ONE}"]
    assert spot.used() == (3600, 3 * 10**11)
    assert spot.router.users[ONE].limit_octets == 7 * 10**11
    assert spot.router.users[ONE].limit_uptime_seconds == 29 * 86400 - 3600
    spot.router.add_session(ONE, MAC)
    await spot.pass_time(60, octets=1)
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (3660, 3 * 10**11 + 3)


async def test_a_row_made_again_gives_nothing_twice(spot: Spot) -> None:
    """Wiped, it starts at nothing and may come to what is left."""
    await spot.pass_time(3600, octets=10**11)
    await spot.round()
    spot.router.wipe()
    await spot.round()
    found = spot.router.users[ONE]
    assert (found.limit_octets, found.limit_uptime_seconds) == (7 * 10**11, 29 * 86400 - 3600)
    await spot.pass_time(60, octets=1)
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (3660, 3 * 10**11 + 3)


async def test_a_session_whose_user_is_gone_begins_anew(spot: Spot) -> None:
    """Removed by hand under a device that is on: it is logged out and in again by the new user, counted once."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    del spot.router.users[ONE]
    await spot.pass_time(10, octets=1)
    assert await spot.round() == [f"logout {ONE}", f"put_user {ONE}", f"login {ONE}"]
    assert spot.used() == (70, 303)
    await spot.pass_time(10, octets=1)
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used() == (80, 306)


async def test_a_box_that_was_away_counts_what_it_missed(spot: Spot) -> None:
    """Killed and started hours later: the session it knew, its end, and those it never saw."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    await spot.pass_time(3600, octets=1000)
    spot.router.end_session(ONE)
    spot.router.add_session(ONE, MAC)
    await spot.pass_time(600, octets=10)
    spot.router.end_session(ONE)
    spot.router.add_session(ONE, MAC)
    await spot.pass_time(30, octets=1)
    spot.start_box()
    await spot.round()
    assert spot.used() == (4290, 3333)
    spot.start_box()
    await spot.round()
    assert spot.used() == (4290, 3333)


async def test_a_box_started_anew_closes_what_is_gone(spot: Spot) -> None:
    """Also where the row shows nothing any more, and where it is gone itself: no session stays open for ever."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    spot.router.reboot()
    spot.router.reset_counters(ONE)
    spot.start_box()
    await spot.round()
    assert [row[1:] for row in session_rows(spot)] == [(60, 300, "Gone")]
    spot.router.see(MAC)
    await spot.round()
    await spot.pass_time(30)
    await spot.round()
    spot.router.wipe()
    spot.router.hosts.clear()
    spot.start_box()
    await spot.round()
    assert spot.books.store.read.sessions.open_on(ROUTER) == []
    assert spot.used() == (90, 300)


@pytest.mark.parametrize("still_on", [True, False])
async def test_a_router_out_of_reach_for_long(spot: Spot, *, still_on: bool) -> None:
    """Its sessions are given up with a guess at their end, which gives way to what the router says when it is back."""
    await spot.pass_time(60, octets=100)
    await spot.round()
    await spot.pass_time(ROUND_SECONDS * INTERIMS_MISSED_MAX + 60, octets=50)
    await spot.accounting.silence_round()
    assert spot.used()[0] > 60
    if not still_on:
        spot.router.end_session(ONE)
        spot.router.hosts.clear()
    await spot.round()
    assert spot.used() == (210, 450)
    assert len(session_rows(spot)) == 1


async def test_what_could_not_be_noted_is_noted_at_the_next_look(spot: Spot) -> None:
    """A store that is away ends the round as a router does; nothing is lost by it and nothing doubled."""
    await spot.pass_time(60, octets=100)
    account, spot.reconciler.usage.account = spot.accounting.account, _unavailable
    with pytest.raises(UnavailableError):
        await spot.round()
    spot.router.end_session(ONE)
    with pytest.raises(UnavailableError):
        await spot.round()
    spot.reconciler.usage.account = account
    await spot.round()
    await spot.round()
    assert spot.used() == (60, 300)


async def _unavailable(_usage: UsageReport) -> None:
    raise UnavailableError("store.not_written", "The box could not write to its disk.")


async def test_what_is_not_by_our_users_is_not_counted(spot: Spot) -> None:
    """Sessions of the owner's own users, and those RADIUS let on, which it reports itself."""
    await spot.add(HOUR, number=2, mac=OTHER_MAC)
    spot.router.add_session("owner", OTHER_MAC)
    by_radius = replace(spot.router.add_session(TWO, OTHER_MAC), by_radius=True)
    spot.router.active[by_radius.item_id] = by_radius
    for user in ("owner", TWO):
        spot.router.run_session(user, 60, 100)
    await spot.reconciler.usage.note(await spot.router.observe())
    assert [row for row in session_rows(spot) if row[1] == 60] == []
    assert spot.used(2) == (0, 0)


async def test_a_router_that_lost_count_does_no_harm(spot: Spot) -> None:
    """Counters of all ones end the grant by data, and the books stay numbers."""
    spot.router.run_session(ONE, 60, 2**64 - 1)
    await spot.round()
    spot.router.end_session(ONE)
    await spot.round()
    assert spot.used()[1] >= MONTH.data_limit.octets  # type: ignore[union-attr]


STEPS = st.one_of(
    st.tuples(st.just("use"), st.integers(1, 400), st.integers(0, 1000)),
    st.tuples(st.sampled_from(["login", "logout"]), st.sampled_from(DEVICES)),
    st.tuples(st.sampled_from(["round", "glance"])),
    st.tuples(st.sampled_from(["restart", "doubt"])),
)
MISHAPS = st.tuples(st.sampled_from(["reboot", "reset", "wipe", "remove"]))


@dataclass
class History:
    """What really happened on a router, beside what the box makes of it.

    Args:
        spot: The box and the router.
        used: What was really used: seconds and octets.
        seen: What sessions had come to at the looks, by when they began.
        mishaps: Whether the router lost something.
    """

    spot: Spot
    used: tuple[int, int] = (0, 0)
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    mishaps: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    count: int = 0

    async def go(self, step: tuple[object, ...]) -> None:
        """One thing happens."""
        name, *how = step
        result = getattr(self, f"_{name}")(*how)
        if result is not None:
            await result
        self._number()

    def _use(self, seconds: int, octets: int) -> None:
        on = len(self.spot.router.sessions_of(ONE))
        self.used = self.used[0] + on * seconds, self.used[1] + on * 3 * octets
        self.spot.router.run_session(ONE, seconds, octets)
        self.spot.books.time.advance(seconds)

    def _login(self, device: object) -> None:
        router = self.spot.router
        if ONE in router.users and all(session.mac != device for session in router.sessions_of(ONE)):
            router.add_session(ONE, device)  # type: ignore[arg-type]

    def _logout(self, device: object) -> None:
        self.spot.router.end_session(ONE, device)  # type: ignore[arg-type]

    async def _round(self) -> None:
        self._see()
        await self.spot.round()

    async def _glance(self) -> None:
        self._see()
        await self.spot.glance()

    def _see(self) -> None:
        for item_id, session in self.spot.router.active.items():
            self.seen[self.numbers[item_id]] = session.uptime_seconds, session.octets_in + session.octets_out

    def _restart(self) -> None:
        self.spot.start_box()

    def _doubt(self) -> None:
        self.spot.books.time.advance(DOUBT_SECONDS)

    def _reboot(self) -> None:
        self.mishaps = True
        self.spot.books.time.advance(BOOT_SECONDS)
        self.spot.router.active.clear()

    def _reset(self) -> None:
        self.mishaps = True
        if ONE in self.spot.router.users:
            self.spot.router.reset_counters(ONE)

    def _wipe(self) -> None:
        self.mishaps = True
        self.spot.router.wipe()

    def _remove(self) -> None:
        self.mishaps = True
        self.spot.router.users.pop(ONE, None)

    def _number(self) -> None:
        """Sessions are told apart by when they began, whatever their ids."""
        active = self.spot.router.active
        for item_id, session in active.items():
            if item_id not in self.numbers or not session.uptime_seconds:
                self.count += 1
                self.numbers[item_id] = self.count

    def check(self) -> None:
        """Never more than was used, and all that was seen."""
        seconds, octets = self.spot.used()
        assert seconds <= self.used[0]
        assert octets <= self.used[1]
        assert seconds >= sum(seen[0] for seen in self.seen.values())
        assert octets >= sum(seen[1] for seen in self.seen.values())


async def live(steps: list[tuple[object, ...]], *, ids_by_device: bool) -> None:
    """Let all this happen, then everybody go, and look a last time."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_books(Path(folder)) as books:
            spot = Spot(books, router=FakeRouter(ids_by_device=ids_by_device))
            await spot.add(MONTH)
            await spot.round()
            history = History(spot)
            for step in [*steps, ("logout", MAC), ("logout", OTHER_MAC), ("round",), ("round",)]:
                await history.go(step)
                if step[0] in {"round", "glance"}:
                    history.check()
            if not history.mishaps:
                assert spot.used() == history.used
            assert books.store.read.sessions.open_on(ROUTER) == []


@given(steps=st.lists(STEPS, max_size=25), ids_by_device=st.booleans())
@settings(max_examples=120, deadline=None)
def test_whatever_happens_all_is_counted_once(steps: list[tuple[object, ...]], *, ids_by_device: bool) -> None:
    """Logins and logouts of two devices, rounds missed, a box started anew: the books have exactly what was used."""
    asyncio.run(live(steps, ids_by_device=ids_by_device))


@given(steps=st.lists(st.one_of(STEPS, STEPS, STEPS, MISHAPS), max_size=30), ids_by_device=st.booleans())
@settings(max_examples=200, deadline=None)
@example(
    steps=[("login", MAC), ("use", 60, 5), ("round",), ("reboot",), ("login", MAC), ("use", 400, 9), ("round",)],
    ids_by_device=True,
)
def test_whatever_a_router_loses_nothing_is_counted_twice(
    steps: list[tuple[object, ...]], *, ids_by_device: bool
) -> None:
    """Power cuts, counters set back, users wiped or removed by hand: never more than was used, all that was seen."""
    asyncio.run(live(steps, ids_by_device=ids_by_device))
