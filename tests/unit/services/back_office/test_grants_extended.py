"""More time for a grant: whatever way its device is on, it stays on until the new end, and not beyond."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import LoginAccepted, UsageKind
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.access.followed_grants import FollowedGrants
from easyisp_edge.services.access.freeradius import wanted_login
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.back_office.grants_desk import GrantsDesk
from tests.fakes.clocks import START
from tests.unit.services.gate import Gate
from tests.unit.services.spot import ONE, Spot
from tests.unit.shop import HOUR, MAC, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.back_office.listed_grants import ListedGrant
    from easyisp_edge.services.site import Site

HALF = timedelta(minutes=30)
ONLINE = replace(HOUR, package_id="2h", duration=timedelta(days=1), online_time=timedelta(hours=2))


async def extend(access: AccessService, span: timedelta = HALF) -> ListedGrant:
    site = cast("Site", SimpleNamespace(config=SimpleNamespace(routers=())))
    return await GrantsDesk(access, Presence(), site).extend("grant-1", span, "The mast was down", "mary", TENANT)


@pytest.fixture(name="spot")
async def _spot(tmp_path: Path) -> AsyncIterator[Spot]:
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        spot.router.see(MAC)
        yield spot


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with open_books(tmp_path) as books:
        yield Gate(books)


async def test_a_routers_own_user_is_given_more_at_once(spot: Spot) -> None:
    """Its limit is set anew in the next round, so that the router itself lets it on for longer; it stays on."""
    await spot.add()
    await spot.round()
    await spot.pass_time(3000)
    await spot.round()
    await extend(spot.access)
    assert await spot.hurry() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_uptime_seconds == 3600 + 1800
    await spot.pass_time(700)
    assert await spot.round() == []
    assert (spot.state(), len(spot.router.sessions_of(ONE))) == (GrantState.RUNNING, 1)


async def test_a_session_the_router_ended_by_its_old_limit_is_begun_again(spot: Spot) -> None:
    """A router may go by what it was told at the login: then the next round lets the device on again."""
    await spot.add()
    await spot.round()
    await spot.pass_time(3000)
    await extend(spot.access)
    await spot.round()
    await spot.pass_time(600)
    spot.router.end_session(ONE)
    assert await spot.round() == [f"login {ONE}"]
    await spot.pass_time(1800)
    assert spot.state() is GrantState.ENDED
    assert f"remove_user {ONE}" in await spot.round()


async def test_one_that_waits_has_more_before_it(spot: Spot) -> None:
    """The user that waits on the router for its device gets the whole of it."""
    spot.router.hosts.clear()
    await spot.add()
    await spot.round()
    await extend(spot.access)
    assert await spot.hurry() == [f"put_user {ONE}"]
    assert spot.router.users[ONE].limit_uptime_seconds == 3600 + 1800


async def test_a_device_on_by_radius_is_let_on_again_at_its_old_end(spot: Spot) -> None:
    """The router ends the session it was given an hour for; the round after has the device log in again."""
    spot.mode, spot.router.radius = RouterMode.RADIUS, True
    spot.start_box()
    await spot.add()
    await spot.round()
    await spot.pass_time(3000)
    await extend(spot.access)
    await spot.pass_time(600)
    assert await spot.round() == []
    spot.router.end_session(ONE)
    assert await spot.round() == [f"login {ONE}"]


async def test_a_login_by_radius_is_for_what_is_left_now(gate: Gate) -> None:
    """Before the old end and after it: an Access-Accept says the time until the new end."""
    grant = await gate.run()
    await gate.report(grant, MAC, UsageKind.START)
    gate.books.time.advance(3000)
    await extend(gate.access)
    answer = await gate.ask(grant)
    assert isinstance(answer, LoginAccepted)
    assert answer.session_seconds == 600 + 1800
    gate.books.time.advance(900)
    await gate.access.end_round()
    (session,) = gate.books.store.read.sessions.open_of_grant("grant-1")
    assert gate.access.may_stay(session), "nobody is put off by RADIUS before the new end"
    again = await gate.ask(grant)
    assert isinstance(again, LoginAccepted)
    assert again.session_seconds == 1500
    gate.books.time.advance(1500)
    assert not gate.access.may_stay(session)


async def test_freeradius_is_told_the_new_end(gate: Gate) -> None:
    """What is followed for it sees the change, and its login lapses at the new end."""
    await gate.run()
    followed = FollowedGrants(gate.books.store, (TENANT,))
    await followed.follow()
    await extend(gate.access)
    assert (await followed.follow()).grant_ids == {"grant-1"}
    login = wanted_login(followed.usable["grant-1"], gate.books.now(), interim_seconds=300)
    assert login.expires_at == START + timedelta(hours=1) + HALF


async def test_the_next_end_is_looked_for_anew(gate: Gate) -> None:
    """Whoever waits for the old end is woken, and ends nothing before the new one."""
    await gate.run()
    assert await gate.access.end_round() == 3600
    await gate.access.ended.wait(gate.books.clock, 0)
    await gate.rung()
    await extend(gate.access)
    assert await gate.access.ended.wait(gate.books.clock, 0)
    assert await gate.rung() == {"main", "second"}
    assert await gate.access.end_round() == 5400
    gate.books.time.advance(5400)
    await gate.access.end_round()
    assert gate.grant().state is GrantState.ENDED


async def test_time_online_stays_as_it_was_bought(gate: Gate) -> None:
    """A package by time online may be used for longer, and no more of it."""
    await gate.run(ONLINE)
    listed = await extend(gate.access, timedelta(days=1))
    assert (listed.seconds_left, listed.online_seconds_left) == (2 * 86400, 7200)
    assert gate.admission().seconds_left_at(gate.books.now()) == 7200


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1), timedelta(days=31, seconds=1)])
async def test_spans_have_bounds(gate: Gate, span: timedelta) -> None:
    """Less than a second and more than a month at once are refused; nothing is written."""
    await gate.run()
    before = gate.grant()
    with pytest.raises(InvalidError):
        await extend(gate.access, span)
    assert gate.grant() == before
