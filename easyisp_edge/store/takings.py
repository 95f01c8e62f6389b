"""Tables `takings` and `attempts`: what came in, and what was tried, on each of Nairobi's days.

The database counts by itself, in the transaction that books a payment or changes a purchase: totals and statistics
cost as much as there are days, however many payments there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

    from easyisp_edge.domain.payments import PaymentMethod


_ANEW = (
    "DELETE FROM takings",
    (
        "INSERT INTO takings (tenant_id, method, day, status, payments, amount_cents)"
        " SELECT tenant_id, method, date(created_at, '+3 hours'),"
        " CASE disposition WHEN 'refunded' THEN 'refunded' ELSE 'completed' END AS status, count(*), sum(amount_cents)"
        " FROM payments WHERE disposition <> 'merged' GROUP BY 1, 2, 3, 4"
    ),
    "DELETE FROM attempts",
    (
        "INSERT INTO attempts (tenant_id, day, status, purchases)"
        " SELECT tenant_id, date(created_at, '+3 hours'),"
        " CASE state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending'"
        " END, count(*) FROM purchases GROUP BY 1, 2, 3"
    ),
)
# The same of one day of a tenant's, found by when rows were made.
_WITHIN = (
    "tenant_id = :tenant_id AND created_at >= strftime('%Y-%m-%dT%H:%M:%fZ', :day, '-3 hours')"
    " AND created_at < strftime('%Y-%m-%dT%H:%M:%fZ', :day, '+21 hours')"
)
_DAY_ANEW = (
    "DELETE FROM takings WHERE tenant_id = :tenant_id AND day = :day",
    _ANEW[1].replace(" GROUP BY", f" AND {_WITHIN} GROUP BY"),
    "DELETE FROM attempts WHERE tenant_id = :tenant_id AND day = :day",
    _ANEW[3].replace(" GROUP BY", f" WHERE {_WITHIN} GROUP BY"),
)


class Taken(NamedTuple):
    """What came in over some days, and was not given back.

    Args:
        payments: How many.
        cents: What they come to.
    """

    payments: int
    cents: int


class Tried(NamedTuple):
    """How attempts to pay stand that were made over some days.

    Args:
        pending: Nothing final is known of them.
        failed: They failed, or were refused.
        expired: No word came in time.
        paid: They were paid.
    """

    pending: int
    failed: int
    expired: int
    paid: int


class TakingsTable:
    """Counts by day; `first` and `last` are days of Nairobi's, both included."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def count_anew(self) -> None:
        """Count all from the rows themselves, after they were put without the database counting. A long write."""
        for statement in _ANEW:
            self._sql.execute(statement)

    def count_days_anew(self, made: Iterable[tuple[str, str]]) -> None:
        """The same for the days of some rows: whose they are, and when they were made."""
        query = "SELECT date(?, '+3 hours')"
        for tenant_id, day in {(tenant, self._sql.execute(query, (at,)).fetchone()[0]) for tenant, at in made}:
            for statement in _DAY_ANEW:
                self._sql.execute(statement, {"tenant_id": tenant_id, "day": day})

    def taken(self, tenant_id: str, method: PaymentMethod, first: date, last: date) -> Taken:
        """What came in by a method on those days and was not given back; it counts for the day it came in."""
        row = self._sql.execute(
            "SELECT coalesce(sum(payments), 0), coalesce(sum(amount_cents), 0) FROM takings"
            " WHERE tenant_id = ? AND method = ? AND day BETWEEN ? AND ? AND status = 'completed'",
            (tenant_id, method.value, first.isoformat(), last.isoformat()),
        ).fetchone()
        return Taken(*row)

    def tried(self, tenant_id: str, first: date, last: date) -> Tried:
        """How the attempts of those days stand now."""
        return self._tried("day BETWEEN ? AND ?", tenant_id, first.isoformat(), last.isoformat())

    def all_tried(self, tenant_id: str) -> Tried:
        """How all attempts there ever were stand now."""
        return self._tried("1", tenant_id)

    def payments(self, tenant_id: str, methods: Iterable[PaymentMethod], statuses: Collection[str]) -> int:
        """How many payments there are by some methods, of statuses `completed` or `refunded` or both."""
        marks = ", ".join("?" * len(statuses))
        query = (
            "SELECT coalesce(sum(payments), 0) FROM takings"  # noqa: S608 - question marks
            f" WHERE tenant_id = ? AND method = ? AND status IN ({marks})"
        )
        found = (self._sql.execute(query, (tenant_id, method.value, *statuses)).fetchone() for method in methods)
        return sum(row[0] for row in found)

    def payments_by_day(
        self, tenant_id: str, method: PaymentMethod, statuses: Collection[str]
    ) -> Iterator[tuple[str, int]]:
        """Each day with its payments of those statuses, the newest day first; read as far as it is asked for."""
        marks = ", ".join("?" * len(statuses))
        query = (
            "SELECT day, sum(payments) FROM takings WHERE tenant_id = ? AND method = ?"  # noqa: S608 - question marks
            f" AND status IN ({marks}) GROUP BY day ORDER BY day DESC"
        )
        yield from self._sql.execute(query, (tenant_id, method.value, *statuses))

    def attempts_by_day(self, tenant_id: str, status: str) -> Iterator[tuple[str, int]]:
        """The same of attempts of one status."""
        query = "SELECT day, purchases FROM attempts WHERE tenant_id = ? AND status = ? ORDER BY day DESC"
        yield from self._sql.execute(query, (tenant_id, status))

    def _tried(self, where: str, tenant_id: str, *parameters: str) -> Tried:
        rows = self._sql.execute(
            f"SELECT status, sum(purchases) FROM attempts WHERE tenant_id = ? AND {where} GROUP BY status",  # noqa: S608 - constants
            (tenant_id, *parameters),
        )
        found = dict(rows.fetchall())
        return Tried(*(found.get(status, 0) for status in Tried._fields))
