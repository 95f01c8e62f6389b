"""The message that whoever takes money without an API gets on their own phone.

The grammar, spacing and punctuation are those of messages seen: "PM" glued to the amount on a till, an account
number that runs into the next word on a PayBill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.receivers import ReceiverKind
from easyisp_edge.lab.daraja.sms_figures import day, hour, local_phone, money, person
from easyisp_edge.lab.daraja.subscribers import Language

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.ledger import Debit


def received(debit: Debit, payer_name: str, language: Language, *, till_masks_phone: bool) -> str:
    """What the receiver reads.

    Args:
        debit: The payment.
        payer_name: Who paid.
        language: Swahili is known for persons only; tills, PayBills and business wallets get English.
        till_masks_phone: Whether a till's message hides the middle of the payer's number.
    """
    if debit.receiver.kind is ReceiverKind.TILL:
        return _till(debit, payer_name, masked=till_masks_phone)
    if debit.receiver.kind is ReceiverKind.PAYBILL:
        return _paybill(debit, payer_name)
    if debit.receiver.kind is ReceiverKind.POCHI:
        return _pochi(debit, payer_name)
    return _swahili(debit, payer_name) if language is Language.SWAHILI else _person(debit, payer_name)


def _till(debit: Debit, payer_name: str, *, masked: bool) -> str:
    phone = f"{debit.phone[:4]}******{debit.phone[-2:]}" if masked else debit.phone
    return (
        f"{debit.receipt} Confirmed.on {day(debit.at)} at {hour(debit.at)}{money(debit.shillings)} received from "
        f"{phone} {payer_name}. New Account balance is Ksh{debit.receiver_balance_shillings}.00. "
        "Transaction cost, Ksh0.00."
    )


def _paybill(debit: Debit, payer_name: str) -> str:
    return (
        f"{debit.receipt} Confirmed. on {day(debit.at)} at {hour(debit.at)} {money(debit.shillings)} received from "
        f"{payer_name} {debit.phone}.  Account Number {debit.account_reference} New Utility balance is "
        f"{money(debit.receiver_balance_shillings)}"
    )


def _pochi(debit: Debit, payer_name: str) -> str:
    return (
        f"{debit.receipt} Confirmed.You have received {money(debit.shillings)} from {person(payer_name)} on "
        f"{day(debit.at)} at {hour(debit.at)}  New business balance is {money(debit.receiver_balance_shillings)}. "
        "To access your funds, Dial *334#"
    )


def _person(debit: Debit, payer_name: str) -> str:
    local = local_phone(debit.phone)
    return (
        f"{debit.receipt} Confirmed.You have received {money(debit.shillings)} from {payer_name.title()} "
        f"{local[:4]}***{local[-3:]} on {day(debit.at)} at {hour(debit.at)}  "
        f"New M-PESA balance is {money(debit.receiver_balance_shillings)}."
    )


def _swahili(debit: Debit, payer_name: str) -> str:
    return (
        f"{debit.receipt} Imethibitishwa. Umepokea {money(debit.shillings)} kutoka {person(payer_name)} "
        f"{local_phone(debit.phone)} mnamo {day(debit.at)} saa {hour(debit.at)}  "
        f"Baki yako ya M-PESA ni {money(debit.receiver_balance_shillings)}"
    )
