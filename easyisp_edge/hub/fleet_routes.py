"""The fleet's door: `/api/fleet/…` for programs, `/fleet` for people. It only tells; nothing is changed here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from easyisp_edge.domain.networks import network_of
from easyisp_edge.domain.sync import SITE_ID
from easyisp_edge.errors import EdgeError, InvalidError, NotFoundError, UnavailableError
from easyisp_edge.hub.fleet import DAYS_MOST
from easyisp_edge.hub.floods import PerMinute
from easyisp_edge.hub.pages import CSP, FleetPages
from easyisp_edge.hub.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import SecretStr

    from easyisp_edge.hub.fleet import Fleet, Told
    from easyisp_edge.hub.parts import Parts

_DAYS = 7
# A browser shows a mistyped password again for each file of a page.
WRONG_MOST: Final = 30
_NUMBER = re.compile(r"[1-9][0-9]?", re.ASCII)
_CHALLENGE = 'Basic realm="EasyISP hub", charset="UTF-8"'
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STATUSES: Mapping[type[EdgeError], HTTPStatus] = {
    InvalidError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
}


class FleetRoutes:
    """Tells about the fleet to who holds its secret.

    Args:
        parts: What the hub is made of.
        fleet: What is told.
        token: The secret: a bearer's for programs, a password for people's browsers.
    """

    def __init__(self, parts: Parts, fleet: Fleet, token: SecretStr) -> None:
        self._parts = parts
        self._fleet = fleet
        self._pages = FleetPages(fleet, parts.clock)
        self._wrong = PerMinute(parts.clock, WRONG_MOST)
        self._digest = hashlib.sha256(token.get_secret_value().encode()).digest()

    def add_to(self, app: web.Application) -> None:
        """Open the routes."""
        lists = {
            "unmatched": self._fleet.unmatched,
            "not-online": self._fleet.not_online,
            "forks": self._fleet.forks,
            "parked": self._fleet.parked,
            "errors": self._fleet.errors,
            "alarms": self._fleet.alarms,
            "twice": self._fleet.booked_twice,
        }
        app.router.add_get("/api/fleet/sites", self._door(self._sites))
        app.router.add_get("/api/fleet/takings", self._door(self._takings))
        for name, found in lists.items():
            app.router.add_get(f"/api/fleet/{name}", self._door(self._list(found)))
        app.router.add_get("/fleet", self._door(self._overview, challenge=True))
        app.router.add_get("/fleet/style.css", self._style)
        app.router.add_get("/favicon.ico", self._no_icon)
        app.router.add_get("/fleet/{site}", self._door(self._site, challenge=True))

    def _door(
        self, work: Callable[[web.Request], Awaitable[web.Response]], *, challenge: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            source = source_of(request, self._parts.config.proxies)
            if self._wrong.is_full(network_of(source)):
                return _guessing(for_people=challenge)
            shown = request.headers.get("Authorization", "")
            if not self._may(shown):
                if shown:  # a browser first asks without
                    self._wrong.takes(network_of(source))
                    await self._parts.alarms.note("", "fleet.refused", f"from {source}")
                return _refused(challenge=challenge)
            try:
                answer = await work(request)
            except EdgeError as error:
                answer = _problem(error, for_people=challenge)
            answer.headers.update(_HEADERS)
            return answer

        return handle

    def _may(self, authorization: str) -> bool:
        """Whether the secret was shown; takes as long whatever was."""
        shown = hashlib.sha256(_shown(authorization)).digest()
        return hmac.compare_digest(shown, self._digest)

    async def _sites(self, _request: web.Request) -> web.Response:
        return web.json_response({"sites": await self._fleet.sites()})

    async def _takings(self, request: web.Request) -> web.Response:
        told = await self._fleet.takings(_days(request), _asked_site(request))
        return web.json_response({"takings": told.rows, "leftOut": told.left_out})

    def _list(self, found: Callable[[str | None], Awaitable[Told]]) -> Callable[..., Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            told = await found(_asked_site(request))
            return web.json_response({"items": told.rows, "leftOut": told.left_out})

        return answer

    async def _overview(self, request: web.Request) -> web.Response:
        return _page(await self._pages.overview(_days(request)))

    async def _site(self, request: web.Request) -> web.Response:
        return _page(await self._pages.site(request.match_info["site"], _days(request)))

    async def _style(self, _request: web.Request) -> web.StreamResponse:
        """The style sheet says nothing of the fleet: browsers fetch it without the password."""
        headers = {**_HEADERS, "Cache-Control": "max-age=3600"}
        return web.Response(text=self._pages.style, content_type="text/css", headers=headers)

    async def _no_icon(self, _request: web.Request) -> web.StreamResponse:
        """Browsers ask for one whatever the page says."""
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "max-age=86400"})


def _shown(authorization: str) -> bytes:
    """The secret in a header: a bearer's, or a password whatever the user's name."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode(errors="replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def _days(request: web.Request) -> int:
    text = request.query.get("days", str(_DAYS))
    if not _NUMBER.fullmatch(text) or int(text) > DAYS_MOST:
        raise InvalidError("fleet.days", f"days has to be a number from 1 to {DAYS_MOST}.", field="days")
    return int(text)


def _asked_site(request: web.Request) -> str | None:
    site_id = request.query.get("site")
    if site_id is not None and not SITE_ID.fullmatch(site_id):
        raise NotFoundError("site.unknown", "There is no such site.")
    return site_id


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8")


def _problem(error: EdgeError, *, for_people: bool) -> web.Response:
    status = _STATUSES.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, UnavailableError):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    message = error.message if type(error) in _STATUSES else "Try again later."
    return _told(status, error.code, message, {}, for_people=for_people)


def _refused(*, challenge: bool) -> web.Response:
    headers = {**_HEADERS, "WWW-Authenticate": _CHALLENGE if challenge else "Bearer"}
    message = "Show the fleet's token: the user's name does not matter, the password is the token."
    return _told(HTTPStatus.UNAUTHORIZED, "fleet.refused", message, headers, for_people=challenge)


def _guessing(*, for_people: bool) -> web.Response:
    """The answer to who showed too many others, whatever is shown now: else every guess would count."""
    message, headers = "Too many wrong tokens came from your address: wait a minute.", {**_HEADERS, "Retry-After": "60"}
    return _told(HTTPStatus.TOO_MANY_REQUESTS, "fleet.guessing", message, headers, for_people=for_people)


def _told(status: HTTPStatus, code: str, message: str, headers: Mapping[str, str], *, for_people: bool) -> web.Response:
    """What is in the way: a line of text in a browser, an object for programs."""
    if for_people:
        return web.Response(text=f"{message}\n", status=status, headers=headers)
    return web.json_response({"code": code, "message": message}, status=status, headers=headers)
