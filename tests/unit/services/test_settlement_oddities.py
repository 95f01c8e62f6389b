"""Settlement of what should not happen: other amounts, other receipts, other pushes, money twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import Disposition, EvidenceSource, PaymentReport, Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.settlement import RAW_OCTETS_MAX, Verdict, settle
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.gateway import CHECKOUT, RECEIPT, callback_paid, not_paid, query_paid
from tests.unit.shop import (
    OTHER_PHONE,
    OTHER_PURCHASE_ID,
    PURCHASE_ID,
    a_prompted_purchase,
    a_purchase,
    add_purchase,
    tables_in_memory,
)

if TYPE_CHECKING:
    import sqlite3

    from easyisp_edge.store.store import Tables

OTHER_RECEIPT = "SKL41ZZZZZ"


@dataclass
class Desk:
    """Where statements are judged one by one."""

    sql: sqlite3.Connection
    tx: Tables
    identifiers: Identifiers

    def settle(self, report: PaymentReport, purchase_id: str = PURCHASE_ID) -> Verdict:
        return settle(self.tx, purchase_id, report, now=START, identifiers=self.identifiers)

    def purchase(self, purchase_id: str = PURCHASE_ID) -> Purchase:
        found = self.tx.purchases.by_id(purchase_id)
        assert found is not None
        return found

    def payments(self) -> list[tuple[int, str, str | None]]:
        rows = self.sql.execute("SELECT amount_cents, disposition, mpesa_receipt_number FROM payments ORDER BY rowid")
        return rows.fetchall()

    def grants(self) -> int:
        return int(self.sql.execute("SELECT count(*) FROM grants").fetchone()[0])


@pytest.fixture
def desk() -> Desk:
    """A purchase whose phone was prompted."""
    sql, tx = tables_in_memory()
    add_purchase(tx, a_prompted_purchase())
    return Desk(sql, tx, Identifiers(SeededRandomness()))


def add_other(desk: Desk, **changes: object) -> None:
    """A second purchase, of another phone."""
    other = a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER", phone=OTHER_PHONE, **changes)
    add_purchase(desk.tx, other, "other token")


def test_a_wrong_amount_buys_nothing_and_is_kept(desk: Desk) -> None:
    """The money stands in the books for a person to assign, the page says so, and no more is asked."""
    assert desk.settle(callback_paid(amount=Money(500))) is Verdict.UNMATCHED
    assert desk.payments() == [(500, "unmatched", RECEIPT)]
    assert desk.grants() == 0
    purchase = desk.purchase()
    assert (purchase.state, purchase.reason, purchase.query_at) == (PurchaseState.FAILED, Reason.WRONG_AMOUNT, None)


def test_a_wrong_amount_told_again_is_booked_once(desk: Desk) -> None:
    """By the same callback, or by a query that tells neither amount nor receipt."""
    desk.settle(callback_paid(amount=Money(500)))
    assert desk.settle(callback_paid(amount=Money(500))) is Verdict.REPEATED
    assert desk.settle(query_paid()) is Verdict.REPEATED
    assert desk.payments() == [(500, "unmatched", RECEIPT)]
    assert desk.grants() == 0


def test_a_wrong_amount_without_a_receipt_is_booked_once(desk: Desk) -> None:
    """There is only the amount to know it by."""
    odd = callback_paid(amount=Money(500), receipt=None)
    assert desk.settle(odd) is Verdict.UNMATCHED
    assert desk.settle(odd) is Verdict.REPEATED
    assert desk.payments() == [(500, "unmatched", None)]


def test_the_right_amount_after_a_wrong_one_settles(desk: Desk) -> None:
    """Both are in the books; one bought the package."""
    desk.settle(callback_paid(amount=Money(500)))
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.SETTLED
    assert desk.payments() == [(500, "unmatched", RECEIPT), (1000, "grant", OTHER_RECEIPT)]
    assert desk.purchase().state is PurchaseState.PAID
    assert desk.grants() == 1


def test_money_twice_buys_once(desk: Desk) -> None:
    """A second receipt for a settled purchase is kept, grants nothing, and the purchase stays paid."""
    desk.settle(callback_paid())
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.UNMATCHED
    assert desk.payments() == [(1000, "grant", RECEIPT), (1000, "unmatched", OTHER_RECEIPT)]
    assert desk.settle(callback_paid(receipt=OTHER_RECEIPT)) is Verdict.REPEATED
    assert desk.grants() == 1
    assert desk.purchase().state is PurchaseState.PAID


def test_a_wrong_amount_after_settlement_is_kept_too(desk: Desk) -> None:
    """Whatever its size, it is somebody's money."""
    desk.settle(callback_paid())
    desk.settle(callback_paid(receipt=OTHER_RECEIPT, amount=Money(700)))
    assert desk.payments() == [(1000, "grant", RECEIPT), (700, "unmatched", OTHER_RECEIPT)]
    assert desk.purchase().state is PurchaseState.PAID


def test_an_amount_that_contradicts_a_query_is_noted(desk: Desk) -> None:
    """The query proved the price; the receipt is still this payment's, and the owner sees that something is odd."""
    desk.settle(query_paid())
    assert desk.settle(callback_paid(amount=Money(700))) is Verdict.RECEIPT_ATTACHED
    assert desk.payments() == [(1000, "grant", RECEIPT)]
    assert "evidence.contradicted" in desk.tx.events.of_key(PURCHASE_ID)


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
    """It may be another than the one that was prompted; where it is masked, the prompted one stands."""
    desk.settle(callback_paid(phone=OTHER_PHONE))
    payment = desk.tx.payments.settling(PURCHASE_ID)
    assert payment is not None
    assert payment.phone == OTHER_PHONE
    add_other(desk)
    desk.settle(callback_paid(phone=None, receipt=OTHER_RECEIPT, checkout=None), OTHER_PURCHASE_ID)
    other = desk.tx.payments.settling(OTHER_PURCHASE_ID)
    assert other is not None
    assert other.phone == OTHER_PHONE


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


def test_every_statement_is_chained(desk: Desk) -> None:
    """After all of it the history holds, and each payment stands in exactly one place."""
    add_other(desk)
    for report in (callback_paid(amount=Money(1)), callback_paid(receipt=OTHER_RECEIPT), query_paid()):
        desk.settle(report)
    assert desk.tx.events.first_break(Stream.MONEY) is None
    unmatched = desk.tx.payments.unmatched(PURCHASE_ID)
    assert [payment.disposition for payment in unmatched] == [Disposition.UNMATCHED]


def test_a_statement_about_nothing_is_a_bug(desk: Desk) -> None:
    """Rows are never deleted, so this is no input's fault."""
    with pytest.raises(LookupError):
        desk.settle(callback_paid(), "f" * 32)
