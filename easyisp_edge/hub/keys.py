"""Ed25519: the hub's own key, and whether a box's signature is true.

Source: RFC 8032; libsodium's crypto_sign, which refuses signatures that are not in their one form.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.machine import Randomness

KEY_OCTETS, SIGNATURE_OCTETS = 32, 64
# Held against where there is none, so that the time an answer takes says nothing about who exists.
NOBODY = bytes(SigningKey(bytes(KEY_OCTETS)).verify_key)


class HubKey:
    """Signs what the hub says.

    Args:
        seed: 32 secret octets.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public = bytes(self._key.verify_key)

    def sign(self, message: bytes) -> str:
        """A signature, as base64."""
        return base64.b64encode(self._key.sign(message).signature).decode()


def load_or_make_key(path: Path, randomness: Randomness) -> HubKey:
    """The key in a file; made where there is none, and readable by its owner only.

    Raises:
        EdgeError: The file cannot be read or made, or holds no key.
    """
    try:
        _make(path, randomness)
        text = path.read_text(encoding="ascii").strip()
        seed = exact_base64(text, KEY_OCTETS)
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeError("hub.key", f"{path}: the hub's key cannot be read or made: {error}") from error
    if seed is None:
        raise EdgeError("hub.key", f"{path} holds no key. Put the right one back: boxes believe no other.")
    return HubKey(seed)


def _make(path: Path, randomness: Randomness) -> None:
    """Write a new key beside its place and move it there whole, unless one stands there."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{randomness.token(8).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(randomness.token(KEY_OCTETS)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # fails where another hub was faster: that one's key holds
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether whoever holds a key signed a message."""
    try:
        VerifyKey(public_key).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def exact_base64(text: object, octets: int) -> bytes | None:
    """What a text in base64 says, where it is so long and written in the one way it can be; else None."""
    if not isinstance(text, str) or len(text) > 2 * octets + 4:
        return None
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if len(decoded) == octets and base64.b64encode(decoded).decode() == text else None
