"""Disconnect-Request and CoA-Request, as `/radius/incoming` takes them.

Source: RFC 5176; RouterOS manual, RADIUS (connection terminating and change of authorization).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyrad import packet as pyrad_packet

from easyisp_edge.lab.mikrotik.radius_packets import first_value, granted, radius_dictionary
from easyisp_edge.lab.mikrotik.sessions import TerminateCause

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.radius_side import RadiusSide
    from easyisp_edge.lab.mikrotik.sessions import Session

DEFAULT_PORT = 3799
_NAMES_SESSION = frozenset({"User-Name", "Framed-IP-Address", "Acct-Session-Id", "Calling-Station-Id"})
_NAMES_NAS = frozenset({"NAS-IP-Address", "NAS-Identifier", "Message-Authenticator", "Event-Timestamp", "Proxy-State"})
_CHANGES = frozenset(
    {
        "Session-Timeout",
        "Idle-Timeout",
        "Port-Limit",
        "Mikrotik-Rate-Limit",
        "Mikrotik-Recv-Limit",
        "Mikrotik-Recv-Limit-Gigawords",
        "Mikrotik-Xmit-Limit",
        "Mikrotik-Xmit-Limit-Gigawords",
    }
)


@dataclass(slots=True)
class IncomingCounters:
    """What `/radius/incoming/monitor` shows."""

    requests: int = 0
    bad_requests: int = 0
    acks: int = 0
    naks: int = 0


class RadiusIncoming(asyncio.DatagramProtocol):
    """The socket that takes requests from configured RADIUS servers.

    Args:
        configuration: The router's tables.
        hotspot: Whose sessions are meant.
        radius: Knows the servers and how they are told a MAC.
    """

    def __init__(self, configuration: Configuration, hotspot: Hotspot, radius: RadiusSide) -> None:
        self.cut_off = False
        self.counters = IncomingCounters()
        self._configuration = configuration
        self._hotspot = hotspot
        self._radius = radius
        self._transport: asyncio.DatagramTransport | None = None
        self._written = DEFAULT_PORT

    @property
    def written_port(self) -> int:
        """The port that the router says it listens on."""
        return self._written

    @property
    def port(self) -> int | None:
        """The UDP port it listens on; None while it is off."""
        return None if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    async def open(self, host: str, port: int) -> None:
        """Listen; 0 takes any free port.

        Raises:
            OSError: The port is taken.
        """
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._written = self.port or port

    async def open_as(self, host: str, port: int) -> None:
        """Listen as a router that has all its ports free: where this one is taken on this machine, another stands in.

        Raises:
            OSError: No port is free.
        """
        try:
            await self.open(host, port)
        except OSError:
            await self.open(host, 0)
            self._written = port

    def write_port(self, port: int) -> None:
        """Say where it would listen, were it on."""
        self._written = port

    def reset(self) -> None:
        """Be off, as from the factory."""
        self.close()
        self._written = DEFAULT_PORT

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """A request came: carry it out and answer, or stay silent where its sender has no secret."""
        if self.cut_off or self._transport is None:
            return
        self.counters.requests += 1
        self._hotspot.settle()
        try:
            request = self._verified(data, addr[0])
            reply = None if request is None else self._carried_out(request)
        except (pyrad_packet.PacketError, ValueError):  # cut short, or an attribute of impossible length
            reply = None
        if reply is None:
            self.counters.bad_requests += 1
        else:
            self._transport.sendto(reply.ReplyPacket(), addr)

    def _verified(self, data: bytes, sender: str) -> Any | None:
        radius = self._configuration.radius
        for row in self._radius.rows():
            if radius.value(row, "address") != sender:
                continue
            secret = radius.value(row, "secret").encode("utf-8", "surrogateescape")
            request = pyrad_packet.CoAPacket(secret=secret, dict=radius_dictionary(), packet=data)
            known = request.code in {pyrad_packet.DisconnectRequest, pyrad_packet.CoARequest}
            if known and request.VerifyCoARequest():
                return request
        return None

    def _carried_out(self, request: Any) -> Any:
        disconnect = request.code == pyrad_packet.DisconnectRequest
        session = self._session(request)
        changes = set(request.keys()) - _NAMES_SESSION - _NAMES_NAS
        if session is None:
            return self._nak(request, "Session-Context-Not-Found")
        if disconnect:
            self._hotspot.end(session, TerminateCause.ADMIN_RESET)
        elif not changes <= _CHANGES:
            return self._nak(request, "Unsupported-Attribute")
        else:
            self._hotspot.entitle(session, granted(request, session.entitlement))
        self.counters.acks += 1
        return request.CreateReply()

    def _nak(self, request: Any, why: str) -> Any:
        self.counters.naks += 1
        reply = request.CreateReply()
        disconnect = request.code == pyrad_packet.DisconnectRequest
        reply.code = pyrad_packet.DisconnectNAK if disconnect else pyrad_packet.CoANAK
        reply["Error-Cause"] = why
        return reply

    def _session(self, request: Any) -> Session | None:
        if not any(name in request for name in _NAMES_SESSION):
            return None
        for session in self._hotspot.sessions.values():
            if session.entitlement.radius and self._is_meant(session, request):
                return session
        return None

    def _is_meant(self, session: Session, request: Any) -> bool:
        said = {
            "User-Name": session.user,
            "Framed-IP-Address": session.host.ip,
            "Acct-Session-Id": session.acct_id,
            "Calling-Station-Id": self._radius.calling_station(session.host),
        }
        return all(first_value(request, name, value) == value for name, value in said.items())
