"""What devices ask to learn whether they are captive: the captive-portal API, and the systems' own probes.

Each is told of itself alone, by the address it asks from: a query says nothing here.

Source: RFC 8908 (the API), RFC 8910 (how devices find it: DHCP option 114).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import hdrs, web
from multidict import CIMultiDict

from easyisp_edge.config.router_setup import CAPTIVE_PATH
from easyisp_edge.services.portal.standing import STEPS_ONLINE
from easyisp_edge.web.askers import asker_of
from easyisp_edge.web.standing_pages import origin_of
from easyisp_edge.web.visits import Device

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.askers import Asker
    from easyisp_edge.web.portal import Portal

_API_HEADERS = CIMultiDict(
    {
        "Content-Type": "application/captive+json",
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
    }
)


class Expected(NamedTuple):
    """What a system takes for the free internet.

    Args:
        body: The answer.
        content_type: Its type; the answer has none where it is empty, and then status 204.
        headers: What else is looked at.
    """

    body: bytes = b""
    content_type: str = "text/plain"
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


_NO_CONTENT = Expected()
_APPLE = Expected(b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>", "text/html")
_FIREFOX = b'<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
_KINDLE = Expected(b"<html><body>81ce4465-7167-4dcb-835b-dcc9e44c112a</body></html>\n", "text/html")
_NETWORK_MANAGER = Expected(b"NetworkManager is online\n", headers={"X-NetworkManager-Status": "online"})
EXPECTED = {
    # Android, Chrome and what is made of them
    "/generate_204": _NO_CONTENT,
    "/gen_204": _NO_CONTENT,
    # iOS and macOS
    "/hotspot-detect.html": _APPLE,
    "/library/test/success.html": _APPLE,
    # Windows, and before version 10
    "/connecttest.txt": Expected(b"Microsoft Connect Test"),
    "/ncsi.txt": Expected(b"Microsoft NCSI"),
    # Firefox
    "/success.txt": Expected(b"success\n"),
    "/canonical.html": Expected(_FIREFOX, "text/html"),
    # Kindle
    "/kindle-wifi/wifistub.html": _KINDLE,
    "/kindle-wifi/wifistub-eink.html": _KINDLE,
    # Linux desktops
    "/check_network_status.txt": _NETWORK_MANAGER,
    "/nm-check.txt": _NETWORK_MANAGER,
    "/nm": _NETWORK_MANAGER,
    "/static/hotspot.txt": Expected(b"OK"),
}
# What they expect at `/` of hosts that are asked for nothing else: there our own pages do not stand.
EXPECTED_OF_HOST = {
    "captive.apple.com": _APPLE,
    "www.apple.com": _APPLE,
    "connectivity-check.ubuntu.com": Expected(headers={"X-NetworkManager-Status": "online"}),
    "connectivitycheck.gstatic.com": None,
    "connectivitycheck.android.com": None,
    "clients3.google.com": None,
    "www.msftconnecttest.com": None,
    "www.msftncsi.com": None,
    "detectportal.firefox.com": None,
    "nmcheck.gnome.org": None,
}


@dataclass(frozen=True, slots=True)
class CaptiveApi:
    """Handlers of what systems ask."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        # Windows opens `/redirect` in the browser once its probe was answered otherwise.
        return [
            web.get(CAPTIVE_PATH, self.captive),
            web.get("/redirect", self.redirect),
            *(web.get(path, self.probe) for path in EXPECTED),
        ]

    def by_host(self) -> Middleware:
        """A middleware for what is asked of the systems' own hosts, whatever our pages have at that path."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            if _host(request) not in EXPECTED_OF_HOST or request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}:
                return await handler(request)
            return await self.probe(request)

        return middleware

    async def captive(self, request: web.Request) -> web.Response:
        """Whether the device that asks is captive, and for how long it is not.

        Where nothing is known of it, it is: the portal tells it more.

        Source: RFC 8908, sections 4 and 5.
        """
        asker = asker_of(self.portal, request)
        content: dict[str, Any] = {"captive": not self._is_free(asker), "user-portal-url": self._url(request, asker)}
        venue = self.portal.site.config.portal.venue_info_url
        if venue is not None:
            content["venue-info-url"] = venue
        if not content["captive"]:
            content |= self._left(asker)
        return web.Response(body=json.dumps(content).encode(), headers=_API_HEADERS)

    async def probe(self, request: web.Request) -> web.Response:
        """To a device that is online what its system expects, so that the portal's sheet closes; else the portal."""
        expected = EXPECTED.get(request.path)
        if expected is None and request.path == "/":
            expected = EXPECTED_OF_HOST.get(_host(request))
        if expected is None or not self._is_free(asker_of(self.portal, request)):
            return await self.redirect(request)
        headers = {"Cache-Control": "no-store", **expected.headers}
        if not expected.body:
            return web.Response(status=204, headers=headers)
        return web.Response(body=expected.body, headers={**headers, "Content-Type": expected.content_type})

    async def redirect(self, request: web.Request) -> web.Response:
        """To the portal."""
        location = self._url(request, asker_of(self.portal, request))
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})

    def _is_free(self, asker: Asker) -> bool:
        """Whether a device may go anywhere: by what it has here, or by somebody else's word on its router."""
        standing = self._standing(asker)
        if standing is None:
            return False
        if standing.step in STEPS_ONLINE:
            return True
        has_own = standing.current is not None or standing.admission is not None
        return not has_own and asker.host is not None and (asker.host.authorized or asker.host.bypassed)

    def _standing(self, asker: Asker) -> Standing | None:
        if asker.mac is None or asker.router is None:
            return None
        return self.portal.standing.of_device(asker.router.tenant, asker.mac)

    def _left(self, asker: Asker) -> dict[str, Any]:
        """How much is left of what a device is online by, where that is limited, and whether more is to be had."""
        standing = self._standing(asker)
        if standing is None or asker.router is None:
            return {}
        offers = self.portal.shelf.offers(asker.router.tenant, asker.router.id)
        left: dict[str, Any] = {"can-extend-session": bool(offers)}
        current = standing.current or standing.admission
        if standing.step in STEPS_ONLINE and current is not None:
            in_turn = (current, *standing.after)
            left["seconds-remaining"] = self._seconds(standing, current)
            data = [each.data_left for each in in_turn]
            if None not in data:
                left["bytes-remaining"] = sum(each.octets for each in data if each is not None)
        return left

    def _seconds(self, standing: Standing, current: Admission) -> int:
        # Where it has hours, it is shut before its time is up.
        if current.package.schedule is not None:
            return current.session_seconds_at(self.portal.clock.now())
        return standing.seconds_left

    def _url(self, request: web.Request, asker: Asker) -> str:
        device = Device(asker.mac, asker.router_id)
        query = f"?d={device.token}" if device.token else ""
        return f"{self._base(request, asker)}/{query}"

    def _base(self, request: web.Request, asker: Asker) -> str:
        """Where the portal is, as the device reaches it; never somebody else's host that was led here."""
        setup = None if asker.router is None else asker.router.setup
        if setup is not None and setup.portal_url is not None:
            return str(setup.portal_url).rstrip("/")
        if request.path == CAPTIVE_PATH and _host(request) not in EXPECTED_OF_HOST:
            return origin_of(request)
        return _own_address(request)


def _own_address(request: web.Request) -> str:
    """The address of this machine the request came in by; without one, what it was called."""
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    if not name:
        return origin_of(request)
    address = ipaddress.ip_address(str(name[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    host = f"[{address}]" if mapped is None and address.version == 6 else str(mapped or address)  # noqa: PLR2004 - IP's version
    return f"http://{host}" + ("" if name[1] == 80 else f":{name[1]}")  # noqa: PLR2004 - HTTP's port


def _host(request: web.Request) -> str:
    return request.host.partition(":")[0].lower().removesuffix(".")
