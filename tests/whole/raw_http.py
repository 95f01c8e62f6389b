"""Requests octet by octet, as no client library would send them, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.commands.logs import JsonLines, ShortLines
from tests.whole.stage import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.whole.stage import Stage

_PATIENCE_SECONDS = 10.0
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class RawAnswer:
    """What was answered; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass(frozen=True)
class Route:
    """One way in, as the daemon's applications have it."""

    door: str
    port: int
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.door} {self.method} {self.path}"


def routes_of(stage: Stage) -> list[Route]:
    """Every route behind every HTTP door that is open to a network."""
    doors = {stage.ports[f"{name}_port"]: name for name in ("portal", "admin", "callbacks")}
    found = []
    for runner in stage.daemon.doors.runners:
        if isinstance(runner.addresses[0], str):  # the control socket, which no network reaches
            continue
        port = int(runner.addresses[0][1])
        for route in runner.app.router.routes():
            assert route.resource is not None
            found.append(Route(doors[port], port, route.method, route.resource.canonical))
    return found


def request(method: str, target: bytes | str, body: bytes = b"", headers: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """The octets of a request; what `headers` says itself is not said for it."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    if "host" not in names:
        given.append(("Host", b"10.5.50.2"))
    if "content-length" not in names and "transfer-encoding" not in names:
        given.append(("Content-Length", str(len(body)).encode()))
    given.append(("Connection", b"close"))
    path = target if isinstance(target, bytes) else target.encode()
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in given)
    return method.encode() + b" " + path + b" HTTP/1.1\r\n" + head + b"\r\n" + body


def exchange(port: int, octets: bytes, *, method: str = "GET") -> RawAnswer:
    """Send and hear the whole answer; blocks, so not for the loop."""
    with socket.create_connection((HOST, port), timeout=_PATIENCE_SECONDS) as connection:
        # An answer may come, and the connection go, before all of a body too long was sent.
        with contextlib.suppress(ConnectionError):
            connection.sendall(octets)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        body = answer.read()
        return RawAnswer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


async def ask(
    port: int, method: str, target: bytes | str, body: bytes = b"", headers: Iterable[tuple[str, bytes]] = ()
) -> RawAnswer:
    """Ask without holding up the loop."""
    return await asyncio.to_thread(exchange, port, request(method, target, body, headers), method=method)


def assert_calm(records: Sequence[logging.LogRecord]) -> None:
    """No error, no traceback, and no input that breaks a log line in two."""
    loud = [record for record in records if record.levelno >= logging.ERROR or record.exc_info]
    assert not loud, [(record.name, record.getMessage(), record.exc_info) for record in loud]
    for record in records:
        for lines in (JsonLines(), ShortLines()):
            written = lines.format(record)
            assert written.isprintable(), written
