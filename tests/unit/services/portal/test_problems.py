"""What customers say is wrong is kept for the staff, and not more often than anybody reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.services.portal.problems import (
    PER_DEVICE_HOUR,
    PER_SITE_HOUR,
    TEXT_LENGTH_MAX,
    Problem,
    ProblemService,
)
from tests.unit.claims_stage import AN_HOUR, device
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, TENANT, Books, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.values import MacAddress

SLOW = Problem(TENANT, MAC, ROUTER, "online", "Very slow\nsince morning", "en")


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    """Books with nothing in them."""
    async with open_books(tmp_path) as books:
        yield books


async def test_it_is_kept_with_what_the_staff_need(books: Books) -> None:
    """Which device, behind which router, where it stood, and the customer's own words; beside the money's history."""
    await ProblemService.over(books.store, books.clock).report(SLOW._replace(text=" Very slow\nsince morning "))
    told = books.store.read.events.told("problem-1", "problem.reported")
    assert told == {
        "at": books.now().isoformat(),
        "tenant": TENANT,
        "mac": MAC.text,
        "router": ROUTER,
        "standing": "online",
        "language": "en",
        "text": "Very slow\nsince morning",
    }
    assert books.store.read.events.head(Stream.MONEY)[0] == 0


@pytest.mark.parametrize("text", ["", "  \n", "x" * (TEXT_LENGTH_MAX + 1)])
async def test_it_has_to_say_something(books: Books, text: str) -> None:
    """And not a book; what is refused does not count."""
    problems = ProblemService.over(books.store, books.clock)
    for _ in range(PER_DEVICE_HOUR + 1):
        with pytest.raises(InvalidError):
            await problems.report(SLOW._replace(text=text))
    await problems.report(SLOW)


async def test_a_device_has_three_an_hour(books: Books) -> None:
    """Another device has its own; an hour later there may be more."""
    problems = ProblemService.over(books.store, books.clock)
    for _ in range(PER_DEVICE_HOUR):
        await problems.report(SLOW)
    with pytest.raises(ConflictError):
        await problems.report(SLOW)
    await problems.report(SLOW._replace(mac=OTHER_MAC))
    await problems.report(SLOW._replace(mac=None))
    books.time.advance(AN_HOUR + 1)
    await problems.report(SLOW)
    assert books.count("events") == PER_DEVICE_HOUR + 3


async def test_naming_ever_new_devices_leads_to_nothing(books: Books) -> None:
    """All of a site together are held to what somebody may read."""
    problems = ProblemService.over(books.store, books.clock)
    macs: list[MacAddress] = [device(number) for number in range(PER_SITE_HOUR + 1)]
    for mac in macs[:-1]:
        await problems.report(SLOW._replace(mac=mac))
    with pytest.raises(ConflictError):
        await problems.report(SLOW._replace(mac=macs[-1]))
