"""What a thousand boxes that come back at once get from one hub on PostgreSQL: rate, wait, and a fair share.

Each has a backlog of batches, signed beforehand, and sends the next when the one before was acknowledged. Hub, database
and load share all cores, and commits go to the disk.
"""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.bench.measures import at_most, one, percentile
from tests.fakes.hub_stage import (
    HOST,
    enrolled_box,
    fresh_database,
    http_client,
    hub_config,
    postgresql_server,
    run_sql,
    running_hub,
)
from tests.whole.fleet_stage import KilledHub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from tests.bench.books import Past
    from tests.bench.measures import Measure
    from tests.bench.sizes import Sizes
    from tests.fakes.hub_stage import Box

BATCHES, EVENTS = 5, 20  # of a box, and of a batch: what it tells of a day without a hub
_ROWS_EVERY = 4
_ENROLLED_AT_ONCE = 25
_AT = "2026-11-21T06:00:00.000Z"
# Whoever waits so many times as long as most do was passed over for others.
_FAIR = at_most(5)


@dataclass(frozen=True)
class Told:
    """How it went for one box.

    Args:
        waits: Seconds until each batch was acknowledged.
        done_seconds: After which all of them were.
    """

    waits: tuple[float, ...]
    done_seconds: float


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """Once, with as many boxes as a burst has devices."""
    with tempfile.TemporaryDirectory() as place, postgresql_server(Path(place), fsync="on") as server:
        told, seconds = asyncio.run(_fleet(folder, server, sizes.burst))
    waits = [wait for each in told for wait in each.waits]
    done = [each.done_seconds for each in told]
    figure = f"{len(told)} boxes at once, {BATCHES} batches of {EVENTS}"
    yield one(figure, "rate", " events/s", len(waits) * EVENTS / seconds)
    yield one(figure, "batch acknowledged p50", "s", percentile(waits, 0.5))
    yield one(figure, "batch acknowledged p95", "s", percentile(waits, 0.95))
    yield one(figure, "longest wait / p50", "x", max(waits) / percentile(waits, 0.5), _FAIR)
    yield one(figure, "last box done / median box done", "x", max(done) / percentile(done, 0.5))


async def _fleet(folder: Path, server: PostgresqlAddress, count: int) -> tuple[list[Told], float]:
    """What became of each box, and the seconds it took in all; every event is counted at the end."""
    address = await fresh_database(server)
    works = [_requests(box) for box in await _boxes(folder, address, count)]
    hub = KilledHub(folder, address)
    async with hub.loaded():
        await hub.start()
        lines = [await asyncio.open_connection(HOST, hub.port) for _ in works]
        began = time.perf_counter()
        told = await asyncio.gather(*(_send(*line, work, began) for line, work in zip(lines, works, strict=True)))
        seconds = time.perf_counter() - began
        await hub.kill()
    ((stored,),) = await run_sql(address, "SELECT count(*) FROM events")
    if stored != count * BATCHES * EVENTS:
        raise RuntimeError(f"{stored} events are stored")
    return told, seconds


async def _boxes(folder: Path, address: PostgresqlAddress, count: int) -> list[Box]:
    boxes: list[Box] = []
    async with running_hub(hub_config(folder, address)) as hub, http_client() as http:
        while len(boxes) < count:
            several = min(_ENROLLED_AT_ONCE, count - len(boxes))
            boxes += await asyncio.gather(*(enrolled_box(hub, http) for _ in range(several)))
    return boxes


def _requests(box: Box) -> list[bytes]:
    """What a box sends, as octets."""
    return [_request(box, turn * EVENTS + 1) for turn in range(BATCHES)]


def _request(box: Box, first: int) -> bytes:
    for number in range(first, first + EVENTS):
        if number % _ROWS_EVERY == 0:
            row = {"payment_id": f"p{number:032}", "amount_cents": 5000, "created_at": _AT, "disposition": "grant"}
            box.make_rows(payments=[row])
        else:
            box.make(Stream.MONEY, {"amountCents": 5000, "account": "a customer", "purchase": f"{number:032}"})
    body = gzip.compress(b"".join(line + b"\n" for line in box.lines(Stream.MONEY, first, first + EVENTS - 1)), 1)
    path = "/edge/v1/streams/money"
    headers = {**box.headers("POST", path, body, Lane.MONEY), "Content-Encoding": "gzip", "Host": "hub"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, work: list[bytes], began: float) -> Told:
    waits = []
    for request in work:
        sent_at = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        waits.append(time.perf_counter() - sent_at)
    writer.close()
    return Told(tuple(waits), time.perf_counter() - began)
