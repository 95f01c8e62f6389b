"""The hub's door for boxes: `/edge/v1/…`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.networks import network_of
from easyisp_edge.domain.sync import BATCH_OCTETS_MOST, EVENTS_MOST, NUMBER, SEQ_MOST, one_batch, renewal_proof
from easyisp_edge.errors import EdgeError, UnavailableError
from easyisp_edge.hub.answers import Answer, as_json, as_lines, as_refusal, signed, signed_enrolment
from easyisp_edge.hub.batches import Batch, read_lines, unpacked
from easyisp_edge.hub.doorkeeper import admit, read_claim
from easyisp_edge.hub.floods import PerMinute
from easyisp_edge.hub.forks import keep_forked
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.keys import KEY_OCTETS, SIGNATURE_OCTETS, exact_base64, is_signed
from easyisp_edge.hub.refusals import RequestRefused, not_confirmed, old_epoch, too_long, unreadable
from easyisp_edge.hub.sources import source_of
from easyisp_edge.hub.store import asks, down, sites, streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from aiohttp import web

    from easyisp_edge.hub.batches import Line
    from easyisp_edge.hub.doorkeeper import Asker, Claim
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.hub.receiving import Stored
    from easyisp_edge.hub.store.database import Row, Transaction

# Compression can add a little to what cannot be compressed.
_STREAM_BODY_MOST = BATCH_OCTETS_MOST + 1024
_BODY_MOST = 16 * 1024
_STREAMS = "/edge/v1/streams/"
_BODY_SECONDS = 30.0
_TEXT_LENGTH = 128
_RECEIPT = re.compile(r"[A-Z0-9]{6,20}", re.ASCII)
_GATEWAY = re.compile(r"[0-9A-Za-z_.-]{1,40}", re.ASCII)
_ASKS_AN_HOUR = 120
# Of one source in a minute: a person who mistypes a code has few, and who guesses gets no further.
WRONG_CODES_MOST: Final = 30
_HOUR = timedelta(hours=1)
_TRIES = 3

_Work = Callable[["EdgeRoutes", "web.Request", "Asker"], "Awaitable[Answer]"]


class EdgeRoutes:
    """Answers boxes.

    Args:
        parts: What the hub is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wrong_codes = PerMinute(parts.clock, WRONG_CODES_MOST)

    def add_to(self, app: web.Application) -> None:
        """Open the routes."""
        app.router.add_post("/edge/v1/enrol", self.enrol)
        for method, path, work, body_most in (
            *(
                route
                for stream in Stream
                for route in (
                    ("POST", f"{_STREAMS}{stream}", EdgeRoutes._take, _STREAM_BODY_MOST),
                    ("POST", f"{_STREAMS}{stream}/fork", EdgeRoutes._fork, _STREAM_BODY_MOST),
                    ("GET", f"{_STREAMS}{stream}", EdgeRoutes._page, 0),
                )
            ),
            ("GET", "/edge/v1/state", EdgeRoutes._state, 0),
            ("POST", "/edge/v1/epoch", EdgeRoutes._epoch, _BODY_MOST),
            ("POST", "/edge/v1/key", EdgeRoutes._key, _BODY_MOST),
            ("GET", "/edge/v1/down", EdgeRoutes._down, 0),
            ("POST", "/edge/v1/ask", EdgeRoutes._ask, _BODY_MOST),
            ("POST", "/edge/v1/time", EdgeRoutes._time, _BODY_MOST),
        ):
            app.router.add_route(method, path, self._door(work, body_most))

    async def enrol(self, request: web.Request) -> web.StreamResponse:
        """Give a site a box: the one request that no known key signs."""
        network = network_of(source_of(request, self._parts.config.proxies))
        if self._wrong_codes.is_full(network):
            return signed(_guessing(), self._parts.key, None)
        try:
            found = await self._parts.enrolment.enrol(_object(await read_body(request, _BODY_MOST)))
        except EdgeError as error:
            if isinstance(error, RequestRefused):
                self._wrong_codes.takes(network)
            return signed(as_refusal(error), self._parts.key, None)
        return signed_enrolment(as_json(found), self._parts.key, found["site"])

    def _door(self, work: _Work, body_most: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            claim: Claim | None = None
            try:
                claim = await self._claim(request)
                asker = await self._asker(request, claim, await read_body(request, body_most), work)
                answer = await work(self, request, asker)
            except EdgeError as error:
                answer = as_refusal(error)
            return signed(answer, self._parts.key, claim)

        return handle

    async def _asker(self, request: web.Request, claim: Claim, body: bytes, work: _Work) -> Asker:
        """Who asks; for events it is enough to recognise a box, since the site is looked at where they are stored."""
        asked = request.method, request.raw_path, claim, body
        known = self._parts.doorkeeper.recognise(*asked) if work is EdgeRoutes._take else None
        return known or await self._parts.doorkeeper.identify(*asked)

    async def _claim(self, request: web.Request) -> Claim:
        try:
            return read_claim(request.headers, request.raw_path)
        except RequestRefused:
            await self._parts.alarms.note("", "unsigned", f"{request.method} {request.path}")
            raise

    async def _take(self, request: web.Request, asker: Asker) -> Answer:
        """Events."""
        stream = _stream(request)
        own_last = _number(request, "last") if "last" in request.query else None
        await self._check_epoch(asker)
        if asker.claim.lane != stream.value:
            raise unreadable(f"The stream {stream} goes in the lane {stream}.")
        lines = read_lines(unpacked(asker.body, request.headers.get("Content-Encoding")), stream)
        stored = await self._stored(request, asker, stream, lines, own_last)
        return as_json({"ack": stored.ack, "serverTime": self._now(), "configVersion": stored.config_version})

    async def _stored(
        self, request: web.Request, asker: Asker, stream: Stream, lines: Sequence[Line], own_last: int | None
    ) -> Stored:
        claim = asker.claim
        for _ in range(_TRIES):
            batch = Batch(claim.site_id, claim.epoch, asker.site.public_key, stream, claim.counter, lines, own_last)
            outcome = await self._parts.batches.ask(batch)
            if isinstance(outcome, RequestRefused):
                raise outcome
            if outcome is not None:
                return outcome
            # The site has changed since it was looked up.
            asker = await self._parts.doorkeeper.identify(request.method, request.raw_path, claim, asker.body)
            await self._check_epoch(asker)
        raise UnavailableError("hub.busy", f"The site {claim.site_id} changes while it sends.")

    async def _fork(self, request: web.Request, asker: Asker) -> Answer:
        """A box's lines that are not the hub's: kept beside them."""
        stream = _stream(request)
        lines = read_lines(unpacked(asker.body, request.headers.get("Content-Encoding")), stream)
        at, claim = self._now(), asker.claim
        async with self._admitted(asker) as tx:
            await keep_forked(tx, claim, stream, lines, at)
        kept = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
        await self._parts.alarms.note(claim.site_id, "fork", f"{stream}: {kept} kept")
        return as_json({"kept": len(lines), "serverTime": at})

    async def _page(self, request: web.Request, asker: Asker) -> Answer:
        """Events that the hub knows, for a box that lost them."""
        stream, after = _stream(request).value, _number(request, "after")
        if not asker.site.confirmed:
            raise not_confirmed()
        async with self._admitted(asker) as tx:
            rows = await streams.events_after(tx, asker.claim.site_id, stream, after, EVENTS_MOST)
        compressed = "gzip" in request.headers.get("Accept-Encoding", "")
        return as_lines(_page(rows), compressed=compressed)

    async def _state(self, _request: web.Request, asker: Asker) -> Answer:
        """How far box and hub have come together."""
        async with self._admitted(asker) as tx:
            heads = await streams.heads(tx, asker.claim.site_id)
            counters = await sites.counters(tx, asker.claim.site_id)
        return as_json(
            {
                "epoch": asker.site.epoch,
                "streams": {name: {"last": last, "head": head.hex()} for name, (last, head) in heads.items()},
                "counter": counters,
                "confirmed": asker.site.confirmed,
                "configVersion": asker.site.config_version,
                "serverTime": self._now(),
            }
        )

    async def _epoch(self, _request: web.Request, asker: Asker) -> Answer:
        """Begin a new life."""
        wanted = _object(asker.body).get("epoch")
        if type(wanted) is not int or not 0 < wanted < SEQ_MOST:
            raise unreadable("The epoch that is to begin is missing.")
        async with self._admitted(asker) as tx:
            epoch = await sites.raise_epoch(tx, asker.claim.site_id, wanted)
        if epoch != wanted:
            raise old_epoch(epoch or 0)
        await self._parts.alarms.note(asker.claim.site_id, "epoch.new", f"epoch {epoch}")
        return as_json({"epoch": epoch, "serverTime": self._now()})

    async def _key(self, _request: web.Request, asker: Asker) -> Answer:
        """The key a box goes on with."""
        told, site, claim = _object(asker.body), asker.site, asker.claim
        key, proof = exact_base64(told.get("publicKey"), KEY_OCTETS), exact_base64(told.get("proof"), SIGNATURE_OCTETS)
        if key is None or proof is None:
            raise unreadable("The new key, or the proof that the box holds it, is missing.")
        if not is_signed(key, renewal_proof(site.site_id, claim.epoch, told["publicKey"]), proof):
            raise unreadable("The proof is not signed by the new key.")
        await self._check_epoch(asker)
        if site.public_key is None or not site.confirmed:
            raise not_confirmed()
        async with self._admitted(asker) as tx:
            taken = key == site.public_key or await sites.announce_key(tx, site.site_id, site.public_key, key)
        if not taken:
            raise UnavailableError("hub.busy", f"The site {site.site_id} changes while its box changes its key.")
        return as_json({"publicKey": told["publicKey"], "serverTime": self._now()})

    async def _down(self, request: web.Request, asker: Asker) -> Answer:
        """What waits for the box."""
        after = _number(request, "after")
        wait = _number(request, "wait") if "wait" in request.query else 0
        await self._check_epoch(asker)
        site_id = asker.claim.site_id
        async with self._admitted(asker) as tx:
            known = await down.acknowledge(tx, site_id, after, self._now()) if asker.site.confirmed else True
        if not known:
            await self._parts.alarms.note(site_id, "down.ahead", f"the box has seen message {after}")
        found = await self._parts.down.after(site_id, after, wait)
        messages = [{"n": message.n, "type": message.type, "data": message.data} for message in found]
        return as_json({"messages": messages, "serverTime": self._now()})

    async def _ask(self, _request: web.Request, asker: Asker) -> Answer:
        """A receipt that the hub is to look up."""
        told = _object(asker.body)
        receipt, gateway = told.get("receipt"), told.get("gateway")
        if not isinstance(receipt, str) or not _RECEIPT.fullmatch(receipt):
            raise unreadable("The receipt is missing, or none.")
        if not isinstance(gateway, str) or not _GATEWAY.fullmatch(gateway):
            raise unreadable("The gateway's short code is missing, or none.")
        await self._check_epoch(asker)
        if not asker.site.confirmed:
            raise not_confirmed()
        hour_ago = instant(self._parts.clock.now() - _HOUR)
        async with self._admitted(asker) as tx:
            if await asks.asked_since(tx, asker.claim.site_id, hour_ago) >= _ASKS_AN_HOUR:
                raise RequestRefused(HTTPStatus.TOO_MANY_REQUESTS, "ask.often", "Too many look-ups in an hour.")
            await asks.ask(tx, asks.Ask(asker.claim.site_id, receipt, gateway), self._now())
        self._parts.asked.ring()
        return as_json({"serverTime": self._now()}, HTTPStatus.ACCEPTED)

    async def _time(self, _request: web.Request, asker: Asker) -> Answer:
        """The time, for a box that has none."""
        nonce = _object(asker.body).get("nonce")
        if not isinstance(nonce, str) or not 0 < len(nonce) <= _TEXT_LENGTH:
            raise unreadable("The nonce is missing.")
        async with self._admitted(asker):
            pass
        return as_json({"time": self._now(), "nonce": nonce})

    @contextlib.asynccontextmanager
    async def _admitted(self, asker: Asker) -> AsyncIterator[Transaction]:
        """A transaction in which the request's counter is used."""
        try:
            async with self._parts.database.transaction() as tx:
                await admit(tx, asker.claim, self._now())
                yield tx
        except RequestRefused as refused:
            await self._parts.alarms.note(asker.claim.site_id, refused.code, refused.message)
            raise

    async def _check_epoch(self, asker: Asker) -> None:
        """A box of a former life first asks how things stand."""
        if asker.claim.epoch != asker.site.epoch:
            await self._parts.alarms.note(asker.claim.site_id, "epoch", f"a request of epoch {asker.claim.epoch}")
            raise old_epoch(asker.site.epoch)

    def _now(self) -> str:
        return instant(self._parts.clock.now())


async def read_body(request: web.Request, most: int) -> bytes:
    """A request's body as sent.

    Raises:
        RequestRefused: It is too long, came too slowly, or was cut off.
    """
    if (request.content_length or 0) > most:
        raise too_long()
    if request.content.is_eof():  # it came with its headers, as nearly all do
        return _of_length(request.content.read_nowait(), most)
    parts: list[bytes] = []
    octets = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.content.iter_any():
                octets += len(part)
                if octets > most:
                    raise too_long()
                parts.append(part)
    except TimeoutError:
        raise RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "too.slow", "The body did not come in time.") from None
    except ConnectionError:  # on a bad line that is every day's: nobody hears the answer, nor need the log
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "cut.off", "The body did not come whole.") from None
    return b"".join(parts)


def _of_length(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise too_long()
    return body


def _guessing() -> Answer:
    """The answer to who showed too many wrong codes, whatever is shown now: else every guess would count."""
    message = "Too many wrong codes came from your address: wait a minute."
    answer = as_json({"code": "enrol.often", "message": message}, HTTPStatus.TOO_MANY_REQUESTS)
    return answer._replace(headers={**answer.headers, "Retry-After": "60"})


def _stream(request: web.Request) -> Stream:
    return Stream(request.path.removeprefix(_STREAMS).removesuffix("/fork"))


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise unreadable("The body is no JSON.") from None
    if not isinstance(told, dict):
        raise unreadable("The body is no JSON object.")
    return told


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    if len(request.query.getall(name, [])) != 1 or not NUMBER.fullmatch(text):
        raise unreadable(f"{name} has to be a number.")
    return int(text)


def _page(rows: Sequence[Row]) -> list[bytes]:
    """As many lines as a batch may hold; one at least."""
    numbered = ((seq, parked_line(seq, digest) if body is None else body) for seq, digest, body, _epoch in rows)
    return [line for _, line in one_batch(numbered)]
