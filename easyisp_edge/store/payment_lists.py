"""Long lists over `payments` and `purchases`: a page by its number, from a position on, or of what was searched for.

No page reads what lies before it: whole days are passed over by their counts, what is left of a day in an index.
"""

from __future__ import annotations

import contextlib
import enum
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.payments import Disposition, PaymentMethod, Reason
from easyisp_edge.domain.values import NAIROBI, Money, Msisdn
from easyisp_edge.store.columns import instant, read_instant
from easyisp_edge.store.customers import NAME
from easyisp_edge.store.payment_search import attempt_terms, find, payment_terms
from easyisp_edge.store.takings import TakingsTable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from easyisp_edge.store.payment_search import Term


class ListStatus(enum.StrEnum):
    """How money, or an attempt to pay it, stands. Values are part of the HTTP contract."""

    COMPLETED = "completed"  # it came in, whatever it is for
    REFUNDED = "refunded"  # it came in, and was given back
    PENDING = "pending"  # an attempt of which nothing final is known
    FAILED = "failed"  # an attempt that failed
    EXPIRED = "expired"  # an attempt of which no word came in time

    @property
    def of_attempts(self) -> bool:
        """Whether it is told of attempts, and not of money."""
        return self not in MONEY


MONEY = (ListStatus.COMPLETED, ListStatus.REFUNDED)


class ListedCustomer(NamedTuple):
    """Whose a payment is.

    Args:
        customer_id: Our id.
        name: The number, or else the device, the customer is known by; empty where by neither.
    """

    customer_id: str
    name: str


class ListedPayment(NamedTuple):
    """A payment, or an attempt at one, as a line of a list.

    Args:
        key: The payment's id; the pay code of an attempt, whose id is its buyer's secret.
        transaction_id: The receipt; None where nobody told one, and for attempts.
        amount: What was paid, or asked for.
        phone: Who paid, or was asked.
        account: The account reference.
        status: How it stands.
        customer: Whose it is, where known.
        created_at: When it was booked, or tried.
        gateway_id: Through which gateway.
        method: How.
        disposition: Where the money went; None for attempts.
        description: What it is for.
        reason: Why an attempt failed.
        explanation: The gateway's own words for that.
    """

    key: str
    transaction_id: str | None
    amount: Money
    phone: Msisdn | None
    account: str
    status: ListStatus
    customer: ListedCustomer | None
    created_at: datetime
    gateway_id: str
    method: PaymentMethod
    disposition: Disposition | None
    description: str
    reason: Reason | None = None
    explanation: str = ""


class CountedPage(NamedTuple):
    """A page of a list, and how long the list is.

    Args:
        page: The page.
        total: How many rows the list has.
        exact: Whether the total is so; else it is the least it can be.
    """

    page: Page[ListedPayment]
    total: int
    exact: bool


class _Listing(NamedTuple):
    """What a list is made of, in SQL.

    Args:
        rows: The columns a line is read from, and where they come from.
        table: Its rows' table, as a search looks at it.
        by_time: The index that keeps them in order of time.
        key: The column that tells rows of the same instant apart.
        mine: Which rows may be on it; its one question mark is the tenant.
        counts: Which of those are on it.
        read: Makes a line of a row.
        terms: What a text may stand for.
    """

    rows: str
    table: str
    by_time: str
    key: str
    mine: str
    counts: str
    read: Callable[[Any], ListedPayment]
    terms: Callable[[str], list[Term]]


def _read_payment(row: Any) -> ListedPayment:
    disposition = Disposition(row[10])
    refunded = disposition is Disposition.REFUNDED
    return ListedPayment(
        key=row[0],
        transaction_id=row[1],
        amount=Money(row[2]),
        phone=None if row[3] is None else Msisdn(row[3]),
        account=row[4],
        status=ListStatus.REFUNDED if refunded else ListStatus.COMPLETED,
        customer=None if row[5] is None else ListedCustomer(row[5], row[6]),
        created_at=read_instant(row[7]),
        gateway_id=row[8],
        method=PaymentMethod(row[9]),
        disposition=disposition,
        description=row[11],
    )


def _read_attempt(row: Any) -> ListedPayment:
    return ListedPayment(
        key=row[0],
        transaction_id=None,
        amount=Money(row[1]),
        phone=Msisdn(row[2]),
        account=row[0],
        status=_STATUS_OF.get(row[3], ListStatus.PENDING),
        customer=None if row[4] is None else ListedCustomer(row[4], row[5]),
        created_at=read_instant(row[6]),
        gateway_id=row[7],
        method=PaymentMethod.MPESA,
        disposition=None,
        description=row[8],
        reason=None if row[9] is None else Reason(row[9]),
        explanation=row[10],
    )


_STATUS_OF = {"failed": ListStatus.FAILED, "expired": ListStatus.EXPIRED}
_PAYMENT_ROWS = (
    "SELECT t.payment_id, t.mpesa_receipt_number, t.amount_cents, t.phone, t.account, t.customer_id,"  # noqa: S608
    f" {NAME}, t.created_at, t.gateway_id, t.method, t.disposition, t.description"
    " FROM payments t LEFT JOIN customers c ON c.customer_id = t.customer_id"
)
_ATTEMPT_ROWS = (
    "SELECT t.account_reference, t.amount_cents, t.phone, t.state, c.customer_id,"  # noqa: S608 - constants
    f" {NAME}, t.created_at, t.gateway_id, v.name, t.reason, t.result_description"
    " FROM purchases t LEFT JOIN package_versions v ON v.version_id = t.package_version_id"
    " LEFT JOIN customers c ON (c.tenant_id, c.service, c.phone) = (t.tenant_id, t.service, t.phone)"
)


def _payments(counts: str, by_time: str = "payments_by_time") -> _Listing:
    return _Listing(
        _PAYMENT_ROWS, "payments t", by_time, "payment_id", "t.tenant_id = ?", counts, _read_payment, payment_terms
    )


def _attempts(state: str, by_time: str, table: str = "purchases t") -> _Listing:
    mine = f"t.tenant_id = ? AND {state}"
    return _Listing(_ATTEMPT_ROWS, table, by_time, "account_reference", mine, "1", _read_attempt, attempt_terms)


# Letter for letter as the indexes have it, or they would not be used.
_NOT_PAID = "t.state IN ('failed', 'expired')"
_OPEN = "t.state IN ('offered', 'intended', 'prompted', 'unknown')"
_LISTINGS = {
    None: _payments("t.method = 'MPESA' AND t.disposition <> 'merged'"),
    ListStatus.COMPLETED: _payments("t.method = 'MPESA' AND t.disposition NOT IN ('merged', 'refunded')"),
    ListStatus.REFUNDED: _payments("t.method = 'MPESA' AND t.disposition = 'refunded'", "payments_refunded"),
    # Few are open at a time: a search looks at them all, and at no others.
    ListStatus.PENDING: _attempts(_OPEN, "purchases_open", "purchases t INDEXED BY purchases_open"),
    ListStatus.FAILED: _attempts(f"t.state = 'failed' AND {_NOT_PAID}", "purchases_not_paid"),
    ListStatus.EXPIRED: _attempts(f"t.state = 'expired' AND {_NOT_PAID}", "purchases_not_paid"),
}
_UNMATCHED = _payments("t.disposition = 'unmatched'", "payments_unmatched")
_ANY_METHOD = {
    None: "t.disposition <> 'merged'",
    ListStatus.COMPLETED: "t.disposition NOT IN ('merged', 'refunded')",
    ListStatus.REFUNDED: "t.disposition = 'refunded'",
}


class PaymentListsTable:
    """Lists of a tenant's payments and attempts, newest first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._takings = TakingsTable(connection)

    def page(
        self, tenant_id: str, status: ListStatus | None, limit: int, *, skipped: int = 0, after: Position | None = None
    ) -> CountedPage:
        """Lines of the list of M-Pesa's payments, or of attempts, and how many there are.

        Args:
            tenant_id: Whose.
            status: Which; None for all money that came in.
            limit: How many lines at most.
            skipped: How many lines come before them.
            after: In place of that, the last line before them.
        """
        listing = _LISTINGS[status]
        with self._one_moment():
            total = self._total(tenant_id, status)
            if after is None and skipped:
                after = self._place(listing, tenant_id, status, skipped - 1)
                if after is None:
                    return CountedPage(Page([], None), total, exact=True)
            return CountedPage(self._after(listing, tenant_id, after, limit), total, exact=True)

    def search(
        self,
        tenant_id: str,
        status: ListStatus | None,
        text: str,
        limit: int,
        *,
        skipped: int = 0,
        after: Position | None = None,
    ) -> CountedPage:
        """As `page`, of what a text may stand for; of very many only so many are found, and the total is not exact."""
        listing = _LISTINGS[status]

        def query_of(term: Term) -> str:
            return (
                f"SELECT created_at, {listing.key}, {listing.counts} FROM {listing.table}"  # noqa: S608 - constants
                f" WHERE {listing.mine} AND {term.condition} ORDER BY {term.order} LIMIT ?"
            )

        with self._one_moment():
            found = find(self._sql, listing.terms(text), query_of, tenant_id)
            last = None if after is None else (instant(after.at), after.key)
            rest = found.places[skipped:] if last is None else [each for each in found.places if each < last]
            lines = self._lines(listing, [key for _, key in rest[:limit]])
        return CountedPage(_page(lines, more=len(rest) > limit), len(found.places), found.exact)

    def unmatched(self, tenant_id: str, after: Position | None, limit: int) -> Page[ListedPayment]:
        """Money nobody knows the purpose of."""
        return self._after(_UNMATCHED, tenant_id, after, limit)

    def by_id(self, tenant_id: str, payment_id: str) -> ListedPayment | None:
        """A payment as a line of a list."""
        rows = self._sql.execute(f"{_PAYMENT_ROWS} WHERE t.payment_id = ? AND t.tenant_id = ?", (payment_id, tenant_id))
        return next(map(_read_payment, rows), None)

    def booked(  # noqa: PLR0917 - a part of a span of time
        self,
        tenant_id: str,
        status: ListStatus | None,
        since: datetime,
        before: datetime,
        after: Position | None,
        limit: int,
    ) -> list[ListedPayment]:
        """What came in from `since` on and before `before`, by whatever method, the oldest first."""
        at, key = (instant(since), "") if after is None else (instant(after.at), after.key)
        rows = self._sql.execute(
            f"{_PAYMENT_ROWS} WHERE t.tenant_id = ? AND (t.created_at, t.payment_id) > (?, ?) AND t.created_at < ?"
            f" AND {_ANY_METHOD[status]} ORDER BY t.created_at, t.payment_id LIMIT ?",
            (tenant_id, at, key, instant(before), limit),
        )
        return list(map(_read_payment, rows))

    def _total(self, tenant_id: str, status: ListStatus | None) -> int:
        if status is not None and status.of_attempts:
            return int(getattr(self._takings.all_tried(tenant_id), status.value))
        return self._takings.payments(tenant_id, [PaymentMethod.MPESA], _money(status))

    def _by_day(self, tenant_id: str, status: ListStatus | None) -> Iterator[tuple[str, int]]:
        if status is not None and status.of_attempts:
            return self._takings.attempts_by_day(tenant_id, status.value)
        return self._takings.payments_by_day(tenant_id, PaymentMethod.MPESA, _money(status))

    def _place(self, listing: _Listing, tenant_id: str, status: ListStatus | None, rank: int) -> Position | None:
        """Where the line of that rank stands, counted from 0; None where the list is shorter."""
        left = rank
        for day, count in self._by_day(tenant_id, status):
            if left < count:
                return self._in_day(listing, tenant_id, date.fromisoformat(day), left, count)
            left -= count
        return None

    def _in_day(self, listing: _Listing, tenant_id: str, day: date, rank: int, count: int) -> Position | None:
        """The same within a day, from whichever of its ends is nearer."""
        backwards, way = (rank, "DESC") if rank <= count // 2 else (count - 1 - rank, "ASC")
        midnight = midnight_of(day)
        source = f"{listing.table.partition(' ')[0]} t INDEXED BY {listing.by_time}"
        row = self._sql.execute(
            f"SELECT created_at, {listing.key} FROM {source} WHERE {listing.mine} AND {listing.counts}"  # noqa: S608 - constants
            f" AND created_at >= ? AND created_at < ? ORDER BY created_at {way}, {listing.key} {way} LIMIT 1 OFFSET ?",
            (tenant_id, instant(midnight), instant(midnight + timedelta(days=1)), backwards),
        ).fetchone()
        return None if row is None else Position(read_instant(row[0]), row[1])

    def _after(self, listing: _Listing, tenant_id: str, after: Position | None, limit: int) -> Page[ListedPayment]:
        where, values = f"WHERE {listing.mine} AND {listing.counts}", [tenant_id]
        if after is not None:
            where += f" AND (t.created_at, t.{listing.key}) < (?, ?)"
            values += [instant(after.at), after.key]
        rows = self._sql.execute(
            f"{listing.rows} {where} ORDER BY t.created_at DESC, t.{listing.key} DESC LIMIT ?", (*values, limit + 1)
        )
        lines = list(map(listing.read, rows))
        return _page(lines[:limit], more=len(lines) > limit)

    def _lines(self, listing: _Listing, keys: Sequence[str]) -> list[ListedPayment]:
        rows = self._sql.execute(
            f"{listing.rows} WHERE t.{listing.key} IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
            f" ORDER BY t.created_at DESC, t.{listing.key} DESC",
            (json.dumps(keys),),
        )
        return list(map(listing.read, rows))

    @contextlib.contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Have all reads within see the same rows, so that a total fits its lines."""
        if self._sql.in_transaction:
            yield
            return
        self._sql.execute("BEGIN")
        try:
            yield
        finally:
            self._sql.execute("ROLLBACK")


def midnight_of(day: date) -> datetime:
    """The instant at which a day begins in Nairobi, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=NAIROBI).astimezone(UTC)


def _money(status: ListStatus | None) -> tuple[str, ...]:
    return tuple(each.value for each in MONEY) if status is None else (status.value,)


def _page(lines: list[ListedPayment], *, more: bool) -> Page[ListedPayment]:
    return Page(lines, Position(lines[-1].created_at, lines[-1].key) if more and lines else None)
