"""Vouchers over the back office's door: made, looked up, printed and taken back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.vouchers import grouped
from easyisp_edge.web.admin.models import next_cursor
from tests.fakes.clocks import START
from tests.unit.web.admin.site_stage import THEIRS, SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

PORTAL = "portal=http://10.5.50.2"


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    async with open_site_office(tmp_path, aiohttp_client) as site:
        yield site


async def make(site: SiteOffice, count: int = 3, **more: Any) -> str:
    """A new batch, a minute after the one before; its id."""
    site.sales.office.books.time.advance(60)
    told = await site.post("/api/vouchers", 201, json={"packageId": "1h", "count": count, **more})
    return str(told["id"])


def codes_of(site: SiteOffice, batch_id: str) -> list[str]:
    return [each.code for each in site.sales.office.tables.vouchers.of_batch(batch_id)]


async def sheet(site: SiteOffice, batch_id: str, query: str = PORTAL, expect: int = 200, as_: str = "ADMIN") -> str:
    headers = {"Authorization": f"Bearer {as_}"}
    async with site.client.get(f"/api/vouchers/{batch_id}/sheet?{query}", headers=headers) as answer:
        assert answer.status == expect
        if expect == 200:
            assert answer.content_type == "text/html"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return await answer.text()


async def test_a_batch_is_made_at_the_price_of_now(site: SiteOffice) -> None:
    """What is made is told without codes, with who made it; the price is the package's."""
    site.sales.office.books.time.advance(60)
    asked = {"packageId": "1h", "count": 3, "expiresOn": "2026-12-31", "note": "Kiosk"}
    told = await site.post("/api/vouchers", 201, json=asked)
    assert re.fullmatch(r"[A-Z0-9]{6}", told.pop("id"))
    assert told == {
        "package": {"id": "1h", "name": "1 hour"},
        "price": 10,
        "count": 3,
        "available": 3,
        "used": 0,
        "revoked": 0,
        "expired": 0,
        "sold": 0,
        "expiresAt": "2026-12-31T21:00:00.000Z",
        "note": "Kiosk",
        "by": "ADMIN@x.ke",
        "createdAt": "2026-11-21T06:01:00.000Z",
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"count": 0}, 400),
        ({"count": 5001}, 400),
        ({"count": "3"}, 400),
        ({"expiresOn": "2026-11-20"}, 400),
        ({"expiresOn": "0001-01-01"}, 400),
        ({"expiresOn": "9999-12-31"}, 400),
        ({"expiresOn": "tomorrow"}, 400),
        ({"note": "x" * 201}, 400),
        ({"note": "a\u2028b"}, 400),
        ({"packageId": "none"}, 404),
    ],
)
async def test_what_cannot_be_made_is_refused(site: SiteOffice, change: dict[str, Any], status: int) -> None:
    """Nothing is made of it."""
    await site.post("/api/vouchers", status, json={"packageId": "1h", "count": 1, **change})
    assert site.sales.office.books.count("voucher_batches") == 0


async def test_a_note_may_be_left_empty(site: SiteOffice) -> None:
    """Pages send the fields they leave empty, too."""
    told = await site.post("/api/vouchers", 201, json={"packageId": "1h", "count": 1, "note": ""})
    assert told["note"] == ""


@pytest.mark.parametrize(("field", "value"), [("expiresOn", "2026-11-20"), ("expiresOn", "tomorrow"), ("count", 0)])
async def test_a_refusal_names_the_field_as_it_was_sent(site: SiteOffice, field: str, value: Any) -> None:
    """Whether it could not be read or could not be: the page marks the field by that name."""
    told = await site.post("/api/vouchers", 400, json={"packageId": "1h", "count": 1, field: value})
    assert told["field"] == field


async def test_the_list_is_whole_and_newest_first(site: SiteOffice) -> None:
    """Page by page each batch of the tenant comes once, without a code."""
    made = [await make(site, 1) for _ in range(5)]
    rows = await site.all_of("/api/vouchers")
    assert [each["id"] for each in rows] == made[::-1]
    assert not any(code in str(rows) for batch_id in made for code in codes_of(site, batch_id))
    assert await site.all_of("/api/vouchers", **THEIRS) == []


async def test_a_batch_is_shown_in_pages(site: SiteOffice) -> None:
    """In order, each voucher once, whole codes for those who may make some; that they saw them is noted."""
    batch_id = await make(site, 5)
    rows = await site.all_of(f"/api/vouchers/{batch_id}")
    assert [each["number"] for each in rows] == [1, 2, 3, 4, 5]
    assert [each["code"] for each in rows] == [grouped(code) for code in codes_of(site, batch_id)]
    assert site.sales.told("staff.vouchers_shown") == [{"by": "ADMIN@x.ke"}] * 3


@pytest.mark.parametrize("role", ["VIEWER", "CUSTOMER_CARE"])
async def test_who_may_not_make_vouchers_cannot_take_one(site: SiteOffice, role: str) -> None:
    """They see the last letters of each code, used or not, and nothing is written by their looking."""
    batch_id = await make(site, 2)
    events = site.sales.office.books.count("events")
    told = await site.get(f"/api/vouchers/{batch_id}", as_=role)
    assert [each["code"] for each in told["items"]] == [f"****-****-{code[-4:]}" for code in codes_of(site, batch_id)]
    await site.post("/api/vouchers", 403, as_=role, json={"packageId": "1h", "count": 1})
    await site.post(f"/api/vouchers/{batch_id}/revoke", 403, as_=role)
    await sheet(site, batch_id, expect=403, as_=role)
    assert site.sales.office.books.count("events") == events


async def test_what_is_left_of_a_batch_is_taken_back(site: SiteOffice) -> None:
    """All that nobody used; who did it is noted; a second time takes nothing back."""
    batch_id = await make(site, 3)
    told = await site.post(f"/api/vouchers/{batch_id}/revoke")
    assert (told["revoked"], told["batch"]["available"], told["batch"]["revoked"]) == (3, 0, 3)
    assert site.sales.told("staff.vouchers_revoked") == [{"by": "ADMIN@x.ke", "count": 3}]
    assert (await site.post(f"/api/vouchers/{batch_id}/revoke"))["revoked"] == 0
    assert {each["state"] for each in await site.all_of(f"/api/vouchers/{batch_id}")} == {"revoked"}


async def test_what_expired_counts_as_expired(site: SiteOffice) -> None:
    """From midnight in Nairobi on."""
    batch_id = await make(site, 2, expiresOn="2026-11-21")
    site.sales.office.books.time.advance(15 * 3600)
    told = await site.get(f"/api/vouchers/{batch_id}")
    assert (told["batch"]["available"], told["batch"]["expired"]) == (0, 2)
    assert {each["state"] for each in told["items"]} == {"expired"}


async def test_a_sheet_has_a_card_for_each_that_can_be_used(site: SiteOffice) -> None:
    """Whole pages in one document, each code on it once."""
    batch_id = await make(site, 23, expiresOn="2026-12-31")
    text = await sheet(site, batch_id)
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</body></html>\n")
    assert (text.count("<svg"), text.count('class="scan"')) == (2, 23)
    assert all(text.count(f">{grouped(code)}<") == 1 for code in codes_of(site, batch_id))
    assert "1 hour \u2013 KES 10" in text
    assert "2026-12-31" in text
    assert "10.5.50.2" in text


async def test_a_sheet_that_cannot_be_made_says_why(site: SiteOffice) -> None:
    """No address of the portal and nothing left to print are 409; an address that is none is 400."""
    batch_id = await make(site, 1)
    assert "vouchers.portal" in await sheet(site, batch_id, "", 409)
    assert '"field": "portal"' in await sheet(site, batch_id, "portal=javascript:alert(1)", 400)
    await site.post(f"/api/vouchers/{batch_id}/revoke")
    assert "vouchers.none_left" in await sheet(site, batch_id, expect=409)


async def test_another_tenants_is_as_one_that_does_not_exist(site: SiteOffice) -> None:
    """Looking, printing and taking back are 404 in the same words, and nothing is written."""
    batch_id = await make(site, 1)
    events = site.sales.office.books.count("events")
    theirs = await site.get(f"/api/vouchers/{batch_id}", 404, **THEIRS)
    nobodys = await site.get("/api/vouchers/ZZZZZZ", 404)
    assert theirs["message"] == nobodys["message"].replace("ZZZZZZ", batch_id)
    await site.get(f"/api/vouchers/{batch_id}", 404, as_="VIEWER:b")
    await site.post(f"/api/vouchers/{batch_id}/revoke", 404, **THEIRS)
    await sheet(site, batch_id, expect=404, as_="ADMIN:b")
    assert site.sales.office.books.count("events") == events
    assert [each["state"] for each in await site.all_of(f"/api/vouchers/{batch_id}")] == ["available"]


@pytest.mark.parametrize("key", ["x", "9" * 30, "\u0661", "-1"])
async def test_a_cursor_of_another_list_is_refused(site: SiteOffice, key: str) -> None:
    """Whatever stands in a cursor, it is no error of ours."""
    batch_id = await make(site, 1)
    cursor = next_cursor(Page([], Position(START, key)))
    assert (await site.get(f"/api/vouchers/{batch_id}?cursor={cursor}", 400))["code"] == "cursor.unreadable"
