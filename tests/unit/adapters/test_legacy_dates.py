"""The ends of users, in every way that RouterOS and voucher programs have written dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from easyisp_edge.adapters.routeros.legacy_dates import end_in_comment, next_run, parse_offset, router_time
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

END = datetime(2023, 7, 14, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "comment",
    [
        "jul/14/2023 13:05:00",
        "2023-07-14 13:05:00",
        "Jul/14/2023 13:05:00",
        "jul/14/2023 13:05",
        "2023-07-14T13:05:00",
        "jul/14/2023 13:05:00 N",
        "2023-07-14 13:05:00 X",
        "2023-07-14 13:05:00 rem",
        " 2023-07-14 13:05:00 ",
    ],
)
def test_each_way_to_write_an_end(comment: str) -> None:
    """Before RouterOS 7.10 and since, with and without the mode that Mikhmon 4 puts behind; in the router's zone."""
    assert end_in_comment(comment, NAIROBI) == END


@pytest.mark.parametrize("comment", ["jul/14/2023", "2023-07-14", "2023-07-14 X"])
def test_a_day_lasts_to_its_end(comment: str) -> None:
    """A date without a time says the last day."""
    assert end_in_comment(comment, NAIROBI) == datetime(2023, 7, 14, 20, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "comment", ["", "vc-123-08.21.23-batch", "up-456-08.21.23-", "Mama Njeri", "13:05:00", "paid till 2023-07-14"]
)
def test_what_is_no_date_says_no_end(comment: str) -> None:
    """Not the day on which a batch of vouchers was made, and no date within other words."""
    assert end_in_comment(comment, NAIROBI) is None


@pytest.mark.parametrize(
    "comment",
    [
        "feb/30/2023 13:05:00",
        "2023-13-14 13:05:00",
        "2023-07-14 25:00:00",
        "jul/14 13:05:00",
        "2023-07-14 13:05:00 and more",
        "0000-07-14 13:05:00",
    ],
)
def test_a_broken_date_is_not_guessed(comment: str) -> None:
    """What begins as a date and is none, or has no year, is said to be unreadable."""
    with pytest.raises(InvalidError, match="begins as a date"):
        end_in_comment(comment, NAIROBI)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13:05:00", datetime(2023, 12, 30, 10, 5, tzinfo=UTC)),
        ("11:00:00", datetime(2023, 12, 31, 8, 0, tzinfo=UTC)),
        ("dec/31 13:05:00", datetime(2023, 12, 31, 10, 5, tzinfo=UTC)),
        ("jan/02 13:05:00", datetime(2024, 1, 2, 10, 5, tzinfo=UTC)),
        ("12-31 13:05:00", datetime(2023, 12, 31, 10, 5, tzinfo=UTC)),
        ("jan/02/2024 13:05:00", datetime(2024, 1, 2, 10, 5, tzinfo=UTC)),
        ("2024-01-02 13:05:00", datetime(2024, 1, 2, 10, 5, tzinfo=UTC)),
        ("never", None),
        ("", None),
        ("feb/30 13:05:00", None),
    ],
)
def test_the_next_run_is_after_now(text: str, expected: datetime | None) -> None:
    """What is left out of it, the day or the year, is the next to come: also over the turn of the year."""
    now = datetime(2023, 12, 30, 9, 0, tzinfo=UTC)  # noon in Nairobi
    assert next_run(text, now, NAIROBI) == expected


@pytest.mark.parametrize("date", ["jul/14/2023", "2023-07-14"])
def test_a_routers_clock(date: str) -> None:
    """Both dialects of /system/clock."""
    assert router_time(date, "13:05:00", NAIROBI) == END


@pytest.mark.parametrize(("date", "time"), [("", ""), ("2023-07-14", ""), ("jul/14", "13:05:00"), ("x", "y")])
def test_a_clock_that_shows_no_time(date: str, time: str) -> None:
    """It is not guessed."""
    with pytest.raises(InvalidError):
        router_time(date, time, NAIROBI)


@pytest.mark.parametrize(
    ("text", "hours"), [("+03:00", 3.0), ("+0300", 3.0), ("-03:30", -3.5), ("+00:00", 0.0), ("+14:00", 14.0)]
)
def test_offsets(text: str, hours: float) -> None:
    """As RouterOS writes them."""
    assert parse_offset(text) == timezone(timedelta(hours=hours))


@pytest.mark.parametrize("text", ["", "03:00", "+15:00", "+03:60", "Nairobi", "+3"])
def test_other_offsets(text: str) -> None:
    """Are refused."""
    with pytest.raises(InvalidError):
        parse_offset(text)
