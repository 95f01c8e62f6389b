"""Access-Request to login, and a login's answer to the attributes of its reply."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.credentials import credential
from easyisp_edge.adapters.radius.packets import (
    attribute,
    integer_attribute,
    mikrotik_attribute,
    mikrotik_integer_attribute,
    text_attribute,
)
from easyisp_edge.domain.logins import LoginRequest
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from easyisp_edge.adapters.radius.packets import Packet, SharedSecret
    from easyisp_edge.domain.logins import LoginAccepted
    from easyisp_edge.domain.values import DataVolume, RateLimit

GRANT_MARK = b"edge:"

_ADDRESS_OCTETS = 4
_NO_ADDRESSES = frozenset((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe"))

# A login form may add attributes to the router's own. What we read, or the router speaks for itself with,
# must therefore be there once; Proxy-State too, since one proxy at most stands between a router and us.
# Of vendors' attributes nothing is read that lets anybody on, so those may come as they like.
_ONCE = frozenset(
    (
        number.USER_NAME,
        number.USER_PASSWORD,
        number.CHAP_PASSWORD,
        number.CHAP_CHALLENGE,
        number.NAS_IP_ADDRESS,
        number.NAS_IPV6_ADDRESS,
        number.NAS_PORT,
        number.NAS_PORT_TYPE,
        number.NAS_PORT_ID,
        number.NAS_IDENTIFIER,
        number.SERVICE_TYPE,
        number.FRAMED_PROTOCOL,
        number.FRAMED_IP_ADDRESS,
        number.FRAMED_IP_NETMASK,
        number.STATE,
        number.CLASS,
        number.CALLED_STATION_ID,
        number.CALLING_STATION_ID,
        number.ACCT_SESSION_ID,
        number.PROXY_STATE,
    )
)


def login_request(packet: Packet, router_id: str, secret: SharedSecret) -> LoginRequest:
    """What an Access-Request asks; attributes that are not needed are ignored.

    Raises:
        InvalidError: An attribute is doubled, missing or senseless; the login is to be rejected.

    Source: RFC 2865 section 4.1; MikroTik, Hotspot customisation (`radius<id>` in the login form).
    """
    if packet.repeated and not _ONCE.isdisjoint(packet.repeated):
        raise InvalidError("radius.doubled", "The router sent an attribute twice that may stand only once.")
    return LoginRequest(
        router_id=router_id,
        username=_username(packet),
        credential=credential(packet, secret),
        mac=device_mac(packet),
        address=device_address(packet),
        service=_service(packet),
        session_id=(packet.value(number.ACCT_SESSION_ID) or b"").decode(errors="replace"),
    )


def _username(packet: Packet) -> str:
    value = packet.value(number.USER_NAME)
    if not value:
        raise InvalidError("radius.username", "A login needs a user name.")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidError("radius.username", "The user name is not written in UTF-8.") from error


def _service(packet: Packet) -> Service:
    if packet.integer(number.SERVICE_TYPE) != number.SERVICE_TYPE_FRAMED:
        return Service.HOTSPOT
    ppp = packet.integer(number.FRAMED_PROTOCOL) == number.FRAMED_PROTOCOL_PPP
    return Service.PPPOE if ppp else Service.HOTSPOT


def device_mac(packet: Packet) -> MacAddress | None:
    """The device's hardware address, where Calling-Station-Id holds one."""
    value = packet.value(number.CALLING_STATION_ID)
    return None if value is None else _mac(value)


@lru_cache(maxsize=1024)
def _mac(value: bytes) -> MacAddress | None:
    try:
        return MacAddress.parse(value.decode("ascii"))
    except (UnicodeDecodeError, InvalidError):
        return None


def device_address(packet: Packet) -> str | None:
    """The device's IP address; None where there is none yet.

    Raises:
        InvalidError: It is not four octets long.

    Source: RFC 2865 section 5.8.
    """
    value = packet.value(number.FRAMED_IP_ADDRESS)
    if value is None:
        return None
    if len(value) != _ADDRESS_OCTETS:
        raise InvalidError("radius.address", "Framed-IP-Address is no address of four octets.")
    return None if value in _NO_ADDRESSES else socket.inet_ntoa(value)


def accept_attributes(answer: LoginAccepted, interim_seconds: int) -> bytes:
    """What the router is to hold the session to.

    Source: MikroTik, RADIUS (attributes of Access-Accept).
    """
    seconds = min(max(answer.session_seconds, 1), number.SESSION_SECONDS_MAX)
    return (
        integer_attribute(number.SESSION_TIMEOUT, seconds)
        + _rate_limit(answer.rate_limit)
        + (b"" if answer.data_left is None else _total_limit(answer.data_left))
        + integer_attribute(number.PORT_LIMIT, answer.devices_max)
        + integer_attribute(number.ACCT_INTERIM_INTERVAL, interim_seconds)
        + attribute(number.CLASS, GRANT_MARK + answer.grant_id.encode())
    )


def framed_attributes(pool: str | None) -> bytes:
    """What an accept of a PPPoE session carries beside.

    Args:
        pool: The router's pool of addresses to take its address from; None for what its profile says.

    Source: RFC 2865 sections 5.6 and 5.7, RFC 2869 section 5.18; MikroTik, RADIUS.
    """
    return (
        integer_attribute(number.SERVICE_TYPE, number.SERVICE_TYPE_FRAMED)
        + integer_attribute(number.FRAMED_PROTOCOL, number.FRAMED_PROTOCOL_PPP)
        + text_attribute(number.FRAMED_POOL, pool or "")
    )


@lru_cache(maxsize=64)
def _rate_limit(rate_limit: RateLimit) -> bytes:
    return mikrotik_attribute(number.MIKROTIK_RATE_LIMIT, str(rate_limit).encode())


def _total_limit(volume: DataVolume) -> bytes:
    octets = min(volume.octets, number.OCTETS_MAX)
    # Whether a router takes a low word of nought for "no limit" is not documented: one octet more avoids it.
    low = octets & number.WORD_MAX or 1
    high = octets >> 32
    limit = mikrotik_integer_attribute(number.MIKROTIK_TOTAL_LIMIT, low)
    if high:
        limit += mikrotik_integer_attribute(number.MIKROTIK_TOTAL_LIMIT_GIGAWORDS, high)
    return limit


def reject_attributes(message: str) -> bytes:
    """The message the customer sees, at most 253 octets of UTF-8."""
    return text_attribute(number.REPLY_MESSAGE, message)
