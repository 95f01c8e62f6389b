"""Payment gateways that people made at the back office, as they are kept: their secrets sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# No tenant needs more; each that M-Pesa can be asked about has work of its own going on.
GATEWAYS_MAX = 50


@dataclass(frozen=True, slots=True)
class MadeGateway:
    """A gateway as it stands in the store.

    Args:
        gateway_id: Drawn when it was made, and never given again.
        tenant_id: Whose.
        type: How it is spoken to, as the HTTP contract has it; so are `sub_type` and `environment`.
        sub_type: Where its money lands.
        name: What people call it.
        shortcode: What is paid.
        store_number: The number of the tenant's own that signs: a till's, or the one that pushes for a bank account.
        account_number: The account at the bank.
        environment: Which of M-Pesa's worlds.
        consumer_key: Sealed; None without API. So are `consumer_secret` and `passkey`.
        consumer_secret: Sealed.
        passkey: Sealed.
        default: Whether it serves what no other gateway does, unless a file says otherwise.
        for_hotspot: Whether it takes hotspot payments.
        for_pppoe: Whether it takes PPPoE payments.
        made_by: Who made it.
        created_at: When.
        updated_at: When it was changed last.
    """

    gateway_id: str
    tenant_id: str
    type: str
    sub_type: str
    name: str | None
    shortcode: str
    store_number: str | None
    account_number: str | None
    environment: str
    consumer_key: bytes | None
    consumer_secret: bytes | None
    passkey: bytes | None
    default: bool
    for_hotspot: bool
    for_pppoe: bool
    made_by: str
    created_at: datetime
    updated_at: datetime
