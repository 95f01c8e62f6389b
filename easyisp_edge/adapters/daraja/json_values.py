"""Single values in Daraja's JSON: whatever stands there is read, or taken as not told."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMESTAMP_FORMAT = "%Y%m%d%H%M%S"

BODY_OCTETS_MAX = 64 * 1024

_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,128}")
_RECEIPT = re.compile(r"[A-Za-z0-9]{8,12}")


def read_json(text: bytes | str) -> object:
    """The JSON value in `text`, its fractions exact decimals.

    Raises:
        ValueError: It is no JSON, or nested too deep.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`; None when it holds no such thing."""
    try:
        value = read_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def folded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields under keys without case, blanks and underscores, all of which vary."""
    return {fold(key): value for key, value in fields.items()}


def fold(key: str) -> str:
    """A key without case, blanks and underscores."""
    return key.replace("_", "").replace(" ", "").casefold()


def as_text(value: object) -> str:
    """Any JSON value as clean text: half surrogate pairs, which no store takes, are replaced."""
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip().encode(errors="replace").decode()


def as_identifier(value: object) -> str:
    """An id of the party's; empty where it cannot be one."""
    text = as_text(value)
    return text if _IDENTIFIER.fullmatch(text) else ""


def as_code(value: object) -> str:
    """A result or error code, told as number or text."""
    return "" if value is None else str(value).strip().encode(errors="replace").decode()[:32]


def as_description(value: object) -> str:
    """The party's own words, cut to a length for people."""
    return as_text(value)[:300]


def as_account(value: object) -> str:
    """What the payer typed as account, cut to a length that no payer types."""
    return as_text(value)[:100]


def as_money(value: object) -> Money | None:
    """An exact amount, told as number or text."""
    try:
        return Money.parse(as_text(value))
    except InvalidError:
        return None


def as_receipt(value: object) -> str | None:
    """An M-Pesa receipt, in capitals."""
    text = as_text(value)
    return text.upper() if _RECEIPT.fullmatch(text) else None


def as_msisdn(value: object) -> Msisdn | None:
    """A phone number told in whole."""
    try:
        return Msisdn.parse(as_text(value))
    except InvalidError:
        return None


def as_instant(value: object) -> datetime | None:
    """Fourteen digits of Nairobi time, as aware UTC."""
    text = as_text(value)
    if re.fullmatch(r"[0-9]{14}", text, re.ASCII) is None:
        return None
    try:
        return datetime.strptime(text + "+0300", TIMESTAMP_FORMAT + "%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
