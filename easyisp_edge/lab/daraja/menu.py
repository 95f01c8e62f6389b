"""The M-Pesa menu on a customer's phone: payments nobody prompted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.lab.daraja.ledger import Payment
from easyisp_edge.lab.daraja.phones import read_phone
from easyisp_edge.lab.daraja.receivers import ReceiverKind
from easyisp_edge.lab.daraja.results import WRONG_PIN
from easyisp_edge.lab.daraja.sms import declined

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.c2b_notices import C2bNotices
    from easyisp_edge.lab.daraja.ledger import Debit
    from easyisp_edge.lab.daraja.receivers import Receivers
    from easyisp_edge.lab.daraja.teller import Teller

_ACCOUNT_LENGTH_MAX = 20


class Menu:
    """Lets people pay on their own.

    Args:
        receivers: Who can be paid.
        teller: Moves the money.
        notices: Asks the receiver first, where validation is on.
        right_pin: Every phone's PIN.
    """

    def __init__(self, receivers: Receivers, teller: Teller, notices: C2bNotices, right_pin: str) -> None:
        self._receivers = receivers
        self._teller = teller
        self._notices = notices
        self._right_pin = right_pin

    def entered(self, phone: str, kind: ReceiverKind, number: str, account: str, shillings: int) -> Payment:
        """What was typed, as a payment.

        Raises:
            NotFoundError: Nobody takes money on that number.
            InvalidError: No account, no amount or no phone number.
        """
        payer, receiver = read_phone(phone), self._receivers.find(kind, number)
        account = account.strip()
        by_account = receiver.kind in {ReceiverKind.PAYBILL, ReceiverKind.BANK}
        if by_account and not 0 < len(account) <= _ACCOUNT_LENGTH_MAX:
            raise InvalidError("lab.menu_account", "An account number has 1 to 20 characters.", field="account")
        if shillings < 1:
            raise InvalidError("lab.menu_amount", "Enter an amount of whole shillings.", field="shillings")
        if receiver.kind is ReceiverKind.PHONE and receiver.number == payer:
            raise InvalidError("lab.menu_self", "Nobody can send money to their own phone.", field="number")
        return Payment(payer, shillings, receiver, account if by_account else "", receiver.short_code)

    async def pay(self, payment: Payment, pin: str | None = None) -> Debit:
        """Confirm with the PIN, the right one unless another is given.

        Raises:
            ConflictError: M-Pesa, or the receiver's validation, refused; where M-Pesa sends a message about
                that, the phone has it.
        """
        if pin is not None and pin != self._right_pin:
            self._refuse(payment, WRONG_PIN, "The PIN is wrong.")
        self._check(payment)
        receipt = self._teller.draw_receipt()
        verdict = await self._notices.validate(payment, receipt)
        if not verdict.goes_ahead:
            text = declined(payment.receiver.name)
            self._teller.text(payment.phone, text)
            raise ConflictError("lab.menu_declined", text)
        self._check(payment)  # the phone may have paid something else meanwhile
        return self._teller.take(payment, receipt, verdict.third_party_id)

    def _check(self, payment: Payment) -> None:
        refusal = self._teller.refusal(payment.phone, payment.shillings)
        if refusal is not None:
            self._refuse(payment, refusal.code, refusal.description)

    def _refuse(self, payment: Payment, result_code: str, otherwise: str) -> None:
        text = self._teller.tell_failure(result_code, payment.phone, payment.shillings, payment.receiver.name)
        raise ConflictError("lab.menu_refused", text or otherwise)


def question(payment: Payment) -> str:
    """What the menu asks before it sends the money."""
    receiver = payment.receiver
    asked = f"Pay Ksh {payment.shillings:,} to {receiver.name}"
    if receiver.kind in {ReceiverKind.PHONE, ReceiverKind.POCHI}:
        asked = f"Send Ksh {payment.shillings:,} to {receiver.name} 0{receiver.number[3:]}"
    return f"{asked} Account no. {payment.account_reference}?" if payment.account_reference else f"{asked}?"
