"""The RADIUS server over real sockets, asked by an independent implementation (pyrad)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyrad.dictionary import Dictionary
from pyrad.packet import AcctPacket, AuthPacket

from easyisp_edge.adapters.radius.packets import SharedSecret, decode, response_digest
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.radius.server import RadiusServer
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.domain.values import RateLimit
from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.machine import UdpAddress
from easyisp_edge.system import SocketUdpEndpoint, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest, UsageReport

DICTIONARY = Dictionary(str(Path(__file__).with_name("radius_dictionary")))
SECRET = b"a secret of thirty-two characters"
ACCEPTED = LoginAccepted("grant-1", 3600, RateLimit.parse("2M/5M"), None, 1)
REJECTED = LoginRejected("This package has ended.")
PASSWORD = "secret"
STATUS_ID = 255


class TroubleError(Exception):
    """Something nobody expected."""


def judge(request: LoginRequest) -> LoginAnswer:
    """One password opens, whoever asks."""
    return ACCEPTED if request.credential.matches(PASSWORD) else REJECTED


class HandClock(SystemClock):
    """The machine's clock, moved on by hand where a test wants seconds to have passed."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Socket:
    """The router's side: sends, and waits for what comes back."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.endpoint = SocketUdpEndpoint.bind(host, 0)
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.endpoint.on_readable(self._drain)

    def _drain(self) -> None:
        while (datagram := self.endpoint.receive()) is not None:
            self.received.put_nowait(datagram[0])

    async def ask(self, address: UdpAddress, datagram: bytes) -> bytes:
        self.endpoint.send(datagram, address)
        return await self.answer()

    async def answer(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.received.get()


@dataclass
class Site:
    """A server with its handlers' records, and a router beside it."""

    clock: HandClock = field(default_factory=HandClock)
    logins: list[LoginRequest] = field(default_factory=list)
    reports: list[UsageReport] = field(default_factory=list)
    judge: Callable[[LoginRequest], LoginAnswer | Awaitable[LoginAnswer]] = judge
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    unavailable: bool = False
    sockets: list[Socket] = field(default_factory=list)

    def start(self, clients: list[RadiusClient]) -> None:
        auth = SocketUdpEndpoint.bind("127.0.0.1", 0)
        acct = SocketUdpEndpoint.bind("127.0.0.1", 0)
        self.auth, self.acct = auth.address, acct.address
        self.committed.set()
        self.server = RadiusServer(
            auth=auth,
            acct=acct,
            clients=clients,
            clock=self.clock,
            authorize=self.authorize,
            account=self.account,
        )
        self.running = asyncio.create_task(self.server.run())
        self.router = self.socket()

    def socket(self, host: str = "127.0.0.1") -> Socket:
        self.sockets.append(Socket(host))
        return self.sockets[-1]

    def authorize(self, request: LoginRequest) -> LoginAnswer | Awaitable[LoginAnswer]:
        self.logins.append(request)
        return self.judge(request)

    async def account(self, report: UsageReport) -> None:
        self.reports.append(report)
        await self.committed.wait()
        if self.unavailable:
            raise UnavailableError("store.busy", "The store is busy.")

    async def silent(self, datagram: bytes, address: UdpAddress, socket: Socket | None = None) -> bool:
        """Whether it gets no reply: packets are taken in order, so one sent after it is answered after it.

        Asked a few times, so that what is answered in the background had its turns too.
        """
        asker = socket or self.router
        asker.endpoint.send(datagram, address)
        replies = [await self.router.ask(address, status(STATUS_ID)) for _ in range(4)]
        quiet = asker.received.empty() and self.router.received.empty()
        return quiet and all(reply[1] == STATUS_ID for reply in replies)


def client(
    router_id: str = "router-1",
    address: str = "127.0.0.1",
    *,
    required: bool = True,
    secret: bytes = SECRET,
    pppoe_pool: str | None = None,
) -> RadiusClient:
    return RadiusClient(router_id, address, secret, "required" if required else "if-present", 300, pppoe_pool)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    made.start([client()])
    yield made
    made.running.cancel()
    with contextlib.suppress(asyncio.CancelledError, TroubleError):
        await made.running
    for socket in made.sockets:
        socket.endpoint.close()


def login(password: str = PASSWORD, *, identifier: int = 1, secret: bytes = SECRET, **values: object) -> Any:
    packet = AuthPacket(id=identifier, secret=secret, dict=DICTIONARY)
    packet["User-Name"] = "wanjiku"
    packet["User-Password"] = packet.PwCrypt(password)
    packet["Calling-Station-Id"] = "BC:24:11:EB:56:4D"
    for name, value in values.items():
        packet[name.replace("_", "-")] = value
    packet.message_authenticator = True
    return packet


def chap_login(password: str) -> Any:
    packet = login()
    del packet["User-Password"]
    packet["CHAP-Challenge"] = b"challenge-of-16!"
    response = response_digest(9, password.encode(), b"challenge-of-16!")
    packet[3] = [b"\x09" + response]
    return packet


def report(status_type: int = 3, *, identifier: int = 1, secret: bytes = SECRET, **values: object) -> Any:
    packet = AcctPacket(id=identifier, secret=secret, dict=DICTIONARY)
    packet["Acct-Status-Type"] = status_type
    packet["User-Name"] = "wanjiku"
    packet["Acct-Session-Id"] = "80100014"
    packet["Acct-Session-Time"] = 60
    for name, value in values.items():
        packet[name.replace("_", "-")] = value
    return packet


def status(identifier: int) -> bytes:
    packet: Any = AuthPacket(code=12, id=identifier, secret=SECRET, dict=DICTIONARY, message_authenticator=True)
    datagram: bytes = packet.RequestPacket()
    return datagram


async def exchange(site: Site, packet: Any, address: UdpAddress) -> Any:
    """Ask, and believe the reply only as a router of default settings would."""
    datagram = await site.router.ask(address, packet.RequestPacket())
    reply = packet.CreateReply(packet=datagram)
    assert packet.VerifyReply(reply, datagram, enforce_ma=True)
    return reply


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server has no event for what tests watch
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("packet", [login(), chap_login("secret")], ids=["pap", "chap"])
async def test_a_right_password_is_let_on(site: Site, packet: Any) -> None:
    """By PAP and by CHAP, with everything the session is held to."""
    reply = await exchange(site, packet, site.auth)
    assert reply.code == 2
    assert reply["Session-Timeout"] == [3600]
    assert reply["Mikrotik-Rate-Limit"] == ["2M/5M"]
    assert reply["Acct-Interim-Interval"] == [300]
    assert reply["Class"] == [b"edge:grant-1"]
    assert site.logins[0].router_id == "router-1"
    assert site.server.counters.accepts == 1


@pytest.mark.parametrize("packet", [login("wrong"), chap_login("wrong")], ids=["pap", "chap"])
async def test_a_wrong_password_is_turned_away(site: Site, packet: Any) -> None:
    """With the message the customer is to see, and nothing that could be used."""
    reply = await exchange(site, packet, site.auth)
    assert reply.code == 3
    assert reply["Reply-Message"] == ["This package has ended."]
    assert set(reply.keys()) == {"Message-Authenticator", "Reply-Message"}
    assert site.server.counters.rejects == 1


async def test_every_login_reply_begins_with_message_authenticator(site: Site) -> None:
    """That keeps a man in the middle from forging one by an MD5 collision (CVE-2024-3596)."""
    for password in ("secret", "wrong"):
        datagram = await site.router.ask(site.auth, login(password).RequestPacket())
        assert datagram[20:22] == b"\x50\x12"


async def test_a_login_judged_later_is_answered_later(site: Site) -> None:
    """A verdict that needs waiting does not hold up the next login."""
    verdict: asyncio.Future[LoginAnswer] = asyncio.get_running_loop().create_future()
    site.judge = lambda _: verdict
    site.router.endpoint.send(login(identifier=1).RequestPacket(), site.auth)
    await until(lambda: len(site.logins) == 1)
    site.judge = judge
    assert (await site.router.ask(site.auth, login(identifier=2).RequestPacket()))[:2] == b"\2\2"
    verdict.set_result(REJECTED)
    assert (await site.router.answer())[:2] == b"\3\1"


async def test_without_message_authenticator_a_login_is_not_heard(site: Site) -> None:
    """Where the router is known to send it."""
    packet = login()
    packet.message_authenticator = None
    assert await site.silent(packet.RequestPacket(), site.auth)
    assert site.logins == []
    assert site.server.counters.unsigned == 1


async def test_an_old_router_need_not_sign(site: Site) -> None:
    """Where its configuration says so; the reply is signed all the same."""
    site.server.replace_clients([client(required=False)])
    packet = login()
    packet.message_authenticator = None
    assert (await exchange(site, packet, site.auth)).code == 2


async def test_an_unsigned_login_with_proxy_state_is_not_heard(site: Site) -> None:
    """An echoed Proxy-State is the room an MD5 collision needs."""
    site.server.replace_clients([client(required=False)])
    packet = login(Proxy_State=b"collision")
    packet.message_authenticator = None
    assert await site.silent(packet.RequestPacket(), site.auth)
    assert site.logins == []


@pytest.mark.parametrize("required", [True, False])
async def test_with_a_wrong_message_authenticator_a_login_is_not_heard(site: Site, required: bool) -> None:  # noqa: FBT001 - parametrised
    """Whether or not it has to be there: if it is there, it must be right."""
    site.server.replace_clients([client(required=required)])
    assert await site.silent(login(secret=b"another").RequestPacket(), site.auth)
    damaged = bytearray(login().RequestPacket())
    damaged[-1] ^= 1
    assert await site.silent(bytes(damaged), site.auth)
    assert site.logins == []
    assert site.server.counters.wrong_secret == 2


async def test_proxy_state_comes_back(site: Site) -> None:
    """Unchanged, as the proxy in between needs it."""
    reply = await exchange(site, login(Proxy_State=b"through here"), site.auth)
    assert reply["Proxy-State"] == [b"through here"]
    answered = await exchange(site, report(Proxy_State=b"and here"), site.acct)
    assert answered["Proxy-State"] == [b"and here"]


async def test_who_is_not_known_hears_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Not even with the right secret; and a flood leaves one line in the log."""
    stranger = site.socket("127.0.0.2")
    for identifier in range(20):
        assert await site.silent(login(identifier=identifier).RequestPacket(), site.auth, stranger)
        assert await site.silent(report(identifier=identifier).RequestPacket(), site.acct, stranger)
    assert (site.logins, site.reports) == ([], [])
    assert site.server.counters.unknown_source == 40
    assert [record.getMessage() for record in caplog.records] == [
        "RADIUS packet from 127.0.0.2, which is no router of ours"
    ]
    site.clock.ahead += 61
    assert await site.silent(status(1), site.auth, stranger)
    assert len(caplog.records) == 2


async def test_a_router_made_known_later_is_heard(site: Site) -> None:
    """A reload needs no restart; who is no longer in it is no longer heard."""
    other = site.socket("127.0.0.2")
    site.server.replace_clients([client(), client("router-2", "127.0.0.2", secret=b"of its own")])
    reply = await other.ask(site.auth, login(secret=b"of its own").RequestPacket())
    assert reply[0] == 2
    assert site.logins[0].router_id == "router-2"
    site.server.replace_clients([client()])
    assert await site.silent(login(secret=b"of its own", identifier=2).RequestPacket(), site.auth, other)


async def test_a_repeated_login_gets_the_same_reply_and_is_judged_once(site: Site) -> None:
    """The router's resend is the same packet, octet for octet."""
    datagram = login().RequestPacket()
    replies = {await site.router.ask(site.auth, datagram) for _ in range(3)}
    assert len(replies) == 1
    assert len(site.logins) == 1
    assert site.server.counters.repeats_answered == 2


async def test_a_reply_is_not_kept_for_ever(site: Site) -> None:
    """Ten seconds later the same packet is judged afresh: a grant may have ended."""
    datagram = login().RequestPacket()
    await site.router.ask(site.auth, datagram)
    site.clock.ahead += 10.1
    await site.router.ask(site.auth, datagram)
    assert len(site.logins) == 2


async def test_the_same_identifier_with_another_authenticator_is_a_new_login(site: Site) -> None:
    """There are but 256 identifiers; a busy router uses them again at once."""
    first = await exchange(site, login(identifier=7), site.auth)
    second = await exchange(site, login("wrong", identifier=7), site.auth)
    assert (first.code, second.code) == (2, 3)
    assert len(site.logins) == 2


async def test_a_doubled_attribute_is_rejected_unjudged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What a login form added to the router's own words never reaches the judge."""
    more = ("Calling-Station-Id", "AA:AA:AA:AA:AA:AA"), ("User-Name", "admin"), ("State", b"x"), ("Class", b"x")
    for name, value in more:
        packet = login(State=b"y", Class=b"y")
        packet.AddAttribute(name, value)
        assert (await exchange(site, packet, site.auth)).code == 3
    assert site.logins == []
    assert caplog.messages == [
        "a login at router router-1 cannot be judged: The router sent an attribute twice that may stand only once."
    ]


async def test_a_login_by_the_devices_address_is_judged(site: Site) -> None:
    """Without any password: whether that is enough is for the judge to say."""
    site.judge = lambda request: ACCEPTED if request.username == str(request.mac) else REJECTED
    for mac, code in (("BC:24:11:EB:56:4D", 2), ("AA:AA:AA:AA:AA:AA", 3)):
        packet = login(User_Name=mac)
        del packet["User-Password"]
        assert (await exchange(site, packet, site.auth)).code == code
    assert not any(request.credential.matches("") for request in site.logins)


async def test_a_login_by_ms_chap_is_rejected_unjudged_and_a_technician_told(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """In the reject, which a PPPoE client may show, and in the log."""
    packet = login(MS_CHAP_Challenge=bytes(16), MS_CHAP2_Response=bytes(50))
    del packet["User-Password"]
    reply = await exchange(site, packet, site.auth)
    said = "Logins work by PAP or CHAP here, not by EAP or MS-CHAP; set the router to PAP or CHAP."
    assert (reply.code, reply["Reply-Message"]) == (3, [said])
    assert site.logins == []
    assert caplog.messages == [f"a login at router router-1 cannot be judged: {said}"]


BESIDE = {"Service-Type", "Framed-Protocol", "Framed-Pool"}


@pytest.mark.parametrize("later", [False, True])
async def test_an_accept_of_pppoe_is_framed(site: Site, later: bool) -> None:  # noqa: FBT001 - parametrised
    """As a user of PPP from the router's pool, judged at once or later; a hotspot's is not."""

    async def judge_later(request: LoginRequest) -> LoginAnswer:
        await asyncio.sleep(0)
        return judge(request)

    site.judge = judge_later if later else judge
    site.server.replace_clients([client(pppoe_pool="customers")])
    reply = await exchange(site, login(Service_Type=2, Framed_Protocol=1), site.auth)
    assert [reply[name] for name in ("Service-Type", "Framed-Protocol", "Framed-Pool")] == [[2], [1], ["customers"]]
    assert reply["Session-Timeout"] == [3600]
    hotspot = await exchange(site, login(identifier=2, Service_Type=1), site.auth)
    assert (hotspot.code, BESIDE & set(hotspot.keys())) == (2, set())
    refused = await exchange(site, login("wrong", identifier=3, Service_Type=2, Framed_Protocol=1), site.auth)
    assert (refused.code, BESIDE & set(refused.keys())) == (3, set())


async def test_without_a_pool_the_routers_own_profile_says_it(site: Site) -> None:
    """The accept names none."""
    reply = await exchange(site, login(Service_Type=2, Framed_Protocol=1), site.auth)
    assert BESIDE & set(reply.keys()) == {"Service-Type", "Framed-Protocol"}


async def test_a_name_not_in_utf_8_is_rejected_unjudged(site: Site) -> None:
    """There is no such user."""
    packet = login()
    packet[1] = [b"\xff\xfe"]
    assert (await exchange(site, packet, site.auth)).code == 3
    assert site.logins == []


async def test_a_login_nobody_can_judge_now_is_left_and_judged_when_it_comes_again(site: Site) -> None:
    """Neither let on nor turned away, at once or later; the router's resend is as good as new."""
    datagram = login().RequestPacket()

    def unavailable(_: LoginRequest) -> LoginAnswer:
        raise UnavailableError("store.busy", "The store is busy.")

    async def unavailable_later(request: LoginRequest) -> LoginAnswer:
        return unavailable(request)

    for verdict in (unavailable, unavailable_later):
        site.judge = verdict
        before = site.server.counters.unavailable
        assert await site.silent(datagram, site.auth)
        await until(lambda before=before: site.server.counters.unavailable == before + 1)  # type: ignore[misc]
    site.judge = judge
    assert (await site.router.ask(site.auth, datagram))[0] == 2


async def test_a_report_is_answered_only_when_recorded(site: Site) -> None:
    """A repeat meanwhile is dropped; one after gets the same answer and counts once."""
    site.committed.clear()
    packet = report()
    datagram = packet.RequestPacket()
    assert await site.silent(datagram, site.acct)
    assert await site.silent(datagram, site.acct)
    assert site.server.counters.repeats_pending == 1
    site.committed.set()
    answer = await site.router.answer()
    assert packet.VerifyReply(packet.CreateReply(packet=answer), answer)
    assert answer[0] == 5
    assert await site.router.ask(site.acct, datagram) == answer
    assert len(site.reports) == 1
    assert site.reports[0].seconds == 60


async def test_a_report_that_was_not_recorded_is_not_answered(site: Site) -> None:
    """The router sends it again, and it is recorded then."""
    site.unavailable = True
    datagram = report().RequestPacket()
    assert await site.silent(datagram, site.acct)
    await until(lambda: site.server.counters.unavailable == 1)
    site.unavailable = False
    assert (await site.router.ask(site.acct, datagram))[0] == 5
    assert len(site.reports) == 2


async def test_a_report_made_with_another_secret_is_not_heard(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """And the technician is told which router's secret is wrong."""
    assert await site.silent(report(secret=b"another").RequestPacket(), site.acct)
    assert site.reports == []
    assert "router-1 was made with another RADIUS secret" in caplog.text


async def test_a_report_is_signed_rightly_or_not_heard(site: Site) -> None:
    """Message-Authenticator is not asked for in accounting, but must be right where it is."""
    packet = report()
    packet.message_authenticator = True
    assert (await site.router.ask(site.acct, packet.RequestPacket()))[0] == 5
    forged = report(identifier=2)
    forged.AddAttribute("Message-Authenticator", bytes(16))
    assert await site.silent(forged.RequestPacket(), site.acct)


async def test_a_report_that_says_nothing_is_not_answered(site: Site) -> None:
    """What is not recorded is not acknowledged."""
    assert await site.silent(report(9).RequestPacket(), site.acct)
    assert site.server.counters.unusable_reports == 1
    assert site.reports == []


async def test_each_socket_takes_its_own_kind_only(site: Site) -> None:
    """Accounting at the login port, or the other way round, is not heard."""
    assert await site.silent(report().RequestPacket(), site.auth)
    assert await site.silent(login().RequestPacket(), site.acct)
    assert (site.logins, site.reports) == ([], [])
    assert site.server.counters.malformed == 2


async def test_status_server_is_answered_at_both_doors(site: Site) -> None:
    """Access-Accept at one, Accounting-Response at the other, signed and empty; unsigned it is not heard."""
    for kind, address, code in ((AuthPacket, site.auth, 2), (AcctPacket, site.acct, 5)):
        packet = kind(code=12, id=3, secret=SECRET, dict=DICTIONARY, message_authenticator=True)
        reply = await exchange(site, packet, address)
        assert reply.code == code
        assert list(reply.keys()) == ["Message-Authenticator"]
        unsigned = kind(code=12, id=4, secret=SECRET, dict=DICTIONARY, message_authenticator=False)
        assert await site.silent(unsigned.RequestPacket(), address)
    assert site.server.counters.unsigned == 2
    assert site.logins == []


async def test_a_thousand_logins_at_once_are_all_answered(site: Site) -> None:
    """After a router's restart every device asks; none is lost and none is judged twice."""
    asked: dict[int, list[Any]] = {}
    for at in range(1000):
        packet = login(identifier=at % 256, Calling_Station_Id=f"AA:BB:CC:DD:{at >> 8:02X}:{at & 255:02X}")
        site.router.endpoint.send(packet.RequestPacket(), site.auth)
        asked.setdefault(packet.id, []).append(packet)
        if at % 100 == 99:
            await asyncio.sleep(0)
    for _ in range(1000):
        reply = await site.router.answer()
        assert reply[0] == 2
        waiting = asked[reply[1]]
        waiting.remove(next(one for one in waiting if one.VerifyReply(one.CreateReply(packet=reply), reply)))
    assert not any(asked.values())
    assert len({str(request.mac) for request in site.logins}) == len(site.logins) == 1000


class Flood:
    """A socket with more waiting than anyone can take at once."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self.waiting = datagrams
        self.sent: list[bytes] = []
        self.address = UdpAddress("127.0.0.1", 1812)
        self.wake: Callable[[], None] = lambda: None

    def on_readable(self, callback: Callable[[], None]) -> None:
        self.wake = callback

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        return (self.waiting.pop(), UdpAddress("127.0.0.1", 40000)) if self.waiting else None

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        self.sent.append(datagram)

    def close(self) -> None:
        self.waiting.clear()


async def test_a_flood_leaves_the_loop_its_turns(site: Site) -> None:
    """At most 256 packets are taken before others may run, however often the socket says it is readable."""
    auth = Flood([login(identifier=at % 256).RequestPacket() for at in range(600)])
    server = RadiusServer(
        auth=auth, acct=Flood([]), clients=[client()], clock=site.clock, authorize=judge, account=site.account
    )
    running = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    taken = []
    while auth.waiting:
        auth.wake()
        auth.wake()
        taken.append(len(auth.sent))
        await asyncio.sleep(0)
    assert taken == [256, 512]
    assert len(auth.sent) == 600
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_is_being_answered_is_bounded(site: Site) -> None:
    """Beyond 1,024 reports under way the next is dropped; logins at the other door are not touched."""
    site.committed.clear()
    for at in range(1030):
        site.router.endpoint.send(report(identifier=at % 256, Acct_Session_Time=at).RequestPacket(), site.acct)
        if at % 100 == 99:
            await asyncio.sleep(0)
    await until(lambda: site.server.counters.overload == 6)
    assert len(site.reports) == 1024
    assert (await site.router.ask(site.auth, login().RequestPacket()))[0] == 2
    site.committed.set()
    assert {(await site.router.answer())[0] for _ in range(1024)} == {5}
    assert (await site.router.ask(site.acct, report(identifier=9, Acct_Session_Time=9999).RequestPacket()))[0] == 5


async def test_an_unexpected_error_of_the_judge_ends_the_server(site: Site) -> None:
    """It is not swallowed: the daemon must fall and be restarted."""

    def broken(_: LoginRequest) -> LoginAnswer:
        raise TroubleError

    site.judge = broken
    site.router.endpoint.send(login().RequestPacket(), site.auth)
    with pytest.raises(TroubleError):
        await site.running


@pytest.mark.parametrize("what", ["login", "report"])
async def test_an_unexpected_error_that_comes_later_ends_the_server(what: str) -> None:
    """The same for whatever is answered in the background."""

    async def broken(_: object) -> Any:
        await asyncio.sleep(0)
        raise TroubleError

    auth, acct = SocketUdpEndpoint.bind("127.0.0.1", 0), SocketUdpEndpoint.bind("127.0.0.1", 0)
    router = SocketUdpEndpoint.bind("127.0.0.1", 0)
    server = RadiusServer(
        auth=auth, acct=acct, clients=[client()], clock=SystemClock(), authorize=broken, account=broken
    )
    if what == "login":
        router.send(login().RequestPacket(), auth.address)
    else:
        router.send(report().RequestPacket(), acct.address)
    with pytest.raises(TroubleError):
        async with asyncio.timeout(5):
            await server.run()
    router.close()


async def test_stopping_leaves_nothing_behind(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What is under way is called off without a word, and both ports are free again."""
    site.committed.clear()
    assert await site.silent(report().RequestPacket(), site.acct)
    pending = asyncio.get_running_loop().create_future()
    site.judge = lambda _: pending
    assert await site.silent(login().RequestPacket(), site.auth)
    site.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await site.running
    assert pending.cancelled()
    for address in (site.auth, site.acct):
        SocketUdpEndpoint.bind(*address).close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in others if "account" in repr(task)]
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_twenty_thousand_damaged_packets_change_nothing(site: Site) -> None:
    """No error, and no reply but to a request that is verified as it stands; the server lives on."""
    chance = random.Random(1)
    seeds = [(site.auth, login().RequestPacket()), (site.acct, report(Class=b"edge:grant-1").RequestPacket())]
    seeds += [(site.auth, status(5)), (site.acct, status(6))]
    site.router.endpoint.on_readable(lambda: None)  # replies are counted by the server instead
    secret = SharedSecret(SECRET)
    genuine = 0
    started = time.monotonic()
    for at in range(20_000):
        address, seed = chance.choice(seeds)
        datagram = damage(seed, chance)
        genuine += verified(datagram, address == site.acct, secret)
        site.router.endpoint.send(datagram, address)
        if at % 100 == 99:
            await asyncio.sleep(0)
            while site.router.endpoint.receive() is not None:
                pass
    counters = site.server.counters

    def taken() -> int:
        return sum(getattr(counters, name) for name in counters.__slots__)

    await until(lambda: taken() == 20_000)
    assert time.monotonic() - started < 60
    assert counters.malformed + counters.wrong_secret + counters.unsigned == 20_000 - genuine
    assert not site.running.done()
    assert counters.wrong_secret > 1000
    assert counters.malformed > 1000


def damage(seed: bytes, chance: random.Random) -> bytes:
    datagram = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(datagram)) if datagram else 0
        match chance.randrange(5):
            case 0:
                datagram[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del datagram[at:]
            case 2:
                datagram[at:at] = chance.randbytes(chance.randint(1, 40))
            case 3:
                del datagram[at : at + chance.randint(1, 20)]
            case _:
                datagram += datagram[at : at + 20]
    if chance.random() < 0.7 and len(datagram) >= 4:
        datagram[2:4] = len(datagram).to_bytes(2, "big")
    return bytes(datagram)


def verified(datagram: bytes, accounting: bool, secret: SharedSecret) -> bool:  # noqa: FBT001 - which door it goes to
    """Whether damage left it a sound request of its door (a change may be undone, or fall into padding)."""
    try:
        packet = decode(datagram)
    except InvalidError:
        return False
    if datagram[0] == 4 and accounting:
        return secret.accounting_authenticator_holds(packet)
    return datagram[0] in ((12,) if accounting else (1, 12)) and secret.message_authenticator_holds(
        packet, packet.authenticator
    )


@pytest.mark.parametrize(
    "clients",
    [
        pytest.param([client(), client("router-2")], id="one address twice"),
        pytest.param([client(address="router.lan")], id="a name"),
        pytest.param([client(address="0.0.0.0")], id="everyone"),
        pytest.param([client(address="::")], id="everyone in IPv6"),
    ],
)
async def test_routers_that_cannot_be_told_apart_are_refused(site: Site, clients: list[RadiusClient]) -> None:
    """A secret belongs to one address; the routers known before stay known."""
    with pytest.raises(InvalidError, match=r"radius\.address"):
        site.server.replace_clients(clients)
    assert (await exchange(site, login(), site.auth)).code == 2


def test_a_router_needs_a_secret_and_does_not_show_it() -> None:
    """An empty one would let anyone in."""
    with pytest.raises(InvalidError, match=r"radius\.secret"):
        client(secret=b"")
    assert "thirty-two" not in repr(client())
