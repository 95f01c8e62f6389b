"""The receiver of the money, and how a request for it is signed."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.json_values import TIMESTAMP_FORMAT
from easyisp_edge.adapters.daraja.messages import TransactionType
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Signature:
    """What proves a request to be the short code's own; good for one request."""

    timestamp: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DarajaAccount:
    """Who receives, and on whose authority; made by `paybill`, `buy_goods` or `bank`.

    Args:
        business_shortcode: The short code with API access; the passkey is its own.
        party_b: The receiver: PayBill or till number.
        transaction_type: Which of the two the receiver is.
        passkey: The secret Safaricom sent for `business_shortcode`.
        account_number: The one account all payments go to, for a bank; None where each carries its own reference.

    Raises:
        InvalidError: A number cannot be right.

    Source: Daraja, M-Pesa Express, request parameters.
    """

    business_shortcode: str
    party_b: str
    transaction_type: TransactionType
    passkey: SecretStr
    account_number: str | None = None

    def __post_init__(self) -> None:
        _check("business_shortcode", self.business_shortcode, r"[0-9]{5,10}", "5 to 10 digits")
        _check("party_b", self.party_b, r"[0-9]{5,10}", "5 to 10 digits")
        if self.account_number is not None:
            _check("account_number", self.account_number, r"[A-Za-z0-9]{1,20}", "1 to 20 letters and digits")

    @classmethod
    def paybill(cls, shortcode: str, passkey: SecretStr) -> DarajaAccount:
        """A PayBill that receives on its own short code."""
        return cls(shortcode, shortcode, TransactionType.PAY_BILL, passkey)

    @classmethod
    def buy_goods(cls, store_number: str, till: str, passkey: SecretStr) -> DarajaAccount:
        """A till: the store number (or head office number) signs, the till receives.

        The account reference is sent, because it is demanded, but M-Pesa does not keep it for a till.
        """
        return cls(store_number, till, TransactionType.BUY_GOODS, passkey)

    @classmethod
    def bank(cls, business_shortcode: str, bank_paybill: str, account_number: str, passkey: SecretStr) -> DarajaAccount:
        """A bank account: an own short code signs, the bank's PayBill receives for `account_number`.

        The account number takes the place of the account reference, so the purchase's own reference is not
        transmitted: only the callback and the query can tell which purchase a payment was for. The number is sent
        whole or not at all, never cut; whether one of more than 12 characters reaches the bank is for a payment of
        one shilling to show.
        """
        return cls(business_shortcode, bank_paybill, TransactionType.PAY_BILL, passkey, account_number)

    def sign(self, instant: datetime) -> Signature:
        """Sign one request made at `instant`, in Nairobi time.

        Source: Daraja, M-Pesa Express, `Password` and `Timestamp`.
        """
        timestamp = instant.astimezone(NAIROBI).strftime(TIMESTAMP_FORMAT)
        plain = self.business_shortcode + self.passkey.get_secret_value().strip() + timestamp
        return Signature(timestamp, base64.b64encode(plain.encode()).decode())


def _check(name: str, text: str, pattern: str, expected: str) -> None:
    if re.fullmatch(pattern, text) is None:
        raise InvalidError(f"daraja.{name}", f"{name} must be {expected}, not {text!r:.40}.", field=name)
