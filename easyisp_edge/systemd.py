"""What systemd hands to a service, and what a service tells it. Without systemd all of it is silent.

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3
_MICROSECONDS = 1_000_000


def inherited_sockets(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """Sockets that systemd opened for this process, by the name in their unit."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return {
        name: socket.socket(fileno=descriptor)
        for name, descriptor in zip(names, range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count), strict=False)
    }


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear that we live; None when it does not watch."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    return microseconds / _MICROSECONDS if microseconds else None


class Notifier:
    """Tells systemd how the service is.

    Args:
        address: Of its socket, from `NOTIFY_SOCKET`; empty where nobody listens.
    """

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def tell(self, state: str) -> None:
        """Send a state such as `READY=1`; never fails."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.settimeout(1)
            speaker.sendto(state.encode(), self._address)
