"""A claim: a customer pastes a receipt and says "this money is mine"."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.values import MacAddress, Msisdn

# How long a receipt that nobody on the merchant's side knows is looked for.
CLAIM_LIFE = timedelta(hours=48)
# How long M-Pesa may take to show a payment to the merchant: a list read sooner proves nothing against it.
VISIBLE_WITHIN = timedelta(minutes=15)
_LOOK_AFTER_SECONDS = (20, 60, 120, 300, 600, 1200, 3600)
_LOOK_HOURLY = timedelta(hours=1)


class ClaimState(enum.StrEnum):
    """Where a claim stands. Values are stored and part of the page's script."""

    VERIFYING = "verifying"  # the merchant's side does not know the receipt yet
    GRANTED = "granted"  # the money was nobody's: it bought the package
    GIVEN_BACK = "given_back"  # it had bought something already, which the claimant may use
    CREDITED = "credited"  # it is in the claimant's wallet
    REFUSED = "refused"


class Refusal(enum.StrEnum):
    """Why a claim is refused. Values are stored and translated."""

    UNKNOWN_RECEIPT = "unknown_receipt"  # the merchant's own list does not know it
    USED = "used"  # it bought something for somebody else
    REFUNDED = "refunded"
    TOO_OLD = "too_old"  # the merchant's list does not go back that far: staff can look
    NOT_FOUND_IN_TIME = "not_found_in_time"  # nobody could be asked, or nobody knew, for two days


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it stands in the store.

    Args:
        claim_id: 128 bits nobody can guess: whoever holds it made the claim.
        tenant_id: At whose site.
        gateway_id: Which gateway the money should have come through.
        mpesa_receipt_number: What was pasted, in its one spelling; the rest of the message is not kept.
        package_version_id: What is wanted for it; None for whatever it pays for.
        phone: The number it was paid from, where the claimant says so.
        mac: The claimant's device, where known.
        router_id: Where the claimant is.
        language: In which the claimant reads.
        state: Where it stands.
        reason: For refused, why.
        grant_id: What it led to.
        provisional_grant_id: Access given until it is decided.
        customer_id: Whose wallet it went to.
        created_at: When it was made.
        changed_at: When its state last changed.
        look_at: When to look again; None for never.
        looks: How often it was looked at.
    """

    claim_id: str
    tenant_id: str
    gateway_id: str
    mpesa_receipt_number: str
    package_version_id: int | None
    phone: Msisdn | None
    mac: MacAddress | None
    router_id: str | None
    language: str
    state: ClaimState
    reason: Refusal | None
    grant_id: str | None
    provisional_grant_id: str | None
    customer_id: str | None
    created_at: datetime
    changed_at: datetime
    look_at: datetime | None
    looks: int

    def next_look_at(self, now: datetime) -> datetime | None:
        """When to look again, given that it was just looked at in vain; None when it has been long enough."""
        for seconds in _LOOK_AFTER_SECONDS:
            at = self.created_at + timedelta(seconds=seconds)
            if at > now:
                return at
        hourly = now + _LOOK_HOURLY
        return hourly if now < self.created_at + CLAIM_LIFE else None
