"""Packages over the back office's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.web.admin.site_stage import TENANTS, THEIRS, SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

RICH = """[[package]]
id = "night"
tenant = "default"
name = "Nights"
price = 5
duration = "7d"
online = "3h"
speed = "512k/1M"
data = "2GB"
devices = 3
active = false
routers = ["main"]
hours = "22:00-06:00"
days = ["fri", "sat"]
"""


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    files = {"packages.toml": TENANTS["packages.toml"] + RICH}
    async with open_site_office(tmp_path, aiohttp_client, files) as site:
        yield site


async def test_all_are_listed_the_cheapest_first(site: SiteOffice) -> None:
    """Also those that are not offered now; each tenant's own."""
    assert [each["id"] for each in (await site.get("/api/packages"))["items"]] == ["night", "1h", "week-end_pass-2026"]
    assert [each["id"] for each in (await site.get("/api/packages", **THEIRS))["items"]] == ["1h", "week-end_pass-2026"]


async def test_one_says_all_that_the_file_says(site: SiteOffice) -> None:
    """In words for people and in numbers for programs; null where there is no limit."""
    assert await site.get("/api/packages/night", as_="VIEWER") == {
        "id": "night",
        "name": "Nights",
        "price": 5,
        "speed": "1/0.51 Mbps",
        "duration": "7 days",
        "durationSeconds": 7 * 86400,
        "onlineSeconds": 3 * 3600,
        "data": "2 GB",
        "dataLimit": 2 * 10**9,
        "devices": 3,
        "service": "hotspot",
        "active": False,
        "routers": ["main"],
        "hours": "fri,sat 22:00-06:00",
    }
    plain = await site.get("/api/packages/1h")
    assert [plain[name] for name in ("onlineSeconds", "data", "dataLimit", "routers", "hours")] == [
        None,
        None,
        None,
        [],
        None,
    ]


async def test_another_tenants_is_as_one_that_does_not_exist(site: SiteOffice) -> None:
    """404 with the same code."""
    assert (await site.get("/api/packages/night", 404, **THEIRS))["code"] == "package.unknown"
    assert (await site.get("/api/packages/none", 404))["code"] == "package.unknown"
