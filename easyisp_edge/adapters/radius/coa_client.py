"""Orders to routers about their sessions: end one, or hold it to something else.

A router that does not know the sender or its secret says nothing, as one that is away does.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius import coa_packets
from easyisp_edge.adapters.radius.packets import decode
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from easyisp_edge.adapters.radius.coa_packets import CoaRouter, CoaSession
    from easyisp_edge.adapters.radius.packets import Packet
    from easyisp_edge.domain.values import DataVolume, RateLimit
    from easyisp_edge.machine import Clock, UdpAddress, UdpEndpoint

log = logging.getLogger(__name__)

_IDENTIFIERS = 256
_DATAGRAMS_PER_WAKE_UP = 256
# A request is sent, again after each of the first three waits, and given up after the last.
_WAITS_SECONDS = (1.0, 2.0, 4.0, 3.0)


@dataclass(slots=True)
class CoaCounters:
    """What the client did since it was made.

    Args:
        requests: Requests sent, repeats not counted.
        resends: Repeats sent.
        acks: Carried out.
        no_session: Refused, since the session is gone.
        refused: Refused for another cause.
        unanswered: Given up.
        ignored: Datagrams that were no reply to anything under way, or not from who has to reply.
    """

    requests: int = 0
    resends: int = 0
    acks: int = 0
    no_session: int = 0
    refused: int = 0
    unanswered: int = 0
    ignored: int = 0


@dataclass(slots=True, eq=False)
class _Exchange:
    """A request under way and, once it came, its reply."""

    router: CoaRouter
    request: bytes
    wake: Wake = field(default_factory=Wake)
    reply: Packet | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """What is under way to one router, by identifier."""

    turns: asyncio.Semaphore
    under_way: dict[int, _Exchange] = field(default_factory=dict)
    last_identifier: int = -1

    def free_identifier(self) -> int:
        """One of nothing under way, the longest unused first: a router may hold its old reply ready."""
        self.last_identifier = (self.last_identifier + 1) % _IDENTIFIERS
        while self.last_identifier in self.under_way:
            self.last_identifier = (self.last_identifier + 1) % _IDENTIFIERS
        return self.last_identifier


class CoaClient:
    """Asks routers to end or change sessions; replies are heard for as long as `run` runs.

    Args:
        endpoint: To send from and hear replies at; belongs to the client once `run` has begun. Routers take
            requests only from the address they know this box by.
        clock: For the waits between repeats.
        under_way_max: Requests under way to one router, 1 to 256; more wait for their turn.

    Raises:
        InvalidError: `under_way_max` is out of its range.

    Source: RFC 5176; RFC 5080 section 2.2.1 (repeats).
    """

    def __init__(self, *, endpoint: UdpEndpoint, clock: Clock, under_way_max: int = 32) -> None:
        if not 1 <= under_way_max <= _IDENTIFIERS:
            raise InvalidError("coa.under_way", f"1 to {_IDENTIFIERS} requests can be under way to a router.")
        self.counters = CoaCounters()
        self._endpoint = endpoint
        self._clock = clock
        self._under_way_max = under_way_max
        self._lines: dict[UdpAddress, _Line] = {}
        self._failure: asyncio.Future[None] | None = None
        self._closed = False

    async def run(self) -> None:
        """Hear replies until cancelled; then closes the endpoint and ends what is under way."""
        self._failure = asyncio.get_running_loop().create_future()
        self._endpoint.on_readable(self._drain)
        try:
            await self._failure
        finally:
            self._close()

    async def disconnect(self, session: CoaSession) -> None:
        """End a session; the device may log in again unless logins are refused too.

        Raises:
            ConflictError: The router has no such session, with code `coa.no_session`: it is gone already, or was
                ended by a request whose reply was lost.
            RefusedError: The router said no, with code `coa.refused`.
            UnavailableError: The router did not answer, or this client is closed; the session may have ended.
        """
        await self._order(session, coa_packets.DISCONNECT_REQUEST, b"")

    async def change(
        self,
        session: CoaSession,
        *,
        session_seconds: int | None = None,
        rate_limit: RateLimit | None = None,
        data_left: DataVolume | None = None,
    ) -> None:
        """Hold a session to something else: to all that is given, or when refused to nothing of it.

        Args:
            session: Which.
            session_seconds: Its whole length, counted from its start; at least 1.
            rate_limit: Its speed.
            data_left: What it may use in all, counted from its start. MikroTik does not list it among what can be
                changed, so ask for it apart from the others and be ready for a refusal.

        Raises:
            InvalidError: Nothing is to be changed.
            ConflictError: As for `disconnect`.
            RefusedError: As for `disconnect`; the session goes on as it was.
            UnavailableError: As for `disconnect`; the session may have been changed.
        """
        changes = coa_packets.change_attributes(session_seconds, rate_limit, data_left)
        if not changes:
            raise InvalidError("coa.nothing", "Nothing of the session is to be changed.")
        await self._order(session, coa_packets.COA_REQUEST, changes)

    async def _order(self, session: CoaSession, code: int, changes: bytes) -> None:
        self._judge(await self._exchange(session, code, changes), code, session.router)

    async def _exchange(self, session: CoaSession, code: int, changes: bytes) -> Packet:
        line = self._line(session.router.place)
        async with line.turns:
            identifier = line.free_identifier()
            attributes = session.attributes() + changes
            request = coa_packets.request_packet(code, identifier, attributes, session.router)
            exchange = line.under_way[identifier] = _Exchange(session.router, request)
            try:
                return await self._send_until_answered(exchange)
            finally:
                del line.under_way[identifier]

    def _line(self, place: UdpAddress) -> _Line:
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = _Line(asyncio.Semaphore(self._under_way_max))
        return line

    async def _send_until_answered(self, exchange: _Exchange) -> Packet:
        for sent, seconds in enumerate(_WAITS_SECONDS):
            self._require_open()
            if sent:
                self.counters.resends += 1
            else:
                self.counters.requests += 1
            self._endpoint.send(exchange.request, exchange.router.place)
            await exchange.wake.wait(self._clock, seconds)
            if exchange.reply is not None:
                return exchange.reply
        self._require_open()
        self.counters.unanswered += 1
        router = exchange.router
        raise UnavailableError(
            "coa.no_answer",
            f"Router {router.router_id} did not answer at {router.address} port {router.port}. Look there at"
            " /radius/incoming (accept, port), and whether the RADIUS secret is the same.",
        )

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError("coa.closed", "This box is stopping; routers are no longer told anything.")

    def _judge(self, reply: Packet, code: int, router: CoaRouter) -> None:
        if reply.datagram[0] == code + 1:
            self.counters.acks += 1
            return
        cause = coa_packets.error_cause(reply)
        if cause == coa_packets.SESSION_CONTEXT_NOT_FOUND:
            self.counters.no_session += 1
            raise ConflictError("coa.no_session", f"Router {router.router_id} has no such session.")
        self.counters.refused += 1
        words = coa_packets.cause_in_words(cause)
        raise RefusedError("coa.refused", f"Router {router.router_id} refused: {words}.", cause=cause)

    def _drain(self) -> None:
        try:
            for _ in range(_DATAGRAMS_PER_WAKE_UP):
                received = self._endpoint.receive()
                if received is None:
                    return
                self._take(*received)
        except Exception as error:  # noqa: BLE001 - kept for `run`, which raises it
            self._fail(error)

    def _take(self, datagram: bytes, source: UdpAddress) -> None:
        try:
            reply = decode(datagram)
        except InvalidError:
            self.counters.ignored += 1
            return
        line = self._lines.get(source)
        exchange = None if line is None else line.under_way.get(datagram[1])
        if (
            exchange is None
            or exchange.reply is not None
            or not coa_packets.reply_holds(reply, exchange.request, exchange.router)
        ):
            self.counters.ignored += 1
            return
        exchange.reply = reply
        exchange.wake.ring()

    def _fail(self, error: Exception) -> None:
        if self._failure is None or self._failure.done():
            log.error("a second failure while stopping", exc_info=error)
        else:
            self._failure.set_exception(error)

    def _close(self) -> None:
        self._closed = True
        self._endpoint.close()
        for line in self._lines.values():
            for exchange in line.under_way.values():
                exchange.wake.ring()  # those who wait for a turn find it closed when theirs comes
