"""The embedded RADIUS server behind a door that watches it: every promise is checked after every packet."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import operator
from collections import Counter, deque
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius.server import RadiusCounters, RadiusServer
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit
from easyisp_edge.errors import InvalidError
from easyisp_edge.machine import ClockState, UdpAddress
from tests.fuzz.radius_judgement import (
    ACCESS,
    ACCOUNTING,
    DEVICE,
    GRANT_ID,
    GRANT_OF_DEVICE,
    GRANT_OF_RECEIPT,
    GRANTS,
    HEADER,
    LIMITED,
    PASSWORD,
    RECEIPT,
    ROUTERS,
    STATUS,
    USERNAME,
    accept_due,
    attributes,
    deserves_hearing,
    entitled_to,
    signature,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easyisp_edge.adapters.radius.peers import RadiusClient
    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest, UsageReport
    from tests.fuzz.radius_judgement import Attribute, Offer

GRANTED = LoginAccepted(GRANT_ID, 3600, RateLimit.parse("2M/5M"), DataVolume(5 * 2**30), 1)
REFUSAL = "There is no such user."
REMEMBERED_SECONDS = 10.0

_counted = operator.attrgetter(*(one.name for one in fields(RadiusCounters)))


class BrokenPromiseError(AssertionError):
    """The server did what it must not, or did not what it must."""


def promise(kept: object, what: str) -> None:
    """Stop unless a promise was kept."""
    if not kept:
        raise BrokenPromiseError(what)


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
    """A server that knows three grants, and everything it did with the last packet.

    Args:
        judged: Logins asked of the last packet.
        reports: Usage recorded of it.
        mishaps: What the event loop was told of.
        accepts: Accept packets of late, of which a second opinion may be had.
        let_on: How often each grant let somebody on.
        limited: What accepts say of data.
    """

    judged: list[LoginRequest] = field(default_factory=list)
    reports: list[UsageReport] = field(default_factory=list)
    mishaps: list[object] = field(default_factory=list)
    accepts: deque[tuple[Offer, bytes]] = field(default_factory=lambda: deque(maxlen=50))
    let_on: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(GRANTS, 0)))
    limited: list[Attribute] = field(default_factory=lambda: LIMITED)
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

    def authorize(self, request: LoginRequest) -> LoginAnswer | Awaitable[LoginAnswer]:
        self.judged.append(request)
        if request.username == USERNAME and request.credential.matches(PASSWORD):
            return GRANTED
        if request.username == RECEIPT and request.credential.matches(RECEIPT):
            return GRANTED._replace(grant_id=GRANT_OF_RECEIPT)
        if self.is_its_own_name(request) and str(request.mac) == DEVICE:
            return GRANTED._replace(grant_id=GRANT_OF_DEVICE)
        return LoginRejected(REFUSAL)

    def is_its_own_name(self, request: LoginRequest) -> bool:
        """Whether a device names itself by its address."""
        try:
            return MacAddress.parse(request.username) == request.mac
        except InvalidError:
            return False

    async def account(self, report: UsageReport) -> None:
        self.reports.append(report)

    async def offer(self, offer: Offer) -> bytes | None:
        """Bring a packet and check every promise; gives the reply.

        Raises:
            BrokenPromiseError: One was broken.
        """
        counters, wire, kept = _counted(self.server.counters), self.wires[offer.door], self.kept()
        wire.waiting.append((offer.datagram, offer.source))
        wire.wake()
        if _counted(self.server.counters) == counters:
            await self._answered()
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
            else:
                left = any(now > before for now, before in zip(self.kept(), kept, strict=True))
                promise(not left, "a packet that was not heard left its mark")
            promise(offer.due in {None, None if reply is None else reply[0]}, f"no reply of code {offer.due}")
        finally:
            for one in (self.judged, self.reports, wire.sent):
                one.clear()
        return reply

    async def _answered(self) -> None:
        """Wait for what is answered in the background."""
        for _ in range(8):
            await asyncio.sleep(0)
        under_way = [answering for door in self.server._doors for answering in door.under_way]
        if under_way:
            await asyncio.wait(under_way)
        for _ in range(2):
            await asyncio.sleep(0)

    def kept(self) -> tuple[int, ...]:
        """How much the server holds of what it heard."""
        duplicates, doors = self.server._duplicates, self.server._doors
        under_way = sum(len(door.under_way) + len(door.replies) for door in doors)
        return len(duplicates._replies), len(duplicates._pending), under_way, len(self.server._peers)

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
            self._check_accept(offer, reply, router)

    def _check_accept(self, offer: Offer, reply: bytes, router: RadiusClient) -> None:
        grant_id = entitled_to(offer.datagram, router.secret)
        promise(self.judged and grant_id is not None, "let on without a grant")
        assert grant_id is not None
        said = sorted(one for one in attributes(reply) or [] if one[0] not in {33, 80})
        promise(
            said == accept_due(offer.datagram, router, grant_id, self.limited),
            f"an accept of {grant_id} that says {said}",
        )
        self.let_on[grant_id] += 1
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
    if reply[0] == 3:
        promise(said == {18} and dict(found)[18].decode(), f"a reject that says {said}")
    elif datagram[0] != ACCESS:
        promise(said == set(), f"a reply that says {said}")
