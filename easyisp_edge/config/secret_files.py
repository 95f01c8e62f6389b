"""Secrets: kept in files of their own, named in the configuration, never said again."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

SUFFIX = "_file"
_OCTETS_MAX = 4096
_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH


def is_given(table: Mapping[str, object], key: str) -> bool:
    """Whether a table gives that secret, by itself or by the name of its file."""
    return table.get(key) is not None or table.get(key + SUFFIX) is not None


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Where secrets are looked for.

    Args:
        folder: Of the configuration; relative names are relative to it.
        credentials: Where the service manager put credentials; looked into first.
        development: Permits secrets in the configuration itself, and files that others may read.
    """

    folder: Path
    credentials: Path | None
    development: bool

    def take(self, table: Mapping[str, Any], key: str) -> SecretStr:
        """The secret called `key`, by `key_file` or, in development, by itself.

        Raises:
            InvalidError: It is not there or not fit to be used; `field` is the key at fault. The message holds
                no value: people put secrets where file names belong.
        """
        by_file = key + SUFFIX
        if key in table and by_file in table:
            raise _unfit(key, f"given twice; keep {by_file} and take {key} out")
        if key in table:
            return self._inline(table[key], key)
        if by_file not in table:
            raise _unfit(by_file, "missing; name the file that holds the secret")
        if not isinstance(table[by_file], str) or not table[by_file].strip():
            raise _unfit(by_file, "has to be the name of a file, in quotes")
        return self._from_file(table[by_file], by_file)

    def _inline(self, value: object, key: str) -> SecretStr:
        if not self.development:
            raise _unfit(key, f"a secret does not stand here; put it in a file and name that: {key}{SUFFIX} = ...")
        if not isinstance(value, str):
            raise _unfit(key, "has to be text in quotes")
        return _fit(value, key)

    def _from_file(self, name: str, key: str) -> SecretStr:
        try:
            mode, content = _read(self._path_of(name))
        except (FileNotFoundError, NotADirectoryError):
            raise _unfit(key, f"there is no file of that name in {self._places}") from None
        except (OSError, ValueError):
            raise _unfit(key, f"the file of that name in {self._places} cannot be read by this user") from None
        if mode & _BY_OTHERS and not self.development:
            raise _unfit(key, "every user of this machine may read or write that file; chmod 600 it")
        try:
            return _fit(content.decode("utf-8-sig"), key)  # as the configuration: some editors put a mark first
        except UnicodeDecodeError:
            raise _unfit(key, "that file does not hold text") from None

    def _path_of(self, name: str) -> Path:
        if self.credentials is not None and (self.credentials / name).is_file():
            return self.credentials / name
        return self.folder / name

    @property
    def _places(self) -> str:
        credentials = "" if self.credentials is None else f"{self.credentials} or "
        return f"{credentials}{self.folder}"


def _read(path: Path) -> tuple[int, bytes]:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a pipe would make us wait, a folder has no content
        raise FileNotFoundError
    with path.open("rb") as file:
        return mode, file.read(_OCTETS_MAX + 1)


def _fit(text: str, key: str) -> SecretStr:
    stripped = text.strip()
    if not stripped:
        raise _unfit(key, "the secret is empty")
    if len(stripped) > _OCTETS_MAX or not stripped.isprintable():
        raise _unfit(key, "the secret is too long, or not a single line of text")
    return SecretStr(stripped)


def _unfit(key: str, message: str) -> InvalidError:
    return InvalidError("config.secret", message, field=key)
