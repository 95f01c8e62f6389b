"""Table `customers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.values import Msisdn
from easyisp_edge.store.columns import instant, optional_mac, read_optional_mac

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.domain.values import MacAddress, Money


class CustomersTable:
    """People who paid, known by tenant, service and phone; by their device where no phone was told.

    Who holds a voucher that was sold before this box came may be known by neither, and has spent nothing here.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def paid(
        self,
        *,
        new_id: str,
        tenant_id: str,
        service: Service,
        phone: Msisdn | None,
        mac: MacAddress | None,
        amount: Money,
        at: datetime,
    ) -> str:
        """Note that a customer paid; makes the customer where there is none. Gives the customer's id.

        One of phone and MAC must be there, except where nothing was paid: then each is a customer of its own.
        """
        known_by = "(tenant_id, service, phone)" if phone else "(tenant_id, service, last_mac) WHERE phone IS NULL"
        row = self._sql.execute(
            "INSERT INTO customers (customer_id, tenant_id, service, phone, last_mac, total_spent_cents, created_at)"  # noqa: S608 - constants
            f" VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT {known_by} DO UPDATE SET"
            " last_mac = coalesce(excluded.last_mac, last_mac),"
            " total_spent_cents = total_spent_cents + excluded.total_spent_cents RETURNING customer_id",
            (
                new_id,
                tenant_id,
                service.value,
                None if phone is None else phone.digits,
                optional_mac(mac),
                amount.cents,
                instant(at),
            ),
        ).fetchone()
        return str(row[0])

    def recognise(self, customer_id: str, mac: MacAddress) -> None:
        """Note the device a customer paid from, where none was known to be."""
        self._sql.execute(
            "UPDATE customers SET last_mac = ? WHERE customer_id = ? AND last_mac IS NULL", (mac.text, customer_id)
        )

    def took_back(self, customer_id: str, amount: Money) -> None:
        """Note that money counted for a customer turned out to be somebody else's."""
        self._sql.execute(
            "UPDATE customers SET total_spent_cents = total_spent_cents - ? WHERE customer_id = ?",
            (amount.cents, customer_id),
        )

    def phone_of(self, customer_id: str) -> Msisdn | None:
        """A customer's number, where it was told."""
        row = self._sql.execute("SELECT phone FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
        return None if row is None or row[0] is None else Msisdn(row[0])

    def mac_of(self, customer_id: str) -> MacAddress | None:
        """The device a customer last paid from, where known."""
        row = self._sql.execute("SELECT last_mac FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
        return None if row is None else read_optional_mac(row[0])

    def of_device(self, tenant_id: str, mac: MacAddress) -> list[str]:
        """The customers who last paid from this device."""
        rows = self._sql.execute(
            "SELECT customer_id FROM customers WHERE last_mac = ? AND tenant_id = ?", (mac.text, tenant_id)
        )
        return [row[0] for row in rows]

    def of_phone(self, tenant_id: str, service: Service, phone: Msisdn) -> str | None:
        """The customer with this number."""
        row = self._sql.execute(
            "SELECT customer_id FROM customers WHERE tenant_id = ? AND service = ? AND phone = ?",
            (tenant_id, service.value, phone.digits),
        ).fetchone()
        return None if row is None else row[0]
