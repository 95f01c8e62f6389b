"""Every page at a small phone's screen beside the picture of it that a person approved."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from tests.whole import pictures
from tests.whole.portal_walks import PLACES, Place, language_of, walker

if TYPE_CHECKING:
    from pathlib import Path

APPROVE = "if that is meant: python -m tests.whole.approve_pictures"


def test_each_page_has_a_small_picture_and_no_other_has() -> None:
    """A picture and a layout for each walk, of 20 KB at most, and none that nothing leads to any more."""
    names = {walk.name for place in PLACES for walk in place.walks}
    wanted = {f"{name}.{kind}" for name in names for kind in ("png", "json")} | {pictures.FONTS.name}
    assert {file.name for file in pictures.APPROVED.iterdir()} == wanted
    for file in pictures.APPROVED.glob("*.png"):
        assert file.stat().st_size <= pictures.OCTETS_MOST, file


@pytest.mark.real_part("chromium")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_each_page_looks_as_approved(tmp_path: Path, place: Place) -> None:
    """The elements stand where they stood; with the same fonts the picture is the same, too."""
    changed = {}
    async with place.stage(tmp_path) as stage:
        for walk in place.walks:
            async with walker(stage, language=language_of(walk)) as who:
                await walk.go(who)
                await pictures.hold_still(who.page)
                boxes, approved = await pictures.boxes_of(who.page), pictures.APPROVED / f"{walk.name}.json"
                differs = pictures.layout_differs(boxes, json.loads(approved.read_text(encoding="utf-8")))
                if await pictures.fonts_of(who.page) == json.loads(pictures.FONTS.read_text(encoding="utf-8")):
                    seen = await pictures.picture_of(who.page)
                    differs = differs or pictures.picture_differs(seen, approved.with_suffix(".png").read_bytes())
                if differs:
                    changed[walk.name] = differs
    assert changed == {}, APPROVE


def _drawn(*boxes: tuple[int, int, int, int]) -> bytes:
    picture = Image.new("RGB", (320, 640), "white")
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill="green")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_moved_button_is_seen_and_a_shifted_edge_is_not() -> None:
    """A picture is another when something is elsewhere or gone, not when an edge is drawn a pixel aside."""
    button = (20, 300, 300, 350)
    assert pictures.picture_differs(_drawn(button), _drawn(button)) == ""
    assert pictures.picture_differs(_drawn(button), _drawn((20, 301, 300, 351))) == ""
    assert pictures.picture_differs(_drawn(button), _drawn((20, 340, 300, 390)))
    assert pictures.picture_differs(_drawn(button), _drawn())


def test_what_fonts_change_is_no_other_layout() -> None:
    """A line more, or a word that is wider, is the fonts'; another order, width or end is not."""
    approved = [["h1", 20, 40, 280, 30], ["a.offer", 20, 80, 280, 60], ["dd", 200, 160, 90, 24]]

    def differs(at: int, *values: object) -> str:
        found = [list(each) for each in approved]
        found[at][:] = values
        return pictures.layout_differs(found, approved)

    assert differs(0, "h1", 20, 40, 280, 60) == ""
    assert differs(2, "dd", 170, 160, 120, 24) == ""
    assert "was ['h1'" in differs(0, "h2", 20, 40, 280, 30)
    assert "was from" in differs(1, "a.offer", 20, 80, 140, 60)
    assert "beyond the screen" in differs(2, "dd", 200, 160, 150, 24)
    assert "high" in differs(0, "h1", 20, 40, 280, 300)
    assert pictures.layout_differs(approved[:2], approved)
