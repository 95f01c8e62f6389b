"""The `?` words of a print: a stack of yes and no.

Source: RouterOS manual, API (queries).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import RefusalError
from easyisp_edge.lab.mikrotik.value_formats import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OPERATIONS = re.compile(r"\d+|[!&|.]")
_SAME = {"yes": "true", "no": "false"}


def matches(queries: Sequence[str], row: Mapping[str, str]) -> bool:
    """Whether the row answers the queries.

    Raises:
        RefusalError: A query word that cannot be carried out.
    """
    stack: list[bool] = []
    for query in queries:
        if query.startswith("?#"):
            _operate(query[2:], stack)
        else:
            stack.append(_holds(query[1:], row))
    return all(stack)


def field_of(query: str) -> str:
    """The field a query word looks at; empty for an operation."""
    if query.startswith("?#"):
        return ""
    return query[1:].lstrip("<>=-").partition("=")[0]


def _holds(test: str, row: Mapping[str, str]) -> bool:
    if test.startswith(("<", ">")):
        name, _, value = test[1:].partition("=")
        return name in row and _compares(test[0], row[name], value)
    if test.startswith("-"):
        return test[1:] not in row
    name, equals, value = test.removeprefix("=").partition("=")
    if not equals:
        return name in row
    return name in row and _SAME.get(row[name], row[name]) == _SAME.get(value, value)


def _compares(sign: str, left: str, right: str) -> bool:
    try:
        first, second = parse_duration(left), parse_duration(right)
    except ValueError:
        return left < right if sign == "<" else left > right
    return first < second if sign == "<" else first > second


def _operate(operations: str, stack: list[bool]) -> None:
    if not operations or _OPERATIONS.sub("", operations):
        raise RefusalError(f"invalid query ?#{operations}")
    try:
        for operation in _OPERATIONS.findall(operations):
            _apply(operation, stack)
    except IndexError:
        raise RefusalError(f"invalid query ?#{operations}") from None


def _apply(operation: str, stack: list[bool]) -> None:
    if operation == "!":
        stack.append(not stack.pop())
    elif operation == ".":
        stack.append(stack[-1])
    elif operation.isdigit():
        stack.append(stack[-1 - int(operation)])
    else:
        top, next_down = stack.pop(), stack.pop()
        stack.append((top and next_down) if operation == "&" else (top or next_down))
