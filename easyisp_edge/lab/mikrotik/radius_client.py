"""Carries the router's RADIUS requests to a server and back: resends, checks, counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyrad import packet as pyrad_packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.machine import Clock

_IDENTIFIERS = 256


@dataclass(slots=True)
class Counters:
    """What `/radius/monitor` shows of one server."""

    pending: int = 0
    requests: int = 0
    accepts: int = 0
    rejects: int = 0
    resends: int = 0
    timeouts: int = 0
    bad_replies: int = 0
    last_request_rtt_ms: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """A RADIUS server as one exchange needs it.

    Args:
        host: IPv4 address.
        port: UDP port.
        timeout_seconds: Until the same packet is sent again.
        demand_message_authenticator: Whether replies without one are dropped.
        counters: Where the exchange is counted.
    """

    host: str
    port: int
    timeout_seconds: float
    demand_message_authenticator: bool
    counters: Counters


@dataclass(eq=False, slots=True)
class _Pending:
    packet: Any
    server: Server
    reply: asyncio.Future[Any]


class RadiusClient(asyncio.DatagramProtocol):
    """The router's RADIUS socket.

    Args:
        clock: Counts the time-outs.
        tries: How often a packet is sent in all before it is given up.
    """

    def __init__(self, clock: Clock, tries: int) -> None:
        self.cut_off = False
        self._clock = clock
        self._tries = tries
        self._transport: asyncio.DatagramTransport | None = None
        self._pending: dict[tuple[str, int, int], _Pending] = {}
        self._identifiers: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._last_identifier = -1

    async def open(self, host: str) -> None:
        """Bind a socket of any port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))

    def close(self) -> None:
        """Free the socket."""
        if self._transport is not None:
            self._transport.close()

    async def exchange(self, build: Callable[[int], Any], server: Server) -> Any | None:
        """Send the request that `build` makes of an identifier until a reply that holds comes; None when none did.

        With all 256 identifiers in use it waits for one first.
        """
        place = (server.host, server.port)
        async with self._identifiers.setdefault(place, asyncio.Semaphore(_IDENTIFIERS)):
            packet = build(self._free_identifier(place))
            octets = packet.RequestPacket()
            waiting = _Pending(packet, server, asyncio.get_running_loop().create_future())
            self._pending[(*place, packet.id)] = waiting
            server.counters.pending += 1
            server.counters.requests += 1
            try:
                return await self._send_until_answered(octets, waiting)
            finally:
                del self._pending[(*place, packet.id)]
                server.counters.pending -= 1

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """A reply came: hand it to its exchange, or count it as bad."""
        if self.cut_off or len(data) < 2:  # noqa: PLR2004 - code and identifier
            return
        waiting = self._pending.get((addr[0], addr[1], data[1]))
        if waiting is None or waiting.reply.done():
            return
        reply = _verified(waiting, data)
        if reply is None:
            waiting.server.counters.bad_replies += 1
        else:
            waiting.reply.set_result(reply)

    def error_received(self, exc: Exception) -> None:
        """A port was unreachable: as silent as a lost packet."""

    def _free_identifier(self, place: tuple[str, int]) -> int:
        self._last_identifier = (self._last_identifier + 1) % _IDENTIFIERS
        while (*place, self._last_identifier) in self._pending:
            self._last_identifier = (self._last_identifier + 1) % _IDENTIFIERS
        return self._last_identifier

    async def _send_until_answered(self, octets: bytes, waiting: _Pending) -> Any | None:
        server, began = waiting.server, self._clock.monotonic()
        for sent in range(self._tries):
            server.counters.resends += 1 if sent else 0
            self._send(octets, server)
            if await self._answered(waiting.reply, server.timeout_seconds):
                server.counters.last_request_rtt_ms = round((self._clock.monotonic() - began) * 1000)
                return waiting.reply.result()
        server.counters.timeouts += 1
        return None

    async def _answered(self, reply: asyncio.Future[Any], seconds: float) -> bool:
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((reply, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)
        return reply.done()

    def _send(self, octets: bytes, server: Server) -> None:
        if self._transport is not None and not self.cut_off:
            self._transport.sendto(octets, (server.host, server.port))


def _verified(waiting: _Pending, octets: bytes) -> Any | None:
    try:
        reply = waiting.packet.CreateReply(packet=octets)
    except (pyrad_packet.PacketError, ValueError):
        return None
    demand = waiting.server.demand_message_authenticator
    return reply if waiting.packet.VerifyReply(reply, octets, enforce_ma=demand) else None
