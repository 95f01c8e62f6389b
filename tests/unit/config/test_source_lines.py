from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.config.source_lines import source_lines

ODD = (Path(__file__).parent / "odd.toml").read_text()


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every path that the parser's result has."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return set().union({path} if path else set(), *(paths_of(held, (*path, part)) for part, held in inner))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted A key",), 3),
        (("literal.dot",), 4),
        (("a", "b", "c.d"), 5),
        (("table", "sub"), 7),
        (("table", "sub", "text"), 8),
        (("table", "sub", "raw"), 11),
        (("table", "sub", "list"), 15),
        (("table", "sub", "list", 1, 1), 16),
        (("table", "sub", "list", 2, "y", "z", 0), 18),
        (("table", "sub", "list", 3), 19),
        (("item",), 22),
        (("item", 0, "api", "port"), 25),
        (("item", 0, "part", 0, "n"), 27),
        (("item", 1), 28),
        (("item", 1, "part", 1, "n"), 33),
        (("table",), 34),
        (("table", "late"), 35),
    ],
)
def test_each_key_of_an_odd_text_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    """Quoted and dotted keys, comments, strings over several lines and nested arrays move no line."""
    assert source_lines(ODD).line_of(path) == line


def test_a_missing_key_is_placed_at_what_would_hold_it() -> None:
    """A key that is not there is reported at its table; one of a table that is not there, nowhere."""
    lines = source_lines(ODD)
    assert lines.line_of(("item", 1, "address")) == 28
    assert lines.line_of(("nowhere", "key")) is None


def test_depth_beyond_the_call_stack_is_passed_over() -> None:
    """Brackets nested deeper than calls may nest are no error."""
    depth = 3_000
    lines = source_lines("deep = " + "[" * depth + "]" * depth + "\nafter = 1\n")
    assert lines.line_of(("after",)) == 2


FRAGMENTS = st.sampled_from(
    ["[", "]", "[[", "]]", "{", "}", '"', "'", '"""', "'''", "=", ".", ",", "#", "\n", " ", "\\", "a", "b", "1", "é"]
)


@given(st.one_of(st.text(), st.lists(FRAGMENTS).map("".join)))
def test_no_text_raises_and_accepted_text_is_found_whole(text: str) -> None:
    """Whatever the text, reading lines ends without an error; what the parser accepts is indexed whole."""
    lines = source_lines(text)
    with contextlib.suppress(tomllib.TOMLDecodeError):
        assert lines.paths == paths_of(tomllib.loads(text.replace("\r\n", "\n")))


class Writer:
    """Writes a valid TOML text by drawn choices and notes where it put what."""

    def __init__(self, data: st.DataObject) -> None:
        self.text = ""
        self.expected: dict[tuple[str | int, ...], int] = {}
        self._data = data
        self._keys = 0

    def document(self) -> None:
        self._pairs(())
        for _ in range(self._count(3)):
            self._data.draw(st.sampled_from([self._table, self._array_of_tables]))()

    def _count(self, most: int) -> int:
        return self._data.draw(st.integers(0, most))

    def _put(self, *choices: str) -> None:
        self.text += self._data.draw(st.sampled_from(choices))

    def _note(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        self.expected.setdefault(path, self.text.count("\n") + 1)
        return path

    def _key(self) -> str:
        """Write a key nobody wrote before."""
        self._keys += 1
        name = f"k{self._keys}"
        self._put(name, f'"{name}"', f"'{name}'", f'"\\u006b{self._keys}"')
        return name

    def _dotted(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        path = self._note((*path, self._key()))
        for _ in range(self._count(2)):
            self._put(".", " . ", "\t.")
            path = self._note((*path, self._key()))
        return path

    def _pairs(self, path: tuple[str | int, ...]) -> None:
        for _ in range(self._count(3)):
            self._put("", "\n", "  ", "# c = [ {\n", "\t# '''\n\n")
            at = self._dotted(path)
            self._put("=", " = ", "\t=")
            self._value(at, depth=0)
            self._put("\n", " # [[x]]\n", "  \n\n")

    def _table(self) -> None:
        self._put("[", "[ ")
        path = self._dotted(())
        self._put("]\n", " ] # ]\n")
        self._pairs(path)

    def _array_of_tables(self) -> None:
        before = self.text
        name = self._key()
        written = self.text.removeprefix(before)
        self.text = before
        for index in range(1 + self._count(2)):
            self._note((name,))
            self._note((name, index))
            self.text += f"[[{written}]]\n"
            self._pairs((name, index))
            if self._count(1):
                self._sub_table(name, index)

    def _sub_table(self, name: str, index: int) -> None:
        self.text += f"[{name}."
        path = self._dotted((name, index))
        self.text += "]\n"
        self._pairs(path)

    def _value(self, path: tuple[str | int, ...], *, depth: int) -> None:
        kinds = [self._scalar] if depth > 2 else [self._scalar, self._array, self._inline]
        self._data.draw(st.sampled_from(kinds))(path, depth)

    def _scalar(self, path: tuple[str | int, ...], depth: int) -> None:
        self._put(
            *("1", "-0.5e3", "true", "1979-05-27 07:32:00", "inf"),
            *('"a # = ] }"', "'\\'", r'"\" ["', '""', "''"),
            *('"""\n[x]\nk9 = 1\n"""', '""""""', '"""a"""""', r'"""\""" "" \\"""', "'''\n]]\n'''", "'''''''"),
        )

    def _array(self, path: tuple[str | int, ...], depth: int) -> None:
        self._put("[", "[\n", "[ # ]\n")
        for index in range(self._count(3)):
            self._note((*path, index))
            self._value((*path, index), depth=depth + 1)
            self._put(",", " ,\n", "\n,# ,\n\n")
        self._put("]", "\n]")

    def _inline(self, path: tuple[str | int, ...], depth: int) -> None:
        self._put("{", "{ ")
        for index in range(self._count(3)):
            self.text += ", " if index else ""
            at = self._dotted(path)
            self._put("=", " = ")
            self._value(at, depth=depth + 1)
        self._put("}", " }")


@given(st.data())
def test_every_path_of_any_valid_text_is_found_in_its_line(data: st.DataObject) -> None:
    """For any text the parser accepts, all its paths and no others are known, each with its line."""
    writer = Writer(data)
    writer.document()
    lines = source_lines(writer.text)
    assert lines.paths == paths_of(tomllib.loads(writer.text))
    assert {path: lines.line_of(path) for path in lines.paths} == writer.expected
