"""What a customer enters in the M-Pesa menu, for each kind of gateway."""

from __future__ import annotations

from typing import Any

import pytest

from easyisp_edge.config import Gateway
from easyisp_edge.domain.values import Money
from easyisp_edge.web.pay_menu import PayMenu, pay_menu

KEYS = {"consumer_key": "key", "consumer_secret": "secret", "passkey": "passkey"}
API: dict[str, Any] = {"id": "one", "tenant": "default", "environment": "sandbox", **KEYS}
NO_API: dict[str, Any] = {"id": "one", "tenant": "default", "type": "MPESA_NO_API"}
PULL = {"nominated_number": "0722000000"}
CODE, PRICE = "A3BDEFG", Money(1050)


@pytest.mark.parametrize(
    ("table", "kind", "number", "account", "watched"),
    [
        (API | {"sub_type": "PAYBILL", "shortcode": "174379"}, "paybill", "174379", CODE, False),
        (API | {"sub_type": "PAYBILL", "shortcode": "174379", "c2b": True}, "paybill", "174379", CODE, True),
        (API | {"sub_type": "PAYBILL", "shortcode": "174379", "pull": PULL}, "paybill", "174379", CODE, True),
        (
            API | {"sub_type": "BUYGOODS", "shortcode": "512345", "store_number": "600987"},
            "till", "512345", None, False,
        ),
        (NO_API | {"sub_type": "BUYGOODS", "shortcode": "898989"}, "till", "898989", None, False),
        (NO_API | {"sub_type": "BUYGOODS", "shortcode": "0712345678"}, "phone", "0712345678", None, False),
        (NO_API | {"sub_type": "PAYBILL", "shortcode": "777777"}, "paybill", "777777", CODE, False),
        (
            NO_API | {"sub_type": "BANK", "shortcode": "247247", "account_number": "0123456789"},
            "paybill", "247247", "0123456789", False,
        ),
    ],
)  # fmt: skip
def test_each_gateway_has_its_own_menu(
    table: dict[str, Any],
    kind: str,
    number: str,
    account: str | None,
    watched: bool,  # noqa: FBT001 - a case
) -> None:
    """The pay code where M-Pesa asks for an account that is the owner's; told by us only where M-Pesa tells us."""
    menu = pay_menu(Gateway.model_validate(table), CODE, PRICE)
    assert menu == PayMenu(kind, number, account, PRICE, watched)  # type: ignore[arg-type]


def test_a_bank_is_paid_by_prompt_alone() -> None:
    """Its PayBill's accounts are the bank's: nothing of ours can be typed there."""
    numbers = {"shortcode": "247247", "business_shortcode": "600986", "account_number": "0123456789"}
    assert pay_menu(Gateway.model_validate(API | {"sub_type": "BANK"} | numbers), CODE, PRICE) is None


@pytest.mark.parametrize(
    ("account", "parts"), [(CODE, ("A3B", "DEFG")), ("0123456789", ("0123456789", "")), (None, ("", ""))]
)
def test_only_a_pay_code_is_parted(account: str | None, parts: tuple[str, str]) -> None:
    """An account of a bank is shown as it is."""
    assert PayMenu("paybill", "174379", account, PRICE, watched=True).account_parts == parts


def test_json_tells_what_is_entered() -> None:
    """An account only where there is one; the amount as everywhere in the contract."""
    paybill = PayMenu("paybill", "174379", CODE, PRICE, watched=True)
    assert paybill.as_json() == {"kind": "paybill", "number": "174379", "account": CODE, "amount": 10.5}
    till = PayMenu("till", "512345", None, Money(1000), watched=True)
    assert till.as_json() == {"kind": "till", "number": "512345", "amount": 10}
