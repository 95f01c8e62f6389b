"""What the daemon is given from outside: everything that touches the real machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.central.client import open_hub_client
from easyisp_edge.daemon.control_socket import open_control_socket, peer_name
from easyisp_edge.daemon.master_key import take_master_key
from easyisp_edge.daemon.sole_keeper import sole_keeper
from easyisp_edge.system import SystemDisk

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    import httpx

    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.machine import Disk, Randomness, TimeSource, UdpEndpoint
    from easyisp_edge.store.connections import Database


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine, the disk and the network; all of it can be put in another's place.

    Args:
        time: Raw time.
        randomness: Randomness.
        open_database: Opens the SQLite file.
        open_http: Opens an HTTP client that trusts the given authorities, or the usual ones.
        bind_udp: Binds, or finds, the UDP socket of a door: name, address, port.
        ask_udp: Opens a UDP socket to send from an address; nothing is bound before it sends.
        listen: Opens, or finds, the listening socket of a door: name, address, port.
        dial: Connects to a RouterOS API and logs in.
        open_hub: As `open_http`, for the hub.
        disk: Says how much more can be written.
        listen_control: Makes the listening Unix socket for the box's own commands.
        peer_name: Tells whose process is at the other end of one of its connections.
        sole_keeper: Keeps other daemons from a store while it is open.
        master_key: Reads the master key, or makes it: path, randomness.
        tell: Tells the service manager a state.
        watchdog_seconds: How often it wants to hear that we live; None when it does not watch.
    """

    time: TimeSource
    randomness: Randomness
    open_database: Callable[[Path], Awaitable[Database]]
    open_http: Callable[[ssl.SSLContext | bool], httpx.AsyncClient]
    bind_udp: Callable[[str, str, int], UdpEndpoint]
    ask_udp: Callable[[str], UdpEndpoint]
    listen: Callable[[str, str, int], socket.socket]
    dial: Callable[..., Awaitable[ApiConnection]]
    open_hub: Callable[[ssl.SSLContext | bool], httpx.AsyncClient] = open_hub_client
    disk: Disk = field(default_factory=SystemDisk)
    listen_control: Callable[[Path], socket.socket] = open_control_socket
    peer_name: Callable[[Any], str] = peer_name
    sole_keeper: Callable[[Path], AbstractContextManager[None]] = sole_keeper
    master_key: Callable[[Path, Randomness], bytes] = take_master_key
    tell: Callable[[str], None] = lambda _state: None
    watchdog_seconds: float | None = None
