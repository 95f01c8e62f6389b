"""A box and its hub come to the same number for the same rows, whatever they keep them in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.row_digest import DIGESTED, USED, RowDigest, digests, line_of
from easyisp_edge.domain.row_images import MONEY_KEYS, USAGE_KEYS, image, value_of

VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary()
ROWS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1), max_size=8)


def imaged(row: dict[str, Any]) -> dict[str, Any]:
    return image(row.keys(), row.values())


@given(st.dictionaries(st.text(min_size=1), VALUES))
def test_images_come_back(row: dict[str, Any]) -> None:
    """Through JSON too, each value of its own kind."""
    told = json.loads(json.dumps(imaged(row)))
    assert {column: value_of(value) for column, value in told.items()} == row


@given(ROWS, st.randoms())
def test_no_order_matters(rows: list[dict[str, Any]], chance: Any) -> None:
    """Neither that of the rows nor that of their columns."""
    shuffled = [dict(chance.sample(list(row.items()), len(row))) for row in rows]
    chance.shuffle(shuffled)
    of = [digests([("payments", imaged(row)) for row in each])["payments"] for each in (rows, shuffled)]
    assert of[0] == of[1]


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Only what has no value may be missing."""
    lines = [sorted(line_of(imaged(row)) for row in each) for each in (rows, others)]
    of = [digests([("payments", imaged(row)) for row in each])["payments"] for each in (rows, others)]
    assert (of[0] == of[1]) == (lines[0] == lines[1])


def test_the_form_is_as_it_is_written_down() -> None:
    """Both sides may be of different releases: what a digest is made of never changes."""
    row = {"b": None, "a": "ä", "c": {"base64": "AA=="}, "d": 7}
    assert line_of(row) == '{"a":"ä","c":{"base64":"AA=="},"d":7}'.encode()
    digest = RowDigest()
    digest.add(row)
    digest.add(row)
    of_line = int.from_bytes(hashlib.sha256(line_of(row)).digest(), "big")
    expected = hashlib.sha256(f"2\n{2 * of_line % 2**256:064x}".encode()).hexdigest()
    assert digest.hexdigest() == expected


def test_what_a_grant_has_used_is_apart() -> None:
    """The stream of money alone decides the rest; a grant of which nothing was used counts as one nobody spoke of."""
    bare = digests([("grants", {"grant_id": "g", "state": "running"})])
    unused = digests([("grants", {"grant_id": "g", "state": "running", "seconds_used": 0, "octets_used": 0})])
    used = digests([("grants", {"grant_id": "g", "state": "running", "seconds_used": 5, "octets_used": 0})])
    assert bare == unused
    assert {name for name in DIGESTED if used[name] != unused[name]} == {USED}


def test_there_is_a_digest_of_each_table() -> None:
    """Also where it has no row."""
    assert digests([]).keys() == {*MONEY_KEYS, *USAGE_KEYS, USED}
