from __future__ import annotations

from easyisp_edge.domain.sync import BATCH_OCTETS_MOST, one_batch


def test_a_batch_takes_what_fits_with_its_line_ends() -> None:
    """To the octet; the line that is one too many waits for the next."""
    half = b"x" * (BATCH_OCTETS_MOST // 2 - 1)
    lines = [(7, half), (8, half), (9, b"")]
    assert one_batch(lines) == lines[:2]
    assert one_batch([(7, half), (8, half + b"x")]) == [(7, half)]
    assert one_batch([]) == []


def test_a_line_that_is_too_long_goes_alone() -> None:
    """Else nothing would ever go."""
    long = b"x" * (BATCH_OCTETS_MOST + 1)
    assert one_batch([(1, long), (2, b"y")]) == [(1, long)]


def test_no_more_is_read_than_goes() -> None:
    """But for the line that did not fit."""
    read = iter([(number, b"x" * BATCH_OCTETS_MOST) for number in range(9)])
    one_batch(read)
    assert next(read)[0] == 2
