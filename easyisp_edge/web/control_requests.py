"""Reading what the box's own commands ask: who asks, and the words that several routes take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.staff_desk import LISTED_MAX
from easyisp_edge.web.requests import needed_text, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Who sits before the command, by its own word: behind sudo the socket only knows root.
STAFF_HEADER = "X-Staff"
# Tells whose process is at the other end of a connection's socket.
NAME_OF: web.AppKey[Callable[[Any], str]] = web.AppKey("name_of")
WORD_LENGTH_MAX = 64

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", re.ASCII)
_LISTED = 50


def asked_by(request: web.Request) -> str:
    """Who asks: the name behind the socket, with what the command says in brackets where it is another.

    Raises:
        InvalidError: Whoever asked has gone.
    """
    if request.transport is None:
        raise InvalidError("request.cut_short", "The request broke off before its end.")
    name = request.app[NAME_OF](request.transport.get_extra_info("socket"))
    said = request.headers.get(STAFF_HEADER, name)
    return f"{name} ({said})" if said != name and _NAME.fullmatch(said) else name


def tenant_of(fields: Mapping[str, Any]) -> str | None:
    """The tenant that is named, where one is.

    Raises:
        InvalidError: It cannot be a name.
    """
    return text_of(fields, "tenant", most=WORD_LENGTH_MAX, needed=False)


def limit_of(query: Mapping[str, str]) -> int:
    """How many to list at most.

    Raises:
        InvalidError: It is no number, or too large.
    """
    word = query.get("limit", str(_LISTED))
    limit = int(word) if word.isascii() and word.isdigit() and len(word) <= len(str(LISTED_MAX)) else 0
    if not 1 <= limit <= LISTED_MAX:
        raise InvalidError("request.invalid", f"The limit is a number from 1 to {LISTED_MAX}.", field="limit")
    return limit


def flag_of(fields: Mapping[str, Any], name: str) -> bool:
    """Whether something is said to be so; what is not said is not."""
    return fields.get(name) in {True, "true", "1"} if isinstance(fields.get(name), bool | str) else False


def amount_of(fields: Mapping[str, Any]) -> Money:
    """The amount, which is needed.

    Raises:
        InvalidError: It is missing, or no amount.
    """
    try:
        return Money.parse(needed_text(fields, "amount", most=WORD_LENGTH_MAX))
    except InvalidError as error:
        raise InvalidError(error.code, error.message, field="amount") from error


def phone_of(fields: Mapping[str, Any]) -> Msisdn | None:
    """The phone number, where one is given.

    Raises:
        InvalidError: It is none.
    """
    phone = text_of(fields, "phone", most=WORD_LENGTH_MAX, needed=False)
    return None if phone is None else Msisdn.parse(phone)
