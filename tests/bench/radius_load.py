"""Load on a RADIUS server: logins as a MikroTik sends them, signed, and every answer verified.

Source: RFC 2865 sections 3 and 5.2, RFC 3579 section 3.2.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
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
_ACCESS_REQUEST, _ACCESS_ACCEPT = 1, 2
_USER_NAME, _USER_PASSWORD, _NAS_IP_ADDRESS, _NAS_PORT = 1, 2, 4, 5
_FRAMED_IP_ADDRESS, _CALLED_STATION_ID, _CALLING_STATION_ID, _NAS_IDENTIFIER = 8, 30, 31, 32
_ACCT_SESSION_ID, _NAS_PORT_TYPE, _MESSAGE_AUTHENTICATOR, _NAS_PORT_ID = 44, 61, 80, 87
_BLOCK = 16
_WIRELESS = 19
_IDENTIFIERS = 256
_RECEIVE_OCTETS = 4 * 1024 * 1024
_SILENCE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Login:
    """An Access-Request, ready to send.

    Args:
        datagram: As it goes out; its identifier is the second octet.
        authenticator: The Request Authenticator, which the answer is held against.
    """

    datagram: bytes
    authenticator: bytes

    def is_accepted_by(self, answer: bytes) -> bool:
        """Whether this is the Access-Accept of somebody who knows the secret."""
        made_over = answer[:4] + self.authenticator + answer[20:] + _SECRET
        whole = hashlib.md5(made_over).digest() == answer[4:20]  # noqa: S324 - the protocol prescribes it
        return whole and answer[0] == _ACCESS_ACCEPT


def login(number: int, granted: Granted, draw: Callable[[int], bytes]) -> Login:
    """The login of a device by PAP; no two are alike.

    Args:
        number: Whose identifier it gets, and its session.
        granted: Who logs in.
        draw: That many random octets.
    """
    authenticator = draw(_BLOCK)
    attributes = b"".join(
        (
            _attribute(_NAS_PORT_TYPE, struct.pack("!I", _WIRELESS)),
            _attribute(_CALLING_STATION_ID, granted.mac.encode()),
            _attribute(_CALLED_STATION_ID, b"hotspot1"),
            _attribute(_NAS_PORT_ID, b"bridge1"),
            _attribute(_USER_NAME, granted.username.encode()),
            _attribute(_NAS_PORT, struct.pack("!I", 0x8000_0000 + number)),
            _attribute(_ACCT_SESSION_ID, f"{number:08x}".encode()),
            _attribute(_FRAMED_IP_ADDRESS, socket.inet_aton(f"10.5.{number >> 8 & 255}.{number & 255}")),
            _attribute(_USER_PASSWORD, _hidden(granted.password.encode(), authenticator)),
            _attribute(_NAS_IDENTIFIER, b"main"),
            _attribute(_NAS_IP_ADDRESS, socket.inet_aton(HOST)),
        )
    )
    length = 20 + 18 + len(attributes)
    head = struct.pack("!BBH", _ACCESS_REQUEST, number % _IDENTIFIERS, length) + authenticator
    signature = hmac.digest(_SECRET, head + _attribute(_MESSAGE_AUTHENTICATOR, bytes(_BLOCK)) + attributes, "md5")
    return Login(head + _attribute(_MESSAGE_AUTHENTICATOR, signature) + attributes, authenticator)


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


def drive(port: int, logins: Sequence[Login], *, outstanding: int) -> Load:
    """Keep that many logins under way until all were sent; nothing is sent again.

    Raises:
        BenchError: An answer was not the Access-Accept it should have been.
    """
    with _opened(port) as door:
        load, answers = _exchange(door, iter(logins), outstanding)
    for request, answer in answers:
        _check(request, answer)
    return load


def _exchange(
    door: socket.socket, waiting: Iterator[Login], outstanding: int
) -> tuple[Load, list[tuple[Login, bytes]]]:
    """Only send and receive: what is checked meanwhile would be asked for later."""
    latencies: list[float] = []
    answers: list[tuple[Login, bytes]] = []
    sent: dict[int, tuple[Login, float]] = {}
    now, own = time.perf_counter, time.process_time()
    started_at = now()
    for request in itertools.islice(waiting, outstanding):
        sent[request.datagram[1]] = (request, now())
        door.send(request.datagram)
    while sent:
        try:
            answer = door.recv(4096)
        except BlockingIOError:
            break
        request, sent_at = sent.pop(answer[1])
        latencies.append(now() - sent_at)
        answers.append((request, answer))
        for following in itertools.islice(waiting, 1):
            sent[following.datagram[1]] = (following, now())
            door.send(following.datagram)
    load = Load(now() - started_at, latencies, time.process_time() - own, lost=len(sent))
    return load, answers


def _check(request: Login, answer: bytes) -> None:
    if not request.is_accepted_by(answer):
        raise BenchError(f"no Access-Accept: {answer!r}")


def burst(port: int, logins: Sequence[Login]) -> Load:
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
