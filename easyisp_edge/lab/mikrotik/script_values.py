"""Values while a script runs, and what the signs between them mean.

Source: RouterOS manual, Scripting (operators).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.value_formats import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

Value = str | int | bool | list[str]
_FLAGS = {"yes": "true", "no": "false"}


def text_of(value: Value) -> str:
    """The value as text; lists with semicolons."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ";".join(value) if isinstance(value, list) else str(value)


def argument_of(value: Value) -> str:
    """The value as a command's argument; lists with commas."""
    return ",".join(value) if isinstance(value, list) else text_of(value)


def truth_of(value: Value) -> bool:
    """Whether a condition holds.

    Raises:
        TrapError: The value is neither yes nor no.
    """
    text = text_of(value)
    if text in {"true", "yes"}:
        return True
    if text in {"false", "no"}:
        return False
    raise TrapError("conditional not boolean")


def number_of(value: Value) -> float:
    """The value as a number; a time span in seconds.

    Raises:
        TrapError: It is none.
    """
    try:
        return float(value) if isinstance(value, int) else parse_duration(text_of(value))
    except ValueError:
        raise TrapError(f"cannot use {text_of(value)} as a number") from None


def length_of(value: Value) -> int:
    """How many letters a text has, or entries a list."""
    return len(value) if isinstance(value, list) else len(text_of(value))


def operate(sign: str, left: Value, right: Value) -> Value:
    """What the sign makes of two values.

    Raises:
        TrapError: It cannot be applied to them.
    """
    return _SIGNS[sign](left, right)


def _same(left: Value, right: Value) -> bool:
    first, second = text_of(left), text_of(right)
    return _FLAGS.get(first, first) == _FLAGS.get(second, second)


def _fits(left: Value, right: Value) -> bool:
    try:
        return re.search(text_of(right), text_of(left)) is not None
    except re.error:
        raise TrapError("bad regular expression") from None


def _sum(left: Value, right: Value) -> int:
    return int(number_of(left) + number_of(right))


_SIGNS: dict[str, Callable[[Value, Value], Value]] = {
    ".": lambda left, right: text_of(left) + text_of(right),
    "=": _same,
    "!=": lambda left, right: not _same(left, right),
    "~": _fits,
    "<": lambda left, right: number_of(left) < number_of(right),
    ">": lambda left, right: number_of(left) > number_of(right),
    "<=": lambda left, right: number_of(left) <= number_of(right),
    ">=": lambda left, right: number_of(left) >= number_of(right),
    "+": _sum,
    "-": lambda left, right: int(number_of(left) - number_of(right)),
    "&&": lambda left, right: truth_of(left) and truth_of(right),
    "||": lambda left, right: truth_of(left) or truth_of(right),
}
