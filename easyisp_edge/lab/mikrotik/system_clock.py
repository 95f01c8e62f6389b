"""The router's own clock: it has no battery, so after a reboot it stands in 1970 until NTP answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock

_WITHOUT_BATTERY = datetime(1970, 1, 2, tzinfo=UTC)


class RouterClock:
    """What the router believes the time to be.

    Args:
        clock: The true time.
        ntp_seconds: How long after a reboot NTP takes.
    """

    def __init__(self, clock: Clock, ntp_seconds: float) -> None:
        self._clock = clock
        self._ntp_seconds = ntp_seconds
        self._booted = clock.monotonic()
        self._unset_until = self._booted

    def boot(self) -> None:
        """Power came back."""
        self._booted = self._clock.monotonic()
        self._unset_until = self._booted + self._ntp_seconds

    def uptime(self) -> float:
        """Seconds since power came."""
        return self._clock.monotonic() - self._booted

    def now(self) -> datetime:
        """The time as the router sees it."""
        if self._clock.monotonic() < self._unset_until:
            return _WITHOUT_BATTERY + timedelta(seconds=self.uptime())
        return self._clock.now()

    def unix(self) -> int:
        """The same in whole seconds of Unix time."""
        return int(self.now().timestamp())
