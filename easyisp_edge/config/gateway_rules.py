"""What the keys of a gateway owe each other: what each type and sub-type needs, and what it has no use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.config.daraja_answers import late_answers
from easyisp_edge.config.gateway_types import KEYS, GatewayType, SubType
from easyisp_edge.config.secret_files import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHORTCODE_MOST = 7
# Numbers that belong to one sub-type, whether it cannot do without, and what they are.
_OWN_NUMBERS = {
    "store_number": (SubType.BUYGOODS, False, "the store or head office number that went live with the API"),
    "business_shortcode": (SubType.BANK, True, "your own short code that went live with the API"),
    "account_number": (SubType.BANK, True, "the bank account that receives the money"),
}
_ONLY_WITH_API = (
    *KEYS,
    *(key + SUFFIX for key in KEYS),
    "store_number",
    "business_shortcode",
    "base_url",
    "ca_file",
    "pull",
    "c2b",
)


def gateway_conditions(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The key at fault and what is wrong, for each condition of a gateway's table that is broken."""
    kind = table.get("type", GatewayType.MPESA_API)
    if kind == GatewayType.MPESA_NO_API:
        yield from _without_api(table)
    elif kind == GatewayType.MPESA_API:
        yield from _with_api(table)


def _with_api(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        if not table.get(key):
            yield key, "missing; MPESA_API needs it to sign its requests"
    if table.get("sub_type") not in tuple(SubType):
        return
    yield from _own_numbers(table)
    yield from _reports(table)
    yield from late_answers(table)


def _own_numbers(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    sub_type = table.get("sub_type")
    for key, (owner, needed, meaning) in _OWN_NUMBERS.items():
        given = table.get(key) is not None
        if sub_type == owner and needed and not given:
            yield key, f"missing; {owner} needs {meaning}"
        elif sub_type != owner and given and not (key == "business_shortcode" and table.get("aggregated")):
            yield key, f"belongs to sub_type {owner}, and this gateway is {sub_type}"


def _reports(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What M-Pesa tells of payments by itself, it tells the short code that is paid."""
    for key in ("pull", "c2b"):
        if not _is_given(table, key):
            continue
        if table.get("sub_type") == SubType.BANK:
            yield key, "not for BANK: M-Pesa tells of money to your own number, and this goes to the bank's"
        elif table.get("aggregated") and not _is_aggregators_own(table):
            yield key, "not with an aggregator's keys: M-Pesa tells it of money to its own number, not of yours"


def _is_aggregators_own(table: Mapping[str, object]) -> bool:
    return table.get("business_shortcode") in (table.get("shortcode"), table.get("store_number"))


def _without_api(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key in _ONLY_WITH_API:
        if _is_given(table, key):
            yield key, "MPESA_NO_API has no use for it: this gateway has no API"
    sub_type, account = table.get("sub_type"), table.get("account_number")
    if sub_type not in tuple(SubType):
        return
    if sub_type == SubType.BANK and account is None:
        yield "account_number", "missing; BANK needs the bank account that receives the money"
    elif sub_type == SubType.BUYGOODS and account is not None:
        yield "account_number", "belongs to sub_type PAYBILL or BANK, and this gateway is BUYGOODS"
    if sub_type != SubType.BUYGOODS and _looks_like_phone(table.get("shortcode")):
        yield "shortcode", f"a phone number is paid as a till is: take sub_type BUYGOODS, not {sub_type}"
    yield from late_answers(table)


def _is_given(table: Mapping[str, object], key: str) -> bool:
    """Whether a key says anything: an empty table does, `false` and the secret that is none do not."""
    value = table.get(key)
    return bool(value) or value == {}


def _looks_like_phone(number: object) -> bool:
    return isinstance(number, str) and sum(map(str.isdigit, number)) > _SHORTCODE_MOST
