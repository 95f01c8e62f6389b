"""The bare reference for RADIUS: pyrad's `ServerAsync` with the logins in memory and the same answer.

Run as a process with a port and a JSON file of passwords by user name.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessReject
from pyrad.server import RemoteHost
from pyrad.server_async import ServerAsync

import easyisp_edge.lab.mikrotik
from tests.bench.processes import HOST
from tests.bench.serving import serve
from tests.bench.site import RADIUS_SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DICTIONARY = Path(easyisp_edge.lab.mikrotik.__file__).with_name("dictionary")
_RECEIVE_OCTETS = 4 * 1024 * 1024
_GRANT_ID = b"edge:" + b"0" * 32


class Accepting(ServerAsync):  # type: ignore[misc] # pyrad has no types
    """Accepts who knows the password.

    Args:
        port: For logins.
        passwords: By user name.
    """

    def __init__(self, port: int, passwords: dict[str, str]) -> None:
        hosts = {HOST: RemoteHost(HOST, RADIUS_SECRET.encode(), "main")}
        super().__init__(auth_port=port, hosts=hosts, dictionary=Dictionary(str(_DICTIONARY)), enforce_ma=True)
        self._passwords = passwords

    def handle_auth_packet(self, protocol: Any, pkt: Any, addr: Any) -> None:
        """Answer a login with the attributes the daemon would send."""
        known = self._passwords.get(pkt["User-Name"][0])
        reply = self.CreateReplyPacket(pkt)
        if known is None or pkt.PwDecrypt(pkt["User-Password"][0]) != known:
            reply.code = AccessReject
        else:
            reply["Session-Timeout"] = 86400
            reply["Mikrotik-Rate-Limit"] = "5M/10M"
            reply["Port-Limit"] = 1
            reply["Acct-Interim-Interval"] = 300
            reply["Class"] = _GRANT_ID
        protocol.send_response(reply, addr)

    def handle_acct_packet(self, protocol: Any, pkt: Any, addr: Any) -> None:
        """Not asked."""

    def handle_coa_packet(self, protocol: Any, pkt: Any, addr: Any) -> None:
        """Not asked."""

    def handle_disconnect_packet(self, protocol: Any, pkt: Any, addr: Any) -> None:
        """Not asked."""


def main(port: int, path: Path) -> None:
    """Serve until terminated."""
    logging.disable(logging.CRITICAL)
    server = Accepting(port, json.loads(path.read_text(encoding="utf-8")))

    async def open_door() -> Callable[[], Awaitable[None]]:
        await server.initialize_transports(enable_auth=True, addresses=[HOST])
        for protocol in server.auth_protocols:
            protocol.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_OCTETS)
        close: Callable[[], Awaitable[None]] = server.deinitialize_transports
        return close

    serve(open_door)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
