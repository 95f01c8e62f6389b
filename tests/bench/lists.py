"""Lists, statistics and the export of payments: what a hundred times as many payments cost more.

Two stores with a year's payments each, behind a process each that serves the back office's own handlers. Both are
asked the same in turn, so that a slow spell of the machine strikes both.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.bench.http_load import drive, fetch
from tests.bench.many_payments import ManyPayments
from tests.bench.measures import Measure, Spread, at_most, one, percentile
from tests.bench.processes import HOST, LOAD_CORE, SERVER_CORE, BenchError, Server, on_core, own_module
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.sizes import Sizes

_TIMES_AS_MANY = 100
_PAGE = 20
_RATIO_TARGET, _MEMORY_TARGET_MB = at_most(1.5), at_most(20)
_LOOKED_EVERY_OCTETS = 1 << 22
_IN_EACH_ROW = b"+03:00,"


@dataclass(frozen=True, slots=True)
class Asked:
    """Books behind a server."""

    books: ManyPayments
    server: Server
    port: int


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """How much longer each answer takes, and what the export takes of memory."""
    few, many = sizes.grants, sizes.grants * _TIMES_AS_MANY
    begun = time.perf_counter()
    written = [ManyPayments.write(folder / f"{count}.sqlite", count) for count in (few, many)]
    yield one(f"books of {few} and {many} payments", "written after", "s", time.perf_counter() - begun)
    with contextlib.ExitStack() as stack:
        small, large = (_served(stack, books) for books in written)
        stack.enter_context(on_core(LOAD_CORE))
        for name, words_of in _QUESTIONS.items():
            yield from _compared(name, words_of, small, large, sizes)
        yield from _exported(large)


def _served(stack: contextlib.ExitStack, books: ManyPayments) -> Asked:
    port = free_port()
    command = own_module("lists_server", str(port), str(books.path))
    return Asked(books, stack.enter_context(Server(command, core=SERVER_CORE)), port)


def _request(words: str, more: str = "") -> bytes:
    head = f"GET /api/payments/{words} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer bench\r\n"
    return f"{head}{more}\r\n".encode()


def _middle(asked: Asked) -> Iterator[str]:
    pages = asked.books.count // _PAGE
    for number in itertools.count():
        yield f"electronic?page={pages // 2 + number % max(1, pages // 4) + 1}"


def _by_cursor(asked: Asked) -> Iterator[str]:
    answer = fetch(asked.port, _request(f"electronic?page={asked.books.count // _PAGE // 2}"))
    cursor = answer.partition(b'"nextCursor":"')[2].partition(b'"')[0].decode()
    yield from itertools.repeat(f"electronic?cursor={quote(cursor)}")


def _spread(asked: Asked) -> Iterator[int]:
    """Numbers of payments all over the year."""
    for number in itertools.count():
        yield number * 7919 % asked.books.count


_QUESTIONS: dict[str, Callable[[Asked], Iterator[str]]] = {
    "first page": lambda _asked: itertools.repeat("electronic"),
    "page in the middle": _middle,
    "page by cursor": _by_cursor,
    "refunded, first page": lambda _asked: itertools.repeat("electronic?status=refunded"),
    "failed, first page": lambda _asked: itertools.repeat("electronic?status=failed"),
    "search by receipt": lambda asked: (f"electronic?search={asked.books.receipt(each)}" for each in _spread(asked)),
    "search by phone": lambda asked: (f"electronic?search=0{asked.books.phone(each)[3:]}" for each in _spread(asked)),
    "statistics": lambda _asked: itertools.repeat("mpesa/stats"),
}


def _compared(
    name: str, words_of: Callable[[Asked], Iterator[str]], small: Asked, large: Asked, sizes: Sizes
) -> Iterator[Measure]:
    words = {asked.port: words_of(asked) for asked in (small, large)}
    rounds: list[tuple[float, float]] = []
    for _ in range(sizes.rounds):
        few, many = (_median(asked, words[asked.port], sizes.seconds) for asked in (small, large))
        rounds.append((few, many))
    yield Measure(name, "p50, few", "ms", Spread.of(few * 1000 for few, _ in rounds))
    yield Measure(name, "p50, a hundred times as many", "ms", Spread.of(many * 1000 for _, many in rounds))
    yield Measure(name, "ratio", "x", Spread.of(many / few for few, many in rounds), _RATIO_TARGET)


def _median(asked: Asked, words: Iterator[str], seconds: float) -> float:
    load = drive(asked.port, lambda _number: map(_request, words), connections=1, seconds=seconds)
    return percentile(load.latencies, 0.5)


def _exported(asked: Asked) -> Iterator[Measure]:
    """All payments as CSV: what the server's memory grows by, and how long it takes."""
    before, peak, rows, begun = asked.server.resident_mb(), 0.0, 0, time.perf_counter()
    for octets in _stream(asked.port, _request("export.csv", "Connection: close\r\n")):
        rows += octets.count(_IN_EACH_ROW)
        peak = max(peak, asked.server.resident_mb())
    if rows != asked.books.count:
        raise BenchError(f"{rows} rows of {asked.books.count} were handed out")
    figure = f"{asked.books.count} payments as CSV"
    yield one(figure, "memory beyond that of before", "MB", max(0.0, peak - before), _MEMORY_TARGET_MB)
    yield one(figure, "seconds", "s", time.perf_counter() - begun)


def _stream(port: int, request: bytes) -> Iterator[bytes]:
    """What is answered, in pieces of whole lines, until it ends."""
    with socket.create_connection((HOST, port), timeout=60) as connection:
        connection.sendall(request)
        held = b""
        while octets := connection.recv(1 << 18):
            held += octets
            if len(held) > _LOOKED_EVERY_OCTETS:
                whole, _, held = held.rpartition(b"\n")
                yield whole
        yield held
