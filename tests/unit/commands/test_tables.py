"""Tables on terminals: whole where they fit, a row by itself where they do not, and always the same for programs."""

from __future__ import annotations

import os
import sys
from io import StringIO

import pytest

from easyisp_edge.commands.control_client import table

ROWS: list[tuple[str, ...]] = [("PACKAGE", "ID"), ("1 hour", "01a20b"), ("7 days", "02b31c")]
WHOLE = "PACKAGE  ID\n1 hour   01a20b\n7 days   02b31c\n"


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("characters", "shown"),
    [(15, WHOLE), (14, "PACKAGE  1 hour\nID       01a20b\n\nPACKAGE  7 days\nID       02b31c\n")],
)
def test_a_terminal_too_narrow_for_a_table_gets_its_rows(
    monkeypatch: pytest.MonkeyPatch, characters: int, shown: str
) -> None:
    """Lines that break anywhere are no table any more."""
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((characters, 24)))
    assert table(ROWS) == shown


def test_programs_get_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pipes it into grep has a line a row, however long."""
    monkeypatch.setenv("COLUMNS", "5")
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert table(ROWS) == WHOLE
