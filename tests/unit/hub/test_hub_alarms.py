from __future__ import annotations

import gzip
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.sync import BATCH_OCTETS_MOST
from easyisp_edge.hub.alarms import Alarms
from easyisp_edge.hub.batches import unpacked
from easyisp_edge.hub.refusals import RequestRefused
from easyisp_edge.hub.store.database import open_database
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime
from tests.unit.hub.seen import all_alarms

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_first_of_an_hour_is_written_at_once_and_the_others_are_counted(tmp_path: Path) -> None:
    """A flood costs the disk one row and few writes; the next hour begins anew."""
    database = await open_database(SqliteAddress(tmp_path / "hub.sqlite"))
    time = ManualTime()
    alarms = Alarms(database, BoxClock(time, None))
    await alarms.note("one", "signature", "the first")
    assert [(alarm.times, alarm.detail) for alarm in await all_alarms(database)] == [(1, "the first")]
    for turn in range(100):
        await alarms.note("one", "signature", f"\udcff\0{turn}")
    assert [alarm.times for alarm in await all_alarms(database)] == [1]
    await alarms.flush()
    assert [(alarm.times, alarm.detail) for alarm in await all_alarms(database)] == [(101, "\\udcff99")]
    time.advance(timedelta(hours=1).total_seconds())
    await alarms.note("one", "signature", "x" * 10_000)
    later, before = await all_alarms(database)
    assert (later.times, len(later.detail), before.times) == (1, 200, 101)
    await database.close()


async def test_what_cannot_be_written_is_counted_on(tmp_path: Path) -> None:
    """While the database is away nothing is forgotten."""
    path = tmp_path / "hub.sqlite"
    database = await open_database(SqliteAddress(path))
    alarms = Alarms(database, BoxClock(ManualTime(), None))
    async with database.transaction() as tx:
        await tx.rows("ALTER TABLE alarms RENAME TO away")
    for _ in range(3):
        await alarms.note("one", "signature")
    await alarms.flush()
    async with database.transaction() as tx:
        await tx.rows("ALTER TABLE away RENAME TO alarms")
    await alarms.flush()
    assert [alarm.times for alarm in await all_alarms(database)] == [3]
    await database.close()


def test_a_bomb_is_not_unpacked() -> None:
    """A body that holds a thousand times what it may costs no more memory than one that may come."""
    bomb = gzip.compress(bytes(200 * BATCH_OCTETS_MOST))
    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused):
            unpacked(bomb, "gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * BATCH_OCTETS_MOST


PACKED = gzip.compress(b"x", mtime=0)


@pytest.mark.parametrize("body", [b"", b"x", PACKED[:-1], PACKED + b"y"])
def test_half_a_gzip_is_none(body: bytes) -> None:
    """Nor is one with something behind it."""
    with pytest.raises(RequestRefused):
        unpacked(body, "gzip")
    with pytest.raises(RequestRefused):
        unpacked(gzip.compress(b"x"), "br")
    assert unpacked(b"x", None) == b"x"
