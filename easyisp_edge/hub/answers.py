"""Answers of the hub: JSON or lines, signed for the request they answer."""

from __future__ import annotations

import gzip
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from easyisp_edge.domain.sync import Lane, Reply
from easyisp_edge.errors import EdgeError, UnavailableError
from easyisp_edge.hub.once import OnceAMinute
from easyisp_edge.hub.refusals import RequestRefused

if TYPE_CHECKING:
    from easyisp_edge.hub.doorkeeper import Claim
    from easyisp_edge.hub.keys import HubKey

log = logging.getLogger(__name__)
log.addFilter(OnceAMinute())

_RETRY_AFTER_SECONDS, _OFTEN_RETRY_AFTER_SECONDS = 5, 600
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# A month of a site goes down in pages: the least effort that still makes them a third.
_GZIP_LEVEL = 6
# Nobody on the way keeps an answer, or packs what is signed as it was sent.
_AS_SENT = {"Cache-Control": "no-store, no-transform"}


class Answer(NamedTuple):
    """What goes out.

    Args:
        status: Of HTTP.
        body: As sent.
        headers: Beside the signature.
    """

    status: int
    body: bytes
    headers: dict[str, str]


def as_json(content: dict[str, Any], status: int = HTTPStatus.OK) -> Answer:
    """An object."""
    body = _JSON.encode(content).encode()
    return Answer(status, body, {"Content-Type": "application/json"})


def as_lines(lines: list[bytes], *, compressed: bool) -> Answer:
    """Lines of events."""
    body = b"".join(line + b"\n" for line in lines)
    headers = {"Content-Type": "application/x-ndjson", "Vary": "Accept-Encoding"}
    if compressed:
        return Answer(HTTPStatus.OK, gzip.compress(body, _GZIP_LEVEL, mtime=0), {**headers, "Content-Encoding": "gzip"})
    return Answer(HTTPStatus.OK, body, headers)


def as_refusal(error: EdgeError) -> Answer:
    """What went wrong, in the words of the protocol."""
    if isinstance(error, RequestRefused):
        answer = as_json(error.content(), error.status)
        if error.status is HTTPStatus.TOO_MANY_REQUESTS:
            return _later(answer, _OFTEN_RETRY_AFTER_SECONDS)
        return answer
    if isinstance(error, UnavailableError):
        log.warning("a box is asked to come again: %s", error)
        answer = as_json({"code": "later", "message": "Try again later."}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _later(answer, error.retry_after_seconds or _RETRY_AFTER_SECONDS)
    log.error("a request failed: %s", error)
    return as_json({"code": "hub.fault", "message": "The hub failed."}, HTTPStatus.INTERNAL_SERVER_ERROR)


def _later(answer: Answer, seconds: float) -> Answer:
    return answer._replace(headers={**answer.headers, "Retry-After": str(round(seconds))})


def signed(answer: Answer, key: HubKey, claim: Claim | None) -> web.Response:
    """An answer with the hub's signature; none where the request did not say what it is."""
    headers = {**_AS_SENT, **answer.headers}
    if claim is not None:
        reply = Reply(claim.site_id, claim.lane, claim.counter, answer.status, answer.body)
        headers["Hub-Signature"] = key.sign(reply.signed())
    return web.Response(body=answer.body, status=answer.status, headers=headers)


def signed_enrolment(answer: Answer, key: HubKey, site_id: str) -> web.Response:
    """The answer to an enrolment, as if it answered counter 0 of the lane `ask`: no request was counted yet."""
    reply = Reply(site_id, Lane.ASK, 0, answer.status, answer.body)
    headers = {**_AS_SENT, **answer.headers, "Hub-Signature": key.sign(reply.signed())}
    return web.Response(body=answer.body, status=answer.status, headers=headers)
