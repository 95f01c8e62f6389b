"""The message with the receipt that a payer gets, in the form of each way to pay.

The grammar, spacing and punctuation are those of messages seen in 2025 and 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.receivers import ReceiverKind
from easyisp_edge.lab.daraja.sms_figures import day, hour, local_phone, money, person
from easyisp_edge.lab.daraja.subscribers import Language

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.ledger import Debit


def paid(debit: Debit, language: Language, left_today_shillings: int) -> str:
    """What the payer reads; `left_today_shillings` is what their daily limit still allows."""
    if language is Language.SWAHILI:
        return _swahili(debit)
    return f"{_english(debit)}Amount you can transact within the day is {left_today_shillings:,}.00."


def _english(debit: Debit) -> str:
    amount, when = money(debit.shillings), f"on {day(debit.at)} at {hour(debit.at)}"
    balance = f"New M-PESA balance is {money(debit.balance_after_shillings)}. Transaction cost, Ksh0.00."
    if debit.receiver.kind is ReceiverKind.TILL:
        return f"{debit.receipt} Confirmed. {amount} paid to {debit.receiver.name}. {when}.{balance}"
    if debit.receiver.kind in {ReceiverKind.PHONE, ReceiverKind.POCHI}:
        return f"{debit.receipt} Confirmed. {amount} sent to {_person_paid(debit)} {when}. {balance}"
    # The PayBill form has no full stop before the balance.
    account = f"{debit.receiver.name} for account {debit.account_reference}"
    return f"{debit.receipt} Confirmed. {amount} sent to {account} {when} {balance}"


def _swahili(debit: Debit) -> str:
    amount, when = money(debit.shillings), f"tarehe {day(debit.at)} saa {hour(debit.at)}"
    left = money(debit.balance_after_shillings)
    balance = f"Baki yako ya M-PESA ni {left}. Gharama ya kutuma ni Ksh0.00."
    if debit.receiver.kind is ReceiverKind.TILL:
        return (
            f"{debit.receipt} Imethibitishwa. Umelipa {amount} kwa {debit.receiver.name} {day(debit.at)} "
            f"{hour(debit.at)}.Baki yako mpya katika M-PESA ni {left}. Gharama ya kununua ni Ksh0.00"
        )
    if debit.receiver.kind in {ReceiverKind.PHONE, ReceiverKind.POCHI}:
        return f"{debit.receipt} Imethibitishwa {amount} imetumwa kwa {_person_paid(debit)} {when}. {balance}"
    account = f"{debit.receiver.name} kwa akaunti nambari {debit.account_reference}"
    return f"{debit.receipt} Imethibitishwa. {amount} imetumwa kwa {account} {when} {balance}"


def _person_paid(debit: Debit) -> str:
    """A phone's number is named, a business wallet's hidden."""
    name = person(debit.receiver.name)
    return f"{name} {local_phone(debit.receiver.number)}" if debit.receiver.kind is ReceiverKind.PHONE else name
