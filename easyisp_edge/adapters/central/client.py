"""Asking a hub: each request signed, each answer believed only when the hub signed it for that very request."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import zlib
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from easyisp_edge.adapters.central import messages
from easyisp_edge.adapters.central.keys import is_signed
from easyisp_edge.adapters.central.messages import CODES, as_enrolled, as_messages, as_state, as_stored, refusal_values
from easyisp_edge.domain.central import AWAY, FORGED, LATER, SHUT, SILENT, ConfigSnapshot
from easyisp_edge.domain.sync import (
    BATCH_OCTETS_MOST,
    Lane,
    Reply,
    Request,
    configuration_signed,
    enrolment_proof,
    renewal_proof,
)
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.central import DownMessage, EdgeKey, Enrolled, HubState, Stored, SyncSite
    from easyisp_edge.domain.events import Stream

Answer = TypeVar("Answer", bound=BaseModel)

CONNECT_SECONDS = 10.0
# A batch goes up in 2 s at 1 Mbit/s, and in a minute at what a weak signal leaves of it.
ANSWER_SECONDS = 90.0
# A connection that says nothing for so long after it should have is dead.
_WAIT_GRACE_SECONDS = 15.0
_ANSWER_OCTETS_MOST = 8 * 1024 * 1024
# What stands before a hub may pack whatever may be packed, and a signature is over what the hub sent.
_HEADERS = {
    "User-Agent": "EasyISP-Edge",
    "Accept": "application/json, application/x-ndjson",
    "Accept-Encoding": "identity",
}
_PACKED_BY_HUB = {"Accept-Encoding": "gzip"}
_GZIP = 31  # zlib's name for a gzip header and window
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python has no name for


def open_hub_client(verify: ssl.SSLContext | bool) -> httpx.AsyncClient:  # noqa: FBT001 - as httpx takes it
    """A client fit for a hub: few connections, kept; no redirects. Whoever opens it closes it."""
    return httpx.AsyncClient(
        verify=verify,
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=30),
        follow_redirects=False,
        trust_env=False,
    )


def dateless(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same trust without regard to dates, for the one question that a box without a clock has.

    Source: OpenSSL, X509_VERIFY_PARAM_set_flags.
    """
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | _NO_CHECK_TIME)
    return context


def hub_url(text: str, *, development: bool) -> str:
    """The address of a hub as it is kept: scheme, host and port.

    Raises:
        InvalidError: It is none, or has a path, or is not https away from development.
    """
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    schemes = {"https", "http"} if development else {"https"}
    if parts.scheme not in schemes or not parts.hostname or not bare:
        raise InvalidError("sync.url", "Give the hub's address, such as https://hub.example.com", field="url")
    return f"{parts.scheme}://{parts.netloc}"


async def enrol(http: httpx.AsyncClient, url: str, code: str, key: EdgeKey) -> Enrolled:
    """Become a site's box; the same key may ask again with the same code while that is good.

    Raises:
        UnavailableError: No hub answered.
        RefusedError: The code is none any more.
    """
    public = base64.b64encode(key.public).decode()
    proof = base64.b64encode(key.sign(enrolment_proof(code, public))).decode()
    body = json.dumps({"code": code, "publicKey": public, "proof": proof}).encode()
    answer = await _exchange(http, http.build_request("POST", f"{url}/edge/v1/enrol", content=body, headers=_HEADERS))
    if answer.status != HTTPStatus.OK or not _object(answer.body):
        raise _not_enrolled(answer, url)
    read = _read(messages.EnrolAnswer, answer.body)
    reply = Reply(read.site, Lane.ASK, 0, answer.status, answer.body)
    if not is_signed(read.hubKey, reply.signed(), answer.signature):
        raise UnavailableError(FORGED, "What answered does not hold the key it says is the hub's.")
    return as_enrolled(read)


@dataclass(frozen=True, slots=True)
class _Raw:
    """An answer as it came.

    Args:
        status: Of HTTP.
        body: As sent.
        signature: Of the hub; empty where there is none.
        encoding: Of the body.
        retry_after_seconds: When it is worth asking again.
    """

    status: int
    body: bytes
    signature: str
    encoding: str
    retry_after_seconds: float | None


class _Turn(NamedTuple):
    """The place of a request.

    Args:
        lane: Its lane.
        counter: Above all before it there.
    """

    lane: Lane
    counter: int


class CentralClient:
    """Asks the hub of a site. A refusal it signed is a `RefusedError` by the codes of `domain.central`.

    Every call raises `UnavailableError` where nobody answered (`AWAY`, `SILENT`), it asks for patience (`LATER`), or
    what answered is not the hub (`FORGED`); then nothing is known.

    Args:
        http: What it asks with.
        site: Who asks.
        key: What it signs with.
    """

    def __init__(self, http: httpx.AsyncClient, site: SyncSite, key: EdgeKey) -> None:
        self._http = http
        self._site = site
        self._key = key

    async def upload(self, stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        """Send a batch of a stream: lines, packed."""
        target = f"/edge/v1/streams/{stream.value}?last={own_last}"
        content = await self._post(target, body, _Turn(Lane(stream.value), counter), packed=True)
        return as_stored(_read(messages.StoredAnswer, content))

    async def keep_fork(self, stream: Stream, body: bytes, counter: int) -> None:
        """Have lines kept that are not the hub's."""
        target = f"/edge/v1/streams/{stream.value}/fork"
        await self._post(target, body, _Turn(Lane.ASK, counter), packed=True)

    async def state(self, counter: int) -> HubState:
        """How far the hub has come with this box."""
        return as_state(_read(messages.StateAnswer, await self._ask("GET", "/edge/v1/state", _Turn(Lane.ASK, counter))))

    async def page(self, stream: Stream, after: int, counter: int) -> list[bytes]:
        """The events the hub has after a number: the next ones, in order."""
        target, turn = f"/edge/v1/streams/{stream.value}?after={after}", _Turn(Lane.ASK, counter)
        content = await self._send(self._request("GET", target, turn, None, _PACKED_BY_HUB), turn, ANSWER_SECONDS)
        return content.removesuffix(b"\n").split(b"\n") if content else []

    async def begin_epoch(self, epoch: int, counter: int) -> int:
        """Begin a new life of the site; gives the one it is in then."""
        body = json.dumps({"epoch": epoch}).encode()
        return _read(messages.EpochAnswer, await self._post("/edge/v1/epoch", body, _Turn(Lane.ASK, counter))).epoch

    async def announce_key(self, key: EdgeKey, counter: int) -> None:
        """Say what this box goes on with.

        Raises:
            UnavailableError: The hub's answer names another key: nothing is known.
        """
        public = base64.b64encode(key.public).decode()
        proof = key.sign(renewal_proof(self._site.site_id, self._site.epoch, public))
        body = json.dumps({"publicKey": public, "proof": base64.b64encode(proof).decode()}).encode()
        read = _read(messages.KeyAnswer, await self._post("/edge/v1/key", body, _Turn(Lane.ASK, counter)))
        if read.publicKey != key.public:
            raise UnavailableError(LATER, "The hub took another key than this box announced.")

    async def messages(self, after: int, wait_seconds: int, counter: int) -> list[DownMessage]:
        """What waits after a number; waits for it so long."""
        target = f"/edge/v1/down?after={after}&wait={wait_seconds}"
        within = wait_seconds + _WAIT_GRACE_SECONDS
        content = await self._ask("GET", target, _Turn(Lane.DOWN, counter), within_seconds=within)
        return [self._checked(message) for message in as_messages(_read(messages.MessagesAnswer, content))]

    async def look_up(self, mpesa_receipt_number: str, short_code: str, counter: int) -> None:
        """Have a receipt looked up; the answer comes as a message."""
        body = json.dumps({"receipt": mpesa_receipt_number, "gateway": short_code}).encode()
        await self._post("/edge/v1/ask", body, _Turn(Lane.ASK, counter))

    async def time(self, nonce: str, counter: int) -> datetime:
        """What time it is.

        Raises:
            UnavailableError: `FORGED`: the answer is to another question.
        """
        body = json.dumps({"nonce": nonce}).encode()
        read = _read(messages.TimeAnswer, await self._post("/edge/v1/time", body, _Turn(Lane.ASK, counter)))
        if read.nonce != nonce:
            raise UnavailableError(FORGED, "The hub's time answers another question.")
        return read.time

    def _checked(self, message: DownMessage) -> DownMessage:
        """A message, without its content where that is a configuration the hub did not sign for this site."""
        told = message.content
        if not isinstance(told, ConfigSnapshot):
            return message
        signed = configuration_signed(self._site.site_id, told.version, told.content)
        return message if is_signed(self._site.hub_key, signed, told.signature) else replace(message, content=None)

    async def _ask(self, method: str, target: str, turn: _Turn, *, within_seconds: float = ANSWER_SECONDS) -> bytes:
        return await self._send(self._request(method, target, turn, None, {}), turn, within_seconds)

    async def _post(self, target: str, body: bytes, turn: _Turn, *, packed: bool = False) -> bytes:
        more = {"Content-Encoding": "gzip"} if packed else {}
        return await self._send(self._request("POST", target, turn, body, more), turn, ANSWER_SECONDS)

    async def _send(self, request: httpx.Request, turn: _Turn, within_seconds: float) -> bytes:
        """The body of a 200 that the hub signed for this request, unpacked."""
        answer = await _exchange(self._http, request, within_seconds)
        reply = Reply(self._site.site_id, turn.lane, turn.counter, answer.status, answer.body)
        if not is_signed(self._site.hub_key, reply.signed(), answer.signature):
            raise _unsigned(answer)
        content = _unpacked(answer)
        if answer.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            return content
        raise _refusal(answer, content)

    def _request(
        self, method: str, target: str, turn: _Turn, body: bytes | None, more: dict[str, str]
    ) -> httpx.Request:
        site = self._site
        asked = Request(method, target, site.site_id, site.epoch, turn.lane, turn.counter, body or b"")
        headers = {
            **_HEADERS,
            **more,
            "Edge-Site": site.site_id,
            "Edge-Epoch": str(site.epoch),
            "Edge-Lane": turn.lane.value,
            "Edge-Counter": str(turn.counter),
            "Edge-Signature": base64.b64encode(self._key.sign(asked.signed())).decode(),
        }
        return self._http.build_request(method, f"{site.hub_url}{target}", content=body, headers=headers)


async def _exchange(http: httpx.AsyncClient, request: httpx.Request, within_seconds: float = ANSWER_SECONDS) -> _Raw:
    try:
        async with asyncio.timeout(within_seconds):
            response = await http.send(request, stream=True)
            try:
                body = await _body(response)
            finally:
                await response.aclose()
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UnavailableError(AWAY, f"The hub cannot be reached: {type(error).__name__} {error}.") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UnavailableError(SILENT, "The hub did not answer in time.") from error
    except (httpx.HTTPError, OSError) as error:
        raise UnavailableError(AWAY, f"The connection to the hub broke: {type(error).__name__} {error}.") from error
    return _Raw(
        response.status_code,
        body,
        response.headers.get("Hub-Signature", ""),
        response.headers.get("Content-Encoding", ""),
        _seconds(response.headers.get("Retry-After", "")),
    )


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _ANSWER_OCTETS_MOST:
            raise UnavailableError(FORGED, "The hub's answer is longer than any it gives.")
    return bytes(body)


def _unpacked(answer: _Raw) -> bytes:
    if answer.encoding != "gzip":
        return answer.body
    unpacking = zlib.decompressobj(_GZIP)
    try:
        content = unpacking.decompress(answer.body, BATCH_OCTETS_MOST * 2)
    except zlib.error as error:
        raise UnavailableError(FORGED, "The hub's answer cannot be unpacked.") from error
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise UnavailableError(FORGED, "The hub's answer is longer than any it gives.")
    return content


def _unsigned(answer: _Raw) -> UnavailableError:
    """Whoever stands before the hub may say that it is away; all else without its signature is not to be believed."""
    if not answer.signature and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _later(answer)
    said = "is not signed by the hub" if not answer.signature else "has a signature that is not the hub's"
    return UnavailableError(FORGED, f"An answer (HTTP {answer.status}) {said}; nothing of it is believed.")


def _not_enrolled(answer: _Raw, url: str) -> RefusedError | UnavailableError:
    """Why there was no enrolment: what answers may be a hub, or anything else at a mistyped address."""
    fields = _object(answer.body)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST} and fields:
        return RefusedError(
            "sync.code", "The hub does not take this code: it is wrong, used, or older than 15 minutes."
        )
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return UnavailableError(LATER, "Too many wrong codes came from here: try again in a minute.")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _later(answer)
    return UnavailableError(AWAY, f"What answers at {url} is not a hub (HTTP {answer.status}). Look at the address.")


def _later(answer: _Raw) -> UnavailableError:
    message = f"The hub asks to come again later (HTTP {answer.status})."
    return UnavailableError(LATER, message, retry_after_seconds=answer.retry_after_seconds)


def _refusal(answer: _Raw, content: bytes) -> RefusedError | UnavailableError:
    fields = _object(content)
    said = str(fields.get("message", ""))[:200]
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _later(answer)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return RefusedError(SHUT, said or "The hub does not know this box.", wire=str(fields.get("code", "")))
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RefusedError(CODES["too.long"], said)
    code = CODES.get(str(fields.get("code", "")))
    if code is None:
        return UnavailableError(LATER, f"The hub does not take this (HTTP {answer.status}): {said}")
    return RefusedError(code, said, **refusal_values(fields))


def _object(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _read(model: type[Answer], content: bytes) -> Answer:
    try:
        return model.model_validate(_object(content))
    except (ValidationError, ValueError) as error:
        raise UnavailableError(LATER, "The hub's answer cannot be read by this release.") from error


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,4}", text.strip(), re.ASCII) else None
