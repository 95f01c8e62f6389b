"""When the disk is nearly full, usage makes way for money: what the hub has, then counts it has not; money never."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
USAGE_KEPT = timedelta(days=45)
# One look frees so much at most, so that nobody waits long for the disk.
_TURNS_MOST = 20


@dataclass(frozen=True, slots=True)
class SheddingService:
    """Sheds usage.

    Args:
        store: The store.
        clock: Box time.
        free_octets: What is free on the database's disk; `OSError` where that cannot be told.
        least_octets: What is to stay free.
    """

    store: Store
    clock: Clock
    free_octets: Callable[[], int]
    least_octets: Callable[[], int]

    async def round(self) -> float | None:
        """Look how much is free, and shed until it is enough, or nothing is left that may go."""
        for _ in range(_TURNS_MOST):
            if await self._is_enough() or not await self._shed_some():
                return None
        return LOOK_SECONDS / 6

    async def _is_enough(self) -> bool:
        try:
            free = self.free_octets()
        except OSError as error:
            log.warning("how much of the disk is free cannot be told: %s", error)
            return True
        # Rows that went leave their place in the file to others.
        return free + self.store.read.sync.reusable_octets() >= self.least_octets()

    async def _shed_some(self) -> bool:
        read = self.store.read
        if read.events.head(Stream.USAGE)[0] <= 1:
            return False
        site = read.sync.site()
        acked = 0 if site is None else read.sync.acked(Stream.USAGE)
        for before in (self.clock.now() - USAGE_KEPT, None):
            if await self.store.rewrite(functools.partial(_drop, acked=acked, before=before)):
                return True
        return await self.store.rewrite(functools.partial(_shed, acked=acked))


def _drop(tx: Tables, acked: int, before: datetime | None) -> int:
    return tx.sync.drop_known_usage(acked, before)


def _shed(tx: Tables, acked: int) -> bool:
    shed = tx.sync.shed_counts(acked)
    if shed is None:
        return False
    first, last, count = shed
    log.warning("the disk is nearly full: %d counts of usage were shed", count)
    tx.events.append(Stream.USAGE, "usage.shed", "books", {"from": first, "to": last, "events": count})
    return True
