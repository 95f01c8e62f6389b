"""What happens to a grant between its purchase and its end, and one grant set aside for another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY, end, follow, pause, start
from tests.unit.services.gate import Gate
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.store.store import Tables

NIGHT = replace(HOUR, package_id="night", duration=timedelta(days=7), schedule=Schedule.parse("22:00-06:00"))


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Nobody has bought anything yet."""
    async with open_books(tmp_path) as books:
        yield Gate(books)


# Steps


async def test_starting_what_runs_or_is_over_changes_nothing(gate: Gate) -> None:
    """And is not told of."""
    await gate.run()
    for _ in range(2):
        before, told = gate.grant(), gate.books.events()
        gate.books.time.advance(60)
        await gate.books.store.write(lambda tx: start(tx, gate.grant(), gate.books.now()))
        assert (gate.grant(), gate.books.events()) == (before, told)
        await gate.books.store.write(lambda tx: end(tx, gate.grant(), "time", gate.books.now()))


async def test_what_is_set_aside_keeps_its_time(gate: Gate) -> None:
    """For however long, and it runs on with that."""
    await gate.run()
    gate.books.time.advance(600)
    await gate.books.store.write(lambda tx: pause(tx, gate.grant(), gate.books.now()))
    gate.books.time.advance(10**6)
    assert gate.admission().seconds_left_at(gate.books.now()) == 3000
    assert await gate.access.end_round() is None
    await gate.access.started(gate.grant())
    assert gate.grant().ends_at == gate.books.now() + timedelta(seconds=3000)
    assert gate.books.events()[-2:] == ["grant.paused", "grant.started"]


@pytest.mark.parametrize("state", [GrantState.WAITING, GrantState.RUNNING, GrantState.PAUSED])
async def test_whatever_state_it_is_in_it_can_end_once(gate: Gate, state: GrantState) -> None:
    """And nothing brings it back."""
    await gate.add()
    if state is not GrantState.WAITING:
        await gate.access.started(gate.grant())
    if state is GrantState.PAUSED:
        await gate.books.store.write(lambda tx: pause(tx, gate.grant(), gate.books.now()))
    for _ in range(2):
        await gate.books.store.write(lambda tx: end(tx, gate.grant(), "staff", gate.books.now()))
    await gate.access.started(gate.grant())
    assert gate.grant().state is GrantState.ENDED
    assert not gate.admission().usable_at(gate.books.now())
    assert gate.books.events().count("grant.ended") == 1


async def test_a_grant_moves_so_often_within_a_day(gate: Gate) -> None:
    """Each move makes room again a day after it."""
    await gate.add()

    def moved(tx: Tables) -> bool:
        return follow(tx, gate.grant(), OTHER_MAC, gate.books.now(), by="receipt") is not None

    for _ in range(MOVES_PER_DAY):
        assert await gate.books.store.write(moved)
        gate.books.time.advance(3600)
    assert not await gate.books.store.write(moved)
    gate.books.time.advance(86_400 - MOVES_PER_DAY * 3600 + 1)
    assert await gate.books.store.write(moved)
    assert not await gate.books.store.write(moved)


# One set aside for another


async def test_a_switch_sets_aside_what_runs(gate: Gate) -> None:
    """With the time it has left; the other one runs at once, and all are told who must be."""
    await gate.run(number=1)
    await gate.add(number=2)
    gate.books.time.advance(600)
    await gate.rung()
    await gate.access.ended.wait(gate.books.clock, 0)
    assert (await gate.access.switch_to(TENANT, MAC, "grant-2")) == gate.grant("grant-2")
    assert (gate.grant("grant-1").state, gate.grant("grant-1").seconds_left) == (GrantState.PAUSED, 3000)
    assert gate.grant("grant-2").ends_at == gate.books.now() + timedelta(hours=1)
    assert await gate.rung() == {ROUTER, "second"}
    assert await gate.access.ended.wait(gate.books.clock, 0)
    assert await gate.access.begun.wait(gate.books.clock, 0)


async def test_a_switch_to_what_runs_changes_nothing(gate: Gate) -> None:
    """The button was pressed twice."""
    await gate.run(number=1)
    before = gate.grant()
    gate.books.time.advance(60)
    assert await gate.access.switch_to(TENANT, MAC, "grant-1") == before
    assert gate.books.events().count("grant.started") == 1


async def test_only_a_devices_own_grants_are_switched_to(gate: Gate) -> None:
    """Not another device's, another tenant's, one that is over, or one there never was; nothing changes."""
    await gate.run(number=1)
    await gate.add(number=2, mac=OTHER_MAC)
    await gate.add(number=3, tenant_id="other")
    await gate.add(number=4)
    await gate.books.store.write(lambda tx: end(tx, gate.grant("grant-4"), "staff", gate.books.now()))
    before = gate.books.events()
    for grant_id in ("grant-2", "grant-3", "grant-4", "grant-9"):
        with pytest.raises(NotFoundError):
            await gate.access.switch_to(TENANT, MAC, grant_id)
    assert gate.books.events() == before


async def test_what_cannot_be_used_now_is_not_switched_to(gate: Gate) -> None:
    """Shut at this hour, or used up: what runs goes on."""
    gate.at(12)
    await gate.run(number=1)
    await gate.add(NIGHT, number=2)
    await gate.add(replace(HOUR, package_id="d", data_limit=DataVolume(10)), number=3)
    await gate.books.store.write(lambda tx: tx.grants.use("grant-3", 0, 10))
    for grant_id in ("grant-2", "grant-3"):
        with pytest.raises(ConflictError):
            await gate.access.switch_to(TENANT, MAC, grant_id)
    assert gate.grant("grant-1").state is GrantState.RUNNING


async def test_a_switch_leaves_another_service_alone(gate: Gate) -> None:
    """The line at home is not set aside for the hotspot."""
    await gate.run(replace(HOUR, package_id="p", service=Service.PPPOE), number=1)
    await gate.add(number=2)
    await gate.access.switch_to(TENANT, MAC, "grant-2")
    assert gate.grant("grant-1").state is GrantState.RUNNING


async def test_what_is_over_is_ended_and_not_set_aside(gate: Gate) -> None:
    """Its time was up, and nobody had looked since: else it would stand there with nothing left for ever."""
    await gate.run(number=1)
    await gate.add(number=2)
    gate.books.time.advance(3600)
    await gate.access.switch_to(TENANT, MAC, "grant-2")
    assert gate.grant("grant-1").state is GrantState.ENDED
    assert gate.grant("grant-2").ends_at == gate.books.now() + timedelta(hours=1)


async def test_who_switches_many_times_a_second_wins_nothing(gate: Gate) -> None:
    """Seconds are counted whole and rounded up: what one is given by that is taken off the other."""
    await gate.run(number=1)
    await gate.add(number=2)
    began = gate.books.now()
    for number in range(2000):
        gate.books.time.advance(0.375)
        await gate.access.switch_to(TENANT, MAC, f"grant-{2 - number % 2}")
    online = gate.books.now() - began
    assert left_exactly(gate, "grant-1") + left_exactly(gate, "grant-2") == timedelta(hours=2) - online


def left_exactly(gate: Gate, grant_id: str) -> timedelta:
    grant = gate.grant(grant_id)
    if grant.ends_at is None:
        return timedelta(seconds=grant.seconds_left)
    return max(grant.ends_at - gate.books.now(), timedelta())


# Any sequence of all of it


@dataclass
class Customer:
    """A device with some grants, its router, and a box that may lose its power: what it is served is counted.

    Args:
        gate: The box.
        bought: Seconds of each grant.
        served: Seconds each grant ran for, as far as they are over.
        running_since: Of what runs.
    """

    gate: Gate
    bought: list[int]
    served: dict[str, timedelta] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return [f"grant-{number}" for number in range(1, len(self.bought) + 1)]

    async def come(self) -> None:
        for number, seconds in enumerate(self.bought, 1):
            await self.gate.add(replace(HOUR, duration=timedelta(seconds=seconds)), number=number)

    def running(self) -> list[Grant]:
        return [grant for grant in map(self.gate.grant, self.ids) if grant.state is GrantState.RUNNING]

    async def switch(self, index: int) -> None:
        """The customer asks for one of them, whether or not that can be had."""
        before = self.running()
        chosen = self.ids[index % len(self.ids)]
        is_over = left_exactly(self.gate, chosen) <= timedelta() or self.gate.grant(chosen).state is GrantState.ENDED
        try:
            await self.gate.access.switch_to(TENANT, MAC, chosen)
        except (NotFoundError, ConflictError):
            assert is_over
            assert self.running() == before
        else:
            assert not is_over
            assert [grant.grant_id for grant in self.running()] == [chosen]

    async def appear(self) -> None:
        """The device is seen by a router that asks."""
        if any(not self.is_over(grant_id) for grant_id in self.ids):
            await self.gate.ask_by_mac()
            assert len([grant for grant in self.running() if not self.is_over(grant.grant_id)]) == 1

    async def pass_time(self, milliseconds: int) -> None:
        """Time goes by; what runs is served until it is over, to the instant."""
        span = timedelta(milliseconds=milliseconds)
        for grant in self.running():
            served = min(span, left_exactly(self.gate, grant.grant_id))
            self.served[grant.grant_id] = self.served.get(grant.grant_id, timedelta()) + served
        self.gate.books.time.advance(milliseconds / 1000)

    def is_over(self, grant_id: str) -> bool:
        return not self.gate.admission(grant_id).usable_at(self.gate.books.now())

    async def use_up(self) -> None:
        """Nobody asks for anything more: one after the other is served by itself."""
        for _ in range(10 * len(self.ids)):
            await self.gate.access.end_round()
            if all(self.is_over(grant_id) for grant_id in self.ids):
                return
            await self.appear()
            await self.pass_time(60_000)
        raise AssertionError("it never ends")

    def check(self) -> None:
        """What was served and what is left come to what was bought."""
        left = sum((left_exactly(self.gate, grant_id) for grant_id in self.ids), timedelta())
        assert sum(self.served.values(), timedelta()) + left == timedelta(seconds=sum(self.bought))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("switch"), st.integers(0, 2)),
        st.tuples(st.just("pass"), st.integers(1, 90_000)),
        st.tuples(st.just("appear"), st.just(0)),
        st.tuples(st.just("end round"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bought=st.lists(st.integers(1, 300), min_size=2, max_size=3), steps=STEPS)
def test_nothing_is_lost_or_won(bought: list[int], steps: list[tuple[str, int]]) -> None:
    """Whatever a customer switches, whenever the box looks or starts anew: in all, what was bought is served.

    What was set aside comes back by itself once the other is over; at most one runs.
    """
    asyncio.run(_play(bought, steps))


async def _play(bought: list[int], steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        async with open_books(Path(folder)) as books:
            customer = Customer(Gate(books), bought)
            await customer.come()
            for step, number in steps:
                await _take(customer, step, number)
                customer.check()
            await customer.use_up()
            customer.check()
            assert sum(customer.served.values(), timedelta()) == timedelta(seconds=sum(bought))


async def _take(customer: Customer, step: str, number: int) -> None:
    if step == "switch":
        await customer.switch(number)
    elif step == "pass":
        await customer.pass_time(number)
    elif step == "appear":
        await customer.appear()
    elif step == "end round":
        await customer.gate.access.end_round()
    else:
        customer.gate.restart()


async def test_after_a_restart_all_stands_as_it_stood(gate: Gate) -> None:
    """Set aside, running and waiting: the books say it, and the switch goes on from there."""
    for number in (1, 2, 3):
        await gate.add(number=number)
    await gate.access.started(gate.grant("grant-1"))
    gate.books.time.advance(600)
    await gate.access.switch_to(TENANT, MAC, "grant-2")
    before = [gate.grant(f"grant-{number}") for number in (1, 2, 3)]
    gate.restart()
    assert [gate.grant(f"grant-{number}") for number in (1, 2, 3)] == before
    gate.books.time.advance(3600)
    await gate.access.end_round()
    await gate.ask_by_mac()
    assert [gate.grant(f"grant-{number}").state for number in (1, 2, 3)] == [
        GrantState.RUNNING,
        GrantState.ENDED,
        GrantState.WAITING,
    ]
    assert gate.grant("grant-1").ends_at == gate.books.now() + timedelta(seconds=3000)
