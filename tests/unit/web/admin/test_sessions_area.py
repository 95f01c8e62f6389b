"""Sessions and routers over the back office's door."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.router_versions import RouterVersion
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.web.admin.models import next_cursor
from tests.fakes.clocks import START
from tests.unit.shop import MAC, OTHER_MAC, ROUTER
from tests.unit.web.admin.site_stage import TENANTS, THEIRS, SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.domain.grants import Grant

SECOND = """[[router]]
id = "second"
tenant = "default"
address = "10.0.0.7"
mode = "hotspot-user"
api = { tls = false, username = "u", password = "api-password" }
"""


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    files = {"routers.toml": TENANTS["routers.toml"] + SECOND}
    async with open_site_office(tmp_path, aiohttp_client, files) as site:
        yield site


async def report(site: SiteOffice, grant: Grant, name: str, minute: int, router: str = ROUTER, **changes: Any) -> None:
    """A session that began at a minute; with an end it is over."""
    at = START + timedelta(minutes=minute)
    await site.sales.report(grant, router, acct_session_id=name, started_at=at, updated_at=at, **changes)


async def found(site: SiteOffice, query: str = "", **more: Any) -> list[tuple[str, str]]:
    """When sessions began, and where."""
    rows = await site.all_of(f"/api/sessions{query}", **more)
    return [(each["startedAt"][14:16], each["router"]) for each in rows]


async def test_open_ones_alone_the_last_to_begin_first(site: SiteOffice) -> None:
    """Over all routers of the tenant, page by page; on demand with those that are over in between."""
    grant = await site.sales.sell(number=1)
    over = {"stopped_at": START + timedelta(minutes=30), "cause": "User-Request"}
    for minute, router in ((1, ROUTER), (2, "second"), (5, ROUTER), (7, "second")):
        await report(site, grant, f"open{minute}", minute, router)
    for minute, router in ((3, "second"), (4, ROUTER), (6, ROUTER)):
        await report(site, grant, f"over{minute}", minute, router, **over)
    opened = [("07", "second"), ("05", ROUTER), ("02", "second"), ("01", ROUTER)]
    every = [(f"{minute:02}", ROUTER if minute in {1, 4, 5, 6} else "second") for minute in (7, 6, 5, 4, 3, 2, 1)]
    assert await found(site) == opened
    assert await found(site, "?over=true") == every
    assert await found(site, "?over=true&grantId=grant-1") == every
    assert await found(site, f"?over=true&mac={MAC}") == every
    assert await found(site, "?over=true&routerId=second") == [each for each in every if each[1] == "second"]
    assert await found(site, f"?mac={OTHER_MAC}") == []
    assert await found(site, "?over=true", **THEIRS) == []
    assert await found(site, f"?over=true&mac={MAC}", **THEIRS) == []


async def test_those_that_began_together_come_once_each(site: SiteOffice) -> None:
    """Where many begin at one instant no page drops or repeats one."""
    grant = await site.sales.sell(number=1)
    for number in range(12):
        await report(site, grant, f"s{number}", 1, ROUTER if number % 2 else "second")
    rows = await site.all_of("/api/sessions", limit=5)
    assert sorted(int(each["id"]) for each in rows) == list(range(1, 13))
    assert [int(each["id"]) for each in rows] == list(reversed(range(1, 13)))


async def test_one_of_nobody_we_know_is_its_routers(site: SiteOffice) -> None:
    """Whose a session without a grant is, its router says."""
    grant = await site.sales.sell(number=1)
    await report(site, grant, "stray", 1, "far", grant_id=None)
    assert await found(site) == []
    assert await found(site, **THEIRS) == [("01", "far")]


async def test_a_session_is_told_as_reported(site: SiteOffice) -> None:
    """Counters by direction, and how it ended."""
    grant = await site.sales.sell(number=1)
    await report(site, grant, "x", 1, stopped_at=START + timedelta(minutes=11), cause="User-Request")
    (told,) = await site.all_of("/api/sessions?over=true")
    assert told == {
        "id": "1",
        "router": ROUTER,
        "grant": "grant-1",
        "username": "USER000001",
        "mac": MAC.text,
        "address": "10.5.50.11",
        "startedAt": "2026-11-21T06:01:00.000Z",
        "reportedAt": "2026-11-21T06:01:00.000Z",
        "stoppedAt": "2026-11-21T06:11:00.000Z",
        "seconds": 600,
        "octetsIn": 10**6,
        "octetsOut": 2 * 10**6,
        "cause": "User-Request",
    }


async def test_routers_and_grants_of_others_do_not_exist(site: SiteOffice) -> None:
    """Naming another tenant's is 404, as is one that nobody has."""
    await site.sales.sell(number=1)
    for query, code in (("routerId=far", "router.unknown"), ("grantId=grant-9", "grant.unknown")):
        assert (await site.get(f"/api/sessions?{query}", 404))["code"] == code
    assert (await site.get("/api/sessions?grantId=grant-1", 404, **THEIRS))["code"] == "grant.unknown"
    assert (await site.get(f"/api/sessions?grantId=grant-1&mac={MAC}", 400))["field"] == "grantId"


@pytest.mark.parametrize("key", ["x", "1", "9" * 19, "9" * 30, "\u0661" * 19])
async def test_a_cursor_of_another_list_is_refused_or_finds_nothing_wrong(site: SiteOffice, key: str) -> None:
    """Whatever stands in a cursor, the answer is a page or 400."""
    await report(site, await site.sales.sell(number=1), "s", 1)
    cursor = next_cursor(Page([], Position(START + timedelta(hours=1), key)))
    good = len(key) == 19 and key.isascii()
    told = await site.get(f"/api/sessions?cursor={cursor}", 200 if good else 400)
    assert len(told["items"]) == 1 if good else told["code"] == "cursor.unreadable"


async def test_routers_are_told_with_their_health_and_no_secret(site: SiteOffice) -> None:
    """What the link knows of one, and how many are on; one that is not asked by API has no state."""
    site.sales.presence.observed(ROUTER, {"a", "b"})
    health = RouterHealth(LinkState.UP, "hall", RouterVersion.parse("7.16.2 (stable)"), "RB750Gr3", START, None)
    site.health[ROUTER] = health
    site.health["second"] = replace(health, state=LinkState.DOWN, connected_since=None, last_error="no answer")
    told = (await site.get("/api/routers"))["items"]
    assert told[0] == {
        "id": ROUTER,
        "name": "Hall",
        "address": "10.0.0.1",
        "mode": "hotspot-user",
        "state": "up",
        "identity": "hall",
        "version": "7.16.2",
        "board": "RB750Gr3",
        "connectedSince": "2026-11-21T06:00:00.000Z",
        "lastError": None,
        "onlineDevices": 2,
    }
    assert (told[1]["name"], told[1]["state"], told[1]["lastError"]) == ("second", "down", "no answer")
    theirs = (await site.get("/api/routers", **THEIRS))["items"]
    assert [(each["id"], each["state"], each["identity"]) for each in theirs] == [("far", None, None)]
    said = json.dumps([told, theirs])
    assert "not-to-be-told" not in said
    assert "api-password" not in said
    await site.get("/api/routers", 403, as_="CUSTOMER_CARE")
