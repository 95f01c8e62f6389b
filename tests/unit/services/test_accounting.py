"""What routers report as used: again, out of order, and with ids that come round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.services.accounting import REPEATED_STOP, AccountingService
from easyisp_edge.services.presence import Presence
from tests.unit.shop import MAC, ROUTER, Books, add_grant, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

USER = "USER000001"
START_REPORT = UsageReport(ROUTER, UsageKind.START, "80000001", USER, None, MAC, "10.5.50.11", 0, 0, 0, "")


def interim(seconds: int = 60, octets: int = 1000, **changes: Any) -> UsageReport:
    return replace(
        START_REPORT, kind=UsageKind.INTERIM, seconds=seconds, octets_in=octets, octets_out=2 * octets, **changes
    )


def stop(seconds: int = 120, octets: int = 5000, **changes: Any) -> UsageReport:
    report = interim(seconds, octets, **changes)
    return replace(report, kind=UsageKind.STOP, cause="Session-Timeout")


@dataclass
class Ledger:
    """The accounting service over real books, with one grant in them."""

    books: Books
    presence: Presence

    async def report(self, *reports: UsageReport) -> None:
        service = AccountingService(self.books.store, self.books.clock, self.presence)
        for usage in reports:
            await service.account(usage)

    def sessions(self) -> list[tuple[Any, ...]]:
        """Seconds, octets in, octets out, whether stopped, cause, grant; oldest first."""
        return self.books.store._database.reading.execute(
            "SELECT seconds, octets_in, octets_out, stopped_at IS NOT NULL, cause, grant_id FROM sessions"
            " ORDER BY session_id"
        ).fetchall()

    def usage_events(self) -> int:
        reading = self.books.store._database.reading
        return int(reading.execute("SELECT count(*) FROM events WHERE stream = 'usage'").fetchone()[0])


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_books(tmp_path) as books:
        await books.store.write(add_grant)
        yield Ledger(books, Presence())


STOPPED = (120, 5000, 10000, 1, "Session-Timeout", "grant-1")


async def test_a_session_is_kept_as_reported(ledger: Ledger) -> None:
    """From its start to its stop, under the grant whose user name it has; its end is told once."""
    await ledger.report(START_REPORT)
    assert ledger.sessions() == [(0, 0, 0, 0, "", "grant-1")]
    assert ledger.presence.is_online(USER)
    await ledger.report(interim())
    assert ledger.sessions() == [(60, 1000, 2000, 0, "", "grant-1")]
    assert ledger.usage_events() == 0
    await ledger.report(stop())
    assert ledger.sessions() == [STOPPED]
    assert ledger.usage_events() == 1
    assert not ledger.presence.is_online(USER)


@pytest.mark.parametrize("order", [*permutations([START_REPORT, interim(), interim(90, 3000)])])
async def test_reports_in_any_order_are_one_session(ledger: Ledger, order: tuple[UsageReport, ...]) -> None:
    """And each twice: the greatest counters stand, and the stop closes it."""
    await ledger.report(*order, *order, stop(), stop())
    assert ledger.sessions() == [STOPPED]
    assert ledger.usage_events() == 1


async def test_a_stop_alone_makes_a_session(ledger: Ledger) -> None:
    """Where the start was lost, what was used still counts."""
    await ledger.report(stop())
    assert ledger.sessions() == [STOPPED]
    assert ledger.usage_events() == 1


async def test_a_repeated_stop_makes_no_session(ledger: Ledger) -> None:
    """Nor does an interim that was overtaken by it; within the hour they are the same session."""
    await ledger.report(START_REPORT, stop())
    ledger.books.time.advance(REPEATED_STOP.total_seconds() - 1)
    await ledger.report(stop(), interim())
    assert ledger.sessions() == [STOPPED]
    assert ledger.usage_events() == 1


async def test_an_id_that_comes_round_is_a_new_session(ledger: Ledger) -> None:
    """A router that was started anew counts from the beginning: the earlier session keeps what it used."""
    await ledger.report(START_REPORT, stop(600, 50_000))
    ledger.books.time.advance(60)
    await ledger.report(START_REPORT)
    assert ledger.sessions() == [
        (600, 50_000, 100_000, 1, "Session-Timeout", "grant-1"),
        (0, 0, 0, 0, "", "grant-1"),
    ]


async def test_a_new_session_under_an_old_id_is_counted_and_stopped(ledger: Ledger) -> None:
    """Also where it is shorter than the one before, soon after: its reports are its own."""
    await ledger.report(START_REPORT, stop(600, 50_000))
    ledger.books.time.advance(60)
    await ledger.report(START_REPORT, interim(30, 700), stop(40, 800))
    assert ledger.sessions()[1] == (40, 800, 1600, 1, "Session-Timeout", "grant-1")
    assert ledger.usage_events() == 2


async def test_an_id_that_comes_round_hours_later_is_new_without_a_start(ledger: Ledger) -> None:
    """Where the start was lost."""
    await ledger.report(START_REPORT, stop(600))
    ledger.books.time.advance(REPEATED_STOP.total_seconds() + 1)
    await ledger.report(interim(60))
    assert len(ledger.sessions()) == 2


@pytest.mark.parametrize("kind", [UsageKind.ROUTER_ON, UsageKind.ROUTER_OFF])
async def test_a_router_that_starts_or_stops_ends_its_sessions(ledger: Ledger, kind: UsageKind) -> None:
    """Its own, and nobody else's; who was on there is not on any more."""
    elsewhere = replace(START_REPORT, router_id="second", username="USER000009")
    await ledger.report(interim(), interim(session_id="80000002", username="USER000002"), elsewhere)
    router = replace(START_REPORT, kind=kind, session_id="", username="", mac=None, address=None)
    await ledger.report(router)
    assert [(row[3], row[4]) for row in ledger.sessions()] == [(1, "NAS-Reboot"), (1, "NAS-Reboot"), (0, "")]
    assert not ledger.presence.is_online(USER)
    assert ledger.presence.is_online("USER000009")


async def test_the_same_id_on_two_routers_is_two_sessions(ledger: Ledger) -> None:
    """Ids are each router's own."""
    await ledger.report(START_REPORT, replace(START_REPORT, router_id="second"))
    assert len(ledger.sessions()) == 2


async def test_a_user_nobody_knows_is_counted_too(ledger: Ledger) -> None:
    """A router may have users of its owner's; they have no grant."""
    await ledger.report(replace(START_REPORT, username="landlord"))
    assert ledger.sessions() == [(0, 0, 0, 0, "", None)]


async def test_counters_beyond_what_a_column_holds_are_taken(ledger: Ledger) -> None:
    """A router that miscounts must not stop the daemon, which it would do again with each repetition."""
    await ledger.report(interim(octets=2**64 - 1), stop(octets=2**64 - 1))
    assert ledger.sessions()[0][1:4] == (2**63 - 1, 2**63 - 1, 1)


async def test_a_start_is_dated_back(ledger: Ledger) -> None:
    """By how long the session says it has been going on: the router's own clock is not believed."""
    await ledger.report(interim(60))
    reading = ledger.books.store._database.reading
    started, updated = reading.execute("SELECT started_at, updated_at FROM sessions").fetchone()
    assert (started, updated) == ("2026-11-21T05:59:00.000Z", "2026-11-21T06:00:00.000Z")
