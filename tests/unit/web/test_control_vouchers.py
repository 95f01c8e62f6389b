"""The control door's routes about vouchers: what they take, what they answer, and who sees codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.vouchers import grouped
from tests.unit.vouchers_stage import PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp import web
    from aiohttp.test_utils import TestClient

    Client = TestClient[web.Request, web.Application]
    Serve = Callable[[web.Application], Awaitable[Client]]

ORDER = {"package": "1h", "count": 3, "expires": "2026-12-31", "note": "Kiosk"}


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[PaperShop]:
    async with open_paper_shop(tmp_path) as shop:
        yield shop


@pytest.fixture(name="client")
async def _client(shop: PaperShop, aiohttp_client: Serve) -> Client:
    return await aiohttp_client(shop.control().app(lambda _: "root"))


async def made(client: Client, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = await (await client.post("/control/vouchers", json=ORDER | changes)).json()
    return content


async def test_a_batch_is_made_and_listed(client: Client, shop: PaperShop) -> None:
    """Without its codes; what was used is sold."""
    batch = (await made(client))["batch"]
    assert batch == {
        "id": batch["id"],
        "tenant": "default",
        "package": {"id": "1h", "name": "1 hour"},
        "price": 10,
        "count": 3,
        "available": 3,
        "used": 0,
        "revoked": 0,
        "expired": 0,
        "sold": 0,
        "expiresAt": "2026-12-31T21:00:00+00:00",
        "note": "Kiosk",
        "by": "root",
        "createdAt": "2026-11-21T06:00:00+00:00",
    }
    codes = [each.code for each in shop.office.tables.vouchers.of_batch(batch["id"])]
    await shop.redeem(codes[0])
    answer = await (await client.get("/control/vouchers")).text()
    assert not [code for code in codes if code in answer or grouped(code) in answer]
    [listed] = (await (await client.get("/control/vouchers")).json())["batches"]
    assert listed == batch | {"available": 2, "used": 1, "sold": 10}


async def test_codes_are_shown_on_demand(client: Client, shop: PaperShop) -> None:
    """With where each stands, and what a sheet needs; who asked is noted."""
    batch = (await made(client))["batch"]
    one, two, three = (each.code for each in shop.office.tables.vouchers.of_batch(batch["id"]))
    grant = await shop.redeem(one)
    answer = await client.post(f"/control/vouchers/{grouped(two)}/revoke", json={})
    assert (await answer.json())["revoked"] == 1
    shown = await (await client.get(f"/control/vouchers/{batch['id']}", headers={"X-Staff": "mary"})).json()
    assert [(each["number"], each["code"], each["state"], each["grant"]) for each in shown["vouchers"]] == [
        (1, grouped(one), "used", grant.grant_id),
        (2, grouped(two), "revoked", None),
        (3, grouped(three), "available", None),
    ]
    assert (shown["seller"], shown["portalUrl"]) == ("Mama Njeri's Wi-Fi", "http://10.5.50.2")
    assert shop.office.tables.events.told(batch["id"], "staff.vouchers_shown") == {"by": "root (mary)"}


async def test_what_has_expired_is_told_as_that(client: Client, shop: PaperShop) -> None:
    """It is not available any more."""
    await made(client, expires="2026-11-21")
    shop.office.books.time.advance(24 * 3600)
    [listed] = (await (await client.get("/control/vouchers")).json())["batches"]
    assert (listed["available"], listed["expired"]) == (0, 3)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"package": None}, "package"),
        ({"count": None}, "count"),
        ({"count": "many"}, "count"),
        ({"count": -1}, "count"),
        ({"count": 5001}, "count"),
        ({"count": "\u0663"}, "count"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": "2026-13-01"}, "expires"),
        ({"expires": "2025-01-01"}, "expires"),
        ({"note": "a\nb"}, "note"),
    ],
)
async def test_what_cannot_be_is_refused(client: Client, change: dict[str, Any], field: str) -> None:
    """With the field at fault."""
    answer = await client.post("/control/vouchers", json=ORDER | change)
    assert (answer.status, (await answer.json())["field"]) == (400, field)


async def test_what_there_is_not(client: Client) -> None:
    """A package, a batch, a code."""
    assert (await client.post("/control/vouchers", json=ORDER | {"package": "1y"})).status == 404
    assert (await client.get("/control/vouchers/XXXXXX")).status == 404
    assert (await client.post("/control/vouchers/XXXXXX/revoke", json={})).status == 404
