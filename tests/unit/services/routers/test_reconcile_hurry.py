"""What happened to grants is put right at once with few questions; all of a router is looked at now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.routers import USER_MARK, HotspotCookie
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.services.access import followed_grants
from easyisp_edge.services.access.grant_life import end, move
from easyisp_edge.services.routers.memory import (
    DEVICES_AT_LEAST_EVERY_SECONDS,
    LOOK_AT_LEAST_EVERY_SECONDS,
    RouterMemory,
)
from easyisp_edge.services.routers.reconcile import ASKED_FOR_MAX
from easyisp_edge.services.routers.wanted_users import user_profile
from tests.fakes.router import FakeRouter
from tests.unit.services.spot import ONE, TWO, Spot
from tests.unit.shop import HOUR, MAC, OTHER_MAC, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.store.store import Tables

PROFILE = user_profile(HOUR).name
THIRD_MAC = MacAddress("AA:BB:CC:00:00:03")


@pytest.fixture
async def spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """A router that was looked at, with one device in sight."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        await spot.round()
        yield spot


@pytest.fixture
async def radius_spot(tmp_path: Path) -> AsyncIterator[Spot]:
    """The same, where the router asks us at each login."""
    async with open_books(tmp_path) as books:
        spot = Spot(books, RouterMode.RADIUS, FakeRouter(radius=True))
        spot.router.see(MAC)
        await spot.round()
        yield spot


async def change(spot: Spot, number: int, step: Callable[[Tables, Grant], Any]) -> None:
    """Something happens to a grant."""

    def write(tx: Tables) -> None:
        grant = tx.grants.by_id(f"grant-{number}")
        assert grant is not None
        step(tx, grant)

    await spot.books.store.write(write)


async def over(spot: Spot, number: int = 1) -> None:
    """A grant ends."""
    await change(spot, number, lambda tx, grant: end(tx, grant, "time", spot.books.clock.now()))


async def test_a_new_grant_takes_three_questions(spot: Spot) -> None:
    """Where the profile stands: where the device is, the user, the login; nothing else is asked."""
    await spot.add(number=1)
    await spot.round()
    spot.router.see(OTHER_MAC, "10.5.50.12")
    await spot.add(number=2, mac=OTHER_MAC)
    assert await spot.hurry() == [f"put_user {TWO}", f"login {TWO}"]
    assert spot.router.looks == [f"host {OTHER_MAC}"]
    assert spot.state(2) is GrantState.RUNNING
    assert spot.presence.is_online(TWO)


async def test_by_radius_it_takes_two(radius_spot: Spot) -> None:
    """Where the device is, and the login."""
    await radius_spot.add()
    assert await radius_spot.hurry() == [f"login {ONE}"]
    assert radius_spot.router.looks == [f"host {MAC}"]


async def test_the_beginning_of_a_grant_is_no_news(spot: Spot) -> None:
    """The round that let it on knows: it is not asked about again."""
    await spot.add()
    await spot.hurry()
    assert await spot.hurry() == []
    assert spot.router.looks == []


async def test_an_end_asks_for_that_user_alone(spot: Spot) -> None:
    """What it used last is counted; then user, session; others stay as they are, unasked."""
    spot.router.see(OTHER_MAC, "10.5.50.12")
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    await spot.round()
    spot.router.run_session(ONE, 60, 100)
    spot.books.time.advance(60)
    await over(spot)
    assert await spot.hurry() == [f"remove_user {ONE}", f"logout {ONE}"]
    assert "observe" not in spot.router.looks
    assert not [look for look in spot.router.looks if TWO in look]
    assert spot.used() == (60, 300)
    assert not spot.presence.is_online(ONE)
    assert spot.router.sessions_of(TWO)


async def test_by_radius_an_end_finds_who_logged_in_by_the_address(radius_spot: Spot) -> None:
    """The books know by what name the device is on."""
    await radius_spot.add()
    await radius_spot.round()
    await over(radius_spot)
    assert await radius_spot.hurry() == [f"logout {ONE}"]
    assert radius_spot.router.active == {}


async def test_the_next_grant_of_a_device_follows_at_once(spot: Spot) -> None:
    """In the same hurry, as it is the same device."""
    await spot.add(number=1)
    await spot.add(number=2)
    await spot.round()
    await over(spot)
    assert await spot.hurry() == [f"remove_user {ONE}", f"logout {ONE}", f"login {TWO}"]
    assert spot.router.sessions_of(TWO)


async def test_a_grant_that_moved_is_off_there_and_on_here(spot: Spot) -> None:
    """The old device is put off, the user is set for the new one, which is let on."""
    await spot.add()
    await spot.round()
    spot.router.see(OTHER_MAC, "10.5.50.12")
    await change(spot, 1, lambda tx, grant: move(tx, grant, OTHER_MAC, by="receipt"))
    assert await spot.hurry() == [f"logout {ONE}", f"put_user {ONE}", f"login {ONE}"]
    assert [session.mac for session in spot.router.active.values()] == [OTHER_MAC]


async def test_another_users_session_on_the_device_is_left_alone(spot: Spot) -> None:
    """A device that is on by somebody else's name when its owner buys is not put off for it, nor logged in twice."""
    await spot.add(replace(HOUR, devices_max=2), number=1, mac=OTHER_MAC)
    await spot.round()
    spot.router.add_session(ONE, MAC)
    await spot.round()
    await spot.add(number=2)
    assert await spot.hurry() == [f"put_profile {PROFILE}", f"put_user {TWO}"]
    assert [session.user for session in spot.router.active.values() if session.mac == MAC] == [ONE]


async def test_many_changes_are_looked_at_as_a_whole(spot: Spot) -> None:
    """It is quicker than to ask for each; and all are let on."""
    macs = [MacAddress(f"AA:BB:CC:00:01:{number:02X}") for number in range(ASKED_FOR_MAX + 2)]
    for number, mac in enumerate(macs, 1):
        spot.router.see(mac, f"10.5.51.{number}")
        await spot.add(number=number, mac=mac)
    await spot.hurry()
    assert spot.router.looks[0] == "observe"
    assert {session.mac for session in spot.router.active.values()} == set(macs)


async def test_very_many_events_are_read_as_a_whole(spot: Spot, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are followed one by one."""
    monkeypatch.setattr(followed_grants, "EVENTS_FOLLOWED_MAX", 0)
    await spot.add()
    await spot.hurry()
    assert spot.router.looks[0] == "observe"
    assert spot.router.sessions_of(ONE)


async def test_devices_are_looked_at_without_all_users(spot: Spot) -> None:
    """Who comes into sight is let on; nobody's row is read when nothing happened to it."""
    await spot.add()
    await spot.add(number=2, mac=OTHER_MAC)
    await spot.round()
    await spot.glance()
    spot.router.see(OTHER_MAC, "10.5.50.12")
    assert await spot.glance() == [f"login {TWO}"]
    assert spot.router.looks == ["observe_devices"]


async def test_whose_session_ended_is_looked_at(spot: Spot) -> None:
    """What it used since the last look stands in its row, and is counted."""
    await spot.add()
    await spot.round()
    await spot.pass_time(60, octets=10)
    await spot.glance()
    await spot.pass_time(30, octets=10)
    spot.router.end_session(ONE)
    assert await spot.glance() == [f"login {ONE}"]
    assert f"user {ONE}" in spot.router.looks
    assert spot.used() == (90, 60)


async def test_a_wiped_router_is_noticed_without_reading_all(spot: Spot) -> None:
    """Whose session is gone is looked up, and is not there: then all is looked at, at once."""
    await spot.add()
    await spot.add(number=2, mac=OTHER_MAC)
    await spot.round()
    await spot.glance()
    spot.router.wipe()
    assert f"put_user {ONE}" in await spot.glance()
    assert "observe" not in spot.router.looks
    assert await spot.glance() == [f"put_profile {PROFILE}", f"put_user {TWO}"]
    assert spot.router.looks[0] == "observe"


async def test_a_refusal_has_all_looked_at_once(spot: Spot) -> None:
    """A login refused by a router whose user was there: somebody changed it; refused again, it is no news."""
    await spot.add()
    await spot.round()
    spot.router.end_session(ONE)
    spot.router.refused = {f"login {ONE}"}
    await spot.glance()
    await spot.glance()
    assert spot.router.looks[0] == "observe"
    await spot.glance()
    assert "observe" not in spot.router.looks


async def test_after_a_failure_all_is_looked_at(spot: Spot) -> None:
    """Nothing that was remembered is sure."""
    await spot.add()
    await spot.round()
    spot.router.away = True
    with pytest.raises(Exception, match="not reached"):
        await spot.glance()
    spot.router.away = False
    await spot.glance()
    assert spot.router.looks[0] == "observe"


async def test_cookies_of_ours_go_with_what_they_would_bring_back(spot: Spot) -> None:
    """Of who is over, and of a device a grant left; those of others, and of who may be on, stay."""
    await spot.add(number=1)
    await spot.add(number=2, mac=OTHER_MAC)
    await spot.round()
    await over(spot, 2)
    await spot.round()
    spot.router.remembered = {
        "*1": HotspotCookie("*1", ONE, MAC),
        "*2": HotspotCookie("*2", ONE, THIRD_MAC),
        "*3": HotspotCookie("*3", TWO, OTHER_MAC),
        "*4": HotspotCookie("*4", "landlord", OTHER_MAC),
    }
    assert await spot.round() == [f"remove_cookie {ONE}", f"remove_cookie {TWO}"]
    assert set(spot.router.remembered) == {"*1", "*4"}
    assert await spot.round() == []


@pytest.mark.parametrize("hurried", [True, False])
async def test_the_order_in_which_somebody_is_put_off(spot: Spot, *, hurried: bool) -> None:
    """The user, what the router remembers, the session: it cannot come back in between."""
    await spot.add()
    await spot.round()
    spot.router.remembered = {"*1": HotspotCookie("*1", ONE, MAC)}
    await over(spot)
    steps = await (spot.hurry() if hurried else spot.round())
    assert steps == [f"remove_user {ONE}", f"remove_cookie {ONE}", f"logout {ONE}"]


async def test_by_radius_the_cookie_goes_before_the_session(radius_spot: Spot) -> None:
    """There is no user to be taken away."""
    await radius_spot.add()
    await radius_spot.round()
    radius_spot.router.remembered = {"*1": HotspotCookie("*1", ONE, MAC), "*2": HotspotCookie("*2", "other", MAC)}
    await over(radius_spot)
    assert await radius_spot.hurry() == [f"remove_cookie {ONE}", f"logout {ONE}"]
    assert set(radius_spot.router.remembered) == {"*2"}


async def test_bindings_of_ours_go_and_others_stay(spot: Spot) -> None:
    """No grant is sold as a binding."""
    spot.router.bindings = {"*1": "the landlord's television", "*2": f"{USER_MARK}grant-9", "*3": ""}
    assert await spot.round() == ["remove_binding *2"]
    assert set(spot.router.bindings) == {"*1", "*3"}


def test_all_is_looked_at_as_seldom_as_it_is_dear() -> None:
    """At once again where that took no time; every few minutes where it takes long, but then for sure."""
    memory = RouterMemory(users={})
    memory.all_done(100.0, 100.0)
    assert memory.all_due(100.0)
    memory.all_done(100.0, 102.0)
    assert not memory.all_due(102.0 + 90.0)
    assert memory.all_due(102.0 + 100.0)
    memory.all_done(100.0, 160.0)
    assert not memory.all_due(160.0 + LOOK_AT_LEAST_EVERY_SECONDS - 1)
    assert memory.all_due(160.0 + LOOK_AT_LEAST_EVERY_SECONDS)


def test_a_look_that_took_long_puts_off_no_round() -> None:
    """A router that stalled, or a box that slept in the middle of a look: the next round looks at devices again."""
    memory = RouterMemory(users={})
    memory.all_done(100.0, 1000.0)
    assert memory.devices_due_in(1000.0) == DEVICES_AT_LEAST_EVERY_SECONDS
    assert memory.devices_due_in(1000.0 + DEVICES_AT_LEAST_EVERY_SECONDS) == 0.0
    memory.devices_done(100.0, 100.1)
    assert memory.devices_due_in(100.1) == pytest.approx(2.0)
