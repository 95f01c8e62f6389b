"""Settlement of what should not happen: other receipts, other pushes, other tenants, anybody's word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, Reason
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.services.money.judgement import STATEMENTS_KEPT_MAX, Receiver, Verdict
from tests.fakes.clocks import START
from tests.fakes.gateway import CHECKOUT, PAYER, RECEIPT, callback_paid, money_record, not_paid
from tests.unit.services.desk import Desk, open_desk
from tests.unit.shop import OTHER_PHONE, OTHER_PURCHASE_ID, PURCHASE_ID, a_purchase, add_purchase

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_RECEIPT = "SKL41ZZZZZ"


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A purchase whose phone was prompted."""
    with open_desk() as desk:
        yield desk


def add_other(desk: Desk, **changes: object) -> None:
    """A second purchase, of another phone."""
    other = a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER", phone=OTHER_PHONE, **changes)
    add_purchase(desk.tx, other, "other token")


def test_a_receipt_pays_for_one_purchase(desk: Desk) -> None:
    """Told again for another purchase it buys nothing there, and changes nothing here."""
    add_other(desk)
    desk.settle(callback_paid())
    assert desk.settle(callback_paid(checkout=None), OTHER_PURCHASE_ID) is Verdict.CONTRADICTED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    assert desk.purchase(OTHER_PURCHASE_ID).state is PurchaseState.INTENDED
    assert "evidence.contradicted" in desk.tx.events.of_key(OTHER_PURCHASE_ID)


@pytest.mark.parametrize("paid", [True, False])
def test_a_callback_about_another_push_proves_nothing(desk: Desk, *, paid: bool) -> None:
    """Knowing the secret address is not enough: it must speak of this purchase's push; it makes us ask."""
    report = (
        callback_paid(checkout="ws_CO_other") if paid else not_paid(EvidenceSource.STK_CALLBACK, checkout="ws_CO_other")
    )
    assert desk.settle(report) is Verdict.LOOK_UP
    assert desk.payments() == []
    purchase = desk.purchase()
    assert (purchase.state, purchase.checkout_request_id) == (PurchaseState.PROMPTED, CHECKOUT)
    assert purchase.query_at == START


def test_a_push_of_another_purchase_proves_nothing(desk: Desk) -> None:
    """Also where a purchase's own push is not known: one that is known to be another's is not its own."""
    add_other(desk, state=PurchaseState.UNKNOWN)
    assert desk.settle(callback_paid(), OTHER_PURCHASE_ID) is Verdict.LOOK_UP
    assert desk.payments() == []
    other = desk.purchase(OTHER_PURCHASE_ID)
    assert (other.state, other.checkout_request_id) == (PurchaseState.UNKNOWN, None)


def test_an_amount_of_nought_proves_nothing(desk: Desk) -> None:
    """Nothing was paid, whatever the code says."""
    assert desk.settle(callback_paid(amount=Money(0))) is Verdict.LOOK_UP
    assert desk.payments() == []
    assert desk.purchase().state is PurchaseState.PROMPTED


def test_a_bare_callback_only_makes_us_ask(desk: Desk) -> None:
    """Anybody may write one: no money, no failure, only a question sooner."""
    for report in (
        callback_paid(source=EvidenceSource.STK_CALLBACK_BARE),
        not_paid(EvidenceSource.STK_CALLBACK_BARE),
    ):
        assert desk.settle(report) is Verdict.LOOK_UP
    assert desk.payments() == []
    purchase = desk.purchase()
    assert (purchase.state, purchase.query_at) == (PurchaseState.PROMPTED, START)
    assert desk.sql.execute("SELECT sum(strong), count(*) FROM evidence").fetchone() == (0, 2)


def test_a_late_success_pays_out(desk: Desk) -> None:
    """After no, and no, and no: money that came is money."""
    for report in (
        not_paid(EvidenceSource.STK_CALLBACK),
        not_paid(EvidenceSource.STK_QUERY, Reason.NO_ANSWER, "1037"),
    ):
        desk.settle(report)
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    purchase = desk.purchase()
    assert (purchase.state, purchase.reason, purchase.result_description) == (PurchaseState.PAID, None, "")


def test_a_failure_told_again_does_not_use_up_the_looks_ahead(desk: Desk) -> None:
    """A callback that comes five times leaves the next look at the failure where it was."""
    desk.settle(not_paid(EvidenceSource.STK_CALLBACK))
    first = desk.purchase().query_at
    assert first is not None
    for _ in range(5):
        assert desk.settle(not_paid(EvidenceSource.STK_CALLBACK)) is Verdict.REPEATED
    assert desk.purchase().query_at == first


def test_a_failure_after_success_is_a_contradiction(desk: Desk) -> None:
    """Noted, without effect."""
    desk.settle(callback_paid())
    before = desk.purchase()
    assert desk.settle(not_paid(EvidenceSource.STK_QUERY)) is Verdict.CONTRADICTED
    assert desk.purchase() == before


def test_the_payers_phone_is_kept_where_it_is_told(desk: Desk) -> None:
    """It may be another than the one that was prompted; where it is masked, none is kept, until a source tells it."""
    desk.settle(callback_paid(phone=OTHER_PHONE))
    assert desk.payment(RECEIPT).phone == OTHER_PHONE
    add_other(desk)
    desk.settle(callback_paid(phone=None, receipt=OTHER_RECEIPT, checkout=None), OTHER_PURCHASE_ID)
    assert desk.payment(OTHER_RECEIPT).phone is None
    desk.record(money_record(receipt=OTHER_RECEIPT, payer=Payer(phone=PAYER)))
    assert desk.payment(OTHER_RECEIPT).phone == PAYER
    assert "payment.payer" in desk.tx.events.of_key(desk.payment(OTHER_RECEIPT).payment_id)
    desk.settle(callback_paid(phone=OTHER_PHONE, receipt=OTHER_RECEIPT, checkout=None), OTHER_PURCHASE_ID)
    assert desk.payment(OTHER_RECEIPT).phone == PAYER


def test_a_statement_told_too_often_is_judged_all_the_same(desk: Desk) -> None:
    """Only so many are written down about one purchase; what money was booked on always is."""
    for _ in range(STATEMENTS_KEPT_MAX + 5):
        desk.settle(not_paid(EvidenceSource.STK_CALLBACK))
    assert desk.tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_CALLBACK) == STATEMENTS_KEPT_MAX
    assert desk.settle(callback_paid()) is Verdict.SETTLED
    assert desk.tx.evidence.count(PURCHASE_ID, EvidenceSource.STK_CALLBACK) == STATEMENTS_KEPT_MAX + 1


def test_what_was_said_is_kept_within_bounds(desk: Desk) -> None:
    """Nobody fills the disk with one callback."""
    desk.settle(replace(callback_paid(), raw=b"x" * 100_000))
    assert desk.sql.execute("SELECT max(length(raw)) FROM evidence").fetchone() == (RAW_OCTETS_MAX,)


def test_credentials_are_new_for_each_grant(desk: Desk) -> None:
    """Neither user name nor password tells anything of the receipt, the phone or another grant."""
    add_other(desk)
    desk.settle(callback_paid())
    desk.settle(callback_paid(receipt=OTHER_RECEIPT, checkout=None), OTHER_PURCHASE_ID)
    rows = desk.sql.execute("SELECT username, password FROM grants").fetchall()
    assert len({value for row in rows for value in row}) == 4
    assert not any(known in value for row in rows for value in row for known in (RECEIPT, OTHER_RECEIPT, "712345678"))


def test_another_tenants_receipt_buys_nothing(desk: Desk) -> None:
    """Whoever's callback names it: the money is where it was paid to."""
    theirs = Receiver("other", "their till")
    assert desk.record(money_record(payer=Payer()), theirs) is Verdict.UNMATCHED
    assert desk.settle(callback_paid()) is Verdict.CONTRADICTED
    assert desk.payments() == [(1000, "unmatched", RECEIPT)]
    assert desk.payment(RECEIPT).tenant_id == "other"
    assert "evidence.contradicted" in desk.tx.events.of_key(PURCHASE_ID)


def test_a_statement_about_nothing_is_a_bug(desk: Desk) -> None:
    """Rows are never deleted, so this is no input's fault."""
    with pytest.raises(LookupError):
        desk.settle(callback_paid(), "f" * 32)
