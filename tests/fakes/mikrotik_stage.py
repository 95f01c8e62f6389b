"""The lab's MikroTik on stage: a clock wound by hand, a client of raw sentences, a RADIUS server that obeys."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from librouteros import async_connect
from pyrad import packet as pyrad_packet

from easyisp_edge.lab.mikrotik import MikrotikLab, MikrotikOptions, RadiusServer
from easyisp_edge.lab.mikrotik.radius_packets import radius_dictionary
from easyisp_edge.lab.mikrotik.wire import encode_sentence, read_sentence
from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from librouteros.api import AsyncApi

MAC = "34:12:F9:8A:21:4C"
OTHER_MAC = "34:12:F9:8A:21:4D"
IP = "10.5.50.10"
SECRET = "radius-secret"
Sentence = tuple[str, ...]


class HandClock:
    """Stands still until advanced; sleepers wake each at its own moment."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self._start = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
        self._seconds = 1000.0
        self._turn = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + max(seconds, 0.0), next(self._turn), until))
        await until

    async def advance(self, seconds: float) -> None:
        await let_run()
        end = self._seconds + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, until = heapq.heappop(self._sleepers)
            if not until.done():
                self._seconds = max(self._seconds, moment)
                until.set_result(None)
                await let_run()
        self._seconds = end
        await let_run()


async def let_run() -> None:
    """Let tasks and loopback datagrams get where they are going."""
    for _ in range(30):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Wait, at most a few seconds of real time, for something to hold."""
    for _ in range(5000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never held")


class SeededRandomness:
    """Repeatable chance."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def token(self, octets: int) -> bytes:
        return self._random.randbytes(octets)

    def fraction(self) -> float:
        return self._random.random()


def fields(sentence: Sentence) -> dict[str, str]:
    """The `=name=value` words."""
    pairs = (word[1:].partition("=") for word in sentence[1:] if word.startswith("="))
    return {name: value for name, _, value in pairs}


class RawClient:
    """Speaks sentences and nothing else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *words: str) -> None:
        self.writer.write(encode_sentence(words))
        await self.writer.drain()

    async def read(self) -> Sentence:
        async with asyncio.timeout(5):
            return await read_sentence(self.reader)

    async def answer(self) -> list[Sentence]:
        """Everything up to and with `!done` or `!fatal`."""
        sentences = [await self.read()]
        while sentences[-1][0] not in {"!done", "!fatal"}:
            sentences.append(await self.read())
        return sentences

    async def ask(self, *words: str) -> list[Sentence]:
        await self.send(*words)
        return await self.answer()

    async def rows(self, *words: str) -> list[dict[str, str]]:
        """The rows of an answer; what is no row must be its end."""
        *rows, end = [sentence for sentence in await self.ask(*words) if sentence != ("!empty",)]
        assert end == ("!done",), (words, end)
        return [fields(row) for row in rows]

    async def done(self, *words: str) -> str:
        """What a command that must succeed gives back."""
        (end,) = await self.ask(*words)
        assert end[0] == "!done", (words, end)
        return fields(end).get("ret", "")

    async def trapped(self, *words: str) -> str:
        """The message of a command that must fail."""
        trap, end = await self.ask(*words)
        assert (trap[0], end) == ("!trap", ("!done",)), (words, trap)
        return fields(trap)["message"]

    async def octets(self, count: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(count)

    async def at_end(self) -> bool:
        """Whether the router closed, saying nothing more."""
        try:
            async with asyncio.timeout(5):
                return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Stage:
    """A router that runs, and the clock it runs by."""

    router: MikrotikLab
    clock: HandClock
    closing: contextlib.AsyncExitStack

    async def raw(self, *credentials: str, logged_in: bool = True, tls: ssl.SSLContext | None = None) -> RawClient:
        """A client of the API, or with `tls` of api-ssl."""
        name, password = credentials or ("edge", "s3cret")
        port = self.router.api_port if tls is None else self.router.api_ssl_port
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
        self.closing.push_async_callback(client.close)
        if logged_in:
            assert await client.ask("/login", f"=name={name}", f"=password={password}") == [("!done",)]
        return client

    async def api(self, *credentials: str, **options: Any) -> AsyncApi:
        user, password = credentials or ("edge", "s3cret")
        api = await async_connect("127.0.0.1", user, password, port=self.router.api_port, encoding="utf-8", **options)
        self.closing.push_async_callback(api.close)
        return api


@contextlib.asynccontextmanager
async def mikrotik_stage(
    options: MikrotikOptions | None = None, *, coa_port: int | None = None
) -> AsyncIterator[Stage]:
    clock = HandClock()
    router = MikrotikLab(clock=clock, randomness=SeededRandomness(), options=options)
    await router.start(coa_port=coa_port)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(router.close)
        yield Stage(router, clock, closing)


@dataclass
class RadiusAuthority(asyncio.DatagramProtocol):
    """A RADIUS server of a few lines: keeps what came, answers as told, never twice the same way by itself."""

    decide: Callable[[Any], dict[str, Any] | str] = lambda _: {}
    mute: int = 0
    spoil: Callable[[Any], None] | None = None
    secret: bytes = SECRET.encode()
    datagrams: list[bytes] = field(default_factory=list)
    logins: list[Any] = field(default_factory=list)
    accounting: list[Any] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    async def heard(self, count: int) -> None:
        """Wait for so many datagrams in all."""
        await until(lambda: len(self.datagrams) >= count)

    def as_server(self, **changes: Any) -> RadiusServer:
        return RadiusServer(
            **{
                "address": "127.0.0.1",
                "secret": SECRET,
                "authentication_port": self.port,
                "accounting_port": self.port,
                **changes,
            }
        )

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.datagrams.append(data)
        if self.mute > 0:
            self.mute -= 1
            return
        assert self._transport is not None
        self._transport.sendto(self._reply(data).ReplyPacket(), addr)

    def _reply(self, data: bytes) -> Any:
        options = {"secret": self.secret, "dict": radius_dictionary(), "packet": data}
        if data[0] == pyrad_packet.AccountingRequest:
            told = pyrad_packet.AcctPacket(**options)
            assert told.VerifyAcctRequest()
            self.accounting.append(told)
            return told.CreateReply()
        request = pyrad_packet.AuthPacket(**options)
        self.logins.append(request)
        reply = request.CreateReply()
        verdict = self.decide(request)
        if isinstance(verdict, str):
            reply.code = pyrad_packet.AccessReject
            reply["Reply-Message"] = verdict
        else:
            for name, value in verdict.items():
                reply[name] = value
        if self.spoil is not None:
            self.spoil(reply)
        return reply


def radius_options(*servers: RadiusServer, **changes: Any) -> MikrotikOptions:
    """A router that asks these servers."""
    return MikrotikOptions(**{"use_radius": True, "radius_servers": servers, **changes})
