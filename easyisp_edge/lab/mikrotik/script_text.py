"""Reads the part of the RouterOS script language that is played. What it does not know is an error.

As the router does, it knows every command and argument before anything is run: a script that names one the
version has not does not run at all.

Source: RouterOS manual, Scripting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from easyisp_edge.lab.mikrotik.script_nodes import (
    Assignment,
    Attempt,
    Block,
    Command,
    Condition,
    Expression,
    Field,
    Function,
    Joined,
    Literal,
    Loop,
    Operation,
    Statement,
    Telling,
    Variable,
)
from easyisp_edge.lab.mikrotik.script_scanner import NAME, VARIABLE, Scanner

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = re.compile(r"[^\s;\"$\[\](){}=<>!~&|#]+")
_VALUE = re.compile(r"[^\s;\"$\[\](){}]+")
_FIELD = re.compile(r"\.?[A-Za-z0-9][A-Za-z0-9-]*")
_END = frozenset({"", "\n", ";", "}", "]", "\r"})
_TOPICS = frozenset({"debug", "info", "warning", "error"})
_FUNCTIONS = frozenset({"len", "tostr", "tonum"})
_SIGNS = (("||", " or "), ("&&", " and "), ("!=", "<=", ">=", "=", "<", ">", "~"), (".",), ("+", "-"))
_PLACES = {
    "get": ("number", "value-name"),
    "run": ("number",),
    "move": ("numbers", "destination"),
    "unset": ("numbers", "value-name"),
} | dict.fromkeys(_TOPICS, ("message",))
_OWN_WORDS = frozenset({"where"})


class Known(Protocol):
    """Which commands and arguments there are."""

    def knows(self, command: str) -> bool:
        """Whether there is the command."""

    def has_menu(self, menu: str) -> bool:
        """Whether there is the menu."""

    def has(self, command: str, argument: str) -> bool:
        """Whether the command takes the argument."""


def parse_script(text: str, known: Known) -> Block:
    """Read a script.

    Raises:
        ScriptSyntaxError: It is none, or uses what is not known.
    """
    parser = _Parser(Scanner(text), known)
    block = parser.block()
    if parser.scan.peek():
        raise parser.scan.fail()
    return block


class _Parser:
    def __init__(self, scan: Scanner, known: Known) -> None:
        self.scan = scan
        self._known = known
        self._menu = ""

    def block(self) -> Block:
        statements: list[Statement] = []
        menu = self._menu
        self.scan.separators()
        while self.scan.peek() not in {"", "}"}:
            statement = self._statement()
            if statement is not None:
                statements.append(statement)
            self.scan.blanks()
            if self.scan.peek() not in _END - {"]"}:
                raise self.scan.fail("expected end of command")
            self.scan.separators()
        self._menu = menu
        return tuple(statements)

    def _braced_block(self) -> Block:
        self.scan.blanks()
        self.scan.expect("{")
        block = self.block()
        self.scan.expect("}")
        return block

    def _statement(self) -> Statement | None:
        if self.scan.takes(":"):
            return self._keyword(self.scan.name())
        return self._command()

    def _keyword(self, word: str) -> Statement:
        readers: dict[str, Callable[[], Statement]] = {
            "if": self._condition,
            "do": self._attempt,
            "foreach": self._loop,
            "log": self._log,
        }
        self.scan.blanks()
        if word in readers:
            return readers[word]()
        if word in {"local", "global", "set"}:
            return self._assignment(word)
        if word in {"put", "error", "delay"}:
            return Telling(word, self._operand())
        raise self.scan.fail(f"bad command name {word}")

    def _assignment(self, kind: str) -> Assignment:
        name = self.scan.name(VARIABLE)
        self.scan.blanks()
        return Assignment(kind, name, None if self.scan.peek() in _END else self._operand())

    def _condition(self) -> Condition:
        holds = self._operand()
        then = self._part("do")
        return Condition(holds, then, self._optional_part("else") or ())

    def _attempt(self) -> Attempt:
        block = self._braced_block()
        return Attempt(block, self._optional_part("on-error"))

    def _loop(self) -> Loop:
        name = self.scan.name(VARIABLE)
        self.scan.blanks()
        self.scan.expect("in=")
        items = self._operand()
        return Loop(name, items, self._part("do"))

    def _log(self) -> Telling:
        topic = self.scan.name()
        if topic not in _TOPICS:
            raise self.scan.fail(f"bad command name {topic}")
        self.scan.blanks()
        return Telling("log", self._operand(), topic)

    def _part(self, name: str) -> Block:
        part = self._optional_part(name)
        if part is None:
            raise self.scan.fail()
        return part

    def _optional_part(self, name: str) -> Block | None:
        start = self.scan.at
        self.scan.blanks()
        if not self.scan.takes(f"{name}="):
            self.scan.at = start
            return None
        return self._braced_block()

    def _command(self) -> Command | None:
        path = "" if self.scan.takes("/") else self._menu
        start = self.scan.at
        while True:
            self.scan.blanks()
            word = self.scan.match(NAME)
            if word is None:
                self._go_to(path, start)
                return None
            self.scan.takes("/")
            longer = f"{path}/{word}"
            if self._known.knows(longer) or (word == "find" and self._known.has_menu(path)):
                return self._arguments(path, word)
            path = longer

    def _go_to(self, menu: str, start: int) -> None:
        if not self._known.has_menu(menu) or self.scan.peek() not in _END:
            self.scan.at = start
            raise self.scan.fail(f"bad command name {menu.rpartition('/')[2]}")
        self._menu = menu

    def _arguments(self, menu: str, verb: str) -> Command:
        outer, self._menu = self._menu, menu
        self.scan.blanks()
        if verb == "find":
            where = self._where()
            self._menu = outer
            return Command(menu, verb, where=where)
        places = [name for name in _PLACES.get(verb, ("numbers",)) if self._known.has(f"{menu}/{verb}", name)]
        given: list[tuple[str, Expression]] = []
        while self.scan.peek() not in _END:
            given.append(self._argument(f"{menu}/{verb}", places))
            self.scan.blanks()
        self._menu = outer
        return Command(menu, verb, tuple(given))

    def _argument(self, command: str, places: list[str]) -> tuple[str, Expression]:
        start = self.scan.at
        name = self.scan.match(_FIELD)
        if name is not None and self.scan.takes("="):
            name = "numbers" if name == ".id" else name
            if not self._known.has(command, name):
                raise self.scan.fail(f"expected end of command, not {name}")
            if name in places:
                places.remove(name)
            return name, Literal(self.scan.braced()) if self.scan.peek() == "{" else self._value()
        self.scan.at = start
        if not places:
            raise self.scan.fail("expected end of command")
        return places.pop(0), self._value()

    def _where(self) -> Expression | None:
        start = self.scan.at
        if self.scan.match(NAME) not in _OWN_WORDS:
            self.scan.at = start
        self.scan.blanks()
        found: Expression | None = None
        while self.scan.peek() not in _END:
            more = self._operators(0, self._field)
            found = more if found is None else Operation("&&", (found, more))
            self.scan.blanks()
        return found

    def _field(self) -> Expression:
        start = self.scan.at
        name = self.scan.match(_FIELD)
        if name is not None and self.scan.peek() in {"=", "!", "<", ">", "~"}:
            return Field(name)
        if name is not None and not name[0].isdigit() and not self._after_sign(start):
            return Field(name)
        self.scan.at = start
        return self._inner(self._field)

    def _after_sign(self, at: int) -> bool:
        return self.scan.text[:at].rstrip()[-1:] in {"=", "<", ">", "~"}

    def _operand(self) -> Expression:
        self.scan.blanks()
        return self._value()

    def _value(self) -> Expression:
        if self.scan.peek() in {"(", "[", '"', "$"}:
            return self._inner(self._plain)
        word = self.scan.match(_VALUE)
        if word is None:
            raise self.scan.fail()
        return Literal(word)

    def _plain(self) -> Expression:
        return self._inner(self._plain)

    def _operators(self, level: int, atom: Callable[[], Expression]) -> Expression:
        if level == len(_SIGNS):
            self.scan.blanks()
            return Operation("!", (self._operators(level, atom),)) if self.scan.takes("!") else atom()
        left = self._operators(level + 1, atom)
        while (sign := self._sign(level)) is not None:
            left = Operation(sign, (left, self._operators(level + 1, atom)))
        return left

    def _sign(self, level: int) -> str | None:
        start = self.scan.at
        self.scan.blanks()
        for sign in _SIGNS[level]:
            letters = sign.strip()
            if self.scan.takes(letters) and (letters == sign or self.scan.peek() in {" ", "("}):
                return {"and": "&&", "or": "||"}.get(letters, letters)
            self.scan.at = start
            self.scan.blanks()
        self.scan.at = start
        return None

    def _inner(self, atom: Callable[[], Expression]) -> Expression:
        if self.scan.takes("("):
            inside = self._operators(0, atom)
            self.scan.blanks()
            self.scan.expect(")")
            return inside
        if self.scan.takes("["):
            return self._bracketed()
        if self.scan.takes('"'):
            return self._quoted()
        if self.scan.takes("$"):
            return self._variable()
        word = self.scan.match(_WORD)
        if word is None:
            raise self.scan.fail()
        return Literal(word)

    def _variable(self) -> Expression:
        if self.scan.takes('"'):
            name = self.scan.quoted_part()
            self.scan.expect('"')
            return Variable(name)
        return Variable(self.scan.name(VARIABLE))

    def _bracketed(self) -> Expression:
        self.scan.blanks()
        found: Expression | None
        if self.scan.takes(":"):
            name = self.scan.name()
            if name not in _FUNCTIONS:
                raise self.scan.fail(f"bad command name {name}")
            found = Function(name, self._operand())
        else:
            found = self._command()
        self.scan.blanks()
        self.scan.expect("]")
        if found is None:
            raise self.scan.fail()
        return found

    def _quoted(self) -> Expression:
        parts: list[Expression] = []
        while True:
            text = self.scan.quoted_part()
            if text:
                parts.append(Literal(text))
            if self.scan.takes('"'):
                return parts[0] if len(parts) == 1 and isinstance(parts[0], Literal) else Joined(tuple(parts))
            self.scan.expect("$")
            parts.append(self._inner(self._plain) if self.scan.peek() in {"(", "["} else self._variable())
