"""The audit trail: what people did, told to whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.permissions import Role
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.store.store import Tables
from easyisp_edge.web.admin.models import next_cursor
from tests.fakes.clocks import START
from tests.unit.shop import add_grant, tables_in_memory
from tests.unit.web.admin.staff_stage import ADMIN, CLERK, OWNER, STRANGER, VIEWER, BackOffice, open_back_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[BackOffice]:
    async with open_back_office(tmp_path) as office:
        await office.add_all()
        yield office


async def trail(office: BackOffice, by: str, query: str = "") -> list[dict[str, Any]]:
    told = await office.ask("GET", f"/api/audit{query}", 200, token=await office.token(by))
    items: list[dict[str, Any]] = told["items"]
    return items


async def test_an_act_is_told_whole(office: BackOffice) -> None:
    """Who, what, to what, when and whose."""
    latest = (await trail(office, ADMIN))[0]
    assert latest == {
        "id": latest["id"],
        "at": "2026-11-21T06:00:00.000Z",
        "by": ADMIN,
        "action": "staff.logged_in",
        "entityId": await office.user_id(ADMIN),
        "tenantId": "default",
        "details": {"tenant": "default", "email": ADMIN, "source": "127.0.0.1"},
    }


async def test_each_tenant_sees_its_own(office: BackOffice) -> None:
    """Who looks after the box sees all, or whom they ask for; nobody else sees what is the box's."""
    for each in (ADMIN, STRANGER, OWNER):
        await office.token(each)
    assert {each["tenantId"] for each in await trail(office, ADMIN)} == {"default"}
    assert {each["tenantId"] for each in await trail(office, STRANGER)} == {"b"}
    assert {each["tenantId"] for each in await trail(office, OWNER)} == {"default", "b", None}
    assert {each["tenantId"] for each in await trail(office, OWNER, "?tenantId=b")} == {"b"}
    token = await office.token(STRANGER)
    assert (await office.ask("GET", "/api/audit?tenantId=default", 404, token=token))["code"] == "tenant.unknown"


async def test_the_trail_is_for_those_who_may(office: BackOffice) -> None:
    """Not for clerks and viewers."""
    for each in (CLERK, VIEWER):
        told = await office.ask("GET", "/api/audit", 403, token=await office.token(each))
        assert told["permission"] == "audit:view"


async def test_the_trail_comes_in_pages(office: BackOffice) -> None:
    """Newest first, each act once, while more is done meanwhile."""
    token, seen, cursor = await office.token(OWNER), [], ""
    while True:
        told = await office.ask("GET", f"/api/audit?limit=2{cursor}", 200, token=token)
        seen += [int(each["id"]) for each in told["items"]]
        await office.add(f"more{len(seen)}@example.com", Role.VIEWER)
        if told["nextCursor"] is None:
            break
        cursor = f"&cursor={told['nextCursor']}"
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 6


@pytest.mark.parametrize("key", ["abc", "9" * 20, "1.5", "-1"])
async def test_a_cursor_of_another_list_is_refused(office: BackOffice, key: str) -> None:
    """As input, not as an error of ours."""
    cursor = next_cursor(Page([], Position(START, key)))
    token = await office.token(OWNER)
    told = await office.ask("GET", f"/api/audit?cursor={cursor}", 400, token=token)
    assert (told["code"], told["field"]) == ("cursor.unreadable", "cursor")


async def test_acts_say_whose_they_are_by_what_they_were_done_to() -> None:
    """By the event where it says so, else by the payment, grant, purchase or batch; the box's where nothing says."""
    connection, tx = tables_in_memory()
    grant = add_grant(tx)
    other = add_grant(tx, number=2, tenant_id="b", mac=MacAddress("AA:BB:CC:00:00:09"))
    for key in (grant.grant_id, other.grant_id, str(other.payment_id), str(other.purchase_id), "gateway-1"):
        tx.events.append(Stream.MONEY, "staff.did", key, {"by": "mary"})
    tx.events.append(Stream.MONEY, "staff.did", grant.grant_id, {"by": "mary", "tenant": "c"})
    tx.events.append(Stream.MONEY, "grant.noted", grant.grant_id, {})
    tx.events.append(Stream.USAGE, "usage.noted", grant.grant_id, {"by": "mary"})
    acts = tx.acts.page(None, None, 50).rows
    assert [each.tenant_id for each in reversed(acts)] == ["default", "b", "b", "b", None, "c"]
    assert {each.by for each in acts} == {"mary"}
    connection.close()


@pytest.mark.parametrize("tenant_id", [None, "default"])
def test_a_page_costs_what_it_shows(tenant_id: str | None) -> None:
    """However long the trail is: both tables are read by their keys, and nothing is sorted."""
    connection, _ = tables_in_memory()
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    Tables(connection, None).acts.page(tenant_id, None, 50)
    connection.set_trace_callback(None)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert len(plan) == 2
    assert plan[0].startswith("SEARCH a USING"), plan
    assert plan[1].startswith("SEARCH e USING PRIMARY KEY"), plan
    connection.close()
