"""Table `customers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.store.columns import instant, optional_mac, read_instant, read_optional_mac
from easyisp_edge.store.pages import page_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.values import MacAddress

NAME = "coalesce(c.phone, c.last_mac, '')"
"""What a customer `c` is called in lists, in SQL: the number, else the device; empty where neither is known."""

_SELECT = (
    "SELECT customer_id, tenant_id, service, phone, last_mac, total_spent_cents, created_at,"  # noqa: S608 - constants
    f" {NAME} FROM customers c "
)
# Up to so many whose numbers begin alike are sorted by age; of more, the newest are soon met among all by age.
_SORTED_MAX = 2000
_ONE_OF = "+tenant_id = :tenant_id AND customer_id IN (SELECT customer_id FROM customers WHERE "
_NUMBERED = "tenant_id = :tenant_id AND service IN ('hotspot', 'pppoe') AND phone = :phone"
_BEGINS = "tenant_id = :tenant_id AND service IN ('hotspot', 'pppoe') AND phone >= :begins AND phone < :ends"
_AFTER_DIGITS = ":"  # comes next after the digits


class CustomersSought(NamedTuple):
    """Which customers are looked for; None for any.

    Args:
        phone: Who has that number.
        phone_begins: Whose number begins with these digits.
        mac: Who last paid from that device.
    """

    phone: Msisdn | None = None
    phone_begins: str | None = None
    mac: MacAddress | None = None


class Customer(NamedTuple):
    """A customer as they stand in the store.

    Args:
        customer_id: Our id.
        tenant_id: Whose.
        service: Hotspot or PPPoE.
        phone: Their number, where it was told.
        last_mac: The device they last paid from, where known.
        total_spent: What they paid in all.
        created_at: When they first paid.
        name: What they are called in lists, as `NAME` says.
    """

    customer_id: str
    tenant_id: str
    service: Service
    phone: Msisdn | None
    last_mac: MacAddress | None
    total_spent: Money
    created_at: datetime
    name: str


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

    def spent(self, customer_id: str, amount: Money) -> None:
        """Note that so much was paid for a customer who is known already."""
        self._sql.execute(
            "UPDATE customers SET total_spent_cents = total_spent_cents + ? WHERE customer_id = ?",
            (amount.cents, customer_id),
        )

    def tenant_of(self, customer_id: str) -> str | None:
        """Whose customer it is; None for nobody's."""
        row = self._sql.execute("SELECT tenant_id FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
        return None if row is None else str(row[0])

    def took_back(self, customer_id: str, amount: Money) -> None:
        """Note that money counted for a customer was given back, or turned out to be somebody else's."""
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

    def name_of(self, customer_id: str) -> str:
        """What a customer is called in lists, as `NAME` says."""
        query = f"SELECT {NAME} FROM customers c WHERE customer_id = ?"  # noqa: S608 - a constant
        row = self._sql.execute(query, (customer_id,)).fetchone()
        return "" if row is None else str(row[0])

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

    def of_id(self, tenant_id: str, customer_id: str) -> Customer | None:
        """One of a tenant's customers."""
        query = _SELECT + "WHERE customer_id = ? AND tenant_id = ?"
        row = self._sql.execute(query, (customer_id, tenant_id)).fetchone()
        return None if row is None else _read(row)

    def page(
        self, tenant_id: str, sought: CustomersSought, *, limit: int, after: Position | None = None
    ) -> Page[Customer]:
        """A page of a tenant's customers, those who came last first."""
        parameters = {"tenant_id": tenant_id, "limit": limit + 1, **_parameters(sought)}
        conditions = [self._condition(sought, parameters)]
        if after is not None:
            conditions.append("(created_at, customer_id) < (:at, :key)")
            parameters |= {"at": instant(after.at), "key": after.key}
        order = " ORDER BY created_at DESC, customer_id DESC LIMIT :limit"
        rows = self._sql.execute(f"{_SELECT}WHERE {' AND '.join(conditions)}{order}", parameters)
        return page_of([[_read(row) for row in rows]], limit, _position)

    def _condition(self, sought: CustomersSought, parameters: dict[str, Any]) -> str:
        # A plus keeps SQLite from walking along another index than the one that is meant.
        if sought.phone is not None:
            return f"{_ONE_OF}{_NUMBERED})"
        if sought.mac is not None:
            return "+tenant_id = :tenant_id AND last_mac = :mac"
        if sought.phone_begins is None:
            return "tenant_id = :tenant_id"
        if self._begin_alike(parameters) > _SORTED_MAX:
            return "tenant_id = :tenant_id AND +phone >= :begins AND +phone < :ends"
        return f"{_ONE_OF}{_BEGINS})"

    def _begin_alike(self, parameters: dict[str, Any]) -> int:
        query = f"SELECT count(*) FROM (SELECT 1 FROM customers WHERE {_BEGINS} LIMIT :most)"  # noqa: S608 - a constant
        return int(self._sql.execute(query, parameters | {"most": _SORTED_MAX + 1}).fetchone()[0])


def _parameters(sought: CustomersSought) -> dict[str, Any]:
    begins = sought.phone_begins
    return {
        "phone": None if sought.phone is None else sought.phone.digits,
        "mac": optional_mac(sought.mac),
        "begins": begins,
        "ends": None if begins is None else begins + _AFTER_DIGITS,
    }


def _position(customer: Customer) -> Position:
    return Position(customer.created_at, customer.customer_id)


def _read(row: tuple[Any, ...]) -> Customer:
    return Customer(
        row[0],
        row[1],
        Service(row[2]),
        None if row[3] is None else Msisdn(row[3]),
        read_optional_mac(row[4]),
        Money(row[5]),
        read_instant(row[6]),
        row[7],
    )
