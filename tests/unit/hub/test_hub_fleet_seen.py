from __future__ import annotations

import contextlib
import json
import os
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import parts_of
from tests.real_parts import require
from tests.unit.hub.test_hub_fleet import NOW, SECRET, Stage, grant, payment, staged, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
# Where pictures for people go, should any be wanted.
_PICTURES = os.environ.get("EASYISP_PICTURES")


async def fleet_of_three(stage: Stage) -> str:
    """A fleet with something of everything; gives the id of the site with troubles."""
    kibera, ruiru = await stage.box("Kibera Market Hotspot"), await stage.box("Ruiru Bypass")
    await parts_of(stage.hub).enrolment.new_code("Nakuru, not there yet")
    for back in range(7):
        at = NOW - timedelta(days=back, hours=2)
        await tell(kibera, payments=[payment(100 + back, at, 123_400 * (back + 1)), payment(200 + back, at, 5_050)])
        await tell(ruiru, payments=[payment(300 + back, at, 1_234_500)])
    at = NOW - timedelta(minutes=30)
    await tell(kibera, payments=[payment(1, at)], grants=[grant(1, at)])
    await tell(kibera, payments=[payment(2, at, disposition="unmatched", account="Mama Njeri 0712")])
    await tell(kibera, payments=[{"no": "key"}])
    await parts_of(stage.hub).alarms.note(kibera.site, "signature", "POST /edge/v1/streams/money?last=123456789012")
    await parts_of(stage.hub).alarms.note("", "callback.unknown", "from 2001:db8:1234:5678:9abc:def0:1234:5678")
    await kibera.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    return kibera.site


@contextlib.asynccontextmanager
async def browsed(stage: Stage, width: int, *, dark: bool) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page in a browser that knows the password, and what it complains of."""
    complaints: list[str] = []
    hub = stage.hub.address
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=require("chromium", "chromium"), args=_ARGUMENTS)
        context = await browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            http_credentials={"username": "owner", "password": SECRET},
            bypass_csp=True,  # for the checker's script; the page has none
        )
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith(hub) else complaints.append(request.url))
        yield page, complaints
        await browser.close()


async def violations(page: Page) -> list[Any]:
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(script)
    found = await page.evaluate("() => axe.run()")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


@pytest.mark.real_part("Chromium")
@pytest.mark.parametrize(("width", "dark"), [(320, False), (320, True), (1280, False), (1280, True)])
async def test_the_pages_are_good_on_any_screen(tmp_path: Path, http: Any, width: int, *, dark: bool) -> None:
    """No sideways scrolling of the page, enough contrast and names for all, no complaint, in light and dark."""
    async with staged(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"), http) as stage:
        site = await fleet_of_three(stage)
        async with browsed(stage, width, dark=dark) as (page, complaints):
            for path in ("/fleet", f"/fleet/{site}"):
                answer = await page.goto(stage.hub.address + path)
                assert answer is not None
                assert answer.status == 200
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
                assert await page.evaluate("getComputedStyle(document.body).maxWidth") == "1120px"  # the sheet is there
                if _PICTURES:
                    name = f"fleet-{len(path)}-{width}-{'dark' if dark else 'light'}.png"
                    await page.screenshot(path=str(Path(_PICTURES) / name), full_page=True)
                assert json.dumps(await violations(page)) == "[]"
            assert complaints == []
