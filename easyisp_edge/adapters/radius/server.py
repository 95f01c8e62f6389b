"""The RADIUS server routers talk to: two sockets, drained at each wake-up.

Whoever is not configured, or does not know the secret, hears nothing. A login is answered in the same breath
where its answer needs no waiting; accounting is answered once it is recorded. What cannot be answered now is
left unanswered: the router sends it again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.duplicates import DuplicateCache
from easyisp_edge.adapters.radius.logins import accept_attributes, login_request, reject_attributes
from easyisp_edge.adapters.radius.packets import NO_DIGEST, decode
from easyisp_edge.adapters.radius.peers import peers_by_address
from easyisp_edge.adapters.radius.usage import usage_report
from easyisp_edge.domain.logins import LoginAccepted, LoginAnswer, LoginRejected
from easyisp_edge.domain.packages import Service
from easyisp_edge.errors import InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from easyisp_edge.adapters.radius.duplicates import RequestKey
    from easyisp_edge.adapters.radius.packets import Packet
    from easyisp_edge.adapters.radius.peers import Peer, RadiusClient
    from easyisp_edge.domain.logins import LoginRequest, UsageReport
    from easyisp_edge.machine import Clock, UdpAddress, UdpEndpoint

log = logging.getLogger(__name__)

# Whoever waits for replies is woken by the first of a batch and finds the others there: waking it for each
# costs us more than making them.
_BATCH = 32
_BATCHES_PER_WAKE_UP = 8
_UNDER_WAY_MAX = 1024
_WARNING_PAUSE_SECONDS = 60.0

T = TypeVar("T")


@dataclass(slots=True)
class RadiusCounters:
    """What the server did since it was made.

    Args:
        accepts: Logins accepted.
        rejects: Logins rejected, unusable ones included.
        usage_reports: Accounting recorded and answered.
        statuses: Status-Server answered.
        repeats_answered: Repeats given their first reply again.
        repeats_pending: Repeats dropped, since the first was still being answered.
        unknown_source: Dropped: no router of ours.
        malformed: Dropped: no sound request, or not of a kind this socket takes.
        unsigned: Dropped: no Message-Authenticator where one is due.
        wrong_secret: Dropped: an authenticator is wrong.
        unusable_reports: Dropped: accounting that says nothing to record.
        unavailable: Dropped: what answers was not available.
        overload: Dropped: too many were being answered.
    """

    accepts: int = 0
    rejects: int = 0
    usage_reports: int = 0
    statuses: int = 0
    repeats_answered: int = 0
    repeats_pending: int = 0
    unknown_source: int = 0
    malformed: int = 0
    unsigned: int = 0
    wrong_secret: int = 0
    unusable_reports: int = 0
    unavailable: int = 0
    overload: int = 0


class _Exchange(NamedTuple):
    """A verified request and where its reply goes."""

    door: _Door
    peer: Peer
    source: UdpAddress
    packet: Packet
    key: RequestKey


@dataclass(slots=True, eq=False)
class _Door:
    """One of the two sockets and what comes in by it."""

    endpoint: UdpEndpoint
    request_code: int
    status_reply_code: int
    verified: Callable[[Packet, Peer], bool]
    serve: Callable[[_Exchange], None]
    under_way: set[asyncio.Future[Any]] = field(default_factory=set)
    more: asyncio.Handle | None = None
    replies: list[tuple[bytes, UdpAddress]] = field(default_factory=list)
    sending: asyncio.Handle | None = None

    def send_replies(self) -> None:
        """Send what was answered since the last time."""
        if self.sending is not None:
            self.sending.cancel()
            self.sending = None
        for reply, source in self.replies:
            self.endpoint.send(reply, source)
        self.replies.clear()

    def send_soon(self) -> None:
        """Send together with what else is answered in this turn of the event loop."""
        if self.sending is None:
            self.sending = asyncio.get_running_loop().call_soon(self.send_replies)


class RadiusServer:
    """Answers routers for as long as `run` runs.

    Args:
        auth: Where logins come in; belongs to the server once `run` has begun.
        acct: The same for accounting.
        clients: The routers that may ask, each by its own address.
        clock: For the age of replies and the pace of warnings.
        authorize: Judges a login. `UnavailableError` leaves it unanswered. An answer that needs no waiting
            should be returned as it is: it is sent at once.
        account: Records a report; it is answered when this returns. `UnavailableError` leaves it unanswered.

    Source: RFC 2865, RFC 2866, RFC 5080 section 2.2.2, RFC 5997.
    """

    def __init__(
        self,
        *,
        auth: UdpEndpoint,
        acct: UdpEndpoint,
        clients: Sequence[RadiusClient],
        clock: Clock,
        authorize: Callable[[LoginRequest], LoginAnswer | Awaitable[LoginAnswer]],
        account: Callable[[UsageReport], Awaitable[object]],
    ) -> None:
        self.counters = RadiusCounters()
        self._authorize = authorize
        self._account = account
        self._duplicates = DuplicateCache(clock)
        self._warnings = _PacedWarnings(clock)
        self._failure: asyncio.Future[None] | None = None
        self._doors = (
            _Door(auth, number.ACCESS_REQUEST, number.ACCESS_ACCEPT, self._login_verified, self._serve_login),
            _Door(
                acct,
                number.ACCOUNTING_REQUEST,
                number.ACCOUNTING_RESPONSE,
                self._report_verified,
                self._serve_report,
            ),
        )
        self._peers: dict[str, Peer] = {}
        self.replace_clients(clients)

    def replace_clients(self, clients: Sequence[RadiusClient]) -> None:
        """Know these routers from now on, and no others.

        Raises:
            InvalidError: Two have one address, or one has none; the ones known before stay.
        """
        self._peers = peers_by_address(clients)

    async def run(self) -> None:
        """Answer until cancelled; closes both endpoints when it ends.

        Raises:
            Exception: What `authorize` or `account` raised beyond `UnavailableError`.
        """
        self._failure = asyncio.get_running_loop().create_future()
        for door in self._doors:
            self._watch(door)
        try:
            await self._failure
        finally:
            await self._stop()

    def _watch(self, door: _Door) -> None:
        door.endpoint.on_readable(lambda: self._wake(door))

    def _wake(self, door: _Door) -> None:
        if door.more is None:
            self._drain(door)

    async def _stop(self) -> None:
        under_way: list[asyncio.Future[Any]] = []
        for door in self._doors:
            door.send_replies()
            door.endpoint.close()
            if door.more is not None:
                door.more.cancel()
            under_way.extend(door.under_way)
        for answering in under_way:
            answering.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _drain(self, door: _Door) -> None:
        door.more = None
        try:
            for _ in range(_BATCHES_PER_WAKE_UP):
                drained = self._take_batch(door)
                door.send_replies()
                if drained:
                    return
        except Exception as error:  # noqa: BLE001 - kept for `run`, which raises it
            self._fail(error)
        door.more = asyncio.get_running_loop().call_soon(self._drain, door)  # after the web had its turn

    def _take_batch(self, door: _Door) -> bool:
        receive = door.endpoint.receive
        for _ in range(_BATCH):
            received = receive()
            if received is None:
                return True
            self._take(door, *received)
        return False

    def _fail(self, error: Exception) -> None:
        if self._failure is None or self._failure.done():
            log.error("a second failure while stopping", exc_info=error)
        else:
            self._failure.set_exception(error)

    def _take(self, door: _Door, datagram: bytes, source: UdpAddress) -> None:
        peer = self._peers.get(source.host)
        if peer is None:
            self.counters.unknown_source += 1
            self._warnings.warn("source", "RADIUS packet from %s, which is no router of ours", source.host)
            return
        try:
            packet = decode(datagram)
        except InvalidError:
            self.counters.malformed += 1
            return
        code = datagram[0]
        if code == door.request_code:
            if door.verified(packet, peer):
                self._answer_once(_Exchange(door, peer, source, packet, DuplicateCache.key(source, datagram)))
        elif code == number.STATUS_SERVER:
            self._answer_status(door, peer, packet, source)
        else:
            self.counters.malformed += 1

    def _login_verified(self, packet: Packet, peer: Peer) -> bool:
        if number.MESSAGE_AUTHENTICATOR in packet.offsets:
            return self._signature_holds(packet, peer, packet.authenticator)
        # Unsigned, it could be an attacker's, and an echoed Proxy-State is what forging its reply needs.
        if peer.client.message_authenticator == "required" or number.PROXY_STATE in packet.offsets:
            self._drop_unsigned(peer)
            return False
        return True

    def _report_verified(self, packet: Packet, peer: Peer) -> bool:
        if not peer.secret.accounting_authenticator_holds(packet):
            self._drop_wrong_secret(peer)
            return False
        if number.MESSAGE_AUTHENTICATOR in packet.offsets:
            return self._signature_holds(packet, peer, NO_DIGEST)
        return True

    def _signature_holds(self, packet: Packet, peer: Peer, authenticator: bytes) -> bool:
        holds = peer.secret.message_authenticator_holds(packet, authenticator)
        if not holds:
            self._drop_wrong_secret(peer)
        return holds

    def _drop_unsigned(self, peer: Peer) -> None:
        self.counters.unsigned += 1
        router_id = peer.client.router_id
        self._warnings.warn(
            f"unsigned {router_id}",
            "router %s sends logins without Message-Authenticator; RouterOS adds it from 7.15 on",
            router_id,
        )

    def _drop_wrong_secret(self, peer: Peer) -> None:
        self.counters.wrong_secret += 1
        router_id = peer.client.router_id
        self._warnings.warn(
            f"secret {router_id}", "a packet of router %s was made with another RADIUS secret", router_id
        )

    def _answer_status(self, door: _Door, peer: Peer, packet: Packet, source: UdpAddress) -> None:
        if number.MESSAGE_AUTHENTICATOR not in packet.offsets:
            self._drop_unsigned(peer)
        elif self._signature_holds(packet, peer, packet.authenticator):
            self.counters.statuses += 1
            reply = peer.secret.signed_reply(door.status_reply_code, packet, packet.proxy_states())
            door.replies.append((reply, source))

    def _answer_once(self, exchange: _Exchange) -> None:
        reply = self._duplicates.reply(exchange.key)
        if reply is not None:
            self.counters.repeats_answered += 1
            exchange.door.replies.append((reply, exchange.source))
        elif self._duplicates.pending(exchange.key):
            self.counters.repeats_pending += 1
        elif len(exchange.door.under_way) >= _UNDER_WAY_MAX:
            self.counters.overload += 1
        else:
            self._serve(exchange)

    def _serve(self, exchange: _Exchange) -> None:
        try:
            exchange.door.serve(exchange)
        except UnavailableError:
            self.counters.unavailable += 1

    def _serve_login(self, exchange: _Exchange) -> None:
        client, secret, framed = exchange.peer
        try:
            request = login_request(exchange.packet, client.router_id, secret)
        except InvalidError as error:
            self._warn_of_login(client.router_id, error)
            self._answer_login(exchange, LoginRejected(error.message))
            return
        more = framed if request.service is Service.PPPOE else b""
        answer = self._authorize(request)
        if isinstance(answer, (LoginAccepted, LoginRejected)):
            self._answer_login(exchange, answer, more)
        else:
            self._answer_later(exchange, answer, lambda late, judged: self._answer_login(late, judged, more))

    def _warn_of_login(self, router_id: str, error: InvalidError) -> None:
        self._warnings.warn(f"login {router_id}", "a login at router %s cannot be judged: %s", router_id, error.message)

    def _serve_report(self, exchange: _Exchange) -> None:
        try:
            report = usage_report(exchange.packet, exchange.peer.client.router_id)
        except InvalidError as error:
            self.counters.unusable_reports += 1
            self._warnings.warn(
                f"report {exchange.peer.client.router_id}",
                "accounting of router %s cannot be recorded: %s",
                exchange.peer.client.router_id,
                error.message,
            )
            return
        self._answer_later(exchange, self._account(report), self._answer_report)

    def _answer_later(self, exchange: _Exchange, waiting: Awaitable[T], answer: Callable[[_Exchange, T], None]) -> None:
        answering = asyncio.ensure_future(waiting)
        exchange.door.under_way.add(answering)
        self._duplicates.begin(exchange.key)
        answering.add_done_callback(lambda done: self._settle(exchange, done, answer))

    def _settle(self, exchange: _Exchange, done: asyncio.Future[T], answer: Callable[[_Exchange, T], None]) -> None:
        exchange.door.under_way.discard(done)
        self._duplicates.forget(exchange.key)
        if done.cancelled():
            return
        try:
            answer(exchange, done.result())
            exchange.door.send_soon()
        except UnavailableError:
            self.counters.unavailable += 1
        except Exception as error:  # noqa: BLE001 - kept for `run`, which raises it
            self._fail(error)

    def _answer_login(self, exchange: _Exchange, answer: LoginAnswer, more: bytes = b"") -> None:
        if isinstance(answer, LoginAccepted):
            self.counters.accepts += 1
            code = number.ACCESS_ACCEPT
            attributes = accept_attributes(answer, exchange.peer.client.interim_seconds) + more
        else:
            self.counters.rejects += 1
            code = number.ACCESS_REJECT
            attributes = reject_attributes(answer.message)
        packet = exchange.packet
        reply = exchange.peer.secret.signed_reply(code, packet, attributes + packet.proxy_states())
        self._reply(exchange, reply)

    def _answer_report(self, exchange: _Exchange, _recorded: object) -> None:
        self.counters.usage_reports += 1
        packet = exchange.packet
        self._reply(exchange, exchange.peer.secret.accounting_reply(packet, packet.proxy_states()))

    def _reply(self, exchange: _Exchange, reply: bytes) -> None:
        self._duplicates.remember(exchange.key, reply)
        exchange.door.replies.append((reply, exchange.source))


class _PacedWarnings:
    """One line per subject and minute, however many packets ask for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}

    def warn(self, subject: str, text: str, *details: str) -> None:
        """Log it, unless the subject had its line within the last minute. Subjects are few and our own."""
        now = self._clock.monotonic()
        if now >= self._next.get(subject, now):
            self._next[subject] = now + _WARNING_PAUSE_SECONDS
            log.warning(text, *details)
