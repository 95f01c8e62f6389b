"""Which text a page has: from the router's own files, from the hand-over pages, or as from the factory.

Source: RouterOS manual, Hotspot customisation (html-directory, several versions of the pages).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from easyisp_edge.lab.mikrotik.stock_pages import STOCK_PAGES
from easyisp_edge.portal_files import portal_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.tables import Row

_FACTORY_DIRECTORY = "hotspot"


class PageFiles:
    """The pages of one router's hotspot servers.

    A profile's folder (html-directory-override before html-directory) holds if a `login.html` stands there among the
    router's files. Else, in the factory's folder, a router with a portal serves the hand-over pages as though a
    technician had put them there; every other one serves what it left the factory with.

    Args:
        hotspot: Whose server profiles name the folders.
        contents: The contents of a file on the router by its path; None where there is no such file.
        portal_url: Gives the portal's address, the router's id in its query as `router`; empty for none.
        folder: With the hand-over pages; None for those of this project.
    """

    def __init__(
        self,
        *,
        hotspot: Hotspot,
        contents: Callable[[str], str | None],
        portal_url: Callable[[], str],
        folder: Path | None = None,
    ) -> None:
        self._hotspot = hotspot
        self._contents = contents
        self._portal_url = portal_url
        self._folder = folder or portal_folder() / "router"
        self._made: dict[str, dict[str, str]] = {}

    def page(self, server: Row, name: str, target: str = "") -> str | None:
        """The text of a page, of its version `target` where that has one; None where there is none."""
        for path in ([f"{target}/{name}"] if target else []) + [name]:
            text = self._text(server, path)
            if text is not None:
                return text
        return None

    def _text(self, server: Row, path: str) -> str | None:
        for field in ("html-directory-override", "html-directory"):
            directory = self._hotspot.profile_value(server, field)
            if directory and self._contents(f"{directory}/login.html") is not None:
                return self._contents(f"{directory}/{path}")
        return self._unchanged(server).get(path)

    def _unchanged(self, server: Row) -> Mapping[str, str]:
        directory = self._hotspot.profile_value(server, "html-directory").rpartition("/")[2]
        portal = self._portal_url()
        if not portal or directory != _FACTORY_DIRECTORY:
            return STOCK_PAGES
        if portal not in self._made:
            self._made[portal] = hand_over_pages(self._folder, portal)
        return self._made[portal]


def hand_over_pages(folder: Path, portal_url: str) -> dict[str, str]:
    """The pages of a folder with the portal's address put in, as they are put on a router."""
    parts = urlsplit(portal_url)
    portal = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    router = parse_qs(parts.query).get("router", [""])[0]
    return {
        path.name: path.read_text("utf-8").replace("%PORTAL%", portal).replace("%ROUTER%", router)
        for path in sorted(folder.iterdir())
        if path.suffix in {".html", ".json"}
    }
