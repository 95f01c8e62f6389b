"""Addresses as they are counted where somebody comes too often."""

from __future__ import annotations

import ipaddress

_NETWORK_BITS = 64


def network_of(source: str) -> str:
    """What counts as one address: of IPv6 the network, for whoever has one of its addresses has them all.

    What is no address stays as it is.
    """
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
