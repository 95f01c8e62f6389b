"""Where a request came from: the peer, or who the proxy in front of the hub says."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

_ADDRESS_LENGTH = 45
_NETWORK_BITS = 64


def source_of(request: web.Request, proxies: Collection[str]) -> str:
    """The address a request came from.

    Args:
        request: The request.
        proxies: Whose word on it counts. Each adds the address it was asked from at the end of `X-Forwarded-For`.
    """
    peer = request.remote or ""
    if peer not in proxies:
        return peer
    last = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
    return last if _is_address(last) else peer


def network_of(source: str) -> str:
    """What is counted as one where addresses are: of IPv6 the network, for one customer has all of its addresses."""
    if not _is_address(source):
        return source
    address = ipaddress.ip_address(source.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))


def _is_address(text: str) -> bool:
    if len(text) > _ADDRESS_LENGTH:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
