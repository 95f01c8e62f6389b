"""The daemon's surroundings on the real machine."""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.exchange import open_http_client
from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.daemon import Surroundings
from easyisp_edge.errors import EdgeError
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.system import AskingUdpEndpoint, SocketUdpEndpoint, SystemRandomness, SystemTime
from easyisp_edge.systemd import Notifier, inherited_sockets, watchdog_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

_BACKLOG = 1024
_ADVICE = {
    errno.EADDRINUSE: "Another program is there: ss -lntup shows which.",
    errno.EADDRNOTAVAIL: "This machine has no such address now: ip address shows those it has.",
}
_ADVISED_ELSE = "Is the port below 1024, or one that the service's unit does not name, and the daemon not allowed?"


def real_surroundings(environ: Mapping[str, str] | None = None) -> Surroundings:
    """The real ones, with the sockets systemd opened for us, where it did."""
    environ = os.environ if environ is None else environ
    inherited = inherited_sockets(environ)

    def listen(name: str, address: str, port: int) -> socket.socket:
        return _inherited(inherited, name, address, port) or _listening(name, address, port)

    def bind_udp(name: str, address: str, port: int) -> SocketUdpEndpoint:
        if (found := _inherited(inherited, name, address, port)) is not None:
            return SocketUdpEndpoint(found)
        try:
            return SocketUdpEndpoint.bind(address, port)
        except OSError as error:
            raise _taken(name, address, port, error) from error

    return Surroundings(
        time=SystemTime(),
        randomness=SystemRandomness(),
        open_database=ThreadedDatabase.open,
        open_http=lambda verify: open_http_client(verify=verify),
        bind_udp=bind_udp,
        ask_udp=AskingUdpEndpoint,
        listen=listen,
        dial=dial,
        tell=Notifier(environ.get("NOTIFY_SOCKET", "")).tell,
        watchdog_seconds=watchdog_seconds(environ),
    )


def _inherited(sockets: Mapping[str, socket.socket], name: str, address: str, port: int) -> socket.socket | None:
    found = sockets.get(name)
    if found is not None and found.getsockname()[:2] != (address, port):
        there = "{} port {}".format(*found.getsockname()[:2])
        log.warning(
            "the %s door is on %s, as its socket unit says; edge.toml says %s port %d", name, there, address, port
        )
    return found


def _listening(name: str, address: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=_BACKLOG
        )
    except OSError as error:
        raise _taken(name, address, port, error) from error


def _taken(name: str, address: str, port: int, error: OSError) -> EdgeError:
    return EdgeError(
        "door.not_opened",
        f"The {name} door cannot be opened on {address} port {port}: {os.strerror(error.errno or 0)}."
        f" {_ADVICE.get(error.errno or 0, _ADVISED_ELSE)}",
    )
