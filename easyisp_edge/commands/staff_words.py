"""The daemon's answers about money, in words for people before a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_UNITS = (("d", 24 * 60 * 60), ("h", 60 * 60), ("min", 60), ("s", 1))
_DISPOSITIONS = {
    "grant": "bought",
    "wallet": "in the wallet",
    "unmatched": "unmatched",
    "refunded": "given back",
    "merged": "counted elsewhere",
}


def payment_line(payment: dict[str, Any]) -> str:
    """What became of a payment, as a sentence."""
    name = payment["receipt"] or payment["id"]
    became = {
        "grant": f"it bought {payment['description']}",
        "wallet": "it is in the customer's wallet",
        "unmatched": "nobody knows yet what it is for: assign it to a pay code or a phone number",
        "refunded": "it was given back",
        "merged": "it counts with another payment",
    }[payment["disposition"]]
    return f"{name}, {shillings(payment['amount'])}: {became}.\n"


def grant_line(grant: dict[str, Any] | None) -> str:
    """How a customer gets online with a grant; empty where there is none."""
    if grant is None:
        return ""
    if grant["mac"] is not None:
        return f"The device {grant['mac']} is let on.\n"
    return f"To log in: user name {grant['username']}, password {grant['password']}.\n"


def where(payment: dict[str, Any]) -> str:
    """Where a payment's money is, for a list."""
    said = _DISPOSITIONS[payment["disposition"]]
    return f"{said} {payment['description']}" if payment["disposition"] == "grant" else said


def shillings(amount: float) -> str:
    """An amount as people write it."""
    return f"KES {amount:,.2f}".removesuffix(".00")


def moment(text: str) -> str:
    """An instant on this machine's clock, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"


def phone(digits: str | None) -> str:
    """A phone number as people dial it."""
    return "-" if digits is None else "0" + digits.removeprefix("254")


def span(seconds: int) -> str:
    """A span in its two largest units: `2 d 3 h`, `59 min`."""
    words: list[str] = []
    left = seconds
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if words or count:
            words.append(f"{count} {unit}" if count else "")
    return " ".join(word for word in words[:2] if word) or "0 s"
