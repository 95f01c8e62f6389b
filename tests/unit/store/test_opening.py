"""Opening the file: with the settings the promises rest on, or with a refusal that says why."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import EdgeError
from easyisp_edge.store import connections
from easyisp_edge.store.connections import BUSY_TIMEOUT_SECONDS, ThreadedDatabase
from easyisp_edge.store.store import Store, running
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime
from tests.unit.shop import TENANT, a_purchase, add_purchase, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.store.store import Tables


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[ThreadedDatabase]:
    database = await ThreadedDatabase.open(path)
    try:
        yield database
    finally:
        await database.close()


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


SETTINGS = {
    "journal_mode": "wal",
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "busy_timeout": int(BUSY_TIMEOUT_SECONDS * 1000),
}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
async def test_settings_hold_on_every_connection(tmp_path: Path, name: str, value: Any) -> None:
    """The writing one, the reading one in the loop, and the one for long reads."""
    async with opened(tmp_path / "edge.sqlite") as database:
        assert await database.write(lambda connection: pragma(connection, name)) == value
        assert await database.survey(lambda connection: pragma(connection, name)) == value
        assert pragma(database.reading, name) == value


async def test_what_is_committed_is_on_the_disk(tmp_path: Path) -> None:
    """The writing connection waits for the disk at each commit: 2 means FULL."""
    async with opened(tmp_path / "edge.sqlite") as database:
        assert await database.write(lambda connection: pragma(connection, "synchronous")) == 2


INTRUSION = "INSERT INTO clock (id, at, boot_id, since_boot) VALUES (1, '', '', 0)"


async def test_reading_connections_cannot_write(tmp_path: Path) -> None:
    """Not by mistake either: SQLite refuses."""
    async with opened(tmp_path / "edge.sqlite") as database:
        assert pragma(database.reading, "query_only") == 1
        assert await database.survey(lambda connection: pragma(connection, "query_only")) == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            database.reading.execute(INTRUSION)
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            await database.survey(lambda connection: connection.execute(INTRUSION))


async def test_what_was_written_is_read_at_once(tmp_path: Path) -> None:
    """As soon as a write returns, both reading connections see it; not a moment sooner."""
    async with open_books(tmp_path) as books:
        seen_inside = await books.store.write(
            lambda tx: (add_purchase(tx, a_purchase()), books.count("purchases"))[1],
        )
        assert seen_inside == 0
        assert books.count("purchases") == 1
        surveyed = await books.store.survey(lambda tables: tables.purchases.by_id(a_purchase().purchase_id))
        assert surveyed is not None
        assert surveyed.tenant_id == TENANT


async def test_what_was_written_is_there_next_time(tmp_path: Path) -> None:
    """Closing and opening again loses nothing."""
    async with open_books(tmp_path) as books:
        await books.store.write(lambda tx: add_purchase(tx, a_purchase()))
    async with open_books(tmp_path) as books:
        assert books.store.read.purchases.by_id(a_purchase().purchase_id) is not None


async def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """The refusal names the path and what must be so."""
    with pytest.raises(EdgeError, match=r"nowhere.*must exist and be writable"):
        await ThreadedDatabase.open(tmp_path / "nowhere" / "edge.sqlite")


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "edge.sqlite"
    path.write_bytes(b"a letter to somebody, by mistake in this place" * 100)
    with pytest.raises(EdgeError) as refused:
        await ThreadedDatabase.open(path)
    assert refused.value.code == "store.damaged"
    assert path.read_bytes().startswith(b"a letter")


async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it fills up while the schema is made, which is then as it was: there is one to go on from."""
    check = connections._check

    def cramped(connection: sqlite3.Connection) -> None:
        check(connection)
        connection.execute("PRAGMA max_page_count = 8")

    path = tmp_path / "edge.sqlite"
    with monkeypatch.context() as full:
        full.setattr(connections, "_check", cramped)
        with pytest.raises(
            EdgeError, match=r"edge\.sqlite: database or disk is full\. Make room on the disk"
        ) as refused:
            await ThreadedDatabase.open(path)
    assert refused.value.code == "store.not_opened"
    async with opened(path) as database:
        assert pragma(database.reading, "user_version") > 0


async def test_an_empty_file_becomes_a_new_database(tmp_path: Path) -> None:
    """As a power cut at the very first start leaves it."""
    (tmp_path / "edge.sqlite").touch()
    async with open_books(tmp_path) as books:
        assert books.count("purchases") == 0


def add_fifty(tx: Tables) -> None:
    for number in range(50):
        add_purchase(tx, a_purchase(purchase_id=f"{number:032}", account_reference=f"R{number}"), f"token-{number}")


@pytest.mark.parametrize("page", [0, 1, 2, 3, 5, 8])
async def test_a_damaged_file_is_refused(tmp_path: Path, page: int) -> None:
    """Whichever part the card lost: the daemon does not sell on a torn book."""
    async with open_books(tmp_path) as books:
        await books.store.write(add_fifty)
    path = tmp_path / "edge.sqlite"
    contents = bytearray(path.read_bytes())
    start = page * 4096 + (100 if page == 0 else 0)  # behind the header: what says it is a database stays
    contents[start : start + 2048] = b"\xa5" * 2048
    path.write_bytes(contents)
    with pytest.raises(EdgeError) as refused:
        await ThreadedDatabase.open(path)
    assert refused.value.code == "store.damaged"


async def test_nothing_is_left_running(tmp_path: Path) -> None:
    """Closed or refused, no thread of a database goes on."""
    before = set(threading.enumerate())
    async with opened(tmp_path / "edge.sqlite"):
        begun = set(threading.enumerate()) - before
    (tmp_path / "odd.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(EdgeError):
        await ThreadedDatabase.open(tmp_path / "odd.sqlite")
    begun |= set(threading.enumerate()) - before
    for thread in begun:
        thread.join(timeout=5)
    assert len(begun) >= 2
    assert not any(thread.is_alive() for thread in begun)


async def test_a_held_snapshot_is_given_up_for_each_write(tmp_path: Path) -> None:
    """Between commits the reading connection holds one snapshot; it is a new one as soon as a write is answered."""
    database = await ThreadedDatabase.open(tmp_path / "edge.sqlite")
    try:
        async with running(Store(database, BoxClock(ManualTime(), None))) as store:
            for number in range(1, 4):
                await asyncio.sleep(0)
                assert store.read.events.head(Stream.MONEY)[0] == number - 1
                await store.write(lambda tx: tx.events.append(Stream.MONEY, "test.written", "x", {}))
                assert store.read.events.head(Stream.MONEY)[0] == number
            await asyncio.sleep(0.01)
            assert database.reading.in_transaction
    finally:
        await database.close()


async def test_the_log_of_changes_starts_over(tmp_path: Path) -> None:
    """The snapshot is given back before each commit: the write-ahead log does not grow with every write for ever."""
    path = tmp_path / "edge.sqlite"
    database = await ThreadedDatabase.open(path)
    try:
        async with running(Store(database, BoxClock(ManualTime(), None))) as store:
            for _ in range(1500):
                store.read.events.head(Stream.MONEY)
                await store.write(lambda tx: tx.events.append(Stream.MONEY, "test.written", "x", {"filler": "y" * 900}))
            # A thousand pages are moved to the database at a time; several times that were written.
            assert path.with_name("edge.sqlite-wal").stat().st_size < 8 * 1024 * 1024
    finally:
        await database.close()
