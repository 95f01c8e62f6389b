"""Load on an HTTP server: kept connections, each with one request under way, and nothing that costs much."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

from tests.bench.processes import HOST, BenchError
from tests.bench.trials import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SILENCE_SECONDS = 15.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"Content-Length: "

# What an Android phone's captive browser sends.
_PHONE = (
    "User-Agent: Mozilla/5.0 (Linux; Android 13; TECNO KI5q) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Mobile Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.9,sw;q=0.8\r\n"
)


def get(path: str) -> bytes:
    """A GET as a phone sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{_PHONE}\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class _Connection:
    """A connection and the answer that is coming in on it."""

    __slots__ = ("coming", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.coming = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The whole answer; None while it is not whole."""
        octets = self.socket.recv(65536)
        if not octets:
            raise BenchError("the server closed a kept connection")
        self.coming += octets
        if not _whole(self.coming):
            return None
        answer, self.coming = self.coming, b""
        return answer


def _whole(octets: bytes) -> bool:
    head = octets.find(_HEAD_END)
    if head < 0:
        return False
    at = octets.find(_LENGTH, 0, head)
    length = 0 if at < 0 else int(octets[at + len(_LENGTH) : octets.find(b"\r", at)])
    return len(octets) >= head + len(_HEAD_END) + length


def drive(
    port: int,
    requests: Callable[[int], Iterator[bytes]],
    *,
    connections: int,
    seconds: float | None = None,
    expect: bytes = b"",
) -> Load:
    """Send each connection's requests one after the other, all connections at once.

    Args:
        port: Of the server, on this machine.
        requests: Makes the requests of the connection of that number.
        connections: How many.
        seconds: For how long; None until every connection's requests are through.
        expect: What every answer has to contain beside status 200.

    Raises:
        BenchError: An answer was another one, or none came.
    """
    opened = [_Connection(port) for _ in range(connections)]
    try:
        return _exchange(opened, [requests(number) for number in range(connections)], seconds, expect)
    finally:
        for connection in opened:
            connection.socket.close()


def _exchange(
    connections: list[_Connection], requests: list[Iterator[bytes]], seconds: float | None, expect: bytes
) -> Load:
    poll = select.epoll()
    by_descriptor = {}
    for connection, waiting in zip(connections, requests, strict=True):
        by_descriptor[connection.socket.fileno()] = (connection, waiting)
        poll.register(connection.socket, select.EPOLLIN)
    latencies: list[float] = []
    own, started_at = time.process_time(), time.perf_counter()
    until = None if seconds is None else started_at + seconds
    busy = sum(_next(connection, waiting, until) for connection, waiting in by_descriptor.values())
    while busy:
        events = poll.poll(_SILENCE_SECONDS)
        if not events:
            raise BenchError(f"no answer in {_SILENCE_SECONDS:g} s")
        for descriptor, _ in events:
            connection, waiting = by_descriptor[descriptor]
            answer = connection.receive()
            if answer is not None:
                latencies.append(time.perf_counter() - connection.sent_at)
                _check(answer, expect)
                busy -= not _next(connection, waiting, until)
    poll.close()
    return Load(time.perf_counter() - started_at, latencies, time.process_time() - own)


def _next(connection: _Connection, waiting: Iterator[bytes], until: float | None) -> bool:
    """Send the next request; False when there is none, or time is up."""
    if until is not None and time.perf_counter() >= until:
        return False
    request = next(waiting, None)
    if request is None:
        return False
    connection.send(request)
    return True


def _check(answer: bytes, expect: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200") or expect not in answer:
        raise BenchError(f"an answer without {expect!r}: {answer[:600]!r}")


def fetch(port: int, request: bytes) -> bytes:
    """One answer, head and all."""
    connection = _Connection(port)
    try:
        connection.send(request)
        while (answer := connection.receive()) is None:
            pass
    finally:
        connection.socket.close()
    _check(answer, b"")
    return answer
