"""The first page on the worst phone: small, and sooner there than what it comes in place of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.real_parts import require
from tests.whole.first_paint import OLD_PAGE_OCTETS, Paint, a_browser, old_page, paint
from tests.whole.stage import ADDRESS, MAC, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.real_part("chromium")

OCTETS_MOST = 15 * 1024


async def best_of_three(browser: Browser, port: int, path: str) -> Paint:
    """The soonest of three: what else the machine does only ever holds a page up."""
    paints = [await paint(browser, port, path) for _ in range(3)]
    return Paint(*(min(getattr(one, name) for one in paints) for name in ("octets", "painted_ms", "usable_ms")))


@pytest.mark.parametrize("language", ["en", "sw"])
async def test_the_first_page_is_small_and_soon_there(tmp_path: Path, language: str) -> None:
    """At most 15 KB with all that belongs to it, and painted and usable before a page of the old portal's size."""
    chromium = require("chromium", "chromium")
    async with Stage(tmp_path) as stage, old_page() as old_port, a_browser(chromium) as browser:
        path = f"/?mac={MAC}&ip={ADDRESS}&lang={language}"
        ours = await best_of_three(browser, stage.ports["portal_port"], path)
        old = await best_of_three(browser, old_port, "/")
    sys.stdout.write(f"ours: {ours}\nas large as the old one: {old}\n")
    assert ours.octets <= OCTETS_MOST
    assert old.octets >= OLD_PAGE_OCTETS
    assert ours.painted_ms < old.painted_ms
    assert ours.usable_ms < old.usable_ms
