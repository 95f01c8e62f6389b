"""Table `payments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.paging import Position

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

    def update(self, payment: Payment) -> None:
        """Write what may become known later: where it went, for what, whose it is, receipt, phone and account."""
        self._sql.execute(
            "UPDATE payments SET disposition = ?, mpesa_receipt_number = ?, purchase_id = ?, customer_id = ?,"
            " phone = ?, account = ?, description = ? WHERE payment_id = ?",
            (
                payment.disposition.value,
                payment.mpesa_receipt_number,
                payment.purchase_id,
                payment.customer_id,
                None if payment.phone is None else payment.phone.digits,
                payment.account,
                payment.description,
                payment.payment_id,
            ),
        )

    def of_purchase(self, purchase_id: str) -> list[Payment]:
        """All that came in for a purchase, in the order it was booked."""
        return self._many("WHERE purchase_id = ? ORDER BY created_at, payment_id", purchase_id)

    def recent(self, tenant_id: str, limit: int) -> list[Payment]:
        """All that came in, newest first."""
        return self._many("WHERE tenant_id = ? ORDER BY created_at DESC LIMIT ?", tenant_id, limit)

    def unmatched(self, tenant_id: str, limit: int) -> list[Payment]:
        """Money nobody knows the purpose of, newest first."""
        return self._many(
            "WHERE tenant_id = ? AND disposition = 'unmatched' ORDER BY created_at DESC LIMIT ?", tenant_id, limit
        )

    def taken_by_hand(self, tenant_id: str, before: datetime, limit: int, *, skipped: int = 0) -> list[Payment]:
        """What people took and wrote down before then, newest first, without the first so many."""
        return self._many(
            "WHERE tenant_id = ? AND method <> 'MPESA' AND created_at < ?"
            " ORDER BY created_at DESC, payment_id DESC LIMIT ? OFFSET ?",
            tenant_id,
            instant(before),
            limit,
            skipped,
        )

    def credit_by_hand(self, tenant_id: str, after: Position, limit: int) -> list[Payment]:
        """Payments people took that still stand as credit, newest first, from after that position on."""
        return self._many(
            "WHERE tenant_id = ? AND method <> 'MPESA' AND disposition = 'wallet'"
            " AND (created_at, payment_id) < (?, ?) ORDER BY created_at DESC, payment_id DESC LIMIT ?",
            tenant_id,
            instant(after.at),
            after.key,
            limit,
        )

    def of_customer(self, customer_id: str, limit: int) -> list[Payment]:
        """What a customer paid, newest first."""
        return self._many("WHERE customer_id = ? ORDER BY created_at DESC LIMIT ?", customer_id, limit)

    def by_receipt(self, mpesa_receipt_number: str) -> Payment | None:
        """The payment with that receipt."""
        return self._one("WHERE mpesa_receipt_number = ?", mpesa_receipt_number)

    def by_id(self, payment_id: str) -> Payment | None:
        """A payment by our id."""
        return self._one("WHERE payment_id = ?", payment_id)

    def _many(self, where: str, *parameters: Any) -> list[Payment]:
        return [_read(row) for row in self._sql.execute(_SELECT + where, parameters)]

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
