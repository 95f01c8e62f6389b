"""Secrets within the database: sealed with a key that lies outside it, each to the place where it belongs."""

from __future__ import annotations

from dataclasses import dataclass, field

from easyisp_edge.errors import EdgeError

NONCE_OCTETS = 24


class UnopenedError(EdgeError):
    """A sealed value does not open: it was sealed with another key, for another place, or was changed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals and opens short texts.

    Args:
        key: 32 octets.

    Source: draft-irtf-cfrg-xchacha-03 (XChaCha20-Poly1305).
    """

    key: bytes = field(repr=False)

    def close(self, text: str, place: str, nonce: bytes) -> bytes:
        """Seal a text to a place.

        Args:
            text: What nobody may read.
            place: Where it will stand; it opens nowhere else.
            nonce: 24 octets, random: never the same twice.
        """
        from nacl.secret import Aead  # noqa: PLC0415 - most boxes declare their secrets in files, and need none of it

        return bytes(Aead(self.key).encrypt(text.encode(), place.encode(), nonce))

    def open(self, sealed: bytes, place: str) -> str:
        """The text that was sealed to that place.

        Raises:
            UnopenedError: It does not open.
        """
        from nacl.exceptions import CryptoError  # noqa: PLC0415 - as above
        from nacl.secret import Aead  # noqa: PLC0415

        try:
            return Aead(self.key).decrypt(sealed, place.encode()).decode()
        except (CryptoError, ValueError) as error:  # too short to be one is a ValueError
            raise UnopenedError("seal.unopened", "A sealed value does not open with this box's key.") from error
