"""Packets as bytes: taken apart with strict checks, verified, answered.

This is the hot path of a router's restart, when every device asks at once: a request is walked once, and a
value is cut out only where it is asked for.

Source: RFC 2865 section 3, RFC 2866 section 3, RFC 3579 section 3.2.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import NamedTuple

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.errors import InvalidError

HEADER_OCTETS = 20
_PACKET_OCTETS_MAX = 4096
VALUE_OCTETS_MAX = 253
_INTEGER_OCTETS = 4
_DIGEST_OCTETS = 16
# A hotspot's login repeats only Vendor-Specific, a few times; thousands of empty attributes are an attack.
_REPEATS_MAX = 64
_PROXY_STATE_OCTETS_MAX = 2048
_VENDOR_HEAD_OCTETS = 6

_HMAC_BLOCK_OCTETS = 64
_INNER_PAD = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD = bytes(octet ^ 0x5C for octet in range(256))

NO_DIGEST = bytes(_DIGEST_OCTETS)
_MESSAGE_AUTHENTICATOR_HEAD = bytes((number.MESSAGE_AUTHENTICATOR, _DIGEST_OCTETS + 2))
_MESSAGE_AUTHENTICATOR_BLANK = _MESSAGE_AUTHENTICATOR_HEAD + NO_DIGEST

packet_head = struct.Struct("!BBH").pack
_integer_attribute = struct.Struct("!BBI").pack
_vendor_head = struct.Struct("!BBIBB").pack
_vendor_integer_attribute = struct.Struct("!BBIBBI").pack


class Packet(NamedTuple):
    """A request whose framing is sound; nothing in it is verified or trusted yet.

    Args:
        datagram: Header and attributes, without padding.
        authenticator: The Request Authenticator.
        offsets: Where the first attribute of each number begins.
        repeated: Numbers seen again after that, once for each time.
    """

    datagram: bytes
    authenticator: bytes
    offsets: dict[int, int]
    repeated: list[int]

    def value(self, attribute: int) -> bytes | None:
        """The value of the first attribute of that number, or None."""
        at = self.offsets.get(attribute)
        if at is None:
            return None
        return self.datagram[at + 2 : at + self.datagram[at + 1]]

    def integer(self, attribute: int) -> int | None:
        """The same as a number.

        Raises:
            InvalidError: It is not four octets long.
        """
        at = self.offsets.get(attribute)
        if at is None:
            return None
        if self.datagram[at + 1] != _INTEGER_OCTETS + 2:
            raise InvalidError("radius.integer", f"Attribute {attribute} is no number of four octets.")
        return int.from_bytes(self.datagram[at + 2 : at + 2 + _INTEGER_OCTETS], "big")

    def proxy_states(self) -> bytes:
        """All Proxy-State attributes, whole and in order, as the reply has to bring them back."""
        return b"".join(self._all(number.PROXY_STATE))

    def vendor_attributes(self, vendor: int) -> set[int]:
        """Numbers of that vendor's attributes, of those written as RFC 2865 section 5.26 suggests."""
        found = set()
        for whole in self._all(number.VENDOR_SPECIFIC):
            if int.from_bytes(whole[2:_VENDOR_HEAD_OCTETS], "big") == vendor:
                at = _VENDOR_HEAD_OCTETS
                while at + 1 < len(whole) and whole[at + 1] > 1:
                    found.add(whole[at])
                    at += whole[at + 1]
        return found

    def _all(self, attribute: int) -> list[bytes]:
        """All attributes of that number, whole and in order."""
        found: list[bytes] = []
        if attribute not in self.offsets:
            return found
        at = self.offsets[attribute]
        while at < len(self.datagram):
            end = at + self.datagram[at + 1]
            if self.datagram[at] == attribute:
                found.append(self.datagram[at:end])
            at = end
        return found


def decode(datagram: bytes) -> Packet:
    """Check a datagram's framing and find its attributes.

    Raises:
        InvalidError: It is cut short, too long, or an attribute runs over its end.

    Source: RFC 2865 section 3.
    """
    if len(datagram) < HEADER_OCTETS:
        raise InvalidError("radius.length", "Shorter than a header.")
    end = datagram[2] << 8 | datagram[3]
    if not HEADER_OCTETS <= end <= len(datagram) or end > _PACKET_OCTETS_MAX:
        raise InvalidError("radius.length", "The length in the header is wrong.")
    if end < len(datagram):  # the rest is padding
        datagram = datagram[:end]
    offsets, repeated = _find_attributes(datagram)
    packet = Packet(datagram, datagram[4:20], offsets, repeated)
    if number.PROXY_STATE in offsets and len(packet.proxy_states()) > _PROXY_STATE_OCTETS_MAX:
        raise InvalidError("radius.proxy_state", "More Proxy-State than fits into a reply.")
    return packet


def _find_attributes(datagram: bytes) -> tuple[dict[int, int], list[int]]:
    offsets: dict[int, int] = {}
    repeated: list[int] = []
    at = HEADER_OCTETS
    end = len(datagram)
    last = end - 1
    while at < last:
        attribute = datagram[at]
        length = datagram[at + 1]
        if length < 2:  # noqa: PLR2004 - number and length themselves
            raise InvalidError("radius.attribute", "An attribute is shorter than its own head.")
        if attribute not in offsets:
            offsets[attribute] = at
        elif len(repeated) < _REPEATS_MAX:
            repeated.append(attribute)
        else:
            raise InvalidError("radius.attribute", "Too many repeated attributes.")
        at += length
    if at != end:
        raise InvalidError("radius.attribute", "An attribute runs over the end.")
    return offsets, repeated


class SharedSecret:
    """What a router and we share, ready for use; shows itself nowhere.

    Args:
        secret: As configured on the router, at least one octet.
    """

    __slots__ = ("_inner", "_outer", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # HMAC's two keyed states, copied for each packet: half of what `hmac` takes, which keys them anew.
        key = (secret if len(secret) <= _HMAC_BLOCK_OCTETS else md5(secret)).ljust(_HMAC_BLOCK_OCTETS, b"\0")
        self._inner = hashlib.md5(key.translate(_INNER_PAD))  # noqa: S324 - the protocol prescribes it
        self._outer = hashlib.md5(key.translate(_OUTER_PAD))  # noqa: S324 - the protocol prescribes it

    def _signature(self, octets: bytes) -> bytes:
        """HMAC-MD5 (RFC 2104) of the octets."""
        inner = self._inner.copy()
        inner.update(octets)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def message_authenticator_holds(self, packet: Packet, authenticator: bytes) -> bool:
        """Whether the packet has exactly one Message-Authenticator, and it is right.

        Args:
            packet: The request.
            authenticator: What it was made over: the Request Authenticator, or 16 zero octets for accounting.

        Source: RFC 3579 section 3.2, RFC 5997 section 3.
        """
        value = packet.value(number.MESSAGE_AUTHENTICATOR)
        if value is None or number.MESSAGE_AUTHENTICATOR in packet.repeated:
            return False
        datagram = packet.datagram
        start = packet.offsets[number.MESSAGE_AUTHENTICATOR] + 2
        expected = self._signature(
            datagram[:4] + authenticator + datagram[20:start] + NO_DIGEST + datagram[start + _DIGEST_OCTETS :]
        )
        return hmac.compare_digest(value, expected)

    def accounting_authenticator_holds(self, packet: Packet) -> bool:
        """Whether the sender of an Accounting-Request knows the secret.

        Source: RFC 2866 section 3.
        """
        datagram = packet.datagram
        expected = md5(datagram[:4] + NO_DIGEST + datagram[20:] + self._secret)
        return hmac.compare_digest(packet.authenticator, expected)

    def reveal_password(self, hidden: bytes, authenticator: bytes) -> bytes:
        """The password in the clear, without its padding; rubbish where the router has another secret.

        Args:
            hidden: The value of User-Password: 16 to 128 octets, a multiple of 16.
            authenticator: The Request Authenticator.

        Source: RFC 2865 section 5.2.
        """
        clear = []
        previous = authenticator
        for at in range(0, len(hidden), _DIGEST_OCTETS):
            block = hidden[at : at + _DIGEST_OCTETS]
            mask = int.from_bytes(md5(self._secret + previous), "big")
            clear.append((int.from_bytes(block, "big") ^ mask).to_bytes(_DIGEST_OCTETS, "big"))
            previous = block
        return b"".join(clear).rstrip(b"\0")

    def signed_reply(self, code: int, request: Packet, attributes: bytes) -> bytes:
        """A reply that begins with Message-Authenticator, for logins and Status-Server.

        Source: RFC 2865 section 3, RFC 3579 section 3.2; the place of Message-Authenticator: CVE-2024-3596.
        """
        length = HEADER_OCTETS + len(_MESSAGE_AUTHENTICATOR_BLANK) + len(attributes)
        start = packet_head(code, request.datagram[1], length) + request.authenticator
        signature = self._signature(start + _MESSAGE_AUTHENTICATOR_BLANK + attributes)
        return self._sealed(start, _MESSAGE_AUTHENTICATOR_HEAD + signature + attributes)

    def accounting_reply(self, request: Packet, attributes: bytes) -> bytes:
        """An Accounting-Response.

        Source: RFC 2866 section 4.2.
        """
        length = HEADER_OCTETS + len(attributes)
        start = packet_head(number.ACCOUNTING_RESPONSE, request.datagram[1], length) + request.authenticator
        return self._sealed(start, attributes)

    def _sealed(self, start: bytes, attributes: bytes) -> bytes:
        return start[:4] + md5(start + attributes + self._secret) + attributes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute; its value may be at most 253 octets long."""
    return bytes((kind, len(value) + 2)) + value


def text_attribute(kind: int, text: str) -> bytes:
    """One attribute of text, cut at a whole character where it is too long; nothing for an empty text."""
    value = text.encode()
    if len(value) > VALUE_OCTETS_MAX:
        value = value[:VALUE_OCTETS_MAX].decode(errors="ignore").encode()
    return attribute(kind, value) if value else b""


def integer_attribute(kind: int, value: int) -> bytes:
    """One attribute with a number of 32 bits."""
    return _integer_attribute(kind, 6, value)


def mikrotik_attribute(kind: int, value: bytes) -> bytes:
    """One attribute of MikroTik's; its value may be at most 247 octets long."""
    length = len(value)
    return _vendor_head(number.VENDOR_SPECIFIC, length + 8, number.MIKROTIK, kind, length + 2) + value


def mikrotik_integer_attribute(kind: int, value: int) -> bytes:
    """One attribute of MikroTik's with a number of 32 bits."""
    return _vendor_integer_attribute(number.VENDOR_SPECIFIC, 12, number.MIKROTIK, kind, 6, value)


def md5(octets: bytes) -> bytes:
    """The digest that replies, requests and passwords are sealed with."""
    return hashlib.md5(octets).digest()  # noqa: S324 - the protocol prescribes it


def response_digest(identifier: int, password: bytes, challenge: bytes) -> bytes:
    """What a device that knows the password answers to a CHAP challenge.

    Source: RFC 1994 section 4.1, RFC 2865 section 5.3.
    """
    return md5(bytes((identifier,)) + password + challenge)
