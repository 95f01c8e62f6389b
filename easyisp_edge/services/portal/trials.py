"""A free trial: once per device and day, where the owner allows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from datetime import date

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables


@dataclass(frozen=True, slots=True)
class TrialService:
    """Gives free trials.

    Args:
        settlement: How grants are booked; its store and clock are used, and routers are told by it.
        site: Who allows it, and what is given.
        selling: Whether anything is sold now.
    """

    settlement: SettlementService
    site: Site
    selling: Selling = field(default_factory=Selling)

    def offer(self, tenant_id: str, mac: MacAddress | None, router_id: str | None) -> Package | None:
        """What a device would be given for free now; None where it would be given nothing."""
        package = self._package(tenant_id, router_id)
        if package is None or mac is None:
            return None
        read = self.settlement.store.read
        if read.trials.grant_of(tenant_id, mac, self._today()) is not None:
            return None
        return None if self._has_something(read, tenant_id, mac) else package

    async def start(self, tenant_id: str, mac: MacAddress, router_id: str | None) -> Grant:
        """Give a device its free trial of the day; the same again while that lasts. Routers are told.

        Raises:
            NotFoundError: `trial.closed`: there is none here.
            ConflictError: `trial.used`: it had today's; or `trial.not_needed`: it has something it paid for.
        """
        package = self._package(tenant_id, router_id)
        if package is None:
            raise NotFoundError("trial.closed", "There is no free trial here.")
        self.selling.refuse_while_resting()
        grant = await self.settlement.store.write(lambda tx: self._give(tx, package, mac, router_id))
        self.settlement.granted(tenant_id)
        return grant

    def _give(self, tx: Tables, package: Package, mac: MacAddress, router_id: str | None) -> Grant:
        tenant_id, today, now = package.tenant_id, self._today(), self.settlement.clock.now()
        had = tx.trials.grant_of(tenant_id, mac, today)
        if had is not None:
            return _while_it_lasts(tx.grants.by_id(had))
        if self._has_something(tx, tenant_id, mac):
            raise ConflictError("trial.not_needed", "This device has a package already.")
        version = tx.packages.version_of(package, now)
        buyer = Buyer(tenant_id, package.service, None, mac, None)
        grant = self.settlement.judge(tx).books.give(buyer, version, Funding.TRIAL)
        tx.trials.add(tenant_id, mac, today, grant.grant_id)
        tx.events.append(Stream.MONEY, "trial.given", grant.grant_id, {"mac": mac.text, "router": router_id})
        return grant

    def _package(self, tenant_id: str, router_id: str | None) -> Package | None:
        package = self.site.trial_package(tenant_id)
        valid = package is not None and (router_id is None or package.valid_on(router_id))
        return package if valid else None

    def _has_something(self, tables: Tables, tenant_id: str, mac: MacAddress) -> bool:
        now = self.settlement.clock.now()
        return any(each.usable_at(now) for each in tables.grants.usable_of_device(tenant_id, mac))

    def _today(self) -> date:
        return self.settlement.clock.now().astimezone(NAIROBI).date()


def _while_it_lasts(grant: Grant | None) -> Grant:
    if grant is None or grant.state is GrantState.ENDED:
        raise ConflictError("trial.used", "This device had its free trial today. Come back tomorrow, or buy a package.")
    return grant
