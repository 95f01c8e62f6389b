"""Table `payments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3

_SELECT = (
    "SELECT payment_id, tenant_id, gateway_id, method, amount_cents, disposition, mpesa_receipt_number, purchase_id,"
    " customer_id, phone, account, description, created_at FROM payments "
)


class PaymentsTable:
    """Money that came in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, payment: Payment) -> None:
        """Book a payment. A receipt or a settled purchase that is there already is an `IntegrityError`."""
        self._sql.execute(
            "INSERT INTO payments (payment_id, tenant_id, gateway_id, method, amount_cents, disposition,"
            " mpesa_receipt_number, purchase_id, customer_id, phone, account, description, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                payment.payment_id,
                payment.tenant_id,
                payment.gateway_id,
                payment.method.value,
                payment.amount.cents,
                payment.disposition.value,
                payment.mpesa_receipt_number,
                payment.purchase_id,
                payment.customer_id,
                None if payment.phone is None else payment.phone.digits,
                payment.account,
                payment.description,
                instant(payment.created_at),
            ),
        )

    def attach_receipt(self, payment_id: str, mpesa_receipt_number: str) -> None:
        """Give a payment that was proven without a receipt the receipt that came later."""
        self._sql.execute(
            "UPDATE payments SET mpesa_receipt_number = ? WHERE payment_id = ?",
            (mpesa_receipt_number, payment_id),
        )

    def settling(self, purchase_id: str) -> Payment | None:
        """The payment that settled a purchase."""
        return self._one("WHERE purchase_id = ? AND disposition = 'grant'", purchase_id)

    def unmatched(self, purchase_id: str) -> list[Payment]:
        """Payments sent for a purchase that could not settle it."""
        rows = self._sql.execute(_SELECT + "WHERE purchase_id = ? AND disposition = 'unmatched'", (purchase_id,))
        return [_read(row) for row in rows]

    def by_receipt(self, mpesa_receipt_number: str) -> Payment | None:
        """The payment with that receipt."""
        return self._one("WHERE mpesa_receipt_number = ?", mpesa_receipt_number)

    def by_id(self, payment_id: str) -> Payment | None:
        """A payment by our id."""
        return self._one("WHERE payment_id = ?", payment_id)

    def _one(self, where: str, *parameters: Any) -> Payment | None:
        row = self._sql.execute(_SELECT + where, parameters).fetchone()
        return None if row is None else _read(row)


def _read(row: tuple[Any, ...]) -> Payment:
    return Payment(
        payment_id=row[0],
        tenant_id=row[1],
        gateway_id=row[2],
        method=PaymentMethod(row[3]),
        amount=Money(row[4]),
        disposition=Disposition(row[5]),
        mpesa_receipt_number=row[6],
        purchase_id=row[7],
        customer_id=row[8],
        phone=None if row[9] is None else Msisdn(row[9]),
        account=row[10],
        description=row[11],
        created_at=read_instant(row[12]),
    )
