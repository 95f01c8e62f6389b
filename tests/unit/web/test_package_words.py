"""Packages in words and in JSON: time online, hours and days, and the speed without what may follow it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import RateLimit
from easyisp_edge.web.portal_api import package_as_json
from tests.unit.shop import HOUR, open_books
from tests.unit.web.counter import TEXTS, open_portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.web.portal import Portal

ONLINE = replace(HOUR, online_time=timedelta(hours=3), duration=timedelta(days=7))
DASH = "\u2013"


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    async with open_books(tmp_path) as books:
        yield open_portal(books, tmp_path)


@pytest.mark.parametrize(
    ("written", "english", "swahili"),
    [
        ("22:00-06:00", "Nights 22:00~06:00", "Usiku 22:00~06:00"),
        ("18:00-00:00", "Nights 18:00~00:00", "Usiku 18:00~00:00"),
        ("17:59-06:00", "Every day 17:59~06:00", "Kila siku 17:59~06:00"),
        ("08:00-17:30", "Every day 08:00~17:30", "Kila siku 08:00~17:30"),
        ("fri,sat 22:00-06:00", "Fri, Sat 22:00~06:00", "Ijumaa, Jumamosi 22:00~06:00"),
        ("fri,sat 00:00-00:00", "Fri, Sat", "Ijumaa, Jumamosi"),
        ("fri,sat 00:00-24:00", "Fri, Sat", "Ijumaa, Jumamosi"),
        ("mon,tue,wed,thu,fri 08:00-17:00", "Mon~Fri 08:00~17:00", "Jumatatu~Ijumaa 08:00~17:00"),
        ("mon,tue,thu,fri,sat 00:00-00:00", "Mon, Tue, Thu~Sat", "Jumatatu, Jumanne, Alhamisi~Jumamosi"),
    ],
)
def test_hours_in_words(written: str, english: str, swahili: str) -> None:
    """Nights are called so; days stand before the hours, three and more in a row by the first and the last."""
    schedule = Schedule.parse(written)
    assert TEXTS.hours("en", schedule) == english.replace("~", DASH)
    assert TEXTS.hours("sw", schedule) == swahili.replace("~", DASH)


@pytest.mark.parametrize(
    ("at", "english", "swahili"),
    [
        (datetime(2026, 11, 23, 19, 0, tzinfo=UTC), "22:00", "22:00"),
        (datetime(2026, 11, 23, 21, 0, tzinfo=UTC), "tomorrow at 00:00", "kesho, 00:00"),
        (datetime(2026, 11, 27, 15, 0, tzinfo=UTC), "Fri at 18:00", "Ijumaa, 18:00"),
        (datetime(2026, 11, 30, 5, 0, tzinfo=UTC), "Mon at 08:00", "Jumatatu, 08:00"),
    ],
)
def test_an_opening_is_told_by_kenyas_clock(at: datetime, english: str, swahili: str) -> None:
    """The time alone today, the day of the week from the day after tomorrow on."""
    now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday
    assert TEXTS.opening("en", at, now) == english
    assert TEXTS.opening("sw", at, now) == swahili


async def test_time_online_is_told_with_how_long_it_is_valid(portal: Portal) -> None:
    """Never the one without the other."""
    assert portal.offer(ONLINE, "en").duration == "3 hours online, within 7 days"
    assert portal.offer(ONLINE, "sw").duration == "saa 3 mtandaoni, ndani ya siku 7"
    assert portal.offer(HOUR, "en").duration == "1 hour"


async def test_the_plain_speed_is_shown(portal: Portal) -> None:
    """Whatever burst, priority and least speed the router is told."""
    burst = replace(HOUR, rate_limit=RateLimit.parse("2M/5M 4M/10M 1500k/4M 10/10 8 512k/1M"))
    assert portal.offer(burst, "en").speed == portal.offer(HOUR, "en").speed == "5/2 Mbps"
    assert package_as_json(portal, burst, "en")["speed"] == "5/2 Mbps"


@pytest.mark.parametrize(
    ("package", "wanted"),
    [
        (HOUR, {"onlineSeconds": None, "hours": None, "days": None, "durationSeconds": 3600}),
        (ONLINE, {"onlineSeconds": 10_800, "hours": None, "days": None, "durationSeconds": 604_800}),
        (
            replace(HOUR, schedule=Schedule.parse("22:00-06:00")),
            {"onlineSeconds": None, "hours": "22:00-06:00", "days": None},
        ),
        (
            replace(HOUR, schedule=Schedule.parse("fri,sat 00:00-00:00")),
            {"onlineSeconds": None, "hours": None, "days": ["fri", "sat"]},
        ),
        (
            replace(HOUR, schedule=Schedule.parse("sun 08:00-17:00")),
            {"onlineSeconds": None, "hours": "08:00-17:00", "days": ["sun"]},
        ),
    ],
)
async def test_programs_read_the_same_limits(portal: Portal, package: Package, wanted: dict[str, Any]) -> None:
    """Each key is always there; null is for no such limit."""
    assert wanted.items() <= package_as_json(portal, package, "en").items()
