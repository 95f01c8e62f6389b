"""What a test looks at in a hub's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.hub.store.alarms import Alarm
from tests.fakes.hub_stage import parts_of

if TYPE_CHECKING:
    from easyisp_edge.domain.events import Stream
    from easyisp_edge.hub.hub import Hub
    from easyisp_edge.hub.store.database import Database

TABLES = (
    "sites", "enrol_codes", "lanes", "streams", "events", "forked_events", "parked_events", "projection_errors",
    "down_heads", "down_messages", "asks", "payments", "grants", "grant_counts", "sessions", "customers",
)  # fmt: skip


async def stored(hub: Hub, site_id: str, stream: Stream) -> list[bytes]:
    """The lines a hub keeps of a stream."""
    async with parts_of(hub).database.reading() as tx:
        rows = await tx.rows(
            "SELECT seq, body FROM events WHERE site_id = $1 AND stream = $2 ORDER BY seq", site_id, stream.value
        )
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    return [row[1] for row in rows]


async def all_alarms(database: Database) -> list[Alarm]:
    """All alarms, the last first."""
    async with database.reading() as tx:
        rows = await tx.rows(
            "SELECT site_id, kind, hour, times, first_at, last_at, detail FROM alarms ORDER BY last_at DESC"
        )
    return [Alarm(*row) for row in rows]


async def alarms(hub: Hub, site_id: str) -> dict[str, int]:
    """The alarms of a site: kind and how often."""
    await parts_of(hub).alarms.flush()
    found = await all_alarms(parts_of(hub).database)
    counted: dict[str, int] = {}
    for alarm in found:
        if alarm.site_id == site_id:
            counted[alarm.kind] = counted.get(alarm.kind, 0) + alarm.times
    return counted


async def everything(hub: Hub) -> dict[str, list[Any]]:
    """All rows of all tables but the alarms."""
    found = {}
    async with parts_of(hub).database.reading() as tx:
        for table in TABLES:
            found[table] = sorted(map(repr, await tx.rows(f"SELECT * FROM {table}")))  # noqa: S608 - constants
    return found
