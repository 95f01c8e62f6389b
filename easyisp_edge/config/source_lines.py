"""Where in a TOML text each key stands, which the parser of the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = tuple[str | int, ...]
Keys = tuple[str, ...]

_SPACE = re.compile(r"[ \t]*")
_FILLER = re.compile(r"(?:[\s,]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*\n?")
_HEADER = re.compile(r"\[\[?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ONE_LINE_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'")
# A run of quotes closes with its last three, so up to two more belong to the string.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|" + _ONE_LINE_STRING.pattern, re.DOTALL
)
_SCALAR = re.compile(r"[^\[\]{},#\n\"']+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_OPEN = re.compile(r"[\[{]")
_CLOSE = re.compile(r"[\]}]")


class SourceLines:
    """The line of every table, key and array item, counted from 1.

    Args:
        lines: Line by path; a path is made of keys and, within arrays, of indices from 0.
    """

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines

    @property
    def paths(self) -> frozenset[Path]:
        """Everything whose line is known."""
        return frozenset(self._lines)

    def line_of(self, path: Path) -> int | None:
        """The line of that path, or of what most closely holds it; None when neither is in the text."""
        for length in range(len(path), 0, -1):
            if (line := self._lines.get(path[:length])) is not None:
                return line
        return None


def source_lines(text: str) -> SourceLines:
    """Find the lines of a text that `tomllib` accepts; of any other text, what can be made out.

    Source: TOML 1.0.0.
    """
    scanner = _Scanner(text)
    scanner.scan()
    return SourceLines(scanner.lines)


class _Container:
    """An array or inline table that is still open."""

    def __init__(self, path: Path, *, is_array: bool) -> None:
        self.path = path
        self.is_array = is_array
        self.items = 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._table: Path = ()
        self._last_index: dict[Path, int] = {}

    def scan(self) -> None:
        self._take(_FILLER)
        while self._at < len(self._text):
            self._statement()
            self._take(_REST_OF_LINE)
            self._take(_FILLER)

    def _statement(self) -> None:
        if opening := self._take(_HEADER):
            self._take(_SPACE)
            if keys := self._dotted_key():
                self._header(keys, is_array=opening == "[[")
        elif (keys := self._dotted_key()) and self._take(_EQUALS):
            self._value(self._note_keys(self._table, keys))

    def _header(self, keys: Keys, *, is_array: bool) -> None:
        path: Path = ()
        for key in keys[:-1]:
            path = self._note_keys(path, (key,))
            if path in self._last_index:
                path = (*path, self._last_index[path])
        path = (*path, keys[-1])
        if is_array:
            self.lines.setdefault(path, self._line())
            self._last_index[path] = self._last_index.get(path, -1) + 1
            path = (*path, self._last_index[path])
        self.lines[path] = self._line()
        self._table = path

    def _value(self, path: Path) -> None:
        """Pass over a value, however deep; a stack of our own, because text can nest deeper than calls may."""
        containers: list[_Container] = []
        following: Path | None = path
        while following is not None:
            if opening := self._take(_OPEN):
                containers.append(_Container(following, is_array=opening == "["))
            elif not (self._take(_STRING) or self._take(_SCALAR)):
                self._at += 1
            following = self._next_inside(containers)

    def _next_inside(self, containers: list[_Container]) -> Path | None:
        """The path of the next value within the innermost container; closed ones are dropped on the way."""
        while containers:
            self._take(_FILLER)
            if self._take(_CLOSE):
                containers.pop()
            elif self._at >= len(self._text):
                return None
            else:
                return self._enter(containers[-1])
        return None

    def _enter(self, container: _Container) -> Path | None:
        if container.is_array:
            path = (*container.path, container.items)
            self.lines[path] = self._line()
            container.items += 1
            return path
        keys = self._dotted_key()
        path = self._note_keys(container.path, keys)
        return path if keys and self._take(_EQUALS) else None

    def _dotted_key(self) -> Keys:
        keys = []
        while (key := self._take(_BARE_KEY) or self._take(_ONE_LINE_STRING)) is not None:
            keys.append(_unquoted(key))
            if not self._take(_DOT):
                break
        return tuple(keys)

    def _note_keys(self, path: Path, keys: Keys) -> Path:
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, self._line())
        return path

    def _line(self) -> int:
        return bisect_left(self._newlines, self._at) + 1

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        return next(iter(tomllib.loads(f"{key} = 0")))
    except tomllib.TOMLDecodeError:
        return key
