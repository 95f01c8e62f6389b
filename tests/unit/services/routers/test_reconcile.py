"""A router is kept equal to the grants, whatever happens to it, and nothing that is not ours is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.domain.values import MacAddress, RateLimit
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.grant_life import move
from easyisp_edge.services.routers.reconcile import IMPATIENT_SECONDS
from easyisp_edge.services.routers.steps import IMPATIENT_FOR
from easyisp_edge.services.routers.wanted_users import user_profile
from tests.fakes.router import FakeRouter
from tests.unit.services.spot import ONE, TWO, Spot
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.routers import RouterState

FAMILY = replace(HOUR, package_id="7d", devices_max=2, rate_limit=RateLimit(3000, 8000))


@pytest.fixture
async def spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """A router that is there and empty, with one device in sight."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        yield spot


@pytest.fixture
async def radius_spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """The same, where the router asks us at each login."""
    async with open_books(tmp_path) as books:
        spot = Spot(books, RouterMode.RADIUS, FakeRouter(radius=True))
        spot.router.see(MAC)
        yield spot


PROFILE = user_profile(HOUR).name
ALL_STEPS = [f"put_profile {PROFILE}", f"put_user {ONE}", f"login {ONE}"]


async def test_a_new_grant_is_let_on(spot: Spot) -> None:
    """Profile, user, login; then its time runs, and who is on is known."""
    await spot.add()
    assert await spot.round() == ALL_STEPS
    assert spot.state() is GrantState.RUNNING
    assert spot.presence.is_online(ONE)
    assert spot.router.users[ONE].limit_uptime_seconds == 3600
    assert spot.router.users[ONE].comment.startswith(USER_MARK)


async def test_a_second_round_changes_nothing(spot: Spot) -> None:
    """Neither on the router nor, once what was used is noted, in the books: not even box time is written."""
    await spot.add()
    await spot.round()
    await spot.pass_time(60)
    await spot.round()
    before = (spot.books.store.read.clock.last(), spot.books.events())
    for _ in range(3):
        assert await spot.round() == []
    assert (spot.books.store.read.clock.last(), spot.books.events()) == before


async def test_nothing_to_do_is_nothing_done(spot: Spot) -> None:
    """And the next round can wait its usual time."""
    assert await spot.reconciler.round() is None
    assert spot.router.steps == []


async def test_a_wiped_router_is_filled_again(spot: Spot) -> None:
    """With the time that is left, not with what was bought; the device is on again."""
    await spot.add()
    await spot.round()
    await spot.pass_time(600)
    spot.router.wipe()
    assert await spot.round() == ALL_STEPS
    assert spot.router.users[ONE].limit_uptime_seconds == 3000
    assert spot.router.sessions_of(ONE)


async def test_what_is_not_ours_is_not_touched(spot: Spot) -> None:
    """Users without our mark, whatever their name or comment, and sessions of theirs."""
    for name, comment in (("landlord", ""), ("guest", "edge of town"), ("staff", "not edge:")):
        spot.router.add_user(name, comment=comment)
        spot.router.add_session(name, OTHER_MAC)
    users, sessions = dict(spot.router.users), dict(spot.router.active)
    await spot.add()
    await spot.round()
    await spot.pass_time(3600)
    await spot.round()
    assert {name: user for name, user in spot.router.users.items() if name in users} == users
    assert spot.router.active == sessions
    assert all(ONE in step or PROFILE in step for step in spot.router.steps)


async def test_what_is_ours_and_not_wanted_goes(spot: Spot) -> None:
    """A user left over from a grant that is over, or from books that were lost, with its session."""
    spot.router.add_user("OLDUSER", comment=f"{USER_MARK}grant-9 0123456789ab")
    spot.router.add_session("OLDUSER", OTHER_MAC)
    assert await spot.round() == ["remove_user OLDUSER", "logout OLDUSER"]
    assert await spot.round() == []


async def test_at_its_end_a_grant_is_put_off(spot: Spot) -> None:
    """User and session go; the device is not online any more."""
    await spot.add()
    await spot.round()
    await spot.pass_time(3600)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}"]
    assert not spot.presence.is_online(ONE)
    assert await spot.round() == []


async def test_a_refused_step_does_not_stop_the_others(spot: Spot, caplog: pytest.LogCaptureFixture) -> None:
    """One odd user is no reason for everybody else to stay off; the refusal is logged."""
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    spot.router.see(OTHER_MAC, "10.5.50.12")
    spot.router.refused = {f"put_user {ONE}"}
    assert f"login {TWO}" in await spot.round()
    assert spot.router.sessions_of(TWO)
    assert not spot.router.sessions_of(ONE)
    assert f"refused: put_user {ONE}" in caplog.text
    spot.router.refused = set()
    assert await spot.round() == [f"put_user {ONE}", f"login {ONE}"]


@pytest.mark.parametrize("step", [f"put_profile {PROFILE}", f"remove_user {TWO}", f"logout {TWO}"])
async def test_whatever_step_is_refused_the_rest_is_done(spot: Spot, step: str) -> None:
    """Removals as well as additions."""
    spot.router.add_user(TWO, comment=f"{USER_MARK}grant-9 0123456789ab")
    spot.router.add_session(TWO, OTHER_MAC)
    await spot.add()
    spot.router.refused = {step}
    assert set(await spot.round()) == {*ALL_STEPS, f"remove_user {TWO}", f"logout {TWO}"}
    assert spot.router.sessions_of(ONE)


async def test_a_router_that_is_away_is_left_to_the_loop(spot: Spot) -> None:
    """Who is on there stays what was seen last, and no time begins."""
    await spot.add()
    spot.presence.observed(ROUTER, {TWO})
    spot.router.away = True
    with pytest.raises(UnavailableError):
        await spot.round()
    assert spot.presence.is_online(TWO)
    assert spot.state() is GrantState.WAITING
    spot.router.away = False
    assert await spot.round() == ALL_STEPS


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_router_that_goes_away_in_the_middle(spot: Spot, steps: int) -> None:
    """What was done is kept; the next round does the rest and nothing twice."""
    await spot.add()
    spot.router.away_after = steps
    with pytest.raises(UnavailableError):
        await spot.round()
    spot.router.away_after = None
    assert await spot.round() == ALL_STEPS[steps:]
    assert spot.state() is GrantState.RUNNING


async def test_a_router_that_lets_us_not_read(spot: Spot) -> None:
    """Is as good as away: nothing is done blindly."""
    await spot.add()
    spot.router.refused = {"observe"}
    with pytest.raises(UnavailableError, match="lets us not read"):
        await spot.round()
    assert spot.router.steps == []


async def test_the_session_under_way_is_counted(spot: Spot) -> None:
    """A user's row counts a session once it has ended: until then the limit holds what the session has used."""
    await spot.add()
    await spot.round()
    await spot.pass_time(1800)
    assert await spot.round() == []
    spot.router.end_session(ONE)
    assert await spot.round() == [f"login {ONE}"]
    await spot.pass_time(600)
    assert await spot.round() == []
    found = spot.router.users[ONE]
    assert found.limit_uptime_seconds - found.uptime_seconds - 600 == 1200


async def test_a_user_set_during_its_session_keeps_its_time(spot: Spot) -> None:
    """The router counts the session that runs against the new limit: the limit must hold it too."""
    await spot.add()
    await spot.round()
    await spot.pass_time(1800)
    spot.router.users[ONE] = replace(spot.router.users[ONE], disabled=True)
    assert await spot.round() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_uptime_seconds == 3600


async def test_a_user_with_too_little_time_is_set_again(spot: Spot) -> None:
    """A router never cuts a customer short because it counted more than was used."""
    await spot.add()
    await spot.round()
    spot.router.users[ONE] = replace(spot.router.users[ONE], limit_uptime_seconds=3000)
    assert await spot.round() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_uptime_seconds >= 3600


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"profile": "default"}, {"comment": f"{USER_MARK}grant-1 000000000000"}]
)
async def test_a_user_somebody_changed_is_set_again(spot: Spot, change: dict[str, Any]) -> None:
    """Its state, its speed, or what it was made of."""
    await spot.add()
    await spot.round()
    spot.router.users[ONE] = replace(spot.router.users[ONE], **change)
    assert await spot.round() == [f"put_user {ONE}"]
    assert await spot.round() == []


async def test_a_profile_somebody_changed_is_set_again(spot: Spot) -> None:
    """Speed is part of what was bought."""
    await spot.add()
    await spot.round()
    spot.router.profiles[PROFILE] = replace(spot.router.profiles[PROFILE], rate_limit=RateLimit(1, 1))
    assert await spot.round() == [f"put_profile {PROFILE}"]
    assert await spot.round() == []


async def test_users_of_one_speed_share_a_profile(spot: Spot) -> None:
    """Put once a round."""
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    assert (await spot.round()).count(f"put_profile {PROFILE}") == 1


async def test_one_devices_grants_follow_each_other(spot: Spot) -> None:
    """Two hours bought are two hours: the second begins when the first is over, without a gap of a round."""
    await spot.add(number=1)
    await spot.add(number=2)
    assert f"login {TWO}" not in await spot.round()
    assert (spot.state(1), spot.state(2)) == (GrantState.RUNNING, GrantState.WAITING)
    await spot.pass_time(3599)
    assert await spot.round() == []
    await spot.pass_time(1)
    assert await spot.round() == [f"remove_user {ONE}", f"logout {ONE}", f"login {TWO}"]
    assert (spot.state(1), spot.state(2)) == (GrantState.ENDED, GrantState.RUNNING)
    assert spot.router.sessions_of(TWO)


async def test_two_devices_do_not_wait_for_each_other(spot: Spot) -> None:
    """Each has its own grant, and both run."""
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    spot.router.see(OTHER_MAC, "10.5.50.12")
    await spot.round()
    assert spot.router.sessions_of(ONE)
    assert spot.router.sessions_of(TWO)


async def test_a_bypassed_device_is_left_alone(spot: Spot) -> None:
    """It is online without us: its time does not begin, and the router is looked at again soon."""
    spot.router.see(MAC, bypassed=True)
    await spot.add()
    assert await spot.reconciler.round() == IMPATIENT_SECONDS
    assert f"login {ONE}" not in spot.router.steps
    assert spot.state() is GrantState.WAITING


async def test_a_device_out_of_sight_is_waited_for(spot: Spot) -> None:
    """Its user stands ready; no time runs before it comes."""
    spot.router.hosts.clear()
    await spot.add()
    assert await spot.reconciler.round() == IMPATIENT_SECONDS
    assert ONE in spot.router.users
    spot.books.time.advance(7200)
    spot.router.see(MAC)
    assert await spot.round() == [f"login {ONE}"]
    assert spot.router.users[ONE].limit_uptime_seconds == 3600


@pytest.mark.parametrize("bypassed", [True, False])
async def test_who_stays_away_is_not_waited_for_impatiently(spot: Spot, *, bypassed: bool) -> None:
    """Some minutes after the purchase the usual round is soon enough, however long the grant waits."""
    spot.router.hosts.clear()
    if bypassed:
        spot.router.see(MAC, bypassed=True)
    await spot.add()
    spot.books.time.advance(IMPATIENT_FOR.total_seconds())
    assert await spot.reconciler.round() == IMPATIENT_SECONDS
    spot.books.time.advance(1)
    assert await spot.reconciler.round() is None


async def test_a_device_that_is_busy_is_tried_again(spot: Spot) -> None:
    """A login under way is no refusal."""
    await spot.add()
    spot.router.busy = {MAC}
    assert await spot.reconciler.round() == IMPATIENT_SECONDS
    assert spot.state() is GrantState.WAITING
    spot.router.busy = set()
    assert await spot.round() == [f"login {ONE}"]
    assert await spot.reconciler.round() is None


async def test_a_refused_login_starts_no_time(spot: Spot) -> None:
    """It is tried again, and the others are not kept waiting."""
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    spot.router.see(OTHER_MAC, "10.5.50.12")
    spot.router.refused = {f"login {ONE}"}
    assert await spot.reconciler.round() == IMPATIENT_SECONDS
    assert (spot.state(1), spot.state(2)) == (GrantState.WAITING, GrantState.RUNNING)


async def test_who_logged_in_by_the_form_has_begun(spot: Spot) -> None:
    """The time runs from when the device is seen on, however it got there."""
    await spot.add()
    spot.router.hosts.clear()
    await spot.round()
    spot.router.add_session(ONE, MAC)
    assert await spot.round() == []
    assert spot.state() is GrantState.RUNNING
    assert spot.presence.is_online(ONE)


async def test_a_grant_for_no_device_waits_for_whoever_logs_in(spot: Spot) -> None:
    """Its user stands ready for any device; nobody is looked for."""
    await spot.add(mac=None)
    assert await spot.reconciler.round() is None
    assert spot.router.steps == ALL_STEPS[:2]


async def test_a_package_of_another_router_is_not_put_here(spot: Spot) -> None:
    """Nor is another tenant's."""
    await spot.add(replace(HOUR, router_ids=("second",)), number=1)
    await spot.add(number=2, tenant_id="other")
    assert await spot.round() == []


async def test_a_package_for_several_devices_is_bound_to_none(spot: Spot) -> None:
    """Its profile says how many may be on at once; the payer's device is let on by us."""
    await spot.add(FAMILY)
    await spot.round()
    assert spot.router.profiles[user_profile(FAMILY).name].shared_users == 2
    assert spot.router.sessions_of(ONE)


async def test_a_package_for_several_devices_lets_each_on_as_it_comes(spot: Spot) -> None:
    """The first stays on when the grant goes on to the next; beyond as many as it is for, nobody is tried."""
    devices = [MAC, OTHER_MAC, MacAddress("AA:BB:CC:00:00:03")]
    grant = await spot.add(FAMILY)
    for number, mac in enumerate(devices):
        spot.router.see(mac, f"10.5.50.1{number}")
        await spot.books.store.write(lambda tx, mac=mac: move(tx, grant, mac))  # type: ignore[misc]
        took = await spot.round()
        assert (f"login {ONE}" in took) == (number < FAMILY.devices_max)
    assert {session.mac for session in spot.router.sessions_of(ONE)} == set(devices[:2])
    assert spot.presence.devices_of(ONE) == set(devices[:2])
    assert await spot.round() == []


async def test_by_radius_no_users_are_written(radius_spot: Spot) -> None:
    """The device is logged in, the router asks us; users of ours from before are taken away."""
    radius_spot.router.add_user("OLDUSER", comment=f"{USER_MARK}grant-9 0123456789ab")
    await radius_spot.add()
    assert await radius_spot.round() == ["remove_user OLDUSER", f"login {ONE}"]
    assert radius_spot.router.users == {}
    assert await radius_spot.round() == []


async def test_by_radius_the_end_puts_off(radius_spot: Spot) -> None:
    """What has our user name is ours; who else the RADIUS server let on is not."""
    await radius_spot.add()
    await radius_spot.round()
    radius_spot.router.add_session("landlord", OTHER_MAC)
    await radius_spot.pass_time(3600)
    assert await radius_spot.round() == [f"logout {ONE}"]
    assert radius_spot.router.sessions_of("landlord")


async def test_a_step_forward_of_box_time_ends_on_the_router_too(spot: Spot) -> None:
    """What the books call over is put off, however the clock came there."""
    await spot.add()
    await spot.round()
    spot.books.time.set_wall(spot.books.time.wall() + timedelta(minutes=9))
    spot.books.clock.look()
    await spot.pass_time(3600 - 9 * 60)
    assert f"logout {ONE}" in await spot.round()


async def test_a_grant_made_during_the_look_keeps_its_session(
    radius_spot: Spot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bought and logged in while the router was being read: its session is not taken for nobody's."""
    look = radius_spot.router.observe

    async def look_slowly() -> RouterState:
        await radius_spot.add()
        radius_spot.router.add_session(ONE, MAC)
        return await look()

    monkeypatch.setattr(radius_spot.router, "observe", look_slowly)
    assert await radius_spot.round() == []
    assert len(radius_spot.router.sessions_of(ONE)) == 1
