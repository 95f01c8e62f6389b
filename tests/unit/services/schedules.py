"""Everything that may be said about one purchase, in any order, with power cuts in between."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.purchases import PurchaseState
from tests.fakes.gateway import PAYER, callback_paid, money_record, not_paid, query_paid
from tests.unit.services.desk import Desk
from tests.unit.shop import (
    OTHER_MAC,
    OTHER_PAY_CODE,
    OTHER_PHONE,
    OTHER_PURCHASE_ID,
    PAY_CODE,
    a_prompted_purchase,
    a_purchase,
    add_purchase,
    tables_in_memory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.domain.purchases import Purchase

BEGINNINGS: dict[str, Purchase] = {
    "prompted": a_prompted_purchase(),
    "expired": a_prompted_purchase(state=PurchaseState.EXPIRED),
    "failed": a_prompted_purchase(state=PurchaseState.FAILED, reason=Reason.NO_ANSWER),
    "push not answered yet": a_purchase(),
    "push never answered": a_purchase(state=PurchaseState.UNKNOWN),
    "offered": a_purchase(state=PurchaseState.OFFERED),
}
_MASKED = Payer.read("2547 ***** 678")
_DIGEST = Payer.read(hashlib.sha256(PAYER.digits.encode()).hexdigest())


class Place(NamedTuple):
    """Where the money is paid to, and how its receiver's books and the customer speak of it.

    Args:
        account: What the receiver's books have as account: the pay code, or for a till nothing.
        payer: How a confirmation names the payer.
        claim: Who pastes the receipt.
    """

    account: str
    payer: Payer
    claim: dict[str, Any]

    @property
    def moves_the_grant(self) -> bool:
        """Whether the receipt is pasted on another device than the purchase was made on."""
        return "mac" in self.claim


_ON_ANOTHER_DEVICE = {"mac": OTHER_MAC, "phone": PAYER}
PLACES = {
    f"{where}, {how}, {who}": Place(account, payer, claim)
    for (where, account), (how, payer), (who, claim) in itertools.product(
        (("PayBill", PAY_CODE), ("till", "")),
        (("masked", _MASKED), ("digest", _DIGEST)),
        (("same device", {}), ("other device", _ON_ANOTHER_DEVICE)),
    )
}
NAMING = {"callback", "relayed callback", "pull row", "confirmation"}
PROVING = NAMING | {"query"}
PUSH_PROVING = PROVING - {"pull row", "confirmation"}
PHONE_TELLING = {"callback", "relayed callback", "pull row"}


def statements(place: Place) -> dict[str, Callable[[Desk], object]]:
    """Each that may be made about the purchase, by name."""
    reports = {
        "callback": callback_paid(),
        "relayed callback": callback_paid(source=EvidenceSource.STK_CALLBACK_RELAYED),
        "query": query_paid(),
        "callback cancelled": not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED, "1032"),
        "query no answer": not_paid(EvidenceSource.STK_QUERY, Reason.NO_ANSWER, "1037"),
    }
    records = {
        "pull row": money_record(account=place.account),
        "confirmation": money_record(account=place.account, payer=place.payer, source=EvidenceSource.C2B),
    }
    told: dict[str, Callable[[Desk], object]] = {}
    for name, report in reports.items():
        told[name] = partial(Desk.settle, report=report)
    for name, record in records.items():
        told[name] = partial(Desk.record, record=record)
    told["pasted receipt"] = partial(Desk.paste, **place.claim)
    return told


class PowerCutError(BaseException):
    """The power fails within a transaction."""


class Mains(sqlite3.Connection):
    """A connection whose power fails after so many statements, once it is told to."""

    statements_left: int | None = None

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        cursor = super().execute(*arguments)
        if self.statements_left is not None:
            self.statements_left -= 1
            if self.statements_left == 0:
                self.statements_left = None
                raise PowerCutError
        return cursor


@dataclass
class Stage:
    """A desk whose books go back to where they were, so that all schedules are tried on one database.

    Args:
        desk: The books: the purchase, and one of another phone at the same price.
        mains: Its connection.
        told: The statements by name.
    """

    desk: Desk
    mains: Mains
    told: dict[str, Callable[[Desk], object]]

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """What is done within is gone afterwards."""
        self.mains.execute("SAVEPOINT point")
        try:
            yield
        finally:
            self.mains.execute("ROLLBACK TO point")
            self.mains.execute("RELEASE point")

    def tell(self, name: str) -> None:
        """One statement, as one transaction."""
        self.told[name](self.desk)

    def cut_short(self, name: str, after: int) -> bool:
        """One statement, with the power cut after so many of its queries; False where it needs fewer."""
        with self.undone():
            self.mains.statements_left = after
            try:
                self.tell(name)
            except PowerCutError:
                return True
            finally:
                self.mains.statements_left = None
        return False

    def walk(self, names: tuple[str, ...], *, cuts: int, said: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Stand at the end of each schedule of these statements in turn; gives what was said in it.

        Args:
            names: Each is told once.
            cuts: How many power cuts a schedule may have: one after each query of each statement is tried. What
                was cut short is told again.
            said: What was said already.
        """
        if not names:
            yield said
        for at, name in enumerate(names):
            rest = names[:at] + names[at + 1 :]
            with self.undone():
                self.tell(name)
                yield from self.walk(rest, cuts=cuts, said=(*said, name))
            for after in itertools.count(1) if cuts else ():
                if not self.cut_short(name, after):
                    break
                with self.undone():
                    self.tell(name)
                    yield from self.walk(rest, cuts=cuts - 1, said=(*said, f"cut after {after}", name))

    def sequences(self, longest: int, *, said: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Stand at the end of each sequence of up to so many statements, repetitions included."""
        yield said
        for name in self.told if longest else ():
            with self.undone():
                self.tell(name)
                yield from self.sequences(longest - 1, said=(*said, name))


def open_stage(beginning: Purchase, place: Place) -> Stage:
    """A purchase in that state, and one of another phone at the same price that none of this is about."""
    sql, tx = tables_in_memory(kind=Mains)
    assert isinstance(sql, Mains)
    add_purchase(tx, beginning)
    bystander = a_prompted_purchase(
        purchase_id=OTHER_PURCHASE_ID,
        phone=OTHER_PHONE,
        mac=None,
        account_reference=OTHER_PAY_CODE,
        checkout_request_id="ws_CO_2",
    )
    add_purchase(tx, bystander, "other token")
    return Stage(Desk(sql, tx), sql, statements(place))


class Outcome(NamedTuple):
    """The books, without ids and instants, and without what was merged into something else."""

    purchases: Any
    payments: Any
    grants: Any
    customers: Any
    balances: Any
    claims: Any


_PERSONS = "WITH persons AS (SELECT customer_id, coalesce(phone, last_mac) AS person FROM customers) "
_QUERIES = Outcome(
    purchases="SELECT purchase_id, state, checkout_request_id FROM purchases ORDER BY 1",
    payments="SELECT amount_cents, disposition, mpesa_receipt_number, purchase_id, phone, account, description, method,"
    " gateway_id, person FROM payments LEFT JOIN persons USING (customer_id) WHERE disposition <> 'merged'"
    " ORDER BY 1, 2, 3",
    grants="SELECT state, seconds_left, grants.mac, package_version_id, service, funding, grants.purchase_id,"
    " mpesa_receipt_number, person FROM grants LEFT JOIN payments USING (payment_id)"
    " JOIN persons ON persons.customer_id = grants.customer_id ORDER BY 1, 2, 3, 8",
    customers="SELECT phone, last_mac, service, total_spent_cents FROM customers ORDER BY 1, 2",
    balances="SELECT account, coalesce(person, owner), sum(cents) FROM ("
    " SELECT to_account AS account, to_owner AS owner, amount_cents AS cents FROM entries"
    " UNION ALL SELECT from_account, from_owner, -amount_cents FROM entries)"
    " LEFT JOIN persons ON customer_id = owner GROUP BY 1, 2 HAVING sum(cents) <> 0 ORDER BY 1, 2",
    claims="SELECT state, reason, grant_id IS NULL, customer_id IS NULL, look_at IS NULL FROM claims ORDER BY claim_id",
)


def look(sql: sqlite3.Connection) -> Outcome:
    """The books as they stand."""
    return Outcome(*(sql.execute(_PERSONS + query).fetchall() for query in _QUERIES))
