"""Grants over the back office's door: how they are listed, and what staff may do about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.values import DataVolume
from tests.fakes.clocks import START
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER
from tests.unit.web.admin.site_stage import THEIRS, SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

CAPPED = replace(HOUR, package_id="cap", name="Capped", data_limit=DataVolume(1000))
REASON = {"reason": "The mast was down"}
ACTS = (
    ("extend", {"minutes": 30, **REASON}),
    ("revoke", REASON),
    ("move", {"mac": OTHER_MAC.text}),
    ("switch", None),
)


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    async with open_site_office(tmp_path, aiohttp_client) as site:
        yield site


async def ids(site: SiteOffice, query: str = "", **more: Any) -> list[str]:
    return [each["id"] for each in await site.all_of(f"/api/grants{query}", **more)]


async def test_the_list_is_whole_and_newest_first(site: SiteOffice) -> None:
    """Page by page each grant of the tenant comes once, those that are over in between, and none of another's."""
    for number in (1, 2, 3, 4, 5):
        await site.sales.sell(number=number)
    await site.sales.sell(number=6, tenant_id="b")
    await site.sales.desk.end("grant-3", "x", "mary")
    assert await ids(site) == [f"grant-{number}" for number in (5, 4, 3, 2, 1)]
    assert await ids(site, **THEIRS) == ["grant-6"]


async def test_what_is_sold_meanwhile_moves_no_page(site: SiteOffice) -> None:
    """A page goes on where the one before ended, whatever came on top since."""
    for number in (1, 2, 3):
        await site.sales.sell(number=number)
    first = await site.get("/api/grants?limit=2")
    await site.sales.sell(number=4)
    rest = await site.get(f"/api/grants?limit=2&cursor={first['nextCursor']}")
    assert ([each["id"] for each in rest["items"]], rest["nextCursor"]) == (["grant-1"], None)


async def test_states_are_what_is_left(site: SiteOffice) -> None:
    """What is used up counts as ended, whether or not the books say so yet; usable is all else."""
    for number in (1, 2, 3, 4):
        await site.sales.sell(CAPPED if number == 2 else HOUR, number=number)
    running = await site.sales.start(site.sales.grant("grant-1"))
    await site.sales.use(site.sales.grant("grant-2"), octets=1000)
    await site.sales.desk.end("grant-3", "x", "mary")
    assert await ids(site, "?state=usable") == ["grant-4", "grant-1"]
    assert await ids(site, "?state=running") == ["grant-1"]
    assert await ids(site, "?state=waiting") == ["grant-4"]
    assert await ids(site, "?state=ended") == ["grant-3", "grant-2"]
    assert running.ends_at is not None
    site.sales.office.books.time.advance(3600)
    assert await ids(site, "?state=running") == []
    states = {each["id"]: each["state"] for each in await site.all_of("/api/grants")}
    assert states == {"grant-1": "ended", "grant-2": "ended", "grant-3": "ended", "grant-4": "waiting"}


async def test_a_paused_one_is_found_as_such(site: SiteOffice) -> None:
    """What was set aside for another one of its device is paused."""
    await site.sales.start(await site.sales.sell(number=1))
    await site.sales.sell(number=2)
    await site.post("/api/grants/grant-2/switch")
    assert await ids(site, "?state=paused") == ["grant-1"]
    assert await ids(site, "?state=running") == ["grant-2"]


async def test_each_filter_finds_its_own(site: SiteOffice) -> None:
    """By device, number, receipt and customer, also among what is over; of another tenant nothing is found."""
    await site.sales.sell(number=1)
    await site.sales.sell(number=2, mac=OTHER_MAC)
    await site.sales.desk.end("grant-2", "x", "mary")
    customer = site.sales.grant("grant-1").customer_id
    assert await ids(site, "?mac=aa-bb-cc-00-00-02") == ["grant-2"]
    assert await ids(site, "?mac=AABBCC000001&state=usable") == ["grant-1"]
    assert await ids(site, "?phone=0712345678") == ["grant-2", "grant-1"]
    assert await ids(site, "?phone=0712345678&state=usable") == ["grant-1"]
    assert await ids(site, "?receipt=receipt002") == ["grant-2"]
    assert await ids(site, f"?customerId={customer}") == ["grant-2", "grant-1"]
    for query in ("mac=AA:BB:CC:00:00:01", "phone=0712345678", "receipt=RECEIPT001", f"customerId={customer}"):
        assert await ids(site, f"?{query}", **THEIRS) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("mac=zz", "mac"),
        ("phone=12", "phone"),
        ("receipt=%20", "receipt"),
        ("state=none", "state"),
        ("limit=0", "limit"),
    ],
)
async def test_a_filter_that_makes_no_sense_names_its_field(site: SiteOffice, query: str, field: str) -> None:
    """What cannot be a device, a number or a receipt is 400."""
    assert (await site.get(f"/api/grants?{query}", 400))["field"] == field


async def test_one_tells_all_but_its_password(site: SiteOffice) -> None:
    """Package, customer, what is left and who is on, but nobody can log in by what is told here."""
    grant = await site.sales.start(await site.sales.sell(number=1))
    await site.sales.report(grant)
    site.sales.office.books.time.advance(60)
    told = await site.get("/api/grants/grant-1")
    assert grant.password not in str(told)
    assert grant.password not in str(await site.get("/api/grants"))
    assert told == {
        "id": "grant-1",
        "state": "running",
        "signedOut": False,
        "funding": "payment",
        "package": {"id": "1h", "name": "1 hour", "price": 10, "speed": "5/2 Mbps"},
        "customer": {"id": grant.customer_id, "name": "254712345678", "phone": "254712345678"},
        "connectionType": "HOTSPOT",
        "username": "USER000001",
        "mac": MAC.text,
        "devicesMax": 1,
        "secondsLeft": 3540,
        "onlineSecondsLeft": None,
        "dataUsed": 3 * 10**6,
        "dataLimit": None,
        "opensAt": None,
        "online": True,
        "routers": [ROUTER],
        "createdAt": "2026-11-21T06:00:01.000Z",
        "startedAt": "2026-11-21T06:00:00.000Z",
        "endsAt": "2026-11-21T07:00:00.000Z",
    }


async def test_more_time_moves_the_end(site: SiteOffice) -> None:
    """What runs ends later, what waits has more before it; routers are told, and who did it why is noted."""
    await site.sales.start(await site.sales.sell(number=1))
    await site.sales.sell(number=2)
    await site.sales.rung()
    more = await site.post("/api/grants/grant-1/extend", json={"minutes": 30, **REASON})
    assert (more["secondsLeft"], more["endsAt"]) == (5400, "2026-11-21T07:30:00.000Z")
    assert await site.sales.rung() == {ROUTER}
    assert (await site.post("/api/grants/grant-2/extend", json={"seconds": 1, **REASON}))["secondsLeft"] == 3601
    assert site.sales.told("staff.grant_extended") == [
        {"by": "ADMIN@x.ke", "reason": REASON["reason"], "seconds": 1800},
        {"by": "ADMIN@x.ke", "reason": REASON["reason"], "seconds": 1},
    ]
    assert [told["seconds"] for told in site.sales.told("grant.extended")] == [1800, 1]


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"minutes": 1, "seconds": 1, "reason": "x"},
        {"seconds": 0, "reason": "x"},
        {"seconds": -5, "reason": "x"},
        {"seconds": 31 * 86400 + 1, "reason": "x"},
        {"minutes": 31 * 1440 + 1, "reason": "x"},
        {"minutes": 10},
        {"minutes": 10, "reason": " "},
        {"minutes": 10, "reason": "two\nlines"},
        {"minutes": 10, "reason": "two\u2028lines"},
        {"minutes": "10", "reason": "x"},
        {"minutes": 1.5, "reason": "x"},
    ],
)
async def test_what_cannot_be_given_is_refused(site: SiteOffice, body: dict[str, Any]) -> None:
    """Either seconds or minutes, within a month, with a reason of one line."""
    await site.sales.sell(number=1)
    await site.post("/api/grants/grant-1/extend", 400, json=body)
    assert site.sales.grant().seconds_left == 3600


async def test_a_month_is_the_most_at_once(site: SiteOffice) -> None:
    """The bound itself can be given."""
    await site.sales.sell(number=1)
    told = await site.post("/api/grants/grant-1/extend", json={"minutes": 31 * 1440, "reason": "x"})
    assert told["secondsLeft"] == 3600 + 31 * 86400


async def test_what_is_over_stays_over(site: SiteOffice) -> None:
    """Ended, lapsed and used up ones are 409 with what to do instead, and stay as they are."""
    await site.sales.sell(number=1)
    await site.sales.desk.end("grant-1", "x", "mary")
    await site.sales.use(await site.sales.sell(CAPPED, number=2), octets=1000)
    await site.sales.start(await site.sales.sell(number=3))
    site.sales.office.books.time.advance(3600)
    for number in (1, 2, 3):
        told = await site.post(f"/api/grants/grant-{number}/extend", 409, json={"minutes": 1, **REASON})
        assert told["code"] == "grant.over"
        assert "new one" in told["message"]
    assert site.sales.told("grant.extended") == []


async def test_what_was_given_in_advance_is_not_extended(site: SiteOffice) -> None:
    """It would come off what its money buys."""
    grant = await site.sales.sell(number=1)
    store = site.sales.office.books.store
    given = replace(grant, funding=Funding.PROVISIONAL, payment_id=None, purchase_id=None)
    await store.write(lambda tx: tx.grants.rebook(given))
    told = await site.post("/api/grants/grant-1/extend", 409, json={"minutes": 1, **REASON})
    assert told["code"] == "grant.provisional"
    await store.write(lambda tx: tx.grants.rebook(grant))


async def test_a_revoked_one_is_over_at_once(site: SiteOffice) -> None:
    """It ends with the reason in the books; a second time is 409."""
    await site.sales.start(await site.sales.sell(number=1))
    told = await site.post("/api/grants/grant-1/revoke", json=REASON)
    assert (told["state"], told["secondsLeft"]) == ("ended", 0)
    assert site.sales.told("staff.grant_ended") == [{"by": "ADMIN@x.ke", **REASON}]
    assert (await site.post("/api/grants/grant-1/revoke", 409, json=REASON))["code"] == "grant.over"
    await site.post("/api/grants/grant-1/revoke", 400, json={})


async def test_one_follows_to_another_device(site: SiteOffice) -> None:
    """It is for the other device from then on; for the same one that is 409, for none it is 400."""
    await site.sales.sell(number=1)
    told = await site.post("/api/grants/grant-1/move", json={"mac": "aabbcc000002"})
    assert told["mac"] == OTHER_MAC.text
    assert site.sales.told("staff.grant_moved")[0]["by"] == "ADMIN@x.ke"
    again = await site.post("/api/grants/grant-1/move", 409, json={"mac": OTHER_MAC.text})
    assert again["code"] == "grant.same_device"
    assert (await site.post("/api/grants/grant-1/move", 400, json={"mac": "here"}))["field"] == "mac"


@pytest.mark.parametrize(("act", "body"), ACTS)
async def test_another_tenants_is_as_one_that_does_not_exist(
    site: SiteOffice, act: str, body: dict[str, Any] | None
) -> None:
    """Every look and every act is 404 in the same words, and nothing is changed."""
    await site.sales.sell(number=1)
    before, events = site.sales.grant(), site.sales.office.books.count("events")
    theirs = await site.post(f"/api/grants/grant-1/{act}", 404, json=body, **THEIRS)
    nobodys = await site.post(f"/api/grants/grant-9/{act}", 404, json=body, **THEIRS)
    assert theirs["code"] == nobodys["code"] == "grant.unknown"
    assert theirs["message"] == nobodys["message"].replace("grant-9", "grant-1")
    assert (await site.get("/api/grants/grant-1", 404, **THEIRS))["message"] == theirs["message"]
    assert (site.sales.grant(), site.sales.office.books.count("events")) == (before, events)


@pytest.mark.parametrize(("act", "body"), ACTS)
async def test_a_viewer_changes_nothing(site: SiteOffice, act: str, body: dict[str, Any] | None) -> None:
    """Each act needs a permission that a VIEWER does not have."""
    await site.sales.sell(number=1)
    before, events = site.sales.grant(), site.sales.office.books.count("events")
    assert (await site.post(f"/api/grants/grant-1/{act}", 403, json=body, as_="VIEWER"))["code"] == "permission.missing"
    assert (site.sales.grant(), site.sales.office.books.count("events")) == (before, events)
    assert (await site.get("/api/grants/grant-1", as_="VIEWER"))["id"] == "grant-1"


async def test_nothing_before_its_time_is_lost(site: SiteOffice) -> None:
    """An extension of what was paused is there when it comes back: its time stood still at what it had and more."""
    await site.sales.start(await site.sales.sell(number=1))
    await site.sales.sell(number=2)
    site.sales.office.books.time.advance(600)
    await site.post("/api/grants/grant-2/switch")
    await site.post("/api/grants/grant-1/extend", json={"minutes": 10, **REASON})
    back = await site.post("/api/grants/grant-1/switch")
    assert (back["state"], back["secondsLeft"]) == ("running", 3600)
    assert site.sales.grant("grant-1").ends_at == START + timedelta(seconds=600 + 3600)
