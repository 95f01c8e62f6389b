"""Dates as RouterOS wrote them over the years, and as voucher programs copied them into comments.

RouterOS wrote `jul/14/2023` before 7.10 and writes `2023-07-14` since. A scheduler's next run is a time of today, a
day of this year, or a whole date.

Source: RouterOS, /system/clock and /system/scheduler.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from datetime import tzinfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TEXT_DAY = rf"(?P<month>{'|'.join(_MONTHS)})/(?P<day>\d{{1,2}})(?:/(?P<year>\d{{4}}))?"
_DIGIT_DAY = r"(?:(?P<year>\d{4})-)?(?P<month>\d{2})-(?P<day>\d{2})"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
_FORMS = tuple(
    re.compile(rf"(?:{day})?(?:(?:^|[ T]){_TIME})?", re.ASCII | re.IGNORECASE) for day in (_TEXT_DAY, _DIGIT_DAY)
)
# Behind the date, Mikhmon 4 writes N (notice) or X (remove); others a word of that kind.
_MODE_BEHIND = re.compile(r"\s+[A-Za-z]{1,8}$", re.ASCII)
_LOOKS_DATED = re.compile(rf"(?:{'|'.join(_MONTHS)})/\d|\d{{4}}-\d", re.ASCII | re.IGNORECASE)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)
_HOURS_MOST, _MINUTES_MOST = 14, 59
_END_OF_DAY = {"hour": 23, "minute": 59, "second": 59}


def end_in_comment(comment: str, zone: tzinfo) -> datetime | None:
    """The instant a comment says, where it is a date and nothing but a letter or word behind it.

    A date without a time lasts to the end of that day.

    Raises:
        InvalidError: It begins as a date, and is none.
    """
    text = comment.strip()
    parts = _parts(_MODE_BEHIND.sub("", text))
    if parts is None or parts["year"] is None or parts["day"] is None:
        if _LOOKS_DATED.match(text):
            raise _unreadable(comment)
        return None
    return _instant(parts, zone, comment)


def router_time(date: str, time: str, zone: tzinfo) -> datetime:
    """What a router's clock shows, as an instant.

    Raises:
        InvalidError: It is no date and time.
    """
    parts = _parts(f"{date} {time}")
    if parts is None or parts["year"] is None or parts["hour"] is None:
        raise _unreadable(f"{date} {time}")
    return _instant(parts, zone, f"{date} {time}")


def next_run(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """When a scheduler runs next, seen from an instant before; None where it says nothing that can be read."""
    parts = _parts(text.strip())
    if parts is None or parts["hour"] is None:
        return None
    here = now.astimezone(zone)
    try:
        if parts["day"] is None:
            today: dict[str, str | None] = {"year": f"{here:%Y}", "month": f"{here:%m}", "day": f"{here:%d}"}
            run = _instant(parts | today, zone, text)
            return run if run >= now else run + timedelta(days=1)
        run = _instant(parts | {"year": parts["year"] or f"{here:%Y}"}, zone, text)
        if parts["year"] is None and run < now:
            return _instant(parts | {"year": str(here.year + 1)}, zone, text)
    except InvalidError:
        return None
    return run


def parse_offset(text: str) -> timezone:
    """Read a difference from UTC such as `+03:00` or `-0330`.

    Raises:
        InvalidError: It is none.
    """
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) > _HOURS_MOST or int(found[3]) > _MINUTES_MOST:
        raise InvalidError("import.zone", f"{text!r:.40} is no difference from UTC such as +03:00.", field="zone")
    span = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-span if found[1] == "-" else span)


def _parts(text: str) -> dict[str, str | None] | None:
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None and text:
            return found.groupdict()
    return None


def _instant(parts: dict[str, str | None], zone: tzinfo, text: str) -> datetime:
    month = str(parts["month"]).lower()
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    clock = _END_OF_DAY
    if parts["hour"] is not None:
        clock = {name: int(parts[name] or 0) for name in ("hour", "minute", "second")}
    try:
        return datetime(int(parts["year"] or 0), number, int(parts["day"] or 0), tzinfo=zone, **clock).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _unreadable(text) from error


def _unreadable(text: str) -> InvalidError:
    return InvalidError("import.date_unreadable", f"{text!r:.60} begins as a date, and is none.")
