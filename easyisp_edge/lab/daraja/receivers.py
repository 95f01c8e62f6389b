"""Who can be paid from the M-Pesa menu: short codes with an API, banks, tills and PayBills without one, phones."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.lab.daraja.merchants import KNOWN_BANKS, MerchantKind
from easyisp_edge.lab.daraja.phones import read_phone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.subscribers import Subscribers


class ReceiverKind(enum.StrEnum):
    """The way money is sent, which decides the wording of every message about it."""

    PAYBILL = "paybill"
    TILL = "till"
    BANK = "bank"  # a bank's PayBill: nothing of it shows on the merchant's own short code
    PHONE = "phone"
    POCHI = "pochi"  # a phone's business wallet


@dataclass(frozen=True, slots=True)
class NoApiMerchant:
    """Somebody who takes money without any API, and learns of it by text message.

    Args:
        number: The till, PayBill or phone number.
        name: As the payer reads it.
        kind: Any but BANK.
        owner_phone: Where a till's or PayBill's messages go; a phone's go to itself.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    number: str
    name: str
    kind: ReceiverKind = ReceiverKind.TILL
    owner_phone: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a payment goes.

    Attributes:
        number: PayBill, till or phone.
        short_code: The API short code whose Pull rows and C2B notices show it; empty where none does.
        owner_phone: Where the receiver's own text message goes; empty where nobody gets one.
    """

    kind: ReceiverKind
    number: str
    name: str
    short_code: str = ""
    owner_phone: str = ""

    @property
    def account(self) -> str:
        """The account the money is on."""
        return self.short_code or self.number


class Receivers:
    """The directory of them.

    Args:
        merchants: With an API.
        no_api: Without one.
        subscribers: Whose phones may be sent money.
    """

    def __init__(
        self, merchants: Sequence[Merchant], no_api: Sequence[NoApiMerchant], subscribers: Subscribers
    ) -> None:
        self._subscribers = subscribers
        banks = [*KNOWN_BANKS, *(bank for merchant in merchants for bank in merchant.banks)]
        self._known: dict[tuple[ReceiverKind, str], Receiver] = {}
        self._keep(Receiver(ReceiverKind.BANK, bank.paybill, bank.name) for bank in banks)
        self._keep(_with_api(merchant) for merchant in merchants)
        for merchant in no_api:
            self.add(merchant)

    def add(self, merchant: NoApiMerchant) -> Receiver:
        """Let a merchant without API be paid; one of that number is replaced.

        Raises:
            InvalidError: A number that cannot be one, or a till without anybody to tell.
        """
        receiver = _without_api(merchant)
        known = self._known.get((receiver.kind, receiver.number))
        if known is not None and known.short_code:
            raise InvalidError("lab.receiver", f"{receiver.number} has an API already.", field="number")
        self._keep([receiver])
        return receiver

    def find(self, kind: ReceiverKind, number: str) -> Receiver:
        """Whom that number pays.

        Raises:
            NotFoundError: Nobody.
            InvalidError: It is no phone number, where one is needed.
        """
        if kind is ReceiverKind.PHONE:
            return self._phone(read_phone(number))
        if kind is ReceiverKind.POCHI:
            number = read_phone(number)
        receiver = self._known.get((kind, number.strip()))
        if receiver is None and kind is ReceiverKind.PAYBILL:
            receiver = self._known.get((ReceiverKind.BANK, number.strip()))
        if receiver is None:
            raise NotFoundError("lab.receiver", f"Nobody takes money on {kind.value} number {number!r:.40}.")
        return receiver

    def of_push(self, merchant: Merchant, party_b: str) -> Receiver:
        """Whom a push of that merchant pays."""
        own = _with_api(merchant)
        if party_b == own.number:
            return own
        return Receiver(ReceiverKind.BANK, party_b, merchant.receiver_name(party_b) or merchant.name)

    def _phone(self, phone: str) -> Receiver:
        known = self._known.get((ReceiverKind.PHONE, phone))
        named = known or Receiver(ReceiverKind.PHONE, phone, self._subscribers.name_of(phone))
        return replace(named, owner_phone=phone)

    def _keep(self, receivers: Iterable[Receiver]) -> None:
        self._known |= {(receiver.kind, receiver.number): receiver for receiver in receivers}


def _with_api(merchant: Merchant) -> Receiver:
    kind = ReceiverKind.PAYBILL if merchant.kind is MerchantKind.PAYBILL else ReceiverKind.TILL
    return Receiver(kind, merchant.own_number, merchant.name, short_code=merchant.short_code)


def _without_api(merchant: NoApiMerchant) -> Receiver:
    if merchant.kind is ReceiverKind.BANK:
        raise InvalidError("lab.receiver", "A bank is no merchant without API.", field="kind")
    if merchant.kind in {ReceiverKind.PHONE, ReceiverKind.POCHI}:
        phone = read_phone(merchant.number)
        return Receiver(merchant.kind, phone, merchant.name, owner_phone=phone)
    if re.fullmatch(r"[0-9]{5,7}", merchant.number) is None:
        raise InvalidError("lab.receiver", "A till or PayBill has five to seven digits.", field="number")
    return Receiver(merchant.kind, merchant.number, merchant.name, owner_phone=read_phone(merchant.owner_phone))
