"""One API session with a RouterOS device, from dialling to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from librouteros.connections import AsyncSocketTransport
from librouteros.exceptions import ProtocolError
from librouteros.protocol import AsyncApiProtocol

from easyisp_edge.adapters.routeros.tls import open_stream
from easyisp_edge.errors import RefusedError
from easyisp_edge.loops import OthersFirst

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.adapters.routeros.tls import RouterTls

# At debug level the library logs every word it sends, passwords among them.
logging.getLogger("librouteros").setLevel(logging.INFO)

REPLY_OCTETS_MAX = 4 * 1024 * 1024  # some 20 000 hotspot hosts; more is no answer to anything we ask
CLOSE_SECONDS_MAX = 1.0
ROWS_AT_A_STRETCH = 100  # what has arrived is read without waiting; RADIUS must not wait for all of it

# A router that lost power or a firewall that forgot the flow shows within 35 seconds of silence.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


@dataclass(slots=True)
class Reply:
    """What the router answered to one command.

    Args:
        rows: The fields of each `!re`, all text; a field that is not set on the router is absent.
        done: The fields of the closing `!done`, such as `ret`.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)


class ApiConnection:
    """A session over an open stream: one command at a time, no deadline of its own.

    After anything but a `Reply` or a `RefusedError` the stream may be out of step, so that the next command
    would read this one's answer: abort it then.

    Values stay the text that came over the wire; the library would turn a user named 12345 into a number.

    Args:
        reader: Where the router's words come from.
        writer: Where ours go to.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transport = _MeteredTransport(reader, writer)
        self._protocol = AsyncApiProtocol(self._transport, encoding="utf-8")

    @property
    def stale(self) -> bool:
        """Whether the other end is known to be gone."""
        reader, writer = self._transport.reader, self._transport.writer
        return reader.at_eof() or reader.exception() is not None or writer.is_closing()

    async def log_in(self, username: str, password: str) -> None:
        """Begin the session, as RouterOS 6.43 and later want it.

        Raises:
            RefusedError: Wrong name or password, or a router too old to know this login.
            LibRouterosError: The stream cannot be understood, or ended.
            OSError: The network failed.

        Source: RouterOS API, log in.
        """
        reply = await self.run("/login", f"=name={username}", f"=password={password}")
        if "ret" in reply.done:  # the challenge of older versions; no one is logged in by it
            raise RefusedError("router.too_old", "RouterOS before 6.43 is too old; upgrade the router")

    async def run(self, command: str, *words: str, each: Callable[[dict[str, str]], None] | None = None) -> Reply:
        """Send one command and gather the whole answer.

        Args:
            command: The command.
            words: Its arguments and queries, as the API writes them.
            each: Takes the rows one by one as they arrive, in place of the reply; a long table is then never held
                whole. It must not raise.

        Raises:
            RefusedError: The router said no; the message is the router's.
            LibRouterosError: The answer cannot be understood or is too long, or the stream ended.
            ValueError: The answer cannot be understood.
            IndexError: The answer cannot be understood.
            OSError: The network failed.

        Source: RouterOS API, sentences.
        """
        self._transport.octets_left = REPLY_OCTETS_MAX
        await self._protocol.writeSentence(command, *words)
        reply = Reply()
        traps = await self._gather(reply, each or reply.rows.append)
        if traps:
            raise RefusedError("router.refused", "; ".join(traps))
        return reply

    async def _gather(self, reply: Reply, each: Callable[[dict[str, str]], None]) -> list[str]:
        traps: list[str] = []
        rows = 0
        while True:
            kind, words = await self._protocol.readSentence()
            fields = dict(_field(word) for word in words)
            if kind == "!re":
                each(fields)
                rows += 1
                if rows % ROWS_AT_A_STRETCH == 0:
                    await OthersFirst()
            elif kind == "!trap":
                traps.append(fields.get("message", "no reason given"))
            elif kind == "!done":
                reply.done = fields
                return traps
            # Anything else says nothing about rows, as `!empty` of 7.18 did to programs written before it.

    def abort(self) -> None:
        """End the session at once, whatever is under way."""
        self._transport.writer.transport.abort()

    async def close(self) -> None:
        """End the session; waits for the goodbye only shortly, as a dead router says none."""
        self._transport.writer.close()
        try:
            with contextlib.suppress(OSError):  # a time-out is one too
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self._transport.writer.wait_closed()
        finally:
            self.abort()


async def dial(
    host: str,
    port: int,
    *,
    username: str,
    password: str,
    tls: RouterTls | None = None,
    source: str | None = None,
) -> ApiConnection:
    """Connect to a router and log in; to be put under a deadline by the caller.

    Args:
        host: Name or address of the router.
        port: 8728 for `api`, 8729 for `api-ssl`.
        username: The router's user for us.
        password: Its password.
        tls: For `api-ssl`: how the router proves who it is; it is told nothing before.
        source: Our own address to speak from, where several could be.

    Raises:
        RefusedError: The router did not take the login.
        WrongCertificateError: Somebody else than the router answered.
        LibRouterosError: What answered is no RouterOS API.
        OSError: Nothing answered, or TLS failed; then it is an `ssl.SSLError`.

    Source: RouterOS API, services api and api-ssl.
    """
    local = None if source is None else (source, 0)
    if tls is None:
        reader, writer = await asyncio.open_connection(host, port, local_addr=local)
    else:
        reader, writer = await open_stream(host, port, tls.context, local)
    connection = ApiConnection(reader, writer)
    try:
        if tls is not None:
            tls.check(writer)
        _keep_alive(writer)
        await connection.log_in(username, password)
    except BaseException:
        connection.abort()
        raise
    return connection


class _MeteredTransport(AsyncSocketTransport):
    """Reads no more than one answer may have, whatever lengths the other end claims."""

    octets_left = REPLY_OCTETS_MAX

    async def read(self, length: int) -> bytes:
        self.octets_left -= length
        if self.octets_left < 0:
            raise ProtocolError(f"an answer of more than {REPLY_OCTETS_MAX} octets")
        return await super().read(length)


def _field(word: str) -> tuple[str, str]:
    marker, name, value = word.split("=", 2)
    if marker:
        raise ProtocolError(f"unexpected word {word!r:.40}")
    return sys.intern(name), value


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    connected = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
