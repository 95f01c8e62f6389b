from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from pydantic import SecretStr

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.adapters.daraja.exchange import open_http_client
from easyisp_edge.domain.payments import Outcome, Reason, StkPush
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import OutcomeUnknownError, UnavailableError
from easyisp_edge.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAYLOADS = Path(__file__).parent / "daraja_payloads"
PUSH_ID = "ws_CO_1007202409152617172396192"
PUSH = StkPush(
    phone=Msisdn("254717239619"),
    amount=Money.shillings(50),
    account_reference="K7M4Q2XW9P",
    description="1 hour",
    callback_url="http://127.0.0.1:9/c/9f2b6c04d1e83a57",
)


class Server:
    """Daraja on loopback: gives tokens; what it does with a post is up to the test."""

    def __init__(self) -> None:
        self.answer: Answer = answer_with("push_accepted.json")
        self.posts = 0
        self.connections: set[object] = set()
        self.released = asyncio.Event()

    async def token(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        return web.json_response({"access_token": "token", "expires_in": "3599"})

    async def post(self, request: web.Request) -> web.StreamResponse:
        self.posts += 1
        self.connections.add(request.transport)
        await request.read()
        return await self.answer(request)


def answer_with(name: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=(PAYLOADS / name).read_bytes(), content_type="application/json")

    return answer


@contextlib.asynccontextmanager
async def client_of(base_url: str, *, within_seconds: float = 5.0) -> AsyncIterator[DarajaClient]:
    async with open_http_client(verify=False, connect_seconds=0.5, read_seconds=0.05) as http:
        app = DarajaApp(
            consumer_key=SecretStr("key"),
            consumer_secret=SecretStr("secret"),
            base_url=base_url,
            http=http,
            clock=SystemClock(),
            queries_per_minute=60_000,
            answer_within_seconds=within_seconds,
        )
        yield DarajaClient(app, DarajaAccount.paybill("174379", SecretStr("passkey")))


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    app = web.Application()
    app.router.add_get("/oauth/v1/generate", server.token)
    app.router.add_post("/{path:.*}", server.post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield server, f"http://{host}:{port}"
    server.released.set()
    await runner.cleanup()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_push_and_a_query_go_over_the_wire(server: tuple[Server, str]) -> None:
    """The whole way over a socket, each exchange on a connection of its own, so that none is stale."""
    party, url = server
    async with client_of(url) as client:
        assert (await client.stk_push(PUSH)).checkout_request_id == PUSH_ID
        party.answer = answer_with("query_paid_0.json")
        assert (await client.stk_query(PUSH_ID)).outcome is Outcome.PAID
    assert len(party.connections) == 3


async def test_nobody_at_the_port_means_nothing_was_sent() -> None:
    """A refused connection is unavailable."""
    async with client_of(f"http://127.0.0.1:{unused_port()}") as client:
        with pytest.raises(UnavailableError) as caught:
            await client.stk_push(PUSH)
    assert caught.value.code == Reason.UNREACHABLE


async def test_a_failed_handshake_means_nothing_was_sent(server: tuple[Server, str]) -> None:
    """A party that cannot speak TLS never saw the push."""
    party, url = server
    async with client_of(url) as client:
        await client.app.token()
        client.app._base_url = url.replace("http:", "https:")
        with pytest.raises(UnavailableError) as caught:
            await client.stk_push(PUSH)
    assert caught.value.code == Reason.UNREACHABLE
    assert party.posts == 0


async def test_no_answer_in_time_is_unknown_for_a_push_and_unavailable_for_a_query(
    server: tuple[Server, str],
) -> None:
    """The party has the request and keeps silent: the push may be on the phone, the query may be asked again."""
    party, url = server

    async def silence(request: web.Request) -> web.StreamResponse:
        await party.released.wait()
        return web.Response()

    party.answer = silence
    async with client_of(url) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.stk_push(PUSH)
        with pytest.raises(UnavailableError):
            await client.stk_query(PUSH_ID)
    assert party.posts == 2


async def test_a_reset_after_the_request_is_unknown(server: tuple[Server, str]) -> None:
    """A connection that breaks once the request was read leaves the outcome unknown, and nothing is sent again."""
    party, url = server

    async def reset(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    party.answer = reset
    async with client_of(url) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.stk_push(PUSH)
    assert party.posts == 1


async def test_half_an_answer_is_unknown(server: tuple[Server, str]) -> None:
    """A body shorter than announced is no answer, even though it began well."""
    party, url = server

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"ResponseCode": "0", "CheckoutRequestID": "ws_CO_1"')
        assert request.transport is not None
        request.transport.close()
        return response

    party.answer = half
    async with client_of(url) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.stk_push(PUSH)


async def test_an_answer_that_drips_for_ever_is_unknown(server: tuple[Server, str]) -> None:
    """Each octet comes in time and the whole does not: the limit on the whole exchange ends it."""
    party, url = server

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not party.released.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.01)
        return response

    party.answer = drip
    async with client_of(url, within_seconds=0.15) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.stk_push(PUSH)


async def test_an_endless_answer_is_cut_off(server: tuple[Server, str]) -> None:
    """However much is sent, a bounded part is read; such an answer says nothing."""
    party, url = server
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not party.released.is_set():
                await response.write(b"x" * 65536)
                written += 65536
        return response

    party.answer = flood
    async with client_of(url) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.stk_push(PUSH)
    assert written > 0
    assert caught.value.code == "daraja.unclear_answer"
    assert len(caught.value.message) < 700


async def test_redirects_are_not_followed(server: tuple[Server, str]) -> None:
    """A push is never carried to another address; where it went is unknown."""
    party, url = server

    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": url + "/elsewhere"})

    party.answer = redirect
    async with client_of(url) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.stk_push(PUSH)
    assert party.posts == 1


async def test_a_cancelled_push_leaves_the_client_usable(server: tuple[Server, str]) -> None:
    """Giving up while waiting frees the connection; the next push works."""
    party, url = server
    reached = asyncio.Event()

    async def silence(request: web.Request) -> web.StreamResponse:
        reached.set()
        await party.released.wait()
        return web.Response()

    party.answer = silence
    async with client_of(url) as client:
        pushing = asyncio.ensure_future(client.stk_push(PUSH))
        await reached.wait()
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        party.answer = answer_with("push_accepted.json")
        assert (await client.stk_push(PUSH)).checkout_request_id == PUSH_ID
