"""What is on sale now: the configured packages as versions in the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.packages import Service
from easyisp_edge.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.domain.packages import Package, PackageVersion
    from easyisp_edge.domain.values import Money
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store


@dataclass(slots=True)
class Shelf:
    """Packages by tenant and id; replaced as a whole when the configuration is read anew."""

    store: Store
    clock: Clock
    _versions: dict[tuple[str, str], PackageVersion] = field(default_factory=dict)

    async def put_out(self, packages: Iterable[Package]) -> None:
        """Offer exactly these from now on; what was bought before keeps its version."""
        wanted, now = list(packages), self.clock.now()
        versions = await self.store.write(lambda tx: [tx.packages.version_of(package, now) for package in wanted])
        self._versions = {(v.package.tenant_id, v.package.package_id): v for v in versions}

    def offers(self, tenant_id: str, router_id: str | None = None) -> list[Package]:
        """Active hotspot packages of a tenant (valid behind that router), cheapest first."""
        offered = (version.package for version in self._on_sale(tenant_id, Service.HOTSPOT, router_id))
        return sorted(offered, key=lambda package: (package.price, package.duration, package.name))

    def dearest_for(
        self, tenant_id: str, service: Service, router_id: str | None, amount: Money
    ) -> PackageVersion | None:
        """The dearest package on sale that an amount affords; None where it affords none."""
        affordable = [each for each in self._on_sale(tenant_id, service, router_id) if each.package.price <= amount]
        return max(affordable, key=lambda version: version.package.price, default=None)

    def priced(self, tenant_id: str, service: Service, router_id: str | None, amount: Money) -> PackageVersion | None:
        """The package on sale that costs exactly that much; None where there is none, or more than one."""
        found = [each for each in self._on_sale(tenant_id, service, router_id) if each.package.price == amount]
        return found[0] if len(found) == 1 else None

    def _on_sale(self, tenant_id: str, service: Service, router_id: str | None) -> list[PackageVersion]:
        return [
            version
            for version in self._versions.values()
            if version.package.tenant_id == tenant_id
            and version.package.active
            and version.package.service is service
            and (router_id is None or version.package.valid_on(router_id))
        ]

    def version(self, tenant_id: str, package_id: str, router_id: str | None = None) -> PackageVersion:
        """The current version of a package that is on sale (behind that router).

        Raises:
            NotFoundError: There is no such package, or it is not sold now, or not there.
        """
        version = self._versions.get((tenant_id, package_id))
        elsewhere = version is not None and router_id is not None and not version.package.valid_on(router_id)
        if version is None or not version.package.active or elsewhere:
            raise NotFoundError("purchase.package_closed", "This package is not on sale now; choose another one.")
        return version
