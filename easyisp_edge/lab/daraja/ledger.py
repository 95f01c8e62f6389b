"""What truly happened: the record tests and people judge everyone else's books by."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja.nairobi import EAT
from easyisp_edge.lab.daraja.receivers import ReceiverKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from easyisp_edge.lab.daraja.behaviour import Behaviour
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.push_request import PushRequest
    from easyisp_edge.lab.daraja.receivers import Receiver
    from easyisp_edge.lab.daraja.results import Result


@dataclass(slots=True)
class AcceptedPush:
    """A push Daraja took: it has ids, and sooner or later a result."""

    request: PushRequest
    merchant: Merchant
    behaviour: Behaviour
    merchant_request_id: str
    checkout_request_id: str
    at: datetime
    started: float  # on the monotonic clock
    prompted: bool = False
    result: Result | None = None
    result_at: datetime | None = None
    queries: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)
    settled: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)
    told: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    @property
    def receiver_name(self) -> str:
        """Whom the prompt and the SMS name."""
        return self.merchant.receiver_name(self.request.party_b) or self.merchant.name


@dataclass(slots=True)
class Push:
    """A push that reached Daraja with a live token, taken or not.

    Attributes:
        number: Counted from 1.
        at: When it came.
        fields: The body as it came; empty where it was no JSON object.
        answer: `accepted`, or what it was refused with.
        accepted: What became of it, when it was taken; also where its answer was lost.
    """

    number: int
    at: datetime
    fields: Mapping[str, object]
    answer: str = ""
    accepted: AcceptedPush | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money about to leave a phone.

    Args:
        account_reference: What the payer typed, or the push said.
        short_code: That asked for it; empty for a payment from the menu to somebody without an API.
        checkout_request_id: The push's; empty for a payment from the menu.
    """

    phone: str
    shillings: int
    receiver: Receiver
    account_reference: str = ""
    short_code: str = ""
    checkout_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Debit:
    """Money that left a phone.

    Attributes:
        short_code: That asked for it: a push's `BusinessShortCode`, or whose PayBill or till was paid from the menu.
        checkout_request_id: Empty where the customer paid from the menu.
        receiver_balance_shillings: What the receiver's account held after it.
    """

    receipt: str
    phone: str
    shillings: int
    short_code: str
    party_b: str
    account_reference: str
    checkout_request_id: str
    at: datetime
    balance_after_shillings: int
    receiver: Receiver
    receiver_balance_shillings: int


@dataclass(frozen=True, slots=True)
class Reversal:
    """A payment taken back: the money is on the phone again.

    Attributes:
        receipt: Its own.
        of: The receipt of the payment.
    """

    receipt: str
    of: str
    shillings: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """Money the merchant moved from a short code to its own organisation: no customer's payment."""

    receipt: str
    short_code: str
    shillings: int
    at: datetime


@dataclass(frozen=True, slots=True)
class CallbackSent:
    """One try to deliver a callback.

    Attributes:
        status: The HTTP status it was answered with; None when there was no answer.
        error: Why not.
    """

    checkout_request_id: str
    url: str
    body: str
    at: datetime
    status: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class NoticeSent:
    """One try to deliver a C2B notification.

    Attributes:
        kind: `validation` or `confirmation`.
        status: The HTTP status it was answered with; None when there was no answer.
        answer: The body of that answer.
        error: Why there was none.
    """

    kind: str
    receipt: str
    url: str
    body: str
    at: datetime
    status: int | None
    answer: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message from M-PESA on a phone.

    Attributes:
        received_on: The till, PayBill or phone number whose owner is told of money; empty on the payer's side.
    """

    phone: str
    at: datetime
    text: str
    received_on: str = ""


class Ledger:
    """All that happened, in its order, and what each phone and each receiver's account holds."""

    def __init__(self, starting_balance_shillings: int) -> None:
        self.pushes: list[Push] = []
        self.debits: list[Debit] = []
        self.reversals: list[Reversal] = []
        self.settlements: list[Settlement] = []
        self.callbacks: list[CallbackSent] = []
        self.notices: list[NoticeSent] = []
        self.messages: list[Sms] = []
        self._starting_balance = starting_balance_shillings
        self._balances: dict[str, int] = {}
        self._accepted: dict[str, AcceptedPush] = {}
        self._accounts: dict[str, int] = {}  # by short code, or the number of who has none
        self._debits: dict[str, Debit] = {}  # by CheckoutRequestID
        self._spent: dict[tuple[str, date], int] = {}  # by phone and Nairobi day

    def push_came(self, fields: Mapping[str, object], at: datetime) -> Push:
        """Record a push before it is judged."""
        push = Push(len(self.pushes) + 1, at, fields)
        self.pushes.append(push)
        return push

    def was_accepted(self, push: AcceptedPush) -> None:
        """Make the push findable by its CheckoutRequestID."""
        self._accepted[push.checkout_request_id] = push

    @property
    def accepted(self) -> list[AcceptedPush]:
        """The pushes that were taken, in their order."""
        return list(self._accepted.values())

    def find(self, checkout_request_id: str) -> AcceptedPush | None:
        """The accepted push of that id."""
        return self._accepted.get(checkout_request_id)

    def get(self, checkout_request_id: str) -> AcceptedPush:
        """The accepted push of that id.

        Raises:
            NotFoundError: There is none.
        """
        push = self.find(checkout_request_id)
        if push is None:
            raise NotFoundError("lab.push", f"No push {checkout_request_id!r:.60} was accepted here.")
        return push

    def balance_shillings(self, phone: str) -> int:
        """What the phone has left."""
        return self._balances.get(phone, self._starting_balance)

    def set_balance(self, phone: str, shillings: int) -> None:
        """Put that much on the phone.

        Raises:
            InvalidError: It is less than nothing.
        """
        if shillings < 0:
            raise InvalidError("lab.balance", "A balance cannot be negative.", field="shillings")
        self._balances[phone] = shillings

    def account_shillings(self, receiver: Receiver) -> int:
        """What the receiver's account holds; a phone's is its balance."""
        if receiver.kind is ReceiverKind.PHONE:
            return self.balance_shillings(receiver.number)
        return self._accounts.get(receiver.account, 0)

    def debit(self, payment: Payment, receipt: str, at: datetime) -> Debit:
        """Move the money from the phone to its receiver."""
        balance = self.balance_shillings(payment.phone) - payment.shillings
        self.set_balance(payment.phone, balance)
        receiver = payment.receiver
        self._move(receiver, payment.shillings)
        debit = Debit(
            receipt=receipt,
            phone=payment.phone,
            shillings=payment.shillings,
            short_code=payment.short_code,
            party_b=receiver.number,
            account_reference=payment.account_reference,
            checkout_request_id=payment.checkout_request_id,
            at=at,
            balance_after_shillings=balance,
            receiver=receiver,
            receiver_balance_shillings=self.account_shillings(receiver),
        )
        self.debits.append(debit)
        if debit.checkout_request_id:
            self._debits[debit.checkout_request_id] = debit
        day = (debit.phone, at.astimezone(EAT).date())
        self._spent[day] = self._spent.get(day, 0) + debit.shillings
        return debit

    def reverse(self, debit: Debit, receipt: str, at: datetime) -> Reversal:
        """Move the money back.

        Raises:
            ConflictError: It was moved back before, or the receiver no longer has it.
        """
        if any(reversal.of == debit.receipt for reversal in self.reversals):
            raise ConflictError("lab.reversed", f"{debit.receipt} has been reversed already.")
        if self.account_shillings(debit.receiver) < debit.shillings:
            raise ConflictError("lab.reversal_money", f"{debit.receiver.name} no longer has that much.")
        self._move(debit.receiver, -debit.shillings)
        self.set_balance(debit.phone, self.balance_shillings(debit.phone) + debit.shillings)
        reversal = Reversal(receipt, debit.receipt, debit.shillings, at)
        self.reversals.append(reversal)
        return reversal

    def settle(self, receiver: Receiver, shillings: int, receipt: str, at: datetime) -> Settlement:
        """Move the merchant's money out of M-PESA's reach.

        Raises:
            ConflictError: The account does not hold that much.
        """
        if not 0 < shillings <= self.account_shillings(receiver):
            raise ConflictError("lab.settlement", f"{receiver.name} has no Ksh {shillings} to settle.")
        self._move(receiver, -shillings)
        settlement = Settlement(receipt, receiver.short_code, shillings, at)
        self.settlements.append(settlement)
        return settlement

    def _move(self, receiver: Receiver, shillings: int) -> None:
        after = self.account_shillings(receiver) + shillings
        if receiver.kind is ReceiverKind.PHONE:
            self.set_balance(receiver.number, after)
        else:
            self._accounts[receiver.account] = after

    def debit_by_receipt(self, receipt: str) -> Debit:
        """The payment of that receipt.

        Raises:
            NotFoundError: There is none.
        """
        for debit in self.debits:
            if debit.receipt == receipt:
                return debit
        raise NotFoundError("lab.receipt", f"No payment has the receipt {receipt!r:.40}.")

    def debit_of(self, checkout_request_id: str) -> Debit | None:
        """The debit the push ended in, if it did."""
        return self._debits.get(checkout_request_id)

    def spent_on_day_of(self, at: datetime, phone: str) -> int:
        """Shillings that left the phone on that Nairobi day."""
        return self._spent.get((phone, at.astimezone(EAT).date()), 0)
