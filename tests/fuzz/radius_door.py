"""The embedded RADIUS server behind a door that watches it: every promise is checked after every packet.

What a packet deserves is judged here anew from its octets, by another reading of RFC 2865, 2866 and 3579.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import operator
from collections import deque
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.radius.server import RadiusCounters, RadiusServer
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.domain.values import DataVolume, RateLimit
from easyisp_edge.machine import ClockState, UdpAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest, UsageReport

USERNAME, PASSWORD, GRANT_ID = "QWE7XK2M", "t4k3n-fr0m-gr4nt", "grant-1"
GRANTED = LoginAccepted(GRANT_ID, 3600, RateLimit.parse("2M/5M"), DataVolume(5 * 2**30), 1)
REFUSAL = "There is no such user."

STRICT = RadiusClient("strict", "10.5.50.1", b"a secret of thirty-two characters", "required", 300)
LENIENT = RadiusClient("lenient", "10.5.50.2", b"another", "if-present", 60)
ROUTERS = {router.address: router for router in (STRICT, LENIENT)}
STRANGER = "10.5.50.3"

ACCESS, ACCOUNTING, STATUS = 1, 4, 12
HEADER, DIGEST, NO_DIGEST = 20, 16, bytes(16)
REPLY_OCTETS_MAX = 4096
REMEMBERED_SECONDS = 10.0

Attribute = tuple[int, bytes]

_counted = operator.attrgetter(*(one.name for one in fields(RadiusCounters)))


class BrokenPromiseError(AssertionError):
    """The server did what it must not, or did not what it must."""


def promise(kept: object, what: str) -> None:
    """Stop unless a promise was kept."""
    if not kept:
        raise BrokenPromiseError(what)


class Offer(NamedTuple):
    """A datagram as it comes in.

    Args:
        door: Where: "auth" or "acct".
        datagram: Its octets.
        source: Where it says it is from.
        due: Code of the reply it must get; None where it need not get any.
    """

    door: str
    datagram: bytes
    source: UdpAddress
    due: int | None = None


# --- what a packet deserves


def attributes(datagram: bytes) -> list[Attribute] | None:
    """Its attributes in order; None where its framing is unsound."""
    end = int.from_bytes(datagram[2:4], "big")
    if not HEADER <= end <= min(len(datagram), REPLY_OCTETS_MAX):
        return None
    found, at = [], HEADER
    while at < end:
        length = datagram[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return None
        found.append((datagram[at], datagram[at + 2 : at + length]))
        at += length
    return found


def encoded(found: list[Attribute]) -> bytes:
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in found)


def signature(datagram: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """What its Message-Authenticator should be. Source: RFC 3579 section 3.2."""
    blanked = [(kind, NO_DIGEST if kind == 80 else value) for kind, value in attributes(datagram) or []]
    return hmac.new(secret, datagram[:4] + authenticator + encoded(blanked), "md5").digest()


def sealed(code: int, identifier: int, found: list[Attribute], secret: bytes, authenticator: bytes) -> bytes:
    """A packet of these attributes with its length, Message-Authenticator (where it has one) and authenticator right.

    Args:
        code: Of the packet.
        identifier: Of the packet.
        found: Its attributes.
        secret: Shared with the server.
        authenticator: Of a login or Status-Server; accounting makes its own.
    """
    authenticator = NO_DIGEST if code == ACCOUNTING else authenticator
    body = encoded(found)
    head = bytes((code, identifier)) + (HEADER + len(body)).to_bytes(2, "big")
    if any(kind == 80 for kind, _ in found):
        blank = encoded([(kind, NO_DIGEST if kind == 80 else value) for kind, value in found])
        signed = hmac.digest(secret, head + authenticator + blank, "md5")
        body = encoded([(kind, signed if kind == 80 else value) for kind, value in found])
    if code == ACCOUNTING:
        authenticator = hashlib.md5(head + authenticator + body + secret).digest()  # noqa: S324 - RADIUS
    return head + authenticator + body


def deserves_hearing(datagram: bytes, router: RadiusClient) -> bool:
    """Whether whoever sent it showed to know the secret, as far as the router's settings ask it."""
    found = attributes(datagram)
    if found is None:
        return False
    datagram = datagram[: HEADER + len(encoded(found))]
    code, signatures = datagram[0], [value for kind, value in found if kind == 80]
    authenticator = NO_DIGEST if code == ACCOUNTING else datagram[4:HEADER]
    signed = signatures == [signature(datagram, authenticator, router.secret)]
    if code == ACCOUNTING:
        sealed = hashlib.md5(datagram[:4] + NO_DIGEST + datagram[HEADER:] + router.secret).digest()  # noqa: S324 - RADIUS
        return sealed == datagram[4:HEADER] and (signed or not signatures)
    echoes = any(kind == 33 for kind, _ in found)
    unsigned_is_fine = code == ACCESS and router.message_authenticator == "if-present" and not echoes
    return signed or (unsigned_is_fine and not signatures)


def masked(octets: bytes, previous: bytes, secret: bytes) -> bytes:
    mask = hashlib.md5(secret + previous).digest()  # noqa: S324 - RADIUS
    return bytes(left ^ right for left, right in zip(octets, mask, strict=True))


def hidden(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """A value for User-Password. Source: RFC 2865 section 5.2."""
    padded, value = password.ljust(-(-len(password) // DIGEST) * DIGEST or DIGEST, b"\0"), b""
    for at in range(0, len(padded), DIGEST):
        value += masked(padded[at : at + DIGEST], value[-DIGEST:] or authenticator, secret)
    return value


def chap_answer(identifier: int, challenge: bytes) -> bytes:
    """A value for CHAP-Password that proves the grant's password."""
    answered = hashlib.md5(bytes((identifier,)) + PASSWORD.encode() + challenge).digest()  # noqa: S324 - CHAP
    return bytes((identifier,)) + answered


def proves_password(datagram: bytes, secret: bytes) -> bool:
    """Whether it names the grant's user once, and shows the grant's password in one way."""
    found, authenticator = attributes(datagram) or [], datagram[4:HEADER]
    if [value for kind, value in found if kind == 1] != [USERNAME.encode()]:
        return False
    proofs = [(kind, value) for kind, value in found if kind in {2, 3}]
    challenge = next((value for kind, value in found if kind == 60), b"") or authenticator
    octets = [value for _, value in proofs]
    if [kind for kind, _ in proofs] == [2]:
        return octets[0].rstrip(b"\0") != b"" and _unmasked(octets[0], authenticator, secret) == PASSWORD.encode()
    return [kind for kind, _ in proofs] == [3] and octets == [chap_answer(octets[0][0], challenge)]


def _unmasked(value: bytes, authenticator: bytes, secret: bytes) -> bytes:
    clear, previous = b"", authenticator
    for at in range(0, len(value), DIGEST):
        block = value[at : at + DIGEST]
        clear += masked(block, previous, secret)
        previous = block
    return clear.rstrip(b"\0")


# --- the door


class HandClock:
    """Stands still until wound on."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Wire:
    """A `UdpEndpoint` with both ends in hand."""

    def __init__(self, port: int) -> None:
        self.address = UdpAddress("10.5.50.10", port)
        self.waiting: deque[tuple[bytes, UdpAddress]] = deque()
        self.sent: list[tuple[bytes, UdpAddress]] = []
        self.wake: Callable[[], None] = lambda: None

    def on_readable(self, callback: Callable[[], None]) -> None:
        self.wake = callback

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        return self.waiting.popleft() if self.waiting else None

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        self.sent.append((datagram, address))

    def close(self) -> None:
        self.waiting.clear()


@dataclass
class WatchedDoor:
    """A server that knows one grant, and everything it did with the last packet.

    Args:
        judged: Logins asked of the last packet.
        reports: Usage recorded of it.
        mishaps: What the event loop was told of.
        accepts: Accept packets so far, of which a second opinion may be had.
    """

    judged: list[LoginRequest] = field(default_factory=list)
    reports: list[UsageReport] = field(default_factory=list)
    mishaps: list[object] = field(default_factory=list)
    accepts: deque[tuple[Offer, bytes]] = field(default_factory=lambda: deque(maxlen=50))
    clock: HandClock = field(default_factory=HandClock)
    # Replies of late, and when they were made: a repeat gets the same one and has no effect.
    replies: dict[tuple[UdpAddress, bytes], tuple[float, bytes]] = field(default_factory=dict)

    async def open(self) -> None:
        self.wires = {"auth": Wire(1812), "acct": Wire(1813)}
        self.server = RadiusServer(
            auth=self.wires["auth"],
            acct=self.wires["acct"],
            clients=list(ROUTERS.values()),
            clock=self.clock,
            authorize=self.authorize,
            account=self.account,
        )
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.mishaps.append(context))
        self.running = asyncio.create_task(self.server.run())
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def authorize(self, request: LoginRequest) -> LoginAnswer:
        self.judged.append(request)
        known = request.username == USERNAME and request.credential.matches(PASSWORD)
        return GRANTED if known else LoginRejected(REFUSAL)

    async def account(self, report: UsageReport) -> None:
        self.reports.append(report)

    async def offer(self, offer: Offer) -> bytes | None:
        """Bring a packet and check every promise; gives the reply.

        Raises:
            BrokenPromiseError: One was broken.
        """
        counters, wire = _counted(self.server.counters), self.wires[offer.door]
        wire.waiting.append((offer.datagram, offer.source))
        wire.wake()
        if _counted(self.server.counters) == counters:
            for _ in range(8):
                await asyncio.sleep(0)
        counted = sum(_counted(self.server.counters)) - sum(counters)
        sent, silent = wire.sent, not any(other.sent for other in self.wires.values() if other is not wire)
        reply = sent[0][0] if sent else None
        try:
            promise(not self.running.done() and not self.mishaps, f"an exception: {self.mishaps}")
            promise(silent and len(sent) <= 1, "more than one reply")
            promise(counted == 1, f"counted {counted} times")
            promise(len(self.judged) + len(self.reports) <= 1, "more than one effect")
            if reply is not None or self.judged or self.reports:
                self._check_effects(offer, sent)
            promise(offer.due in {None, None if reply is None else reply[0]}, f"no reply of code {offer.due}")
        finally:
            for one in (self.judged, self.reports, wire.sent):
                one.clear()
        return reply

    def _check_effects(self, offer: Offer, sent: list[tuple[bytes, UdpAddress]]) -> None:
        datagram, source, router = offer.datagram, offer.source, ROUTERS.get(offer.source.host)
        promise(router is not None, "a stranger was heard")
        assert router is not None
        promise(deserves_hearing(datagram, router), "something unverified was heard")
        promise(datagram[0] in {STATUS, ACCESS if offer.door == "auth" else ACCOUNTING}, "heard at the wrong door")
        for request in self.judged:
            check_request(request, router)
        for report in self.reports:
            check_report(report, datagram, router)
            promise(sent, "recorded and not answered")
        for reply, place in sent:
            promise(place == source, "answered to somebody else")
            self._check_reply(offer, reply, router)

    def _check_reply(self, offer: Offer, reply: bytes, router: RadiusClient) -> None:
        key = (offer.source, offer.datagram[:2] + offer.datagram[4:HEADER])
        at, before = self.replies.get(key, (-REMEMBERED_SECONDS, b""))
        if offer.datagram[0] != STATUS and self.clock.seconds < at + REMEMBERED_SECONDS:
            promise(reply == before, "a repeat that got another reply")
            promise(not self.judged and not self.reports, "a repeat that had an effect")
            return
        self._remember(key, reply)
        check_reply(reply, offer.datagram, router)
        if offer.datagram[0] == ACCESS and reply[0] == 2:
            promise(self.judged and proves_password(offer.datagram, router.secret), "let on without a grant")
            self.accepts.append((offer, reply))

    def _remember(self, key: tuple[UdpAddress, bytes], reply: bytes) -> None:
        now = self.clock.seconds
        if len(self.replies) > 20_000:
            self.replies = {one: kept for one, kept in self.replies.items() if now < kept[0] + REMEMBERED_SECONDS}
        self.replies[key] = (now, reply)


def check_request(request: LoginRequest, router: RadiusClient) -> None:
    """A login that reaches the judge is whole."""
    promise(request.router_id == router.router_id, "a login of another router")
    promise(request.username and request.username.encode(), "a login without a name")
    promise(request.address is None or ipaddress.IPv4Address(request.address), "a senseless address")
    promise(PASSWORD not in repr(request), "a password in the log")


def check_report(report: UsageReport, datagram: bytes, router: RadiusClient) -> None:
    """What is recorded is what was reported."""
    first: dict[int, bytes] = {}
    for kind, value in attributes(datagram) or []:
        first.setdefault(kind, value)

    def integer(kind: int) -> int:
        return int.from_bytes(first.get(kind, b""), "big")

    promise(report.router_id == router.router_id, "a report of another router")
    promise(report.octets_in == integer(52) << 32 | integer(42) < 2**64, "other octets in")
    promise(report.octets_out == integer(53) << 32 | integer(43) < 2**64, "other octets out")
    promise(report.seconds == integer(46) < 2**32, "another length")
    promise(integer(40) in {7, 8} or report.session_id, "a session without an id")
    promise((report.username + report.session_id + (report.grant_id or "")).encode() is not None, "not to be written")
    marked = first.get(25, b"").startswith(b"edge:")
    promise((report.grant_id is not None) == marked, "a grant that was not named")


def check_reply(reply: bytes, datagram: bytes, router: RadiusClient) -> None:
    """It is one the router believes, to this request, and says nothing it should not."""
    found = attributes(reply)
    promise(found is not None and len(reply) == int.from_bytes(reply[2:4], "big"), "an unsound reply")
    found = found or []
    due = {ACCESS: {2, 3}, ACCOUNTING: {5}, STATUS: {2, 5}}[datagram[0]]
    promise(reply[0] in due and reply[1] == datagram[1], "a reply to something else")
    sealed = hashlib.md5(reply[:4] + datagram[4:HEADER] + reply[HEADER:] + router.secret).digest()  # noqa: S324 - RADIUS
    promise(sealed == reply[4:HEADER], "a reply not sealed")
    if datagram[0] != ACCOUNTING:
        expected = (80, signature(reply, datagram[4:HEADER], router.secret))
        promise(found[0] == expected, "a reply that does not begin with its signature")
    asked = [one for one in attributes(datagram) or [] if one[0] == 33]
    promise([one for one in found if one[0] == 33] == asked, "Proxy-State did not come back")
    said = {kind for kind, _ in found} - {33, 80}
    if datagram[0] == ACCESS:
        promise(said == ({27, 26, 62, 85, 25} if reply[0] == 2 else {18}), f"a reply that says {said}")
    else:
        promise(said == set(), f"a reply that says {said}")
