"""What M-PESA writes on the customer's screen beside receipts: the prompt, failures, reversals.

The grammar, spacing and punctuation are those of messages seen in 2025 and 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.merchants import PAY_BILL_ONLINE
from easyisp_edge.lab.daraja.results import ABOVE_MAXIMUM, DAILY_LIMIT, NO_MONEY, WRONG_PIN
from easyisp_edge.lab.daraja.sms_figures import day, hour, money

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.ledger import AcceptedPush, Reversal

PROMPT_LENGTH_MAX = 182


def prompt_text(push: AcceptedPush) -> str:
    """The question the phone puts before it asks for the PIN."""
    question = f"Do you want to pay Ksh {push.request.shillings:,} to {push.receiver_name}"
    if push.request.transaction_type == PAY_BILL_ONLINE:
        return f"{question} Account no. {push.request.account_reference}?"
    return f"{question}?"


def failure(result_code: str, shillings: int, receiver_name: str, balance_shillings: int) -> str | None:
    """The message about a failed payment, where M-PESA sends one; English on every phone."""
    amount = money(shillings)
    return {
        NO_MONEY: f"Failed. You do not have enough money in your M-PESA account to pay {amount} to "
        f"{receiver_name}. Your M-PESA balance is {money(balance_shillings)}.",
        WRONG_PIN: "Failed. You have entered the wrong PIN. Please try again with the right one.",
        DAILY_LIMIT: f"Failed. {amount} would exceed the amount you can transact within the day.",
        ABOVE_MAXIMUM: f"Failed. {amount} is more than can be sent in one transaction.",
    }.get(result_code)


def declined(receiver_name: str) -> str:
    """The message when the receiver's own validation says no."""
    return f"Failed. {receiver_name} has declined the payment. Please check the account number and try again."


def reversed_for(reversal: Reversal, *, credited: bool, balance_shillings: int) -> str:
    """The message about money going back: two codes in it, the reversal's own first."""
    direction = "credited to" if credited else "debited from"
    return (
        f"{reversal.receipt}  confirmed. Reversal of transaction {reversal.of} has been successfully reversed  on "
        f"{day(reversal.at)}  at {hour(reversal.at)} and {money(reversal.shillings)} is {direction} your M-PESA "
        f"account. New M-PESA account balance is {money(balance_shillings)}."
    )
