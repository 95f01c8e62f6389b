"""The open SQLite file: one connection that writes, in a thread; one that reads, in the loop."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import aiosqlite

from easyisp_edge.errors import EdgeError
from easyisp_edge.store import migrations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5.0
# On a box of 256 MB each connection keeps what it needs: the indexes of the hot reads stay in memory, a survey
# passes through, and the kernel keeps the file's pages too.
_WRITING_CACHE_KIB = 1024
_READING_CACHE_KIB = 4096
_SURVEYING_CACHE_KIB = 256
FOLDER_ADVICE = "The folder must exist and be writable by the user the daemon runs as."
# By how SQLite's own name for the error begins.
_ADVICE = {
    "SQLITE_FULL": "Make room on the disk it is on.",
    "SQLITE_IOERR": "Is there room on the disk it is on (df), and is that whole (dmesg)?",
    "SQLITE_BUSY": "Another program has it open and does not let go of it.",
    "": FOLDER_ADVICE,
}


class Database(Protocol):
    """An open SQLite file, with the schema of this release.

    Args:
        reading: Sees what is committed and can change nothing; for short indexed reads in the event loop.
    """

    reading: sqlite3.Connection

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the one writing connection, alone; it begins and commits by itself."""

    async def survey(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a long read off the loop; it sees what is committed and can change nothing."""

    async def close(self) -> None:
        """Finish what runs and close the file."""


class _Connection(aiosqlite.Connection):
    """A connection in a thread of its own that runs whole functions there: one hand-over for many statements."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    @classmethod
    async def open(cls, path: Path, mode: str, cache_kib: int) -> _Connection:
        connection = cls(lambda: _connect(path, mode, cache_kib), 64)
        try:
            await connection
        except BaseException:
            connection._thread.join()  # it is ending, and must not outlive the loop it reports that to
            raise
        return connection


class ThreadedDatabase:
    """A `Database` on a real file, on threads of aiosqlite."""

    def __init__(self, writing: _Connection, surveying: _Connection, reading: sqlite3.Connection) -> None:
        self._writing = writing
        self._surveying = surveying
        self.reading = reading

    @classmethod
    async def open(cls, path: Path) -> ThreadedDatabase:
        """Open the file, make it where there is none, and bring its schema up to date.

        Raises:
            EdgeError: The folder is missing or not writable, the file is damaged, or it is of a newer release.
        """
        with _explained(path):
            writing = await _Connection.open(path, "rwc", _WRITING_CACHE_KIB)
        try:
            with _explained(path):
                await writing.run(_check)
                await writing.run(migrations.migrate)
            surveying = await _Connection.open(path, "ro", _SURVEYING_CACHE_KIB)
        except BaseException:
            await writing.close()
            raise
        return cls(writing, surveying, _connect(path, "ro", _READING_CACHE_KIB))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the one writing connection, alone."""
        return await self._writing.run(work)

    async def survey(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a long read off the loop."""
        return await self._surveying.run(work)

    async def close(self) -> None:
        """Finish what runs and close the file; an open connection would keep the process alive."""
        self.reading.close()
        await self._surveying.close()
        await self._writing.close()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that cannot be used, and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "")
        advice = next(advice for beginning, advice in _ADVICE.items() if name.startswith(beginning))
        raise EdgeError("store.not_opened", f"{path}: {error}. {advice}") from error
    except sqlite3.DatabaseError as error:
        raise EdgeError("store.damaged", f"{path}: {error}. Restore it from a backup.") from error


def _connect(path: Path, mode: str, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        for pragma in (
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            f"cache_size=-{cache_kib}",
            "query_only=ON" if mode == "ro" else "synchronous=FULL",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise sqlite3.DatabaseError(damage)
