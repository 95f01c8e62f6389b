"""The routers that may ask, found by the address their packets come from."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from easyisp_edge.adapters.radius.logins import framed_attributes
from easyisp_edge.adapters.radius.packets import SharedSecret
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RadiusClient:
    """A router that may ask.

    Args:
        router_id: Its id in the configuration.
        address: The IP address its packets come from.
        secret: Shared with it; at least one octet.
        message_authenticator: Whether its logins must carry one. RouterOS sends it from 7.15 on; without it a
            login can be forged by whoever can send from the router's address.
        interim_seconds: How often it is to report usage, at least 60.
        pppoe_pool: Its pool of addresses for PPPoE; None for what its PPP profile says.
    """

    router_id: str
    address: str
    secret: bytes = field(repr=False)
    message_authenticator: Literal["required", "if-present"]
    interim_seconds: int
    pppoe_pool: str | None = None

    def __post_init__(self) -> None:
        if not self.secret:
            raise InvalidError("radius.secret", f"Router {self.router_id} has an empty RADIUS secret.")


class Peer(NamedTuple):
    """A router, its secret ready for use, and what its accepts of PPPoE carry beside."""

    client: RadiusClient
    secret: SharedSecret
    framed: bytes


def peers_by_address(clients: Sequence[RadiusClient]) -> dict[str, Peer]:
    """Each router under every spelling a socket may give its address.

    Raises:
        InvalidError: Two have one address, or one has none of its own.
    """
    peers: dict[str, Peer] = {}
    for client in clients:
        peer = Peer(client, SharedSecret(client.secret), framed_attributes(client.pppoe_pool))
        for spelling in _spellings(client):
            if spelling in peers:
                raise InvalidError("radius.address", f"Two routers have the address {client.address}.")
            peers[spelling] = peer
    return peers


def _spellings(client: RadiusClient) -> tuple[str, ...]:
    try:
        address = ipaddress.ip_address(client.address)
    except ValueError as error:
        raise InvalidError(
            "radius.address", f"{client.address!r:.60} of router {client.router_id} is no IP address."
        ) from error
    if address.is_unspecified:
        raise InvalidError("radius.address", f"Router {client.router_id} needs an address of its own.")
    # A socket for both families names an IPv4 sender in IPv6's way.
    return (str(address), f"::ffff:{address}") if address.version == 4 else (str(address),)  # noqa: PLR2004
