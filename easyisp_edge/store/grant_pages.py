"""How pages of grants are asked for: each question is answered along an index, however many grants there are."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from easyisp_edge.domain.paging import Position
    from easyisp_edge.domain.values import MacAddress, Msisdn


class GrantStanding(enum.StrEnum):
    """Where a grant stands for whoever looks: nothing is left of what has ENDED, whether or not that is noted yet."""

    USABLE = "usable"  # any but ENDED
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class GrantsSought(NamedTuple):
    """Which grants are looked for; None for any.

    Args:
        standing: Those that stand there.
        customer_id: Those of that customer.
        phone: Those of the customers with that number.
        mac: Those for that device.
        mpesa_receipt_number: What that payment bought, or the purchase it was made for got.
    """

    standing: GrantStanding | None = None
    customer_id: str | None = None
    phone: Msisdn | None = None
    mac: MacAddress | None = None
    mpesa_receipt_number: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether few are asked for, which have an index of their own."""
        return any(each is not None for each in self[1:])


_OVER, _NOT_OVER = "g.state = 'ended'", "g.state <> 'ended'"
_LEFT = (
    "(g.ends_at IS NULL OR g.ends_at > :now)"
    " AND (v.data_limit_octets IS NULL OR g.octets_used < v.data_limit_octets)"
    " AND (v.online_seconds IS NULL OR g.seconds_used < v.online_seconds)"
)
_STANDING = {
    GrantStanding.USABLE: _LEFT,
    GrantStanding.ENDED: f"NOT ({_LEFT})",
    **{
        each: f"{_LEFT} AND g.state = '{each}'"
        for each in (GrantStanding.WAITING, GrantStanding.RUNNING, GrantStanding.PAUSED)
    },
}
_OF_PHONE = (
    "g.customer_id IN (SELECT customer_id FROM customers WHERE tenant_id = :tenant_id"
    " AND service IN ('hotspot', 'pppoe') AND phone = :phone)"
)
_OF_RECEIPT = (
    "g.grant_id IN (SELECT grant_id FROM grants WHERE payment_id ="
    " (SELECT payment_id FROM payments WHERE mpesa_receipt_number = :receipt)"
    " UNION SELECT grant_id FROM grants WHERE purchase_id ="
    " (SELECT purchase_id FROM payments WHERE mpesa_receipt_number = :receipt))"
)


def page_queries(columns: str, sought: GrantsSought, *, later: bool) -> list[str]:
    """The statements for a page: those with something left to note and those that are over stand in two indexes.

    Each gives its part newest first, from `:at` and `:key` on where `later`, at most `:limit` rows.

    Args:
        columns: What is read, of the grants `g`, the customers `c` and the package versions `v`.
        sought: Which.
        later: Whether a page was read before.
    """
    standing = sought.standing
    not_over = (_NOT_OVER,) if standing is None else (_NOT_OVER, _STANDING[standing])
    parts = [not_over, (_OVER,)] if standing in {None, GrantStanding.ENDED} else [not_over]
    return [_query(columns, (*part, *_conditions(sought, later=later))) for part in parts]


def _query(columns: str, conditions: tuple[str, ...]) -> str:
    return (
        f"SELECT {columns} FROM grants g"  # noqa: S608 - constants
        # In this order: SQLite cannot know how few of the grants are asked for.
        " CROSS JOIN customers c ON c.customer_id = g.customer_id"
        " CROSS JOIN package_versions v ON v.version_id = g.package_version_id"
        f" WHERE {' AND '.join(conditions)} ORDER BY g.created_at DESC, g.grant_id DESC LIMIT :limit"
    )


def page_parameters(
    tenant_id: str, sought: GrantsSought, now: datetime, limit: int, after: Position | None
) -> dict[str, Any]:
    """What `page_queries` are asked with."""
    return {
        "tenant_id": tenant_id,
        "now": instant(now),
        "limit": limit,
        "customer_id": sought.customer_id,
        "phone": None if sought.phone is None else sought.phone.digits,
        "mac": None if sought.mac is None else sought.mac.text,
        "receipt": sought.mpesa_receipt_number,
        "at": None if after is None else instant(after.at),
        "key": None if after is None else after.key,
    }


def _conditions(sought: GrantsSought, *, later: bool) -> Iterator[str]:
    # The plus keeps SQLite from walking all of the tenant's grants instead of the few that are asked for.
    yield f"{'+' if sought.narrows else ''}g.tenant_id = :tenant_id"
    if sought.customer_id is not None:
        yield "g.customer_id = :customer_id"
    if sought.phone is not None:
        yield _OF_PHONE
    if sought.mac is not None:
        yield "g.mac = :mac"
    if sought.mpesa_receipt_number is not None:
        yield _OF_RECEIPT
    if later:
        yield "(g.created_at, g.grant_id) < (:at, :key)"
