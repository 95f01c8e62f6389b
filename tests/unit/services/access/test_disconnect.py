"""Sessions whose devices may not be on any more are ended by RADIUS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.disconnect import HEARD_OF_WITHIN, TOLD_AT_ONCE_MAX, DisconnectService
from easyisp_edge.services.access.grant_life import move
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from tests.fakes.session_control import FakeSessionControl
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, Books, add_grant, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.sessions import Session

NIGHT = replace(HOUR, package_id="night", duration=timedelta(days=7), schedule=Schedule.parse("22:00-06:00"))
FIRST, SECOND = "USER000001 80000001 10.5.50.11", "USER000002 80000002 10.5.50.11"


def device_of(number: int) -> MacAddress:
    return MacAddress(f"AA:BB:CC:00:01:{number:02X}")


def named(session: Session) -> str:
    """A session as the fake names it."""
    if not session.acct_session_id:
        raise InvalidError("coa.session", "A session has a name.")
    return f"{session.username} {session.acct_session_id} {session.address}"


@dataclass
class Desk:
    """The service over real books: grants, and sessions as a router reports them."""

    books: Books
    control: FakeSessionControl = field(default_factory=FakeSessionControl)
    presence: Presence = field(default_factory=Presence)
    bell: Wake = field(default_factory=Wake)

    def __post_init__(self) -> None:
        self.access = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            tenant_of={ROUTER: TENANT, "foreign": "other"},
            router_changed={},
            sessions_over={ROUTER: self.bell, "foreign": Wake()},
        )
        self.service = DisconnectService(
            router_id=ROUTER,
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            control=self.control,
            named=named,
            may_stay=self.access.may_stay,
        )
        self.accounting = AccountingService(
            store=self.books.store,
            clock=self.books.clock,
            presence=self.presence,
            routers={router: ReportingRouter(TENANT, timedelta(minutes=5)) for router in (ROUTER, "second")},
            clock_set_at=lambda: self.books.clock.set_at,
            listening_since=self.books.now(),
            used_up=self.access.tell_routers,
        )

    async def add(
        self,
        number: int = 1,
        state: GrantState = GrantState.ENDED,
        package: Package = HOUR,
        mac: MacAddress | None = None,
    ) -> None:
        """A grant that is over, or one that was not used yet; each for a device of its own."""
        device = mac or device_of(number)
        grant = await self.books.store.write(lambda tx: add_grant(tx, package, number=number, mac=device))
        if state is GrantState.ENDED:
            over = grant.started(self.books.now()).ended(self.books.now())
            await self.books.store.write(lambda tx: tx.grants.update(over))
        elif state is GrantState.RUNNING:
            await self.access.started(grant)

    async def report(
        self,
        number: int = 1,
        kind: UsageKind = UsageKind.START,
        *,
        router: str = ROUTER,
        name: str | None = None,
        mac: MacAddress | None = None,
        seconds: int = 0,
    ) -> None:
        """A router speaks of a grant's session on its device."""
        acct_session_id = f"8000{number:04}" if name is None else name
        device = mac or device_of(number)
        usage = UsageReport(
            router, kind, acct_session_id, f"USER{number:06}", None, device, "10.5.50.11", seconds, 0, 0, "Admin-Reset"
        )
        await self.accounting.account(usage)

    async def told(self) -> list[str]:
        """What the router is told in a round."""
        self.control.told.clear()
        await self.service.round()
        return sorted(self.control.told)

    async def told_in_vain(self) -> list[str]:
        """What it is told in a round that has to be gone through again."""
        self.control.told.clear()
        with pytest.raises(UnavailableError):
            await self.service.round()
        return sorted(self.control.told)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_books(tmp_path) as books:
        yield Desk(books)


async def test_the_end_of_a_grant_ends_its_sessions(desk: Desk) -> None:
    """Its time is up: the bell rings, the session is named by all that is known, and its device is off."""
    await desk.add(1, GrantState.RUNNING)
    await desk.report()
    await desk.bell.wait(desk.books.clock, 0)
    assert await desk.told() == []
    desk.books.time.advance(3600)
    await desk.access.end_round()
    assert await desk.bell.wait(desk.books.clock, 0)
    assert not await desk.access.sessions_over["foreign"].wait(desk.books.clock, 0)
    assert desk.presence.is_online("USER000001")
    assert await desk.told() == [FIRST]
    assert not desk.presence.is_online("USER000001")


async def test_the_end_of_hours_ends_sessions(desk: Desk) -> None:
    """The bell rings at closing, though days of the package are left."""
    desk.books.time.advance(14 * 3600)  # from nine in the morning until eleven at night
    await desk.add(1, GrantState.RUNNING, NIGHT)
    await desk.report()
    await desk.access.hours_round()
    await desk.bell.wait(desk.books.clock, 0)
    assert await desk.told() == []
    desk.books.time.advance(7 * 3600)
    await desk.access.hours_round()
    assert await desk.bell.wait(desk.books.clock, 0)
    assert await desk.told() == [FIRST]


async def test_what_is_set_aside_is_ended(desk: Desk) -> None:
    """The device is to come on again by the other one."""
    await desk.add(1, GrantState.RUNNING, mac=MAC)
    await desk.add(2, GrantState.WAITING, mac=MAC)
    await desk.report(1, mac=MAC)
    await desk.access.switch_to(TENANT, MAC, "grant-2")
    assert await desk.bell.wait(desk.books.clock, 0)
    assert await desk.told() == [FIRST]
    await desk.report(1, UsageKind.STOP, mac=MAC)
    await desk.report(2, mac=MAC)
    assert await desk.told() == []


async def test_the_device_a_grant_left_is_put_off(desk: Desk) -> None:
    """And the one it went to is not."""
    await desk.add(1, GrantState.RUNNING)
    await desk.report(1)
    moved = await desk.books.store.write(
        lambda tx: move(tx, tx.grants.by_id("grant-1"), OTHER_MAC)  # type: ignore[arg-type]
    )
    assert moved is not None
    await desk.report(1, name="80000099", mac=OTHER_MAC)
    assert await desk.told() == [FIRST]


async def test_only_open_sessions_of_this_router_whose_grant_is_over(desk: Desk) -> None:
    """Those of usable grants, of other routers, of nobody's user, ended ones and long forgotten ones are left alone."""
    await desk.add(1)
    await desk.report(1, name="old")
    desk.books.time.advance(HEARD_OF_WITHIN.total_seconds() + 1)
    await desk.report(1, router="second")
    await desk.report(1)
    await desk.report(1, UsageKind.STOP)
    await desk.add(2, GrantState.WAITING)
    await desk.report(2)
    await desk.report(3)
    assert await desk.told() == []
    await desk.add(4)
    await desk.report(4)
    assert await desk.told() == ["USER000004 80000004 10.5.50.11"]


@pytest.mark.parametrize("answer", ["done", "gone", "refused"])
async def test_what_was_answered_is_not_said_again(desk: Desk, answer: str, caplog: pytest.LogCaptureFixture) -> None:
    """Carried out, gone already or refused: once, until the router reports that session again. A refusal is logged."""
    await desk.add()
    await desk.report()
    if answer != "done":
        getattr(desk.control, answer).add(FIRST)
    assert await desk.told() == [FIRST]
    assert desk.presence.is_online("USER000001") == (answer == "refused")
    assert ("is not put off" in caplog.text) == (answer == "refused")
    assert await desk.told() == []
    desk.books.time.advance(300)
    await desk.report(1, UsageKind.INTERIM, seconds=300)
    assert await desk.told() == [FIRST]
    assert await desk.told() == []


async def test_silence_is_tried_again_while_the_session_is_open(desk: Desk) -> None:
    """In each round, until the router answers or reports the end itself."""
    for number in (1, 2):
        await desk.add(number)
        await desk.report(number)
    desk.control.away = True
    assert await desk.told_in_vain() == [FIRST, SECOND]
    assert desk.presence.is_online("USER000001")
    assert await desk.told_in_vain() == [FIRST, SECOND]
    await desk.report(1, UsageKind.STOP)
    assert await desk.told_in_vain() == [SECOND]
    desk.control.away = False
    assert await desk.told() == [SECOND]
    assert await desk.told() == []


async def test_a_silent_router_is_not_told_of_hundreds(desk: Desk) -> None:
    """After so many without an answer the others wait, those reported last first; nobody is forgotten."""
    numbers = range(1, TOLD_AT_ONCE_MAX + 6)
    for number in numbers:
        await desk.add(number)
        desk.books.time.advance(1)
        await desk.report(number)
    desk.control.away = True
    assert len(await desk.told_in_vain()) == TOLD_AT_ONCE_MAX
    assert not any(name.startswith("USER000001 ") for name in desk.control.told)
    desk.control.away = False
    assert [name.split()[0] for name in await desk.told()] == [f"USER{number:06}" for number in numbers]


async def test_a_session_that_cannot_be_named_stops_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, once, and the next one is ended."""
    await desk.add(1)
    await desk.report(1, name="")
    await desk.add(2)
    await desk.report(2)
    assert await desk.told() == [SECOND]
    assert await desk.told() == []
    assert caplog.text.count("is not put off") == 1


async def test_what_was_closed_is_not_remembered(desk: Desk) -> None:
    """What is known of answers does not grow with the years."""
    await desk.add()
    await desk.report()
    await desk.told()
    assert len(desk.service._answered) == 1
    await desk.report(1, UsageKind.STOP)
    await desk.told()
    assert not desk.service._answered
