"""Writes share commits, and nobody is told of one that was not."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import ConflictError, UnavailableError
from easyisp_edge.store import migrations
from easyisp_edge.store.store import COMMIT_SHARED_MAX, WAITING_MAX, Store, Tables, running
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime, settle_down, until
from tests.unit.shop import a_purchase, add_purchase, open_books

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class _RefusingConnection(sqlite3.Connection):
    """Fails at a statement when told to, as a full or dying disk does."""

    refusal: sqlite3.Error | None = None
    at = "COMMIT"
    slow: tuple[threading.Event, threading.Event] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self.slow is not None and sql.startswith(self.at):
            begun, go_on = self.slow
            begun.set()
            go_on.wait(timeout=5)
        if self.refusal is not None and sql.startswith(self.at):
            raise self.refusal
        return super().execute(sql, parameters)


class WatchedDatabase:
    """A `Database` in memory that writes down each statement, and lets nobody write while its gate is shut."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=_RefusingConnection
        )
        migrations.migrate(self.connection)
        # A connection of its own, as in a real database: the store holds a transaction open on it between commits.
        self.reading = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrations.migrate(self.reading)
        self.history: list[str] = []
        self.connection.set_trace_callback(self.history.append)
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await self.gate.wait()
        return work(self.connection)

    async def survey(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self.connection)

    async def close(self) -> None:
        self.reading.close()
        self.connection.close()

    @property
    def commits(self) -> int:
        return self.history.count("COMMIT")

    def keys(self) -> list[str]:
        """What was written, in order."""
        return [row[0] for row in self.connection.execute("SELECT key FROM events ORDER BY sequence")]


def make_store(database: WatchedDatabase) -> Store:
    return Store(database, BoxClock(ManualTime(), None))


def note(key: str) -> Callable[[Tables], str]:
    """A piece of work that leaves a trace under that key."""

    def work(tx: Tables) -> str:
        tx.events.append(Stream.USAGE, "tick", key, {})
        return key

    return work


def fail_after(key: str, error: Exception) -> Callable[[Tables], None]:
    """A piece of work that leaves a trace and then fails."""

    def work(tx: Tables) -> None:
        note(key)(tx)
        raise error

    return work


async def test_a_write_returns_what_its_work_returned() -> None:
    """Alone, it has a commit of its own."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        assert await store.write(note("one")) == "one"
    assert (database.keys(), database.commits) == (["one"], 1)


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    """Fifty that come while one is under way take one commit more, in the order they came."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        database.gate.clear()
        first = asyncio.create_task(store.write(note("first")))
        await settle_down()
        others = [asyncio.create_task(store.write(note(f"{number:02}"))) for number in range(50)]
        await settle_down()
        database.gate.set()
        assert await asyncio.gather(first, *others) == database.keys()
    assert database.commits == 2


async def test_a_crowd_is_shared_out() -> None:
    """No commit is shared by more than its bound, so that nobody waits long behind a crowd."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        await asyncio.gather(*(store.write(note(str(number))) for number in range(COMMIT_SHARED_MAX * 2 + 1)))
    assert database.commits == 3
    assert len(database.keys()) == COMMIT_SHARED_MAX * 2 + 1


async def test_nobody_is_answered_before_the_commit() -> None:
    """Not even the first of many: what an answer rests on is on the disk."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        writes = [asyncio.create_task(store.write(note(str(number)))) for number in range(5)]
        for write in writes:
            write.add_done_callback(lambda _: database.history.append("answered"))
        await asyncio.gather(*writes)
        await settle_down()
    assert database.history.count("answered") == 5
    assert database.history.index("answered") > database.history.index("COMMIT")


class ThreadedWatchedDatabase(WatchedDatabase):
    """The same, writing in a thread of its own as the real one does."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(work, self.connection)


async def test_nobody_is_answered_while_the_commit_is_under_way() -> None:
    """All the work is done, only the disk has not said yes yet: that is still no answer."""
    database = ThreadedWatchedDatabase()
    begun, go_on = threading.Event(), threading.Event()
    database.connection.slow = (begun, go_on)
    async with running(make_store(database)) as store:
        writes = [asyncio.create_task(store.write(note(str(number)))) for number in range(3)]
        await until(begun.is_set)
        await settle_down()
        assert not any(write.done() for write in writes)
        go_on.set()
        assert await asyncio.gather(*writes) == ["0", "1", "2"]


async def test_nobody_is_answered_while_the_disk_is_slow(tmp_path: Path) -> None:
    """On a real file: while the thread that writes is busy, the caller waits."""
    async with open_books(tmp_path) as books:
        busy, slow = asyncio.Event(), asyncio.get_running_loop()

        def wait_for_the_test(tx: Tables) -> None:
            note("slow")(tx)
            asyncio.run_coroutine_threadsafe(busy.wait(), slow).result(timeout=5)

        writing = asyncio.create_task(books.store.write(wait_for_the_test))
        await settle_down()
        assert not writing.done()
        assert books.count("events") == 0
        busy.set()
        await writing
        assert books.count("events") == 1


FAILURES = [
    ValueError("odd"),
    ConflictError("purchase.phone_busy", "A prompt is open."),
    sqlite3.IntegrityError("UNIQUE constraint failed"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
async def test_a_failure_undoes_only_its_own_rows(error: Exception) -> None:
    """Whoever fails is told so; its neighbours in the same commit are written as if it had never been."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        before, failed, after = await asyncio.gather(
            store.write(note("before")),
            store.write(fail_after("failed", error)),
            store.write(note("after")),
            return_exceptions=True,
        )
    assert (before, after) == ("before", "after")
    assert failed is error
    assert (database.keys(), database.commits) == (["before", "after"], 1)
    assert Tables(database.connection, None).events.first_break(Stream.USAGE) is None


async def test_a_refusal_of_the_database_undoes_only_its_own_rows() -> None:
    """A trigger's or a constraint's no is the failure of the one who asked."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        await store.write(lambda tx: add_purchase(tx, a_purchase()))
        results = await asyncio.gather(
            store.write(note("before")),
            store.write(lambda tx: (note("failed")(tx), add_purchase(tx, a_purchase()))),
            store.write(note("after")),
            return_exceptions=True,
        )
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert database.keys() == ["before", "after"]


FULL = sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("at", ["BEGIN", "COMMIT", "INSERT INTO clock"])
async def test_a_full_disk_is_told_to_everybody(at: str) -> None:
    """Who shared the commit hears that nothing was written; nothing is; and when there is room again it goes on."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        database.connection.at, database.connection.refusal = at, FULL
        results = await asyncio.gather(
            *(store.write(note(str(number))) for number in range(3)),
            store.write(fail_after("failed", ValueError("odd"))),
            return_exceptions=True,
        )
        assert [type(result) for result in results[:3]] == [UnavailableError] * 3
        assert isinstance(results[3], ValueError | UnavailableError)
        assert not database.connection.in_transaction
        database.connection.refusal = None
        assert database.keys() == []
        assert await store.write(note("later")) == "later"
    assert database.keys() == ["later"]


async def test_a_disk_error_in_ones_work_fails_all() -> None:
    """A statement the disk would not take puts the whole commit in doubt, not only the one who ran it."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        results = await asyncio.gather(
            store.write(note("before")),
            store.write(fail_after("failed", FULL)),
            store.write(note("after")),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [UnavailableError] * 3
    assert database.keys() == []


async def test_a_really_full_file_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """SQLite's own refusal, at its own moment: all hear of it, nothing is half written."""
    async with open_books(tmp_path) as books:
        connection = books.store._database.write

        async def limit_pages(most: int) -> None:
            await connection(lambda sql: sql.execute(f"PRAGMA max_page_count = {most}").fetchone())

        await books.store.write(note("before"))
        await limit_pages(1)  # SQLite takes the size it has as the least
        with pytest.raises(UnavailableError, match="full"):
            await asyncio.gather(*(books.store.write(note("x" * 900)) for _ in range(100)))
        assert books.count("events") == 1
        await limit_pages(10**6)
        await books.store.write(note("after"))
        assert books.count("events") == 2


async def test_an_io_error_ends_the_store() -> None:
    """After a failed fsync nobody knows what the disk holds: all are told no, and the daemon starts anew."""
    database = WatchedDatabase()
    store = make_store(database)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    database.connection.refusal = error
    run = asyncio.create_task(store.run())
    results = await asyncio.gather(store.write(note("one")), store.write(note("two")), return_exceptions=True)
    assert [type(result) for result in results] == [UnavailableError] * 2
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await run


async def test_who_goes_away_harms_nobody() -> None:
    """A cancelled request's work is done all the same, and the others are answered."""
    database = WatchedDatabase()
    async with running(make_store(database)) as store:
        database.gate.clear()
        writes = [asyncio.create_task(store.write(note(str(number)))) for number in range(3)]
        await settle_down()
        writes[1].cancel()
        await settle_down()
        database.gate.set()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [results[0], results[2]] == ["0", "2"]
        assert isinstance(results[1], asyncio.CancelledError)
        assert await store.write(note("3")) == "3"
    assert database.keys() == ["0", "1", "2", "3"]


async def test_too_much_waiting_is_refused() -> None:
    """There is a bound; who comes above it hears so at once, who waits below it is served."""
    database = WatchedDatabase()
    store = make_store(database)
    waiting = [asyncio.create_task(store.write(note(str(number)))) for number in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError) as refused:
        await store.write(note("one too many"))
    assert refused.value.code == "store.busy"
    async with running(store):
        await asyncio.gather(*waiting)
        assert await store.write(note("later")) == "later"
    assert len(database.keys()) == WAITING_MAX + 1


async def test_box_time_is_written_with_each_commit() -> None:
    """So that a power cut never takes time back behind what was sold."""
    database = WatchedDatabase()
    time = ManualTime()
    clock = BoxClock(time, None)
    async with running(Store(database, clock)) as store:
        await store.write(note("one"))
        time.advance(60)
        await store.write(note("two"))
        assert Tables(database.connection, None).clock.last() == clock.mark()


async def test_a_store_that_is_stopped_answers_nobody_wrongly() -> None:
    """A write that waits when the daemon stops is cancelled with it, never told it went well."""
    database = WatchedDatabase()
    database.gate.clear()
    store = make_store(database)
    run = asyncio.create_task(store.run())
    write = asyncio.create_task(store.write(note("one")))
    await settle_down()
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    assert not write.done()
    write.cancel()
    await asyncio.gather(write, return_exceptions=True)
    assert database.keys() == []
