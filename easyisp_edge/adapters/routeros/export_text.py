r"""The text of an `export`: its commands as rows by menu.

A command that is too long goes on in the next line behind a `\`; within quotes a `\` begins an escape, `\_` is a blank
and two hex digits are an octet.

Source: RouterOS, Configuration management (export) and Scripting (constant escape sequences).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Row = dict[str, str]

_GOES_ON = re.compile(rb"\\\r?\n[ \t]*")
_ESCAPES = {
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"_": b" ",
}  # fmt: skip
_HEX = re.compile(rb"[0-9A-F]{2}")
_WORD = re.compile(rb'(?:[^\s"\\\[]|\\[0-9A-F]{2}|\\.|"(?:[^"\\]|\\.)*"|\[[^\]]*\])+', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-9A-F]{2}|.)", re.DOTALL)
# The menu in front of a command: all up to the verb, whether blanks or slashes are between its words.
_PATH = re.compile(rb"/[a-z0-9/ -]*?(?=[/ ](?:add|set)(?: |$)|$)")
_FIND_DEFAULT = re.compile(rb"\[\s*find\s+default=yes\s*\]")


def parse_export(text: str, menus: Collection[str]) -> dict[str, list[Row]]:
    """What is added in those menus, such as `/ip/hotspot/user`; the built-in row `default` counts as added.

    Fields are text as the router would show them; what is not said is absent. What stands in other menus may be
    anything.

    Raises:
        InvalidError: A line of those menus is no command of an export.
    """
    tables: dict[str, list[Row]] = {}
    menu = ""
    for line in _lines(text):
        command = line
        if line.startswith(b"/"):
            path = _PATH.match(line)
            menu = _menu(b"" if path is None else path[0])
            command = line[len(path[0]) :].lstrip(b"/ ") if path is not None else b""
        if menu in menus and command and (row := _row(_words(command))) is not None:
            tables.setdefault(menu, []).append(row)
    return tables


def _menu(path: bytes) -> str:
    return "/" + "/".join(path.decode("ascii", "replace").replace("/", " ").split())


def _lines(text: str) -> Iterator[bytes]:
    joined = _GOES_ON.sub(b"", text.encode("utf-8", "surrogateescape"))
    for line in joined.splitlines():
        bare = line.strip()
        if bare and not bare.startswith(b"#"):
            yield bare


def _words(line: bytes) -> list[bytes]:
    words, at = [], 0
    while at < len(line):
        found = _WORD.match(line, at)
        if found is None:
            shown = line[:40].decode("utf-8", "replace")
            raise InvalidError("import.export_unreadable", f"This line is none of an export: {shown!r}", field="file")
        words.append(found[0])
        at = found.end()
        while line[at : at + 1].isspace():
            at += 1
    return words


def _row(words: list[bytes]) -> Row | None:
    fields = dict(_field(word) for word in words[1:] if b"=" in word and not word.startswith((b"[", b"!")))
    if words[0] == b"add":
        return fields
    if words[0] == b"set" and any(_FIND_DEFAULT.fullmatch(word) for word in words):
        return {"name": "default"} | fields
    return None


def _field(word: bytes) -> tuple[str, str]:
    name, _, value = word.partition(b"=")
    bare = value[1:-1] if value.startswith(b'"') and value.endswith(b'"') and len(value) > 1 else value
    return name.decode("ascii", "replace"), _ESCAPE.sub(_unescaped, bare).decode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    if _HEX.fullmatch(escape):
        return bytes.fromhex(escape.decode())
    return _ESCAPES.get(escape, escape)
