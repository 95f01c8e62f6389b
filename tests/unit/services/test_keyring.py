"""The box's keys: one a purpose, told by nothing else."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from easyisp_edge.services.keyring import Keyring
from easyisp_edge.store.sealing import NONCE_OCTETS, Seal, UnopenedError

MASTER = bytes(range(32))
NONCE = bytes(NONCE_OCTETS)


def test_each_purpose_has_a_key_of_its_own() -> None:
    """A purpose's key is the same each time, another than any other's, and HMAC-SHA256 of the purpose."""
    keys = Keyring(MASTER)
    assert keys.derive("one") == Keyring(MASTER).derive("one")
    assert keys.derive("one") == hmac.new(MASTER, b"one", hashlib.sha256).digest()
    assert len({keys.derive("one"), keys.derive("two"), Keyring(bytes(32)).derive("one"), MASTER}) == 4


@pytest.mark.parametrize("octets", [0, 16, 31, 33])
def test_a_master_key_has_32_octets(octets: int) -> None:
    """A shorter or longer one is a mistake of ours, and not used."""
    with pytest.raises(ValueError, match="32"):
        Keyring(bytes(octets))


def test_a_keyring_does_not_say_its_key() -> None:
    """Neither it nor a seal shows a key when printed."""
    assert "\\x" not in repr(Keyring(MASTER)) + repr(Seal(MASTER))


def test_what_is_sealed_opens_at_its_place() -> None:
    """A text comes back, and what is kept in its stead holds nothing of it."""
    seal = Seal(MASTER)
    sealed = seal.close("the passkey", "gateway a passkey", NONCE)
    assert b"passkey" not in sealed
    assert seal.open(sealed, "gateway a passkey") == "the passkey"


def test_what_is_sealed_opens_nowhere_else() -> None:
    """Moved to another row or field, changed, cut short or tried with another key, it does not open."""
    seal = Seal(MASTER)
    sealed = seal.close("the passkey", "gateway a passkey", NONCE)
    for key, text, place in (
        (MASTER, sealed, "gateway b passkey"),
        (MASTER, sealed, "gateway a consumer_key"),
        (bytes(32), sealed, "gateway a passkey"),
        (MASTER, sealed[:-1] + bytes([sealed[-1] ^ 1]), "gateway a passkey"),
        (MASTER, sealed[:20], "gateway a passkey"),
        (MASTER, b"", "gateway a passkey"),
    ):
        with pytest.raises(UnopenedError):
            Seal(key).open(text, place)
