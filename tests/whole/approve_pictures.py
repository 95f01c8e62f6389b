"""`python -m tests.whole.approve_pictures [page…]`: take the portal's pages as they are now for what they should be.

Look at what changed in `tests/whole/approved` before it is committed: approving is a person's word, not the test's.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.whole import pictures
from tests.whole.portal_walks import PLACES, language_of, walker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.whole.portal_walks import Place


def main(names: Sequence[str]) -> int:
    """Approve these pages, or all."""
    known = {walk.name for place in PLACES for walk in place.walks}
    if unknown := set(names) - known:
        sys.stderr.write(f"no page is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}\n")
        return 2
    asyncio.run(_approve_all(set(names) or known))
    if not names:
        for file in pictures.APPROVED.iterdir():
            if file.stem not in known | {pictures.FONTS.stem}:
                file.unlink()
    return 0


async def _approve_all(names: set[str]) -> None:
    for place in PLACES:
        if names & {walk.name for walk in place.walks}:
            with tempfile.TemporaryDirectory(prefix="edge-pictures-") as folder:
                await _approve(place, names, Path(folder))


async def _approve(place: Place, names: set[str], folder: Path) -> None:
    async with place.stage(folder) as stage:
        for walk in place.walks:
            if walk.name in names:
                async with walker(stage, language=language_of(walk)) as who:
                    await walk.go(who)
                    await pictures.hold_still(who.page)
                    picture, boxes = await pictures.picture_of(who.page), await pictures.boxes_of(who.page)
                    pictures.approve(walk.name, picture, boxes, await pictures.fonts_of(who.page))
                sys.stdout.write(f"{walk.name}: {pictures.octets_of(walk.name)} octets\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
