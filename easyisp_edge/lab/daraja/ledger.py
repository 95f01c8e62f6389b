"""What truly happened: the record tests and people judge everyone else's books by."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.lab.daraja.nairobi import EAT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from easyisp_edge.lab.daraja.behaviour import Behaviour
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.push_request import PushRequest
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
class Debit:
    """Money that left a phone."""

    receipt: str
    phone: str
    shillings: int
    short_code: str
    party_b: str
    account_reference: str
    checkout_request_id: str
    at: datetime
    balance_after_shillings: int


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
class Sms:
    """A text message from M-PESA on a phone."""

    phone: str
    at: datetime
    text: str


class Ledger:
    """Pushes, debits, callbacks and messages in the order they happened, and what each phone has left."""

    def __init__(self, starting_balance_shillings: int) -> None:
        self.pushes: list[Push] = []
        self.debits: list[Debit] = []
        self.callbacks: list[CallbackSent] = []
        self.messages: list[Sms] = []
        self._starting_balance = starting_balance_shillings
        self._balances: dict[str, int] = {}
        self._accepted: dict[str, AcceptedPush] = {}
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

    def debit(self, push: AcceptedPush, receipt: str, at: datetime) -> Debit:
        """Take the push's amount off its phone."""
        request = push.request
        balance = self.balance_shillings(request.phone) - request.shillings
        debit = Debit(
            receipt=receipt,
            phone=request.phone,
            shillings=request.shillings,
            short_code=request.credentials.short_code,
            party_b=request.party_b,
            account_reference=request.account_reference,
            checkout_request_id=push.checkout_request_id,
            at=at,
            balance_after_shillings=balance,
        )
        self.set_balance(request.phone, balance)
        self.debits.append(debit)
        self._debits[debit.checkout_request_id] = debit
        day = (debit.phone, at.astimezone(EAT).date())
        self._spent[day] = self._spent.get(day, 0) + debit.shillings
        return debit

    def debit_of(self, checkout_request_id: str) -> Debit | None:
        """The debit the push ended in, if it did."""
        return self._debits.get(checkout_request_id)

    def spent_on_day_of(self, at: datetime, phone: str) -> int:
        """Shillings that left the phone on that Nairobi day."""
        return self._spent.get((phone, at.astimezone(EAT).date()), 0)
