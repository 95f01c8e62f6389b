"""Table `alarms`: what should not have come, counted by site, kind and hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.hub.store.database import Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.hub.store.database import Transaction

_PUT = Put(
    "alarms",
    (
        ("site_id", "TEXT"),
        ("kind", "TEXT"),
        ("hour", "TEXT"),
        ("times", "BIGINT"),
        ("first_at", "TEXT"),
        ("last_at", "TEXT"),
        ("detail", "TEXT"),
    ),
    "ON CONFLICT (site_id, kind, hour) DO UPDATE SET times = alarms.times + excluded.times,"
    " last_at = excluded.last_at, detail = excluded.detail",
)


class Alarm(NamedTuple):
    """What came in one hour.

    Args:
        site_id: Whose; empty where no site could be told.
        kind: What it was, such as `signature` or `fork`.
        hour: Such as `2026-01-31T09`.
        times: How often.
        first_at: The first.
        last_at: The last.
        detail: What can be said of the last.
    """

    site_id: str
    kind: str
    hour: str
    times: int
    first_at: str
    last_at: str
    detail: str


async def add_alarms(tx: Transaction, alarms: Sequence[Alarm]) -> None:
    """Count alarms; each site, kind and hour once."""
    await tx.put((_PUT, sorted(alarms)))
