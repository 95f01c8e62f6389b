"""What came in today and this month, and how it went: by the days of Nairobi, whatever the machine's zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.payments import PaymentMethod
from easyisp_edge.domain.values import NAIROBI, Money

if TYPE_CHECKING:
    from datetime import date, datetime

    from easyisp_edge.machine import Clock
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store, Tables
    from easyisp_edge.store.takings import Taken, Tried


class Received(NamedTuple):
    """What came in over some days.

    Args:
        amount: All of it, without what was given back since.
        payments: How many that were.
    """

    amount: Money
    payments: int


class MpesaStatistics(NamedTuple):
    """How M-Pesa's money comes in.

    Args:
        today: What came in today.
        month: What came in since the month began.
        success_percent: Of the attempts of this month that are decided, those that were paid, to a tenth; 0 where
            none is decided.
        pending: Attempts of which nothing final is known, whenever they were made.
        last_heard_at: When M-Pesa last told of this tenant's money, or its list was last read; None for never.
    """

    today: Received
    month: Received
    success_percent: float
    pending: int
    last_heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class StatisticsService:
    """Statistics of a tenant's money.

    Money counts for the day it was booked on. What is given back later is taken out of that day again: the sums tell
    what was kept.

    Args:
        store: The books.
        clock: Says which day it is.
        site: Says which gateways are whose.
    """

    store: Store
    clock: Clock
    site: Site

    async def mpesa(self, tenant_id: str) -> MpesaStatistics:
        """How M-Pesa's money comes in just now."""
        today = nairobi_day(self.clock.now())
        gateways = [gateway.id for gateway in self.site.config.gateways if gateway.tenant == tenant_id]
        return await self.store.survey(lambda tables: _mpesa(tables, tenant_id, gateways, today))


def nairobi_day(at: datetime) -> date:
    """The day in Nairobi that an instant is on."""
    return at.astimezone(NAIROBI).date()


def _mpesa(tables: Tables, tenant_id: str, gateways: list[str], today: date) -> MpesaStatistics:
    takings, first = tables.takings, today.replace(day=1)
    return MpesaStatistics(
        today=_received(takings.taken(tenant_id, PaymentMethod.MPESA, today, today)),
        month=_received(takings.taken(tenant_id, PaymentMethod.MPESA, first, today)),
        success_percent=_success_percent(takings.tried(tenant_id, first, today)),
        pending=takings.all_tried(tenant_id).pending,
        last_heard_at=_last_heard_at(tables, tenant_id, gateways),
    )


def _received(taken: Taken) -> Received:
    return Received(Money(taken.cents), taken.payments)


def _success_percent(tried: Tried) -> float:
    decided = tried.paid + tried.failed + tried.expired
    return round(tried.paid * 100 / decided, 1) if decided else 0


def _last_booked_at(tables: Tables, tenant_id: str) -> datetime | None:
    newest = tables.payment_lists.page(tenant_id, None, 1).page.rows
    return newest[0].created_at if newest else None


def _last_heard_at(tables: Tables, tenant_id: str, gateways: list[str]) -> datetime | None:
    states = [tables.gateways.by_id(gateway_id) for gateway_id in gateways]
    moments = [state.swept_at for state in states if state is not None]
    moments.append(tables.evidence.last_heard_at(tenant_id) or _last_booked_at(tables, tenant_id))
    return max((at for at in moments if at is not None), default=None)
