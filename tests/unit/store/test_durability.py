"""What was acknowledged is there after a kill at any moment."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

from easyisp_edge.domain.events import Stream
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Tables

WRITER = Path(__file__).with_name("acknowledging_writer.py")
KILLS = 20
AT_ONCE = 4


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Twenty lives end by SIGKILL at random moments: every acknowledged row is in the file, and its chain is whole.

    A kill leaves the system's page cache, so this tries our own order of commit and answer, and SQLite's
    recovery; it does not try the disk.
    """
    moments = random.Random(20261121)
    for lap in range(KILLS // AT_ONCE):
        await asyncio.gather(
            *(
                killed_while_writing(tmp_path / f"{row}.sqlite", f"life{lap}", moments.uniform(0.0, 0.15))
                for row in range(AT_ONCE)
            )
        )


async def killed_while_writing(path: Path, name: str, seconds: float) -> None:
    """Let one life write to a file that may have had others before, kill it, and look."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), str(path), name, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), 30)  # it lives and writes
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    said += await process.stdout.read()
    assert await process.wait() == -signal.SIGKILL
    # The last line may be torn: what was not said whole was not acknowledged.
    acknowledged = set(said.decode().split("\n")[:-1])
    database = await ThreadedDatabase.open(path)
    try:
        kept = {row[0] for row in database.reading.execute("SELECT key FROM events")}
        assert acknowledged
        assert acknowledged <= kept
        assert Tables(database.reading, None).events.first_break(Stream.USAGE) is None
        assert Tables(database.reading, None).clock.last() is not None
    finally:
        await database.close()
