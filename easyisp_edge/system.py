"""The real machine: its clock, its randomness, its sockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.machine import ClockState, UdpAddress

if TYPE_CHECKING:
    from collections.abc import Callable


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
    """The machine's raw time."""

    def __init__(self) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def wall(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.now(UTC)

    def since_boot(self) -> float:
        """Seconds since boot, time asleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def synchronised(self) -> bool:
        """Whether systemd-timesyncd or chrony has set the clock since boot."""
        return any(mark.exists() for mark in _CLOCK_SET_MARKS)

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class SystemRandomness:
    """The operating system's randomness."""

    def token(self, octets: int) -> bytes:
        """That many octets nobody can guess."""
        return secrets.token_bytes(octets)

    def fraction(self) -> float:
        """Evenly spread in [0, 1); for jitter."""
        return random.random()  # noqa: S311 - jitter is no secret


class SocketUdpEndpoint:
    """A `UdpEndpoint` on a real socket, already bound (by us or by systemd)."""

    def __init__(self, bound: socket.socket) -> None:
        bound.settimeout(0)
        # Holds the burst of a router restart: a thousand devices at about 250 octets each and their overhead.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
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
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, address)

    def close(self) -> None:
        """Stop receiving and free the port; closed already is fine."""
        if self._watching and self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
