"""What Daraja's result codes say about the money. Whatever is not listed as certain is unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.domain.payments import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

PAID_CODE = "0"

_PENDING = re.compile(r"\b(?:being|under) process", re.IGNORECASE)
_RULE_LIMITED = re.compile(r"\brule limited", re.IGNORECASE)

# Each of these says that nothing was taken for this push and nothing will be. Left out on purpose: 15 (a duplicate
# of what?), 4999 (still under way), 9999 (an error somewhere, perhaps after the PIN), 1050 (nobody knows it).
_NOT_PAID: Mapping[str, Reason] = {
    "1": Reason.NO_MONEY,
    "2": Reason.AMOUNT_LIMIT,
    "3": Reason.AMOUNT_LIMIT,
    "4": Reason.AMOUNT_LIMIT,
    "5": Reason.NO_MONEY,
    "8": Reason.CONFIGURATION,  # the receiver's account is full
    "11": Reason.ACCOUNT,
    "12": Reason.CONFIGURATION,  # the receiver's account is suspended
    "18": Reason.CONFIGURATION,
    "20": Reason.CONFIGURATION,
    "21": Reason.CONFIGURATION,
    "22": Reason.CONFIGURATION,
    "24": Reason.CONFIGURATION,
    "25": Reason.CONFIGURATION,
    "26": Reason.BUSY,
    "29": Reason.CONFIGURATION,
    "1001": Reason.PROMPT_OPEN,
    "1019": Reason.NO_ANSWER,
    "1025": Reason.SYSTEM,
    "1031": Reason.CANCELLED,
    "1032": Reason.CANCELLED,
    "1036": Reason.NO_ANSWER,
    "1037": Reason.NO_ANSWER,
    "1101": Reason.CONFIGURATION,  # the prompt's text is too long
    "1102": Reason.CONFIGURATION,
    "2001": Reason.WRONG_PIN,
    "2006": Reason.ACCOUNT,
    "2008": Reason.SYSTEM,
    "2026": Reason.SYSTEM,
    "2028": Reason.CONFIGURATION,  # transaction type and receiver do not fit
    "2029": Reason.CONFIGURATION,
    "2040": Reason.NOT_REGISTERED,
    "8006": Reason.PIN_LOCKED,
    "SFC_IC0003": Reason.CONFIGURATION,  # transaction type and receiver do not fit
    "E3008": Reason.CONFIGURATION,  # the sandbox does not prompt real phones
    "TP40087": Reason.WRONG_PIN,
    "TP40153": Reason.CONFIGURATION,
}


def verdict(code: str, description: str) -> tuple[Outcome, Reason | None]:
    """Judge a result code, together with its text where the code alone has two meanings.

    Args:
        code: The result code as stripped text.
        description: The text beside it.

    Returns:
        The outcome and, for not paid, the reason.

    Source: Daraja, M-Pesa Express and M-Pesa Express Query, result codes.
    """
    if speaks_of_pending(description):
        return Outcome.UNKNOWN, None
    if code == PAID_CODE:
        return Outcome.PAID, None
    reason = _reason(code, description)
    return (Outcome.UNKNOWN if reason is None else Outcome.NOT_PAID), reason


def speaks_of_pending(text: str) -> bool:
    """Whether the text says that the payer has not decided yet."""
    return _PENDING.search(text) is not None


def _reason(code: str, description: str) -> Reason | None:
    if code == "17":  # either "asked twice within two minutes" or an internal failure that tells nothing
        return Reason.REPEATED if _RULE_LIMITED.search(description) else None
    return _NOT_PAID.get(code)
