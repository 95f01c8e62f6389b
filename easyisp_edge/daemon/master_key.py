"""The file with the master key: made at the first start, for the daemon's user alone, never within the database."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from typing import TYPE_CHECKING

from easyisp_edge.errors import EdgeError
from easyisp_edge.services.keyring import KEY_OCTETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from easyisp_edge.machine import Randomness

log = logging.getLogger(__name__)

_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def take_master_key(path: Path, randomness: Randomness) -> bytes:
    """Read the master key; where there is no such file, make it.

    Raises:
        EdgeError: It cannot be read or made, others than its user may read it, or it is no key.
    """
    with _explained(path):
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path, randomness.token(KEY_OCTETS))
            log.info("made %s, which opens the secrets in the database: keep a copy of it, apart from backups", path)
            return _read(path)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        key = file.read(KEY_OCTETS + 1)
    if not stat.S_ISREG(mode) or mode & _BY_OTHERS:
        message = f"{path} is for the daemon's user alone: chmod 600 it. Whoever read it can open the box's secrets."
        raise EdgeError("key.exposed", message)
    if len(key) != KEY_OCTETS:
        message = (
            f"{path} does not hold {KEY_OCTETS} octets, so it is no key. Put the right file back; or move it away to"
            " have a new one made: then what was sealed with the old one has to be entered anew."
        )
        raise EdgeError("key.unfit", message)
    return key


def _make(path: Path, key: bytes) -> None:
    """Put a new file there, whole and on the disk, or none; one that appeared meanwhile stays."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Have the folder itself on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{path}: {error.strerror}. The folder must exist and belong to the user the daemon runs as."
        raise EdgeError("key.not_opened", message) from error
