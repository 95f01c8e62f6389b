"""One daemon to a store: it alone writes there, and goes by what it remembers of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError, EdgeError
from easyisp_edge.store.connections import FOLDER_ADVICE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def sole_keeper(path: Path) -> Iterator[None]:
    """Keep every other daemon from the store at a path within the block; whoever only reads it may go on.

    It ends with the process, however that ends. To be taken before the store is opened and given back after it is
    closed: SQLite's own locks on the file would go with ours.

    Raises:
        ConflictError: Another daemon keeps it.
        EdgeError: It cannot be opened or made.

    Source: flock(2); SQLite, How To Corrupt An SQLite Database File.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EdgeError("store.not_opened", f"{path}: {error.strerror}. {FOLDER_ADVICE}") from error
    try:
        _lock(file, path)
        yield
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = (
            f"Another daemon keeps the books in {path}. Stop that one first (systemctl stop 'easyisp-edge*'), or give"
            " another path under [store] in edge.toml: two must not keep the same books."
        )
        raise ConflictError("store.taken", message) from None
