"""What is said to customers, in every language the portal speaks."""

from __future__ import annotations

import functools
import re
import tomllib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.schedules import WEEKDAYS
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from easyisp_edge.domain.schedules import Schedule
    from easyisp_edge.services.access.logins import Refusal

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
# Nobody prefers more languages than this; the rest of a longer header is not read.
_ACCEPT_LANGUAGE_CHARACTERS_MAX = 400
_PREFERENCE = re.compile(
    r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,40})?\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII
)
_DASH = "\u2013"
_DAY_MINUTES = 24 * 60
_EVENING = 18 * 60
# So many days in a row are told by the first and the last of them.
_DAYS_IN_A_ROW = 3


class Texts:
    """The texts of every language, known to have the same keys and the same placeholders.

    Args:
        by_language: Language code to key to text; keys are dotted paths, placeholders stand in `{braces}`.

    Raises:
        InvalidError: There is no language at all, or a key or placeholder is in one and not in another.
    """

    def __init__(self, by_language: Mapping[str, Mapping[str, str]]) -> None:
        if not by_language:
            raise InvalidError("texts.missing", "There is no file of texts, such as en.toml.")
        self._by_language = {language: dict(texts) for language, texts in by_language.items()}
        self.languages = tuple(sorted(self._by_language))
        self._default = "en" if "en" in self._by_language else self.languages[0]
        for language in self.languages:
            self._compare(language)

    @classmethod
    def load(cls, folder: Path) -> Texts:
        """Read every `<language>.toml` in `folder`.

        Raises:
            InvalidError: A file cannot be read, or the languages do not match.
        """
        return cls({path.stem: _read(path) for path in sorted(folder.glob("*.toml"))})

    def get(self, language: str, key: str, **values: object) -> str:
        """The text in that language, with `values` in its placeholders. Never raises.

        An unknown language falls back to the default one; an unknown key comes back as it is: a customer who
        is paying rather sees one odd word than no page.
        """
        text = self._in(language).get(key, key)
        return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._by_language[self._default]

    def key_of(self, prefix: str, text: str) -> str | None:
        """The key that begins so and has just that text, without placeholders, in any language; None without one."""
        return next(
            (
                key
                for texts in self._by_language.values()
                for key, said in texts.items()
                if key.startswith(prefix) and said == text and not _placeholders(said)
            ),
            None,
        )

    def placeholders(self, key: str) -> frozenset[str]:
        """Which values the text of that key takes; none for an unknown key."""
        return _placeholders(self._by_language[self._default].get(key, ""))

    def negotiate(self, accept_language: str | None, default: str) -> str:
        """The best of our languages for an Accept-Language header; `default` when it names none. Never raises.

        Source: RFC 9110, section 12.5.4.
        """
        wanted = _preferred((accept_language or "")[:_ACCEPT_LANGUAGE_CHARACTERS_MAX])
        known = (language for language in wanted if language in self._by_language)
        return next(known, default if default in self._by_language else self._default)

    def duration(self, language: str, seconds: float) -> str:
        """A span in words, the two greatest units at most: `1 hour 20 min`, `saa 1 dakika 20`.

        Less than a second, or less than nothing, is no seconds.
        """
        whole = max(0, int(seconds))
        for at, (unit, size) in enumerate(_UNITS):
            if whole >= size or size == 1:
                words = [self._count(language, unit, whole // size)]
                words += self._remainder(language, at + 1, whole % size)
                return " ".join(words)
        raise AssertionError  # the last unit takes everything

    def moment(self, language: str, at: datetime, now: datetime) -> str:
        """An instant in words by Nairobi time: `today at 16:30`, `kesho, 09:00`, `3/2/2026 at 09:00`."""
        local, today = at.astimezone(NAIROBI), now.astimezone(NAIROBI).date()
        days = {today: "today", today + timedelta(days=1): "tomorrow"}
        return self.get(
            language,
            f"moments.{days.get(local.date(), 'later')}",
            time=f"{local:%H:%M}",
            date=f"{local.day}/{local.month}/{local.year}",
        )

    def opening(self, language: str, at: datetime, now: datetime) -> str:
        """When something opens, at most a week ahead: `22:00` today, `tomorrow at 22:00`, `Fri at 18:00`."""
        local, today = at.astimezone(NAIROBI), now.astimezone(NAIROBI).date()
        days_ahead = (local.date() - today).days
        if days_ahead == 0:
            return f"{local:%H:%M}"
        if days_ahead == 1:
            return self.moment(language, at, now)
        return self.get(language, "moments.weekday", day=self._day(language, local.weekday()), time=f"{local:%H:%M}")

    def refusal(self, language: str, refusal: Refusal, now: datetime) -> str:
        """Why a device is not let on."""
        from_time = "" if refusal.opens_at is None else self.opening(language, refusal.opens_at, now)
        return self.get(language, f"rejects.{refusal.key}", from_time=from_time)

    def hours(self, language: str, schedule: Schedule) -> str:
        """Hours in words: `Nights 22:00-06:00` with a long dash, `Fri, Sat 18:00-06:00`, `Sat, Sun`."""
        hours = hours_of_day(schedule)
        if len(schedule.days) < len(WEEKDAYS):
            days = self._days(language, schedule.days)
            return days if hours is None else f"{days} {_ranged(hours)}"
        over_midnight = schedule.closes <= schedule.opens
        key = "nights" if over_midnight and schedule.opens >= _EVENING else "daily"
        return self.get(language, f"hours.{key}", hours=_ranged(hours or schedule.hours))

    def duration_words(self, language: str) -> str:
        """The words `duration` is made of, for a script to count down with: one and many, from days to seconds."""
        keys = (f"units.{unit}.{number}" for unit, _ in _UNITS for number in ("one", "many"))
        return "|".join(self.get(language, key) for key in keys)

    def _days(self, language: str, days: tuple[int, ...]) -> str:
        rows: list[list[int]] = []
        for day in days:
            if rows and rows[-1][-1] == day - 1:
                rows[-1].append(day)
            else:
                rows.append([day])
        told = [
            _DASH.join(self._day(language, day) for day in (row[0], row[-1]))
            if len(row) >= _DAYS_IN_A_ROW
            else ", ".join(self._day(language, day) for day in row)
            for row in rows
        ]
        return ", ".join(told)

    def _day(self, language: str, day: int) -> str:
        return self.get(language, f"days.{WEEKDAYS[day]}")

    def _count(self, language: str, unit: str, count: int) -> str:
        return self.get(language, f"units.{unit}.{'one' if count == 1 else 'many'}", count=count)

    def _remainder(self, language: str, at: int, seconds: int) -> list[str]:
        if at == len(_UNITS) or seconds < _UNITS[at][1]:
            return []
        unit, size = _UNITS[at]
        return [self._count(language, unit, seconds // size)]

    def _in(self, language: str) -> dict[str, str]:
        return self._by_language.get(language) or self._by_language[self._default]

    def _compare(self, language: str) -> None:
        ours, theirs = self._by_language[self._default], self._by_language[language]
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                lacking, having = (language, self._default) if key in ours else (self._default, language)
                raise InvalidError("texts.missing", f"{lacking}.toml lacks {key}, which {having}.toml has.")
            if _placeholders(ours[key]) != _placeholders(theirs[key]):
                raise InvalidError(
                    "texts.placeholders",
                    f"{key} has other placeholders in {language}.toml than in {self._default}.toml.",
                )


def hours_of_day(schedule: Schedule) -> str | None:
    """Its hours as people write them, `22:00-06:00`; None where it is whole days."""
    whole = schedule.opens == 0 and schedule.closes % _DAY_MINUTES == 0
    return None if whole else schedule.hours


def _ranged(hours: str) -> str:
    return hours.replace("-", _DASH)


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")), path.name))
    except (OSError, ValueError) as error:
        raise InvalidError("texts.unreadable", f"{path.name} cannot be read: {error}") from error


def _flat(table: Mapping[str, Any], file: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, file, f"{prefix}{name}.")
        elif isinstance(value, str):
            yield prefix + name, value
        else:
            raise InvalidError("texts.unreadable", f"{prefix}{name} in {file} is no text.")


def _placeholders(text: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(text))


@functools.lru_cache(maxsize=256)  # a site's phones send a handful of different headers
def _preferred(accept_language: str) -> tuple[str, ...]:
    ranked = sorted(filter(None, map(_preference, accept_language.split(","))), key=lambda found: -found[1])
    return tuple(language for language, weight in ranked if weight > 0)


def _preference(part: str) -> tuple[str, float] | None:
    found = _PREFERENCE.fullmatch(part)
    return (found[1].lower(), float(found[2] or "1")) if found else None
