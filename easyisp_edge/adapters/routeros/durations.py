"""RouterOS spells spans of time and flags as text; this is where that spelling ends."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

from easyisp_edge.errors import InvalidError

NO_DURATION = "none"

_UNITS = (
    ("w", timedelta(weeks=1)),
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
    ("us", timedelta(microseconds=1)),
)
_WITH_UNITS = re.compile(
    r"(?=\d)(?:(\d{1,6})w)?(?:(\d{1,7})d)?(?:(\d{1,9})h)?(?:(\d{1,10})m(?!s))?(?:(\d{1,10})s)?"
    r"(?:(\d{1,10})ms)?(?:(\d{1,10})us)?",
    re.ASCII,
)
_WITH_COLONS = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,7})d)?(\d{1,9}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6})\d*)?", re.ASCII)
_BARE_SECONDS = re.compile(r"\d{1,10}", re.ASCII)

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


@lru_cache(maxsize=1024)  # of thousands of users most show one of a few limits
def parse_duration(text: str) -> timedelta | None:
    """Read `1w2d3h4m5s`, `250ms`, `00:05:32`, `1d02:03:04` or bare seconds; None for `none`.

    Raises:
        InvalidError: It is no span of time.
    """
    if text == NO_DURATION:
        return None
    if _BARE_SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    if found := _WITH_UNITS.fullmatch(text):
        counts = found.groups(default="0")
        return sum((int(count) * span for count, (_, span) in zip(counts, _UNITS, strict=True)), timedelta())
    if found := _WITH_COLONS.fullmatch(text):
        weeks, days, hours, minutes, seconds, fraction = found.groups(default="0")
        return timedelta(
            weeks=int(weeks),
            days=int(days),
            hours=int(hours),
            minutes=int(minutes),
            seconds=int(seconds),
            microseconds=int(fraction.ljust(6, "0")),
        )
    raise InvalidError("routeros.duration_unreadable", f"{text!r:.40} is no RouterOS duration such as 1d2h.")


def duration_text(span: timedelta | None) -> str:
    """Write a span as RouterOS prints it: parts that are zero left out, `0s` for nothing, `none` for None.

    Raises:
        InvalidError: The span is negative.
    """
    if span is None:
        return NO_DURATION
    if span < timedelta():
        raise InvalidError("routeros.duration_negative", f"A RouterOS duration cannot be negative: {span}.")
    words = []
    for unit, size in _UNITS:
        count, span = divmod(span, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"


def parse_flag(text: str) -> bool:
    """Read a flag: `true` and `false` as rows print them, `yes` and `no` as the console does.

    Raises:
        InvalidError: It is neither.
    """
    if text not in _FLAGS:
        raise InvalidError("routeros.flag_unreadable", f"{text!r:.40} is neither true nor false.")
    return _FLAGS[text]
