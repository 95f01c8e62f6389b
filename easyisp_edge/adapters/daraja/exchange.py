"""One request to Daraja and its answer, or how far it got."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from easyisp_edge.adapters.daraja.json_values import BODY_OCTETS_MAX, read_json_object
from easyisp_edge.adapters.daraja.messages import ErrorEnvelope, read_error
from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import OutcomeUnknownError, UnavailableError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from datetime import datetime

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # ten are too few at peak hours
_EXCERPT_LENGTH = 500

# One exchange per connection. A server may close a kept connection just as a push goes out on it, and such a push
# has an unknown outcome: the customer waits minutes for what a new handshake avoids in a fraction of a second.
HEADERS = {"Accept": "application/json", "Connection": "close", "User-Agent": "EasyISP-Edge"}

# A token; and in a list of payments the receipts, which let their payers on, and who they are.
_TOLD_TO_US_ALONE = re.compile(
    r'("(?:access_token|transactionId|msisdn|sender|billreference)\\?"\s*:\s*(?:\\?")?)(?:(?<=")[^"]*|[0-9]+)',
    re.IGNORECASE,
)

# The request was not written, not even in part.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


def open_http_client(
    *,
    verify: ssl.SSLContext | bool = True,
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
) -> httpx.AsyncClient:
    """A client fit for Daraja: bounded, without retries or redirects. Whoever opens it closes it."""
    return httpx.AsyncClient(
        verify=verify,
        timeout=httpx.Timeout(connect_seconds, read=read_seconds),
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=0),
        follow_redirects=False,
    )


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer as it came; what it means is decided elsewhere.

    Args:
        status: HTTP status.
        body: No more of it than was asked for; the rest is dropped.
        fields: The body as a JSON object; None when it is something else.
        error: The refusal in it, whatever the status says.
        excerpt: The beginning of the body without secrets and phone numbers, for people.
        date: When the party says it answered.
        retry_after_seconds: How long it asks us to wait.
    """

    status: int
    body: bytes
    fields: Mapping[str, Any] | None
    error: ErrorEnvelope | None
    excerpt: str
    date: datetime | None
    retry_after_seconds: float | None

    @property
    def ok(self) -> bool:
        """Whether the status says success; with status 200 come firewall pages and refusals too."""
        return httpx.codes.is_success(self.status)

    def __str__(self) -> str:
        return f"HTTP {self.status}, {self.excerpt or 'no text'}"


async def exchange(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    within_seconds: float,
    secrets: Iterable[str],
    octets_max: int = BODY_OCTETS_MAX,
) -> WireAnswer:
    """Send once, never again, and read the whole answer.

    Args:
        http: The client.
        request: What to send.
        within_seconds: For all of it together, beyond the client's own limits for each step.
        secrets: What must not appear in an excerpt.
        octets_max: How much of the answer is read.

    Raises:
        UnavailableError: Nothing was sent.
        OutcomeUnknownError: It may have been received, and no whole answer came.
    """
    try:
        async with asyncio.timeout(within_seconds):
            response = await http.send(request, stream=True)
            try:
                body = await _read(response, octets_max)
            finally:
                await response.aclose()
    except _NOT_SENT as error:
        raise UnavailableError(Reason.UNREACHABLE, f"M-Pesa was not reached: {_name(error)}.") from error
    except (httpx.HTTPError, OSError) as error:
        raise OutcomeUnknownError(
            "daraja.no_answer", f"M-Pesa may have received this and did not answer: {_name(error)}."
        ) from error
    return _answer(response, body, secrets)


async def _read(response: httpx.Response, octets_max: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= octets_max:
            break
    return bytes(body[:octets_max])


def _name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _answer(response: httpx.Response, body: bytes, secrets: Iterable[str]) -> WireAnswer:
    fields = read_json_object(body)
    return WireAnswer(
        status=response.status_code,
        body=body,
        fields=fields,
        error=None if fields is None else read_error(fields),
        excerpt=excerpt(body, response.headers.get("Content-Type", ""), secrets),
        date=_date(response.headers.get("Date", "")),
        retry_after_seconds=_seconds(response.headers.get("Retry-After", "")),
    )


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if found.tzinfo is None else found


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,4}", text.strip(), re.ASCII) else None


def excerpt(body: bytes, content_type: str, secrets: Iterable[str]) -> str:
    """The first few hundred characters, with content type unless JSON; secrets, payers and receipts taken out."""
    text = body[:BODY_OCTETS_MAX].decode(errors="replace")
    for secret in secrets:
        text = text.replace(secret, "•••") if secret else text
    text = " ".join(text[: 4 * _EXCERPT_LENGTH].split())
    text = _TOLD_TO_US_ALONE.sub(r"\1•••", text)
    # The ids of pushes end in the payer's number without its country code.
    text = re.sub(r"(ws_CO_\w*?)[0-9]{9}(?![0-9])", r"\1•••", text)
    text = re.sub(r"(?:254|\b0)[17][0-9]{8}(?![0-9])", "•••", text)
    kind = content_type.partition(";")[0].strip()
    prefix = "" if kind == "application/json" or not text else f"{kind or 'no content type'}: "
    return prefix + text[:_EXCERPT_LENGTH]
