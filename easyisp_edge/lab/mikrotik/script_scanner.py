"""Reads a script's text letter by letter: blanks, names, quoted texts, and where one stands in it.

Source: RouterOS manual, Scripting (constants and escapes).
"""

from __future__ import annotations

import re

from easyisp_edge.lab.mikrotik.errors import TrapError

_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)*")
_BETWEEN = re.compile(r"(?:[ \t\r\n;]|\\\r?\n|#[^\n]*)*")
_CONTINUED = re.compile(r"\\\r?\n[ \t]*")
_ESCAPES = {
    '"': '"', "\\": "\\", "$": "$", "?": "?", "_": " ",
    "n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip
_HEX = re.compile(r"[0-9A-F]{2}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class ScriptSyntaxError(TrapError):
    """The text is no script; nothing of it is run."""


class Scanner:
    """A place in a text.

    Args:
        text: The script.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, message: str = "syntax error") -> ScriptSyntaxError:
        """The error of this place."""
        before = self.text[: self.at]
        line, column = before.count("\n") + 1, self.at - (before.rfind("\n") + 1) + 1
        return ScriptSyntaxError(f"{message} (line {line} column {column})")

    def peek(self) -> str:
        """The next letter; empty at the end."""
        return self.text[self.at : self.at + 1]

    def blanks(self) -> None:
        """Pass over blanks within a line."""
        self._pass(_BLANK)

    def separators(self) -> None:
        """Pass over everything that may stand between two commands."""
        self._pass(_BETWEEN)

    def takes(self, letters: str) -> bool:
        """Pass over these letters if they are next."""
        found = self.text.startswith(letters, self.at)
        if found:
            self.at += len(letters)
        return found

    def expect(self, letters: str) -> None:
        """Pass over these letters.

        Raises:
            ScriptSyntaxError: Others are next.
        """
        if not self.takes(letters):
            raise self.fail()

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """What fits the pattern from here, passed over; None where nothing does."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def name(self, pattern: re.Pattern[str] = NAME) -> str:
        """A name.

        Raises:
            ScriptSyntaxError: None is next.
        """
        found = self.match(pattern)
        if found is None:
            raise self.fail()
        return found

    def quoted_part(self) -> str:
        """Text up to the closing quote or to a variable, after the opening quote.

        Raises:
            ScriptSyntaxError: It does not end, or an escape is not known.
        """
        octets = bytearray()
        while self.peek() not in {'"', "$"}:
            if not self.peek():
                raise self.fail("missing closing quote")
            octets += self._escape() if self.peek() == "\\" else self._letter()
        return octets.decode("utf-8", "surrogateescape")

    def braced(self) -> str:
        """The text of a block, with its own blocks in it, between braces that are passed over.

        Raises:
            ScriptSyntaxError: It does not end.
        """
        self.expect("{")
        start, depth = self.at, 1
        while depth:
            letter = self.peek()
            if not letter:
                raise self.fail("missing closing brace")
            if letter == '"':
                self._pass_quoted()
                continue
            depth += (letter == "{") - (letter == "}")
            self.at += 1
        return self.text[start : self.at - 1]

    def _pass_quoted(self) -> None:
        self.expect('"')
        while not self.takes('"'):
            if not self.peek():
                raise self.fail("missing closing quote")
            self.at += 2 if self.peek() == "\\" else 1

    def _letter(self) -> bytes:
        letter = self.peek()
        self.at += 1
        return letter.encode("utf-8", "surrogateescape")

    def _escape(self) -> bytes:
        if self.match(_CONTINUED) is not None:
            return b""
        self.expect("\\")
        code = self.match(_HEX)
        if code is not None:
            return bytes.fromhex(code)
        if self.peek() not in _ESCAPES:
            raise self.fail()
        letter = _ESCAPES[self.peek()]
        self.at += 1
        return letter.encode()

    def _pass(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
