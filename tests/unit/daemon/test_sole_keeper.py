"""One daemon to a store: a second one is kept away, however the first one came by it and however it ends."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.daemon.sole_keeper import sole_keeper
from easyisp_edge.errors import ConflictError, EdgeError
from easyisp_edge.store.connections import ThreadedDatabase

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = """
import sys, time
from pathlib import Path
from easyisp_edge.daemon.sole_keeper import sole_keeper
with sole_keeper(Path(sys.argv[1])):
    print("kept", flush=True)
    time.sleep(60)
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "edge.sqlite"


def test_a_second_one_is_refused(path: Path) -> None:
    """As long as the first one has it, and not a moment longer."""
    with sole_keeper(path):
        with pytest.raises(ConflictError, match=r"Another daemon keeps the books in .*edge\.sqlite") as refused:
            sole_keeper(path).__enter__()
        assert refused.value.code == "store.taken"
    with sole_keeper(path):
        pass


def test_one_that_was_killed_keeps_nothing(path: Path) -> None:
    """A power cut or kill -9 leaves nothing that has to be taken away by hand."""
    with subprocess.Popen([sys.executable, "-c", ELSEWHERE, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"kept\n"
        with pytest.raises(ConflictError):
            sole_keeper(path).__enter__()
        other.send_signal(signal.SIGKILL)
    with sole_keeper(path):
        pass


async def test_the_store_is_written_and_read_beside_it(path: Path) -> None:
    """It is in nobody's way but another daemon's: SQLite has locks of its own."""
    with sole_keeper(path):
        database = await ThreadedDatabase.open(path)
        await database.write(lambda connection: connection.execute("PRAGMA user_version").fetchone())
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reading:
            assert reading.execute("SELECT count(*) FROM payments").fetchone() == (0,)
        await database.close()


def test_a_new_store_is_for_its_owner_alone(path: Path) -> None:
    """It is the business's book, whatever the umask is."""
    with sole_keeper(path):
        assert path.stat().st_mode & 0o077 == 0


def test_a_missing_folder_is_said(path: Path) -> None:
    """With the path, and what must be so."""
    with pytest.raises(EdgeError, match=r"nowhere/edge\.sqlite: No such file.*must exist and be writable"):
        sole_keeper(path.parent / "nowhere" / path.name).__enter__()
