"""The M-PESA menu as the phone page shows it: first what and how much, then the question and the PIN."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.lab.daraja.receivers import ReceiverKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.daraja.lab_money import LabMoney


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of the menu.

    Attributes:
        name: As in the page's addresses.
        title: As M-PESA calls it.
        number_label: What M-PESA asks for first.
        asks_account: Whether it asks for an account next.
    """

    name: str
    kind: ReceiverKind
    title: str
    number_label: str
    asks_account: bool = False


MENU = (
    MenuItem("pay-bill", ReceiverKind.PAYBILL, "Pay Bill", "Enter business no.", asks_account=True),
    MenuItem("buy-goods", ReceiverKind.TILL, "Buy Goods and Services", "Enter till no."),
    MenuItem("send-money", ReceiverKind.PHONE, "Send Money", "Enter phone no."),
    MenuItem("pochi", ReceiverKind.POCHI, "Pochi la Biashara", "Enter phone no."),
)


@dataclass(frozen=True, slots=True)
class MenuScreen:
    """Where in the menu somebody is.

    Attributes:
        question: What is asked before the PIN; empty while something is still to be typed.
        refusal: Why what was typed leads nowhere.
    """

    item: MenuItem
    number: str = ""
    account: str = ""
    shillings: str = ""
    question: str = ""
    refusal: str = ""


def read_shillings(text: str) -> int:
    """The whole shillings somebody typed.

    Raises:
        InvalidError: It is no amount.
    """
    digits = re.sub(r"[\s,]", "", text)
    if re.fullmatch(r"[0-9]{1,9}", digits) is None:
        raise InvalidError("lab.menu_amount", "Enter an amount of whole shillings.", field="shillings")
    return int(digits)


def menu_screen(lab: LabMoney, phone: str, typed: Mapping[str, str]) -> MenuScreen | None:
    """The screen for what was typed so far; None where no line of the menu was chosen."""
    item = menu_item(typed.get("menu", ""))
    if item is None:
        return None
    number, account = typed.get("number", "").strip(), typed.get("account", "").strip()
    shillings = typed.get("shillings", "").strip()
    asked = refused = ""
    if number or account or shillings:
        try:
            asked = lab.menu_question(phone, item.kind, number, account, read_shillings(shillings))
        except (InvalidError, NotFoundError) as error:
            refused = error.message
    return MenuScreen(item, number, account, shillings, asked, refused)


def menu_item(name: str) -> MenuItem | None:
    """The line of the menu with that name."""
    return next((item for item in MENU if item.name == name), None)
