"""East Africa Time as Daraja writes it: fixed three hours ahead of UTC, no zone on the wire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

EAT = timezone(timedelta(hours=3), "EAT")

_COMPACT = "%Y%m%d%H%M%S"


def compact(moment: datetime) -> str:
    """`YYYYMMDDHHmmss` in Nairobi."""
    return moment.astimezone(EAT).strftime(_COMPACT)


def is_compact(text: str) -> bool:
    """Whether the text is fourteen digits that name a real moment."""
    if len(text) != 14 or not text.isascii() or not text.isdigit():  # noqa: PLR2004 - YYYYMMDDHHmmss
        return False
    try:
        datetime.strptime(text, _COMPACT).replace(tzinfo=EAT)
    except ValueError:
        return False
    return True


def read_plain(text: str) -> datetime | None:
    """The moment `YYYY-MM-DD HH:mm[:ss]` names in Nairobi; None where it names none."""
    if not text.isascii():
        return None
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=EAT)
        except ValueError:
            continue
    return None
