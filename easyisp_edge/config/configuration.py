"""The whole configuration, checked, with the look-ups the daemon needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.domain.packages import Service
from easyisp_edge.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from easyisp_edge.config.gateways import Gateway
    from easyisp_edge.config.models import Edge, Portal, Tenant
    from easyisp_edge.config.routers import Router
    from easyisp_edge.domain.packages import Package

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Config:
    """What the files and the environment declare; every reference in it leads somewhere.

    Args:
        folder: Where it was read from.
        edge: The box itself.
        portal: What the customer's page says.
        tenants: Who sells here; at least one.
        packages: What is sold.
        gateways: Who takes the money; each tenant that has any has exactly one default.
        routers: Whose customers are served.
    """

    folder: Path
    edge: Edge
    portal: Portal
    tenants: tuple[Tenant, ...]
    packages: tuple[Package, ...]
    gateways: tuple[Gateway, ...]
    routers: tuple[Router, ...]

    @property
    def development(self) -> bool:
        """Whether what a site must not have is permitted."""
        return self.edge.development

    @property
    def radius_enabled(self) -> bool:
        """Whether any router asks this box by RADIUS, and so the RADIUS ports are to be opened."""
        return any(router.uses_radius and not router.asks_freeradius for router in self.routers)

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant of that id.

        Raises:
            NotFoundError: There is none.
        """
        return _found(self._tenants, tenant_id, "tenant", tenant_id)

    def only_tenant(self) -> Tenant | None:
        """The tenant, on a site that has one; None where a tenant has to be named."""
        return self.tenants[0] if len(self.tenants) == 1 else None

    def package(self, tenant_id: str, package_id: str) -> Package:
        """A tenant's package, active or not.

        Raises:
            NotFoundError: There is none.
        """
        return _found(self._packages, (tenant_id, package_id), "package", package_id)

    def gateway(self, gateway_id: str) -> Gateway:
        """The gateway of that id.

        Raises:
            NotFoundError: There is none.
        """
        return _found(self._gateways, gateway_id, "gateway", gateway_id)

    def router(self, router_id: str) -> Router:
        """The router of that id.

        Raises:
            NotFoundError: There is none.
        """
        return _found(self._routers, router_id, "router", router_id)

    def gateway_for(self, tenant_id: str, service: Service) -> Gateway | None:
        """Which gateway takes a tenant's money for a service.

        One that is meant for the service, the default before others; else the default; else None.
        """
        own = sorted(
            (gateway for gateway in self.gateways if gateway.tenant == tenant_id),
            key=lambda gateway: not gateway.default,
        )
        meant = (gateway for gateway in own if _is_for(gateway, service))
        return next(meant, next((gateway for gateway in own if gateway.default), None))

    @cached_property
    def _tenants(self) -> dict[str, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    @cached_property
    def _packages(self) -> dict[tuple[str, str], Package]:
        return {(package.tenant_id, package.package_id): package for package in self.packages}

    @cached_property
    def _gateways(self) -> dict[str, Gateway]:
        return {gateway.id: gateway for gateway in self.gateways}

    @cached_property
    def _routers(self) -> dict[str, Router]:
        return {router.id: router for router in self.routers}


def _is_for(gateway: Gateway, service: Service) -> bool:
    return gateway.for_hotspot if service is Service.HOTSPOT else gateway.for_pppoe


def _found(by_key: Mapping[K, T], key: K, noun: str, name: str) -> T:
    found = by_key.get(key)
    if found is None:
        raise NotFoundError(f"{noun}.unknown", f'There is no {noun} "{name:.64}".')
    return found
