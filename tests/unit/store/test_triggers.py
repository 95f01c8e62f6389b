"""What the database itself refuses, whatever the code above it should try."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain import ledger
from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import Disposition, EvidenceSource, Outcome
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.store.gateway_states import GatewayState
from easyisp_edge.store.store import Tables
from tests.fakes.clocks import START
from tests.unit.shop import (
    OTHER_PURCHASE_ID,
    PURCHASE_ID,
    TENANT,
    a_claim,
    a_grant,
    a_payment,
    a_purchase,
    add_grant,
    add_purchase,
    check_books,
    tables_in_memory,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def sql() -> sqlite3.Connection:
    """A store in which a purchase was paid, a grant made, and its receipt pasted."""
    connection, tx = tables_in_memory()
    add_grant(tx)
    tx.claims.add(a_claim())
    check_books(connection)
    return connection


def refused(sql: sqlite3.Connection, table: str, change: str) -> str:
    """Why a change of a table is refused; that it changed nothing is tried too."""
    statement = f"UPDATE {table} SET {change}" if change else f"DELETE FROM {table}"  # noqa: S608 - a test's own words
    before = list(sql.iterdump())
    with pytest.raises(sqlite3.IntegrityError) as error:
        sql.execute(statement)
    assert list(sql.iterdump()) == before
    return str(error.value)


@pytest.mark.parametrize("state", [state.value for state in PurchaseState if state is not PurchaseState.PAID])
def test_paid_sticks(sql: sqlite3.Connection, state: str) -> None:
    """From paid there is no way to any other state."""
    assert "stays paid" in refused(sql, "purchases", f"state = '{state}'")


def test_failure_is_provisional() -> None:
    """From failed there is a way to paid."""
    connection, tx = tables_in_memory()
    add_purchase(tx, a_purchase(state=PurchaseState.FAILED))
    connection.execute("UPDATE purchases SET state = 'paid'")
    assert connection.execute("SELECT state FROM purchases").fetchone() == ("paid",)


@pytest.mark.parametrize(
    "change",
    ["amount_cents = 1", "package_version_id = 2", "phone = '254700000000'", "gateway_id = 'x'", "tenant_id = 'x'"],
)
def test_an_order_is_never_rewritten(sql: sqlite3.Connection, change: str) -> None:
    """Price, package, payer and payee stay as the customer saw them."""
    sql.execute("PRAGMA foreign_keys=OFF")
    assert "never rewritten" in refused(sql, "purchases", change)


@pytest.mark.parametrize(
    "change",
    [
        "amount_cents = 1",
        "tenant_id = 'x'",
        "gateway_id = 'x'",
        "method = 'CASH'",
        "created_at = '2027-01-01T00:00:00.000Z'",
        "mpesa_receipt_number = 'ANOTHER001'",
        "mpesa_receipt_number = NULL",
        "purchase_id = 'x'",
        "purchase_id = NULL",
        "phone = '254700000000'",
        "phone = NULL",
    ],
)
def test_a_payment_is_never_rewritten(sql: sqlite3.Connection, change: str) -> None:
    """Amount, payee, way and time stand once booked; receipt, purchase and payer once they are known."""
    sql.execute("PRAGMA foreign_keys=OFF")
    assert "never rewritten" in refused(sql, "payments", change)


@pytest.mark.parametrize("last", [Disposition.REFUNDED, Disposition.MERGED])
@pytest.mark.parametrize("next_one", ["grant", "wallet", "unmatched", "refunded", "merged"])
def test_money_that_is_gone_does_not_come_back(sql: sqlite3.Connection, last: Disposition, next_one: str) -> None:
    """What was given back, or was another payment's all along, buys nothing any more."""
    sql.execute("UPDATE payments SET disposition = ?", (last.value,))
    if next_one != last:
        assert "never rewritten" in refused(sql, "payments", f"disposition = '{next_one}'")


@pytest.mark.parametrize("change", ["amount_cents = 1", "to_owner = 'x'", "grant_id = NULL", "at = 'x'"])
def test_an_entry_is_never_rewritten(sql: sqlite3.Connection, change: str) -> None:
    """What was moved is moved back by another entry, or not at all."""
    assert "append-only" in refused(sql, "entries", change)


@pytest.mark.parametrize("change", ["raw = x'00'", "strong = 0", "verdict = 'x'", "purchase_id = 'x'"])
def test_evidence_is_never_rewritten(sql: sqlite3.Connection, change: str) -> None:
    """What was said stays as it was said."""
    assert "append-only" in refused(sql, "evidence", change)


@pytest.mark.parametrize("change", ["body = x'00'", "digest = x'00'", "sequence = 9", "type = 'x'", "key = 'x'"])
def test_events_are_never_rewritten(sql: sqlite3.Connection, change: str) -> None:
    """History is only added to."""
    assert "append-only" in refused(sql, "events", change)


@pytest.mark.parametrize("table", ["purchases", "payments", "evidence", "events", "grants", "entries", "claims"])
def test_nothing_of_money_is_deleted(sql: sqlite3.Connection, table: str) -> None:
    """Not one row, whatever refers to it."""
    sql.execute("PRAGMA foreign_keys=OFF")
    refused(sql, table, "")


def test_an_ended_grant_stays_ended(sql: sqlite3.Connection) -> None:
    """Time that was used up does not come back."""
    sql.execute("UPDATE grants SET state = 'ended', started_at = created_at, ends_at = created_at, seconds_left = 0")
    assert "stays ended" in refused(sql, "grants", "state = 'running'")


def settled_twice(tx: Tables) -> None:
    tx.payments.add(a_payment(payment_id="p2", mpesa_receipt_number="ANOTHER001", purchase_id="01" * 16))


def receipt_twice(tx: Tables) -> None:
    add_purchase(tx, a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER"))
    tx.payments.add(
        a_payment(
            payment_id="p2",
            mpesa_receipt_number="RECEIPT001",
            purchase_id=OTHER_PURCHASE_ID,
            disposition=Disposition.UNMATCHED,
            customer_id=None,
        )
    )


def granted_twice(tx: Tables) -> None:
    tx.grants.add(a_grant(grant_id="g2", purchase_id=None, username="ANOTHER"))


def username_twice(tx: Tables) -> None:
    tx.payments.add(a_payment(payment_id="p2", mpesa_receipt_number=None, purchase_id=None))
    tx.grants.add(a_grant(grant_id="g2", payment_id="p2", purchase_id=None, username="USER000001"))


def grant_for_nothing(tx: Tables) -> None:
    tx.grants.add(a_grant(grant_id="g2", payment_id="nowhere", purchase_id=None, username="ANOTHER"))


def payment_of_nobody(tx: Tables) -> None:
    tx.payments.add(a_payment(payment_id="p2", mpesa_receipt_number="ANOTHER001", purchase_id=None, customer_id=None))


def evidence_about_nothing(tx: Tables) -> None:
    tx.evidence.append(
        source=EvidenceSource.STK_QUERY,
        strong=True,
        purchase_id="nowhere",
        mpesa_receipt_number=None,
        outcome=Outcome.PAID,
        verdict="settled",
        raw=b"",
        at=START,
    )


def funded_by_a_payment_and_without(tx: Tables) -> None:
    tx.grants.add(a_grant(grant_id="g2", payment_id=None, purchase_id=None, username="ANOTHER"))


def provisional_with_a_payment(tx: Tables) -> None:
    tx.payments.add(a_payment(payment_id="p2", mpesa_receipt_number=None, purchase_id=None))
    tx.grants.add(a_grant(grant_id="g2", payment_id="p2", funding=Funding.PROVISIONAL, username="ANOTHER"))


def answered_twice(tx: Tables) -> None:
    twice = a_grant(grant_id="g2", payment_id=None, purchase_id="01" * 16, funding=Funding.WALLET, username="ANOTHER")
    tx.grants.add(twice)


def moved_nowhere(tx: Tables) -> None:
    tx.ledger.move(Money(1), ledger.sold(TENANT), ledger.sold("other"), at=START, payment_id="payment-1")


def moved_for_nothing(tx: Tables) -> None:
    tx.ledger.move(Money(1), ledger.received(TENANT), ledger.unmatched(TENANT), at=START)


def notices_of_two_gateways_at_one_address(tx: Tables) -> None:
    tx.gateways.put(GatewayState("one", "token"))
    tx.gateways.put(GatewayState("other", "token"))


def customer_nobody_can_know(tx: Tables) -> None:
    tx.customers.paid(
        new_id="c2", tenant_id=TENANT, service=Service.HOTSPOT, phone=None, mac=None, amount=Money(1), at=START
    )


def callback_address_twice(tx: Tables) -> None:
    add_purchase(tx, a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER"), "token-1")


def push_twice(tx: Tables) -> None:
    add_purchase(tx, a_purchase(purchase_id=PURCHASE_ID, account_reference="ONE", checkout_request_id="ws"), "t1")
    add_purchase(
        tx, a_purchase(purchase_id=OTHER_PURCHASE_ID, account_reference="OTHER", checkout_request_id="ws"), "t2"
    )


@pytest.mark.parametrize(
    "attempt",
    [
        settled_twice,
        receipt_twice,
        granted_twice,
        username_twice,
        grant_for_nothing,
        payment_of_nobody,
        evidence_about_nothing,
        funded_by_a_payment_and_without,
        provisional_with_a_payment,
        answered_twice,
        moved_nowhere,
        moved_for_nothing,
        notices_of_two_gateways_at_one_address,
        customer_nobody_can_know,
        callback_address_twice,
        push_twice,
    ],
)
def test_what_may_be_once_is_once(sql: sqlite3.Connection, attempt: Callable[[Tables], None]) -> None:
    """One payment settles a purchase, one receipt is one payment, one payment one grant."""
    payments, grants = count(sql, "payments"), count(sql, "grants")
    sql.execute("BEGIN")
    with pytest.raises(sqlite3.IntegrityError):
        attempt(tables_over(sql))
    sql.execute("ROLLBACK")
    assert (count(sql, "payments"), count(sql, "grants")) == (payments, grants)


def tables_over(sql: sqlite3.Connection) -> Tables:
    return Tables(sql, None)


def count(sql: sqlite3.Connection, table: str) -> int:
    return int(sql.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a test's own words


def test_a_receipt_that_came_late_is_attached_once(sql: sqlite3.Connection) -> None:
    """From none to one is allowed, from one to another is not."""
    tx = tables_over(sql)
    payment = a_payment(payment_id="p2", mpesa_receipt_number=None, purchase_id=None)
    tx.payments.add(payment)
    named = replace(payment, mpesa_receipt_number="LATECOMER1")
    tx.payments.update(named)
    tx.payments.update(named)
    with pytest.raises(sqlite3.IntegrityError):
        tx.payments.update(replace(payment, mpesa_receipt_number="LATECOMER2"))
    assert tx.payments.by_id("p2") == named
