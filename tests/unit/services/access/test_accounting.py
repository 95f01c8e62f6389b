"""What routers report as used: again, out of order, and with ids that come round."""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.logins import UsageKind
from tests.unit.services.access.accounting_desk import (
    ROUTER_ON,
    USER,
    AccountingDesk,
    accounting_desk,
    interim,
    start,
    stop,
)
from tests.unit.shop import OTHER_MAC

if TYPE_CHECKING:
    from easyisp_edge.domain.logins import UsageReport
    from tests.unit.services.access.accounting_desk import Row

STOPPED = (120, 5000, 10000, True, "Session-Timeout", "grant-1")
# A session of 25 seconds: however its packets are mixed up on the way, they are that far apart at most.
SHORT = (start(), interim(10, 300), interim(20, 700), stop(25, 900))


@pytest.fixture
def desk() -> AccountingDesk:
    return accounting_desk()


async def test_a_session_is_kept_as_reported(desk: AccountingDesk) -> None:
    """From its start to its stop, under the grant whose user name it has; its end is told once."""
    await desk.report(start())
    assert desk.sessions() == [(0, 0, 0, 0, "", "grant-1")]
    assert desk.presence.is_online(USER)
    await desk.after(60, interim())
    assert desk.sessions() == [(60, 1000, 2000, 0, "", "grant-1")]
    assert desk.used() == (60, 3000)
    assert desk.events() == []
    await desk.after(60, stop())
    assert desk.sessions() == [STOPPED]
    assert desk.used() == (120, 15000)
    assert not desk.presence.is_online(USER)


async def test_an_end_is_told_with_all_that_was_used(desk: AccountingDesk) -> None:
    """Where, which, since when, by which grant, how much, and why it ended."""
    await desk.report(start())
    await desk.after(120, stop())
    ((kind, data),) = desk.events()
    assert kind == "session.stopped"
    assert data == {
        "router": "main",
        "session": "80100001",
        "startedAt": "2026-11-21T06:00:00+00:00",
        "grant": "grant-1",
        "seconds": 120,
        "octetsIn": 5000,
        "octetsOut": 10000,
        "cause": "Session-Timeout",
    }


async def _after(desk: AccountingDesk, reports: tuple[UsageReport, ...]) -> tuple[list[Row], tuple[int, int], int]:
    """What the books say after reports in that order, which is then undone."""
    desk.sql.execute("SAVEPOINT trial")
    await desk.report(*reports)
    outcome = (desk.sessions(), desk.used(), len(desk.events()))
    desk.sql.execute("ROLLBACK TO trial")
    return outcome


async def test_in_any_order_and_twice_reports_are_one_session(desk: AccountingDesk) -> None:
    """Every order of a history in which each report comes twice: the sessions and sums of the true order, told once."""
    shuffled, draw = list(SHORT + SHORT), Random(1)
    orders = [tuple(draw.sample(shuffled, len(shuffled))) for _ in range(300)]
    orders += set(permutations((*SHORT[1:], *SHORT[1:])))
    for order in orders:
        rows, used, told = await _after(desk, order)
        assert rows == [(25, 900, 1800, True, "Session-Timeout", "grant-1")], order
        assert (used, told) == ((25, 2700), 1), order


async def test_what_is_lost_leaves_what_the_rest_says(desk: AccountingDesk) -> None:
    """Every order of every part of a history, each report once or thrice, says what that part says in true order."""
    for size in range(1, len(SHORT)):
        for arrived in combinations(SHORT, size):
            right = await _after(desk, arrived)
            last = arrived[-1]
            assert right[0][0][:4] == (last.seconds, last.octets_in, last.octets_out, last.kind is UsageKind.STOP)
            for order in permutations(arrived):
                assert await _after(desk, order) == right, order
                assert await _after(desk, order * 3) == right, order


@pytest.mark.parametrize("length", [5, 3600, 86400])
async def test_a_start_after_its_own_stop_opens_nothing(desk: AccountingDesk, length: int) -> None:
    """However long the session was: it would stand for ever as one that nobody ends."""
    await desk.report(stop(length))
    await desk.after(10, start())
    assert [row[:2] + row[3:4] for row in desk.sessions()] == [(length, 5000, True)]
    assert not desk.presence.is_online(USER)


async def test_a_repeated_stop_counts_once(desk: AccountingDesk) -> None:
    """At once, and after the router was slow to hear the answer."""
    await desk.report(start())
    await desk.after(120, stop(), stop())
    await desk.after(20, stop())
    assert (desk.sessions(), desk.used(), len(desk.events())) == ([STOPPED], (120, 15000), 1)


async def test_an_interim_after_the_stop_only_adds(desk: AccountingDesk) -> None:
    """It was overtaken: where it says more that counts, where it says less nothing changes; nobody is on."""
    await desk.report(start())
    await desk.after(120, stop())
    await desk.after(1, interim(110, 6000), interim(60, 10))
    assert desk.sessions() == [(120, 6000, 12000, True, "Session-Timeout", "grant-1")]
    assert desk.used() == (120, 18000)
    assert not desk.presence.is_online(USER)


async def test_counters_never_shrink(desk: AccountingDesk) -> None:
    """Each by itself: an old report may say more of one and less of another."""
    await desk.report(start())
    await desk.after(120, interim(120, 5000))
    await desk.after(1, interim(90, 1)._replace(octets_out=20_000))
    assert desk.sessions() == [(120, 5000, 20_000, False, "", "grant-1")]
    assert desk.used() == (120, 25_000)


async def test_a_late_interim_is_no_session(desk: AccountingDesk) -> None:
    """Also one that a full minute passed by: its session was on before the last report of it."""
    await desk.report(start())
    await desk.after(60)
    await desk.after(60, interim(120, 5000))
    await desk.after(0, interim(60, 1000))
    await desk.after(5, interim(60, 1000))
    assert desk.sessions() == [(120, 5000, 10_000, False, "", "grant-1")]


async def test_a_clock_that_runs_fast_makes_no_second_session(desk: AccountingDesk) -> None:
    """A router's quartz and ours differ by seconds a day, and over months by more than any reboot takes."""
    await desk.report(start())
    for hour in range(1, 30 * 24):
        await desk.after(3600, interim(round(hour * 3600 * 1.0002), hour))
    assert [row.octets_in for row in desk.sessions()] == [30 * 24 - 1]


async def test_an_id_that_comes_round_is_a_new_session(desk: AccountingDesk) -> None:
    """A router that was started anew counts from the beginning: the earlier session keeps what it used."""
    await desk.report(start())
    await desk.after(600, stop(600, 50_000))
    await desk.after(60, start())
    await desk.after(30, interim(30, 700))
    assert [row[:4] for row in desk.sessions()] == [(600, 50_000, 100_000, True), (30, 700, 1400, False)]
    await desk.after(10, stop(40, 800))
    assert desk.sessions()[1] == (40, 800, 1600, 1, "Session-Timeout", "grant-1")
    assert desk.used() == (640, 152_400)
    assert len(desk.events()) == 2


@pytest.mark.parametrize("reports", [(interim(40, 5),), (interim(40, 5), stop(70, 9)), (stop(40, 5),)])
async def test_an_id_that_comes_round_is_new_where_the_start_was_lost(
    desk: AccountingDesk, reports: tuple[UsageReport, ...]
) -> None:
    """A session that began after the other was last heard of is another one."""
    await desk.report(start())
    await desk.after(600, stop(600, 50_000))
    await desk.after(20)
    at = 0
    for report in reports:
        await desk.after(report.seconds - at, report)
        at = report.seconds
    first, second = desk.sessions()
    assert first[:4] == (600, 50_000, 100_000, True)
    assert second[:2] == (reports[-1].seconds, reports[-1].octets_in)
    assert desk.used() == (600 + at, 150_000 + 3 * reports[-1].octets_in)


@pytest.mark.parametrize("heard", [0, 60, 3600])
@pytest.mark.parametrize("lost", [(), (UsageKind.START,), (UsageKind.INTERIM,), (UsageKind.START, UsageKind.INTERIM)])
async def test_an_id_that_comes_round_at_once_is_new_where_the_stop_was_lost(
    desk: AccountingDesk, heard: int, lost: tuple[UsageKind, ...]
) -> None:
    """The power was cut, and the first login after it has the id of the last before it: two sessions, both counted."""
    if heard:
        await desk.after(heard, interim(heard, 100))
    else:
        await desk.report(start())
    desk.time.advance(41)
    for since_the_last, report in [(0, start()), (60, interim(60, 5)), (10, stop(70, 9))]:
        await desk.after(since_the_last, *([report] if report.kind not in lost else []))
    first, second = desk.sessions()
    assert heard <= first.seconds <= heard + 30
    assert (first.over, first.cause) == (True, "Lost-Stop")
    assert second[:4] == (70, 9, 18, True)


async def test_many_rounds_of_ids_are_as_many_sessions(desk: AccountingDesk) -> None:
    """The same id after each of forty reboots, every third of which loses the stop."""
    for number in range(40):
        await desk.report(start())
        await desk.after(60, interim(60, 100))
        await desk.after(5)
        if number % 3:
            await desk.report(stop(65, 120))
        await desk.after(45)
    assert len(desk.sessions()) == 40
    assert all(row.over for row in desk.sessions()[:-1])
    lost = [row for row in desk.sessions() if row.cause == "Lost-Stop"]
    assert len(lost) == 13  # the last one may still be going on
    assert all(60 <= row.seconds <= 90 for row in lost)
    assert desk.used()[1] == sum(3 * 120 if number % 3 else 3 * 100 for number in range(40))


async def test_the_same_id_on_two_routers_is_two_sessions(desk: AccountingDesk) -> None:
    """Ids are each router's own."""
    await desk.report(start(), start(router_id="second"))
    await desk.after(60, interim(60, 1000), interim(60, 500, router_id="second"))
    assert [row[:3] for row in desk.sessions()] == [(60, 1000, 2000), (60, 500, 1000)]
    assert desk.used() == (120, 4500)


async def test_the_same_id_of_two_devices_is_two_sessions(desk: AccountingDesk) -> None:
    """A router's ids are its own, so the earlier one is over."""
    await desk.after(60, interim())
    await desk.after(1, start(mac=OTHER_MAC))
    assert [row[:1] + row[3:4] for row in desk.sessions()] == [(60, True), (0, False)]


async def test_the_same_id_of_two_devices_at_once_is_one_after_the_other(desk: AccountingDesk) -> None:
    """Also where both were on by what they say: names are of one session at a time, and the books hold to that."""
    await desk.after(60, interim())
    await desk.after(60, interim(100, 7, mac=OTHER_MAC))
    await desk.after(60, interim(160, 9, mac=OTHER_MAC))
    assert [row[:2] + row[3:4] for row in desk.sessions()] == [(60, 1000, True), (160, 9, False)]


async def test_two_devices_by_one_grant_are_two_sessions(desk: AccountingDesk) -> None:
    """Both count, and whoever stays is on when the other goes."""
    other = {"session_id": "80100002", "mac": OTHER_MAC, "address": "10.5.50.12"}
    await desk.report(start(), start(**other))
    await desk.after(60, interim(60, 1000), interim(60, 500, **other))
    await desk.after(60, stop(120, 2000))
    assert [row[:2] + row[3:4] for row in desk.sessions()] == [(120, 2000, True), (60, 500, False)]
    assert desk.used() == (180, 7500)
    assert desk.presence.is_online(USER)


@pytest.mark.parametrize("octets", [2**32, 2**40, 2**49])
async def test_counters_have_64_bits(desk: AccountingDesk, octets: int) -> None:
    """A busy session passes the 32nd within hours."""
    await desk.report(interim()._replace(octets_out=octets))
    assert desk.sessions()[0][1:3] == (1000, octets)
    assert desk.used() == (60, 1000 + octets)


async def test_counters_beyond_what_a_column_holds_are_taken(desk: AccountingDesk) -> None:
    """A router that miscounts must not stop the daemon, which it would do again with each repetition.

    Nor may many such sessions of one grant.
    """
    for number in range(20):
        wild: dict[str, Any] = {"session_id": f"8010000{number:x}"}
        await desk.report(interim(octets=2**64 - 1, **wild), stop(octets=2**64 - 1, **wild))
    assert {row[1:4] for row in desk.sessions()} == {(2**63 - 1, 2**63 - 1, True)}
    assert desk.used() == (20 * 120, 20 * 2**50)


async def test_a_start_is_dated_back(desk: AccountingDesk) -> None:
    """By how long the session says it has been going on: the router's own clock is not believed."""
    await desk.report(interim(60))
    started, updated = desk.sql.execute("SELECT started_at, updated_at FROM sessions").fetchone()
    assert (started, updated) == ("2026-11-21T05:59:00.000Z", "2026-11-21T06:00:00.000Z")


async def test_a_report_may_say_when_it_was_made(desk: AccountingDesk) -> None:
    """What another server noted is read back later."""
    at = desk.clock.now()
    desk.time.advance(500)
    await desk.report(interim(60, at=at))
    assert desk.tx.sessions.open_on("main")[0].updated_at == at


async def test_who_is_remembered_is_who_was_heard_of(desk: AccountingDesk) -> None:
    """After the daemon starts anew, who was on a router is who it reported within three of its intervals."""
    await desk.report(start(), start(username="landlord", session_id="80100002", mac=OTHER_MAC))
    assert desk.service.remembered("main") == {USER, "landlord"}
    await desk.after(100, interim(100))
    await desk.after(100)
    assert desk.service.remembered("main") == {USER}
    assert desk.service.remembered("second") == set()


async def test_an_end_is_noted_when_it_stands_in_the_books(desk: AccountingDesk) -> None:
    """Not before, not where it adds something, and not where the books had to guess it."""
    assert not desk.service.is_noted(stop())
    await desk.report(start())
    desk.time.advance(120)
    assert not desk.service.is_noted(stop())
    await desk.report(ROUTER_ON._replace())
    assert not desk.service.is_noted(stop())
    await desk.report(stop())
    assert desk.service.is_noted(stop())
    assert not desk.service.is_noted(stop(octets=6000))
