"""Events: each sealed onto the one before, so that nothing is changed or taken out unseen."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.events import GENESIS, Event, Stream, chain
from tests.fakes.clocks import START

FACTS: dict[str, Any] = {
    "stream": Stream.MONEY,
    "sequence": 7,
    "previous": bytes(range(32)),
    "kind": "payment.booked",
    "key": "4f0c",
    "at": START + timedelta(microseconds=123456),
    "clock": "synced",
    "data": {"amountCents": 5000, "phone": "254712345678", "receipt": "SKL41A2B3C", "note": "Öffnung ☕"},
}
# Computed once. If this changes, no chain written by an earlier release can be verified any more.
DIGEST = "7ba99711c527aae71c6a3da9b333f9a47f666d29956acbbf3b5adba42a2b5c9e"


def sealed(**changes: Any) -> Event:
    return chain(**(FACTS | changes))


def test_the_digest_is_what_it_always_was() -> None:
    """The envelope's spelling is part of every chain ever written."""
    assert sealed().digest.hex() == DIGEST


def test_the_digest_is_of_the_body() -> None:
    """Whoever has the body can compute it with any tool."""
    event = sealed()
    assert event.digest == hashlib.sha256(event.body).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"stream": Stream.USAGE},
        {"sequence": 8},
        {"previous": GENESIS},
        {"kind": "payment.receipt"},
        {"key": "4f0d"},
        {"at": START},
        {"clock": "unset"},
        {"data": {}},
        {"data": FACTS["data"] | {"amountCents": 5001}},
    ],
)
def test_any_change_shows(change: dict[str, Any]) -> None:
    """Each fact of the envelope counts."""
    assert sealed(**change).digest != sealed().digest


def test_a_chain_tells_what_came_before() -> None:
    """An event names the digest of the one before, the first one names nothing but noughts."""
    first = sealed(sequence=1, previous=GENESIS)
    second = sealed(sequence=2, previous=first.digest)
    assert json.loads(first.body)["prev"] == "00" * 32
    assert json.loads(second.body)["prev"] == first.digest.hex()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdef", max_size=4), JSON, max_size=5))
def test_the_same_facts_give_the_same_body(data: dict[str, Any]) -> None:
    """The order in which facts are written down does not matter, and they are read back as they were."""
    backwards = dict(reversed(data.items()))
    assert sealed(data=data).body == sealed(data=backwards).body
    assert json.loads(sealed(data=data).body)["data"] == data
