"""CHAP by a form: the browser answers a challenge, and the router never sees the password.

Source: RouterOS manual, Hotspot customisation; RFC 1994, section 4.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.radius_packets import ChapChallenge

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.sessions import Host
    from easyisp_edge.machine import Randomness

_LIVES_SECONDS = 3600.0
_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class ChapAnswer(ChapChallenge):
    """A challenge with what a browser made of it and of a password that only the browser knows.

    Args:
        digest: 16 octets.
    """

    digest: bytes

    def answer(self, password: str) -> bytes:  # noqa: ARG002 - it is answered already
        """The 17 octets of CHAP-Password, as the browser answered."""
        return self.identifier + self.digest

    def fits(self, password: str) -> bool:
        """Whether it was made with this password."""
        return ChapChallenge(self.identifier, self.challenge).answer(password) == self.answer("")


def challenge_for(host: Host, now: float, randomness: Randomness) -> ChapChallenge:
    """The device's challenge, a new one after an hour without a page; `now` in monotonic seconds."""
    if host.challenge is None or now - host.challenged >= _LIVES_SECONDS:
        host.challenge = ChapChallenge(randomness.token(1), randomness.token(16))
    host.challenged = now
    return host.challenge


def answered(host: Host, now: float, password: str) -> ChapAnswer | None:
    """What the password field of a form is if it answers the device's challenge; None where it does not look so."""
    if host.challenge is None or now - host.challenged >= _LIVES_SECONDS or not _HEX_DIGEST.fullmatch(password):
        return None
    return ChapAnswer(host.challenge.identifier, host.challenge.challenge, bytes.fromhex(password))


def octal(octets: bytes) -> str:
    """Octets as the pages print them, for a text in a script: three octal digits each, after a backslash."""
    return "".join(f"\\{octet:03o}" for octet in octets)
