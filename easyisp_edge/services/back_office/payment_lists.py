"""Lists of money for the back office: looked up, searched, and handed out whole, off the loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.paging import Position
from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.store.payment_lists import ListStatus, midnight_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from easyisp_edge.domain.paging import Page
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.payment_lists import CountedPage, ListedPayment
    from easyisp_edge.store.store import Store

# Little enough that nobody else waits long for the connection, and that a batch is nothing to the memory.
BATCH_ROWS_MAX = 250
_FIRST_DAY = date(2000, 1, 1)
# Instants are kept to the millisecond: what was booked just now is booked.
_KEPT_TO = timedelta(milliseconds=1)


class Wanted(NamedTuple):
    """Which lines of a list.

    Args:
        limit: How many at most.
        status: Of which status; None for all money that came in.
        search: The beginning of a receipt, a number or an account; empty for all.
        skipped: How many lines come before.
        after: In place of that, the last line before.
    """

    limit: int
    status: ListStatus | None = None
    search: str = ""
    skipped: int = 0
    after: Position | None = None


class Span(NamedTuple):
    """Some days of Nairobi's.

    Args:
        first: The first; None for since ever.
        last: The last, which belongs to it; None for until now.
    """

    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class PaymentLists:
    """What came in, and what was tried.

    Args:
        store: The books.
        clock: Says what is there already when a list is handed out whole.
    """

    store: Store
    clock: Clock

    async def electronic(self, tenant_id: str, wanted: Wanted) -> CountedPage:
        """A page of M-Pesa's payments, or of attempts, newest first."""
        if not wanted.search:
            return await self.store.survey(
                lambda tables: tables.payment_lists.page(
                    tenant_id, wanted.status, wanted.limit, skipped=wanted.skipped, after=wanted.after
                )
            )
        return await self.store.survey(
            lambda tables: tables.payment_lists.search(
                tenant_id, wanted.status, wanted.search, wanted.limit, skipped=wanted.skipped, after=wanted.after
            )
        )

    async def unmatched(self, tenant_id: str, after: Position | None, limit: int) -> Page[ListedPayment]:
        """A page of the money nobody knows the purpose of, newest first."""
        return await self.store.survey(lambda tables: tables.payment_lists.unmatched(tenant_id, after, limit))

    def line(self, tenant_id: str, payment_id: str) -> ListedPayment:
        """A payment as it stands in lists.

        Raises:
            NotFoundError: The tenant has no such payment.
        """
        found = self.store.read.payment_lists.by_id(tenant_id, payment_id)
        if found is None:
            raise NotFoundError("payment.unknown", "There is no such payment.")
        return found

    async def booked(
        self, tenant_id: str, span: Span, status: ListStatus | None
    ) -> AsyncGenerator[list[ListedPayment], None]:
        """All that came in on some days by whatever method, the oldest first, in batches.

        Only what was booked when it is first asked for: what comes in meanwhile neither shows nor shifts anything.
        Between batches anybody may write; a payment shows as it stands when its batch is read.

        Raises:
            InvalidError: The last day is before the first, or the status is none of money's.
        """
        since, before = self._span(span)
        if status is not None and status.of_attempts:
            raise InvalidError(
                "payments.no_money", "Only what came in is handed out: completed, refunded, or both.", field="status"
            )
        after: Position | None = None
        while True:
            batch = await self._batch(tenant_id, status, since, before, after)
            if batch:
                yield batch
            if len(batch) < BATCH_ROWS_MAX:
                return
            after = Position(batch[-1].created_at, batch[-1].key)

    async def _batch(
        self, tenant_id: str, status: ListStatus | None, since: datetime, before: datetime, after: Position | None
    ) -> list[ListedPayment]:
        return await self.store.survey(
            lambda tables: tables.payment_lists.booked(tenant_id, status, since, before, after, BATCH_ROWS_MAX)
        )

    def _span(self, span: Span) -> tuple[datetime, datetime]:
        first, now = span.first or _FIRST_DAY, self.clock.now() + _KEPT_TO
        if span.last is None:
            return midnight_of(first), now
        if span.last < first:
            raise InvalidError("payments.span", "The last day is before the first.", field="to")
        return midnight_of(first), min(now, midnight_of(span.last + timedelta(days=1)))
