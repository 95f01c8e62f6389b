"""What Daraja demands of a push, checked before anything is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from easyisp_edge.domain.payments import StkPush
    from easyisp_edge.domain.values import Money

AMOUNT_SHILLINGS_MAX = 250_000
ACCOUNT_REFERENCE_LENGTH_MAX = 12
DESCRIPTION_LENGTH_MAX = 13

# Safaricom refuses addresses with these in them, in any case, random parts included. "exe" covers "exec".
_FORBIDDEN_IN_ADDRESS = ("m-pesa", "mpesa", "safaricom", "exe", "cmd", "sql", "query")


def check_push(push: StkPush) -> None:
    """Hold a push against the documented limits.

    Raises:
        InvalidError: It breaks one; `field` names it.

    Source: Daraja, M-Pesa Express, request parameters.
    """
    check_amount(push.amount)
    _check_texts(push)
    check_address("callback_url", push.callback_url)


def check_amount(amount: Money) -> None:
    """Hold an amount against M-Pesa's limits for one payment.

    Raises:
        InvalidError: It breaks one, or is not whole shillings.

    Source: Daraja, M-Pesa Express, request parameters.
    """
    if not 1 <= amount.whole_shillings <= AMOUNT_SHILLINGS_MAX:
        raise InvalidError(
            "daraja.amount", f"M-Pesa takes 1 to {AMOUNT_SHILLINGS_MAX:,} shillings at once.", field="amount"
        )


def _check_texts(push: StkPush) -> None:
    if re.fullmatch(rf"[A-Za-z0-9]{{1,{ACCOUNT_REFERENCE_LENGTH_MAX}}}", push.account_reference) is None:
        raise InvalidError(
            "daraja.account_reference",
            f"An account reference is 1 to {ACCOUNT_REFERENCE_LENGTH_MAX} letters and digits.",
            field="account_reference",
        )
    described = push.description.strip() and push.description.isprintable()
    if not described or len(push.description) > DESCRIPTION_LENGTH_MAX:
        raise InvalidError(
            "daraja.description",
            f"A description is 1 to {DESCRIPTION_LENGTH_MAX} printable characters.",
            field="description",
        )


def check_address(field: str, address: str) -> None:
    """Hold an address that Daraja shall post to against its rules.

    Raises:
        InvalidError: It breaks one.

    Source: Daraja, Customer To Business, URL requirements.
    """
    if re.fullmatch(r"[\x21-\x7e]{1,1000}", address) is None or not _is_web_address(address):
        raise _address_error(field, "is no web address")
    lower = address.lower()
    for word in _FORBIDDEN_IN_ADDRESS:
        if word in lower:
            raise _address_error(field, f"contains {word!r}, which Safaricom refuses anywhere in it")


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0


def _address_error(field: str, fault: str) -> InvalidError:
    return InvalidError(f"daraja.{field}", f"The {field.replace('_url', '')} address {fault}.", field=field)
