"""Alarms of requests that were refused: the first of its kind and hour is written at once, a flood is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.errors import UnavailableError
from easyisp_edge.hub.instants import HOUR, instant
from easyisp_edge.hub.store.alarms import Alarm, add_alarms

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.machine import Clock

_DETAIL_LENGTH = 200


def as_detail(said: str) -> str:
    """What can be kept of it: a stranger's words may hold what no database takes, and have no end."""
    plain = said[:_DETAIL_LENGTH].encode("ascii", "backslashreplace").decode().replace("\0", "")
    return plain[:_DETAIL_LENGTH]


class Alarms:
    """Notes what should not have come.

    Args:
        database: Where.
        clock: For when.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._hour = ""
        self._written: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, str, str], Alarm] = {}

    async def note(self, site_id: str, kind: str, detail: str = "") -> None:
        """Count one; written now where it is the first of its hour here, else with the next `flush`.

        Args:
            site_id: Whose, where that is known; else empty, so that strangers cannot make rows.
            kind: What it is.
            detail: What can be said of it.
        """
        at = instant(self._clock.now())
        if at[:HOUR] != self._hour:
            self._hour, self._written = at[:HOUR], set()
        before = self._waiting.get((site_id, kind, self._hour))
        fresh = Alarm(site_id, kind, self._hour, 1, at, at, as_detail(detail))
        if before is not None:
            fresh = fresh._replace(times=before.times + 1, first_at=before.first_at)
        self._waiting[site_id, kind, self._hour] = fresh
        if (site_id, kind) not in self._written:
            self._written.add((site_id, kind))
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what cannot be written now waits."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            async with self._database.transaction() as tx:
                await add_alarms(tx, list(waiting.values()))
        except UnavailableError:
            for key, alarm in waiting.items():
                later = self._waiting.get(key, alarm._replace(times=0))
                self._waiting[key] = later._replace(times=later.times + alarm.times, first_at=alarm.first_at)
