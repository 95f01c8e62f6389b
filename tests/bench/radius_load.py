"""Load on a RADIUS server: logins and reports as a MikroTik sends them, and every answer verified.

Source: RFC 2865 sections 3, 5.2 and 5.3, RFC 2866 sections 3 and 5, RFC 3579 section 3.2.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.processes import HOST, BenchError
from tests.bench.site import RADIUS_SECRET
from tests.bench.trials import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.books import Granted

_SECRET = RADIUS_SECRET.encode()
_ACCESS_REQUEST, _ACCESS_ACCEPT, _ACCOUNTING_REQUEST, _ACCOUNTING_RESPONSE = 1, 2, 4, 5
_USER_NAME, _USER_PASSWORD, _CHAP_PASSWORD, _NAS_IP_ADDRESS, _NAS_PORT = 1, 2, 3, 4, 5
_FRAMED_IP_ADDRESS, _CLASS, _CALLED_STATION_ID, _CALLING_STATION_ID, _NAS_IDENTIFIER = 8, 25, 30, 31, 32
_ACCT_STATUS_TYPE, _ACCT_INPUT_OCTETS, _ACCT_OUTPUT_OCTETS, _ACCT_SESSION_ID, _ACCT_SESSION_TIME = 40, 42, 43, 44, 46
_CHAP_CHALLENGE, _NAS_PORT_TYPE, _MESSAGE_AUTHENTICATOR, _NAS_PORT_ID = 60, 61, 80, 87
_INTERIM_UPDATE = 3
_BLOCK = 16
_WIRELESS = 19
_IDENTIFIERS = 256
_RECEIVE_OCTETS = 4 * 1024 * 1024
_SILENCE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """A request, ready to send.

    Args:
        datagram: As it goes out; its identifier is the second octet.
        authenticator: The Request Authenticator, which the answer is held against.
        answer_code: Of the answer that is wanted.
    """

    datagram: bytes
    authenticator: bytes
    answer_code: int

    def is_answered_by(self, answer: bytes) -> bool:
        """Whether this is the wanted answer, of somebody who knows the secret."""
        made_over = answer[:4] + self.authenticator + answer[20:] + _SECRET
        whole = hashlib.md5(made_over).digest() == answer[4:20]  # noqa: S324 - the protocol prescribes it
        return whole and answer[0] == self.answer_code


def login(number: int, granted: Granted, draw: Callable[[int], bytes], *, chap: bool = False) -> Request:
    """The login of a device, by PAP where not by CHAP; no two are alike.

    Args:
        number: Whose identifier it gets, and its session.
        granted: Who logs in.
        draw: That many random octets.
        chap: Whether it answers a challenge in place of telling the password.
    """
    authenticator, password = draw(_BLOCK), granted.password.encode()
    proof = _chap_answer(password, draw) if chap else _attribute(_USER_PASSWORD, _hidden(password, authenticator))
    attributes = _of_session(number, granted) + proof + _of_router()
    length = 20 + 18 + len(attributes)
    head = struct.pack("!BBH", _ACCESS_REQUEST, number % _IDENTIFIERS, length) + authenticator
    signature = hmac.digest(_SECRET, head + _attribute(_MESSAGE_AUTHENTICATOR, bytes(_BLOCK)) + attributes, "md5")
    datagram = head + _attribute(_MESSAGE_AUTHENTICATOR, signature) + attributes
    return Request(datagram, authenticator, _ACCESS_ACCEPT)


def interim_update(number: int, session: int, granted: Granted, klass: bytes, *, seconds: int, octets: int) -> Request:
    """What a router reports every few minutes of a session that is on.

    Args:
        number: Whose identifier it gets.
        session: Which session; all of one are of one device.
        granted: Who is on.
        klass: What the accept gave for Class.
        seconds: How long the session is on.
        octets: In either direction; grows, so that no two are alike.
    """
    attributes = b"".join(
        (
            _attribute(_ACCT_STATUS_TYPE, struct.pack("!I", _INTERIM_UPDATE)),
            _of_session(session, granted),
            _attribute(_CLASS, klass),
            _attribute(_ACCT_SESSION_TIME, struct.pack("!I", seconds)),
            *(_attribute(kind, struct.pack("!I", octets)) for kind in (_ACCT_INPUT_OCTETS, _ACCT_OUTPUT_OCTETS)),
            _of_router(),
        )
    )
    head = struct.pack("!BBH", _ACCOUNTING_REQUEST, number % _IDENTIFIERS, 20 + len(attributes))
    made_over = head + bytes(_BLOCK) + attributes + _SECRET
    authenticator = hashlib.md5(made_over).digest()  # noqa: S324 - the protocol prescribes it
    return Request(head + authenticator + attributes, authenticator, _ACCOUNTING_RESPONSE)


def _of_session(session: int, granted: Granted) -> bytes:
    return b"".join(
        (
            _attribute(_NAS_PORT_TYPE, struct.pack("!I", _WIRELESS)),
            _attribute(_CALLING_STATION_ID, granted.mac.encode()),
            _attribute(_CALLED_STATION_ID, b"hotspot1"),
            _attribute(_NAS_PORT_ID, b"bridge1"),
            _attribute(_USER_NAME, granted.username.encode()),
            _attribute(_NAS_PORT, struct.pack("!I", 0x8000_0000 + session)),
            _attribute(_ACCT_SESSION_ID, f"{session:08x}".encode()),
            _attribute(_FRAMED_IP_ADDRESS, socket.inet_aton(f"10.5.{session >> 8 & 255}.{session & 255}")),
        )
    )


def _of_router() -> bytes:
    return _attribute(_NAS_IDENTIFIER, b"main") + _attribute(_NAS_IP_ADDRESS, socket.inet_aton(HOST))


def _chap_answer(password: bytes, draw: Callable[[int], bytes]) -> bytes:
    challenge, identifier = draw(_BLOCK), draw(1)
    answer = hashlib.md5(identifier + password + challenge).digest()  # noqa: S324 - the protocol prescribes it
    return _attribute(_CHAP_PASSWORD, identifier + answer) + _attribute(_CHAP_CHALLENGE, challenge)


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def _hidden(password: bytes, authenticator: bytes) -> bytes:
    padded, hidden, previous = password.ljust(math.ceil(len(password) / _BLOCK) * _BLOCK, b"\0"), b"", authenticator
    for at in range(0, len(padded), _BLOCK):
        mask = hashlib.md5(_SECRET + previous).digest()  # noqa: S324 - the protocol prescribes it
        previous = bytes(a ^ b for a, b in zip(padded[at : at + _BLOCK], mask, strict=True))
        hidden += previous
    return hidden


def _opened(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_OCTETS)
    opened.connect((HOST, port))
    # The kernel's own time limit costs no call beside the one that receives.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _SILENCE_SECONDS, 0))
    return opened


def drive(port: int, requests: Sequence[Request], *, outstanding: int, seconds: float = math.inf) -> Load:
    """Keep that many requests under way until all were sent or time is up; nothing is sent again.

    Raises:
        BenchError: An answer was not the one it should have been.
    """
    return drive_and_tell(port, requests, outstanding=outstanding, seconds=seconds)[0]


def drive_and_tell(
    port: int, requests: Sequence[Request], *, outstanding: int, seconds: float = math.inf
) -> tuple[Load, list[int]]:
    """The same; tells the numbers of the requests that were answered too.

    Args:
        port: Of the server, on this machine.
        requests: Each with its number for identifier.
        outstanding: A power of two, 256 at most: a request takes an identifier whose last answer has come.
        seconds: After which no more are sent.

    Raises:
        BenchError: An answer was not the one it should have been.
    """
    with _opened(port) as door:
        load, answers = _exchange(door, requests, outstanding, seconds)
    for number, answer in answers:
        _check(requests[number], answer)
    return load, [number for number, _ in answers]


def _exchange(
    door: socket.socket, requests: Sequence[Request], outstanding: int, seconds: float
) -> tuple[Load, list[tuple[int, bytes]]]:
    """Only send and receive: what is checked meanwhile would be asked for later."""
    latencies: list[float] = []
    answers: list[tuple[int, bytes]] = []
    sent: dict[int, tuple[int, float]] = {}
    now, own, datagrams = time.perf_counter, time.process_time(), [request.datagram for request in requests]
    started_at = answered_at = now()
    until = started_at + seconds
    for number, datagram in enumerate(datagrams[:outstanding]):
        sent[datagram[1]] = (number, now())
        door.send(datagram)
    while sent:
        try:
            answer = door.recv(4096)
        except BlockingIOError:
            break
        number, sent_at = sent.pop(answer[1])
        answered_at = now()
        latencies.append(answered_at - sent_at)
        answers.append((number, answer))
        # The next whose identifier nobody else has under way.
        number += outstanding
        if number < len(datagrams) and answered_at < until:
            sent[datagrams[number][1]] = (number, now())
            door.send(datagrams[number])
    # Not until there was silence: who loses requests would seem slow as well.
    return Load(answered_at - started_at, latencies, time.process_time() - own, lost=len(sent)), answers


def _check(request: Request, answer: bytes) -> None:
    if not request.is_answered_by(answer):
        raise BenchError(f"not the answer that was wanted: {answer!r}")


def pace(doors: Sequence[tuple[int, Sequence[Request]]], per_second: float) -> list[Load]:
    """Send requests evenly spread, whether or not those before were answered; nothing is sent again.

    Args:
        doors: Ports, and as many requests for each, of which no 256 may be under way; they take turns.
        per_second: All together.

    Raises:
        BenchError: An answer was not the one it should have been.
    """
    with contextlib.ExitStack() as stack:
        paced = [_Paced(stack.enter_context(_opened(port)), requests) for port, requests in doors]
        turns = [one for _ in paced[0].requests for one in paced]
        started_at = time.perf_counter()
        for turn, one in enumerate(turns):
            _take_until(started_at + turn / per_second, paced)
            one.send()
        _take_until(time.perf_counter() + _SILENCE_SECONDS, paced, only_open=True)
        seconds = time.perf_counter() - started_at
    return [Load(seconds, one.latencies, 0.0, lost=len(one.requests) - len(one.latencies)) for one in paced]


class _Paced:
    """A socket, what is to be sent by it, and what is under way."""

    def __init__(self, door: socket.socket, requests: Sequence[Request]) -> None:
        self.door = door
        self.requests = requests
        self.latencies: list[float] = []
        self._sent: dict[int, tuple[Request, float]] = {}
        self._waiting = iter(requests)

    def fileno(self) -> int:
        return self.door.fileno()

    @property
    def is_open(self) -> bool:
        return bool(self._sent)

    def send(self) -> None:
        request = next(self._waiting)
        self._sent[request.datagram[1]] = (request, time.perf_counter())
        self.door.send(request.datagram)

    def take(self) -> None:
        answer, came_at = self.door.recv(4096), time.perf_counter()
        request, sent_at = self._sent.pop(answer[1])
        self.latencies.append(came_at - sent_at)
        _check(request, answer)


def _take_until(instant: float, paced: Sequence[_Paced], *, only_open: bool = False) -> None:
    """Take what comes in until then; or, with `only_open`, until nothing is open any more."""
    while (left := instant - time.perf_counter()) > 0 and not (only_open and not any(one.is_open for one in paced)):
        for one in select.select(paced, [], [], left)[0]:
            one.take()


def burst(port: int, logins: Sequence[Request]) -> Load:
    """Send all logins at once, as after a router's restart, and count the answers; nothing is sent again.

    Each 256 come from a port of their own, since an identifier has one octet.

    Raises:
        BenchError: An answer was not the Access-Accept it should have been.
    """
    doors = [_opened(port) for _ in range(math.ceil(len(logins) / _IDENTIFIERS))]
    sent = {(number // _IDENTIFIERS, request.datagram[1]): request for number, request in enumerate(logins)}
    latencies: list[float] = []
    own, started_at = time.process_time(), time.perf_counter()
    for number, request in enumerate(logins):
        doors[number // _IDENTIFIERS].send(request.datagram)
    try:
        for number, answer in _answers(doors, len(logins)):
            latencies.append(time.perf_counter() - started_at)
            _check(sent.pop((number, answer[1])), answer)
    finally:
        for door in doors:
            door.close()
    own_seconds = time.process_time() - own
    return Load(latencies[-1] if latencies else _SILENCE_SECONDS, latencies, own_seconds, lost=len(sent))


def _answers(doors: Sequence[socket.socket], count: int) -> Iterator[tuple[int, bytes]]:
    """What comes in, with the number of the door: at most `count`, until there is silence."""
    numbers = {door.fileno(): number for number, door in enumerate(doors)}
    with select.epoll() as poll:
        for door in doors:
            poll.register(door, select.EPOLLIN)
        while count and (events := poll.poll(_SILENCE_SECONDS)):
            for descriptor, _ in events:
                count -= 1
                yield numbers[descriptor], doors[numbers[descriptor]].recv(4096)
