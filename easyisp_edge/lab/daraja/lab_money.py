"""What a script does with money beside prompts: the customers' menu, reversals, merchants without API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.menu import question
from easyisp_edge.lab.daraja.phones import read_phone
from easyisp_edge.lab.daraja.receivers import ReceiverKind

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.ledger import Debit, Ledger, Reversal, Settlement, Sms
    from easyisp_edge.lab.daraja.menu import Menu
    from easyisp_edge.lab.daraja.receivers import NoApiMerchant, Receivers
    from easyisp_edge.lab.daraja.subscribers import Language, Subscribers
    from easyisp_edge.lab.daraja.teller import Teller


class LabMoney:
    """The part of the lab that is about money nobody prompted for."""

    _ledger: Ledger
    _menu: Menu
    _receivers: Receivers
    _subscribers: Subscribers
    _teller: Teller

    async def pay_bill(self, phone: str, short_code: str, account: str, shillings: int) -> Debit:
        """Pay a PayBill, a bank's too, from the phone's menu; returns once the money has moved.

        C2B notices go out in the background, where the short code has addresses registered.

        Raises:
            NotFoundError: Nobody takes money on that number.
            InvalidError: The account or the amount cannot be typed.
            ConflictError: Balance, a limit or the receiver's validation stood against it; no money moved.
        """
        return await self.pay_from_menu(phone, ReceiverKind.PAYBILL, short_code, account, shillings)

    async def pay_till(self, phone: str, till: str, shillings: int) -> Debit:
        """Pay a till (Buy Goods) from the phone's menu; raises as `pay_bill`."""
        return await self.pay_from_menu(phone, ReceiverKind.TILL, till, "", shillings)

    async def send_money(self, phone: str, to: str, shillings: int) -> Debit:
        """Send money to another phone from the phone's menu; raises as `pay_bill`."""
        return await self.pay_from_menu(phone, ReceiverKind.PHONE, to, "", shillings)

    async def pay_pochi(self, phone: str, to: str, shillings: int) -> Debit:
        """Pay a phone's business wallet from the phone's menu; raises as `pay_bill`."""
        return await self.pay_from_menu(phone, ReceiverKind.POCHI, to, "", shillings)

    async def pay_from_menu(
        self, phone: str, kind: ReceiverKind, number: str, account: str, shillings: int, *, pin: str | None = None
    ) -> Debit:
        """Pay in any way the menu has, with the right PIN or the one given; raises as `pay_bill`."""
        return await self._menu.pay(self._menu.entered(phone, kind, number, account, shillings), pin)

    def menu_question(self, phone: str, kind: ReceiverKind, number: str, account: str, shillings: int) -> str:
        """What the menu asks before it sends the money.

        Raises:
            NotFoundError: Nobody takes money on that number.
            InvalidError: The account or the amount cannot be typed.
        """
        return question(self._menu.entered(phone, kind, number, account, shillings))

    def reverse(self, receipt: str) -> Reversal:
        """Take a payment back, as Safaricom does on request: the money is on the phone again.

        The payer gets a message, and so does a receiver without API. No API tells of it, and the row in Pull stays.

        Raises:
            NotFoundError: There is no such payment.
            ConflictError: It was taken back before, or the receiver no longer has the money.
        """
        return self._teller.reverse(receipt)

    @property
    def reversals(self) -> list[Reversal]:
        """Every payment taken back."""
        return self._ledger.reversals

    def settle(self, kind: ReceiverKind, number: str, shillings: int) -> Settlement:
        """Move a merchant's money to its own organisation: a row in Pull that is no customer's payment.

        Raises:
            NotFoundError: There is no such receiver.
            ConflictError: The account does not hold that much.
        """
        return self._teller.settle(self._receivers.find(kind, number), shillings)

    def account_shillings(self, kind: ReceiverKind, number: str) -> int:
        """What a receiver's account holds.

        Raises:
            NotFoundError: There is no such receiver.
        """
        return self._ledger.account_shillings(self._receivers.find(kind, number))

    def add_no_api(self, merchant: NoApiMerchant) -> None:
        """Let a till, PayBill or phone without API be paid from the menu.

        Raises:
            InvalidError: A number that cannot be one, or nobody to tell.
        """
        self._receivers.add(merchant)

    def received_sms(self, number: str) -> list[Sms]:
        """The texts that told the owner of that till, PayBill or phone of money coming in, or being taken back."""
        digits = number.strip()
        wanted = {digits} if len(digits) <= len("1234567") else {read_phone(digits)}
        return [message for message in self._ledger.messages if message.received_on in wanted]

    def name_of(self, phone: str) -> str:
        """Whose phone it is."""
        return self._subscribers.name_of(read_phone(phone))

    def set_name(self, phone: str, name: str) -> None:
        """Give the phone's owner a name, as messages and notices write it."""
        self._subscribers.set_name(read_phone(phone), name)

    def language_of(self, phone: str) -> Language:
        """What M-PESA writes to the phone in."""
        return self._subscribers.language_of(read_phone(phone))

    def set_language(self, phone: str, language: Language) -> None:
        """Choose what M-PESA writes to the phone in from now on."""
        self._subscribers.set_language(read_phone(phone), language)
