"""The language of the hotspot's pages: `$(name)`, `$(name-esc)`, `$(if …)`, `$(elif …)`, `$(else)`, `$(endif)`.

Values are put in as they are, without escaping: a page that wants them harmless has to ask for the `-esc` form.
`$(if http-status == 302)…$(endif)` and `$(if http-header == "Name")…$(endif)` ask nothing: they set the answer's
status line and headers.

Source: RouterOS manual, Hotspot customisation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = re.compile(r"\$\(([^()]*)\)")
_CONDITION = re.compile(r"(?:if|elif)\s+([^\s=!]+)\s*(?:(==|!=)\s*(?:\"([^\"]*)\"|'([^']*)'|(\S*)))?\s*")
_STATUS = re.compile(r"[1-9][0-9]{2}")


@dataclass(slots=True)
class Rendered:
    """A page with its values put in.

    Args:
        text: What is sent as the body.
        status: HTTP status.
        reason: Of the status line; None for the usual one.
        headers: Headers the page sets; of one name the last holds.
    """

    text: str = ""
    status: int = 200
    reason: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Branch:
    """A conditional that is open: where its text goes, and whether a branch of it was taken."""

    sets: tuple[str, str] | None = None
    shown: bool = True
    taken: bool = True
    parts: list[str] = field(default_factory=list)


def names_in(text: str) -> set[str]:
    """The names of all variables a page uses, `-esc` taken off."""
    return {name for word in _WORD.findall(text) if (name := _name_in(word.strip()))}


def render(text: str, value: Callable[[str], str]) -> Rendered:
    """Put values into a page; `value` gives the variable of a name, empty for one there is not."""
    page, stack, place = Rendered(), [_Branch()], 0
    for word in _WORD.finditer(text):
        _put(stack, text[place : word.start()])
        _follow(word[1].strip(), page, stack, value)
        place = word.end()
    _put(stack, text[place:])
    page.text = "".join(stack[0].parts)
    return page


def _follow(word: str, page: Rendered, stack: list[_Branch], value: Callable[[str], str]) -> None:
    top = stack[-1]
    if word == "endif":
        if len(stack) > 1:
            _close(page, stack)
    elif word == "else":
        top.shown, top.taken = len(stack) == 1 or not top.taken, True
    elif word.startswith("elif ") and len(stack) > 1:
        top.shown = not top.taken and _holds(word, value)
        top.taken = top.taken or top.shown
    elif word.startswith("if "):
        stack.append(_opened(word, value))
    else:
        _put(stack, _value(word, value))


def _opened(word: str, value: Callable[[str], str]) -> _Branch:
    condition = _CONDITION.fullmatch(word)
    if condition and condition[1] in {"http-status", "http-header"}:
        return _Branch(sets=(condition[1], _compared(condition)))
    holds = _holds(word, value)
    return _Branch(shown=holds, taken=holds)


def _close(page: Rendered, stack: list[_Branch]) -> None:
    branch = stack.pop()
    text = "".join(branch.parts)
    if branch.sets is None:
        stack[-1].parts.append(text)
    elif all(above.shown for above in stack):
        _set(page, *branch.sets, " ".join(text.split()))  # a line break would begin another header


def _set(page: Rendered, what: str, name: str, text: str) -> None:
    if what == "http-header":
        page.headers[name] = text
    elif _STATUS.fullmatch(name):
        page.status, page.reason = int(name), text


def _put(stack: list[_Branch], text: str) -> None:
    if all(branch.shown for branch in stack):
        stack[-1].parts.append(text)


def _holds(word: str, value: Callable[[str], str]) -> bool:
    condition = _CONDITION.fullmatch(word)
    if condition is None:
        return False
    is_value = _value(condition[1], value) == _compared(condition)
    return is_value if condition[2] == "==" else not is_value


def _compared(condition: re.Match[str]) -> str:
    return condition[3] or condition[4] or condition[5] or ""


def _value(name: str, value: Callable[[str], str]) -> str:
    if name.endswith("-esc"):
        return quote_plus(value(name.removesuffix("-esc")))
    return value(name)


def _name_in(word: str) -> str:
    condition = _CONDITION.fullmatch(word)
    name = condition[1] if condition else word
    return "" if name in {"else", "endif"} else name.removesuffix("-esc")
