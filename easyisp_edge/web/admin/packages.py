"""The back office: what is sold, as the files declare it."""

from dataclasses import dataclass

from pydantic import Field

from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.services.site import Site
from easyisp_edge.web.admin.models import ApiModel, Listed, Shillings
from easyisp_edge.web.admin.operations import Call, operation
from easyisp_edge.web.portal import speed_of_contract
from easyisp_edge.web.texts import Texts

_LANGUAGE = "en"


class SoldPackage(ApiModel):
    """A package."""

    id: str
    name: str
    price: Shillings
    speed: str = Field(description="Download and upload, such as `10/10 Mbps`.")
    duration: str = Field(description="By the clock, in words.")
    duration_seconds: int
    online_seconds: int | None = Field(description="Time online in all; null where only the clock counts.")
    data: str | None = Field(description="In both directions, in words; null for no limit.")
    data_limit: int | None = Field(description="The same in octets.")
    devices: int = Field(description="How many may be on at once.")
    service: Service
    active: bool = Field(description="Whether it is offered now.")
    routers: list[str] = Field(description="The only routers it is valid on; empty for all.")
    hours: str | None = Field(description="When it may be used, such as `fri,sat 22:00-06:00`; null for always.")


@dataclass(frozen=True)
class PackagesArea:
    """Packages.

    Args:
        site: What is sold.
        texts: How spans are told in words.
    """

    site: Site
    texts: Texts

    @operation("GET", "/api/packages", needs=Permission.PACKAGES_VIEW, answers=Listed[SoldPackage])
    async def list_packages(self, call: Call) -> Listed[SoldPackage]:
        """All packages, cheapest first, also those that are not offered now."""
        own = [package for package in self.site.config.packages if package.tenant_id == call.tenant_id]
        cheapest = sorted(own, key=lambda package: (package.price.cents, package.package_id))
        return Listed(items=[self._sold(package) for package in cheapest])

    @operation("GET", "/api/packages/{id}", needs=Permission.PACKAGES_VIEW, answers=SoldPackage)
    async def show_package(self, call: Call) -> SoldPackage:
        """One package."""
        return self._sold(self.site.config.package(call.tenant_id, call.path("id")))

    def _sold(self, package: Package) -> SoldPackage:
        seconds, online = int(package.duration.total_seconds()), package.online_time
        return SoldPackage(
            id=package.package_id,
            name=package.name,
            price=package.price,
            speed=speed_of_contract(package.rate_limit),
            duration=self.texts.duration(_LANGUAGE, seconds),
            duration_seconds=seconds,
            online_seconds=None if online is None else int(online.total_seconds()),
            data=None if package.data_limit is None else str(package.data_limit),
            data_limit=None if package.data_limit is None else package.data_limit.octets,
            devices=package.devices_max,
            service=package.service,
            active=package.active,
            routers=list(package.router_ids),
            hours=None if package.schedule is None else str(package.schedule),
        )
