"""This box's Ed25519 keys: made on the box, each in a file of its own beside the database, and read by nobody else.

Source: RFC 8032.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import EdgeKey
from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.machine import Randomness

KEY_OCTETS = 32
_NEW = "hub-new.key"
_NAME_LENGTH = 16


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where keys are.

    Args:
        folder: That of the database.
        randomness: For new ones.
    """

    folder: Path
    randomness: Randomness

    def new(self) -> EdgeKey:
        """A key to go on with; the same again until `keep`, so that a request whose answer was lost can be repeated.

        Raises:
            EdgeError: It cannot be written or read.
        """
        path = self.folder / _NEW
        try:
            if not path.exists():
                _write(path, self.randomness.token(KEY_OCTETS))
            key = _key(path)
            kept = self._place_of(key.public)
            if not kept.exists():
                os.link(path, kept)
                _sync_folder(self.folder)
        except OSError as error:
            raise _trouble(path, error) from error
        return key

    def keep(self) -> None:
        """The new key is in use: the next `new` makes another."""
        (self.folder / _NEW).unlink(missing_ok=True)

    def of(self, public: bytes) -> EdgeKey:
        """The key whose public half this is.

        Raises:
            EdgeError: It is not there any more: the box has to enrol again.
        """
        path = self._place_of(public)
        try:
            key = _key(path)
        except OSError as error:
            raise _trouble(path, error) from error
        if key.public != public:
            raise EdgeError("sync.key", f"{path} holds another key. Enrol this box again.")
        return key

    def _place_of(self, public: bytes) -> Path:
        return self.folder / f"hub-{hashlib.sha256(public).hexdigest()[:_NAME_LENGTH]}.key"


def is_signed(public: bytes, message: bytes, signature: str) -> bool:
    """Whether whoever holds a key signed a message; the signature in base64."""
    from nacl.exceptions import BadSignatureError  # noqa: PLC0415 - a box without a hub never loads it
    from nacl.signing import VerifyKey  # noqa: PLC0415

    try:
        VerifyKey(public).verify(message, base64.b64decode(signature, validate=True))
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def _key(path: Path) -> EdgeKey:
    from nacl.signing import SigningKey  # noqa: PLC0415 - a box without a hub never loads it

    try:
        signing = SigningKey(base64.b64decode(path.read_bytes().strip(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise EdgeError("sync.key", f"{path} holds no key. Enrol this box again.") from error
    return EdgeKey(bytes(signing.verify_key), lambda message: bytes(signing.sign(message).signature))


def _write(path: Path, seed: bytes) -> None:
    """Write a key whole, or not at all."""
    fresh = path.with_suffix(".part")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(seed) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(path: Path, error: OSError) -> EdgeError:
    return EdgeError("sync.key", f"{path}: this box's key cannot be read or made: {error.strerror}.")
