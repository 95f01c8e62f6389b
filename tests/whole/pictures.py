"""What a page looks like, in two ways: a small picture, and where its elements stand.

A picture is the same only where the fonts are the same, so that it is held against its approved one only there. Where
the elements stand holds everywhere, within what other fonts change.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageFilter

if TYPE_CHECKING:
    from playwright.async_api import Page

APPROVED = Path(__file__).parent / "approved"
FONTS = APPROVED / "fonts.json"
WIDTH = 320
OCTETS_MOST = 20 * 1024
# As many as the picture may have and stay small.
_COLOURS = (12, 8, 6, 4)
# What a blurred pixel may differ by, of 255, and how many may differ more.
_SHADE, _SHARE = 40, 0.01
# How far other fonts may move an edge sideways, and stretch an element, in pixels.
_SIDEWAYS, _TALLER = 8, 60
# Words that are as long as the fonts have them: where these begin and end is theirs.
_AS_LONG_AS_WORDS = {"a", "nav", "p.shop", "dt", "dd", "timer"}

# Times, codes and numbers are others each time: each gets the same in their place, so that the rest can be compared.
STILL = """() => {
  // What opens some hours from now opens at night or by day, and tomorrow in the evening.
  const opening = (text) => text
    .replace(/(from) tomorrow at |(kuanzia) kesho, /gi, (_, en, sw) => (en || sw) + " ")
    .replace(/Nights /g, "Every day ").replace(/Usiku /g, "Kila siku ");
  const still = (text) =>
    opening(text).replace(/tomorrow/g, "today").replace(/kesho/g, "leo").replace(/[0-9]/g, "8");
  for (const timer of document.querySelectorAll("[role=timer]")) timer.textContent = "8 min 8 s";
  for (const code of document.querySelectorAll(".code")) {
    const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) walk.currentNode.data = walk.currentNode.data.replace(/[A-Z0-9]/g, "8");
  }
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) walk.currentNode.data = still(walk.currentNode.data);
  for (const input of document.querySelectorAll("textarea, input")) input.value = still(input.value);
  document.activeElement.blur();
}"""
BOXES = """() => {
  const shown = [];
  const named = "header,p,nav,main,section,footer,h1,h2,ol,ul,li,dl,dt,dd,a,button,label,input,textarea,svg,form";
  for (const element of document.body.querySelectorAll(named)) {
    const box = element.getBoundingClientRect();
    if (element.type === "hidden" || box.width === 0 || box.height === 0) continue;
    const kind = [element.tagName.toLowerCase(), ...[...element.classList].slice(0, 1)].join(".");
    const place = [box.x, box.y + scrollY, box.width, box.height].map(Math.round);
    shown.push([element.getAttribute("role") || kind, ...place]);
  }
  return shown;
}"""
WIDTHS = """() => {
  const line = document.createElement("p");
  document.querySelector("main").append(line);
  const widths = [];
  for (const weight of [400, 600, 700]) {
    line.style.cssText = `position: absolute; white-space: nowrap; font-weight: ${weight}`;
    line.textContent = "Chagua kifurushi: KES 1 234 & M-Pesa, 08:56-17:40 (Wi-Fi)";
    const box = line.getBoundingClientRect();
    widths.push(Math.round(box.width * 10) / 10, Math.round(box.height * 10) / 10);
  }
  line.remove();
  return widths;
}"""


async def hold_still(page: Page) -> None:
    """Put the same in place of all that is another each time, and stop what moves."""
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.evaluate(STILL)


async def boxes_of(page: Page) -> list[list[Any]]:
    """The role or kind of each element in order, with left, top, width and height in pixels."""
    found: list[list[Any]] = await page.evaluate(BOXES)
    return found


async def fonts_of(page: Page) -> list[float]:
    """How wide and high some words come out: the same only with the same fonts."""
    found: list[float] = await page.evaluate(WIDTHS)
    return found


async def picture_of(page: Page) -> bytes:
    """The whole page as a PNG."""
    return await page.screenshot(full_page=True)


def _of_few_colours(picture: bytes) -> bytes:
    whole, octets = Image.open(io.BytesIO(picture)).convert("RGB"), b""
    for colours in _COLOURS:
        small = io.BytesIO()
        whole.quantize(colours, kmeans=1, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        octets = small.getvalue()
        if len(octets) <= OCTETS_MOST:
            break
    return octets


def picture_differs(found: bytes, approved: bytes) -> str:
    """In what a picture is another than the approved one; nothing where it is the same to the eye."""
    ours, theirs = (Image.open(io.BytesIO(octets)).convert("L") for octets in (found, approved))
    if ours.size != theirs.size:
        return f"its size is {ours.size}, and was {theirs.size}"
    blurred = (each.filter(ImageFilter.BoxBlur(2)) for each in (ours, theirs))
    histogram = ImageChops.difference(*blurred).histogram()
    share = sum(histogram[_SHADE:]) / sum(histogram)
    return f"{share:.1%} of it is another shade" if share > _SHARE else ""


def layout_differs(found: list[list[Any]], approved: list[list[Any]]) -> str:
    """In what the elements stand elsewhere than approved, by more than fonts explain; nothing where they do not."""
    kinds, wanted = [each[0] for each in found], [each[0] for each in approved]
    if kinds != wanted:
        at = next((at for at, (a, b) in enumerate(zip(kinds, wanted, strict=False)) if a != b), len(kinds))
        return f"element {at}: {kinds[at : at + 3]}, and was {wanted[at : at + 3]}"
    for ours, theirs in zip(found, approved, strict=True):
        kind, left, top, width, height = ours
        inline = kind in _AS_LONG_AS_WORDS or kind.startswith("dd.")
        right, was_right = left + width, theirs[1] + theirs[3]
        if not inline and max(abs(left - theirs[1]), abs(right - was_right)) > _SIDEWAYS:
            return f"{kind} at {top}: from {left} to {right}, and was from {theirs[1]} to {was_right}"
        if kind != "main" and abs(height - theirs[4]) > max(_TALLER, theirs[4] * 0.4):
            return f"{kind} at {top}: {height} high, and was {theirs[4]}"
        if right > WIDTH:
            return f"{kind} at {top}: ends at {right}, beyond the screen"
    return ""


def octets_of(name: str) -> int:
    """How large the approved picture of that name is."""
    return (APPROVED / f"{name}.png").stat().st_size


def approve(name: str, picture: bytes, boxes: list[list[Any]], fonts: list[float]) -> None:
    """Keep this as what the page of that name is to look like, in few colours."""
    APPROVED.mkdir(exist_ok=True)
    (APPROVED / f"{name}.png").write_bytes(_of_few_colours(picture))
    lines = ",\n".join(json.dumps(each) for each in boxes)
    (APPROVED / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    FONTS.write_text(f"{json.dumps(fonts)}\n", encoding="utf-8")
