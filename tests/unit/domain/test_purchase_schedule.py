"""When the gateway is asked about a purchase, and how long a phone is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.purchases import (
    OFFERED_LIFE,
    PENDING_LIFE,
    PHONE_HOLD,
    Purchase,
    PurchaseState,
    first_query_at,
    first_recheck_at,
)
from tests.fakes.clocks import START
from tests.unit.shop import a_prompted_purchase, a_purchase

PROMPTING_STATES = (PurchaseState.INTENDED, PurchaseState.PROMPTED, PurchaseState.UNKNOWN)
LATENESS = st.lists(st.integers(0, 5 * 24 * 3600), max_size=40)


def asked_at(purchase: Purchase, first: datetime, lateness: list[int]) -> list[datetime]:
    """The moments at which a purchase is asked about in vain, each so many seconds later than was due."""
    moments: list[datetime] = []
    due: datetime | None = first
    while due is not None:
        late = lateness[len(moments)] if len(moments) < len(lateness) else 0
        moments.append(due + timedelta(seconds=late))
        assert len(moments) < 100, "asked without end"
        purchase = replace(purchase, queries=purchase.queries + 1)
        due = purchase.next_query_at(moments[-1])
    return moments


def test_questions_are_dense_at_first_then_rare() -> None:
    """Asked in time: within the first minute often, each pause at least as long as the one before, for two days."""
    moments = asked_at(a_prompted_purchase(), first_query_at(START), [])
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert pauses == sorted(pauses)
    assert sum(moment <= START + timedelta(minutes=1) for moment in moments) >= 4
    assert START + timedelta(hours=24) < moments[-1] <= START + timedelta(hours=72)


@given(LATENESS)
def test_the_next_question_lies_ahead(lateness: list[int]) -> None:
    """However late each question was asked, the next is due after it: a box that was off does not ask in a burst."""
    moments = asked_at(a_prompted_purchase(), first_query_at(START), lateness)
    assert all(earlier < later for earlier, later in pairwise(moments))


@given(st.integers(0, 10**6))
def test_questions_end_after_two_days(seconds: int) -> None:
    """Asked in vain later than 48 hours after the push, it is not asked again; before that it is."""
    next_at = a_prompted_purchase().next_query_at(START + timedelta(seconds=seconds))
    assert (next_at is None) == (seconds > 48 * 3600)


def test_a_failure_is_looked_at_again() -> None:
    """What was said to have failed is asked about after five minutes, an hour and a day, then no more."""
    failed_at = START + timedelta(seconds=30)
    failed = a_prompted_purchase(state=PurchaseState.FAILED, reason=Reason.CANCELLED, changed_at=failed_at)
    moments = asked_at(failed, first_recheck_at(failed_at), [])
    assert [moment - failed_at for moment in moments] == [
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=24),
    ]


@given(LATENESS)
def test_the_next_look_at_a_failure_lies_ahead(lateness: list[int]) -> None:
    """Also after a failure no question is due at once because an earlier one was late."""
    failed = a_prompted_purchase(state=PurchaseState.FAILED, reason=Reason.CANCELLED)
    moments = asked_at(failed, first_recheck_at(START), lateness)
    assert all(earlier < later for earlier, later in pairwise(moments))


@pytest.mark.parametrize(
    "purchase",
    [a_prompted_purchase(state=PurchaseState.PAID), a_purchase(), a_purchase(state=PurchaseState.OFFERED)],
)
def test_what_is_paid_or_has_no_id_is_not_asked_about(purchase: Purchase) -> None:
    """There is nothing left to learn, or nothing to ask by."""
    assert purchase.next_query_at(START + timedelta(seconds=9)) is None


@pytest.mark.parametrize("state", PROMPTING_STATES)
def test_an_open_prompt_holds_its_phone(state: PurchaseState) -> None:
    """While a prompt may stand on it, counted from when the purchase was written."""
    assert a_purchase(state=state).holds_phone_until() == START + PHONE_HOLD


def test_a_prompt_of_somebody_else_holds_the_phone_a_minute() -> None:
    """Where the gateway says that the SIM is busy, it is left alone for a minute from then."""
    later = START + timedelta(seconds=90)
    busy = a_purchase(state=PurchaseState.FAILED, reason=Reason.PROMPT_OPEN, changed_at=later)
    assert busy.holds_phone_until() == later + timedelta(seconds=60)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.PROMPT_OPEN])
def test_a_failed_purchase_frees_its_phone(reason: Reason) -> None:
    """Nothing stands on it; how soon it may be prompted again is for the limits to say."""
    assert a_purchase(state=PurchaseState.FAILED, reason=reason).holds_phone_until() is None


@pytest.mark.parametrize("state", [PurchaseState.PAID, PurchaseState.EXPIRED, PurchaseState.OFFERED])
def test_a_purchase_without_a_prompt_frees_its_phone(state: PurchaseState) -> None:
    """Paid for, given up, or never prompted: another package may be bought."""
    assert a_purchase(state=state).holds_phone_until() is None


@pytest.mark.parametrize("state", list(PurchaseState))
def test_what_may_have_a_prompt_is_open_and_so_is_an_offer(state: PurchaseState) -> None:
    """A prompt may stand where nobody said what became of the push; an offer is open without one."""
    assert state.prompting == (state in PROMPTING_STATES)
    assert state.open == (state.prompting or state is PurchaseState.OFFERED)


def test_a_phone_is_free_again_before_the_page_gives_up() -> None:
    """Else a customer would be told to try anew and then be refused."""
    assert PHONE_HOLD < PENDING_LIFE


def test_an_offer_outlives_a_prompt() -> None:
    """Who pays from the menu has a day, not minutes."""
    assert PENDING_LIFE < OFFERED_LIFE == timedelta(days=1)
