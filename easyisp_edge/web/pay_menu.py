"""Paying from the M-Pesa menu of a phone: which number, which account, how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from easyisp_edge.config import SubType
from easyisp_edge.domain.pay_codes import PAY_CODE_LENGTH

if TYPE_CHECKING:
    from easyisp_edge.config import Gateway
    from easyisp_edge.domain.values import Money

MenuKind = Literal["paybill", "till", "phone"]
# Where a pay code is parted for the eye.
_CODE_PARTED_AT = 3


class PayMenu(NamedTuple):
    """What a customer enters in the M-Pesa menu.

    Args:
        kind: Pay Bill, Buy Goods, or sending money to a phone number.
        number: The PayBill, till or phone number.
        account: What is entered as account number; None where M-Pesa asks for none.
        amount: How much.
        watched: Whether M-Pesa tells us of such payments; else the staff have to.
    """

    kind: MenuKind
    number: str
    account: str | None
    amount: Money
    watched: bool

    @property
    def account_parts(self) -> tuple[str, str]:
        """The account in two parts to be read one after the other; the second empty for what is no pay code."""
        whole = self.account or ""
        at = _CODE_PARTED_AT if len(whole) == PAY_CODE_LENGTH else len(whole)
        return whole[:at], whole[at:]

    def as_json(self) -> dict[str, Any]:
        """As the HTTP contract has it."""
        content: dict[str, Any] = {"kind": self.kind, "number": self.number, "amount": self.amount.as_json()}
        return content if self.account is None else content | {"account": self.account}


def pay_menu(gateway: Gateway, pay_code: str, amount: Money) -> PayMenu | None:
    """How a gateway is paid from the menu; None where money so paid would not be told from any other.

    A bank's PayBill knows only the bank's accounts: with an API it is paid by prompt, and without one by the owner's
    account number, and told by its receipt.
    """
    if gateway.has_api and gateway.sub_type is SubType.BANK:
        return None
    watched = gateway.c2b or gateway.pull is not None
    if gateway.sub_type is SubType.BUYGOODS:
        kind: MenuKind = "phone" if gateway.is_phone else "till"
        return PayMenu(kind, gateway.shortcode, None, amount, watched)
    return PayMenu("paybill", gateway.shortcode, gateway.account_number or pay_code, amount, watched)
