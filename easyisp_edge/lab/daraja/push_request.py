"""The fields of an STK push, read as strictly as Daraja documents them.

Source: Daraja, M-Pesa Express (STK push), request parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.callback_url import is_plausible
from easyisp_edge.lab.daraja.faults import DarajaRefusalError, bad_request
from easyisp_edge.lab.daraja.merchants import BUY_GOODS_ONLINE, PAY_BILL_ONLINE
from easyisp_edge.lab.daraja.nairobi import is_compact
from easyisp_edge.lab.daraja.phones import is_wire_phone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from easyisp_edge.lab.daraja.options import DarajaOptions

_DESCRIPTION_LENGTH_MAX = 13


@dataclass(frozen=True, slots=True)
class Credentials:
    """What every STK request proves its merchant with."""

    short_code: str
    password: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class PushRequest:
    """A push whose every field can be meant."""

    credentials: Credentials
    transaction_type: str
    shillings: int
    party_a: str
    party_b: str
    phone: str
    callback_url: str
    account_reference: str
    transaction_desc: str


def read_credentials(fields: Mapping[str, object]) -> Credentials:
    """The merchant part of any STK request.

    Raises:
        DarajaRefusalError: A field is missing or cannot be meant.
    """
    return Credentials(
        short_code=_field(fields, "BusinessShortCode", lambda text: _is_digits(text, 5, 7)),
        password=_field(fields, "Password", bool),
        timestamp=_field(fields, "Timestamp", is_compact),
    )


def read_push(fields: Mapping[str, object], options: DarajaOptions) -> PushRequest:
    """The whole push.

    Raises:
        DarajaRefusalError: The first field that is missing or cannot be meant.
    """
    rules, reference_max = options.callback_url_rules, options.account_reference_length_max
    return PushRequest(
        credentials=read_credentials(fields),
        transaction_type=_field(fields, "TransactionType", {PAY_BILL_ONLINE, BUY_GOODS_ONLINE}.__contains__),
        shillings=int(_field(fields, "Amount", _is_amount)),
        party_a=_field(fields, "PartyA", is_wire_phone),
        party_b=_field(fields, "PartyB", lambda text: _is_digits(text, 5, 7)),
        phone=_field(fields, "PhoneNumber", is_wire_phone),
        callback_url=_field(fields, "CallBackURL", lambda url: is_plausible(url, rules)),
        account_reference=_field(fields, "AccountReference", lambda text: _is_reference(text, reference_max)),
        transaction_desc=_field(fields, "TransactionDesc", _is_description, called="Remarks"),
    )


def _field(fields: Mapping[str, object], name: str, good: Callable[[str], bool], *, called: str | None = None) -> str:
    value = fields.get(name)
    number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, str) else ""
    if not good(text):
        raise DarajaRefusalError(bad_request(called or name))
    return text


def _is_digits(text: str, least: int, most: int) -> bool:
    return re.fullmatch(rf"[0-9]{{{least},{most}}}", text) is not None


def _is_amount(text: str) -> bool:
    return _is_digits(text, 1, 9) and int(text) >= 1


def _is_reference(text: str, most: int) -> bool:
    return re.fullmatch(r"[A-Za-z0-9]+", text) is not None and len(text) <= most


def _is_description(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _DESCRIPTION_LENGTH_MAX
