"""Whose page had a browser ask: another site's may not do anything in a customer's name."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from easyisp_edge.errors import RefusedError
from easyisp_edge.web.askers import proxied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.typedefs import Handler, Middleware

    from easyisp_edge.config import Config

_READING = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
_SITE = "Sec-Fetch-Site"
# What a browser says that was sent by a page of the very same origin, or by nobody's.
_OWN_SITES = {"same-origin", "none"}
_USUAL_PORTS = {"http": ":80", "https": ":443"}


def is_by_page_of(request: web.Request, urls: Iterable[object]) -> bool:
    """Whether no other site's page had a browser ask: it is one of this very host or of those addresses, or none.

    Old web views say nothing of where a form was, and are believed: so does whatever is no browser.

    Args:
        request: What came.
        urls: Addresses of pages beside the portal's own that may ask; None among them is passed over.

    Source: RFC 6454, section 7 (Origin); Fetch Metadata Request Headers (Sec-Fetch-Site).
    """
    site, origin = request.headers.get(_SITE), request.headers.get(hdrs.ORIGIN)
    if site in _OWN_SITES:
        return True
    if origin is None:
        return site is None
    hosts = {_host(f"//{name}", origin) for name in (request.host, *proxied(request, "X-Forwarded-Host"))}
    host = _host(origin, origin)
    return host != "" and host in hosts | {_host(str(url), origin) for url in urls if url is not None}


def portal_urls(config: Config) -> list[object]:
    """Where devices reach the portal by the owner's word, whatever it is asked as behind a proxy."""
    return [router.setup.portal_url for router in config.routers if router.setup is not None]


def refuse_other_sites(applies: Callable[[web.Request], bool], urls: Callable[[], Iterable[object]]) -> Middleware:
    """A middleware that refuses what changes something and was sent by another site's page.

    Args:
        applies: Whether that holds for a request at all: some routes are for pages of others.
        urls: Addresses of pages that may ask beside the portal's own.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in _READING and applies(request) and not is_by_page_of(request, urls()):
            raise RefusedError("request.other_site", "Another site's page sent this, so nothing was done.")
        return await handler(request)

    return middleware


def _host(url: str, origin: str) -> str:
    """Host and port of an address, the port left out where it is the usual one of the origin's scheme."""
    usual = _USUAL_PORTS.get(origin.partition("://")[0].lower(), "")
    try:
        host = urlsplit(url).netloc.lower()
    except ValueError:  # no address at all
        return ""
    return host.removesuffix(usual) if usual else host
