"""The store's shared commits beside a commit for each, with the same work on the same schema."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, Tables, running
from easyisp_edge.system import SystemTime
from easyisp_edge.timekeeping import BoxClock
from tests.bench.measures import Measure, Spread, at_least, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.sizes import Sizes

CALLERS = (1, 32, 256)
_SHARED_TARGET = {32: at_least(5)}
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Span:
    """Transactions of some time."""

    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Transactions a second."""
        return len(self.latencies) / self.seconds


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """Transactions a second, by how many wait at once."""
    each_file, shared_file = folder / "each.sqlite", folder / "shared.sqlite"
    asyncio.run(_make(each_file))
    spans: dict[int, list[tuple[Span, Span]]] = {callers: [] for callers in CALLERS}
    for _ in range(sizes.rounds):
        for callers, rounds in spans.items():
            rounds.append(
                (_commit_each(each_file, sizes.seconds), asyncio.run(_commit(shared_file, callers, sizes.seconds)))
            )
    bare = [each for rounds in spans.values() for each, _ in rounds]
    yield Measure("commit for each, plain sqlite3", "rate", "/s", Spread.of(span.rate for span in bare))
    for callers, rounds in spans.items():
        figure, target = f"store, {callers} callers", _SHARED_TARGET.get(callers)
        ratios = Spread.of(ours.rate / each.rate for each, ours in rounds)
        yield Measure(figure, "rate", "/s", Spread.of(ours.rate for _, ours in rounds))
        yield Measure(figure, "rate / commit for each", "x", ratios, target)
        p99 = Spread.of(percentile(ours.latencies, 0.99) * 1000 for _, ours in rounds)
        yield Measure(figure, "p99", "ms", p99)


def _work(tx: Tables) -> None:
    tx.events.append(Stream.MONEY, "payment.booked", f"{next(_numbers):032}", {"amountCents": 5000, "account": "X"})


async def _make(path: Path) -> None:
    await (await ThreadedDatabase.open(path)).close()


def _commit_each(path: Path, seconds: float) -> Span:
    """What one gets without a store: begin, work, commit, one after the other."""
    connection = sqlite3.connect(path, isolation_level=None)
    latencies: list[float] = []
    with contextlib.closing(connection):
        connection.execute("PRAGMA synchronous=FULL")
        clock = BoxClock(SystemTime(), None)
        tables = Tables(connection, clock)
        started_at = now = time.perf_counter()
        while now < started_at + seconds:
            connection.execute("BEGIN IMMEDIATE")
            _work(tables)
            tables.clock.write_down(clock.mark())
            connection.execute("COMMIT")
            before, now = now, time.perf_counter()
            latencies.append(now - before)
    return Span(now - started_at, latencies)


async def _commit(path: Path, callers: int, seconds: float) -> Span:
    database = await ThreadedDatabase.open(path)
    latencies: list[float] = []

    async def call(store: Store, until: float) -> None:
        while (begun := time.perf_counter()) < until:
            await store.write(_work)
            latencies.append(time.perf_counter() - begun)

    try:
        async with running(Store(database, BoxClock(SystemTime(), None))) as store:
            started_at = time.perf_counter()
            await asyncio.gather(*(call(store, started_at + seconds) for _ in range(callers)))
            took = time.perf_counter() - started_at
    finally:
        await database.close()
    return Span(took, latencies)
