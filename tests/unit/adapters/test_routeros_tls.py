"""api-ssl: who is trusted, and that nobody else hears a word."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.adapters.routeros.tls import RouterTls, fetch_certificate, fingerprint
from easyisp_edge.errors import RefusedError, UnavailableError
from tests.fakes.certificates import ODD, der, pem, pem_text, showing, showing_none
from tests.fakes.scripted_routeros import ScriptedRouter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.fakes.scripted_routeros import Step

PASSWORD = "s3cret-of-the-router"
PLAIN_ANSWER = b"\x05!done\0" * 4
NEWEST = pytest.mark.parametrize("newest", [True, False], ids=["tls-1.3", "tls-1.2"])


def echo(words: list[str]) -> Sequence[Step]:
    return [("!re", *words[1:]), ("!done",)]


def reach(port: int, tls: RouterTls, *, deadline_seconds: float = 5.0) -> RouterLink:
    connect = functools.partial(dial, "127.0.0.1", port, username="edge", password=PASSWORD, tls=tls)
    return RouterLink("main", connect, deadline_seconds=deadline_seconds)


async def failing(port: int, tls: RouterTls, *, deadline_seconds: float = 5.0) -> UnavailableError:
    """What becomes of a command."""
    with pytest.raises(UnavailableError) as unavailable:
        await reach(port, tls, deadline_seconds=deadline_seconds).run("/x", {})
    return unavailable.value


@NEWEST
@pytest.mark.parametrize("name", [*ODD, "other"])
async def test_a_pinned_certificate_is_trusted_as_it_is(name: str, *, newest: bool) -> None:
    """Neither dates of a wrong clock nor usages nor an unknown issuer keep the box from the router it pinned."""
    async with ScriptedRouter(echo, tls=showing(name, newest=newest)) as router:
        link = reach(router.port, RouterTls.pinning(der(name)))
        assert (await link.run("/x", {"a": "b"})).rows == [{"a": "b"}]
        await link.close()


@NEWEST
@pytest.mark.parametrize("shown", ["signed_in_1970", "vouched", "not_yet_valid"])
async def test_any_other_certificate_is_told_nothing(shown: str, *, newest: bool) -> None:
    """Whoever shows another certificate, though under the same name, hears no credential; the error says what to do."""
    async with ScriptedRouter(echo, tls=showing(shown, newest=newest)) as router:
        error = await failing(router.port, RouterTls.pinning(der("other")))
        assert error.code == "router.wrong_certificate"
        assert fingerprint(der(shown)) in error.message
        assert fingerprint(der("other")) in error.message
        assert "easyisp-edge router certificate main --save --replace" in error.message
        async with asyncio.timeout(1):
            await router.all_left()
        assert router.logins == []


async def test_whom_a_pinned_authority_vouches_for_is_another() -> None:
    """A pin is one certificate: that the pinned one signed another proves nothing."""
    async with ScriptedRouter(echo, tls=showing("vouched")) as router:
        assert (await failing(router.port, RouterTls.pinning(der("authority")))).code == "router.wrong_certificate"
        assert router.logins == []


async def test_an_authority_vouches_for_an_address() -> None:
    """With a CA the router's address has to stand in its certificate."""
    tls = RouterTls.vouched_by(pem("authority"))
    async with ScriptedRouter(echo, tls=showing("vouched")) as router:
        link = reach(router.port, tls)
        assert (await link.run("/x", {"a": "b"})).rows == [{"a": "b"}]
        await link.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("vouched_elsewhere", "IP address mismatch"), ("other", "self-signed"), ("signed_in_1970", "")],
)
async def test_an_authority_vouches_for_nobody_else(name: str, reason: str) -> None:
    """A certificate for another address, or that the CA did not sign, is not trusted, and the message says why."""
    async with ScriptedRouter(echo, tls=showing(name)) as router:
        error = await failing(router.port, RouterTls.vouched_by(pem("authority")))
        assert error.code == "router.wrong_certificate"
        assert reason in error.message
        assert router.logins == []


@pytest.mark.parametrize("tls", [RouterTls.pinning(der("other")), RouterTls.vouched_by(pem("authority"))])
async def test_a_router_without_a_certificate_is_told_nothing(tls: RouterTls) -> None:
    """Encrypted to nobody knows whom is no protection: anonymous ciphers are refused, and it is said why."""
    async with ScriptedRouter(echo, tls=showing_none()) as router:
        error = await failing(router.port, tls)
        assert error.code == "router.no_tls"
        assert "/ip/service set api-ssl certificate=" in error.message
        assert router.logins == []


@pytest.mark.parametrize("tls", [RouterTls.pinning(der("other")), RouterTls.vouched_by(pem("authority"))])
def test_old_protocols_and_anonymous_ciphers_are_not_offered(tls: RouterTls) -> None:
    """TLS 1.2 is the oldest, and each cipher has the router prove itself and hides what is said."""
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not [
        cipher["name"]
        for cipher in tls.context.get_ciphers()
        if "Au=None" in cipher["description"] or "Enc=None" in cipher["description"]
    ]


@contextlib.asynccontextmanager
async def no_tls(answer: bytes) -> AsyncIterator[int]:
    """A port where that is all that is ever said; what follows waits until every client has left."""
    clients, left = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal clients
        clients += 1
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(answer)
            while await reader.read(4096):
                pass
        writer.transport.abort()
        clients -= 1
        left.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(2), server:
        yield server.sockets[0].getsockname()[1]
        await left.wait()
        while clients:
            left.clear()
            await left.wait()


async def test_a_router_that_speaks_no_tls_is_told_nothing() -> None:
    """Where the plain API answers, TLS ends at once with its own code."""
    async with no_tls(PLAIN_ANSWER) as port:
        assert (await failing(port, RouterTls.pinning(der("other")))).code == "router.no_tls"


async def test_a_handshake_that_stalls_ends_with_the_deadline() -> None:
    """The deadline of a command covers the handshake, and nothing is left open behind it."""
    async with no_tls(b"") as port:
        error = await failing(port, RouterTls.pinning(der("other")), deadline_seconds=0.05)
    assert error.code == "router.unreachable"


async def test_a_peer_that_never_says_goodbye_does_not_hold_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing ends shortly, however little the other end does for it."""
    monkeypatch.setattr("easyisp_edge.adapters.routeros.connection.CLOSE_SECONDS_MAX", 0.05)
    async with ScriptedRouter(echo, tls=showing("other")) as router, muffled(router.port) as (port, muffle):
        link = reach(port, RouterTls.pinning(der("other")))
        await link.run("/x", {})
        muffle.set()
        async with asyncio.timeout(1):
            await link.close()


@contextlib.asynccontextmanager
async def muffled(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A wire to a port that from some moment on carries nothing more, in either direction, and stays up."""
    muffle = asyncio.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(4096):
                if not muffle.is_set():
                    writer.write(octets)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_router, to_router = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.ensure_future(carry(from_router, writer))
        await carry(reader, to_router)
        for end in (to_router, writer):
            end.transport.abort()
        await back
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(join, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], muffle
        await left.wait()


@NEWEST
@pytest.mark.parametrize("name", ["signed_in_1970", "vouched"])
async def test_what_a_router_shows_can_be_fetched(name: str, *, newest: bool) -> None:
    """Anybody may ask for the certificate; its fingerprint is the one the router tells, and nothing is said beyond."""
    async with ScriptedRouter(echo, tls=showing(name, newest=newest)) as router:
        shown = await fetch_certificate("127.0.0.1", router.port, 2)
        async with asyncio.timeout(1):
            await router.all_left()
        assert router.logins == []
    assert shown.pem == pem_text(name)
    assert shown.fingerprint == fingerprint(der(name))
    assert len(shown.fingerprint) == 64


async def test_nothing_can_be_fetched_where_there_is_no_certificate() -> None:
    """That a router is there and has none is said so, with what to do."""
    async with ScriptedRouter(echo, tls=showing_none()) as router:
        with pytest.raises(RefusedError) as refused:
            await fetch_certificate("127.0.0.1", router.port, 2)
    assert refused.value.code == "router.no_certificate"
    assert "/ip/service set api-ssl certificate=" in refused.value.message


async def test_fetching_from_nobody_ends() -> None:
    """A port that is closed, silent, or no TLS is told apart from a router without a certificate."""
    async with no_tls(b"") as port:
        with pytest.raises(UnavailableError, match=r"nothing within 0\.05 s"):
            await fetch_certificate("127.0.0.1", port, 0.05)
    with pytest.raises(UnavailableError) as closed:
        await fetch_certificate("127.0.0.1", port, 2)
    assert closed.value.code == "router.unreachable"
    async with no_tls(PLAIN_ANSWER) as port:
        with pytest.raises(UnavailableError) as plain:
            await fetch_certificate("127.0.0.1", port, 2)
    assert plain.value.code == "router.no_tls"
