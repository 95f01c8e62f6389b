from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.routeros.durations import duration_text, parse_duration, parse_flag
from easyisp_edge.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("0", 0),
        ("3600", 3600),
        ("1w2d3h4m5s", 788645),
        ("4m5s", 245),
        ("5m", 300),
        ("250ms", 0.25),
        ("1m250ms", 60.25),
        ("1s5ms20us", 1.00502),
        ("00:05:32", 332),
        ("24:00:00", 86400),
        ("1d02:03:04", 93784),
        ("1w1d00:00:01", 691201),
        ("00:00:00.250", 0.25),
    ],
)
def test_every_spelling_is_read(text: str, seconds: float) -> None:
    """All the forms that RouterOS prints or takes are read as the span they mean."""
    assert parse_duration(text) == timedelta(seconds=seconds)


def test_none_is_no_span() -> None:
    """`none`, as idle and keepalive time-outs say it, is no span of time, and is written so."""
    assert parse_duration("none") is None
    assert duration_text(None) == "none"


@pytest.mark.parametrize(
    "text", ["", " ", "s", "1x", "5s4m", "-5s", "1.5s", "1h 2m", "5:32", "\u0661s", "1s\n", "9" * 30]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Text that is no duration is refused, never read as some number."""
    with pytest.raises(InvalidError):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36500)))
def test_what_is_written_is_read_back(span: timedelta) -> None:
    """Writing and reading a span gives the same span."""
    assert parse_duration(duration_text(span)) == span


@given(st.text("0123456789wdhmsu:.- none", max_size=20))
def test_reading_anything_ends_in_a_span_or_a_refusal(text: str) -> None:
    """No text from a router raises anything but `InvalidError`."""
    try:
        span = parse_duration(text)
    except InvalidError:
        return
    assert span is None or span >= timedelta()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(hours=1), "1h"),
        (timedelta(days=1), "1d"),
        (timedelta(weeks=1, seconds=1), "1w1s"),
        (timedelta(milliseconds=250), "250ms"),
    ],
)
def test_parts_that_are_zero_are_left_out(span: timedelta, text: str) -> None:
    """A span is written in the router's own normal form."""
    assert duration_text(span) == text


def test_a_negative_span_is_refused() -> None:
    """The router knows no negative span; none is sent."""
    with pytest.raises(InvalidError):
        duration_text(timedelta(seconds=-1))


def test_flags_are_read_in_both_spellings() -> None:
    """`true` and `yes` are one, `false` and `no` the other, and nothing else is a flag."""
    assert parse_flag("true")
    assert parse_flag("yes")
    assert not parse_flag("false")
    assert not parse_flag("no")
    with pytest.raises(InvalidError):
        parse_flag("1")
