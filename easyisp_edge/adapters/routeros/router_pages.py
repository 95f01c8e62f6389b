"""The pages that stand on the router itself and hand every device over to the portal.

They are written in the router's page language. Whatever the router puts in, it puts in as it is, so they use the
URL-encoded form of each value (`$(mac-esc)`) and never the bare one. `%PORTAL%` and `%ROUTER%` stand for what is
known only at the site.

Source: RouterOS manual, Hotspot customisation; RFC 8908 (api.json).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from easyisp_edge.errors import InvalidError
from easyisp_edge.portal_files import portal_folder

PORTAL_MARK = "%PORTAL%"
ROUTER_MARK = "%ROUTER%"
# Letters that mean the same in HTML, in a script, in JSON, in a header and in the router's page language.
_PORTAL_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?"
)
_ROUTER_ID = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_-]{0,63})?")


def render_router_pages(portal_url: str, router_id: str = "") -> dict[str, str]:
    """The files for the router's hotspot folder, file name to text, each under 4 KB.

    Args:
        portal_url: The portal as devices reach it, such as `http://10.5.50.2:8080`; a path is kept.
        router_id: The router's id, told to the portal; needed only where it could not tell the router otherwise.

    Raises:
        InvalidError: The address is no plain http or https one, or the id is none.
    """
    portal = _checked_portal(portal_url)
    if not _ROUTER_ID.fullmatch(router_id):
        raise InvalidError("router_pages.router", f"{router_id!r} is no router's id", field="router_id")
    folder = portal_folder() / "router"
    return {
        path.name: path.read_text("utf-8").replace(PORTAL_MARK, portal).replace(ROUTER_MARK, router_id)
        for path in sorted(folder.iterdir())
        if path.suffix in {".html", ".json"}
    }


def _checked_portal(portal_url: str) -> str:
    try:
        fits = _PORTAL_URL.fullmatch(portal_url) is not None and urlsplit(portal_url).port != 0
    except ValueError:  # a port above 65535, or brackets around what is no address
        fits = False
    if not fits:
        raise InvalidError(
            "router_pages.portal",
            f"{portal_url!r} is no address such as http://10.5.50.2:8080: scheme, host and port, at most a path",
            field="portal_url",
        )
    return portal_url.removesuffix("/")
