"""What the daemon takes from the machine it runs on, as contracts.

`system.py` keeps them with the real machine. Nothing else in the daemon reads the wall clock, sleeps, draws
randomness or opens a socket or a database, so that all of it can run under a virtual clock with simulated
disks and networks.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path


class ClockState(enum.Enum):
    """How far box time can be believed."""

    UNSET = "unset"  # no trusted source since boot: counted on from the last time known
    HOLDOVER = "holdover"  # was right once, now counting by itself
    SYNCED = "synced"


class Clock(Protocol):
    """The only source of time."""

    @property
    def state(self) -> ClockState:
        """How far `now` can be believed."""

    def now(self) -> datetime:
        """Box time: aware UTC, never goes back, also not across restarts."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; for spans and deadlines within one life of the process."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class TimeSource(Protocol):
    """The machine's raw time, from which box time is made; may be wrong, may jump."""

    @property
    def boot_id(self) -> str:
        """Differs after each boot of the machine."""

    def wall(self) -> datetime:
        """The wall clock, aware UTC; at 1970 after a power cut where there is no battery."""

    def since_boot(self) -> float:
        """Seconds since boot, time asleep included; never goes back while the machine is up."""

    def synchronised(self) -> bool:
        """Whether the machine holds its wall clock to be set by a trusted source."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class Randomness(Protocol):
    """The only source of chance."""

    def token(self, octets: int) -> bytes:
        """That many octets nobody can guess."""

    def fraction(self) -> float:
        """Evenly spread in [0, 1); for jitter, never for secrets."""


class Disk(Protocol):
    """How much more can be written."""

    def free_octets(self, folder: Path) -> int:
        """What is free on the file system a folder is on, for whoever the daemon runs as.

        Raises:
            OSError: It cannot be told.
        """


class UdpAddress(NamedTuple):
    """Where a datagram came from or goes to."""

    host: str
    port: int


class UdpEndpoint(Protocol):
    """A UDP socket that is drained at each wake-up."""

    @property
    def address(self) -> UdpAddress:
        """Where it is bound; port 0 where that comes with the first datagram it sends."""

    def on_readable(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop whenever datagrams wait; once set, it stays."""

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        """The next waiting datagram, or None when there is none. Never blocks, never raises."""

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        """Send, or drop where the network or a full buffer refuses, as UDP may."""

    def close(self) -> None:
        """Stop receiving and free the port."""


class Wake:
    """A bell: whoever waits is woken once, however often it rang meanwhile."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or as soon as it waits."""
        self._event.set()

    async def wait(self, clock: Clock, seconds: float) -> bool:
        """Wait for the bell, at most `seconds`; True when it rang."""
        if seconds <= 0 and not self._event.is_set():
            return False
        ringing = asyncio.ensure_future(self._event.wait())
        timer = asyncio.ensure_future(clock.sleep(seconds))
        try:
            await asyncio.wait((ringing, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ringing, timer):
                task.cancel()
            await asyncio.gather(ringing, timer, return_exceptions=True)
        rang = self._event.is_set()
        self._event.clear()
        return rang
