"""Where money moves, whoever asked for it: limits, receipt, debit, messages, C2B notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.ledger import Sms
from easyisp_edge.lab.daraja.receivers import ReceiverKind
from easyisp_edge.lab.daraja.results import ABOVE_MAXIMUM, DAILY_LIMIT, NO_MONEY, Result
from easyisp_edge.lab.daraja.sms import failure, reversed_for
from easyisp_edge.lab.daraja.sms_paid import paid
from easyisp_edge.lab.daraja.sms_received import received

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.c2b_notices import C2bNotices
    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.ledger import Debit, Ledger, Payment, Reversal, Settlement
    from easyisp_edge.lab.daraja.receivers import Receiver
    from easyisp_edge.lab.daraja.subscribers import Subscribers
    from easyisp_edge.machine import Clock

_AMOUNT_MAX_SHILLINGS = 250_000
_DAILY_LIMIT_SHILLINGS = 500_000


class Teller:
    """Moves money and tells everyone concerned.

    Args:
        clock: For times.
        ledger: Where the money is.
        identifiers: Draws the receipts.
        subscribers: Names and languages for the messages.
        notices: Tells the short code's owner.
        till_masks_phone: Whether a till's own message hides the payer's number.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: Ledger,
        identifiers: Identifiers,
        subscribers: Subscribers,
        notices: C2bNotices,
        till_masks_phone: bool,
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._identifiers = identifiers
        self._subscribers = subscribers
        self._notices = notices
        self._till_masks_phone = till_masks_phone

    def draw_receipt(self) -> str:
        """The receipt of a payment about to be made."""
        return self._identifiers.receipt(self._clock.now())

    def refusal(self, phone: str, shillings: int) -> Result | None:
        """What stands against the payment: a limit or the balance."""
        if shillings > _AMOUNT_MAX_SHILLINGS:
            return Result.of(ABOVE_MAXIMUM)
        if self._ledger.spent_on_day_of(self._clock.now(), phone) + shillings > _DAILY_LIMIT_SHILLINGS:
            return Result.of(DAILY_LIMIT)
        if shillings > self._ledger.balance_shillings(phone):
            return Result.of(NO_MONEY)
        return None

    def take(self, payment: Payment, receipt: str = "", third_party_id: str = "") -> Debit:
        """Take the money, which nothing may stand against, and tell of it.

        Args:
            payment: The payment.
            receipt: Drawn before; one is drawn now where it is empty.
            third_party_id: What the validation's answer set.
        """
        at = self._clock.now()
        debit = self._ledger.debit(payment, receipt or self.draw_receipt(), at)
        left_today = _DAILY_LIMIT_SHILLINGS - self._ledger.spent_on_day_of(at, debit.phone)
        self.text(debit.phone, paid(debit, self._subscribers.language_of(debit.phone), left_today))
        self._tell_receiver(debit)
        self._notices.confirm(debit, third_party_id)
        return debit

    def tell_failure(self, result_code: str, phone: str, shillings: int, receiver_name: str) -> str:
        """Send the message about a failed payment, where there is one; returns it."""
        text = failure(result_code, shillings, receiver_name, self._ledger.balance_shillings(phone)) or ""
        if text:
            self.text(phone, text)
        return text

    def text(self, phone: str, text: str, received_on: str = "") -> None:
        """Send a message."""
        self._ledger.messages.append(Sms(phone, self._clock.now(), text, received_on))

    def reverse(self, receipt: str) -> Reversal:
        """Take a payment back and tell the payer, and the receiver who has no API.

        Raises:
            NotFoundError: There is no such payment.
            ConflictError: It was taken back before, or the receiver no longer has the money.
        """
        debit = self._ledger.debit_by_receipt(receipt)
        reversal = self._ledger.reverse(debit, self.draw_receipt(), self._clock.now())
        balance = self._ledger.balance_shillings(debit.phone)
        self.text(debit.phone, reversed_for(reversal, credited=True, balance_shillings=balance))
        receiver = debit.receiver
        if receiver.owner_phone:
            held = self._ledger.account_shillings(receiver)
            told = reversed_for(reversal, credited=False, balance_shillings=held)
            self.text(receiver.owner_phone, told, received_on=receiver.number)
        return reversal

    def settle(self, receiver: Receiver, shillings: int) -> Settlement:
        """Let the merchant move money to its own organisation.

        Raises:
            ConflictError: The account does not hold that much.
        """
        return self._ledger.settle(receiver, shillings, self.draw_receipt(), self._clock.now())

    def _tell_receiver(self, debit: Debit) -> None:
        receiver = debit.receiver
        if not receiver.owner_phone:
            return
        by_phone = receiver.kind is ReceiverKind.PHONE
        language = self._subscribers.language_of(receiver.owner_phone if by_phone else "")
        name = self._subscribers.name_of(debit.phone)
        told = received(debit, name, language, till_masks_phone=self._till_masks_phone)
        self.text(receiver.owner_phone, told, received_on=receiver.number)
