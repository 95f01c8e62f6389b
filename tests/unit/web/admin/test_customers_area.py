"""Customers over the back office's door: listed, searched, and with what there is beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from tests.unit.shop import MAC, TENANT
from tests.unit.web.admin.site_stage import THEIRS, SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.store.store import Tables


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    async with open_site_office(tmp_path, aiohttp_client) as site:
        yield site


async def know(
    site: SiteOffice,
    name: str,
    phone: str | None,
    *,
    mac: str = MAC.text,
    tenant_id: str = TENANT,
    service: Service = Service.HOTSPOT,
) -> str:
    """A customer who has paid nothing yet comes, a minute after the one before."""
    books = site.sales.office.books
    books.time.advance(60)

    def add(tx: Tables) -> str:
        return tx.customers.paid(
            new_id=name,
            tenant_id=tenant_id,
            service=service,
            phone=None if phone is None else Msisdn.parse(phone),
            mac=MacAddress.parse(mac),
            amount=Money(0),
            at=books.now(),
        )

    return await books.store.write(add)


async def ids(site: SiteOffice, query: str = "", **more: Any) -> list[str]:
    return [each["id"] for each in await site.all_of(f"/api/customers{query}", **more)]


async def test_the_list_is_whole_and_the_newest_first(site: SiteOffice) -> None:
    """Page by page each customer of the tenant comes once, and none of another's."""
    for number in range(5):
        await know(site, f"c{number}", f"07120000{number:02}")
    await know(site, "theirs", "0712000001", tenant_id="b")
    assert await ids(site) == ["c4", "c3", "c2", "c1", "c0"]
    assert await ids(site, **THEIRS) == ["theirs"]


async def test_one_is_found_by_number_and_by_device(site: SiteOffice) -> None:
    """By the whole number, hotspot and PPPoE alike; by the whole address of a device in any spelling."""
    await know(site, "hotspot", "0712000001")
    await know(site, "pppoe", "0712000001", service=Service.PPPOE, mac="AA:BB:CC:00:00:09")
    await know(site, "other", "0722000001", mac="11:22:33:44:55:66")
    assert await ids(site, "?phone=%2B254712000001") == ["pppoe", "hotspot"]
    for spelling in ("aa-bb-cc-00-00-09", "AABBCC000009", "aabb.cc00.0009"):
        assert await ids(site, f"?search={spelling}") == ["pppoe"]
    assert await ids(site, "?search=112233445566") == ["other"]
    assert await ids(site, "?search=112233445566", **THEIRS) == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("0712", ["b", "a"]),
        ("712", ["b", "a"]),
        ("%2B254 712", ["b", "a"]),
        ("00254712", ["b", "a"]),
        ("2540712", ["b", "a"]),
        ("0712 345-6", ["a"]),
        ("07", ["c", "b", "a"]),
        ("254", ["d", "c", "b", "a"]),
        ("2", ["d", "c", "b", "a"]),
        ("0", ["d", "c", "b", "a"]),
        ("7100", ["c"]),
        ("01", ["d"]),
        ("0799", []),
        ("0712345678901", []),
    ],
)
async def test_the_beginning_of_a_number_finds_those_who_have_it(
    site: SiteOffice, typed: str, found: list[str]
) -> None:
    """However the number is begun to be written; a digit more finds fewer."""
    for name, phone in (("a", "0712345678"), ("b", "0712900000"), ("c", "0710000000"), ("d", "0110000000")):
        await know(site, name, phone)
    await know(site, "nobody", None, mac="07:12:00:00:00:01")
    assert await ids(site, f"?search={typed}") == found


async def test_many_who_begin_alike_come_newest_first_too(site: SiteOffice) -> None:
    """Where more begin alike than are sorted, the pages are the same."""
    books = site.sales.office.books

    def add(tx: Tables) -> None:
        for number in range(2100):
            tx.customers.paid(
                new_id=f"c{number:04}",
                tenant_id=TENANT,
                service=Service.HOTSPOT,
                phone=Msisdn(f"25471{number:07}"),
                mac=None,
                amount=Money(0),
                at=books.now(),
            )

    await books.store.write(add)
    found = [each["id"] for each in await site.all_of("/api/customers?search=071", limit=200)]
    assert found == [f"c{number:04}" for number in reversed(range(2100))]
    few = [each["id"] for each in await site.all_of("/api/customers?search=07100000", limit=200)]
    assert few == [f"c{number:04}" for number in reversed(range(100))]


@pytest.mark.parametrize("query", ["search=mary", "search=AA:BB", "phone=12", "search=07&phone=0712000001"])
async def test_a_search_that_makes_no_sense_is_refused(site: SiteOffice, query: str) -> None:
    """What is neither the beginning of a number nor a device is 400, with the field."""
    assert (await site.get(f"/api/customers?{query}", 400))["field"] == query.split("=", maxsplit=1)[0]


async def test_one_is_told_with_what_there_is_beside(site: SiteOffice) -> None:
    """The wallet, what was spent, what may be used now and what was paid; no password."""
    first = await site.sales.sell(number=1)
    await site.sales.sell(number=2)
    await site.sales.desk.end("grant-1", "x", "mary")
    (listed,) = await site.all_of("/api/customers")
    assert listed == {
        "id": first.customer_id,
        "name": "254712345678",
        "phone": "254712345678",
        "connectionType": "HOTSPOT",
        "lastMac": MAC.text,
        "walletBalance": 0,
        "totalSpent": 20,
        "createdAt": "2026-11-21T06:00:01.000Z",
    }
    told = await site.get(f"/api/customers/{first.customer_id}")
    assert {**listed, "grants": told["grants"], "payments": told["payments"]} == told
    assert [each["id"] for each in told["grants"]] == ["grant-2"]
    assert [each["transactionId"] for each in told["payments"]] == ["RECEIPT002", "RECEIPT001"]
    assert (told["payments"][0]["amount"], told["payments"][0]["disposition"]) == (10, "grant")
    assert first.password not in str(told)


async def test_who_may_not_see_payments_is_shown_none(site: SiteOffice) -> None:
    """A receipt lets whoever knows it on: a technician sees the customer without."""
    grant = await site.sales.sell(number=1)
    told = await site.get(f"/api/customers/{grant.customer_id}", as_="FIELD_TECH")
    assert told["payments"] is None
    assert "RECEIPT001" not in str(told)


async def test_another_tenants_is_as_one_who_does_not_exist(site: SiteOffice) -> None:
    """404 in the same words."""
    await know(site, "ours", "0712000001")
    theirs = await site.get("/api/customers/ours", 404, **THEIRS)
    nobodys = await site.get("/api/customers/nobody", 404)
    assert (theirs["code"], theirs["message"]) == (nobodys["code"], nobodys["message"].replace("nobody", "ours"))


async def test_who_has_neither_number_nor_device_has_no_name(site: SiteOffice) -> None:
    """Who is known by a device alone is called by it."""
    await know(site, "device", None)
    assert [(each["name"], each["phone"]) for each in await site.all_of("/api/customers")] == [(MAC.text, None)]
