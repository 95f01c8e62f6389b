"""A machine's time and chance in a test's hands."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


class ManualTime:
    """A `TimeSource` that stands still until it is wound on; its wall clock may be set to anything."""

    def __init__(
        self,
        wall: datetime = START,
        *,
        boot_id: str = "boot-1",
        since_boot: float = 100.0,
        synchronised: bool = True,
    ) -> None:
        self.boot_id = boot_id
        self.trusted = synchronised
        self.naps: list[float] = []
        self._wall = wall
        self._since_boot = since_boot
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def wall(self) -> datetime:
        return self._wall

    def since_boot(self) -> float:
        return self._since_boot

    def synchronised(self) -> bool:
        return self.trusted

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._since_boot + seconds, until))
        if seconds <= 0:
            until.set_result(None)
        await until

    def advance(self, seconds: float) -> None:
        """Let time go by; who slept for no longer wakes at the next turn of the loop."""
        self._since_boot += seconds
        self._wall += timedelta(seconds=seconds)
        for at, until in self._sleepers:
            if at <= self._since_boot and not until.done():
                until.set_result(None)
        self._sleepers = [(at, until) for at, until in self._sleepers if not until.done()]

    def set_wall(self, wall: datetime) -> None:
        """Somebody sets the wall clock; no time goes by."""
        self._wall = wall


class SeededRandomness:
    """A `Randomness` that draws the same again from the same seed.

    Args:
        seed: Of the tokens.
        fraction: What `fraction` gives, always.
    """

    def __init__(self, seed: int = 1, fraction: float = 0.5) -> None:
        self._random = random.Random(seed)
        self._fraction = fraction

    def token(self, octets: int) -> bytes:
        return self._random.randbytes(octets)

    def fraction(self) -> float:
        return self._fraction


async def settle_down(turns: int = 50) -> None:
    """Let everything run that can run without time going by."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another task or thread brings about; five real seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for rings no bell
            await asyncio.sleep(0.001)
