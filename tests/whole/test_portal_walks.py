"""The walks themselves: they lead to every page there is, and no page on the way turns to anybody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.whole.portal_walks import NO_PAGES, PLACES, walker
from tests.whole.raw_http import routes_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.real_part("chromium")
@pytest.mark.timeout(240)
async def test_without_scripts_walks_lead_to_every_page_and_to_one_host(tmp_path: Path) -> None:
    """Each walk can be taken without scripts, its browser asks the portal alone, and no page has none that leads to it.

    The same walks are taken with scripts where pages are held against WCAG.
    """
    seen: set[str] = set()
    wanted: set[str] = set()
    for place in PLACES:
        (tmp_path / place.name).mkdir()
        async with place.stage(tmp_path / place.name) as stage:
            wanted |= {one.path for one in routes_of(stage) if one.door == "portal" and one.method == "GET"}
            for walk in place.walks:
                async with walker(stage, scripts=False) as who:
                    await walk.go(who)
                    assert await who.page.locator("h1").count() == 1, walk.name
                    assert who.hosts == {urlsplit(stage.portal_url).netloc}, walk.name
                    seen |= who.paths
    pages = {path for path in wanted if not path.startswith(NO_PAGES)}
    missing = {path for path in pages if not any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), one) for one in seen)}
    assert missing == set(), "no walk leads there: add one to tests/whole/portal_walks.py"
