"""A sheet of vouchers in a real browser: what a scanner reads off it is redeemed, and lets the device on."""

from __future__ import annotations

import asyncio
import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import zxingcpp
from PIL import Image

from easyisp_edge.__main__ import main
from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.domain.vouchers import read_voucher_code
from easyisp_edge.errors import ConflictError
from easyisp_edge.lab.daraja.faults import Fault
from easyisp_edge.services.portal.vouchers import Holder
from easyisp_edge.web.visits import Device
from tests.whole.browsing import BrowsedStage
from tests.whole.stage import MAC, OTHER_MAC

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from easyisp_edge.domain.grants import Grant


COUNT = 23
# Light around a picture as wide as four of its modules, in parts of the whole of its dark.
QUIET = 4 / 29


async def command(stage: BrowsedStage, *arguments: str) -> None:
    words = ["vouchers", *arguments, "--config", str(stage.folder)]
    assert await asyncio.to_thread(main, words) == 0


async def scanned(page: Page, at: int) -> str:
    """What a scanner reads of the picture with that number."""
    box = await page.locator("path.scan").nth(at).bounding_box()
    assert box is not None
    margin = box["width"] * QUIET
    clip = {
        "x": box["x"] - margin,
        "y": box["y"] - margin,
        "width": box["width"] + 2 * margin,
        "height": box["height"] + 2 * margin,
    }
    png = await page.screenshot(clip=clip, full_page=True)  # type: ignore[arg-type]
    grey = Image.open(io.BytesIO(png)).convert("L")
    found = zxingcpp.read_barcodes(memoryview(grey.tobytes()).cast("B", shape=[grey.height, grey.width]))
    assert len(found) == 1
    return str(found[0].text)


async def redeem(stage: BrowsedStage, code: str, mac: str) -> Grant:
    holder = Holder("default", MacAddress(mac), "main", Service.HOTSPOT)
    return await stage.daemon.parts.vouchers.redeem(holder, code)


async def test_what_is_printed_is_redeemed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each card's picture opens the portal at its own code; two of them put their devices online, uplink or not."""
    async with BrowsedStage(tmp_path) as stage:
        capsys.readouterr()
        await command(stage, "make", "1h", "--count", str(COUNT), "--json")
        batch_id = json.loads(capsys.readouterr().out)["batch"]["id"]
        sheet = tmp_path / "sheet.html"
        await command(stage, "sheet", batch_id, "--out", str(sheet), "--portal", stage.portal_url)
        asked: list[str] = []
        page = await stage.browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(sheet.as_uri())
        assert asked == [sheet.as_uri()]
        await see_cards(page)
        read = [await scanned(page, at) for at in (0, 1, 20, 21, COUNT - 1)]
        codes = [address.removeprefix(f"{stage.portal_url}/v/") for address in read]
        assert [read_voucher_code(code) for code in codes] == codes
        assert len(set(codes)) == len(codes)
        stage.daraja.set_outage(Fault.RESET)
        await open_and_use(stage, read[0])
        grant = await redeem(stage, codes[-1], OTHER_MAC)
        assert grant.funding is Funding.VOUCHER
        with pytest.raises(ConflictError):
            await redeem(stage, codes[0], OTHER_MAC)
        await stage.until_online(MAC)
        await stage.until_online(OTHER_MAC)
        await page.close()


async def open_and_use(stage: BrowsedStage, address: str) -> None:
    """What a phone does that scanned a card: the page asks, and one tap redeems; looking alone takes nothing."""
    token = Device(MacAddress(MAC), "main").token
    code = address.rpartition("/")[2]
    async with stage.http.get(address, params={"d": token}) as answer:
        assert answer.status == 200
        filled_in = re.search(r'name="code" value="([^"]+)"', await answer.text())
    assert filled_in is not None
    assert read_voucher_code(filled_in[1]) == code
    assert await stage.count("grants") == 0
    async with stage.http.post("/voucher", data={"d": token, "code": filled_in[1]}, allow_redirects=False) as answer:
        assert (answer.status, urlsplit(answer.headers["Location"]).path) == (303, "/")


async def see_cards(page: Page) -> None:
    """Every picture and every line stands within its card, none over the code, which each card has in letters."""
    boxes: list[dict[str, Any]] = await page.evaluate(
        "Array.from(document.querySelectorAll('g')).map(card => {"
        " const box = element => { const {left, right, top, bottom} = element.getBoundingClientRect();"
        "   return {left, right, top, bottom} };"
        " return {page: box(card.closest('svg')), said: Array.from(card.children).map(box),"
        "   beside: Array.from(card.querySelectorAll('text[x=\"25.5\"]')).map(box),"
        "   large: box(card.querySelector('[text-anchor=middle]')),"
        "   code: Array.from(card.querySelectorAll('text')).map(each => each.textContent)} })"
    )
    assert len(boxes) == COUNT
    for card in boxes:
        whole = card["page"]
        width = (whole["right"] - whole["left"]) * 63.34 / 210
        left, top = min(each["left"] for each in card["said"]), min(each["top"] for each in card["said"])
        assert whole["left"] <= left
        assert whole["top"] <= top
        assert max(each["right"] for each in card["said"]) - left <= width
        assert max(each["bottom"] for each in card["said"]) <= whole["bottom"]
        assert len(card["beside"]) >= 4
        assert max(each["bottom"] for each in card["beside"]) <= card["large"]["top"]
        assert [text for text in card["code"] if re.fullmatch(r"(?:[0-9A-Z]{4}-){2}[0-9A-Z]{4}", text)]
