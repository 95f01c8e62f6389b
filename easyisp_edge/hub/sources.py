"""Where a request came from: the peer, or who the proxy in front of the hub says."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

_ADDRESS_LENGTH = 45


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


def _is_address(text: str) -> bool:
    if len(text) > _ADDRESS_LENGTH:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
