"""What M-PESA writes on the customer's screen: the prompt, and the messages after it.

The grammar, spacing and punctuation are those of messages seen in 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.merchants import PAY_BILL_ONLINE
from easyisp_edge.lab.daraja.nairobi import EAT
from easyisp_edge.lab.daraja.results import DAILY_LIMIT, NO_MONEY, WRONG_PIN

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.lab.daraja.ledger import AcceptedPush, Debit

DAILY_LIMIT_SHILLINGS = 500_000
PROMPT_LENGTH_MAX = 182


def prompt_text(push: AcceptedPush) -> str:
    """The question the phone puts before it asks for the PIN."""
    question = f"Do you want to pay Ksh {push.request.shillings:,} to {push.receiver_name}"
    if push.request.transaction_type == PAY_BILL_ONLINE:
        return f"{question} Account no. {push.request.account_reference}?"
    return f"{question}?"


def confirmation(push: AcceptedPush, debit: Debit, spent_today_shillings: int) -> str:
    """The message with the receipt."""
    receiver = f"paid to {push.receiver_name}."
    stop = "."
    if push.request.transaction_type == PAY_BILL_ONLINE:
        receiver = f"sent to {push.receiver_name} for account {debit.account_reference}"
        stop = " "  # the PayBill form has no full stop before the balance
    return (
        f"{debit.receipt} Confirmed. {_money(debit.shillings)} {receiver} on {_moment(debit.at)}"
        f"{stop}New M-PESA balance is {_money(debit.balance_after_shillings)}. Transaction cost, Ksh0.00."
        f"Amount you can transact within the day is {DAILY_LIMIT_SHILLINGS - spent_today_shillings:,}.00."
    )


def failure(push: AcceptedPush, balance_shillings: int) -> str | None:
    """The message about a failure, where M-PESA sends one."""
    if push.result is None:
        return None
    balance = _money(balance_shillings)
    amount = _money(push.request.shillings)
    return {
        NO_MONEY: f"Failed. You do not have enough money in your M-PESA account to pay {amount} to "
        f"{push.receiver_name}. Your M-PESA balance is {balance}.",
        WRONG_PIN: "Failed. You have entered the wrong PIN. Please try again with the right one.",
        DAILY_LIMIT: f"Failed. {amount} would exceed the amount you can transact within the day.",
    }.get(push.result.code)


def _money(shillings: int) -> str:
    return f"Ksh{shillings:,}.00"


def _moment(at: datetime) -> str:
    local = at.astimezone(EAT)
    hour = local.hour % 12 or 12
    return f"{local.day}/{local.month}/{local:%y} at {hour}:{local:%M} {'PM' if local.hour >= 12 else 'AM'}"  # noqa: PLR2004 - noon
