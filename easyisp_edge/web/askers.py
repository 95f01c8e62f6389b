"""Which device asks, told by where its request came from and never by what it says."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.web.visits import router_of_nas

if TYPE_CHECKING:
    from aiohttp import web

    from easyisp_edge.config import Router
    from easyisp_edge.domain.routers import HotspotHost
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.web.portal import Portal


class Asker(NamedTuple):
    """Who asks.

    Args:
        source: The address the request came from; empty where there is none.
        router: The router it came through; None where that cannot be told.
        mac: The device that has that address there; None where that is not known.
        host: What the router says of it; None where it was not asked.
    """

    source: str
    router: Router | None = None
    mac: MacAddress | None = None
    host: HotspotHost | None = None

    @property
    def router_id(self) -> str | None:
        """The router's id."""
        return None if self.router is None else self.router.id


def asker_of(portal: Portal, request: web.Request) -> Asker:
    """Who asks: the device that the router has at that address, in its sight or by its reports."""
    source, config = source_of(request), portal.site.config
    router = router_of_nas(config, None, source) if source else None
    if router is None and len(config.routers) == 1:
        router = config.routers[0]
    if router is None or not source:
        return Asker(source)
    host = portal.standing.presence.host_at(router.id, source, portal.clock.monotonic())
    if host is not None:
        return Asker(source, router, host.mac, host)
    # Of a router that is not looked at, who is on is what it reports.
    session = portal.store.read.sessions.open_at(router.id, source) if router.api is None else None
    return Asker(source, router, None if session is None else session.mac)


def guesser_of(asker: Asker, router: Router | None, named: MacAddress | None) -> str:
    """Who is not listened to after too many wrong tries: the device, or whoever shares its address.

    Behind a router that puts its own address in place of theirs all devices look like one: there each is as it calls
    itself, and all together are held to what a site may try.
    """
    hidden = router is not None and asker.source == str(router.address)
    return str(asker.mac or (named if hidden else None) or asker.source)


def source_of(request: web.Request) -> str:
    """The address a request came from, in its one spelling; empty where there is none.

    What serves HTTPS in front of the portal stands on this machine, and says for whom it asks: the last address in
    X-Forwarded-For is the one it saw itself.
    """
    source = _address(request.remote or "")
    if source is None:
        return ""
    forwarded = proxied(request, "X-Forwarded-For")
    return str((_address(forwarded[-1]) if forwarded else None) or source)


def proxied(request: web.Request, header: str) -> list[str]:
    """What a header says that is added to by what serves HTTPS on this machine; nothing where that did not ask."""
    source = _address(request.remote or "")
    if source is None or not source.is_loopback:
        return []
    return [word.strip() for value in request.headers.getall(header, []) for word in value.split(",")]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
