"""A router asks whether a device may go online."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from easyisp_edge.adapters.radius.credentials import NoPassword
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected, UsageKind
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume, MacAddress
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY
from tests.unit.services.gate import Gate, a_request, as_response, in_the_clear, key_of
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.logins import Credential
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.store.store import Tables

T = TypeVar("T")

FAMILY = replace(HOUR, package_id="family", devices_max=2, data_limit=DataVolume(10**9))
WEEK = replace(HOUR, package_id="week", duration=timedelta(days=7))
ONLINE = replace(WEEK, package_id="online", online_time=timedelta(hours=3))
NIGHT = replace(WEEK, package_id="night", schedule=Schedule.parse("22:00-06:00"))
DATA = replace(HOUR, package_id="data", data_limit=DataVolume(5 * 2**30))
ELSEWHERE = replace(HOUR, package_id="x", router_ids=("second",))
AT_HOME = replace(HOUR, package_id="p", service=Service.PPPOE)
THIRD_MAC = MacAddress("AA:BB:CC:00:00:03")


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Nobody has bought anything yet."""
    async with open_books(tmp_path) as books:
        yield Gate(books)


def accepted(answer: object) -> LoginAccepted:
    assert isinstance(answer, LoginAccepted), answer
    return answer


# By a grant's own name

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": ({"credential": in_the_clear("guess")}, "wrong_password"),
    "a wrong response": ({"credential": as_response("guess")}, "wrong_password"),
    "no password": ({"credential": NoPassword()}, "wrong_password"),
    "an unknown user name": ({"username": "nobody"}, "unknown_user"),
    "an empty user name": ({"username": ""}, "unknown_user"),
    "a router of another tenant": ({"router_id": "foreign"}, "unknown_user"),
    "a router nobody knows": ({"router_id": "stolen"}, "unknown_user"),
    "another device": ({"mac": OTHER_MAC}, "en other_device"),
    "another service": ({"service": Service.PPPOE}, "en other_place"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("state", [GrantState.WAITING, GrantState.RUNNING])
async def test_who_may_not_is_told_why(gate: Gate, state: GrantState, changes: dict[str, Any], message: str) -> None:
    """In the buyer's language once the grant is proven to be theirs; a refusal starts no time."""
    grant = await (gate.run() if state is GrantState.RUNNING else gate.add())
    before = gate.grant()
    assert await gate.ask(grant, **changes) == LoginRejected(message)
    assert gate.grant() == before


async def test_a_package_may_say_in_which_language(gate: Gate) -> None:
    """It comes before the one its buyer chose."""
    grant = await gate.run(replace(HOUR, language="sw"))
    assert await gate.ask(grant, mac=OTHER_MAC) == LoginRejected("sw other_device")


async def test_a_response_to_a_challenge_lets_on(gate: Gate) -> None:
    """As the password itself does."""
    grant = await gate.run()
    accepted(await gate.ask(grant, credential=as_response(grant.password)))


async def test_a_package_for_another_router_is_refused_here(gate: Gate) -> None:
    """And accepted there."""
    grant = await gate.add(ELSEWHERE)
    assert key_of(await gate.ask(grant)) == "other_place"
    accepted(await gate.ask(grant, router_id="second"))


async def test_time_that_is_up_is_refused(gate: Gate) -> None:
    """From the second it is up, also before the round has ended the grant, and for ever after."""
    grant = await gate.run()
    gate.books.time.advance(3600)
    assert key_of(await gate.ask(grant)) == "time_up"
    await gate.access.end_round()
    assert key_of(await gate.ask(grant)) == "time_up"


async def test_data_that_is_up_is_refused_as_such(gate: Gate) -> None:
    """The customer knows what to buy."""
    grant = await gate.run(DATA)
    await gate.report(grant, MAC, UsageKind.STOP, 60, 5 * 2**30)
    assert key_of(await gate.ask(grant)) == "data_up"


async def test_refusals_come_in_an_order(gate: Gate) -> None:
    """A proof first, then what cannot be mended here and now, then what only has to be waited for."""
    package = replace(NIGHT, router_ids=(ROUTER,), data_limit=DataVolume(10))
    grant = await gate.run(package)
    wrong: dict[str, Any] = {"credential": in_the_clear("guess"), "router_id": "second", "mac": OTHER_MAC}
    await gate.report(grant, MAC, UsageKind.STOP, 60, 10)
    assert key_of(await gate.ask(grant, **wrong)) == "wrong_password"
    del wrong["credential"]
    assert key_of(await gate.ask(grant, **wrong)) == "data_up"
    grant = await gate.run(replace(package, data_limit=None), number=2)
    assert key_of(await gate.ask(grant, **wrong)) == "other_place"
    del wrong["router_id"]
    assert key_of(await gate.ask(grant, **wrong)) == "other_device"
    del wrong["mac"]
    assert key_of(await gate.ask(grant, **wrong)) == "not_now 22:00"


async def test_the_first_use_starts_the_time_and_is_committed_first(gate: Gate) -> None:
    """The answer waits for the disk: no power cut gives the hour away twice."""
    grant = await gate.add()
    gate.books.time.advance(86_400)
    answer = gate.logins.answer(a_request(grant))
    assert not isinstance(answer, LoginAccepted | LoginRejected)
    assert gate.grant().state is GrantState.WAITING
    assert await answer == LoginAccepted("grant-1", 3600, HOUR.rate_limit, None, 1)
    assert gate.grant().state is GrantState.RUNNING
    assert gate.books.events() == ["payment.booked", "grant.made", "grant.started"]


async def test_the_second_use_is_answered_at_once(gate: Gate) -> None:
    """From the reading connection, with the time that is left."""
    grant = await gate.run()
    gate.books.time.advance(600.5)
    assert gate.logins.answer(a_request(grant)) == LoginAccepted("grant-1", 3000, HOUR.rate_limit, None, 1)
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


async def test_the_last_moment_is_a_whole_second(gate: Gate) -> None:
    """A router takes nought for no limit at all."""
    grant = await gate.run()
    gate.books.time.advance(3599.9)
    assert accepted(await gate.ask(grant)).session_seconds == 1


async def test_a_slow_disk_gives_no_endless_session(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time was up before its start was on the disk, the answer is one second, not nought."""
    grant = await gate.add(seconds_left=1)
    write = gate.books.store.write

    async def slow_write(work: Callable[[Tables], T]) -> T:
        result = await write(work)
        gate.books.time.advance(30)
        return result

    monkeypatch.setattr(type(gate.books.store), "write", lambda _self, work: slow_write(work))
    assert accepted(await gate.ask(grant)).session_seconds == 1


@pytest.mark.parametrize(("bound", "asked"), [(None, OTHER_MAC), (MAC, None)])
async def test_a_device_nobody_named_is_not_held_against_it(gate: Gate, bound: Any, asked: Any) -> None:
    """Where the purchase did not know the device, or the router does not say it."""
    grant = await gate.add(mac=bound)
    accepted(await gate.ask(grant, mac=asked))


# How long, how much, how many


async def test_a_session_is_no_longer_than_the_least_of_all_that_bounds_it(gate: Gate) -> None:
    """The time by the clock, the time online that is left over all sessions, the end of the hours."""
    package = replace(ONLINE, schedule=Schedule.parse("22:00-06:00"), duration=timedelta(hours=26))
    gate.at(22)
    grant = await gate.run(package)
    assert accepted(await gate.ask(grant)).session_seconds == 3 * 3600  # online
    gate.at(5)
    assert accepted(await gate.ask(grant)).session_seconds == 3600  # until closing
    gate.at(23, 30)
    assert accepted(await gate.ask(grant)).session_seconds == 1800  # by the clock


async def test_time_online_counts_over_all_sessions(gate: Gate) -> None:
    """What was used yesterday is not there today; when nothing is left, the grant is over."""
    grant = await gate.run(ONLINE)
    await gate.report(grant, MAC, UsageKind.STOP, 3600)
    gate.books.time.advance(86_400)
    assert accepted(await gate.ask(grant)).session_seconds == 2 * 3600
    await gate.report(grant, MAC, UsageKind.STOP, 7200, router="second")
    assert key_of(await gate.ask(grant)) == "time_up"
    assert gate.grant().state is GrantState.ENDED


async def test_data_counts_over_all_sessions(gate: Gate) -> None:
    """The router is told what is left, not what was bought."""
    grant = await gate.run(DATA)
    await gate.report(grant, MAC, UsageKind.STOP, 60, 2**30)
    await gate.report(grant, MAC, UsageKind.STOP, 60, 3, router="second")
    assert accepted(await gate.ask(grant)).data_left == DataVolume(4 * 2**30 - 3)


async def test_an_answer_tells_what_was_bought(gate: Gate) -> None:
    """Speed, data, devices."""
    grant = await gate.run(FAMILY)
    assert await gate.ask(grant) == LoginAccepted("grant-1", 3600, FAMILY.rate_limit, DataVolume(10**9), 2)


async def test_a_package_for_several_devices_counts_them_over_all_routers(gate: Gate) -> None:
    """A third is refused wherever it comes; who is on already may come again, and one that leaves makes room."""
    grant = await gate.run(FAMILY)
    accepted(await gate.ask(grant))
    await gate.report(grant, MAC)
    accepted(await gate.ask(grant, mac=OTHER_MAC, router_id="second"))
    await gate.report(grant, OTHER_MAC, router="second")
    for router in (ROUTER, "second"):
        assert key_of(await gate.ask(grant, mac=THIRD_MAC, router_id=router)) == "devices_full"
        accepted(await gate.ask(grant, mac=OTHER_MAC, router_id=router))
    await gate.report(grant, MAC, UsageKind.STOP, 60)
    accepted(await gate.ask(grant, mac=THIRD_MAC))


async def test_a_device_on_two_routers_is_one(gate: Gate) -> None:
    """It walked from one to the other, and the first has not noticed yet."""
    grant = await gate.run(FAMILY)
    for router in (ROUTER, "second"):
        await gate.report(grant, MAC, router=router)
    accepted(await gate.ask(grant, mac=OTHER_MAC))


# By hours


async def test_a_night_package_is_refused_by_day(gate: Gate) -> None:
    """With the hour from which it works, by Kenya's clock; its time does not begin to run."""
    grant = await gate.add(NIGHT)
    gate.at(12)
    assert key_of(await gate.ask(grant)) == "not_now 22:00"
    assert key_of(await gate.ask_by_mac()) == "not_now 22:00"
    assert key_of(await gate.ask_by_receipt()) == "not_now 22:00"
    assert gate.grant().state is GrantState.WAITING
    gate.at(22)
    assert accepted(await gate.ask(grant)).session_seconds == 8 * 3600


# By the device's address

SPELLINGS = [
    "AA:BB:CC:00:00:01",
    "AA-BB-CC-00-00-01",
    "AABBCC:000001",
    "AABBCC-000001",
    "AABBCC000001",
    "AABB:CC00:0001",
    "AABB-CC00-0001",
    "aa:bb:cc:00:00:01",
    "aa-bb-cc-00-00-01",
    "aabbcc:000001",
    "aabbcc-000001",
    "aabbcc000001",
    "aabb:cc00:0001",
    "aabb-cc00-0001",
]


@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_device_is_let_on_by_its_address(gate: Gate, name: str) -> None:
    """In every spelling a router can be set to, without any password: the router itself saw the device."""
    await gate.run()
    gate.books.time.advance(600)
    assert accepted(await gate.ask_by_mac(username=name)) == LoginAccepted("grant-1", 3000, HOUR.rate_limit, None, 1)


@pytest.mark.parametrize("password", ["", "AA:BB:CC:00:00:01", "set-on-the-router"])
async def test_whatever_password_a_router_gives_for_an_address_is_good(gate: Gate, password: str) -> None:
    """Some give one for all, or the address again."""
    await gate.run()
    accepted(await gate.ask_by_mac(credential=in_the_clear(password)))
    accepted(await gate.ask_by_mac(credential=as_response(password)))


@pytest.mark.parametrize("mac", [OTHER_MAC, None])
async def test_an_address_lets_no_other_device_on(gate: Gate, mac: MacAddress | None) -> None:
    """Typed into the login form it is nothing, and neither is it one where the router does not say the device."""
    await gate.run()
    request = a_request(gate.grant(), username=str(MAC), credential=NoPassword(), mac=mac)
    assert await gate.answer(request) == LoginRejected("unknown_user")


async def test_a_device_that_bought_nothing_is_not_let_on_by_its_address(gate: Gate) -> None:
    """Nor after its time is up, nor by what it bought of somebody else."""
    await gate.run()
    assert await gate.ask_by_mac(OTHER_MAC) == LoginRejected("unknown_user")
    assert await gate.ask_by_mac(router_id="foreign") == LoginRejected("unknown_user")
    gate.books.time.advance(3600)
    assert await gate.ask_by_mac() == LoginRejected("unknown_user")


async def test_an_address_starts_what_was_bought_first(gate: Gate) -> None:
    """One after the other: what runs, then by age; the next is let on at its end."""
    await gate.add(number=1)
    await gate.add(number=2)
    assert accepted(await gate.ask_by_mac()).grant_id == "grant-1"
    gate.books.time.advance(3599)
    assert accepted(await gate.ask_by_mac()).grant_id == "grant-1"
    gate.books.time.advance(1)  # before the round has ended it
    assert accepted(await gate.ask_by_mac()) == LoginAccepted("grant-2", 3600, HOUR.rate_limit, None, 1)


async def test_an_address_finds_what_is_for_here_and_now(gate: Gate) -> None:
    """A night package by day, one of another router, one for home: each is passed over for what works."""
    gate.at(12)
    for number, package in enumerate((NIGHT, ELSEWHERE, AT_HOME, HOUR), 1):
        await gate.add(package, number=number)
    assert accepted(await gate.ask_by_mac(router_id="second")).grant_id == "grant-2"
    assert accepted(await gate.ask_by_mac()).grant_id == "grant-4"


async def test_an_address_is_no_login_of_a_line_at_home(gate: Gate) -> None:
    """There anybody may name any address: PPPoE takes names and passwords alone."""
    await gate.add(AT_HOME)
    assert await gate.ask_by_mac(service=Service.PPPOE) == LoginRejected("unknown_user")


async def test_an_address_is_never_locked_out(gate: Gate) -> None:
    """A router asks for each device, again and again; those that bought nothing harm nobody."""
    await gate.run()
    for _ in range(100):
        assert key_of(await gate.ask_by_mac(OTHER_MAC)) == "unknown_user"
    accepted(await gate.ask_by_mac())
    accepted(await gate.ask_by_receipt())


# By receipt


@pytest.mark.parametrize("by", [in_the_clear, as_response])
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("RECEIPT001", "RECEIPT001"),
        ("receipt001", "receipt001"),
        ("Receipt001", "Receipt001"),
        ("Receipt001", "receipt001"),
        ("RECEIPT001", "receipt001"),
        ("receipt001", "RECEIPT001"),
        (" RECEIPT001.", "RECEIPT001"),
    ],
)
async def test_a_receipt_lets_on(gate: Gate, name: str, password: str, by: Callable[[str], Credential]) -> None:
    """As user name and password, however its letters are typed, in the clear and as response."""
    await gate.add()
    assert accepted(await gate.ask_by_receipt(name, credential=by(password))).grant_id == "grant-1"
    assert gate.grant().state is GrantState.RUNNING


async def test_a_receipt_moves_what_it_bought_to_the_device_it_is_typed_on(gate: Gate) -> None:
    """With the time that is left; the device that had it is put off, and may not come back by its own name."""
    grant = await gate.run()
    await gate.report(grant, MAC)
    gate.books.time.advance(600)
    await gate.rung()
    answer = await gate.ask_by_receipt(mac=OTHER_MAC)
    assert answer == LoginAccepted("grant-1", 3000, HOUR.rate_limit, None, 1)
    assert gate.grant().mac == OTHER_MAC
    assert await gate.rung() == {ROUTER, "second"}
    assert await gate.orders[ROUTER].wait(gate.books.clock, 0)
    (session,) = gate.books.store.read.sessions.open_of_grant("grant-1")
    assert not gate.access.may_stay(session)
    assert key_of(await gate.ask(grant)) == "other_device"
    assert key_of(await gate.ask_by_mac()) == "unknown_user"
    accepted(await gate.ask_by_mac(OTHER_MAC))


async def test_a_receipt_moves_a_grant_three_times_a_day(gate: Gate) -> None:
    """Not a fourth time, nor by who had it before; a day later it moves again."""
    await gate.run(WEEK)
    for mac in (OTHER_MAC, MAC, OTHER_MAC)[:MOVES_PER_DAY]:
        accepted(await gate.ask_by_receipt(mac=mac))
    assert key_of(await gate.ask_by_receipt(mac=MAC)) == "other_device"
    assert gate.grant().mac == OTHER_MAC
    accepted(await gate.ask_by_receipt(mac=OTHER_MAC))
    gate.books.time.advance(86_400 + 1)
    accepted(await gate.ask_by_receipt(mac=MAC))


async def test_a_receipt_asked_twice_at_once_moves_once(gate: Gate) -> None:
    """A button pressed five times uses up one move."""
    await gate.run()
    answers = await asyncio.gather(*(gate.ask_by_receipt(mac=OTHER_MAC) for _ in range(5)))
    assert [key_of(answer) for answer in answers] == ["accepted"] * 5
    assert gate.books.events().count("grant.moved") == 1


async def test_who_comes_by_receipt_is_nobody_of_staff(gate: Gate) -> None:
    """A move that a customer makes stands in the history, and not in the trail of what staff did."""
    await gate.run()
    accepted(await gate.ask_by_receipt(mac=OTHER_MAC))
    assert "grant.moved" in gate.books.events()
    assert gate.books.store.read.acts.page(None, None, 9).rows == []


async def test_what_was_not_begun_moves_and_begins(gate: Gate) -> None:
    """Bought on one phone and used on the other."""
    await gate.add()
    assert accepted(await gate.ask_by_receipt(mac=OTHER_MAC)).session_seconds == 3600
    assert (gate.grant().state, gate.grant().mac) == (GrantState.RUNNING, OTHER_MAC)


async def test_what_ends_meanwhile_does_not_move(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end was committed between the look and the move."""
    await gate.run()
    write = gate.books.store.write

    async def late_write(work: Callable[[Tables], T]) -> T:
        await write(lambda tx: tx.grants.update(gate.grant().ended(gate.books.now())))
        return await write(work)

    monkeypatch.setattr(type(gate.books.store), "write", lambda _self, work: late_write(work))
    assert key_of(await gate.ask_by_receipt(mac=OTHER_MAC)) == "other_device"
    assert gate.grant().mac == MAC


async def test_a_receipt_of_several_devices_moves_nothing(gate: Gate) -> None:
    """It lets on as many devices as were bought, and no more."""
    grant = await gate.run(FAMILY)
    for mac in (MAC, OTHER_MAC):
        accepted(await gate.ask_by_receipt(mac=mac))
        await gate.report(grant, mac)
    assert key_of(await gate.ask_by_receipt(mac=THIRD_MAC)) == "devices_full"
    assert gate.grant().mac == MAC
    assert "grant.moved" not in gate.books.events()


async def test_what_may_not_be_used_does_not_move(gate: Gate) -> None:
    """Shut at this hour, of another place, or used up: it stays where it is."""
    gate.at(12)
    for number, package in ((1, NIGHT), (2, ELSEWHERE), (3, HOUR)):
        await gate.run(package, number=number)
    gate.books.time.advance(3600)
    keys = [key_of(await gate.ask_by_receipt(f"RECEIPT00{number}", OTHER_MAC)) for number in (1, 2, 3)]
    assert keys == ["not_now 22:00", "time_up", "time_up"]
    await gate.run(ELSEWHERE, number=4)
    assert key_of(await gate.ask_by_receipt("RECEIPT004", OTHER_MAC)) == "other_place"
    assert "grant.moved" not in gate.books.events()


NOTHING_TOLD: dict[str, dict[str, Any]] = {
    "of nobody": {"username": "RECEIPT999", "credential": in_the_clear("RECEIPT999")},
    "of somebody, with another password": {"username": "RECEIPT001", "credential": in_the_clear("RECEIPT999")},
    "of somebody, with none": {"username": "RECEIPT001", "credential": NoPassword()},
    "of somebody, with a wrong response": {"username": "RECEIPT001", "credential": as_response("RECEIPT999")},
    "of another tenant": {"username": "RECEIPT002", "credential": in_the_clear("RECEIPT002")},
}


@pytest.mark.parametrize("changes", NOTHING_TOLD.values(), ids=NOTHING_TOLD.keys())
async def test_nothing_tells_whether_a_receipt_exists(gate: Gate, changes: dict[str, Any]) -> None:
    """The same words, in the same language, as often, and locked out after as many."""
    await gate.run(replace(HOUR, language="sw"), number=1)
    await gate.add(number=2, tenant_id="other")
    answers = [await gate.ask_by_receipt(mac=OTHER_MAC, **changes) for _ in range(6)]
    assert answers == [LoginRejected("unknown_user")] * 5 + [LoginRejected("locked")]


async def test_whose_time_is_up_is_told_to_the_holder_alone(gate: Gate) -> None:
    """Who shows the receipt learns it; who does not learns nothing."""
    grant = await gate.run()
    gate.books.time.advance(3600)
    assert key_of(await gate.ask_by_receipt()) == "time_up"
    assert await gate.ask_by_receipt(credential=in_the_clear("guess")) == LoginRejected("unknown_user")
    assert await gate.ask(grant, credential=in_the_clear("guess")) == LoginRejected("wrong_password")


async def test_who_guesses_receipts_is_locked_out_of_receipts_alone(gate: Gate) -> None:
    """The right one does not help within ten minutes; the machine's way and the address do."""
    grant = await gate.run()
    for number in range(5):
        assert key_of(await gate.ask_by_receipt(f"GUESS0000{number}")) == "unknown_user"
    assert await gate.ask_by_receipt() == LoginRejected("locked")
    accepted(await gate.ask(grant))
    accepted(await gate.ask_by_mac())
    gate.books.time.advance(601)
    accepted(await gate.ask_by_receipt())


async def test_one_guesser_does_not_lock_another_device_out(gate: Gate) -> None:
    """Unless they guess sixty times behind one router together: that is no typing error any more."""
    await gate.run()
    for number in range(59):
        guesser = MacAddress(f"AA:BB:CC:00:01:{number // 5:02X}")
        assert key_of(await gate.ask_by_receipt("GUESS00000", guesser)) == "unknown_user"
    accepted(await gate.ask_by_receipt())
    await gate.ask_by_receipt("GUESS00000", OTHER_MAC)
    assert await gate.ask_by_receipt() == LoginRejected("locked")
    accepted(await gate.ask_by_receipt(router_id="second"))


async def test_a_wrong_password_of_a_known_name_locks_nobody_out(gate: Gate) -> None:
    """A name of that kind is not guessed; a router with an old cookie asks again and again."""
    grant = await gate.run()
    for _ in range(10):
        assert key_of(await gate.ask(grant, credential=in_the_clear("old"))) == "wrong_password"
    accepted(await gate.ask_by_receipt())
    accepted(await gate.ask(grant))


async def test_names_that_are_no_receipt_are_not_counted(gate: Gate) -> None:
    """Somebody's own user, or a word."""
    await gate.run()
    for _ in range(10):
        assert key_of(await gate.ask_by_receipt("landlord")) == "unknown_user"
    accepted(await gate.ask_by_receipt())


# One after the other


async def ways_of(gate: Gate, grant: Grant, receipt: str) -> set[str]:
    """What all ways of logging in by one grant lead to."""
    return {key_of(await gate.ask(grant)), key_of(await gate.ask_by_receipt(receipt))}


async def test_what_comes_after_is_refused_until_its_turn(gate: Gate) -> None:
    """A grant that waits, or was set aside, keeps its time while another one of its device runs."""
    await gate.add(number=1)
    first = await gate.run(number=1 + 1)
    second = await gate.add(number=3)
    await gate.access.switch_to(TENANT, MAC, "grant-3")
    assert await ways_of(gate, first, "RECEIPT002") == {"after_other"}
    assert (gate.grant("grant-1").state, gate.grant("grant-2").state) == (GrantState.WAITING, GrantState.PAUSED)
    assert accepted(await gate.ask_by_mac()).grant_id == second.grant_id
    gate.books.time.advance(3600)
    assert await ways_of(gate, first, "RECEIPT002") == {"accepted"}
    assert gate.grant("grant-2").state is GrantState.RUNNING


async def test_after_another_device_nobody_has_to_wait(gate: Gate) -> None:
    """A family's second phone, and a grant that moves to a phone where nothing runs."""
    await gate.run(number=1)
    family = await gate.add(FAMILY, number=2)
    await gate.add(number=3)
    assert key_of(await gate.ask(family)) == "after_other"
    accepted(await gate.ask(family, mac=OTHER_MAC))
    accepted(await gate.ask_by_receipt("RECEIPT003", THIRD_MAC))


@pytest.mark.parametrize("other", [NIGHT, ELSEWHERE, AT_HOME], ids=["shut", "elsewhere", "another service"])
async def test_what_lets_nobody_on_here_is_not_waited_for(gate: Gate, other: Package) -> None:
    """It runs by the clock, and cannot be used here and now."""
    gate.at(12)
    await gate.run(other, number=1)
    grant = await gate.add(number=2)
    accepted(await gate.ask(grant))


async def test_what_was_set_aside_is_let_on_while_the_other_is_shut(gate: Gate) -> None:
    """Set aside for the night package, it comes back in the morning."""
    gate.at(21)
    grant = await gate.run(WEEK, number=1)
    await gate.add(NIGHT, number=2)
    gate.at(22)
    await gate.access.switch_to(TENANT, MAC, "grant-2")
    assert key_of(await gate.ask(grant)) == "after_other"
    gate.at(6)
    assert accepted(await gate.ask_by_mac()).grant_id == "grant-1"
    assert gate.grant("grant-1").state is GrantState.RUNNING
