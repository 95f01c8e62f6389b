"""What a hub takes a second with PostgreSQL, beside plain INSERTs of the same rows by as many connections.

Both have all cores to themselves in turn, commits on the disk, and write the same lines and rows of the books.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
_BOXES = 32
_EVENTS_A_SECOND = {1: 1500, 10: 8000, 100: 25_000}  # about so many, so that a round takes about its seconds
_ROWS_EVERY = 4
_TARGET = at_least(0.5)
_PLAIN = """
CREATE TABLE plain_events (site_id TEXT, stream TEXT, seq BIGINT, epoch BIGINT, digest BYTEA, body BYTEA,
  received_at TEXT, PRIMARY KEY (site_id, stream, seq));
CREATE TABLE plain_payments (site_id TEXT, row_key TEXT, seq BIGINT, body TEXT, PRIMARY KEY (site_id, row_key));
"""
_EVENT = "INSERT INTO plain_events VALUES ($1, $2, $3, $4, $5, $6, $7)"
_PAYMENT = "INSERT INTO plain_payments VALUES ($1, $2, $3, $4)"
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


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """Events a second by the size of batches, with one hub and with two on one database."""
    with tempfile.TemporaryDirectory() as place, postgresql_server(Path(place), fsync="on") as server:
        for size in BATCHES:
            plain, hubs = [], {count: [] for count in HUBS}  # type: ignore[var-annotated]
            for _ in range(sizes.rounds):
                plain.append(asyncio.run(_plain(folder, server, size, sizes.seconds)))
                for count in HUBS:
                    hubs[count].append(asyncio.run(_hubs(folder, server, size, sizes.seconds, count)))
            yield Measure(f"plain INSERTs of {size}", "rate", " events/s", Spread.of(plain))
            for count, rates in hubs.items():
                figure = f"{count} hub{'s' * (count > 1)}, batches of {size}"
                yield Measure(figure, "rate", " events/s", Spread.of(rates))
                ratio = Spread.of(rate / bare for rate, bare in zip(rates, plain, strict=True))
                yield Measure(figure, "rate / plain INSERTs", "x", ratio, _TARGET)


@contextlib.asynccontextmanager
async def _staged(
    folder: Path, server: PostgresqlAddress, size: int, seconds: float
) -> AsyncIterator[tuple[PostgresqlAddress, list[Work]]]:
    """A fresh database with sites, and what their boxes are going to send."""
    address = await fresh_database(server)
    async with running_hub(hub_config(folder, address)) as hub, http_client() as http:
        boxes = [await enrolled_box(hub, http) for _ in range(_BOXES)]
    batches = max(2, round(_EVENTS_A_SECOND[size] * seconds / size / _BOXES))
    yield address, [_work(box, size, batches) for box in boxes]


def _work(box: Box, size: int, batches: int) -> Work:
    requests, rows = [], []
    for turn in range(batches):
        for number in range(turn * size + 1, (turn + 1) * size + 1):
            if number % _ROWS_EVERY == 0:
                row = {"payment_id": f"p{number:032}", "amount_cents": 5000, "created_at": _AT, "disposition": "grant"}
                box.make_rows(payments=[row])
            else:
                box.make(Stream.MONEY, {"amountCents": 5000, "account": "a customer", "purchase": f"{number:032}"})
        events = box.streams[Stream.MONEY][turn * size : (turn + 1) * size]
        requests.append(_request(box, gzip.compress(b"".join(event.body + b"\n" for event in events), 1)))
        lines: list[tuple[object, ...]] = [
            (box.site, "money", event.sequence, 1, event.digest, event.body, _AT) for event in events
        ]
        books: list[tuple[object, ...]] = [
            (box.site, f"p{event.sequence:032}", event.sequence, event.body.decode())
            for event in events
            if event.type == "rows"
        ]
        rows.append((lines, books))
    return Work(requests, rows)


def _request(box: Box, body: bytes) -> bytes:
    path = "/edge/v1/streams/money"
    headers = {**box.headers("POST", path, body, Lane.MONEY), "Content-Encoding": "gzip", "Host": "hub"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _plain(folder: Path, server: PostgresqlAddress, size: int, seconds: float) -> float:
    """Rows a second where nothing stands between them and the database."""
    async with _staged(folder, server, size, seconds) as (address, works):
        settings = {
            "host": address.host, "port": address.port, "user": address.user, "password": address.password,
            "database": address.name,
        }  # fmt: skip
        connections = [await asyncpg.connect(**settings) for _ in works]
        await connections[0].execute(_PLAIN)
        began = time.perf_counter()
        await asyncio.gather(*map(_insert, connections, works))
        took = time.perf_counter() - began
        for connection in connections:
            await connection.close()
    return sum(len(lines) for work in works for lines, _ in work.batches) / took


async def _insert(connection: asyncpg.Connection, work: Work) -> None:
    for lines, books in work.batches:
        if len(lines) == 1 and not books:
            await connection.execute(_EVENT, *lines[0])
            continue
        async with connection.transaction():
            await connection.executemany(_EVENT, lines)
            if books:
                await connection.executemany(_PAYMENT, books)


async def _hubs(folder: Path, server: PostgresqlAddress, size: int, seconds: float, count: int) -> float:
    """Events a second that so many hubs acknowledged."""
    async with _staged(folder, server, size, seconds) as (address, works):
        ports = [free_port() for _ in range(count)]
        hubs = [_start(folder, address, port) for port in ports]
        try:
            await asyncio.gather(*(_opened(port) for port in ports))
            began = time.perf_counter()
            await asyncio.gather(*(_send(ports[place % count], work) for place, work in enumerate(works)))
            took = time.perf_counter() - began
        finally:
            for hub in hubs:
                hub.terminate()
                hub.wait(20)
    return sum(len(lines) for work in works for lines, _ in work.batches) / took


def _start(folder: Path, address: PostgresqlAddress, port: int) -> subprocess.Popen[bytes]:
    own = folder / str(port)
    own.mkdir()
    (own / "hub.key").write_bytes((folder / "hub.key").read_bytes())
    config = write_config(own, address, port)
    command = [sys.executable, "-c", _COMMAND, "hub", "run", "--config", str(config), "--log-level", "warning"]
    return subprocess.Popen(command, env=os.environ)


async def _opened(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def _send(port: int, work: Work) -> None:
    """Send one request after the other, each when the one before was acknowledged."""
    reader, writer = await asyncio.open_connection(HOST, port)
    for request in work.requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
