"""A process that writes to a store and says on standard output what was acknowledged, until it is killed.

Run with the database's path and a name; it writes from several tasks at once, so that commits are shared.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from easyisp_edge.domain.events import Stream
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, Tables, running
from easyisp_edge.system import SystemTime
from easyisp_edge.timekeeping import BoxClock

WRITERS = 4


async def acknowledge(store: Store, name: str, writer: int) -> None:
    """Write one row after the other; each is said once `write` has returned."""
    for number in itertools.count():
        key = f"{name}-{writer}-{number}"

        def note(tx: Tables, key: str = key) -> None:
            tx.events.append(Stream.USAGE, "tick", key, {})

        await store.write(note)
        sys.stdout.write(key + "\n")
        sys.stdout.flush()


async def main(path: Path, name: str) -> None:
    """Write for ever."""
    database = await ThreadedDatabase.open(path)
    async with running(Store(database, BoxClock(SystemTime(), None))) as store, asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(acknowledge(store, name, writer))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
