"""Disconnect-Request and CoA-Request as bytes, and what a router says to them.

Source: RFC 5176; MikroTik, RADIUS (connection terminating and change of authorization).
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.packets import (
    HEADER_OCTETS,
    NO_DIGEST,
    VALUE_OCTETS_MAX,
    SharedSecret,
    attribute,
    integer_attribute,
    md5,
    mikrotik_attribute,
    mikrotik_integer_attribute,
    packet_head,
)
from easyisp_edge.errors import InvalidError
from easyisp_edge.machine import UdpAddress

if TYPE_CHECKING:
    from easyisp_edge.adapters.radius.packets import Packet
    from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit

# Packet codes: to each request belongs an ACK, the next number, and a NAK, the one after.
DISCONNECT_REQUEST: Final = 40
COA_REQUEST: Final = 43

ERROR_CAUSE: Final = 101
SESSION_CONTEXT_NOT_FOUND: Final = 503

_ERROR_CAUSES = {
    401: "an attribute that it does not take",
    402: "an attribute missing",
    403: "meant for another router",
    404: "an invalid request",
    405: "a service that it does not offer",
    406: "an extension that it does not know",
    407: "an attribute with an invalid value",
    501: "administratively prohibited",
    502: "not routable",
    504: "a session that it cannot remove",
    505: "trouble at a proxy",
    506: "resources unavailable",
    507: "a new request was needed",
    508: "more than one session is meant",
}

_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class CoaRouter:
    """A router that takes orders about its sessions.

    Args:
        router_id: Its id in the configuration.
        address: The IP address it takes them at, and answers from.
        port: UDP, as `/radius/incoming` has it.
        secret: That of the router's `/radius` entry for this box; at least one octet.
        message_authenticator: Whether requests carry one. RouterOS does not ask for it.

    Raises:
        InvalidError: Address, port or secret is none.
    """

    router_id: str
    address: str
    port: int
    secret: bytes = field(repr=False)
    message_authenticator: bool = False

    def __post_init__(self) -> None:
        if not self.secret:
            raise InvalidError("radius.secret", f"Router {self.router_id} has an empty RADIUS secret.")
        if not 0 < self.port <= _PORT_MAX:
            raise InvalidError("radius.port", f"{self.port} of router {self.router_id} is no UDP port.")
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError as error:
            raise InvalidError(
                "radius.address", f"{self.address!r:.60} of router {self.router_id} is no IP address."
            ) from error
        if address.is_unspecified:
            raise InvalidError("radius.address", f"Router {self.router_id} needs an address of its own.")

    @property
    def place(self) -> UdpAddress:
        """Where requests go, and the only place replies are believed from."""
        return UdpAddress(str(ipaddress.ip_address(self.address)), self.port)


@dataclass(frozen=True, slots=True)
class CoaSession:
    """What names one session on one router; the more is known the surer it is that no other is hit.

    A router that finds no session to which all of it applies says that there is none.

    Args:
        router: Where it is.
        username: Whose it is.
        address: The device's IPv4 address.
        acct_session_id: As the router reports it.
        mac: The device. Written as RouterOS writes it unless its `radius-mac-format` was changed: leave it out there.

    Raises:
        InvalidError: One of them cannot be written.
    """

    router: CoaRouter
    username: str
    address: str | None = None
    acct_session_id: str | None = None
    mac: MacAddress | None = None

    def __post_init__(self) -> None:
        self.attributes()

    def attributes(self) -> bytes:
        """The attributes that name it."""
        named = _text(number.USER_NAME, self.username)
        if self.address is not None:
            named += attribute(number.FRAMED_IP_ADDRESS, _address(self.address))
        if self.acct_session_id is not None:
            named += _text(number.ACCT_SESSION_ID, self.acct_session_id)
        if self.mac is not None:
            named += _text(number.CALLING_STATION_ID, str(self.mac))
        return named


def _text(kind: int, text: str) -> bytes:
    # Cut short, as text for people may be, a name would name another session.
    try:
        value = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("coa.session", "What names a session cannot be written in UTF-8.") from error
    if not 0 < len(value) <= VALUE_OCTETS_MAX:
        raise InvalidError("coa.session", f"What names a session has 1 to {VALUE_OCTETS_MAX} octets.")
    return attribute(kind, value)


def _address(text: str) -> bytes:
    try:
        return ipaddress.IPv4Address(text).packed
    except ValueError as error:
        raise InvalidError("coa.session", f"{text!r:.60} is no IPv4 address of a device.") from error


def change_attributes(session_seconds: int | None, rate_limit: RateLimit | None, data_left: DataVolume | None) -> bytes:
    """What a session is to be held to from now on; empty where nothing is given."""
    changes = b""
    if session_seconds is not None:
        seconds = min(max(session_seconds, 1), number.SESSION_SECONDS_MAX)
        changes += integer_attribute(number.SESSION_TIMEOUT, seconds)
    if rate_limit is not None:
        changes += mikrotik_attribute(number.MIKROTIK_RATE_LIMIT, str(rate_limit).encode())
    return changes if data_left is None else changes + _total_limit(data_left)


def _total_limit(volume: DataVolume) -> bytes:
    octets = min(volume.octets, number.OCTETS_MAX)
    # Both words always: what a change leaves out may stay as it was. A low word of nought might mean "no limit".
    return mikrotik_integer_attribute(
        number.MIKROTIK_TOTAL_LIMIT, octets & number.WORD_MAX or 1
    ) + mikrotik_integer_attribute(number.MIKROTIK_TOTAL_LIMIT_GIGAWORDS, octets >> 32)


def request_packet(code: int, identifier: int, attributes: bytes, router: CoaRouter) -> bytes:
    """A request sealed with the router's secret.

    Source: RFC 5176 sections 2.3 (Request Authenticator) and 3.4 (Message-Authenticator).
    """
    if router.message_authenticator:
        unsigned = attribute(number.MESSAGE_AUTHENTICATOR, NO_DIGEST) + attributes
        signature = hmac.digest(router.secret, _blank(code, identifier, unsigned), "md5")
        attributes = attribute(number.MESSAGE_AUTHENTICATOR, signature) + attributes
    blank = _blank(code, identifier, attributes)
    return blank[:4] + md5(blank + router.secret) + attributes


def _blank(code: int, identifier: int, attributes: bytes) -> bytes:
    return packet_head(code, identifier, HEADER_OCTETS + len(attributes)) + NO_DIGEST + attributes


def reply_holds(reply: Packet, request: bytes, router: CoaRouter) -> bool:
    """Whether a reply is an ACK or a NAK to that very request, from someone who knows the router's secret.

    Source: RFC 5176 sections 2.3 and 3.4.
    """
    datagram = reply.datagram
    if datagram[0] not in {request[0] + 1, request[0] + 2} or datagram[1] != request[1]:
        return False
    expected = md5(datagram[:4] + request[4:20] + datagram[20:] + router.secret)
    if not hmac.compare_digest(reply.authenticator, expected):
        return False
    if number.MESSAGE_AUTHENTICATOR not in reply.offsets:
        return True
    return SharedSecret(router.secret).message_authenticator_holds(reply, request[4:20])


def error_cause(reply: Packet) -> int | None:
    """The number a NAK gives as its cause; None where it gives none that can be read.

    Source: RFC 5176 section 3.5.
    """
    try:
        return reply.integer(ERROR_CAUSE)
    except InvalidError:
        return None


def cause_in_words(cause: int | None) -> str:
    """What a cause means, for a technician."""
    if cause is None:
        return "no cause given"
    return f"{_ERROR_CAUSES.get(cause, 'an unknown cause')} (Error-Cause {cause})"
