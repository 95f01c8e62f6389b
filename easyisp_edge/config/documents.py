"""Reads the TOML files of a configuration folder, whatever state they are in."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from easyisp_edge.config.problems import Document, nearest
from easyisp_edge.config.source_lines import source_lines

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.config.problems import Findings

FILES = ("edge.toml", "tenants.toml", "packages.toml", "gateways.toml", "routers.toml", "portal.toml")
# Without this one a mistyped folder would pass for an empty configuration.
_REQUIRED = "edge.toml"
_OCTETS_MAX = 1_000_000
# What to do, by how the parser begins to say what it met. The line itself is not shown: it may hold a secret.
_ADVICE = {
    "Invalid value": 'text stands in straight quotes, "so"; true and false in small letters, and numbers by themselves',
    "Expected newline": "behind a value nothing more may stand; text, times and phone numbers need quotes around them,"
    " and numbers have no commas and do not begin with 0",
    "Illegal character": "a quote is not closed in this line",
    "Unterminated": "a quote is not closed",
    "Cannot overwrite": "the same was said further up; a key stands once in a table, and of a table that there is"
    " several times each begins with [[two brackets]]",
    "Cannot declare": "the same table was begun further up; of one that there is several times each begins with"
    " [[two brackets]]",
}


def read_documents(folder: Path, findings: Findings) -> dict[str, Document | None]:
    """Read every file of the configuration by name; None for one that cannot be read or parsed.

    A file that is not there counts as empty, save `edge.toml`.
    """
    if folder.is_file():
        findings.add_file(str(folder), f"a file; name the folder that holds {_REQUIRED}")
        return dict.fromkeys(FILES)
    _find_strays(folder, findings)
    return {name: _read(folder / name, findings) for name in FILES}


def _find_strays(folder: Path, findings: Findings) -> None:
    """A file with a mistyped name would be as good as lost; better to say so."""
    strays = {path.name for path in folder.glob("*.toml") if not path.name.startswith(".")} - set(FILES)
    for name in sorted(strays):
        findings.add_file(
            str(folder / name),
            f"no file of this configuration, which has {', '.join(FILES)}",
            nearest=nearest(name, FILES),
        )


def _read(path: Path, findings: Findings) -> Document | None:
    try:
        with path.open("rb") as file:
            content = file.read(_OCTETS_MAX + 1)
    except FileNotFoundError:
        if path.name != _REQUIRED:
            return Document(str(path), {})
        findings.add_file(str(path), "missing: this file makes the folder a configuration")
        return None
    except OSError as error:
        findings.add_file(str(path), f"cannot be read: {error.strerror}")
        return None
    if len(content) > _OCTETS_MAX:
        findings.add_file(str(path), f"longer than {_OCTETS_MAX} octets")
        return None
    return _parsed(str(path), content, findings)


def _parsed(file: str, content: bytes, findings: Findings) -> Document | None:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        findings.add_file(file, "not UTF-8 text; save it as UTF-8", line=line)
        return None
    try:
        return Document(file, tomllib.loads(text), source_lines(text))
    except tomllib.TOMLDecodeError as error:
        message, line = _placed(str(error), text)
        advice = next((f"; {advice}" for met, advice in _ADVICE.items() if message.startswith(met)), "")
        findings.add_file(file, f"not valid TOML: {message}{advice}", line=line)
    except (ValueError, RecursionError):  # an endless number, endless brackets
        findings.add_file(file, "not valid TOML: a value is too long or nested too deep")
    return None


def _placed(message: str, text: str) -> tuple[str, int]:
    """The parser's message without its place, and the line."""
    found = re.fullmatch(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", message, re.DOTALL)
    if found is None:
        return message, 1
    line = int(found[2]) if found[2] else text.rstrip("\n").count("\n") + 1
    return found[1], line
