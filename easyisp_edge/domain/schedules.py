"""Hours in which a package may be used: a night package, a weekend package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY_NAMES = {name[:3]: name for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}
_DAY_MINUTES = 24 * 60
_HOURS = re.compile(r"(?:(.+?)\s+)?([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours that come round, by Kenya's clock.

    Args:
        opens: Minutes after midnight.
        closes: Minutes after midnight; at or before `opens` it is on the day after.
        days: The days on which it opens, 0 for Monday; in order, at least one.
    """

    opens: int
    closes: int
    days: tuple[int, ...] = tuple(range(7))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read `22:00-06:00`, or `fri,sat 22:00-06:00` for the days on which it opens.

        Raises:
            InvalidError: It is no such hours.
        """
        found = _HOURS.fullmatch(text.strip())
        if found is None:
            raise InvalidError("schedule.unreadable", f"{text!r:.40} is no hours such as 22:00-06:00.")
        opens, closes = _minutes(found[2], found[3], text), _minutes(found[4], found[5], text)
        return cls(opens % _DAY_MINUTES, closes, _days(found[1]) if found[1] else tuple(range(7)))

    def is_open(self, at: datetime) -> bool:
        """Whether it may be used at that instant."""
        return self.closes_at(at) is not None

    def closes_at(self, at: datetime) -> datetime | None:
        """When the opening at that instant is over; None where it is shut. At most a week ahead.

        One that follows another without a gap is the same opening.
        """
        end = self._end_of_opening(at)
        if end is None:
            return None
        for _ in WEEKDAYS[1:]:
            further = self._end_of_opening(end)
            if further is None:
                break
            end = further
        return end

    def opens_at(self, at: datetime) -> datetime:
        """When it opens next; the instant itself while it is open."""
        if self.is_open(at):
            return at
        midnight = _midnight(at)
        begins = (midnight + timedelta(days=ahead, minutes=self.opens) for ahead in range(len(WEEKDAYS) + 1))
        return next(begin for begin in begins if begin > at and begin.weekday() in self.days)

    @property
    def _length(self) -> timedelta:
        minutes = (self.closes - self.opens) % _DAY_MINUTES or _DAY_MINUTES
        return timedelta(minutes=minutes)

    def _end_of_opening(self, at: datetime) -> datetime | None:
        midnight = _midnight(at)
        for back in (0, 1):
            begin = midnight - timedelta(days=back) + timedelta(minutes=self.opens)
            if begin.weekday() in self.days and begin <= at < begin + self._length:
                return begin + self._length
        return None

    @property
    def hours(self) -> str:
        """As people write it: `22:00-06:00`."""
        return f"{_clock(self.opens)}-{_clock(self.closes)}"

    def __str__(self) -> str:
        if len(self.days) == len(WEEKDAYS):
            return self.hours
        return f"{','.join(WEEKDAYS[day] for day in self.days)} {self.hours}"


def _midnight(at: datetime) -> datetime:
    return at.astimezone(NAIROBI).replace(hour=0, minute=0, second=0, microsecond=0)


def _minutes(hours: str, minutes: str, text: str) -> int:
    whole = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or whole > _DAY_MINUTES:  # noqa: PLR2004 - minutes of an hour
        raise InvalidError("schedule.unreadable", f"{text!r:.40} has an hour that no clock shows.")
    return whole


def _days(text: str) -> tuple[int, ...]:
    names = [name.strip().lower() for name in text.split(",")]
    if not all(name[:3] in WEEKDAYS and _DAY_NAMES[name[:3]].startswith(name) for name in names):
        raise InvalidError("schedule.unreadable", f"{text!r:.40} are no days such as fri,sat.")
    return tuple(sorted({WEEKDAYS.index(name[:3]) for name in names}))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
