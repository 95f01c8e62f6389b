"""Every page in every step against WCAG 2.2 AA as axe-core sees it, in both languages."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import pytest

from tests.whole.browsing import settled
from tests.whole.portal_walks import EMPTY, PLACES, Place, walker

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

pytestmark = pytest.mark.real_part("chromium")

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = (320, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SMALL_BUTTONS = """for (const name of ["A", "B"]) {
  const button = document.createElement("button");
  button.textContent = name;
  button.style.cssText = "width: 9px; height: 9px; padding: 0; border: 0; font-size: 9px";
  document.querySelector("main").append(button);
}"""
# A heading drawn across the edge of a coloured band is the one thing whose contrast axe-core leaves open.
LOOK = """async (tags) => {
  const options = {runOnly: {type: "tag", values: tags}, resultTypes: ["violations", "incomplete"]};
  const found = await axe.run(document, options);
  const one = (rule, node) => `${rule.id}: ${node.html} (${node.failureSummary})`;
  const told = (kind) => found[kind].flatMap((rule) => rule.nodes.map((node) => one(rule, node)));
  const open = /background color could not be determined because it (partially overlaps|is partially obscured)/;
  return [[...told("violations"), ...told("incomplete").filter((each) => !open.test(each))], found.passes.length];
}"""


async def look(page: Page) -> tuple[list[str], int]:
    """What axe-core finds wrong or cannot judge, and how many rules it found kept."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    wrong, kept = await page.evaluate(LOOK, TAGS)
    return wrong, kept


@pytest.mark.parametrize("language", ["en", "sw"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_no_page_shuts_anybody_out(tmp_path: Path, place: Place, language: str) -> None:
    """No violation in any step, light and dark, on the smallest phone and on a wide screen."""
    found: dict[str, list[str]] = {}
    async with place.stage(tmp_path) as stage:
        for walk in place.walks:
            async with walker(stage, language=language) as who:
                await walk.go(who)
                for width in WIDTHS:
                    await who.page.set_viewport_size({"width": width, "height": 640})
                    for scheme in SCHEMES:
                        await who.page.emulate_media(color_scheme=scheme)
                        wrong, kept = await settled(lambda: look(who.page))
                        assert kept > 5, walk.name
                        if wrong:
                            found[f"{walk.name} {width} {scheme}"] = wrong
    assert found == {}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
        ("document.querySelector('p').style.color = '#0b8040'", "color-contrast"),
        ("document.querySelector('h1').innerHTML = '<button></button>'", "button-name"),
        (SMALL_BUTTONS, "target-size"),
        ("document.querySelector('main').append(document.createElement('input'))", "label"),
    ],
)
async def test_what_shuts_somebody_out_is_seen(tmp_path: Path, spoil: str, rule: str) -> None:
    """A page of ours that is spoiled by hand is found out, and for that."""
    async with EMPTY.stage(tmp_path) as stage, walker(stage) as who:
        await EMPTY.walks[0].go(who)
        await who.page.evaluate(spoil)
        wrong, _ = await look(who.page)
        assert rule in {each.partition(":")[0] for each in wrong}
