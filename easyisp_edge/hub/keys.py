"""The hub's own key, which signs what it says and seals what it keeps; and whether a box's signature is true.

Source: RFC 8032 (Ed25519); libsodium's crypto_sign, which refuses signatures that are not in their one form.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import stat
from typing import TYPE_CHECKING

from nacl.exceptions import BadSignatureError, CryptoError
from nacl.secret import Aead
from nacl.signing import SigningKey, VerifyKey

from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.machine import Randomness

KEY_OCTETS, SIGNATURE_OCTETS = 32, 64
BY_OTHERS = stat.S_IROTH | stat.S_IWOTH
# Held against where there is none, so that the time an answer takes says nothing about who exists.
NOBODY = bytes(SigningKey(bytes(KEY_OCTETS)).verify_key)


class HubKey:
    """Signs what the hub says.

    Args:
        seed: 32 secret octets.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._key = SigningKey(seed)
        self.public = bytes(self._key.verify_key)

    def sign(self, message: bytes) -> str:
        """A signature, as base64."""
        return base64.b64encode(self._key.sign(message).signature).decode()

    def derive(self, purpose: str) -> bytes:
        """A secret of 32 octets for a purpose: the same each time, and telling nothing of the key.

        Source: NIST SP 800-108 (a key from a key, by HMAC-SHA256).
        """
        return hmac.digest(self._seed, purpose.encode(), "sha256")


class UnopenedError(EdgeError):
    """A sealed text does not open: it was sealed by another hub, for another place, or was changed."""


class Seal:
    """Seals secrets in the database, each to its place: whoever has a copy of it does not have them.

    The nonce is made from text and place: what is sealed twice is the same twice, and no nonce serves two texts.

    Args:
        key: The hub's; what this seals opens with no other.

    Source: draft-irtf-cfrg-xchacha-03 (XChaCha20-Poly1305); RFC 5297 for a nonce made from what is sealed.
    """

    def __init__(self, key: HubKey) -> None:
        self._box = Aead(key.derive("sealed texts"))
        self._nonces = key.derive("nonces of sealed texts")

    def close(self, text: str, place: str) -> str:
        """Seal a text to a place, where alone it opens; gives base64."""
        plain, where = text.encode(), place.encode()
        made_of = len(where).to_bytes(8, "big") + where + plain
        nonce = hmac.digest(self._nonces, made_of, "sha256")[: Aead.NONCE_SIZE]
        return base64.b64encode(self._box.encrypt(plain, where, nonce)).decode()

    def open(self, sealed: str, place: str) -> str:
        """The text that was sealed to that place.

        Raises:
            UnopenedError: It does not open.
        """
        try:
            return self._box.decrypt(base64.b64decode(sealed, validate=True), place.encode()).decode()
        except (CryptoError, binascii.Error, ValueError) as error:  # too short to be one is a ValueError
            raise UnopenedError("hub.sealed", "A sealed text does not open with this hub's key.") from error


def load_or_make_key(path: Path, randomness: Randomness) -> HubKey:
    """The key in a file; made where there is none, and readable by its owner only.

    Raises:
        EdgeError: The file cannot be read or made, holds no key, or every user may read it.
    """
    try:
        _make(path, randomness)
        text = path.read_text(encoding="ascii").strip()
        seed = exact_base64(text, KEY_OCTETS)
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise EdgeError("hub.key", f"{path}: the hub's key cannot be read or made: {why}.") from error
    if mode & BY_OTHERS:
        raise EdgeError("hub.key", f"{path}: every user of this machine may read or write it; chmod 600 it.")
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
        if os.geteuid() == 0:  # a command makes it for the service, which is another user
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(base64.b64encode(randomness.token(KEY_OCTETS)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # fails where another hub was faster: that one's key holds
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    _keep(path.parent)


def _keep(folder: Path) -> None:
    """Have a folder's names on the disk: boxes are told of this key from now on."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
