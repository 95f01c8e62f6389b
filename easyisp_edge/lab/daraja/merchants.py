"""Who may be paid: the short codes, apps and receivers this stand-in knows."""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass, field

PAY_BILL_ONLINE = "CustomerPayBillOnline"
BUY_GOODS_ONLINE = "CustomerBuyGoodsOnline"

SANDBOX_SHORT_CODE = "174379"
# Printed in the public portal's simulator: everybody's, and worth nothing outside the sandbox.
SANDBOX_PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"


class MerchantKind(enum.StrEnum):
    """How the short code takes money."""

    PAYBILL = "paybill"
    BUYGOODS = "buygoods"


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank that takes money on its own PayBill, with the bank account as account reference."""

    paybill: str
    name: str


EQUITY = Bank("247247", "EQUITY BANK")
KCB = Bank("522522", "KCB BANK")
CO_OP = Bank("400222", "CO-OP BANK")
KNOWN_BANKS = (EQUITY, KCB, CO_OP)


@dataclass(frozen=True, slots=True)
class Merchant:
    """One short code with STK rights, and the app whose keys may use it.

    Args:
        short_code: `BusinessShortCode`: the PayBill; for a till its store or head-office number.
        passkey: Belongs to the short code.
        consumer_key: The app's key; several short codes may share one app.
        consumer_secret: The app's secret.
        name: As the customer reads it in the prompt.
        kind: PayBill or till.
        till: For `BUYGOODS`, the till number; empty where the short code is itself the till.
        banks: Banks whose PayBills this short code may push to (a product permission).
    """

    short_code: str
    passkey: str = field(repr=False)
    consumer_key: str
    consumer_secret: str = field(repr=False)
    name: str = "EASYISP LAB"
    kind: MerchantKind = MerchantKind.PAYBILL
    till: str = ""
    banks: tuple[Bank, ...] = ()

    def password(self, timestamp: str) -> str:
        """The `Password` that fits this short code at that `Timestamp`."""
        return base64.b64encode(f"{self.short_code}{self.passkey}{timestamp}".encode()).decode()

    def late_refusal(self, transaction_type: str, party_b: str) -> str | None:
        """The result code a pair of `TransactionType` and `PartyB` ends in, None where the pair is right.

        Daraja takes a wrong pair without a word and refuses it late: 2028 where the product does not allow
        it, SFC_IC0003 where there is no such receiver.
        """
        fitting = PAY_BILL_ONLINE if self.kind is MerchantKind.PAYBILL else BUY_GOODS_ONLINE
        if transaction_type != fitting:
            return "2028"
        if self.receiver_name(party_b) is not None:
            return None
        return "2028" if any(bank.paybill == party_b for bank in KNOWN_BANKS) else "SFC_IC0003"

    def receiver_name(self, party_b: str) -> str | None:
        """Whom the prompt names for that `PartyB`; None when this merchant may not send money there."""
        if party_b == self.own_number:
            return self.name
        return next((bank.name for bank in self.banks if bank.paybill == party_b), None)

    @property
    def own_number(self) -> str:
        """What customers pay to: the PayBill or the till."""
        return (self.till or self.short_code) if self.kind is MerchantKind.BUYGOODS else self.short_code


SANDBOX_MERCHANT = Merchant(
    short_code=SANDBOX_SHORT_CODE,
    passkey=SANDBOX_PASSKEY,
    consumer_key="lab-key",
    consumer_secret="lab-secret",  # noqa: S106 - opens nothing but the lab
)
