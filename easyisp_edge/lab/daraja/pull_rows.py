"""The rows of the Pull API: what of the ledger they show, and in what spelling.

Source: Daraja, Pull Transactions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.ledger import Debit, Settlement
from easyisp_edge.lab.daraja.merchants import MerchantKind
from easyisp_edge.lab.daraja.nairobi import EAT
from easyisp_edge.lab.daraja.pull_handling import PullMsisdn, TillRows, TrxZone
from easyisp_edge.lab.daraja.receivers import ReceiverKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from easyisp_edge.lab.daraja.ledger import Ledger
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.pull_handling import PullHandling
    from easyisp_edge.lab.daraja.subscribers import Subscribers


class PullRows:
    """Reads the ledger as the Pull API shows it: oldest first, reversed payments unchanged."""

    def __init__(self, ledger: Ledger, subscribers: Subscribers) -> None:
        self._ledger = ledger
        self._subscribers = subscribers

    def of(
        self, merchants: Sequence[Merchant], number: str, since: datetime, until: datetime, handling: PullHandling
    ) -> list[dict[str, object]]:
        """All rows of these merchants under that number, from `since` to `until`, both included, to the second."""
        entries: list[Debit | Settlement] = [*self._ledger.debits, *self._ledger.settlements]
        entries.sort(key=lambda entry: entry.at)
        rows = []
        for entry in entries:
            owner = next((merchant for merchant in merchants if _shows(entry, merchant, number, handling)), None)
            if owner is not None and since <= entry.at.replace(microsecond=0) <= until:
                rows.append(self._row(entry, owner, handling))
        return rows

    def _row(self, entry: Debit | Settlement, owner: Merchant, handling: PullHandling) -> dict[str, object]:
        row: dict[str, object] = {
            "transactionId": entry.receipt,
            "trxDate": _trx_date(entry.at, handling.zone),
            "msisdn": 0,
            "sender": "MPESA",
            "transactiontype": "merchant-to-organization-settlement",
            "billreference": "",
            "amount": entry.shillings if handling.amount_as_number else f"{entry.shillings}.00",
            "organizationname": owner.name,
        }
        return row if isinstance(entry, Settlement) else self._paid(row, entry, handling)

    def _paid(self, row: dict[str, object], debit: Debit, handling: PullHandling) -> dict[str, object]:
        row["msisdn"] = _msisdn(debit.phone, handling.msisdn)
        if handling.payer_names:
            row["sender"] = self._subscribers.name_of(debit.phone)
        if debit.receiver.kind is ReceiverKind.PAYBILL:
            return row | {"transactiontype": "c2b-pay-bill-debit", "billreference": debit.account_reference}
        if handling.no_till_reference:
            del row["billreference"]
        return row | {"transactiontype": "c2b-buy-goods-debit"}


def _shows(entry: Debit | Settlement, owner: Merchant, number: str, handling: PullHandling) -> bool:
    """Whether that merchant's number shows the entry; what went to a bank has no short code here and never shows."""
    settled = isinstance(entry, Settlement)
    short_code = entry.short_code if isinstance(entry, Settlement) else entry.receiver.short_code
    if short_code != owner.short_code:
        return False
    if owner.kind is MerchantKind.PAYBILL:
        return number == owner.short_code
    if isinstance(entry, Debit) and entry.receiver.number != owner.own_number:
        return False  # another till of the same store
    under_store = handling.till_rows is not TillRows.TILL and number == owner.short_code
    under_till = handling.till_rows is not TillRows.STORE and number == owner.own_number
    return under_store or (under_till and not settled)


def _trx_date(at: datetime, zone: TrxZone) -> str:
    return f"{at.astimezone(EAT):%Y-%m-%dT%H:%M:%S}" + ("Z" if zone is TrxZone.MISLABELLED_Z else "+03:00")


def _msisdn(phone: str, shape: PullMsisdn) -> int | str:
    if shape is PullMsisdn.MASKED:
        return f"{phone[:5]}****{phone[-3:]}"
    return int(phone if shape is PullMsisdn.NUMBER else phone[3:])
