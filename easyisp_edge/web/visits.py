"""Whose page is asked for, behind which router, by which device, in which language."""

from __future__ import annotations

import base64
import functools
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config import Config, Router, Tenant

_TOKEN_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Device:
    """The device a page is for, as the router's hand-over named it.

    Args:
        mac: Its hardware address; None where the page was opened without the router's help.
        router_id: The router it came through; None where unknown.
    """

    mac: MacAddress | None = None
    router_id: str | None = None

    @property
    def token(self) -> str:
        """For links and forms: no secret, only short."""
        if self.mac is None and self.router_id is None:
            return ""
        return _token(str(self.mac or ""), self.router_id or "")

    @classmethod
    def from_token(cls, token: str) -> Device:
        """The reverse of `token`.

        Raises:
            InvalidError: It was not made here.
        """
        if not token:
            return cls()
        try:
            padded = token[:_TOKEN_LENGTH_MAX] + "=" * (-len(token) % 4)
            mac, _, router_id = base64.urlsafe_b64decode(padded.encode("ascii")).decode().partition("|")
            device = cls(MacAddress.parse(mac) if mac else None, router_id or None)
        except (ValueError, InvalidError) as error:
            raise InvalidError("request.invalid", "The link is damaged; open the page again.", field="d") from error
        if device.token != token:  # the decoder passes over what is no letter of its own
            raise InvalidError("request.invalid", "The link is damaged; open the page again.", field="d")
        return device


@functools.lru_cache(maxsize=4096)  # the devices of a site come again and again
def _token(mac: str, router_id: str) -> str:
    return base64.urlsafe_b64encode(f"{mac}|{router_id}".encode()).rstrip(b"=").decode()


def device_unknown(field: str = "d") -> InvalidError:
    """Nothing says which device something is about; `field` is where it would be said."""
    return InvalidError("mac.unreadable", "We could not tell which device this is.", field=field)


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose page it is, for which device, and whether it asks for packages whatever the device has already."""

    tenant: Tenant
    router: Router | None
    device: Device
    wants_more: bool


def visit_of(config: Config, query: Mapping[str, str], source: str | None) -> Visit:
    """Tell tenant, router and device of a page from its address and where the request came from.

    Raises:
        InvalidError: The parameters cannot be read, or do not go together.
        NotFoundError: With several tenants, it cannot be told whose page is asked for.
    """
    device = Device.from_token(query["d"]) if query.get("d") else _handed_over(query)
    router = _router_of_source(config, source) or _router_named(config, device.router_id) or _only_router(config)
    tenant = tenant_of(config, router, query.get("tenantId"))
    return Visit(tenant, router, Device(device.mac, None if router is None else router.id), "more" in query)


def router_of_nas(config: Config, nas_ip: str | None, source: str | None) -> Router | None:
    """The router a call speaks of by `nasIp`, or came through."""
    by_source = _router_of_source(config, source)
    if by_source is not None or not nas_ip:
        return by_source
    return next((router for router in config.routers if str(router.address) == nas_ip), None)


def tenant_of(config: Config, router: Router | None, tenant_id: str | None) -> Tenant:
    """The tenant: the only one, or the router's; never what the page says alone.

    Raises:
        InvalidError: The page names another tenant.
        NotFoundError: It cannot be told.
    """
    tenant = config.only_tenant() if router is None else config.tenant(router.tenant)
    if tenant is None:
        raise NotFoundError(
            "tenant.unknown",
            "This site has several tenants: open the page through the hotspot, or send nasIp.",
            field="nasIp",
        )
    if tenant_id and tenant_id != tenant.id:
        raise InvalidError("tenant.other", "The tenantId is not the one of this hotspot.", field="tenantId")
    return tenant


def _handed_over(query: Mapping[str, str]) -> Device:
    mac = query.get("mac", "")
    # A router that does not know the address writes dashes.
    known = mac.strip(" -") != ""
    return Device(MacAddress.parse(mac) if known else None, query.get("router") or None)


def _router_named(config: Config, router_id: str | None) -> Router | None:
    if router_id is None:
        return None
    return next((router for router in config.routers if router.id == router_id), None)


def _only_router(config: Config) -> Router | None:
    """Where there is one router, whoever opens a page is behind it, whatever the hand-over left out."""
    return config.routers[0] if len(config.routers) == 1 else None


def _router_of_source(config: Config, source: str | None) -> Router | None:
    """The router whose hotspot network the request came from, where the box sees the device's own address."""
    networked = [router for router in config.routers if router.hotspot_networks]
    if not source or not networked:
        return None
    address = ipaddress.ip_address(source.partition("%")[0])
    for router in networked:
        if any(address in network for network in router.hotspot_networks):
            return router
    return None
