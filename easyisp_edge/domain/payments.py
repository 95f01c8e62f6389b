"""Money: what is asked for, what others say of it, what is booked."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Final

    from easyisp_edge.domain.payers import Payer
    from easyisp_edge.domain.values import Money, Msisdn


# Stands where a gateway's id does for money that came in through none; no gateway can be called so.
NO_GATEWAY: Final = "-"
# So much is kept of what a source said, as it came.
RAW_OCTETS_MAX: Final = 4096


class Outcome(enum.Enum):
    """The closed set of answers to "was it paid?"; whatever is not certain is unknown."""

    PAID = "paid"
    NOT_PAID = "not_paid"
    UNKNOWN = "unknown"


class Reason(enum.StrEnum):
    """Why a payment did not come about, as far as the customer can act on it. Values are stored and translated."""

    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"  # prompt ignored, phone off or out of coverage
    NO_MONEY = "no_money"
    WRONG_PIN = "wrong_pin"
    PIN_LOCKED = "pin_locked"
    PROMPT_OPEN = "prompt_open"  # another prompt or USSD session on that SIM
    REPEATED = "repeated"  # same amount from the same phone within two minutes
    AMOUNT_LIMIT = "amount_limit"  # below the least, above the most, or over the daily total
    ACCOUNT = "account"  # the payer's account is suspended or restricted
    NOT_REGISTERED = "not_registered"  # the number has no M-Pesa
    BUSY = "busy"  # M-Pesa is throttling or overloaded
    UNREACHABLE = "unreachable"  # M-Pesa was not reached; nothing was sent
    WRONG_AMOUNT = "wrong_amount"  # M-Pesa tells another amount than was asked: kept, for a person to assign
    PAID_SHORT = "paid_short"  # the customer paid less than the price: it is in the wallet
    CONFIGURATION = "configuration"  # the owner's set-up is at fault
    SYSTEM = "system"  # M-Pesa says it failed and not why


class EvidenceSource(enum.StrEnum):
    """Where a statement about money came from. Values are stored."""

    STK_PUSH = "stk_push"  # the answer to the push itself
    STK_CALLBACK = "stk_callback"  # on the purchase's secret address
    STK_CALLBACK_BARE = "stk_callback_bare"  # on the address without a secret: anybody may have written it
    STK_CALLBACK_RELAYED = "stk_callback_relayed"  # the same as STK_CALLBACK, handed on by central
    STK_QUERY = "stk_query"
    PULL = "pull"  # a row of the merchant's own list of transactions
    C2B = "c2b"  # a confirmation on the gateway's secret address
    WEBHOOK = "webhook"  # told by whoever holds the webhook's key
    CENTRAL = "central"  # central's record of a receipt
    STAFF = "staff"  # somebody of the owner's has seen the money
    CLAIM = "claim"  # a receipt or message the customer pasted

    @property
    def strong(self) -> bool:
        """Whether it proves money by itself; the rest may only trigger a look-up."""
        return self not in {EvidenceSource.STK_PUSH, EvidenceSource.STK_CALLBACK_BARE, EvidenceSource.CLAIM}


@dataclass(frozen=True, slots=True)
class StkPush:
    """A request to prompt a phone for a PIN.

    Args:
        phone: The payer, who is prompted.
        amount: Whole shillings.
        account_reference: At most 12 letters and digits, unique for the purchase.
        description: At most 13 characters.
        callback_url: The purchase's own secret address.
    """

    phone: Msisdn
    amount: Money
    account_reference: str
    description: str
    callback_url: str


@dataclass(frozen=True, slots=True)
class PromptAccepted:
    """The gateway took the push: accepted is not paid."""

    checkout_request_id: str
    merchant_request_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """A statement of an outside party about one push, read but not yet believed.

    Args:
        source: Where it came from.
        outcome: Paid, not paid, or unknown.
        reason: For not paid, why.
        result_code: The party's own code, as text; empty where there was none.
        result_description: The party's own words.
        checkout_request_id: The push it speaks of; None where it does not say.
        merchant_request_id: The same, the other id.
        amount: What was paid; None where the source does not tell.
        mpesa_receipt_number: The receipt, upper case; None where the source does not tell.
        phone: Who paid; None where absent or masked.
        paid_at: When, by the party's clock.
        raw: The statement as it came, at most a few kilobytes.
    """

    source: EvidenceSource
    outcome: Outcome
    reason: Reason | None
    result_code: str
    result_description: str
    checkout_request_id: str | None
    merchant_request_id: str | None
    amount: Money | None
    mpesa_receipt_number: str | None
    phone: Msisdn | None
    paid_at: datetime | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class MoneyRecord:
    """Money as the receiver's side has it in its books: it came in, and whose it is has to be found out.

    Args:
        source: Whose books.
        mpesa_receipt_number: Upper case.
        amount: More than nothing.
        account: What the payer typed or the push carried as account, as it came; empty for tills.
        payer: Who paid, as far as it says.
        paid_at: When; None where it does not say. Out of a pulled list it may be three hours early.
        raw: The statement as it came, at most a few kilobytes.
    """

    source: EvidenceSource
    mpesa_receipt_number: str
    amount: Money
    account: str
    payer: Payer
    paid_at: datetime | None
    raw: bytes


class PaymentMethod(enum.StrEnum):
    """How money came in. Values are stored and part of the HTTP contract."""

    MPESA = "MPESA"
    CASH = "CASH"
    BANK_TRANSFER = "BANK_TRANSFER"
    CARD = "CARD"
    OTHER = "OTHER"

    @property
    def by_hand(self) -> bool:
        """Whether a person took the money and wrote it down; M-Pesa's comes in by itself."""
        return self is not PaymentMethod.MPESA


class Disposition(enum.StrEnum):
    """Where a payment's money went: every shilling is in exactly one place. Values are stored."""

    GRANT = "grant"  # it bought one; what it was too much is in the wallet
    WALLET = "wallet"  # all of it is the customer's credit
    UNMATCHED = "unmatched"  # kept, shown, for a person to assign or a receipt to claim
    REFUNDED = "refunded"  # given back by a person, outside of this box
    MERGED = "merged"  # found to be the same money as another payment, which carries it


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in.

    Args:
        payment_id: Our id.
        tenant_id: Who received it.
        gateway_id: Through which gateway; `NO_GATEWAY` for none.
        method: How.
        amount: What was paid.
        disposition: Where it went.
        mpesa_receipt_number: Unique in the store; None until a source tells it.
        purchase_id: The purchase it answers, or was sent for; None when nobody knows.
        customer_id: The payer, where known.
        phone: The payer's number, where a source tells it.
        account: The account reference it came with.
        description: In words, for lists.
        created_at: When it was booked.
    """

    payment_id: str
    tenant_id: str
    gateway_id: str
    method: PaymentMethod
    amount: Money
    disposition: Disposition
    mpesa_receipt_number: str | None
    purchase_id: str | None
    customer_id: str | None
    phone: Msisdn | None
    account: str
    description: str
    created_at: datetime
