"""The hotspot's own web server: which page a device gets, logging in by form, status, logout, the captive API.

Every device comes from the same loopback address here, so a request names its device: by a path under
`/devices/<mac>/`, by `?device=<mac>`, by the header `X-Lab-Device`, or by the cookie that visiting `/devices/<mac>`
sets in a browser. The links in the pages name it by their path.

Source: RouterOS manual, Hotspot customisation (serving servlet pages).
"""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion, HttpVersion10, web

from easyisp_edge.lab.mikrotik import chap
from easyisp_edge.lab.mikrotik.error_texts import FATAL, NO_CHAP_ANSWER, error_key, own_wording
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.gates import Destination, garden_lets_through
from easyisp_edge.lab.mikrotik.page_language import Rendered, render
from easyisp_edge.lab.mikrotik.page_variables import Error, PageVariables, View
from easyisp_edge.lab.mikrotik.sessions import Host, TerminateCause
from easyisp_edge.lab.mikrotik.trials import trial_user
from easyisp_edge.lab.mikrotik.value_formats import mac_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.page_files import PageFiles
    from easyisp_edge.machine import Clock, Randomness

DEVICE_HEADER = "X-Lab-Device"
DEVICE_COOKIE = "lab-device"
_NO_DEVICE = "Say which device asks: ?device=<mac> of one that is connected.\n"
_DEVICE_PATH = re.compile(r"/devices/([^/]+)(/.*)?")
_REFRESH = re.compile(r'<meta\s+http-equiv="refresh"\s+content="[0-9]+;\s*url=([^"]*)"')
_TYPES = {
    "html": "text/html",
    "htm": "text/html",
    "txt": "text/plain",
    "json": "application/json",
    "js": "application/javascript",
    "css": "text/css",
    "xml": "text/xml",
}
_ASKS_TO_LOG_IN = frozenset({"login.html", "flogin.html"})
_WITH_VARIABLES = frozenset({"html", "htm", "txt", "json", "xml"})


@dataclass(frozen=True, slots=True)
class ServletRules:
    """What differs between versions of RouterOS.

    Args:
        checks_dst: Whether a `dst` that is neither http nor https is passed over, as since 7.19.2.
        has_api: Whether `/api` answers, as since 7.3.
    """

    checks_dst: bool = True
    has_api: bool = True

    @classmethod
    def of(cls, version: tuple[int, ...]) -> ServletRules:
        """The rules of a version."""
        return cls(checks_dst=version >= (7, 19, 2), has_api=version >= (7, 3))


class _OldRequest(web.BaseRequest):
    """A request that is answered by HTTP/1.0, as the router's servlet does."""

    @property
    def version(self) -> HttpVersion:
        """HTTP/1.0, whatever was asked by."""
        return HttpVersion10


def _old_request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> _OldRequest:
    return _OldRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())


class Servlet:
    """The pages of one router.

    Args:
        hotspot: Whom it logs in.
        clock: For running times.
        randomness: For challenges.
        identity: Gives the router's name.
        files: The pages.
        is_up: Whether the router runs at all.
        rules: What its version does.
    """

    def __init__(
        self,
        *,
        hotspot: Hotspot,
        clock: Clock,
        randomness: Randomness,
        identity: Callable[[], str],
        files: PageFiles,
        is_up: Callable[[], bool],
        rules: ServletRules,
    ) -> None:
        self.url = ""
        self._hotspot = hotspot
        self._clock = clock
        self._randomness = randomness
        self._files = files
        self._is_up = is_up
        self._rules = rules
        self._variables = PageVariables(hotspot, identity, lambda: self.url.removeprefix("http://"))
        self._runner: web.ServerRunner | None = None

    async def open(self, host: str, port: int) -> None:
        """Serve; 0 takes any free port.

        Raises:
            OSError: The port is taken.
        """
        self._runner = web.ServerRunner(web.Server(self._answer, request_factory=_old_request, access_log=None))
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def portal_link(self, host: Host) -> str:
        """Where the router's login page sends this device on to; the page itself where it sends nobody on."""
        view = self._view(host)
        text = self._rendered("login.html", view).text
        refresh = _REFRESH.search(text)
        return html.unescape(refresh[1]) if refresh else view.to("login")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._is_up() and request.transport is not None:
            request.transport.abort()
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        self._hotspot.settle()
        response = await self._page_for(request)
        response.force_close()
        return response

    async def _page_for(self, request: web.BaseRequest) -> web.Response:
        named = _DEVICE_PATH.fullmatch(request.path)
        host = self._asking(request, named[1] if named else None)
        if host is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=_NO_DEVICE)
        if named and named[2] is None:
            return self._be_device(host)
        host.last_heard = self._clock.monotonic()
        if not named and not self._is_own(request.host, host):
            return await self._remote(request, host)
        form = await request.post() if request.method == "POST" else {}
        given = {name: str(value) for name, value in {**request.query, **form}.items()}
        target, _, page = (named[2] if named else request.path).strip("/").rpartition("/")
        view = replace(
            self._view(host),
            orig=self._checked(given.get("dst", "")),
            given=given,
            headers=request.headers,
            target=target or given.get("target", ""),
        )
        return await self._own(page, view)

    async def _own(self, page: str, view: View) -> web.Response:
        """A page of the hotspot itself."""
        if page == "login":
            return await self._login(view)
        if page == "logout":
            return self._logout(view)
        if page == "status":
            return self._status(view)
        if not page:
            return await self._start(view)
        return self._shown(view, "api.json" if page == "api" and self._rules.has_api else page)

    def _status(self, view: View) -> web.Response:
        if view.logged_in:
            return self._shown(view, "status.html")
        return self._shown_or_sent(view, "fstatus.html", view.link_login)

    async def _start(self, view: View) -> web.Response:
        if view.logged_in:
            return self._shown_or_sent(view, "rstatus.html", view.to("status"))
        return await self._must_log_in(view)

    async def _remote(self, request: web.BaseRequest, host: Host) -> web.Response:
        """A page somewhere else: beyond the hotspot for whoever is in, the way to log in for everybody else."""
        binding = self._hotspot.binding(host)
        if binding == "blocked" and request.transport is not None:
            request.transport.abort()
        view = replace(self._view(host), orig=str(request.url.without_query_params("device")), headers=request.headers)
        name, _, port = request.host.partition(":")
        to = Destination(name, int(port) if port.isdigit() else 80, path=request.path)
        if view.logged_in or (binding == "regular" and garden_lets_through(self._hotspot.configuration, host, to)):
            return _internet(request.path)
        return await self._must_log_in(view)

    async def _must_log_in(self, view: View) -> web.Response:
        if await self._come_back(view.host):
            return _redirect(view.orig or view.to("status"))
        return self._shown_or_sent(view, "rlogin.html", view.link_login)

    async def _login(self, view: View) -> web.Response:
        user = view.given.get("username")
        if user is None and not view.logged_in:
            await self._come_back(view.host)
            view = self._again(view)
        if user is not None and not view.logged_in:
            try:
                await self._log_in(view.host, user, view.given.get("password", ""))
            except TrapError as trap:
                return self._refused(view, trap.message)
            view = self._again(view)
        if view.logged_in:
            return self._shown_or_sent(view, "alogin.html", view.orig or view.to("status"))
        return self._shown(view, "login.html")

    async def _log_in(self, host: Host, user: str, password: str) -> None:
        allowed, now = self._hotspot.login_by(host.server), self._clock.monotonic()
        if "trial" in allowed and user == trial_user(host.mac):
            await self._hotspot.login(host, user, "", login_by="trial")
            return
        answer = chap.answered(host, now, password) if "http-chap" in allowed else None
        if answer is not None:
            await self._hotspot.login(host, user, "", login_by="http-chap", method="chap", chap=answer)
        elif "http-pap" in allowed:
            await self._hotspot.login(host, user, password, login_by="http-pap", method="pap")
        else:
            raise TrapError(NO_CHAP_ANSWER)

    def _refused(self, view: View, text: str) -> web.Response:
        key = error_key(text)
        wording = self._files.page(view.host.server, "errors.txt", view.target)
        told = replace(view, error=Error(text, text, key))
        own = own_wording(wording, key, self._variables.of(told, "errors.txt")) if wording else None
        told = replace(told, error=Error(own or text, text, key))
        pages = ("error.html",) if key in FATAL else ("flogin.html", "login.html")
        present = [page for page in pages if self._files.page(view.host.server, page, view.target) is not None]
        return self._shown(told, present[0] if present else pages[0])

    def _logout(self, view: View) -> web.Response:
        if view.given.get("erase-cookie") in {"on", "true"}:
            self._hotspot.cookies.drop(view.host.mac, is_mac_cookie=False)
        session = self._hotspot.sessions.get(view.host.mac)
        if session is None:
            return self._shown_or_sent(view, "flogout.html", view.link_login)
        self._hotspot.end(session, TerminateCause.USER_REQUEST)
        return self._shown(replace(view, logged_in=False), "logout.html")

    async def _come_back(self, host: Host) -> bool:
        cookie = self._hotspot.cookies.find(host.mac, self._clock.monotonic(), is_mac_cookie=False)
        if cookie is not None and "cookie" in self._hotspot.login_by(host.server):
            await self._hotspot.come_back(cookie)
        return host.mac in self._hotspot.sessions

    def _shown_or_sent(self, view: View, page: str, link: str) -> web.Response:
        """The page if there is one, else `redirect.html` to the link; either may use it as link-redirect."""
        view = replace(view, redirect=link)
        is_there = self._files.page(view.host.server, page, view.target) is not None
        return self._shown(view, page if is_there else "redirect.html")

    def _shown(self, view: View, page: str) -> web.Response:
        text = self._files.page(view.host.server, page, view.target)
        if text is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="Error 404: not found\n")
        ending = page.rpartition(".")[2]
        rendered = self._rendered(page, view) if ending in _WITH_VARIABLES else Rendered(text)
        headers = {"Content-Type": _TYPES.get(ending, "application/octet-stream"), **rendered.headers}
        return web.Response(
            status=rendered.status, reason=rendered.reason, headers=headers, body=rendered.text.encode()
        )

    def _rendered(self, page: str, view: View) -> Rendered:
        text = self._files.page(view.host.server, page, view.target) or ""
        if page in _ASKS_TO_LOG_IN and "http-chap" in self._hotspot.login_by(view.host.server):
            view = replace(view, challenge=chap.challenge_for(view.host, view.now, self._randomness))
        return render(text, self._variables.of(view, page))

    def _view(self, host: Host) -> View:
        now, session = self._clock.monotonic(), self._hotspot.sessions.get(host.mac)
        return View(
            host=host,
            now=now,
            link=f"{self.url}/devices/{host.mac}",
            session=session,
            logged_in=session is not None or self._hotspot.binding(host) == "bypassed",
        )

    def _again(self, view: View) -> View:
        """The same request, as things stand after a login."""
        fresh = self._view(view.host)
        return replace(view, session=fresh.session, logged_in=fresh.logged_in)

    def _checked(self, dst: str) -> str:
        is_web = dst.lower().startswith(("http://", "https://"))
        return dst if is_web or not self._rules.checks_dst else ""

    def _is_own(self, asked: str, host: Host) -> bool:
        dns_name = self._hotspot.profile_value(host.server, "dns-name")
        return asked == self.url.removeprefix("http://") or asked.partition(":")[0] in {"localhost", dns_name}

    def _be_device(self, host: Host) -> web.Response:
        response = _redirect(self.portal_link(host))
        response.set_cookie(DEVICE_COOKIE, host.mac)
        return response

    def _asking(self, request: web.BaseRequest, named: str | None) -> Host | None:
        told = request.query.get("device") or request.headers.get(DEVICE_HEADER)
        try:
            return self._hotspot.hosts.get(mac_text(named or told or request.cookies.get(DEVICE_COOKIE, "")))
        except ValueError:
            return None


def _internet(path: str) -> web.Response:
    """What is beyond the hotspot, as far as a phone asks whether it is there."""
    if path == "/generate_204":
        return web.Response(status=HTTPStatus.NO_CONTENT)
    return web.Response(text="You are online.\n")


def _redirect(location: str) -> web.Response:
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": location})
