"""A buyer saves time online: the device is put off, and nothing it had lets it on until the buyer wants to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import GrantState, letting_on
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import PAUSES_PER_DAY
from tests.unit.services.gate import Gate, key_of
from tests.unit.services.spot import ONE, Spot
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant

ONLINE = replace(HOUR, package_id="3h", name="3 hours", duration=timedelta(days=7), online_time=timedelta(hours=3))


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with open_books(tmp_path) as books:
        books.time.advance(10)
        yield Gate(books)


def let_on(gate: Gate) -> list[str]:
    """What would let the usual device on now."""
    usable = gate.books.store.read.grants.usable_of_device(TENANT, MAC)
    return [each.grant_id for each in letting_on(usable, gate.books.now())]


async def pause(gate: Gate, grant: Grant) -> Grant:
    return await gate.access.pause(TENANT, MAC, grant.grant_id)


async def test_time_online_stands_still_and_validity_runs_on(gate: Gate) -> None:
    """The device is put off and not let on; a week's validity is not made longer by it."""
    running = await gate.run(ONLINE)
    await gate.rung()
    paused = await pause(gate, running)
    assert (paused.state, paused.ends_at, paused.off_since) == (GrantState.RUNNING, running.ends_at, gate.books.now())
    assert await gate.rung() == {ROUTER, "second"}
    assert let_on(gate) == []
    assert key_of(await gate.ask(running)) == "paused"
    assert key_of(await gate.ask_by_mac()) == "paused"
    gate.books.time.advance(7 * 24 * 3600)
    await gate.access.end_round()
    assert (gate.grant().state, gate.grant().off_since) == (GrantState.ENDED, None)


async def test_a_session_under_way_may_not_stay(gate: Gate) -> None:
    """By RADIUS it is told to go; after the buyer is back it may."""
    running = await gate.run(ONLINE)
    await gate.report(running, MAC)
    [session] = gate.books.store.read.sessions.open_of_device(MAC)
    assert gate.access.may_stay(session)
    await pause(gate, running)
    assert not gate.access.may_stay(session)
    await gate.access.switch_to(TENANT, MAC, running.grant_id)
    assert gate.access.may_stay(session)


async def test_resuming_lets_it_on_again(gate: Gate) -> None:
    """With the same end, routers told; the login that was refused is taken."""
    running = await gate.run(ONLINE)
    await pause(gate, running)
    await gate.rung()
    gate.books.time.advance(3600)
    resumed = await gate.access.switch_to(TENANT, MAC, running.grant_id)
    assert (resumed.state, resumed.ends_at, resumed.off_since) == (GrantState.RUNNING, running.ends_at, None)
    assert await gate.rung() == {ROUTER, "second"}
    assert let_on(gate) == [running.grant_id]
    assert key_of(await gate.ask(running)) == "accepted"
    assert gate.books.events().count("grant.on_again") == 1


async def test_twice_is_once(gate: Gate) -> None:
    """A second tap pauses no more, nor does a second one resume."""
    running = await gate.run(ONLINE)
    first = await pause(gate, running)
    gate.books.time.advance(60)
    assert await pause(gate, running) == first
    await gate.access.switch_to(TENANT, MAC, running.grant_id)
    await gate.access.switch_to(TENANT, MAC, running.grant_id)
    assert (gate.books.events().count("grant.off"), gate.books.events().count("grant.on_again")) == (1, 1)


async def test_what_else_the_device_has_does_not_begin(gate: Gate) -> None:
    """Whoever saves three hours online does not want the day by the clock to be used up instead."""
    running, waiting = await gate.run(ONLINE), await gate.add(number=2)
    await pause(gate, running)
    assert let_on(gate) == []
    assert key_of(await gate.ask(waiting)) == "after_other"
    assert key_of(await gate.ask_by_mac()) == "paused"
    assert gate.grant("grant-2").state is GrantState.WAITING


async def test_what_is_bought_meanwhile_lets_it_on(gate: Gate) -> None:
    """Who buys wants to be on; what was paused stays so, and is there afterwards."""
    running = await gate.run(ONLINE)
    await pause(gate, running)
    gate.books.time.advance(10)
    bought = await gate.add(number=20)  # twenty seconds after the start of the books
    assert let_on(gate) == [bought.grant_id]
    assert key_of(await gate.ask_by_mac()) == "accepted"
    assert key_of(await gate.ask(bought)) == "accepted"
    assert gate.grant().off_since is not None
    await gate.access.switch_to(TENANT, MAC, running.grant_id)
    assert let_on(gate) == [running.grant_id]
    assert gate.grant("grant-20").state is GrantState.PAUSED


async def test_starting_another_one_is_no_pause_any_more(gate: Gate) -> None:
    """What was paused is set aside like any other, and its turn comes again."""
    running, other = await gate.run(ONLINE), await gate.add(number=2)
    await pause(gate, running)
    await gate.access.switch_to(TENANT, MAC, other.grant_id)
    assert (gate.grant().state, gate.grant().off_since) == (GrantState.PAUSED, None)
    assert let_on(gate) == [other.grant_id]


async def test_other_devices_are_not_in_it(gate: Gate) -> None:
    """Only what the same device has is kept off."""
    running, theirs = await gate.run(ONLINE), await gate.run(number=2, mac=OTHER_MAC)
    await pause(gate, running)
    usable = gate.books.store.read.grants.usable(TENANT)
    assert [each.grant_id for each in letting_on(usable, gate.books.now())] == [theirs.grant_id]


async def test_a_receipt_on_another_phone_is_no_pause_any_more(gate: Gate) -> None:
    """It follows its buyer and lets that phone on."""
    running = await gate.run(ONLINE)
    await pause(gate, running)
    assert key_of(await gate.ask_by_receipt(mac=OTHER_MAC)) == "accepted"
    assert (gate.grant().mac, gate.grant().off_since) == (OTHER_MAC, None)


async def test_what_cannot_be_paused(gate: Gate) -> None:
    """What counts by the clock, what has not begun, what is over, and what is another device's."""
    clock, waiting = await gate.run(), await gate.add(ONLINE, number=2)
    for grant_id, code in ((clock.grant_id, "grant.by_clock"), (waiting.grant_id, "grant.not_running")):
        with pytest.raises(ConflictError) as refused:
            await gate.access.pause(TENANT, MAC, grant_id)
        assert refused.value.code == code
    for tenant_id, mac, grant_id in (
        (TENANT, OTHER_MAC, waiting.grant_id),
        ("other", MAC, waiting.grant_id),
        (TENANT, MAC, "nothing"),
    ):
        with pytest.raises(NotFoundError):
            await gate.access.pause(tenant_id, mac, grant_id)


async def test_so_often_a_day(gate: Gate) -> None:
    """Each pause is work for the router; tomorrow one may again."""
    running = await gate.run(ONLINE)
    for _ in range(PAUSES_PER_DAY):
        await pause(gate, running)
        await gate.access.switch_to(TENANT, MAC, running.grant_id)
    with pytest.raises(ConflictError) as refused:
        await pause(gate, running)
    assert refused.value.code == "grant.paused_often"
    gate.books.time.advance(24 * 3600 + 1)
    assert (await pause(gate, running)).off_since is not None


async def test_the_router_puts_it_off_and_lets_it_on_again(tmp_path: Path) -> None:
    """By the API: the user goes and the session ends, whatever the router counted is kept; then both are back."""
    async with open_books(tmp_path) as books:
        spot = Spot(books)
        grant = await spot.add(ONLINE)
        spot.router.see(MAC)
        await spot.round()
        spot.router.run_session(ONE, 600)
        await spot.access.pause(TENANT, MAC, grant.grant_id)
        for _ in range(3):
            await spot.round()
            assert not spot.router.sessions_of(ONE)
            assert ONE not in spot.router.users
        used = books.store.read.grants.by_id(grant.grant_id)
        assert used is not None
        assert used.seconds_used == 600
        await spot.access.switch_to(TENANT, MAC, grant.grant_id)
        await spot.round()
        assert spot.router.sessions_of(ONE)
