"""The real machine: its clock, its randomness, its sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import struct
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.errors import EdgeError
from easyisp_edge.machine import ClockState, UdpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

BOOT_ID_VARIABLE = "EASYISP_EDGE_BOOT_ID"
# Holds the burst of a router restart: a thousand devices at about 250 octets each and their overhead.
RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_IP_PKTINFO = 8  # Linux's; the socket module has no name for it yet
_CLOCK_SET_MARKS = (Path("/run/systemd/timesync/synchronized"), Path("/run/chrony/synchronized"))


class SystemClock:
    """The machine's own clock, believed as it stands. For the lab and tests; the daemon has `BoxClock`."""

    state = ClockState.SYNCED

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since boot, time asleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class SystemTime:
    """The machine's raw time.

    Args:
        environ: May hold the boot id; ours where left out.

    Raises:
        EdgeError: The boot id cannot be told.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.boot_id = _boot_id(os.environ if environ is None else environ)

    def wall(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.now(UTC)

    def since_boot(self) -> float:
        """Seconds since boot, time asleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def synchronised(self) -> bool:
        """Whether systemd-timesyncd or chrony has set the clock since boot."""
        return any(_exists(mark) for mark in _CLOCK_SET_MARKS)

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


def _boot_id(environ: Mapping[str, str]) -> str:
    """The boot id, from the service manager or the kernel; they spell it with and without dashes.

    Source: random(4), systemd.unit(5) (specifier %b).
    """
    try:
        boot_id = environ.get(BOOT_ID_VARIABLE) or _BOOT_ID_FILE.read_text(encoding="ascii")
    except OSError as error:
        raise EdgeError(
            "machine.boot_id",
            f"{_BOOT_ID_FILE} cannot be read. A service that must not see it needs Environment={BOOT_ID_VARIABLE}=%b.",
        ) from error
    return boot_id.strip().replace("-", "")


def _exists(mark: Path) -> bool:
    try:
        mark.stat()
    except OSError:  # also where the folder is closed to us, as chrony's is
        return False
    return True


class SystemRandomness:
    """The operating system's randomness."""

    def token(self, octets: int) -> bytes:
        """That many octets nobody can guess."""
        return secrets.token_bytes(octets)

    def fraction(self) -> float:
        """Evenly spread in [0, 1); for jitter."""
        return random.random()  # noqa: S311 - jitter is no secret


class SystemDisk:
    """The machine's file systems."""

    def free_octets(self, folder: Path) -> int:
        """What is free on the file system a folder is on, without what is kept for root."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize


class SocketUdpEndpoint:
    """A `UdpEndpoint` on a real socket, already bound (by us or by systemd)."""

    def __init__(self, bound: socket.socket) -> None:
        bound.settimeout(0)
        # One that systemd made larger than the kernel would let us must not be made smaller by asking.
        if bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER_OCTETS:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        self._socket = bound
        self._watching = False

    @classmethod
    def bind(cls, host: str, port: int) -> SocketUdpEndpoint:
        """Bind a new socket; a taken port is an `OSError`, never shared."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.bind((host, port))
        except BaseException:
            bound.close()
            raise
        return cls(bound)

    @property
    def address(self) -> UdpAddress:
        """Where it is bound."""
        host, port = self._socket.getsockname()[:2]
        return UdpAddress(host, port)

    def on_readable(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the running event loop whenever datagrams wait."""
        asyncio.get_running_loop().add_reader(self._socket, callback)
        self._watching = True

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        """The next waiting datagram, or None."""
        try:
            datagram, source = self._socket.recvfrom(4096)
        except OSError:  # would block, or a port-unreachable of an earlier answer
            return None
        return datagram, UdpAddress(source[0], source[1])

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        """Send, or drop where the network refuses."""
        try:  # noqa: SIM105 - `suppress` costs as much as what it guards
            self._socket.sendto(datagram, address)
        except OSError:
            pass

    def close(self) -> None:
        """Stop receiving and free the port; closed already is fine."""
        if self._watching and self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


class AskingUdpEndpoint(SocketUdpEndpoint):
    """A `UdpEndpoint` that nobody binds: the kernel gives it a port when it first sends.

    A service whose unit lets it bind nothing may have one all the same. Each datagram says for itself where it
    comes from.

    Args:
        source: The address of this machine it sends from; an unspecified one leaves that to the network.

    Source: ip(7) (IP_PKTINFO), ipv6(7) (IPV6_PKTINFO), systemd.resource-control(5) (SocketBindDeny=).
    """

    def __init__(self, source: str) -> None:
        address = ip_address(source)
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        super().__init__(socket.socket(family, socket.SOCK_DGRAM))
        self._source = source
        self._says = [] if address.is_unspecified else [_packet_info(address)]
        self._trouble: int | None = None

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        """Send, or drop where the network refuses; where it begins to refuse, say so in the log."""
        try:
            self._socket.sendmsg((datagram,), self._says, 0, address)
        except OSError as error:
            if error.errno != self._trouble:
                log.warning("nothing can be sent from %s to %s: %s", self._source, address.host, error.strerror)
            self._trouble = error.errno
        else:
            self._trouble = None


def _packet_info(source: IPv4Address | IPv6Address) -> tuple[int, int, bytes]:
    """What a datagram carries that says where it comes from, by whichever interface it leaves."""
    if isinstance(source, IPv4Address):
        return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=I4s4s", 0, source.packed, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16sI", source.packed, 0)
