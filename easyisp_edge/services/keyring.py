"""The box's secret keys, one a purpose, all made from one master key that lies outside the database."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

KEY_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """Makes keys. What one purpose's key opens, no other's does, and none tells anything of the master key.

    Args:
        master: The master key, 32 octets.

    Raises:
        ValueError: It has another length.
    """

    master: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.master) != KEY_OCTETS:
            raise ValueError(f"a master key has {KEY_OCTETS} octets")

    def derive(self, purpose: str) -> bytes:
        """The key for a purpose, 32 octets: the same each time.

        Source: NIST SP 800-108 (a key from a key, by HMAC-SHA256).
        """
        return hmac.digest(self.master, purpose.encode(), "sha256")
