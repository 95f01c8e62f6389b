"""The hotspot's own web pages: the hand-over to the portal, logging in by form, status, logout.

Every device comes from the same loopback address here, so a request names its device: by `?device=<mac>`, by the
header `X-Lab-Device`, or by the cookie that visiting `/devices/<mac>` sets in a browser.

Source: RouterOS manual, HotSpot (servlet pages and their variables).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.sessions import Host, TerminateCause
from easyisp_edge.lab.mikrotik.value_formats import format_whole_seconds, mac_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler

    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.machine import Clock

DEVICE_HEADER = "X-Lab-Device"
DEVICE_COOKIE = "lab-device"
NO_CHAP_ANSWER = "web browser did not send challenge response (try again, enable JavaScript)"
_NO_DEVICE = "Say which device asks: ?device=<mac> of one that is connected.\n"


class Servlet:
    """The pages of one router.

    Args:
        hotspot: Whom it logs in.
        clock: For running times.
        portal_url: Gives where devices are sent.
        is_up: Whether the router runs at all.
    """

    def __init__(
        self, *, hotspot: Hotspot, clock: Clock, portal_url: Callable[[], str], is_up: Callable[[], bool]
    ) -> None:
        self.url = ""
        self._hotspot = hotspot
        self._clock = clock
        self._portal_url = portal_url
        self._is_up = is_up
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int) -> None:
        """Serve; 0 takes any free port.

        Raises:
            OSError: The port is taken.
        """
        self._runner = web.AppRunner(self._app(), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def link_login_only(self, mac: str) -> str:
        """Where the device's login form goes."""
        return f"{self.url}/login?{urlencode({'device': mac})}"

    def portal_link(self, host: Host, *, orig: str = "", error: str = "") -> str:
        """The portal's address as the router's login page fills it in for this device."""
        fields = {
            "mac": host.mac,
            "ip": host.ip,
            "server-name": self._hotspot.configuration.servers.value(host.server, "name"),
            "link-login-only": self.link_login_only(host.mac),
            "link-orig": orig,
            "error": error,
        }
        portal = self._portal_url()
        return f"{portal}{'&' if urlsplit(portal).query else '?'}{urlencode(fields)}"

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._while_up])
        app.router.add_get("/devices/{mac}", self._be_device)
        app.router.add_route("*", "/login", self._login)
        app.router.add_route("*", "/logout", self._logout)
        app.router.add_get("/status", self._status)
        app.router.add_get("/api", self._api)
        app.router.add_route("*", "/{path:.*}", self._any_page)
        return app

    @web.middleware
    async def _while_up(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_up() and request.transport is not None:
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        self._hotspot.settle()
        return await handler(request)

    async def _be_device(self, request: web.Request) -> web.StreamResponse:
        host = self._host(request.match_info["mac"])
        response = _redirect(self.portal_link(host))
        response.set_cookie(DEVICE_COOKIE, host.mac)
        return response

    async def _any_page(self, request: web.Request) -> web.StreamResponse:
        host = self._asking(request)
        if host.mac not in self._hotspot.sessions:
            await self._try_cookie(host)
        if host.mac in self._hotspot.sessions or self._hotspot.binding(host) == "bypassed":
            return web.Response(text="You are online.\n")
        return _redirect(self.portal_link(host, orig=_asked_url(request)))

    async def _login(self, request: web.Request) -> web.StreamResponse:
        host = self._asking(request)
        form: Mapping[str, object] = await request.post() if request.method == "POST" else {}
        given = {name: str(value) for name, value in {**request.query, **form}.items()}
        dst = given.get("dst", "")
        if "username" not in given:
            return _redirect(self.portal_link(host, orig=dst))
        try:
            await self._log_in(host, given["username"], given.get("password", ""))
        except TrapError as trap:
            return _redirect(self.portal_link(host, orig=dst, error=trap.message))
        return _redirect(dst if dst.startswith(("http://", "https://")) else self._status_link(host))

    async def _log_in(self, host: Host, user: str, password: str) -> None:
        if "http-pap" not in self._hotspot.login_by(host.server):
            raise TrapError(NO_CHAP_ANSWER)
        await self._hotspot.login(host, user, password, login_by="http-pap", method="pap")

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        host = self._asking(request)
        form: Mapping[str, object] = await request.post() if request.method == "POST" else {}
        if {**request.query, **form}.get("erase-cookie") == "on":
            self._hotspot.cookies.drop(host.mac, is_mac_cookie=False)
        session = self._hotspot.sessions.get(host.mac)
        if session is None:
            return _redirect(self.portal_link(host))
        self._hotspot.end(session, TerminateCause.USER_REQUEST)
        return web.Response(text="You have just logged out.\n")

    async def _status(self, request: web.Request) -> web.StreamResponse:
        host = self._asking(request)
        session = self._hotspot.sessions.get(host.mac)
        if session is None:
            return _redirect(self.portal_link(host))
        now = self._clock.monotonic()
        left = session.time_left(now)
        lines = [f"You are logged in as {session.user}", f"uptime {format_whole_seconds(session.uptime(now))}"]
        if left is not None:
            lines.append(f"time left {format_whole_seconds(left)}")
        return web.Response(text="\n".join([*lines, ""]))

    async def _api(self, request: web.Request) -> web.StreamResponse:
        host = self._asking(request)
        session = self._hotspot.sessions.get(host.mac)
        answer: dict[str, object] = {
            "captive": session is None and self._hotspot.binding(host) != "bypassed",
            "user-portal-url": self.link_login_only(host.mac),
            "can-extend-session": True,
        }
        left = session.time_left(self._clock.monotonic()) if session else None
        if left is not None:
            answer["seconds-remaining"] = int(left)
        if session is not None and (limit := session.entitlement.limit_bytes_total) is not None:
            answer["bytes-remaining"] = max(0, limit - session.bytes_in - session.bytes_out)
        return web.json_response(answer, content_type="application/captive+json")

    async def _try_cookie(self, host: Host) -> None:
        cookie = self._hotspot.cookies.find(host.mac, self._clock.monotonic(), is_mac_cookie=False)
        if cookie is None or "cookie" not in self._hotspot.login_by(host.server):
            return
        try:
            await self._hotspot.login(host, cookie.user, cookie.password, login_by="cookie")
        except TrapError:
            self._hotspot.cookies.drop(host.mac, is_mac_cookie=False)

    def _asking(self, request: web.Request) -> Host:
        named = request.query.get("device") or request.headers.get(DEVICE_HEADER)
        host = self._host(named or request.cookies.get(DEVICE_COOKIE, ""))
        host.last_heard = self._clock.monotonic()
        return host

    def _host(self, mac: str) -> Host:
        try:
            return self._hotspot.hosts[mac_text(mac)]
        except (ValueError, KeyError):
            raise web.HTTPNotFound(text=_NO_DEVICE) from None

    def _status_link(self, host: Host) -> str:
        return f"{self.url}/status?{urlencode({'device': host.mac})}"


def _asked_url(request: web.Request) -> str:
    return str(request.url.without_query_params("device"))


def _redirect(location: str) -> web.Response:
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": location})
