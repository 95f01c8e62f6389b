"""Proofs of a password, as a login brings them: in the clear (PAP), as the answer to a challenge (CHAP), or none."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.packets import response_digest
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from easyisp_edge.adapters.radius.packets import Packet, SharedSecret

_BLOCK_OCTETS = 16
_HIDDEN_OCTETS_MAX = 128
_CHAP_OCTETS = 17
_MS_CHAP_RESPONSES = frozenset((number.MS_CHAP_RESPONSE, number.MS_CHAP2_RESPONSE))


@dataclass(frozen=True, slots=True)
class PapPassword:
    """A password that came in the clear; not shown in logs."""

    password: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Whether it is that password; takes equally long either way."""
        return hmac.compare_digest(self.password, password.encode())


@dataclass(frozen=True, slots=True)
class ChapResponse:
    """The answer to a challenge; not shown in logs, since short passwords can be guessed from it."""

    identifier: int = field(repr=False)
    response: bytes = field(repr=False)
    challenge: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Whether it was made from that password; takes equally long either way."""
        expected = response_digest(self.identifier, password.encode(), self.challenge)
        return hmac.compare_digest(self.response, expected)


@dataclass(frozen=True, slots=True)
class NoPassword:
    """No password at all, or an empty one, as a login by the device's address brings it."""

    def matches(self, password: str) -> bool:  # noqa: ARG002 - as its siblings take it
        """Never: it proves nothing, not even of a password that were empty."""
        return False


def credential(packet: Packet, secret: SharedSecret) -> PapPassword | ChapResponse | NoPassword:
    """The one proof in a login.

    Raises:
        InvalidError: There are both kinds, or one we cannot check, or its length is impossible.

    Source: RFC 2865 sections 5.2, 5.3 and 5.40.
    """
    hidden = packet.value(number.USER_PASSWORD)
    answered = packet.value(number.CHAP_PASSWORD)
    if hidden is not None and answered is None:
        return _pap(hidden, packet, secret)
    if answered is not None and hidden is None:
        return _chap(answered, packet)
    if answered is not None:
        raise InvalidError("radius.credential", "A login needs one password, by PAP or by CHAP.")
    if _has_foreign_proof(packet):
        raise InvalidError(
            "radius.method", "Logins work by PAP or CHAP here, not by EAP or MS-CHAP; set the router to PAP or CHAP."
        )
    return NoPassword()


def _has_foreign_proof(packet: Packet) -> bool:
    if number.EAP_MESSAGE in packet.offsets:
        return True
    if number.VENDOR_SPECIFIC not in packet.offsets:
        return False
    return not _MS_CHAP_RESPONSES.isdisjoint(packet.vendor_attributes(number.MICROSOFT))


def _pap(hidden: bytes, packet: Packet, secret: SharedSecret) -> PapPassword | NoPassword:
    if not hidden:
        return NoPassword()
    if not _BLOCK_OCTETS <= len(hidden) <= _HIDDEN_OCTETS_MAX or len(hidden) % _BLOCK_OCTETS:
        raise InvalidError("radius.credential", "User-Password has an impossible length.")
    password = secret.reveal_password(hidden, packet.authenticator)
    return PapPassword(password) if password else NoPassword()


def _chap(answered: bytes, packet: Packet) -> ChapResponse:
    if len(answered) != _CHAP_OCTETS:
        raise InvalidError("radius.credential", "CHAP-Password has an impossible length.")
    challenge = packet.value(number.CHAP_CHALLENGE) or packet.authenticator
    return ChapResponse(answered[0], answered[1:], challenge)
