"""What a hub takes a second with PostgreSQL, beside plain INSERTs of the same rows.

All have all cores in turn, are warm when the clock starts, and commit a batch on the disk before the next one of its
box; 32 boxes send at once. Tables and indexes are the same. All write the same events, and the payments that every
fourth of them tells:

- *INSERTs* come by a connection a box, in one transaction a batch, and write nothing else.
- *All rows* are these, and the row of the stream that a hub moves with every batch: its last number, its digest, the
  counter of its lane. An event alone takes one statement, so that no exchange is wasted.
- *Hubs* write all rows by two connections each, and for it they read requests, judge signatures and the chain, and
  sign answers. Batches of several boxes that come at once share a transaction, which those of the others cannot.

CPU time is of the database and of who writes to it; who sends to a hub is a stand-in for boxes, and is left out. Where
others use the machine too, 32 connections gain by it, since each gets its share, and a hub is one process: look at the
CPU time then.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import asyncpg  # type: ignore[import-untyped]

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.bench.measures import Measure, Spread, at_least
from tests.fakes.hub_stage import (
    HOST,
    enrolled_box,
    fresh_database,
    http_client,
    hub_config,
    postgresql_server,
    running_hub,
    write_config,
)
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from tests.bench.books import Past
    from tests.bench.sizes import Sizes
    from tests.fakes.hub_stage import Box

BATCHES = (1, 10, 100)
HUBS = (1, 2)
_INSERTS, _ALL_ROWS = "INSERTs", "all rows"
_BOXES = 32
_EVENTS_A_SECOND = {1: 1500, 10: 8000, 100: 25_000}  # about so many, so that a round takes about its seconds
_ROWS_EVERY = 4
_TARGET = at_least(0.5)
_EVENT = "INSERT INTO events VALUES ($1, $2, $3, $4, $5, $6, $7)"
_STREAM = (
    "UPDATE streams SET counter = $3, seen_at = $4, last = $5, head = $6, received_at = $4"
    " WHERE site_id = $1 AND stream = $2"
)
_EVENT_AND_STREAM = (
    "WITH moved AS (UPDATE streams SET counter = $8, seen_at = $7, last = $3, head = $5, received_at = $7"
    " WHERE site_id = $1 AND stream = $2) INSERT INTO events VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_PAYMENT = (
    "INSERT INTO payments (site_id, row_key, seq, disposition, amount_cents, created_at, body)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_AT = "2026-11-21T06:00:00.000Z"
_COMMAND = (
    "import argparse, sys; from easyisp_edge.commands import hub; parser = argparse.ArgumentParser();"
    " hub.add_parser(parser.add_subparsers()); args = parser.parse_args(); sys.exit(args.run(args))"
)


@dataclass(frozen=True)
class Work:
    """What one box sends: requests as octets, and the rows they hold."""

    requests: Sequence[bytes]
    batches: Sequence[tuple[list[tuple[object, ...]], list[tuple[object, ...]]]]


class Taken(NamedTuple):
    """What a round took.

    Args:
        rate: Events a second.
        cpu_us: Microseconds of all cores an event: of the database, and of who writes to it.
    """

    rate: float
    cpu_us: float


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """Events a second by the size of batches, with one hub and with two on one database."""
    with tempfile.TemporaryDirectory() as place, postgresql_server(Path(place), fsync="on") as server:
        stage = Stage(folder, server, int((Path(place) / "data" / "postmaster.pid").read_text().split()[0]))
        for size in BATCHES:
            plain: dict[str, list[Taken]] = {_INSERTS: [], _ALL_ROWS: []}
            hubs: dict[int, list[Taken]] = {count: [] for count in HUBS}
            for _ in range(sizes.rounds):
                for rows, taken in plain.items():
                    taken.append(asyncio.run(_plain(stage, size, sizes.seconds, streams=rows == _ALL_ROWS)))
                for count, taken in hubs.items():
                    taken.append(asyncio.run(_hubs(stage, size, sizes.seconds, count)))
            for rows, rounds in plain.items():
                yield from _told(f"{rows}, batches of {size}", rounds)
            for count, rounds in hubs.items():
                figure = f"{count} hub{'s' * (count > 1)}, batches of {size}"
                yield from _told(figure, rounds)
                for rows, beside in plain.items():
                    yield from _compared(figure, rounds, rows, beside)


def _compared(figure: str, rounds: Sequence[Taken], rows: str, beside: Sequence[Taken]) -> Iterator[Measure]:
    pairs = list(zip(rounds, beside, strict=True))
    ratio = Spread.of(one.rate / bare.rate for one, bare in pairs)
    yield Measure(figure, f"rate / {rows}", "x", ratio, _TARGET)
    ratio = Spread.of(bare.cpu_us / one.cpu_us for one, bare in pairs if one.cpu_us)
    yield Measure(figure, f"CPU time of {rows} / its own", "x", ratio)


def _told(figure: str, rounds: Sequence[Taken]) -> Iterator[Measure]:
    yield Measure(figure, "rate", " events/s", Spread.of(taken.rate for taken in rounds))
    yield Measure(figure, "CPU time", " µs/event", Spread.of(taken.cpu_us for taken in rounds))


@dataclass(frozen=True)
class Stage:
    """Where it takes place.

    Args:
        folder: For the hubs.
        server: The database's.
        postmaster: The id of its first process.
    """

    folder: Path
    server: PostgresqlAddress
    postmaster: int

    def cpu_seconds(self, *processes: int) -> float:
        """What the database and some processes have taken of all cores; of the database's, those that live."""
        return sum(_cpu_seconds(process) for process in (self.postmaster, *_children(self.postmaster), *processes))


def _children(process: int) -> list[int]:
    return [int(name) for name in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _cpu_seconds(process: int) -> float:
    """To the nanosecond: in `stat` the work of many that do little each is rounded away. Of none that has ended."""
    with contextlib.suppress(OSError):
        spent = [int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{process}/task").iterdir()]
        return sum(spent) / 1e9
    return 0.0


@contextlib.asynccontextmanager
async def _staged(
    folder: Path, server: PostgresqlAddress, size: int, seconds: float
) -> AsyncIterator[tuple[PostgresqlAddress, list[Work]]]:
    """A fresh database with sites, and what their boxes are going to send."""
    address = await fresh_database(server)
    async with running_hub(hub_config(folder, address)) as hub, http_client() as http:
        boxes = [await enrolled_box(hub, http) for _ in range(_BOXES)]
    batches = 1 + max(2, round(_EVENTS_A_SECOND[size] * seconds / size / _BOXES))
    yield address, [_work(box, size, batches) for box in boxes]


def _work(box: Box, size: int, batches: int) -> Work:
    requests, rows = [], []
    for turn in range(batches):
        for number in range(turn * size + 1, (turn + 1) * size + 1):
            if number % _ROWS_EVERY == 0:
                box.make_rows(payments=[_payment(number)])
            else:
                box.make(Stream.MONEY, {"amountCents": 5000, "account": "a customer", "purchase": f"{number:032}"})
        events = box.streams[Stream.MONEY][turn * size : (turn + 1) * size]
        requests.append(_request(box, gzip.compress(b"".join(event.body + b"\n" for event in events), 1)))
        lines: list[tuple[object, ...]] = [
            (box.site, "money", event.sequence, 1, event.digest, event.body, _AT) for event in events
        ]
        books: list[tuple[object, ...]] = [
            (
                box.site,
                f"p{event.sequence:032}",
                event.sequence,
                "grant",
                5000,
                _AT,
                json.dumps(_payment(event.sequence)),
            )
            for event in events
            if event.type == "rows"
        ]
        rows.append((lines, books))
    return Work(requests, rows)


def _payment(number: int) -> dict[str, object]:
    return {"payment_id": f"p{number:032}", "amount_cents": 5000, "created_at": _AT, "disposition": "grant"}


def _request(box: Box, body: bytes) -> bytes:
    path = "/edge/v1/streams/money"
    headers = {**box.headers("POST", path, body, Lane.MONEY), "Content-Encoding": "gzip", "Host": "hub"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _plain(stage: Stage, size: int, seconds: float, *, streams: bool) -> Taken:
    """What it takes where nothing stands between them and the database."""
    async with _staged(stage.folder, stage.server, size, seconds) as (address, works):
        settings = {
            "host": address.host, "port": address.port, "user": address.user, "password": address.password,
            "database": address.name,
        }  # fmt: skip
        connections = [await asyncpg.connect(**settings) for _ in works]
        await asyncio.gather(
            *(_insert(*one, slice(1), streams=streams) for one in zip(connections, works, strict=True))
        )
        busy, began = stage.cpu_seconds(os.getpid()), time.perf_counter()
        pairs = zip(connections, works, strict=True)
        await asyncio.gather(*(_insert(*one, slice(1, None), streams=streams) for one in pairs))
        took, busy = time.perf_counter() - began, stage.cpu_seconds(os.getpid()) - busy
        for connection in connections:
            await connection.close()
    return Taken(_counted(works) / took, busy / _counted(works) * 1e6)


def _counted(works: Sequence[Work]) -> int:
    """Events but for each box's first batch, after which both are warm."""
    return sum(len(lines) for work in works for lines, _ in work.batches[1:])


async def _insert(connection: asyncpg.Connection, work: Work, part: slice, *, streams: bool) -> None:
    for counter, (lines, books) in enumerate(work.batches[part], start=2):
        last = lines[-1]
        if len(lines) == 1 and not books:
            await connection.execute(*((_EVENT_AND_STREAM, *last, counter) if streams else (_EVENT, *last)))
            continue
        async with connection.transaction():
            if streams:
                await connection.execute(_STREAM, last[0], last[1], counter, last[6], last[2], last[4])
            await connection.executemany(_EVENT, lines)
            if books:
                await connection.executemany(_PAYMENT, books)


async def _hubs(stage: Stage, size: int, seconds: float, count: int) -> Taken:
    """What so many hubs take, until all is acknowledged."""
    async with _staged(stage.folder, stage.server, size, seconds) as (address, works):
        ports = [free_port() for _ in range(count)]
        hubs = [_start(stage.folder, address, port) for port in ports]
        processes = [hub.pid for hub in hubs]
        try:
            await asyncio.gather(*(_opened(port) for port in ports))
            senders = [await _connected(ports[place % count]) for place, _ in enumerate(works)]
            await asyncio.gather(*(sender.send(work, slice(1)) for sender, work in zip(senders, works, strict=True)))
            busy, began = stage.cpu_seconds(*processes), time.perf_counter()
            await asyncio.gather(*(one.send(work, slice(1, None)) for one, work in zip(senders, works, strict=True)))
            took, busy = time.perf_counter() - began, stage.cpu_seconds(*processes) - busy
            for sender in senders:
                sender.close()
        finally:
            for hub in hubs:
                hub.terminate()
                hub.wait(20)
    return Taken(_counted(works) / took, busy / _counted(works) * 1e6)


def _start(folder: Path, address: PostgresqlAddress, port: int) -> subprocess.Popen[bytes]:
    own = folder / str(port)
    own.mkdir()
    shutil.copy(folder / "hub.key", own)
    config = write_config(own, address, port)
    command = [sys.executable, "-c", _COMMAND, "hub", "run", "--config", str(config), "--log-level", "warning"]
    return subprocess.Popen(command, env=os.environ)


async def _connected(port: int) -> _Sender:
    _, sender = await asyncio.get_running_loop().create_connection(_Sender, HOST, port)
    return sender


async def _opened(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


class _Sender(asyncio.Protocol):
    """A box: sends one request after the other, each when the one before was acknowledged."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport
        self._requests: Iterator[bytes] = iter(())
        self._done = asyncio.get_running_loop().create_future()
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        if not found or len(body) < _length_of(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(RuntimeError(self._heard.decode()))
            return
        self._heard = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("The hub hung up."))

    async def send(self, work: Work, part: slice) -> None:
        """Send requests until all are acknowledged."""
        self._requests, self._done = iter(work.requests[part]), asyncio.get_running_loop().create_future()
        self._next()
        await self._done

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._done.set_result(None)
        else:
            self._transport.write(request)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _length_of(head: bytes) -> int:
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
