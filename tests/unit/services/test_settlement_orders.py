"""Settlement, exhaustively: every order and repetition of what may be said about one purchase.

Six statements, up to four of them, repeated or not, in every order, from every state a purchase may be in when
the first comes: the books end the same for all orders, and money is granted once or not at all.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import EvidenceSource, PaymentReport, Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.settlement import Verdict, settle
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.gateway import CHECKOUT, RECEIPT, callback_paid, not_paid, query_paid, query_unknown
from tests.unit.shop import PURCHASE_ID, a_prompted_purchase, a_purchase, add_purchase, tables_in_memory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from easyisp_edge.store.store import Tables

STATEMENTS: dict[str, PaymentReport] = {
    "callback paid": callback_paid(),
    "callback cancelled": not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED, "1032"),
    "query paid": query_paid(),
    "query no answer": not_paid(EvidenceSource.STK_QUERY, Reason.NO_ANSWER, "1037"),
    "query unknown": query_unknown(),
    "bare callback paid": callback_paid(source=EvidenceSource.STK_CALLBACK_BARE),
}
PROOFS = {"callback paid", "query paid"}
LONGEST = 4

BEGINNINGS: dict[str, Purchase] = {
    "prompted": a_prompted_purchase(),
    "expired": a_prompted_purchase(state=PurchaseState.EXPIRED),
    "failed": a_prompted_purchase(state=PurchaseState.FAILED, reason=Reason.NO_ANSWER),
    "push not answered yet": a_purchase(),
    "push never answered": a_purchase(state=PurchaseState.UNKNOWN),
}


@dataclass(frozen=True)
class Outcome:
    """What one order led to: the books, without what is random."""

    purchase: Any
    payments: Any
    grants: Any
    customers: Any


def orders(statements: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Each different order of statements, repetitions included."""
    return iter(sorted(set(itertools.permutations(statements))))


def multisets() -> Iterator[tuple[str, ...]]:
    """Every choice of up to four statements, repetitions allowed."""
    for length in range(LONGEST + 1):
        yield from itertools.combinations_with_replacement(STATEMENTS, length)


def take(sql: sqlite3.Connection, tx: Tables, order: tuple[str, ...]) -> Outcome:
    """Let statements come in an order; look at the books; check what must hold in any of them."""
    identifiers = Identifiers(SeededRandomness(len(order)))
    verdicts = [settle(tx, PURCHASE_ID, STATEMENTS[name], now=START, identifiers=identifiers) for name in order]
    outcome = Outcome(
        sql.execute("SELECT purchase_id, state, amount_cents, package_version_id FROM purchases").fetchall(),
        sql.execute(
            "SELECT amount_cents, disposition, mpesa_receipt_number, purchase_id, phone, account, description, method"
            " FROM payments ORDER BY 1, 2, 3"
        ).fetchall(),
        sql.execute("SELECT state, seconds_left, mac, package_version_id, service FROM grants").fetchall(),
        sql.execute("SELECT phone, last_mac, total_spent_cents FROM customers").fetchall(),
    )
    assert verdicts.count(Verdict.SETTLED) == len(outcome.grants)
    check_books(sql, tx, statements=len(order))
    return outcome


# Each finds what breaks its rule.
MUST_FIND_NOTHING = {
    "every payment is in exactly one place": """
        SELECT p.payment_id FROM payments p LEFT JOIN grants g USING (payment_id)
        WHERE (p.disposition = 'grant') <> (g.grant_id IS NOT NULL)""",
    "what came in is what was granted and what is kept": """
        SELECT 1 WHERE (SELECT coalesce(sum(amount_cents), 0) FROM payments) <>
        (SELECT coalesce(sum(v.price_cents), 0) FROM grants g
         JOIN package_versions v ON v.version_id = g.package_version_id)
        + (SELECT coalesce(sum(amount_cents), 0) FROM payments WHERE disposition = 'unmatched')""",
    "no money without proof": """
        SELECT payment_id FROM payments p WHERE NOT EXISTS
        (SELECT 1 FROM evidence e WHERE e.purchase_id = p.purchase_id AND e.strong AND e.outcome = 'paid')""",
    "paid is what has a settling payment": """
        SELECT purchase_id FROM purchases u WHERE (state = 'paid') <> EXISTS
        (SELECT 1 FROM payments p WHERE p.purchase_id = u.purchase_id AND p.disposition = 'grant')""",
    "the grant is of what was ordered, at its price": """
        SELECT g.grant_id FROM grants g JOIN payments p USING (payment_id) JOIN purchases u USING (purchase_id)
        WHERE g.package_version_id <> u.package_version_id OR p.amount_cents <> u.amount_cents""",
    "each payment was told once": """
        SELECT payment_id FROM payments
        WHERE (SELECT count(*) FROM events WHERE key = payment_id AND type = 'payment.booked') <> 1""",
    "each grant was told once": """
        SELECT grant_id FROM grants
        WHERE (SELECT count(*) FROM events WHERE key = grant_id AND type = 'grant.made') <> 1""",
    "what is paid is not asked about and shows no failure": """
        SELECT purchase_id FROM purchases WHERE state = 'paid' AND (query_at IS NOT NULL OR reason IS NOT NULL)""",
}


def check_books(sql: sqlite3.Connection, tx: Tables, *, statements: int) -> None:
    """What must hold of any books at any moment."""
    broken = [rule for rule, query in MUST_FIND_NOTHING.items() if sql.execute(query).fetchone() is not None]
    assert broken == []
    assert sql.execute("SELECT count(*) FROM evidence").fetchone() == (statements,)
    assert tx.events.first_break(Stream.MONEY) is None


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_all_orders_end_the_same(beginning: Purchase) -> None:
    """Whatever comes first, twice or last: the same statements leave the same books, and money is granted once."""
    sql, tx = tables_in_memory()
    add_purchase(tx, beginning)
    tried: Counter[int] = Counter()
    for statements in multisets():
        outcomes: dict[str, tuple[str, ...]] = {}
        for order in orders(statements):
            sql.execute("BEGIN")
            outcome = take(sql, tx, order)
            sql.execute("ROLLBACK")
            outcomes.setdefault(repr(outcome), order)
            tried[len(order)] += 1
        assert len(outcomes) == 1, f"these orders differ: {list(outcomes.values())}"
        check_money(outcome, set(statements))
    assert [tried[length] for length in range(LONGEST + 1)] == [
        len(STATEMENTS) ** length for length in range(LONGEST + 1)
    ]


def check_money(outcome: Outcome, statements: set[str]) -> None:
    """One payment and one grant exactly where one proof came; the receipt where a callback told it."""
    if not statements & PROOFS:
        assert (outcome.payments, outcome.grants, outcome.customers) == ([], [], [])
        return
    assert [row[1] for row in outcome.purchase] == ["paid"]
    assert [row[:3] for row in outcome.payments] == [
        (1000, "grant", RECEIPT if "callback paid" in statements else None)
    ]
    assert len(outcome.grants) == 1
    assert [row[2] for row in outcome.customers] == [1000]


@pytest.mark.parametrize("order", [*itertools.product(STATEMENTS, repeat=2)], ids=" then ".join)
def test_the_gateways_id_is_learned_from_whoever_tells_it(order: tuple[str, str]) -> None:
    """A callback may overtake the answer to the push, or outlive it; anybody's word is not enough."""
    sql, tx = tables_in_memory()
    add_purchase(tx, a_purchase(state=PurchaseState.UNKNOWN))
    for name in order:
        settle(tx, PURCHASE_ID, STATEMENTS[name], now=START, identifiers=Identifiers(SeededRandomness()))
    learned = sql.execute("SELECT checkout_request_id FROM purchases").fetchone()[0]
    assert learned == (None if set(order) == {"bare callback paid"} else CHECKOUT)


def test_a_proof_without_the_gateways_id_settles_too() -> None:
    """The secret address alone says which purchase is meant."""
    sql, tx = tables_in_memory()
    add_purchase(tx, a_purchase())
    report = replace(callback_paid(), checkout_request_id=None, merchant_request_id=None)
    verdict = settle(tx, PURCHASE_ID, report, now=START, identifiers=Identifiers(SeededRandomness()))
    assert verdict is Verdict.SETTLED
    check_books(sql, tx, statements=1)
