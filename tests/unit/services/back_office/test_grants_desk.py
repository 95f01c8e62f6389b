"""Staff look after grants: what they see, what starting, moving and ending lead to, and what is refused to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY, follow
from easyisp_edge.services.back_office.grants_desk import Sought
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, RECEIPT, callback_paid
from tests.unit.desk import FILES, TWO_TENANTS
from tests.unit.grants_stage import GrantsOffice, open_grants_office
from tests.unit.shop import HOUR, MAC, OTHER_MAC, OTHER_PHONE, ROUTER, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.back_office.grants_desk import GrantList
    from easyisp_edge.store.store import Tables

ANY = Sought()
ONLINE = replace(
    HOUR,
    package_id="3h",
    name="3 hours online",
    duration=timedelta(days=7),
    online_time=timedelta(hours=3),
    data_limit=DataVolume(10**9),
)
# It is nine in the morning in Kenya.
NIGHT = replace(HOUR, package_id="night", name="Night", schedule=Schedule.parse("22:00-06:00"))
SECOND_ROUTER = """[[router]]
id = "second"
address = "10.0.0.2"
mode = "hotspot-user"
api = { tls = false, username = "u", password = "p" }
"""


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[GrantsOffice]:
    async with open_grants_office(tmp_path) as office:
        yield office


async def listed(
    office: GrantsOffice, sought: Sought = ANY, *, over: bool = False, tenant: str | None = None, limit: int = 50
) -> GrantList:
    return await office.desk.grants(tenant, sought, over=over, limit=limit)


def ids(found: GrantList) -> list[str]:
    return [each.admission.grant_id for each in found.grants]


# --- what is seen


async def test_the_newest_comes_first_and_what_is_over_last(office: GrantsOffice) -> None:
    """Only on demand what is over is listed, behind all that is not; and never more than asked for."""
    for number in (1, 2, 3, 4):
        await office.sell(number=number)
    await office.desk.end("grant-4", "x", "mary")
    assert ids(await listed(office)) == ["grant-3", "grant-2", "grant-1"]
    assert ids(await listed(office, over=True)) == ["grant-3", "grant-2", "grant-1", "grant-4"]
    assert ids(await listed(office, over=True, limit=2)) == ["grant-3", "grant-2"]


async def test_what_is_used_up_is_over_before_it_was_ended(office: GrantsOffice) -> None:
    """By the clock or by its data: a round that comes later changes nothing of what staff see."""
    await office.start(await office.sell(number=1))
    full = await office.sell(ONLINE, number=2)
    await office.use(full, octets=10**9)
    office.office.books.time.advance(3600)
    assert ids(await listed(office)) == []
    found = await listed(office, over=True)
    assert [(each.over, each.admission.state) for each in found.grants] == [
        (True, GrantState.WAITING),
        (True, GrantState.RUNNING),
    ]


async def test_a_grant_shows_what_is_left_of_it(office: GrantsOffice) -> None:
    """Time by the clock and time online apart, data, whose it is."""
    await office.start(await office.sell(ONLINE))
    await office.use(office.grant(), seconds=600, octets=3 * 10**8)
    office.office.books.time.advance(86_400)
    (grant,) = (await listed(office)).grants
    assert (grant.seconds_left, grant.online_seconds_left) == (6 * 86_400, 3 * 3600 - 600)
    assert grant.admission.octets_used == 3 * 10**8
    assert grant.phone == PAYER
    assert (grant.over, grant.opens_at) == (False, None)


async def test_what_is_shut_says_when_it_opens(office: GrantsOffice) -> None:
    """By Kenya's clock; what is over opens no more."""
    await office.sell(NIGHT)
    (grant,) = (await listed(office)).grants
    assert grant.opens_at == START.replace(hour=19)
    await office.desk.end("grant-1", "x", "mary")
    (grant,) = (await listed(office, over=True)).grants
    assert (grant.over, grant.opens_at) == (True, None)


async def test_who_is_online_and_where(office: GrantsOffice) -> None:
    """Where a site has one router it must be that; nobody who is not seen is said to be on, whatever was reported."""
    grant = await office.sell()
    assert [each.online for each in (await listed(office)).grants] == [False]
    await office.start(grant)
    (seen,) = (await listed(office)).grants
    assert (seen.online, seen.router_ids) == (True, (ROUTER,))
    await office.report(grant)
    office.presence.left(ROUTER, grant.username)
    (seen,) = (await listed(office)).grants
    assert (seen.online, seen.router_ids) == (False, ())


async def test_of_several_routers_only_reports_tell_which(tmp_path: Path) -> None:
    """Without them it is not guessed, unless the package is good on one alone."""
    async with open_grants_office(tmp_path, {"routers.toml": FILES["routers.toml"] + SECOND_ROUTER}) as office:
        grant = await office.start(await office.sell(), on="second")
        (seen,) = (await listed(office)).grants
        assert (seen.online, seen.router_ids) == (True, ())
        await office.report(grant, "second")
        (seen,) = (await listed(office)).grants
        assert seen.router_ids == ("second",)
        only = replace(HOUR, package_id="here", router_ids=(ROUTER,))
        await office.start(await office.sell(only, number=2, mac=OTHER_MAC))
        assert (await listed(office)).grants[0].router_ids == (ROUTER,)


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        (Sought(mac=MAC), ["grant-3", "grant-1"]),
        (Sought(mac=OTHER_MAC), ["grant-2"]),
        (Sought(phone=PAYER), ["grant-3", "grant-2", "grant-1"]),
        (Sought(phone=OTHER_PHONE), []),
        (Sought(mpesa_receipt_number="RECEIPT002"), ["grant-2"]),
    ],
)
async def test_one_is_looked_for(office: GrantsOffice, sought: Sought, found: list[str]) -> None:
    """By the device, the customer's number, or the receipt; what is over belongs to them as well."""
    await office.sell(number=1)
    await office.sell(number=2, mac=OTHER_MAC)
    await office.sell(number=3)
    assert ids(await listed(office, sought)) == found
    await office.desk.end("grant-2", "x", "mary")
    assert sorted(ids(await listed(office, sought, over=True))) == sorted(found)


async def test_money_that_came_twice_leads_to_what_the_first_bought(office: GrantsOffice) -> None:
    """The second receipt became credit; the customer who shows it is found by the purchase it was paid for."""
    grant = await office.sell()
    again = callback_paid(checkout="ws_CO_of_1", receipt=RECEIPT, amount=HOUR.price)

    def pay_again(tx: Tables) -> None:
        assert grant.purchase_id is not None
        office.office.settlement.judge(tx).settle(grant.purchase_id, again)

    await office.office.books.store.write(pay_again)
    assert office.office.payment(RECEIPT).disposition is Disposition.WALLET
    assert ids(await listed(office, Sought(mpesa_receipt_number=RECEIPT))) == ["grant-1"]


async def test_a_receipt_nobody_knows_is_said_so(tmp_path: Path) -> None:
    """And so is one of another tenant, where a tenant is named."""
    async with open_grants_office(tmp_path, TWO_TENANTS) as office:
        await office.sell()
        sought = Sought(mpesa_receipt_number="RECEIPT001")
        assert ids(await listed(office, sought, tenant=TENANT)) == ["grant-1"]
        with pytest.raises(NotFoundError):
            await listed(office, sought, tenant="other")
        with pytest.raises(NotFoundError) as raised:
            await listed(office, Sought(mpesa_receipt_number=RECEIPT))
        assert raised.value.code == "payment.unknown"


async def test_open_sessions_come_with_a_device(office: GrantsOffice) -> None:
    """Only the device's, the last to begin first, and only where a device is named."""
    grant = await office.sell()
    await office.report(grant, started_at=START - timedelta(hours=2))
    await office.report(grant, acct_session_id="2")
    await office.report(grant, acct_session_id="3", mac=OTHER_MAC)
    await office.report(grant, acct_session_id="4", stopped_at=START)
    assert [each.acct_session_id for each in (await listed(office, Sought(mac=MAC))).sessions] == ["2", "81a0000c"]
    assert (await listed(office)).sessions == []


async def test_tenants_are_kept_apart(tmp_path: Path) -> None:
    """All are listed, or only the one that is named, with the sessions on its own routers."""
    async with open_grants_office(tmp_path, TWO_TENANTS) as office:
        await office.sell(number=1)
        other = await office.sell(number=2, tenant_id="other")
        await office.report(other)
        assert ids(await listed(office)) == ["grant-2", "grant-1"]
        assert ids(await listed(office, tenant="other")) == ["grant-2"]
        assert (await listed(office, Sought(mac=MAC), tenant="other")).sessions == []
        assert len((await listed(office, Sought(mac=MAC), tenant=TENANT)).sessions) == 1
        with pytest.raises(NotFoundError):
            await listed(office, tenant="nobody")


# --- starting it now


async def test_switched_the_one_that_ran_is_set_aside(office: GrantsOffice) -> None:
    """The grant runs, the other keeps its time, the routers are told, and the books say who did it."""
    await office.start(await office.sell(number=1))
    await office.sell(NIGHT, number=2)
    await office.sell(number=3)
    office.office.books.time.advance(600)
    await office.rung()
    switched = await office.desk.switch("grant-3", "mary")
    assert switched.admission.state is GrantState.RUNNING
    aside = office.grant("grant-1")
    assert (aside.state, aside.seconds_left) == (GrantState.PAUSED, 3000)
    assert office.told("staff.grant_switched") == [{"by": "mary", "mac": MAC.text}]
    assert await office.rung() == {ROUTER}


@pytest.mark.parametrize("case", ["unknown", "over", "shut", "no device"])
async def test_what_cannot_be_started_is_refused(office: GrantsOffice, case: str) -> None:
    """With the reason; what runs goes on, and nothing is written of it."""
    await office.start(await office.sell(number=1))
    package, mac = (NIGHT if case == "shut" else HOUR), (None if case == "no device" else MAC)
    await office.sell(package, number=2, mac=mac)
    if case == "over":
        await office.desk.end("grant-2", "x", "mary")
    with pytest.raises((ConflictError, NotFoundError)) as raised:
        await office.desk.switch("grant-9" if case == "unknown" else "grant-2", "mary")
    assert raised.value.code == f"grant.{case.replace(' ', '_')}"
    if case == "shut":
        assert "on Sat at 22:00" in raised.value.message
    assert office.grant("grant-1").state is GrantState.RUNNING
    assert office.told("staff.grant_switched") == []


# --- moving it


@pytest.mark.parametrize("was", [MAC, None])
async def test_moved_it_is_for_the_other_device(office: GrantsOffice, was: MacAddress | None) -> None:
    """The device changes, the time goes on, the routers are told, and the books say who did it, from where to where."""
    grant = await office.sell(mac=was)
    await office.access.started(grant)
    before = office.grant()
    await office.rung()
    moved = await office.desk.move("grant-1", OTHER_MAC, "mary")
    assert moved.admission.mac == OTHER_MAC
    assert office.grant() == replace(before, mac=OTHER_MAC)
    assert office.told("grant.moved") == [{"mac": OTHER_MAC.text, "way": "staff"}]
    assert office.told("staff.grant_moved") == [
        {
            "by": "mary",
            "from": None if was is None else was.text,
            "mac": OTHER_MAC.text,
            "dailyLimitApplied": False,
        }
    ]
    assert await office.rung() == {ROUTER}


async def test_staff_may_move_it_when_its_customer_may_not(office: GrantsOffice) -> None:
    """The limit of a day binds customers; what staff move counts towards it."""
    await office.sell()
    for at in range(MOVES_PER_DAY + 2):
        await office.desk.move("grant-1", MAC if at % 2 else OTHER_MAC, "mary")
    now = office.office.books.now()
    by_customer = await office.office.books.store.write(lambda tx: follow(tx, office.grant(), OTHER_MAC, now))
    assert by_customer is None


async def test_what_cannot_be_moved_is_refused(office: GrantsOffice) -> None:
    """What is over, what is for that device already, what is not there; nothing is written of it."""
    await office.sell()
    with pytest.raises(ConflictError) as raised:
        await office.desk.move("grant-1", MAC, "mary")
    assert raised.value.code == "grant.same_device"
    await office.desk.end("grant-1", "x", "mary")
    with pytest.raises(ConflictError) as raised:
        await office.desk.move("grant-1", OTHER_MAC, "mary")
    assert raised.value.code == "grant.over"
    with pytest.raises(NotFoundError):
        await office.desk.move("grant-9", OTHER_MAC, "mary")
    assert office.told("staff.grant_moved") == []


# --- ending it


async def test_ended_it_is_over_and_the_money_stays(office: GrantsOffice) -> None:
    """At once, with cause and reason in the books; the payment stands as it did, and the routers are told."""
    await office.start(await office.sell())
    await office.rung()
    ended = await office.desk.end("grant-1", " sold by mistake ", "mary")
    assert (ended.over, ended.seconds_left) == (True, 0)
    assert office.grant().state is GrantState.ENDED
    assert office.told("grant.ended") == [{"cause": "staff"}]
    assert office.told("staff.grant_ended") == [{"by": "mary", "reason": "sold by mistake"}]
    assert office.office.payment("RECEIPT001").disposition is Disposition.GRANT
    assert await office.rung() == {ROUTER}


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 201])
async def test_an_end_has_a_reason(office: GrantsOffice, reason: str) -> None:
    """In one line; else nothing happens."""
    await office.sell()
    with pytest.raises(InvalidError):
        await office.desk.end("grant-1", reason, "mary")
    assert office.grant().state is GrantState.WAITING


async def test_it_is_ended_once(office: GrantsOffice) -> None:
    """Twice is a conflict, and an unknown one is said to be so; the history has one end, and stays whole."""
    await office.sell()
    await office.desk.end("grant-1", "x", "mary")
    with pytest.raises(ConflictError):
        await office.desk.end("grant-1", "y", "joe")
    with pytest.raises(NotFoundError):
        await office.desk.end("grant-9", "y", "joe")
    assert office.told("staff.grant_ended") == [{"by": "mary", "reason": "x"}]
    assert office.office.tables.events.first_break(Stream.MONEY) is None
