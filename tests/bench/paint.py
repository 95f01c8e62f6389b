"""The first page on a slow phone behind a slow line, in Chromium, beside a page of the old portal's size."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING

from tests.bench.measures import Measure, Spread, at_most, one
from tests.bench.portal import first_page
from tests.bench.processes import LOAD_CORE, on_core
from tests.bench.site import Site
from tests.whole.first_paint import CPU_SLOWER, LINE_BITS_PER_SECOND, ROUND_TRIP_MS, a_browser, old_page, paint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.measures import Target
    from tests.bench.sizes import Sizes
    from tests.whole.first_paint import Paint

OLD = "a page of the old portal's size"
_OCTETS_TARGET, _PAINTED_TARGET_MS, _USABLE_TARGET_MS = at_most(15 * 1024), at_most(1000), at_most(1500)


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Octets, first words and use of both, each opened as if for the first time."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("SKIPPED: chromium is not installed (apt-get install chromium): nothing was measured\n")
        return
    site = Site.lay_out(folder / "site", "radius", past.path)
    with site.run(), on_core(LOAD_CORE):
        ours, old = asyncio.run(_paints(chromium, site.ports.portal, sizes.rounds))
    line = "line and phone"
    yield one(line, "line", "kbit/s", LINE_BITS_PER_SECOND / 1000)
    yield one(line, "round trip", "ms", ROUND_TRIP_MS)
    yield one(line, "processor slower by", "x", CPU_SLOWER)
    yield from _told(OLD, old)
    yield from _told("first page", ours, _OCTETS_TARGET, _PAINTED_TARGET_MS, _USABLE_TARGET_MS)


async def _paints(chromium: str, port: int, rounds: int) -> tuple[list[Paint], list[Paint]]:
    """Both in turn; the first of each warms the browser up and is not counted."""
    ours, old = [], []
    async with old_page() as old_port, a_browser(chromium) as browser:
        for _ in range(rounds + 1):
            ours.append(await paint(browser, port, first_page(1)))
            old.append(await paint(browser, old_port, "/"))
    return ours[1:], old[1:]


def _told(name: str, paints: list[Paint], *targets: Target) -> Iterator[Measure]:
    wanted = targets or (None, None, None)
    yield Measure(name, "received in all", "B", Spread.of(each.octets for each in paints), wanted[0])
    yield Measure(name, "first words", "ms", Spread.of(each.painted_ms for each in paints), wanted[1])
    yield Measure(name, "usable", "ms", Spread.of(each.usable_ms for each in paints), wanted[2])
