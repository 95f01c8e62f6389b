"""Reading what comes in: bounded, strict, and with an error that says what to do."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

from aiohttp import web

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_OCTETS_MAX = 16 * 1024
# The longest form of a page takes a second on the worst line there is. Whoever sends nothing more holds a connection,
# of which a box has some thousands.
BODY_SECONDS = 15.0
_DEPTH_MAX = 16
_NUMBER_DIGITS_MAX = 18
_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")
_FORM_LANGUAGE = web.RequestKey("form_language", str)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        InvalidError: It is too long, no JSON, no object, nested too deep, or says a key twice.
    """
    return parse_object(await read_body(request))


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a posted HTML form.

    Raises:
        InvalidError: It is too long, no form, or says a field twice.
    """
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=64, errors="strict")
    except ValueError as error:
        raise InvalidError("request.invalid", "The form cannot be read.") from error
    fields = _once_each(pairs)
    request[_FORM_LANGUAGE] = fields.get("lang", "")
    return fields


def form_language(request: web.Request) -> str | None:
    """The language that the form of a request says, where one was read: what goes wrong after that is said in it."""
    return request.get(_FORM_LANGUAGE)


async def read_body(request: web.Request) -> bytes:
    """A request's body, at most `BODY_OCTETS_MAX`.

    Raises:
        InvalidError: It is longer, breaks off, or has not come after `BODY_SECONDS`.
    """
    if (request.content_length or 0) > BODY_OCTETS_MAX:
        raise InvalidError("request.too_large", f"The request is longer than {BODY_OCTETS_MAX} octets.")
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while len(body) <= BODY_OCTETS_MAX and not request.content.at_eof():
                body += await request.content.read(BODY_OCTETS_MAX + 1 - len(body))
    except TimeoutError as error:
        raise InvalidError("request.cut_short", "The request did not come to its end in time.") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidError("request.cut_short", "The request broke off before its end.") from error
    if len(body) > BODY_OCTETS_MAX:
        raise InvalidError("request.too_large", f"The request is longer than {BODY_OCTETS_MAX} octets.")
    return body


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object from its octets, held to what every reader downstream can take.

    Raises:
        InvalidError: It is no such object.
    """
    try:
        parsed = json.loads(
            body,
            object_pairs_hook=_once_each,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_bounded_float,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidError("request.invalid", f"The body is no valid JSON: {str(error)[:80]}.") from error
    if not isinstance(parsed, dict) or not _shallow(parsed, _DEPTH_MAX):
        raise InvalidError("request.invalid", "The body must be a JSON object, not nested deep.")
    return parsed


def text_of(fields: Mapping[str, Any], name: str, *, most: int, needed: bool = True) -> str | None:
    """A text field without blanks around it; None where it is missing or empty and not needed.

    Raises:
        InvalidError: It is needed and missing, no text, longer than `most`, or has control characters.
    """
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # pages send phone numbers and ids as numbers, too
    if value is None or value == "":
        if needed:
            raise InvalidError("request.invalid", f"The field {name} is missing.", field=name)
        return None
    if not isinstance(value, str):
        raise InvalidError("request.invalid", f"The field {name} must be text.", field=name)
    text = value.strip()
    if len(text) > most or _CONTROL.search(text):
        raise InvalidError("request.invalid", f"The field {name} is longer than {most} or not plain text.", field=name)
    return text


def needed_text(fields: Mapping[str, Any], name: str, *, most: int) -> str:
    """As `text_of`, for a field that must be there."""
    text = text_of(fields, name, most=most)
    if not text:
        raise InvalidError("request.invalid", f"The field {name} is missing.", field=name)
    return text


def pasted_of(fields: Mapping[str, Any], name: str, *, least: int, most: int) -> str:
    """A text a customer pasted: it may run over several lines.

    Raises:
        InvalidError: It is missing, no text, or not that long.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not least <= len(value.strip()) <= most or _HALF_A_PAIR.search(value):
        raise InvalidError(
            "request.invalid", f"The field {name} must be text of {least} to {most} characters.", field=name
        )
    return value.strip()


def flag_of(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """A field that says yes or no.

    Raises:
        InvalidError: It says something else.
    """
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise InvalidError("request.invalid", f"The field {name} must be true or false.", field=name)
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidError("request.invalid", "A field is given twice.")
    return fields


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _bounded_int(digits: str) -> int:
    if len(digits) > _NUMBER_DIGITS_MAX:
        raise ValueError("a number is too long")
    return int(digits)


def _bounded_float(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large")
    return number


def _shallow(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_shallow(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_shallow(item, depth - 1) for item in value)
    return True
