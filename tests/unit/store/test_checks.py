"""The rules of the books: each holds of books that are whole, and each finds the damage it is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import Money
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store.checks import ALL_RULES, EXAMPLES_MAX, broken_rules
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.gateway import money_record
from tests.unit.shop import RECEIVER, tables_in_memory
from tests.unit.store.write_release import fill

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

# For each rule, what a hand that knows the file could do, and the key by which it is found.
DAMAGE: dict[str, str] = {
    "a grant that was taken over says from which user of which router, and no other grant does": (
        "UPDATE grants SET username = 'another' WHERE funding = 'imported'"
    ),
    "what came in is each payment's amount, once; nought where it is merged": (
        "UPDATE payments SET amount_cents = amount_cents + 100 WHERE mpesa_receipt_number = 'SKL41NBDYS'"
    ),
    "each payment's money is where the payment says": (
        "UPDATE payments SET disposition = 'unmatched' WHERE disposition = 'wallet'"
    ),
    "money is moved within its tenant": "UPDATE entries SET to_owner = 'other' WHERE to_account = 'sold'",
    "a payment's credit is in its own customer's wallet": (
        "UPDATE entries SET to_owner = 'somebody' WHERE to_account = 'wallet'"
    ),
    "only credit moves without a payment, and buys for its own customer": (
        "INSERT INTO entries (at, amount_cents, from_account, from_owner, to_account, to_owner, grant_id)"
        " SELECT at, 1, 'received', 'default', 'sold', 'default', grant_id FROM entries"
        " WHERE grant_id IS NOT NULL LIMIT 1"
    ),
    "each grant that is paid for was sold at its price, and no other": (
        "UPDATE package_versions SET price_cents = price_cents + 100"
    ),
    "what is sold is sold for a grant": "UPDATE entries SET grant_id = NULL WHERE to_account = 'sold'",
    "a grant is of its payment, and a payment that bought one has it": (
        "UPDATE grants SET purchase_id = NULL WHERE funding = 'payment'"
    ),
    "what waits unmatched is the sum of the unmatched payments": (
        "INSERT INTO entries (at, amount_cents, from_account, from_owner, to_account, to_owner, payment_id)"
        " SELECT at, 5, 'received', 'default', 'unmatched', 'default', payment_id FROM entries"
        " WHERE payment_id IS NOT NULL LIMIT 1"
    ),
    "no wallet is below nought, and each is somebody's": (
        "INSERT INTO entries (at, amount_cents, from_account, from_owner, to_account, to_owner, grant_id)"
        " SELECT at, 99999, 'wallet', to_owner, 'sold', 'default', (SELECT min(grant_id) FROM grants)"
        " FROM entries WHERE to_account = 'wallet'"
    ),
    "by the entries, what came in is what is sold, credited, unmatched and refunded": (
        "UPDATE entries SET to_owner = 'other' WHERE to_account = 'refunded'"
    ),
    "by the payments, what came in is what is sold, credited, unmatched and refunded": (
        "UPDATE payments SET amount_cents = 1 WHERE disposition = 'grant'"
    ),
    "what came in by the entries came in by the payments": (
        "DELETE FROM entries WHERE from_account = 'received' AND to_account = 'wallet'"
    ),
    "a receipt stands once, in capitals": (
        "UPDATE payments SET mpesa_receipt_number = 'skl41nbdys' WHERE mpesa_receipt_number = 'SKL41RETRN'"
    ),
    "no money of M-Pesa's without proof that it was paid": "UPDATE evidence SET strong = 0",
    "a purchase is paid where it has a grant, and only there": "UPDATE purchases SET state = 'paid', reason = NULL",
    "a grant of a purchase stands on money": "UPDATE grants SET funding = 'provisional', payment_id = NULL",
    "a voucher that was taken got one grant, of its own package, and a grant of a voucher says of which": (
        "UPDATE vouchers SET grant_id = (SELECT grant_id FROM grants WHERE funding = 'imported') WHERE state = 'used'"
    ),
    "a batch has as many vouchers as were made": "DELETE FROM vouchers WHERE number = 2",
    "what is given for free is noted as its device's of that day": "DELETE FROM trials",
    "what is paid is not asked about and shows no failure": (
        "UPDATE purchases SET query_at = created_at WHERE state = 'paid'"
    ),
    "purchase, payment, customer and grant are of one tenant": "UPDATE customers SET tenant_id = 'other'",
    "what a customer has spent is the sum of the customer's payments": (
        "UPDATE customers SET total_spent_cents = total_spent_cents - 1"
    ),
    "what a person took is credit or was given back, came through no gateway, and says who took it": (
        "UPDATE payments SET gateway_id = 'paybill' WHERE method = 'CASH'"
    ),
    "a claim has what its state says": "UPDATE claims SET state = 'granted'",
    "a claim whose money is known is decided": "UPDATE claims SET mpesa_receipt_number = 'SKL41NBDYS'",
    "each payment is told as booked once": "DELETE FROM events WHERE type = 'payment.booked' AND sequence = 1",
    "each grant is told as made once": (
        "INSERT INTO events SELECT stream, sequence + 1000, type, key, at, body, digest FROM events"
        " WHERE type = 'grant.made'"
    ),
    "what was told last of a payment is how it stands": (
        "UPDATE payments SET disposition = 'unmatched' WHERE disposition = 'refunded'"
    ),
    "a grant has used what its sessions tell, at least": (
        "UPDATE grants SET octets_used = octets_used - 1 WHERE octets_used > 0"
    ),
    "what came in on each day is the sum of its payments": "UPDATE takings SET amount_cents = amount_cents + 1",
    "what was tried on each day is the number of its purchases": (
        "UPDATE attempts SET status = 'expired' WHERE status = 'failed'"
    ),
    "what people did is in the audit trail, and nothing else is": "DELETE FROM acts",
    "nothing points to what is not there": "UPDATE payments SET customer_id = 'nobody' WHERE disposition = 'wallet'",
    "the history of money is whole": "UPDATE events SET digest = zeroblob(32) WHERE sequence = 3",
    "the history of usage is whole": (
        "INSERT INTO events SELECT 'usage', sequence, type, 'x', at, body, digest FROM events WHERE sequence = 2"
    ),
}


@pytest.fixture
def sql() -> Iterator[sqlite3.Connection]:
    """Books with all that there is in them, as a hand has them that knows how to get past the database's refusals."""
    connection, tx = tables_in_memory()
    fill(tx)
    assert broken_rules(connection) == []
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    yield connection
    connection.close()


@pytest.mark.parametrize("rule", ALL_RULES)
def test_each_rule_finds_its_damage(sql: sqlite3.Connection, rule: str) -> None:
    """Among the rules that are broken then, with at least one row to look at and not too many."""
    assert sql.execute(DAMAGE[rule]).rowcount > 0
    found = dict(broken_rules(sql))
    assert rule in found
    assert all(0 < len(keys) <= EXAMPLES_MAX for keys in found.values())


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM vouchers WHERE state = 'used'",
        "UPDATE grants SET funding = 'trial' WHERE funding = 'voucher'",
        "UPDATE vouchers SET tenant_id = 'other' WHERE state = 'used'",
        "UPDATE vouchers SET number = 9 WHERE state = 'used'",
        "UPDATE voucher_batches SET package_version_id = package_version_id + 1",
        "UPDATE events SET body = CAST(replace(body, 'K7M3PQ-1', 'K7M3PQ-2') AS BLOB)",
        "UPDATE events SET body = CAST(replace(body, ',\"voucher\":\"K7M3PQ-1\"', '') AS BLOB)",
    ],
)
def test_each_grant_of_a_voucher_is_proven(sql: sqlite3.Connection, damage: str) -> None:
    """Its voucher, its package, its tenant, and what the history says of it: none may be another's, or missing."""
    assert sql.execute(damage).rowcount > 0
    rule = "a voucher that was taken got one grant, of its own package, and a grant of a voucher says of which"
    assert rule in dict(broken_rules(sql))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trials SET day = '2026-11-20'",
        "UPDATE grants SET funding = 'provisional' WHERE funding = 'trial'",
        "UPDATE trials SET grant_id = (SELECT grant_id FROM grants WHERE funding = 'imported')",
    ],
)
def test_each_trial_is_proven(sql: sqlite3.Connection, damage: str) -> None:
    """What is free is noted with its day, and nothing else is."""
    assert sql.execute(damage).rowcount > 0
    assert "what is given for free is noted as its device's of that day" in dict(broken_rules(sql))


def test_what_is_found_is_named_by_its_key(sql: sqlite3.Connection) -> None:
    """The rows to look at are those that were damaged."""
    (payment_id,) = sql.execute("SELECT payment_id FROM payments WHERE mpesa_receipt_number = 'SKL41CREDT'").fetchone()
    sql.execute("UPDATE payments SET disposition = 'unmatched' WHERE payment_id = ?", (payment_id,))
    assert dict(broken_rules(sql))["each payment's money is where the payment says"] == (payment_id,)


def test_only_some_rows_are_named() -> None:
    """However many there are."""
    connection, tx = tables_in_memory()
    judge = Judge(tx, START, Identifiers(SeededRandomness()))
    for number in range(EXAMPLES_MAX + 3):
        judge.settle_record(RECEIVER, money_record(receipt=f"RECEIPT{number:03}", payer=Payer(), amount=Money(100)))
    assert broken_rules(connection) == []
    connection.execute("DROP TRIGGER entries_kept")
    connection.execute("DELETE FROM entries")
    found = dict(broken_rules(connection))
    assert len(found["what came in is each payment's amount, once; nought where it is merged"]) == EXAMPLES_MAX


def test_new_books_are_whole() -> None:
    """With nothing in them there is nothing wrong with them."""
    connection, _ = tables_in_memory()
    assert broken_rules(connection) == []
