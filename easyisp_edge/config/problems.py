"""What is wrong with a configuration, said so that a technician can mend it without asking."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.config.source_lines import SourceLines
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from easyisp_edge.config.source_lines import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. Never holds a secret.

    Args:
        file: Which file, or `environment`.
        line: Where in it, from 1; None where it stands nowhere.
        key: What is wrong, such as `gateway[1].sub_type`, counted from 1; empty for the whole file.
        message: What is wrong with it.
        expected: What would be right.
        nearest: What was most likely meant.
    """

    file: str
    line: int | None
    key: str
    message: str
    expected: str = ""
    nearest: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        what = f"{self.key}: {self.message}" if self.key else self.message
        hint = "" if self.nearest is None else f'; did you mean "{self.nearest}"?'
        return f"{where}: {what}{hint}"


class ConfigError(InvalidError):
    """The configuration is refused as a whole.

    Args:
        problems: All that was found, in the order of files and lines.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("config.invalid", "\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read, or the environment dressed as one.

    Args:
        file: How it is called in problems.
        data: What it says.
        lines: Where it says it.
        names: How paths are called in problems, where not by themselves.
    """

    file: str
    data: Mapping[str, Any] = field(repr=False)  # the environment holds secrets
    lines: SourceLines = field(default_factory=lambda: SourceLines({}))
    names: Mapping[Path, str] = field(default_factory=dict)

    def tables(self, key: str) -> list[tuple[Path, dict[str, Any]]]:
        """The tables of `[[key]]`, each with its path; whatever else stands there is left out."""
        listed = self.data.get(key, [])
        if not isinstance(listed, list):
            return []
        return [((key, index), table) for index, table in enumerate(listed) if isinstance(table, dict)]


class Findings:
    """Collects problems while the configuration is read to its end."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def add(
        self, document: Document, path: Path, message: str, *, expected: str = "", nearest: str | None = None
    ) -> None:
        """Note what is wrong at a path of a document."""
        self._problems.append(
            Problem(
                document.file,
                document.lines.line_of(path),
                document.names.get(path, spelled(path)),
                message,
                expected,
                nearest,
            )
        )

    def add_file(self, file: str, message: str, *, line: int | None = None, nearest: str | None = None) -> None:
        """Note what is wrong with a file as such."""
        self._problems.append(Problem(file, line, "", message, nearest=nearest))

    def refuse_any(self) -> None:
        """End the reading if anything was found.

        Raises:
            ConfigError: With everything that was found, file by file and from top to bottom.
        """
        if self._problems:
            raise ConfigError(tuple(sorted(self._problems, key=lambda found: (found.file, found.line or 0))))


def spelled(path: Path) -> str:
    """A path as people write it: `gateway[1].sub_type`, array items counted from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that was most likely meant, mistyped, cut short or in another case; None when none comes near."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    begun = [choice for choice in by_lower_case if choice.startswith(word.lower())]
    if not found and len(begun) == 1:
        found = begun
    return by_lower_case[found[0]] if found else None
