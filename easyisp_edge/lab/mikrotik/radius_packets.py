"""The RADIUS packets of a hotspot: which attributes it sends, in which order, and what it reads from replies.

Source: RFC 2865, 2866 and 2869; RouterOS manual, RADIUS; captures of RouterOS 7.
"""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from pyrad import packet as pyrad_packet
from pyrad.dictionary import Dictionary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.mikrotik.hotspot import Attempt
    from easyisp_edge.lab.mikrotik.sessions import Entitlement, Host, Session, TerminateCause

_GIGAWORD = 2**32
_CLASS = 25  # by number: by name pyrad would read octets that begin with 0x as hex
_PORT_TYPES = {"wireless-802.11": "Wireless-802.11", "ethernet": "Ethernet", "cable": "Cable"}


@functools.cache
def radius_dictionary() -> Any:
    """The attributes by name, as pyrad wants them."""
    text = resources.files(__package__).joinpath("dictionary").read_text("utf-8")
    return Dictionary(io.StringIO(text))


@dataclass(frozen=True, slots=True)
class NasView:
    """What the router says of itself and the device's place in every packet.

    Args:
        identity: `/system/identity`.
        nas_ip: The address it sends from.
        server_name: The hotspot server.
        interface: Of that server.
        port_type: The profile's nas-port-type.
        calling: The device's MAC in the profile's radius-mac-format.
        logoff_url: The servlet's logout page.
    """

    identity: str
    nas_ip: str
    server_name: str
    interface: str
    port_type: str
    calling: str
    logoff_url: str


@dataclass(frozen=True, slots=True)
class ChapChallenge:
    """What a CHAP answer is made from."""

    identifier: bytes
    challenge: bytes

    def answer(self, password: str) -> bytes:
        """The 17 octets of CHAP-Password. Source: RFC 2865, section 2.2."""
        hashed = hashlib.md5(self.identifier + password.encode() + self.challenge, usedforsecurity=False)
        return self.identifier + hashed.digest()


def access_request(
    attempt: Attempt,
    nas: NasView,
    identifier: int,
    *,
    secret: bytes,
    authenticator: bytes,
    chap: ChapChallenge | None,
    message_authenticator: bool,
) -> Any:
    """An Access-Request; Message-Authenticator, if any, stands last."""
    request = pyrad_packet.AuthPacket(
        id=identifier, secret=secret, authenticator=authenticator, dict=radius_dictionary()
    )
    _add_place(request, nas)
    request["User-Name"] = attempt.user
    request["NAS-Port"] = int(attempt.acct_id, 16)
    request["Acct-Session-Id"] = attempt.acct_id
    _add_addresses(request, attempt.host)
    if chap is None:
        request["User-Password"] = request.PwCrypt(attempt.password)
    else:
        request["CHAP-Challenge"] = chap.challenge
        request["CHAP-Password"] = chap.answer(attempt.password)
    request["Service-Type"] = "Login-User"
    request["WISPr-Logoff-URL"] = nas.logoff_url
    request["NAS-Identifier"] = nas.identity
    request["NAS-IP-Address"] = nas.nas_ip
    if message_authenticator:
        request[80] = [bytes(16)]  # pyrad keeps the place it finds and fills the value when it encodes
        request.message_authenticator = True
    return request


def accounting_request(
    session: Session,
    nas: NasView,
    *,
    status: str,
    at: float,
    timestamp: int,
    cause: TerminateCause | None = None,
) -> dict[str | int, Any]:
    """The attributes of an Accounting-Request, in order; `at` is the instant it speaks of, monotonic seconds."""
    attributes: dict[str | int, Any] = {"Acct-Status-Type": status}
    if cause is not None:
        attributes["Acct-Terminate-Cause"] = int(cause)
    _add_place(attributes, nas)
    attributes["User-Name"] = session.user
    attributes["NAS-Port"] = int(session.acct_id, 16)
    attributes["Acct-Session-Id"] = session.acct_id
    if session.entitlement.classes:
        attributes[_CLASS] = list(session.entitlement.classes)
    _add_addresses(attributes, session.host)
    if status != "Start":
        attributes |= _usage(session, at)
    attributes["Event-Timestamp"] = timestamp
    attributes["NAS-Identifier"] = nas.identity
    attributes["Acct-Delay-Time"] = 0
    attributes["NAS-IP-Address"] = nas.nas_ip
    return attributes


def accounting_packet(attributes: Mapping[str | int, Any], secret: bytes, identifier: int) -> Any:
    """An Accounting-Request of these attributes."""
    request = pyrad_packet.AcctPacket(id=identifier, secret=secret, dict=radius_dictionary())
    for name, value in attributes.items():
        request[name] = value
    return request


def granted(reply: Any, base: Entitlement) -> Entitlement:
    """What an Access-Accept or a CoA-Request gives; what it does not say stays as in `base`."""
    return replace(
        base,
        session_timeout=_seconds(reply, "Session-Timeout", base.session_timeout),
        idle_timeout=_seconds(reply, "Idle-Timeout", base.idle_timeout),
        interim_seconds=_seconds(reply, "Acct-Interim-Interval", base.interim_seconds),
        limit_bytes_in=_limit(reply, "Mikrotik-Recv-Limit", base.limit_bytes_in),
        limit_bytes_out=_limit(reply, "Mikrotik-Xmit-Limit", base.limit_bytes_out),
        limit_bytes_total=_limit(reply, "Mikrotik-Total-Limit", base.limit_bytes_total),
        shared=first_value(reply, "Port-Limit", base.shared),
        rate_limit=_rate_limit(reply, base.rate_limit),
        classes=tuple(reply.get("Class") or base.classes),
    )


def first_value(packet: Any, name: str, otherwise: Any = None) -> Any:
    """The attribute's first value, or `otherwise`."""
    values = packet.get(name)
    return values[0] if values else otherwise


def _add_place(packet: Any, nas: NasView) -> None:
    packet["NAS-Port-Type"] = _PORT_TYPES.get(nas.port_type, "Wireless-802.11")
    packet["Calling-Station-Id"] = nas.calling
    packet["Called-Station-Id"] = nas.server_name
    packet["NAS-Port-Id"] = nas.interface


def _add_addresses(packet: Any, host: Host) -> None:
    packet["Framed-IP-Address"] = host.ip
    packet["Mikrotik-Host-IP"] = host.ip


def _usage(session: Session, at: float) -> dict[str | int, Any]:
    return {
        "Acct-Input-Octets": session.bytes_in % _GIGAWORD,
        "Acct-Output-Octets": session.bytes_out % _GIGAWORD,
        "Acct-Input-Gigawords": session.bytes_in // _GIGAWORD,
        "Acct-Output-Gigawords": session.bytes_out // _GIGAWORD,
        "Acct-Input-Packets": session.packets_in % _GIGAWORD,
        "Acct-Output-Packets": session.packets_out % _GIGAWORD,
        "Acct-Session-Time": int(session.uptime(at)),
    }


def _seconds(reply: Any, name: str, otherwise: float | None) -> float | None:
    value = first_value(reply, name)
    return otherwise if value is None else float(value) or None


def _limit(reply: Any, name: str, otherwise: int | None) -> int | None:
    low, high = first_value(reply, name), first_value(reply, f"{name}-Gigawords")
    if low is None and high is None:
        return otherwise
    return ((high or 0) * _GIGAWORD + (low or 0)) or None


def _rate_limit(reply: Any, otherwise: str) -> str:
    limit = first_value(reply, "Mikrotik-Rate-Limit")
    if limit is not None:
        return str(limit)
    up = first_value(reply, "WISPr-Bandwidth-Max-Up")
    down = first_value(reply, "WISPr-Bandwidth-Max-Down")
    return otherwise if up is None and down is None else f"{up or down}/{down or up}"
