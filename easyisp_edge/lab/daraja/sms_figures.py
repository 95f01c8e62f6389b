"""Amounts, times and numbers as M-PESA's messages write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.nairobi import EAT

if TYPE_CHECKING:
    from datetime import datetime

_NOON = 12


def money(shillings: int) -> str:
    """`Ksh1,234.00`."""
    return f"Ksh{shillings:,}.00"


def day(at: datetime) -> str:
    """`9/5/26`, in Nairobi."""
    local = at.astimezone(EAT)
    return f"{local.day}/{local.month}/{local:%y}"


def hour(at: datetime) -> str:
    """`4:05 PM`, in Nairobi."""
    local = at.astimezone(EAT)
    return f"{local.hour % _NOON or _NOON}:{local:%M} {'PM' if local.hour >= _NOON else 'AM'}"


def local_phone(phone: str) -> str:
    """`0712345678`."""
    return "0" + phone[3:]


def person(name: str) -> str:
    """First and last name with the two blanks M-PESA puts between them."""
    return name.replace(" ", "  ", 1)
