"""A gateway as the back office shows it: wherever it comes from, and never a secret of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.config import GatewaySource

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.config import Gateway
    from easyisp_edge.domain.gateways import MadeGateway

_TOLD_AS = {
    GatewaySource.FILE: "gateways.toml",
    GatewaySource.ENVIRONMENT: (
        "the environment, in the variables MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET, MPESA_SHORTCODE, MPESA_PASSKEY"
        " and MPESA_ENV"
    ),
}


@dataclass(frozen=True, slots=True)
class ShownGateway:
    """What may be told of a gateway.

    Args:
        gateway_id: Its id.
        tenant_id: Whose.
        type: As the HTTP contract has it; so are `sub_type` and `environment`.
        sub_type: Where its money lands.
        name: What people call it.
        shortcode: What is paid.
        store_number: The number of the tenant's own that signs, where that is another.
        account_number: The account at the bank.
        environment: Which of M-Pesa's worlds.
        default: Whether it serves what no other does.
        for_hotspot: Whether it takes hotspot payments.
        for_pppoe: Whether it takes PPPoE payments.
        has_credentials: Whether it has keys that can be used.
        declared_in: Where it is declared; None where people made it, who may change it.
        created_at: When it was made; when this run of the box began, where it is declared.
        updated_at: When it was changed last; the same.
        problem: Why it is not used; None where it is.
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
    default: bool
    for_hotspot: bool
    for_pppoe: bool
    has_credentials: bool
    declared_in: str | None
    created_at: datetime
    updated_at: datetime
    problem: str | None


def declared_in(gateway: Gateway) -> str:
    """Where a gateway is declared, so that a person finds it."""
    return _TOLD_AS[gateway.source]


def shown_as_declared(gateway: Gateway, since: datetime) -> ShownGateway:
    """What is told of a gateway that a file or the environment declares."""
    return ShownGateway(
        gateway_id=gateway.id,
        tenant_id=gateway.tenant,
        type=gateway.type.value,
        sub_type=gateway.sub_type.value,
        name=gateway.name,
        shortcode=gateway.shortcode,
        store_number=gateway.store_number or gateway.business_shortcode,
        account_number=gateway.account_number,
        environment=gateway.environment.value,
        default=gateway.default,
        for_hotspot=gateway.for_hotspot,
        for_pppoe=gateway.for_pppoe,
        has_credentials=gateway.has_api,
        declared_in=gateway.source.value,
        created_at=since,
        updated_at=since,
        problem=None,
    )


def shown_as_made(row: MadeGateway, in_force: Gateway | None, trouble: str | None) -> ShownGateway:
    """What is told of a gateway that people made.

    Args:
        row: As it is kept.
        in_force: As it is used; None where it is not.
        trouble: Why it is not used.
    """
    return ShownGateway(
        gateway_id=row.gateway_id,
        tenant_id=row.tenant_id,
        type=row.type,
        sub_type=row.sub_type,
        name=row.name,
        shortcode=row.shortcode,
        store_number=row.store_number,
        account_number=row.account_number,
        environment=row.environment,
        default=in_force is not None and in_force.default,
        for_hotspot=row.for_hotspot,
        for_pppoe=row.for_pppoe,
        has_credentials=in_force is not None and in_force.has_api,
        declared_in=None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        problem=trouble,
    )
