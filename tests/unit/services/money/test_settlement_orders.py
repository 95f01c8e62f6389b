"""Settlement, exhaustively: every order and repetition of what may be said about one purchase.

Eight statements (the callback, the same one relayed, a query, a row of the merchant's list, a confirmation, the
receipt pasted by a customer, and two that say it failed), told in every order and repeated, from every state a
purchase may be in when the first comes, for PayBills and tills: the books end the same for all, and money is
granted once or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.services.money.judgement import Verdict
from tests.fakes.gateway import CHECKOUT, PAYER, RECEIPT, callback_paid
from tests.unit.services.schedules import (
    BEGINNINGS,
    NAMING,
    PHONE_TELLING,
    PLACES,
    PROVING,
    PUSH_PROVING,
    Outcome,
    Place,
    look,
    open_stage,
)
from tests.unit.shop import MAC, OTHER_MAC, OTHER_PURCHASE_ID, PURCHASE_ID, check_books

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.domain.purchases import Purchase

OWN_MAC, ELSEWHERE = MAC.text, OTHER_MAC.text
PUSH_STATEMENTS = {"callback", "relayed callback", "query", "callback cancelled", "query no answer"}
# All sequences of three are tried everywhere; of four where it differs most.
LONGER = {("prompted", "PayBill, masked, same device"), ("failed", "till, digest, other device")}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_all_orders_end_the_same(beginning: str, where: str) -> None:
    """Whatever comes first, twice or last: what was said at all decides how the books end."""
    stage, place = open_stage(BEGINNINGS[beginning], PLACES[where]), PLACES[where]
    longest = 4 if (beginning, where) in LONGER else 3
    outcomes: dict[frozenset[str], Outcome] = {}
    tried = 0
    for said in stage.sequences(longest):
        outcome = look(stage.mains)
        assert outcomes.setdefault(frozenset(said), outcome) == outcome, f"another order than {said} ends otherwise"
        check_books(stage.mains)
        assert count(stage.mains.execute("SELECT count(*) FROM evidence")) == written_down(said)
        tried += 1
    assert tried == sum(len(stage.told) ** length for length in range(longest + 1))
    for said_at_all, outcome in outcomes.items():
        check_outcome(outcome, said_at_all, BEGINNINGS[beginning], place)


def count(rows: Any) -> int:
    return int(rows.fetchone()[0])


def written_down(said: Iterable[str]) -> int:
    """Statements about a push are kept each time, rows of a list once, and of pasted receipts only the claim."""
    told = list(said)
    return sum(name in PUSH_STATEMENTS for name in told) + len({"pull row", "confirmation"} & set(told))


def check_outcome(outcome: Outcome, said: frozenset[str], beginning: Purchase, place: Place) -> None:
    """One payment and one grant exactly where there was proof; what is told of them where somebody told it."""
    proven, named = bool(said & PROVING), bool(said & NAMING)
    receipt = RECEIPT if named else None
    own, bystander = outcome.purchases
    assert bystander == (OTHER_PURCHASE_ID, "prompted", "ws_CO_2")
    known = beginning.checkout_request_id or bool(said & PUSH_STATEMENTS)
    failed = PurchaseState.FAILED if said & (PUSH_STATEMENTS - PROVING) else beginning.state
    assert own == (PURCHASE_ID, "paid" if proven else failed.value, CHECKOUT if known else None)
    on = ELSEWHERE if named and "pasted receipt" in said and place.moves_the_grant else OWN_MAC
    phone = PAYER.digits if said & PHONE_TELLING else None
    # A till's books tell no account: what its money came with is known where the push is proven, too.
    account = beginning.account_reference if said & PUSH_PROVING else place.account
    who = PAYER.digits
    assert outcome.payments == (
        [(1000, "grant", receipt, PURCHASE_ID, phone, account, "1 hour", "MPESA", "paybill", who)] if proven else []
    )
    assert outcome.grants == (
        [("waiting", 3600, on, 1, "hotspot", "payment", PURCHASE_ID, receipt, who)] if proven else []
    )
    assert outcome.customers == ([(who, OWN_MAC, "hotspot", 1000)] if proven else [])
    assert outcome.balances == ([("received", "default", -1000), ("sold", "default", 1000)] if proven else [])
    decided = ("given_back", None, 0, 0, 1) if named else ("verifying", None, 1, 1, 0)
    assert outcome.claims == ([decided] if "pasted receipt" in said else [])


CRASHES = {
    "prompted": "PayBill, masked, other device",
    "failed": "PayBill, digest, same device",
    "push never answered": "till, masked, same device",
    "expired": "till, digest, other device",
}
EVIDENCE = ("callback", "query", "pull row", "confirmation", "pasted receipt")
SCHEDULES_MIN = 5000
SCHEDULES_OF_TWO_CUTS_MIN = 2000


@pytest.mark.parametrize(("beginning", "where"), CRASHES.items())
def test_a_power_cut_anywhere_changes_nothing(beginning: str, where: str) -> None:
    """Five kinds of evidence in every order, the power cut after each query of each: told again, all ends the same."""
    stage = open_stage(BEGINNINGS[beginning], PLACES[where])
    tried = 0
    with stage.undone():
        for name in EVIDENCE:
            stage.tell(name)
        expected = look(stage.mains)
    check_outcome(expected, frozenset(EVIDENCE), BEGINNINGS[beginning], PLACES[where])
    for said in stage.walk(EVIDENCE, cuts=1):
        assert look(stage.mains) == expected, said
        check_books(stage.mains)
        tried += 1
    assert tried >= SCHEDULES_MIN


def test_two_power_cuts_change_nothing() -> None:
    """Three kinds of evidence in every order, with two power cuts at any of their queries."""
    stage = open_stage(BEGINNINGS["prompted"], PLACES["till, masked, same device"])
    evidence = ("query", "confirmation", "pasted receipt")
    with stage.undone():
        for name in evidence:
            stage.tell(name)
        expected = look(stage.mains)
    tried = 0
    for said in stage.walk(evidence, cuts=2):
        assert look(stage.mains) == expected, said
        check_books(stage.mains)
        tried += 1
    assert tried >= SCHEDULES_OF_TWO_CUTS_MIN


def test_a_power_cut_leaves_nothing_of_its_statement() -> None:
    """The books are as they were before, to the last row, wherever the cut falls."""
    stage = open_stage(BEGINNINGS["prompted"], PLACES["PayBill, masked, same device"])
    before = list(stage.mains.iterdump())
    cuts = 0
    while stage.cut_short("callback", cuts + 1):
        assert list(stage.mains.iterdump()) == before
        cuts += 1
    assert cuts > 10


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_proof_without_the_gateways_id_settles_too(beginning: str) -> None:
    """The secret address alone says which purchase is meant; the id stays as it was known."""
    stage = open_stage(BEGINNINGS[beginning], PLACES["PayBill, masked, same device"])
    assert stage.desk.settle(callback_paid(checkout=None)) is Verdict.SETTLED
    assert stage.desk.purchase().checkout_request_id == BEGINNINGS[beginning].checkout_request_id
    check_books(stage.mains)


def test_anybodys_word_teaches_no_id() -> None:
    """Whoever posts to the address without a secret could claim any push to be this purchase's."""
    stage = open_stage(BEGINNINGS["push never answered"], PLACES["PayBill, masked, same device"])
    assert stage.desk.settle(callback_paid(source=EvidenceSource.STK_CALLBACK_BARE)) is Verdict.LOOK_UP
    assert stage.desk.purchase().checkout_request_id is None
    check_books(stage.mains)
