"""Table `customers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant, optional_mac

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.domain.values import MacAddress, Money, Msisdn


class CustomersTable:
    """People who paid, known by tenant, service and phone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def paid(
        self,
        *,
        new_id: str,
        tenant_id: str,
        service: Service,
        phone: Msisdn,
        mac: MacAddress | None,
        amount: Money,
        at: datetime,
    ) -> str:
        """Note that a customer paid; makes the customer where the phone is new. Gives the customer's id."""
        row = self._sql.execute(
            "INSERT INTO customers (customer_id, tenant_id, service, phone, last_mac, total_spent_cents, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, service, phone) DO UPDATE SET"
            " last_mac = coalesce(excluded.last_mac, last_mac),"
            " total_spent_cents = total_spent_cents + excluded.total_spent_cents RETURNING customer_id",
            (new_id, tenant_id, service.value, phone.digits, optional_mac(mac), amount.cents, instant(at)),
        ).fetchone()
        return str(row[0])
