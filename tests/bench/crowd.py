"""After a power cut: the daemon has just started, and every phone around opens the first page in the same moment.

Each comes by a connection of its own, and its time runs from the moment all of them begin. A bare aiohttp, started as
freshly and asked for a short JSON in the same way, tells what the machine has to give.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING

from tests.bench import http_load
from tests.bench.measures import Measure, Spread, at_least, at_most, one, percentile
from tests.bench.processes import CORES, HOST, LOAD_CORE, SERVER_CORE, BenchError, Server, on_core, own_module
from tests.bench.site import ROUTER, Site
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.measures import Target
    from tests.bench.sizes import Sizes

PHONES_MOST = 500
BARE = "bare aiohttp JSON"
_P95_TARGET_MS = at_most(250)
_SILENCE_SECONDS = 15.0
_HEAD_END, _LENGTH = b"\r\n\r\n", b"Content-Length: "


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """How many of the crowd are served, and how soon; the daemon beside a bare server."""
    phones = min(PHONES_MOST, sizes.burst)
    pages = [http_load.get(_first_page(number)) for number in range(phones)]
    shorts = [http_load.get("/json")] * phones
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    for turn in range(sizes.rounds):
        site, port = Site.lay_out(folder / f"site-{turn}", "radius", past.path), free_port()
        # Each is a process that has answered nobody yet.
        with site.run():
            ours.append(_arrive(site.ports.portal, pages, b"package=1h"))
        with Server(own_module("bare_http", str(port), str(folder / f"bare-{turn}.sqlite")), core=SERVER_CORE):
            bare.append(_arrive(port, shorts, b"completed"))
    yield one("a crowd", "phones", "", phones)
    yield one("a crowd", "cores", "", len(CORES))
    yield from _told(BARE, bare, phones)
    yield from _told("first page", ours, phones, _P95_TARGET_MS)
    ratios = (percentile(mine, 0.95) / percentile(theirs, 0.95) for mine, theirs in zip(ours, bare, strict=True))
    yield Measure("first page", f"p95 / {BARE}", "x", Spread.of(ratios))


def _told(name: str, rounds: list[list[float]], phones: int, target: Target | None = None) -> Iterator[Measure]:
    yield Measure(name, "served", "", Spread.of(len(times) for times in rounds), at_least(phones))
    for share, said, wanted in ((0.5, "p50", None), (0.95, "p95", target), (1.0, "longest", None)):
        yield Measure(name, said, "ms", Spread.of(percentile(times, share) * 1000 for times in rounds), wanted)


def _first_page(number: int) -> str:
    """What the device of that number opens: it never bought anything."""
    return f"/?router={ROUTER}&mac=06:00:00:00:{number >> 8:02X}:{number & 255:02X}&ip=10.5.{50 + (number >> 8)}.9"


class _Phone:
    """A connection that is being made, and what comes on it."""

    def __init__(self, port: int, request: bytes) -> None:
        self._request, self._come = request, b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect((HOST, port))

    def send(self) -> None:
        """The connection stands: ask."""
        if self.socket.send(self._request) != len(self._request):
            raise BenchError("a request did not go out whole")

    def served(self, expect: bytes) -> bool:
        """Take what has come; whether the answer is whole."""
        octets = self.socket.recv(65536)
        if not octets:
            raise BenchError(f"the connection was closed after {self._come[:200]!r}")
        self._come += octets
        head, found, body = self._come.partition(_HEAD_END)
        if not found or len(body) < int(head.partition(_LENGTH)[2].partition(b"\r")[0]):
            return False
        if not head.startswith(b"HTTP/1.1 200") or expect not in body:
            raise BenchError(f"an answer without {expect!r}: {self._come[:600]!r}")
        return True


def _arrive(port: int, requests: list[bytes], expect: bytes) -> list[float]:
    """All come at once, each with its request; the seconds until each had its answer.

    Raises:
        BenchError: One was sent away, answered otherwise, or not at all.
    """
    times: list[float] = []
    with on_core(LOAD_CORE), contextlib.ExitStack() as stack:
        poll = stack.enter_context(contextlib.closing(select.epoll()))
        begun = time.perf_counter()
        phones = {}
        for request in requests:
            phone = _Phone(port, request)
            stack.callback(phone.socket.close)
            phones[phone.socket.fileno()] = phone
            poll.register(phone.socket, select.EPOLLOUT)
        while len(times) < len(requests):
            events = poll.poll(_SILENCE_SECONDS)
            if not events:
                raise BenchError(f"{len(requests) - len(times)} of {len(requests)} were not served")
            for descriptor, kind in events:
                phone = phones[descriptor]
                if kind & select.EPOLLOUT:
                    phone.send()
                    poll.modify(descriptor, select.EPOLLIN)
                elif phone.served(expect):
                    times.append(time.perf_counter() - begun)
                    poll.unregister(descriptor)
    return times
