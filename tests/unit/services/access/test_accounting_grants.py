"""What is reported is counted against what was bought, once it is on the disk, and ends it when nothing is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.accounting import AccountingService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.timekeeping import BUILT_AFTER
from tests.fakes.clocks import settle_down
from tests.unit.services.access.accounting_desk import ROUTER_ON, ROUTERS, USER, accounting_desk, interim, start, stop
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT, Books, add_grant, open_books

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from easyisp_edge.domain.logins import UsageReport
    from easyisp_edge.store.store import Tables
    from tests.unit.services.access.accounting_desk import AccountingDesk

ONLINE_HOUR = replace(HOUR, package_id="online", online_time=timedelta(hours=1), duration=timedelta(days=1))
GIGABYTE = replace(HOUR, package_id="gigabyte", data_limit=DataVolume(10**9), duration=timedelta(days=1))
SECOND: dict[str, Any] = {"session_id": "80100002"}


def ends(events: list[tuple[str, dict[str, object]]]) -> list[object]:
    """Why grants ended."""
    return [data["cause"] for kind, data in events if kind == "grant.ended"]


async def test_time_online_that_is_used_up_ends_the_grant() -> None:
    """Over all its sessions, in the transaction that counts the last second; its routers are told why."""
    desk = accounting_desk(ONLINE_HOUR)
    await desk.report(start())
    await desk.after(2000, stop(2000))
    await desk.after(7200, start(**SECOND))
    await desk.after(1599, interim(1599, **SECOND))
    assert (desk.state(), desk.told) == ("running", [])
    await desk.after(1, stop(1600, **SECOND))
    assert (desk.state(), desk.told) == ("ended", [TENANT])
    assert desk.used()[0] == 3600
    assert ends(desk.events("money")) == ["time"]


async def test_data_that_is_used_up_ends_the_grant() -> None:
    """In both directions together."""
    desk = accounting_desk(GIGABYTE)
    await desk.after(60, interim(60, 333_333_333))
    assert (desk.state(), desk.told) == ("running", [])
    await desk.after(60, interim(120, 333_333_334))
    assert (desk.state(), desk.told) == ("ended", [TENANT])
    assert ends(desk.events("money")) == ["data"]


async def test_a_grant_ends_once() -> None:
    """Whatever its devices go on to report before they are put off is counted still."""
    desk = accounting_desk(GIGABYTE)
    for number in range(1, 5):
        await desk.after(60, interim(60 * number, number * 10**9))
    assert desk.told == [TENANT]
    assert ends(desk.events("money")) == ["data"]
    assert desk.used() == (240, 12 * 10**9)


async def test_a_grant_set_aside_ends_too_when_it_is_used_up() -> None:
    """Its device was still being put off: there is nothing to come back to."""
    desk = accounting_desk(GIGABYTE)
    grant = desk.tx.grants.by_id("grant-1")
    assert grant is not None
    desk.tx.grants.update(grant.paused(desk.clock.now()))
    await desk.after(60, interim(60, 10**9))
    assert desk.state() == "ended"


async def test_time_by_the_clock_that_is_over_ends_the_grant() -> None:
    """A report may be the first to find that out."""
    desk = accounting_desk()
    await desk.after(3600, interim(3600))
    assert (desk.state(), desk.told) == ("ended", [TENANT])
    assert ends(desk.events("money")) == ["time"]


async def test_a_session_given_up_may_use_a_grant_up() -> None:
    """By silence, at the word of the router, or by the next login: each ends what nothing is left of."""
    ways: list[Callable[[AccountingDesk], Awaitable[None]]] = [
        lambda desk: desk.silence(200),
        lambda desk: desk.after(60, ROUTER_ON),
        lambda desk: desk.after(60, start(**SECOND)),
    ]
    for how in ways:
        desk = accounting_desk(ONLINE_HOUR)
        await desk.after(3570, interim(3570))
        await how(desk)
        assert (desk.state(), desk.told) == ("ended", [TENANT])
        assert desk.used()[0] == 3600


async def test_what_is_used_up_by_one_device_is_used_up_for_all() -> None:
    """Two devices use up time online twice as fast."""
    desk = accounting_desk(replace(ONLINE_HOUR, devices_max=2))
    await desk.after(1800, interim(1800), interim(1799, mac=OTHER_MAC, **SECOND))
    assert desk.state() == "running"
    await desk.after(1, interim(1801, mac=OTHER_MAC, **SECOND))
    assert desk.state() == "ended"


async def test_a_login_by_address_is_counted_by_its_class() -> None:
    """The router gives back what it was told at the login; the name says which device it is, not what it uses."""
    desk = accounting_desk()
    add_grant(desk.tx, number=2)
    await desk.after(60, interim(username=str(MAC), grant_id="grant-2"))
    assert (desk.used("grant-1"), desk.used("grant-2")) == ((0, 0), (60, 3000))
    assert desk.presence.is_online("USER000002")


async def test_a_login_by_address_is_counted_by_name_where_there_is_no_class() -> None:
    """To what the device uses: what runs, before what waits."""
    desk = accounting_desk()
    add_grant(desk.tx, number=2)
    await desk.after(60, interim(username=str(MAC)))
    assert (desk.used("grant-1"), desk.used("grant-2")) == ((60, 3000), (0, 0))
    assert desk.presence.is_online(USER)


async def test_an_address_is_counted_for_its_own_device_only() -> None:
    """Somebody else's name for a device buys nothing with its grant."""
    desk = accounting_desk()
    await desk.after(60, interim(username=str(MAC), mac=OTHER_MAC))
    assert [row.grant_id for row in desk.sessions()] == [None]


@pytest.mark.parametrize("username", ["RECEIPT001", "receipt001"])
async def test_a_login_by_receipt_is_counted_to_what_it_bought(username: str) -> None:
    """As it was typed in; those on by it are known by their grant's name."""
    desk = accounting_desk()
    await desk.after(60, interim(username=username, mac=OTHER_MAC))
    assert desk.used() == (60, 3000)
    assert desk.presence.is_online(USER)


async def test_a_session_stays_with_the_grant_it_began_by() -> None:
    """What its name stands for may change while it goes on."""
    desk = accounting_desk()
    await desk.after(60, interim(username=str(MAC)))
    grant = desk.tx.grants.by_id("grant-1")
    assert grant is not None
    desk.tx.grants.update(grant.ended(desk.clock.now()))
    now = desk.clock.now()
    add_grant(desk.tx, number=2, state=GrantState.RUNNING, started_at=now, ends_at=now + timedelta(hours=1))
    await desk.after(60, interim(120, username=str(MAC)), stop(130, username=str(MAC)))
    assert (desk.used("grant-1"), desk.used("grant-2")) == ((130, 15_000), (0, 0))


@pytest.mark.parametrize("username", ["somebody", USER, str(MAC), "RECEIPT001"])
async def test_a_class_of_another_tenant_is_not_believed(username: str) -> None:
    """Nor are its names: a router counts against what its own tenant sold."""
    desk = accounting_desk()
    await desk.after(60, interim(router_id="elsewhere", username=username, grant_id="grant-1"))
    assert [row.grant_id for row in desk.sessions()] == [None]
    assert desk.used() == (0, 0)


async def test_where_the_class_is_not_believed_the_name_is() -> None:
    """A login form may add attributes of its own."""
    desk = accounting_desk()
    await desk.after(60, interim(grant_id="nothing"))
    assert desk.used() == (60, 3000)


async def test_a_user_nobody_knows_is_counted_too() -> None:
    """A router may have users of its owner's; they have no grant."""
    desk = accounting_desk()
    await desk.report(start(username="landlord"))
    assert desk.sessions() == [(0, 0, 0, False, "", None)]
    assert desk.presence.is_online("landlord")


async def test_a_router_nobody_knows_is_counted_too() -> None:
    """It was taken out of the files while devices were on."""
    desk = accounting_desk()
    await desk.after(60, interim(router_id="gone"))
    await desk.after(60, ROUTER_ON._replace(router_id="gone"))
    assert desk.sessions() == [(90, 1000, 2000, True, "Router-Restart", None)]


def on_disk(books: Books) -> AccountingService:
    """The service over a store on a file."""
    return AccountingService(
        books.store, books.clock, Presence(), ROUTERS, lambda: BUILT_AFTER, books.clock.now(), lambda _: None
    )


async def test_a_router_is_answered_once_its_report_is_on_the_disk(tmp_path: Path) -> None:
    """Fifty that come while the disk is busy wait for one commit, and none is told before it."""
    async with open_books(tmp_path) as books:
        await books.store.write(add_grant)
        service, busy, loop = on_disk(books), asyncio.Event(), asyncio.get_running_loop()
        statements: list[str] = []
        await books.store._database.write(lambda sql: sql.set_trace_callback(statements.append))

        def wait_for_the_test(_: Tables) -> None:
            asyncio.run_coroutine_threadsafe(busy.wait(), loop).result(timeout=5)

        writing = asyncio.create_task(books.store.write(wait_for_the_test))
        await settle_down()
        reports = [
            asyncio.ensure_future(service.account(interim(session_id=f"801000{number:02}", mac=None)))
            for number in range(50)
        ]
        await settle_down()
        assert not any(report.done() for report in reports)
        assert books.count("sessions") == 0
        busy.set()
        await writing
        await asyncio.gather(*reports)
        assert books.count("sessions") == 50
        assert statements.count("COMMIT") == 2  # the one that was under way, and theirs
        usage = books.store.read.grants.admission_by_id("grant-1")
        assert usage is not None
        assert (usage.seconds_used, usage.octets_used) == (50 * 60, 50 * 3000)


async def test_what_a_full_disk_refused_counts_once_when_it_is_sent_again(tmp_path: Path) -> None:
    """The router is not answered, and so tries again; nothing of the first time remains."""
    async with open_books(tmp_path) as books:
        await books.store.write(add_grant)
        service, connection = on_disk(books), books.store._database.write
        reports: list[UsageReport] = [interim(session_id=f"{number:0200}", mac=None) for number in range(200)]

        async def limit_pages(most: int) -> None:
            await connection(lambda sql: sql.execute(f"PRAGMA max_page_count = {most}").fetchone())

        await limit_pages(1)  # SQLite takes the size it has as the least
        with pytest.raises(UnavailableError):
            await asyncio.gather(*(service.account(report) for report in reports))
        await limit_pages(10**6)
        for report in reports:
            await service.account(report)
        usage = books.store.read.grants.admission_by_id("grant-1")
        assert usage is not None
        assert (usage.seconds_used, usage.octets_used) == (200 * 60, 200 * 3000)
