"""The router's own clock: it has no battery, so after a reboot it stands in 1970 until NTP answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as datetime_time
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.machine import Clock

_WITHOUT_BATTERY = datetime(1970, 1, 2, tzinfo=UTC)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
TEXT_DATES_BEFORE = (7, 10)
_Part = TypeVar("_Part")


def parse_date(text: str) -> date:
    """A day, written `2026-11-23` or, as before 7.10, `nov/23/2026`.

    Raises:
        ValueError: Neither.
    """
    if "/" not in text:
        return date.fromisoformat(text)
    month, day, year = text.lower().split("/")
    if month not in _MONTHS:
        raise ValueError(f"{text!r} is no date")
    return date(int(year), _MONTHS.index(month) + 1, int(day))


def _parsed(name: str, text: str, parse: Callable[[str], _Part]) -> _Part:
    try:
        return parse(text)
    except ValueError:
        raise RefusalError(f"invalid value for argument {name}", BAD_ARGUMENT) from None


class RouterClock:
    """What the router believes the time to be.

    Args:
        clock: The true time.
        ntp_seconds: How long after a reboot NTP takes.

    Attributes:
        offset: By how much it is wrong once it is set; a reboot puts it right.
    """

    def __init__(self, clock: Clock, ntp_seconds: float) -> None:
        self._clock = clock
        self._ntp_seconds = ntp_seconds
        self._booted = clock.monotonic()
        self._unset_until = self._booted
        self.offset = timedelta(0)

    def boot(self) -> None:
        """Power came back."""
        self._booted = self._clock.monotonic()
        self._unset_until = self._booted + self._ntp_seconds
        self.offset = timedelta(0)

    def is_set(self) -> bool:
        """Whether NTP has answered since power came."""
        return self._clock.monotonic() >= self._unset_until

    def set_in(self) -> float | None:
        """Seconds until NTP answers; None where it has."""
        return None if self.is_set() else self._unset_until - self._clock.monotonic()

    def set(self, date: str | None, time: str | None) -> None:
        """Somebody sets the clock by hand.

        Raises:
            RefusalError: No such date or time.
        """
        now = self.now()
        day = now.date() if date is None else _parsed("date", date, parse_date)
        clock = now.time() if time is None else _parsed("time", time, datetime_time.fromisoformat)
        self._unset_until = self._clock.monotonic()
        self.offset = datetime.combine(day, clock.replace(tzinfo=UTC)) - self._clock.now()

    def uptime(self) -> float:
        """Seconds since power came."""
        return self._clock.monotonic() - self._booted

    def now(self) -> datetime:
        """The time as the router sees it."""
        if self._clock.monotonic() < self._unset_until:
            return _WITHOUT_BATTERY + timedelta(seconds=self.uptime())
        return self._clock.now() + self.offset

    def unix(self) -> int:
        """The same in whole seconds of Unix time."""
        return int(self.now().timestamp())
