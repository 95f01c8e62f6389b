"""A router asks whether a device may go online; a grant's time begins and ends."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from easyisp_edge.domain.grants import Grant, GrantState
from easyisp_edge.domain.logins import LoginAccepted, LoginAnswer, LoginRejected, LoginRequest
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import UnavailableError
from easyisp_edge.machine import Wake
from easyisp_edge.services.access import AccessService
from easyisp_edge.services.presence import Presence
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, Books, add_grant, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.store.store import Tables

T = TypeVar("T")

FAMILY = replace(HOUR, package_id="7d", devices_max=2, data_limit=DataVolume(10**9))
ELSEWHERE = replace(HOUR, package_id="x", router_ids=("second",))


@dataclass(frozen=True)
class Password:
    """A credential that was made from that password."""

    text: str

    def matches(self, password: str) -> bool:
        return password == self.text


@dataclass
class Gate:
    """The access service over real books: two routers of one tenant, one of another."""

    books: Books
    wakes: dict[str, Wake] = field(default_factory=lambda: {name: Wake() for name in (ROUTER, "second", "foreign")})

    def __post_init__(self) -> None:
        self.service = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            presence=Presence(),
            tenant_of={ROUTER: TENANT, "second": TENANT, "foreign": "other"},
            message=lambda router_id, key: f"{router_id}: {key}",
            router_changed=self.wakes,
        )

    async def add(self, package: Package = HOUR, **changes: Any) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, **changes))

    def grant(self, grant_id: str = "grant-1") -> Grant:
        found = self.books.store.read.grants.by_id(grant_id)
        assert found is not None
        return found

    async def ask(self, grant: Grant, **changes: Any) -> LoginAnswer:
        answer = self.service.answer(a_request(grant, **changes))
        return await answer if inspect.isawaitable(answer) else answer

    async def rung(self) -> set[str]:
        """Whose bells rang since they were last listened to."""
        return {name for name, wake in self.wakes.items() if await wake.wait(self.books.clock, 0)}


def a_request(grant: Grant, **changes: Any) -> LoginRequest:
    request = LoginRequest(
        router_id=ROUTER,
        username=grant.username,
        credential=Password(grant.password),
        mac=MAC,
        address="10.5.50.11",
        service=Service.HOTSPOT,
        session_id="80000001",
    )
    return request._replace(**changes)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Nobody has bought anything yet."""
    async with open_books(tmp_path) as books:
        yield Gate(books)


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": ({"credential": Password("guess")}, "wrong_password"),
    "an unknown user name": ({"username": "nobody"}, "unknown_user"),
    "an empty user name": ({"username": ""}, "unknown_user"),
    "a router of another tenant": ({"router_id": "foreign"}, "unknown_user"),
    "a router nobody knows": ({"router_id": "stolen"}, "unknown_user"),
    "another device": ({"mac": OTHER_MAC}, "other_device"),
    "another service": ({"service": Service.PPPOE}, "other_place"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("state", [GrantState.WAITING, GrantState.RUNNING])
async def test_who_may_not_is_told_why(gate: Gate, state: GrantState, changes: dict[str, Any], message: str) -> None:
    """In the customer's words; a refusal starts no time."""
    grant = await gate.add()
    if state is GrantState.RUNNING:
        await gate.service.started(grant)
    before = gate.grant()
    router = changes.get("router_id", ROUTER)
    assert await gate.ask(grant, **changes) == LoginRejected(f"{router}: rejects.{message}")
    assert gate.grant() == before


async def test_a_package_for_another_router_is_refused_here(gate: Gate) -> None:
    """And accepted there."""
    grant = await gate.add(ELSEWHERE)
    assert await gate.ask(grant) == LoginRejected(f"{ROUTER}: rejects.other_place")
    assert isinstance(await gate.ask(grant, router_id="second"), LoginAccepted)


async def test_time_that_is_up_is_refused(gate: Gate) -> None:
    """From the second it is up, also before the round has ended the grant, and for ever after."""
    grant = await gate.add()
    await gate.ask(grant)
    gate.books.time.advance(3600)
    assert await gate.ask(grant) == LoginRejected(f"{ROUTER}: rejects.time_up")
    await gate.service.end_round()
    assert await gate.ask(grant) == LoginRejected(f"{ROUTER}: rejects.time_up")


async def test_the_password_is_asked_for_before_anything_is_told(gate: Gate) -> None:
    """Whoever guesses user names does not learn whose time is up."""
    grant = await gate.add()
    await gate.ask(grant)
    gate.books.time.advance(3600)
    refused = await gate.ask(grant, credential=Password("guess"))
    assert refused == LoginRejected(f"{ROUTER}: rejects.wrong_password")


async def test_the_first_use_starts_the_time_and_is_committed_first(gate: Gate) -> None:
    """The answer waits for the disk: no power cut gives the hour away twice."""
    grant = await gate.add()
    gate.books.time.advance(86_400)
    answer = gate.service.answer(a_request(grant))
    assert not isinstance(answer, LoginAccepted | LoginRejected)
    assert gate.grant().state is GrantState.WAITING
    accepted = await answer
    assert gate.grant().state is GrantState.RUNNING
    assert accepted == LoginAccepted("grant-1", 3600, HOUR.rate_limit, None, 1)
    assert gate.books.events() == ["payment.booked", "grant.made", "grant.started"]


async def test_the_second_use_is_answered_at_once(gate: Gate) -> None:
    """From the reading connection, with the time that is left."""
    grant = await gate.add()
    await gate.ask(grant)
    gate.books.time.advance(600.5)
    assert gate.service.answer(a_request(grant)) == LoginAccepted("grant-1", 3000, HOUR.rate_limit, None, 1)
    assert gate.books.events() == ["payment.booked", "grant.made", "grant.started"]


async def test_many_first_uses_at_once_start_it_once(gate: Gate) -> None:
    """A router that asks again before it is answered does not move the end."""
    grant = await gate.add()
    answers = await asyncio.gather(*(gate.ask(grant) for _ in range(5)))
    assert answers == [answers[0]] * 5
    assert gate.books.events() == ["payment.booked", "grant.made", "grant.started"]


async def test_a_disk_that_does_not_write_answers_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The router is not told yes on a start that is not on the disk; it asks again."""
    grant = await gate.add()

    async def full(_self: object, _work: object) -> None:
        raise UnavailableError("store.not_written", "full")

    monkeypatch.setattr(type(gate.books.store), "write", full)
    with pytest.raises(UnavailableError):
        await gate.ask(grant)
    assert gate.grant().state is GrantState.WAITING


async def test_an_answer_tells_what_was_bought(gate: Gate) -> None:
    """Speed, data, devices."""
    grant = await gate.add(FAMILY)
    assert await gate.ask(grant) == LoginAccepted("grant-1", 3600, FAMILY.rate_limit, DataVolume(10**9), 2)


async def test_a_package_for_several_devices_takes_another_device(gate: Gate) -> None:
    """The router counts how many are on at once."""
    grant = await gate.add(FAMILY)
    assert isinstance(await gate.ask(grant, mac=OTHER_MAC), LoginAccepted)


@pytest.mark.parametrize(("bound", "asked"), [(None, OTHER_MAC), (MAC, None)])
async def test_a_device_nobody_named_is_not_held_against_it(gate: Gate, bound: Any, asked: Any) -> None:
    """Where the purchase did not know the device, or the router does not say it."""
    grant = await gate.add(mac=bound)
    assert isinstance(await gate.ask(grant, mac=asked), LoginAccepted)


async def test_the_last_moment_is_a_whole_second(gate: Gate) -> None:
    """A router takes nought for no limit at all."""
    grant = await gate.add()
    await gate.ask(grant)
    gate.books.time.advance(3599.9)
    accepted = await gate.ask(grant)
    assert isinstance(accepted, LoginAccepted)
    assert accepted.session_seconds == 1


async def test_a_slow_disk_gives_no_endless_session(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time was up before its start was on the disk, the answer is one second, not nought."""
    grant = await gate.add(seconds_left=1)
    write = gate.books.store.write

    async def slow_write(work: Callable[[Tables], T]) -> T:
        result = await write(work)
        gate.books.time.advance(30)
        return result

    monkeypatch.setattr(type(gate.books.store), "write", lambda _self, work: slow_write(work))
    accepted = await gate.ask(grant)
    assert isinstance(accepted, LoginAccepted)
    assert accepted.session_seconds == 1


async def test_the_end_round_ends_what_is_over(gate: Gate) -> None:
    """Once, with the routers of that tenant told; it gives the time until the next end."""
    first = await gate.add(number=1)
    second = await gate.add(number=2)
    await gate.service.started(first)
    gate.books.time.advance(600)
    await gate.service.started(second)
    assert await gate.service.end_round() == pytest.approx(3000.0)
    assert await gate.rung() == set()
    gate.books.time.advance(3000)
    assert await gate.service.end_round() == pytest.approx(600.0)
    assert gate.grant("grant-1").state is GrantState.ENDED
    assert gate.grant("grant-2").state is GrantState.RUNNING
    assert await gate.rung() == {ROUTER, "second"}
    await gate.service.end_round()
    assert await gate.rung() == set()
    gate.books.time.advance(600)
    assert await gate.service.end_round() is None
    assert gate.books.events().count("grant.ended") == 2


async def test_a_waiting_grant_never_ends(gate: Gate) -> None:
    """Its time does not run."""
    await gate.add()
    gate.books.time.advance(10**8)
    assert await gate.service.end_round() is None
    assert gate.grant().state is GrantState.WAITING


async def test_a_start_rings_for_the_round_of_ends(gate: Gate) -> None:
    """The next end may be sooner than what it waits for."""
    grant = await gate.add()
    await gate.service.started(grant)
    assert await gate.service.ended.wait(gate.books.clock, 0)
    await gate.service.started(gate.grant())
    assert not await gate.service.ended.wait(gate.books.clock, 0)


async def test_a_start_rings_for_who_wrote_the_login_elsewhere(gate: Gate) -> None:
    """Once: what bounds it there is its end from now on."""
    grant = await gate.add()
    await gate.service.started(grant)
    assert await gate.service.begun.wait(gate.books.clock, 0)
    await gate.service.started(gate.grant())
    assert not await gate.service.begun.wait(gate.books.clock, 0)


async def test_a_start_that_is_learnt_of_late_counts_from_then(gate: Gate) -> None:
    """The hour runs from when the device came on; what is over by now is ended by the next round."""
    grant = await gate.add()
    bought = gate.books.now()
    gate.books.time.advance(3000)
    await gate.service.started(grant, bought)
    assert gate.grant().started_at == bought
    assert gate.grant().ends_at == bought + timedelta(hours=1)
    gate.books.time.advance(600)
    await gate.service.end_round()
    assert gate.grant().state is GrantState.ENDED


async def test_what_lets_a_device_on(gate: Gate) -> None:
    """What runs comes before what waits; what is over and what is another's does not count."""
    await gate.add(number=1)
    running = await gate.add(number=2)
    await gate.service.started(running)
    admission = gate.service.admission_of_device(TENANT, MAC)
    assert admission is not None
    assert admission.grant_id == "grant-2"
    gate.books.time.advance(3600)
    admission = gate.service.admission_of_device(TENANT, MAC)
    assert admission is not None
    assert admission.grant_id == "grant-1"
    assert gate.service.admission_of_device(TENANT, OTHER_MAC) is None
    assert gate.service.admission_of_device("other", MAC) is None
