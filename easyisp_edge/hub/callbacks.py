"""What M-Pesa posts for a box behind NAT, kept until the box has it.

The hub judges nothing of it: the secret in the address decides at the box. What is posted here is answered only once
it is on the disk, bounded in size and number, and stored once however often it is posted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from easyisp_edge.domain.networks import network_of
from easyisp_edge.domain.sync import SITE_ID
from easyisp_edge.errors import EdgeError, UnavailableError
from easyisp_edge.hub.edge_routes import read_body
from easyisp_edge.hub.floods import PerMinute
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.once import OnceAMinute
from easyisp_edge.hub.refusals import RequestRefused
from easyisp_edge.hub.sources import source_of
from easyisp_edge.hub.store import callbacks, down
from easyisp_edge.hub.store.sites import CLOSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easyisp_edge.hub.parts import Parts

log = logging.getLogger(__name__)
log.addFilter(OnceAMinute())

TOKEN: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
BODY_MOST: Final = 16 * 1024
# A busy site sells one package every few seconds, and all of M-Pesa asks from a few addresses.
SOURCE_MOST, SITE_MOST = 120, 300
_STRANGER_MOST = 120
# A month of a site's payments several times over; whoever fills this does not fill the disk.
WAITING_MOST: Final = 20_000
_FULL = "callback.full"
_AGAIN = timedelta(minutes=1)
_KEPT = timedelta(hours=1)

ACCEPTED: Final[dict[str, Any]] = {"ResultCode": 0, "ResultDesc": "Accepted"}


@dataclass(frozen=True, slots=True)
class Callback:
    """Something M-Pesa posted.

    Args:
        site_id: To whose address.
        token: The secret in it.
        kind: What the address is for: `callback` of a purchase, `confirmation` of any payment to a gateway.
        body: As it came.
        source: From where.
    """

    site_id: str
    token: str
    kind: str
    body: bytes
    source: str


class CallbackRoutes:
    """Takes what M-Pesa posts.

    Args:
        parts: What the hub is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sources = PerMinute(parts.clock, SOURCE_MOST)
        self._sites = PerMinute(parts.clock, SITE_MOST)
        self._strangers = PerMinute(parts.clock, _STRANGER_MOST)

    def add_to(self, app: web.Application) -> None:
        """Open the routes: those a box hands out, each below its site's own address."""
        for path, kind in (("", "callback"), ("c/", "callback"), ("n/", "confirmation")):
            app.router.add_post(f"/cb/{{site}}/{path}{{token}}", mpesa_door(self._taking(kind)))
        for path in ("v/", "t/"):
            app.router.add_post(f"/cb/{{site}}/{path}{{token}}", mpesa_door(self._nodding))

    def _taking(self, kind: str) -> Callable[[web.Request], Awaitable[None]]:
        async def take(request: web.Request) -> None:
            await self._take(request, kind)

        return take

    async def _take(self, request: web.Request, kind: str) -> None:
        site_id, token, source = await self._let_in(request)
        body = await read_body(request, BODY_MOST)
        _check_object(body)
        try:
            await self.take(Callback(site_id, token, kind, body, source))
        except UnavailableError as error:
            if error.code == _FULL:
                await self._parts.alarms.note(site_id, "callback.full", f"{WAITING_MOST} messages wait for the box")
            raise

    async def _nodding(self, request: web.Request) -> None:
        """Let every payment through, as the box would: money that does not fit is sorted out there.

        And the address M-Pesa demands with a list of transactions, where nothing is known to come.
        """
        await self._let_in(request)
        await read_body(request, BODY_MOST)

    async def _let_in(self, request: web.Request) -> tuple[str, str, str]:
        """Site, token and source.

        Raises:
            RequestRefused: There is no such address, or too much comes to it.
        """
        site_id, token = request.match_info["site"], request.match_info["token"]
        source = source_of(request, self._parts.config.proxies)
        if not SITE_ID.fullmatch(site_id) or not TOKEN.fullmatch(token):
            raise nothing_here()
        site = await self._parts.doorkeeper.keys.ask(site_id)
        if site is None or site.state == CLOSED:
            if self._strangers.takes(network_of(source)):
                await self._parts.alarms.note("", "callback.unknown", f"from {source}")
            raise nothing_here()
        # The source first: one that floods is not to use up what the site may get from others.
        if not self._sources.takes((site_id, network_of(source))) or not self._sites.takes(site_id):
            await self._parts.alarms.note(site_id, "callback.flood", f"from {source}")
            raise RequestRefused(HTTPStatus.TOO_MANY_REQUESTS, "callback.often", "Too many callbacks.")
        return site_id, token, source

    async def take(self, callback: Callback) -> bool:
        """Queue a callback for its box; False where it waits already. It is on the disk once this returns.

        Raises:
            UnavailableError: It may not have been kept, or too much waits for the box.
        """
        now = self._parts.clock.now()
        at, since = instant(now), instant(now - _AGAIN)
        sha256 = hashlib.sha256(callback.body).hexdigest()
        data = {
            "token": callback.token,
            "kind": callback.kind,
            "body": callback.body.decode(),
            "sha256": sha256,
            "receivedAt": at,
            "source": callback.source,
        }
        async with self._parts.database.transaction() as tx:
            if not await callbacks.is_new(tx, callback.site_id, callback.token, sha256, at=at, since=since):
                return False
            if await callbacks.waiting_messages(tx, callback.site_id) >= WAITING_MOST:
                raise UnavailableError(_FULL, "Too much waits for this box.")
            await down.queue(tx, callback.site_id, "callback", data, at)
            await tx.announce(callback.site_id)
        self._parts.bells.ring(callback.site_id)
        return True

    async def tidy(self) -> None:
        """Forget callbacks that nobody would post again."""
        async with self._parts.database.transaction() as tx:
            await callbacks.forget_callbacks(tx, instant(self._parts.clock.now() - _KEPT))


def mpesa_door(
    work: Callable[[web.Request], Awaitable[None]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that answers M-Pesa: accepted once the work is done, else short and without a word about why."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            await work(request)
        except RequestRefused as refused:
            return mpesa_answer(refused.status)
        except UnavailableError as error:
            log.warning("M-Pesa is asked to post again: %s", error)
            return mpesa_answer(HTTPStatus.SERVICE_UNAVAILABLE)
        except EdgeError as error:
            log.warning("what M-Pesa posted could not be worked on: %s", error)
            return mpesa_answer(HTTPStatus.SERVICE_UNAVAILABLE)
        return mpesa_answer(HTTPStatus.OK)

    return handle


def mpesa_answer(status: HTTPStatus) -> web.Response:
    """What M-Pesa is answered."""
    content = ACCEPTED if status is HTTPStatus.OK else {"ResultCode": 1, "ResultDesc": status.phrase}
    return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def nothing_here() -> RequestRefused:
    """There is nothing at an address, or nothing any more: which is not told."""
    return RequestRefused(HTTPStatus.NOT_FOUND, "callback.unknown", "There is nothing at this address.")


def _check_object(body: bytes) -> None:
    """Hold a body to be a JSON object; what else it says is for the box."""
    try:
        told = json.loads(body.decode())
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "callback.unreadable", "The body is no JSON object.")
