"""CoA and Disconnect: against an independent implementation (pyrad), a scripted wire, and the lab's router."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad import packet as pyrad_packet

from easyisp_edge.adapters.radius.coa_client import CoaClient
from easyisp_edge.adapters.radius.coa_packets import (
    COA_REQUEST,
    DISCONNECT_REQUEST,
    CoaRouter,
    CoaSession,
    cause_in_words,
    change_attributes,
    reply_holds,
    request_packet,
)
from easyisp_edge.adapters.radius.packets import decode
from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError
from easyisp_edge.lab.mikrotik.radius_packets import radius_dictionary
from easyisp_edge.machine import UdpAddress
from easyisp_edge.system import SocketUdpEndpoint, SystemClock
from tests.fakes.mikrotik_stage import (
    IP,
    MAC,
    OTHER_MAC,
    SECRET,
    HandClock,
    RadiusAuthority,
    let_run,
    mikrotik_stage,
    radius_options,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from easyisp_edge.services.ports import SessionControl
    from tests.fakes.mikrotik_stage import Stage

HERE = CoaRouter("router-1", "10.5.50.1", 3799, SECRET.encode())
SIGNING = CoaRouter("router-1", "10.5.50.1", 3799, SECRET.encode(), message_authenticator=True)
WANJIKU = CoaSession(HERE, "QWE7X", IP, "80100014", MacAddress(MAC))


def as_service_sees_it(client: CoaClient) -> SessionControl[CoaSession]:
    """The client keeps the promise the services were given; the type checker holds it to that."""
    return client


def understood(datagram: bytes, secret: bytes = SECRET.encode()) -> Any:
    """A request as pyrad reads and verifies it."""
    request = pyrad_packet.CoAPacket(secret=secret, dict=radius_dictionary(), packet=datagram)
    assert request.VerifyCoARequest()
    return request


def said(request: Any) -> dict[str, Any]:
    """What it says of the session, by name."""
    return {name: request[name][0] for name in map(str, request.keys()) if name != "Message-Authenticator"}


def answer(
    datagram: bytes, *, cause: int | None = None, secret: bytes = SECRET.encode(), signed: bool = False
) -> bytes:
    """The router's reply as pyrad makes it: an ACK, or a NAK where there is a cause; 0 gives none."""
    request = pyrad_packet.CoAPacket(secret=secret, dict=radius_dictionary(), packet=datagram)
    reply = request.CreateReply(message_authenticator=signed)
    if cause is not None:
        disconnect = request.code == pyrad_packet.DisconnectRequest
        reply.code = pyrad_packet.DisconnectNAK if disconnect else pyrad_packet.CoANAK
    if cause:
        reply[101] = [cause.to_bytes(4, "big")]
    octets: bytes = reply.ReplyPacket()
    return octets


class ScriptedWire:
    """A `UdpEndpoint` whose other end is a function: it sees each datagram and says what comes back, and when."""

    def __init__(self, script: Callable[[bytes, UdpAddress], None] = lambda *_: None) -> None:
        self.address = UdpAddress("10.5.50.2", 40000)
        self.sent: list[tuple[bytes, UdpAddress]] = []
        self.script = script
        self.closed = False
        self._waiting: list[tuple[bytes, UdpAddress]] = []
        self._readable: Callable[[], None] = lambda: None

    def on_readable(self, callback: Callable[[], None]) -> None:
        self._readable = callback

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        return self._waiting.pop(0) if self._waiting else None

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        self.sent.append((datagram, address))
        self.script(datagram, address)

    def close(self) -> None:
        self.closed = True

    def bring(self, datagram: bytes, source: UdpAddress = HERE.place) -> None:
        """A datagram comes in; the client hears of it in the next turn, as of a real socket."""
        self._waiting.append((datagram, source))
        asyncio.get_running_loop().call_soon(self._readable)


class Talk:
    """A client that runs on a scripted wire."""

    def __init__(self, **options: Any) -> None:
        self.wire = ScriptedWire()
        self.clock = HandClock()
        self.client = CoaClient(endpoint=self.wire, clock=self.clock, **options)
        self.running = asyncio.create_task(self.client.run())

    def acknowledge(self, datagram: bytes, address: UdpAddress) -> None:
        self.wire.bring(answer(datagram), address)

    def begin(self, order: Awaitable[None]) -> asyncio.Future[None]:
        return asyncio.ensure_future(order)

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    made = Talk()
    await asyncio.sleep(0)
    yield made
    await made.close()


# --- bytes


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
sessions = st.builds(
    CoaSession,
    st.builds(
        CoaRouter,
        st.just("router-1"),
        st.just("10.5.50.1"),
        st.just(3799),
        st.binary(min_size=1, max_size=80),
        st.booleans(),
    ),
    texts,
    st.none() | st.ip_addresses(v=4).map(str),
    st.none() | texts,
    st.none() | st.binary(min_size=6, max_size=6).map(lambda octets: MacAddress.parse(octets.hex())),
)


@given(sessions, st.sampled_from([DISCONNECT_REQUEST, COA_REQUEST]), st.integers(0, 255))
def test_another_implementation_reads_what_is_asked(session: CoaSession, code: int, identifier: int) -> None:
    """For any secret and session, signed or not; and nothing is said that is not known."""
    router = session.router
    request = understood(request_packet(code, identifier, session.attributes(), router), router.secret)
    assert (request.code, request.id) == (code, identifier)
    known = {
        "User-Name": session.username,
        "Framed-IP-Address": session.address,
        "Acct-Session-Id": session.acct_session_id,
        "Calling-Station-Id": None if session.mac is None else str(session.mac),
    }
    assert said(request) == {name: value for name, value in known.items() if value is not None}
    assert bool(request.message_authenticator) == router.message_authenticator
    assert not router.message_authenticator or request.verify_message_authenticator()


@given(sessions, st.none() | st.sampled_from([0, 401, 503, 0xFFFFFFFF]), st.booleans(), st.data())
def test_only_the_reply_to_that_very_request_holds(
    session: CoaSession,
    cause: int | None,
    signed: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    """As another implementation makes it; with any bit of it changed, or for another request, it is none."""
    router = session.router
    request = request_packet(DISCONNECT_REQUEST, 7, session.attributes(), router)
    reply = answer(request, cause=cause, secret=router.secret, signed=signed)
    assert reply_holds(decode(reply), request, router)
    other = request_packet(DISCONNECT_REQUEST, 7, session.attributes() + b"\x2c\x03x", router)
    assert not reply_holds(decode(reply), other, router)
    assert not reply_holds(decode(reply), request_packet(COA_REQUEST, 7, session.attributes(), router), router)
    damaged = bytearray(reply)
    damaged[data.draw(st.integers(0, len(reply) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(InvalidError):
        assert not reply_holds(decode(bytes(damaged)), request, router)


def test_a_reply_signed_wrongly_does_not_hold() -> None:
    """Though its authenticator is right: Message-Authenticator need not be there, but never is there for show."""
    request = request_packet(DISCONNECT_REQUEST, 7, WANJIKU.attributes(), HERE)
    forged = understood(request).CreateReply()
    forged[80] = [bytes(16)]
    assert not reply_holds(decode(forged.ReplyPacket()), request, HERE)


@pytest.mark.parametrize(
    ("octets", "words"),
    [(0, (1, 0)), (1000, (1000, 0)), (5 * 2**30, (2**30, 1)), (2**32, (1, 1)), (2**70, (2**32 - 1,) * 2)],
)
def test_a_limit_on_data_has_both_words(octets: int, words: tuple[int, int]) -> None:
    """Else the router might keep the high word of before; and a low word of nought might mean no limit."""
    changes = change_attributes(None, None, DataVolume(octets))
    request = understood(request_packet(COA_REQUEST, 1, changes, HERE))
    assert (request["Mikrotik-Total-Limit"][0], request["Mikrotik-Total-Limit-Gigawords"][0]) == words


@pytest.mark.parametrize(("seconds", "said"), [(0, 1), (-5, 1), (3600, 3600), (10**9, 21_474_720)])
def test_a_session_s_length_stays_in_what_a_router_takes(seconds: int, said: int) -> None:
    """Nought would mean no limit at all."""
    request = understood(request_packet(COA_REQUEST, 1, change_attributes(seconds, None, None), HERE))
    assert request["Session-Timeout"] == [said]


@pytest.mark.parametrize(
    "session",
    [
        {"username": ""},
        {"username": "x" * 254},
        {"username": "é" * 127},
        {"username": "\ud800"},
        {"username": "x", "acct_session_id": ""},
        {"username": "x", "address": "10.5.50"},
        {"username": "x", "address": "fe80::1"},
    ],
)
def test_what_cannot_be_written_is_refused(session: dict[str, Any]) -> None:
    """Never cut short: the rest would name another session."""
    with pytest.raises(InvalidError) as refused:
        CoaSession(HERE, **session)
    assert refused.value.code == "coa.session"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (("10.5.50.1", 3799, b""), "radius.secret"),
        (("10.5.50.1", 0, b"s"), "radius.port"),
        (("10.5.50.1", 65536, b"s"), "radius.port"),
        (("router.example", 3799, b"s"), "radius.address"),
        (("0.0.0.0", 3799, b"s"), "radius.address"),
    ],
)
def test_a_router_is_at_one_place_and_has_a_secret(place: tuple[str, int, bytes], code: str) -> None:
    """Its address is what replies are known by; and its secret shows itself nowhere."""
    with pytest.raises(InvalidError) as refused:
        CoaRouter("router-1", *place)
    assert refused.value.code == code
    assert SECRET not in repr(WANJIKU)


# --- the exchange


async def test_an_ack_is_the_end_of_it(talk: Talk) -> None:
    """One request, named by all that is known, to the router's place."""
    talk.wire.script = talk.acknowledge
    await as_service_sees_it(talk.client).disconnect(WANJIKU)
    ((datagram, place),) = talk.wire.sent
    request = understood(datagram)
    assert place == UdpAddress("10.5.50.1", 3799)
    assert request.code == pyrad_packet.DisconnectRequest
    assert said(request) == {
        "User-Name": "QWE7X",
        "Framed-IP-Address": IP,
        "Acct-Session-Id": "80100014",
        "Calling-Station-Id": MAC,
    }
    assert talk.client.counters.acks == 1


async def test_a_change_says_what_is_to_hold(talk: Talk) -> None:
    """And nothing that was not asked for."""
    talk.wire.script = talk.acknowledge
    await talk.client.change(WANJIKU, session_seconds=7200, rate_limit=RateLimit.parse("1M/2M"))
    await talk.client.change(WANJIKU, data_left=DataVolume(5 * 2**30))
    first, second = (understood(datagram) for datagram, _ in talk.wire.sent)
    assert first.code == second.code == pyrad_packet.CoARequest
    assert (first["Session-Timeout"], first["Mikrotik-Rate-Limit"]) == ([7200], ["1M/2M"])
    assert "Mikrotik-Total-Limit" not in first
    assert second["Mikrotik-Total-Limit-Gigawords"] == [1]
    assert not {"Session-Timeout", "Mikrotik-Rate-Limit"} & set(second.keys())


async def test_a_change_of_nothing_is_not_sent(talk: Talk) -> None:
    """A router would have to guess what is meant."""
    with pytest.raises(InvalidError):
        await talk.client.change(WANJIKU)
    assert talk.wire.sent == []


async def test_a_signed_request_begins_with_message_authenticator(talk: Talk) -> None:
    """Where the router is set to have it; its reply may be signed too."""
    talk.wire.script = lambda datagram, source: talk.wire.bring(answer(datagram, signed=True), source)
    await talk.client.disconnect(CoaSession(SIGNING, "QWE7X"))
    ((datagram, _),) = talk.wire.sent
    assert datagram[20:22] == b"\x50\x12"
    assert understood(datagram).verify_message_authenticator()


async def test_a_session_that_is_gone_is_told_apart(talk: Talk) -> None:
    """For the caller that is as good as done."""
    talk.wire.script = lambda datagram, source: talk.wire.bring(answer(datagram, cause=503), source)
    for order in (talk.client.disconnect(WANJIKU), talk.client.change(WANJIKU, session_seconds=60)):
        with pytest.raises(ConflictError) as gone:
            await order
        assert gone.value.code == "coa.no_session"
    assert talk.client.counters.no_session == 2


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (0, "no cause given"),
        (401, "an attribute that it does not take (Error-Cause 401)"),
        (506, "resources unavailable (Error-Cause 506)"),
        (999, "an unknown cause (Error-Cause 999)"),
    ],
)
async def test_a_refusal_says_its_cause_in_words(talk: Talk, cause: int, words: str) -> None:
    """For the technician who reads it in the log."""
    talk.wire.script = lambda datagram, source: talk.wire.bring(answer(datagram, cause=cause), source)
    with pytest.raises(RefusedError) as refused:
        await talk.client.disconnect(WANJIKU)
    assert refused.value.code == "coa.refused"
    assert refused.value.message == f"Router router-1 refused: {words}."
    assert refused.value.values == {"cause": cause or None}


async def test_a_cause_of_impossible_length_is_none(talk: Talk) -> None:
    """The refusal stands all the same."""

    def garble(datagram: bytes, source: UdpAddress) -> None:
        reply = understood(datagram).CreateReply()
        reply.code = pyrad_packet.DisconnectNAK
        reply[101] = [b"\x01\xf7"]
        talk.wire.bring(reply.ReplyPacket(), source)

    talk.wire.script = garble
    with pytest.raises(RefusedError, match="no cause given"):
        await talk.client.disconnect(WANJIKU)
    assert cause_in_words(None) == "no cause given"


async def test_silence_is_waited_out_with_the_same_bytes(talk: Talk) -> None:
    """Sent again after 1, 2 and 4 seconds, given up after 10 in all; the caller goes by the API then."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    moments = []
    for _ in range(19):
        await talk.clock.advance(0.5)
        moments.append(len(talk.wire.sent))
    assert moments == [1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4]
    assert not order.done()
    await talk.clock.advance(0.5)
    with pytest.raises(UnavailableError) as silence:
        await order
    assert silence.value.code == "coa.no_answer"
    assert "10.5.50.1 port 3799" in silence.value.message
    assert len(set(talk.wire.sent)) == 1
    assert (talk.client.counters.requests, talk.client.counters.resends, talk.client.counters.unanswered) == (1, 3, 1)


async def test_a_lost_request_is_made_good(talk: Talk) -> None:
    """The repeat is answered, and nothing more is sent."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await let_run()
    talk.wire.script = talk.acknowledge
    await talk.clock.advance(1)
    await order
    await talk.clock.advance(20)
    assert len(talk.wire.sent) == 2


async def test_a_lost_reply_ends_as_a_session_that_is_gone(talk: Talk) -> None:
    """A router without a memory for repeats finds nothing left to end."""
    gone = False

    def end_once(datagram: bytes, source: UdpAddress) -> None:
        nonlocal gone
        if gone:
            talk.wire.bring(answer(datagram, cause=503), source)
        gone = True

    talk.wire.script = end_once
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await talk.clock.advance(1)
    with pytest.raises(ConflictError):
        await order


async def test_a_reply_to_the_first_of_several_repeats_counts(talk: Talk) -> None:
    """They are the same request; it came late, not wrong."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await talk.clock.advance(3.5)
    assert len(talk.wire.sent) == 3
    talk.wire.bring(answer(talk.wire.sent[0][0]))
    await order


async def test_a_reply_after_giving_up_is_ignored(talk: Talk) -> None:
    """Also when its identifier is in use again, for another session."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await talk.clock.advance(10)
    with pytest.raises(UnavailableError):
        await order
    late = answer(talk.wire.sent[0][0])
    talk.wire.bring(late)
    await let_run()
    talk.client._lines[HERE.place].last_identifier = -1
    other = talk.begin(talk.client.disconnect(CoaSession(HERE, "RTY8Z")))
    await let_run()
    assert talk.wire.sent[-1][0][1] == late[1]
    talk.wire.bring(late)
    await let_run()
    assert not other.done()
    assert talk.client.counters.ignored == 2
    talk.wire.bring(answer(talk.wire.sent[-1][0]))
    await other


async def test_a_second_reply_changes_nothing(talk: Talk) -> None:
    """The first stands, though the second says otherwise before the caller has its turn."""

    def twice(datagram: bytes, source: UdpAddress) -> None:
        talk.wire.bring(answer(datagram), source)
        talk.wire.bring(answer(datagram, cause=501), source)

    talk.wire.script = twice
    await talk.client.disconnect(WANJIKU)
    await let_run()
    assert (talk.client.counters.acks, talk.client.counters.refused, talk.client.counters.ignored) == (1, 0, 1)


def changed(datagram: bytes, at: int) -> bytes:
    """One bit of it turned."""
    octets = bytearray(datagram)
    octets[at] ^= 1
    return bytes(octets)


FORGERIES: dict[str, Callable[[bytes], tuple[bytes, UdpAddress]]] = {
    "another secret": lambda sent: (answer(sent, secret=b"another"), HERE.place),
    "another address": lambda sent: (answer(sent), UdpAddress("10.5.50.9", 3799)),
    "another port": lambda sent: (answer(sent), UdpAddress("10.5.50.1", 3800)),
    "another identifier": lambda sent: (changed(answer(sent), 1), HERE.place),
    "another authenticator": lambda sent: (changed(answer(sent), 10), HERE.place),
    "a NAK with its code changed": lambda sent: (changed(answer(sent, cause=501), 0), HERE.place),
    "a reply to CoA": lambda sent: (answer(b"\x2b" + sent[1:]), HERE.place),
    "the request sent back": lambda sent: (sent, HERE.place),
    "cut short": lambda sent: (answer(sent, cause=501)[:-1], HERE.place),
    "less than a header": lambda _: (b"\x29", HERE.place),
    "nothing": lambda _: (b"", HERE.place),
    "an order to us": lambda sent: (
        request_packet(DISCONNECT_REQUEST, sent[1], WANJIKU.attributes(), HERE),
        HERE.place,
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_who_has_not_to_answer_is_not_heard(talk: Talk, forgery: str) -> None:
    """Neither believed nor answered; the true reply still counts."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await let_run()
    sent = talk.wire.sent[0][0]
    talk.wire.bring(*FORGERIES[forgery](sent))
    await let_run()
    assert not order.done()
    assert len(talk.wire.sent) == 1
    assert talk.client.counters.ignored == 1
    talk.wire.bring(answer(sent))
    await order


async def test_an_order_to_us_is_never_answered(talk: Talk) -> None:
    """This box runs no sessions, even for a router that knows the secret."""
    for code in (DISCONNECT_REQUEST, COA_REQUEST, 1, 4, 12):
        talk.wire.bring(request_packet(code, 1, WANJIKU.attributes(), HERE))
    await let_run()
    assert talk.wire.sent == []
    assert talk.client.counters.ignored == 5


async def test_a_flood_leaves_the_loop_its_turns(talk: Talk) -> None:
    """At most 256 datagrams are taken before others may run; the socket says again that more wait."""
    for _ in range(600):
        talk.wire._waiting.append((b"rubbish", HERE.place))
    talk.wire._readable()
    assert talk.client.counters.ignored == 256
    talk.wire._readable()
    talk.wire._readable()
    assert talk.client.counters.ignored == 600


# --- many at once


async def test_three_hundred_at_once_take_turns() -> None:
    """At most so many are under way to one router, each under an identifier of its own; none is lost."""
    talk = Talk(under_way_max=20)
    under_way: dict[UdpAddress, dict[int, bytes]] = {}
    most: Counter[UdpAddress] = Counter()

    def hold(datagram: bytes, place: UdpAddress) -> None:
        waiting = under_way.setdefault(place, {})
        assert datagram[1] not in waiting
        waiting[datagram[1]] = datagram
        most[place] = max(most[place], len(waiting))

    talk.wire.script = hold
    routers = [CoaRouter(f"router-{at}", f"10.5.50.{at}", 3799, SECRET.encode()) for at in (1, 2)]
    orders = [
        talk.begin(talk.client.disconnect(CoaSession(router, f"U{at}"))) for at in range(300) for router in routers
    ]
    ended: Counter[str] = Counter()
    for _ in range(100):
        await let_run()
        for place, waiting in under_way.items():
            for identifier in list(waiting)[::-3]:
                datagram = waiting.pop(identifier)
                ended[f"{place.host} {understood(datagram)['User-Name'][0]}"] += 1
                talk.wire.bring(answer(datagram), place)
    await asyncio.gather(*orders)
    assert most == {router.place: 20 for router in routers}
    assert len(ended) == ended.total() == 600
    assert not any(line.under_way for line in talk.client._lines.values())
    await talk.close()


async def test_more_than_all_identifiers_wait_for_one() -> None:
    """256 may be under way and no more; a session the router does not answer for holds up only its own place."""
    talk = Talk(under_way_max=256)
    await asyncio.sleep(0)
    orders = [talk.begin(talk.client.disconnect(CoaSession(HERE, f"U{at}"))) for at in range(300)]
    await let_run()
    assert sorted(datagram[1] for datagram, _ in talk.wire.sent) == list(range(256))
    silent, *others = [datagram for datagram, _ in talk.wire.sent]
    talk.wire.script = talk.acknowledge
    for datagram in others:
        talk.wire.bring(answer(datagram))
    await until(lambda: sum(order.done() for order in orders) == 299)
    assert not orders[0].done()
    assert [datagram[1] for datagram, _ in talk.wire.sent].count(silent[1]) == 1
    await talk.close()
    with pytest.raises(UnavailableError):
        await orders[0]


async def test_one_router_s_silence_holds_up_no_other(talk: Talk) -> None:
    """Each has its own turns and identifiers."""
    away = CoaRouter("router-9", "10.5.50.9", 3799, SECRET.encode())
    silent = [talk.begin(talk.client.disconnect(CoaSession(away, f"U{at}"))) for at in range(40)]
    await let_run()
    talk.wire.script = talk.acknowledge
    await talk.client.disconnect(WANJIKU)
    assert not any(order.done() for order in silent)


async def test_an_identifier_is_used_again_as_late_as_can_be(talk: Talk) -> None:
    """A router answers a repeat from memory: the next request must not look like one."""
    talk.wire.script = talk.acknowledge
    for _ in range(257):
        await talk.client.disconnect(WANJIKU)
    assert [datagram[1] for datagram, _ in talk.wire.sent] == [*range(256), 0]


@pytest.mark.parametrize("under_way_max", [0, 257])
def test_the_bound_is_within_the_identifiers(under_way_max: int) -> None:
    """There are 256."""
    with pytest.raises(InvalidError):
        CoaClient(endpoint=ScriptedWire(), clock=HandClock(), under_way_max=under_way_max)


# --- life


async def test_at_its_end_nothing_is_left_waiting() -> None:
    """What is under way and what waits for its turn end at once, and the socket is closed."""
    talk = Talk(under_way_max=2)
    orders = [talk.begin(talk.client.disconnect(CoaSession(HERE, f"U{at}"))) for at in range(5)]
    await let_run()
    await talk.close()
    done, waiting = await asyncio.wait(orders, timeout=1)
    assert not waiting
    assert {order.exception().code for order in done} == {"coa.closed"}  # type: ignore[union-attr]
    assert talk.wire.closed
    assert len(talk.wire.sent) == 2
    await let_run()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(UnavailableError):
        await talk.client.disconnect(WANJIKU)


async def test_a_caller_that_gives_up_frees_its_place(talk: Talk) -> None:
    """Whether it waited for a reply or for its turn; the reply is then nobody's."""
    order = talk.begin(talk.client.disconnect(WANJIKU))
    await let_run()
    order.cancel()
    with pytest.raises(asyncio.CancelledError):
        await order
    assert talk.client._lines[HERE.place].under_way == {}
    talk.wire.bring(answer(talk.wire.sent[0][0]))
    await let_run()
    assert talk.client.counters.ignored == 1
    await talk.clock.advance(20)
    assert len(talk.wire.sent) == 1


async def test_an_unforeseen_failure_ends_the_client(talk: Talk) -> None:
    """It is not swallowed by the event loop: `run` raises it and closes."""

    def fail() -> None:
        raise ZeroDivisionError

    talk.wire.receive = fail  # type: ignore[method-assign]
    talk.wire.bring(b"")
    with pytest.raises(ZeroDivisionError):
        await talk.running
    assert talk.wire.closed


async def test_over_real_sockets_a_closed_port_is_silence() -> None:
    """What the kernel reports of it (port unreachable) disturbs neither this exchange nor the next."""
    wire = SocketUdpEndpoint.bind("127.0.0.1", 0)
    closed = SocketUdpEndpoint.bind("127.0.0.1", 0)
    router = CoaRouter("router-1", "127.0.0.1", closed.address.port, SECRET.encode())
    closed.close()
    clock = HandClock()
    client = CoaClient(endpoint=wire, clock=clock)
    running = asyncio.create_task(client.run())
    order = asyncio.ensure_future(client.disconnect(CoaSession(router, "QWE7X")))
    await clock.advance(10)
    with pytest.raises(UnavailableError):
        await order
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


# --- against the lab's router


class OnStage:
    """The lab's router, asking an authority by RADIUS, and a client for its sessions."""

    def __init__(self, stage: Stage, authority: RadiusAuthority, client: CoaClient) -> None:
        self.stage = stage
        self.authority = authority
        self.client = client
        self.router = CoaRouter("router-1", "127.0.0.1", stage.router.coa_port or 0, SECRET.encode())

    def session(self, **changes: Any) -> CoaSession:
        (active,) = self.stage.router.active
        known = {"username": "QWE7X", "address": IP, "mac": MacAddress(MAC)}
        acct_session_id = str(self.authority.accounting[-1]["Acct-Session-Id"][0])
        assert active.user == "QWE7X"
        return CoaSession(**{"router": self.router, **known, "acct_session_id": acct_session_id, **changes})


@contextlib.asynccontextmanager
async def on_stage(**decided: Any) -> AsyncIterator[OnStage]:
    async with (
        RadiusAuthority(decide=lambda _: decided) as authority,
        mikrotik_stage(radius_options(authority.as_server()), coa_port=0) as stage,
    ):
        client = CoaClient(endpoint=SocketUdpEndpoint.bind("127.0.0.1", 0), clock=SystemClock())
        running = asyncio.create_task(client.run())
        stage.router.connect_device(MAC, IP)
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await until(lambda: authority.accounting)
        yield OnStage(stage, authority, client)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_router_ends_the_session_it_is_told() -> None:
    """The device is off, accounting says why, and a second time there is nothing left."""
    async with on_stage() as scene:
        session = scene.session()
        await scene.client.disconnect(session)
        assert not scene.stage.router.is_online(MAC)
        await until(lambda: len(scene.authority.accounting) == 2)
        assert scene.authority.accounting[1]["Acct-Terminate-Cause"] == ["Admin-Reset"]
        with pytest.raises(ConflictError):
            await scene.client.disconnect(session)


@pytest.mark.parametrize(
    "changes",
    [{"username": "RTY8Z"}, {"address": "10.5.50.77"}, {"acct_session_id": "80fffff0"}, {"mac": MacAddress(OTHER_MAC)}],
)
async def test_a_session_that_differs_in_anything_is_another(changes: dict[str, Any]) -> None:
    """So that nobody is put off for somebody who logged in at their address before."""
    async with on_stage() as scene:
        with pytest.raises(ConflictError):
            await scene.client.disconnect(scene.session(**changes))
        assert scene.stage.router.is_online(MAC)


@pytest.mark.parametrize("left_out", ["address", "acct_session_id", "mac"])
async def test_what_is_not_known_is_not_asked_for(left_out: str) -> None:
    """The rest still names the session."""
    async with on_stage() as scene:
        await scene.client.disconnect(scene.session(**{left_out: None}))
        assert not scene.stage.router.is_online(MAC)


async def test_the_router_changes_a_session() -> None:
    """Its length counts from its start; its speed is new at once. Signed requests are taken too."""
    async with on_stage(**{"Session-Timeout": 600}) as scene:
        await scene.stage.clock.advance(100)
        session = scene.session()
        await scene.client.change(session, session_seconds=1000, rate_limit=RateLimit.parse("1M/2M"))
        (active,) = scene.stage.router.active
        assert (active.time_left_seconds, active.rate_limit) == (900, "1M/2M")
        signing = CoaRouter("router-1", "127.0.0.1", scene.router.port, SECRET.encode(), message_authenticator=True)
        await scene.client.change(scene.session(router=signing), session_seconds=200)
        assert scene.stage.router.active[0].time_left_seconds == 100


async def test_a_change_refused_leaves_the_session_as_it_was() -> None:
    """A limit on data is not on MikroTik's list of what can be changed: asked for with others, it takes them along."""
    async with on_stage(**{"Session-Timeout": 600}) as scene:
        with pytest.raises(RefusedError, match="Error-Cause 401"):
            await scene.client.change(scene.session(), session_seconds=1000, data_left=DataVolume.parse("1GB"))
        assert scene.stage.router.active[0].time_left_seconds == 600


async def test_the_router_is_silent_to_a_wrong_secret() -> None:
    """And the session goes on; by its counters the router saw a bad request."""
    async with on_stage() as scene:
        wrong = CoaRouter("router-1", "127.0.0.1", scene.router.port, b"another")
        clock = HandClock()
        scene.client._clock = clock
        order = asyncio.ensure_future(scene.client.disconnect(scene.session(router=wrong)))
        await until(lambda: scene.stage.router.incoming.counters.bad_requests == 1)
        await clock.advance(10)
        with pytest.raises(UnavailableError):
            await order
        assert scene.stage.router.is_online(MAC)


async def test_three_hundred_sessions_end_at_once() -> None:
    """As when a package is taken back at its busiest hour."""
    async with on_stage() as scene:
        macs = [f"02:00:00:00:{at // 256:02X}:{at % 256:02X}" for at in range(300)]
        places = {mac: f"10.6.{at // 200}.{at % 200 + 1}" for at, mac in enumerate(macs)}
        for mac in macs:
            scene.stage.router.connect_device(mac, places[mac])
        logins = [asyncio.ensure_future(scene.stage.router.log_in(mac, mac, "pw")) for mac in macs]
        while not all(login.done() for login in logins):
            await scene.stage.clock.advance(0.3)
        sessions_there = [CoaSession(scene.router, mac, places[mac], None, MacAddress(mac)) for mac in macs]
        await asyncio.gather(*(scene.client.disconnect(session) for session in sessions_there))
        assert [active.user for active in scene.stage.router.active] == ["QWE7X"]
