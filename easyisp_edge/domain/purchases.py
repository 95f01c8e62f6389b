"""A purchase: one customer's wish to buy one package, from the tap to the money."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.payments import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.domain.values import MacAddress, Money, Msisdn

# While it may still be open, the same SIM is not prompted again.
PHONE_HOLD = timedelta(seconds=120)
# From here on the page stops promising; the books stay open.
PENDING_LIFE = timedelta(minutes=5)
# The same for what is paid from the M-Pesa menu: nobody is hurried who types a pay code.
OFFERED_LIFE = timedelta(hours=24)

# How long after a purchase money that does not name it is still taken to be for it, and by how much clocks may differ.
PAID_WITHIN = timedelta(hours=24)
CLOCKS_DIFFER = timedelta(minutes=5)

# When to ask, counted from the push. Dense while a person is typing a PIN, then ever rarer.
_QUERY_AFTER_SECONDS = (8, 15, 25, 38, 52, 68, 90, 115, 145, 180, 240, 300, 900, 3600)
_QUERY_DAILY = timedelta(days=1)
_QUERY_UNTIL = timedelta(hours=48)
# M-Pesa has been seen to say no and then take the money: look again, rarely.
_RECHECK_AFTER = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=24))


class PurchaseState(enum.StrEnum):
    """Where a purchase stands. Values are stored. Only PAID is final: a failure is provisional."""

    OFFERED = "offered"  # the customer pays from the M-Pesa menu; no prompt was sent
    INTENDED = "intended"  # written; whether the push went out is not known yet
    PROMPTED = "prompted"  # the gateway accepted the push
    UNKNOWN = "unknown"  # the push went out and its answer was lost; never pushed again
    FAILED = "failed"
    EXPIRED = "expired"  # no word in time; still asked about
    PAID = "paid"

    @property
    def open(self) -> bool:
        """Whether the customer may be paying just now, for all we know."""
        return self is PurchaseState.OFFERED or self.prompting

    @property
    def prompting(self) -> bool:
        """Whether the customer may be looking at a prompt, for all we know."""
        return self in {PurchaseState.INTENDED, PurchaseState.PROMPTED, PurchaseState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase as it stands in the store.

    Args:
        purchase_id: 128 bits nobody can guess: whoever holds it made the purchase.
        tenant_id: Who sells.
        package_version_id: What is bought, as it stood then.
        service: Hotspot or PPPoE.
        gateway_id: Which gateway asks for the money.
        phone: Who is asked, or said, to pay.
        amount: What is asked for.
        mac: The device it is for; None for PPPoE or where the page did not know.
        router_id: Where the customer came from; None where unknown.
        language: In which the page speaks.
        state: Where it stands.
        reason: For failed, why.
        result_description: For failed, the gateway's words, for the owner.
        account_reference: What the payment carries as account: its pay code, unique among all purchases.
        checkout_request_id: The gateway's id of the push, once it is known.
        merchant_request_id: The gateway's other id.
        created_at: When the wish was written.
        changed_at: When the state last changed.
        query_at: When to ask the gateway next; None for not at all.
        queries: How often it was asked since the last change of state.
    """

    purchase_id: str
    tenant_id: str
    package_version_id: int
    service: Service
    gateway_id: str
    phone: Msisdn
    amount: Money
    mac: MacAddress | None
    router_id: str | None
    language: str
    state: PurchaseState
    reason: Reason | None
    result_description: str
    account_reference: str
    checkout_request_id: str | None
    merchant_request_id: str | None
    created_at: datetime
    changed_at: datetime
    query_at: datetime | None
    queries: int

    def holds_phone_until(self) -> datetime | None:
        """Until when its phone is not to be prompted again; None when it holds nothing."""
        if self.state.prompting:
            return self.created_at + PHONE_HOLD
        if self.state is PurchaseState.FAILED and self.reason is Reason.PROMPT_OPEN:
            return self.changed_at + timedelta(seconds=60)
        return None

    def next_query_at(self, now: datetime) -> datetime | None:
        """When to ask next, given that it was just asked in vain; None when it has been asked enough."""
        if self.checkout_request_id is None or self.state is PurchaseState.PAID:
            return None
        if self.state is PurchaseState.FAILED:
            return next((at for after in _RECHECK_AFTER if (at := self.changed_at + after) > now), None)
        for seconds in _QUERY_AFTER_SECONDS:
            at = self.created_at + timedelta(seconds=seconds)
            if at > now:
                return at
        daily = now + _QUERY_DAILY
        return daily if daily <= self.created_at + _QUERY_UNTIL + _QUERY_DAILY else None


def first_query_at(pushed_at: datetime) -> datetime:
    """When to ask for the first time after a push."""
    return pushed_at + timedelta(seconds=_QUERY_AFTER_SECONDS[0])


def first_recheck_at(failed_at: datetime) -> datetime:
    """When to look again at what was said to have failed."""
    return failed_at + _RECHECK_AFTER[0]
