"""Where a customer stands: what the page is to show now, whoever opens it and however often."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.purchases import PurchaseState

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store

# How long a device that comes back is shown what became of its last purchase, before it is offered packages.
_FAILED_SHOWN = timedelta(minutes=10)
_EXPIRED_SHOWN = timedelta(hours=1)


class Step(enum.StrEnum):
    """The step of the way to being online. Values are part of the page's script."""

    CHOOSE = "choose"
    PROMPTED = "prompted"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FAILED = "failed"
    CONNECTING = "connecting"
    ONLINE = "online"


STEP_OF_STATE = {
    PurchaseState.INTENDED: Step.PROMPTED,
    PurchaseState.PROMPTED: Step.PROMPTED,
    PurchaseState.UNKNOWN: Step.UNKNOWN,
    PurchaseState.EXPIRED: Step.EXPIRED,
    PurchaseState.FAILED: Step.FAILED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a customer stands.

    Args:
        step: What the page shows.
        purchase: The purchase it is about, where there is one.
        admission: The grant it is about, once paid.
        seconds_left: Time left over all that lets the device on.
        mpesa_receipt_number: Of the payment, where known.
    """

    step: Step
    purchase: Purchase | None = None
    admission: Admission | None = None
    seconds_left: int = 0
    mpesa_receipt_number: str | None = None


_NOTHING = Standing(Step.CHOOSE)


@dataclass(frozen=True, slots=True)
class StandingService:
    """Reads where customers stand.

    Args:
        store: The store.
        clock: Box time.
        presence: Who is online.
    """

    store: Store
    clock: Clock
    presence: Presence

    def of_device(self, tenant_id: str, mac: MacAddress) -> Standing:
        """Where a device stands, whoever shows it: nothing here is secret."""
        if not self.store.read.devices.is_known(mac):
            return _NOTHING
        now = self.clock.now()
        usable = self._usable(tenant_id, mac, now)
        if usable:
            return self._admitted(usable[0], usable, now)
        purchase = self.store.read.purchases.latest_of_device(tenant_id, mac)
        if purchase is None or purchase.state is PurchaseState.PAID:
            return _NOTHING
        shown = {PurchaseState.FAILED: _FAILED_SHOWN, PurchaseState.EXPIRED: _EXPIRED_SHOWN}.get(purchase.state)
        if shown is not None and now - purchase.changed_at > shown:
            return _NOTHING
        return Standing(STEP_OF_STATE[purchase.state], purchase)

    def of_purchase(self, purchase: Purchase) -> Standing:
        """Where a purchase stands, for whoever holds its id."""
        if purchase.state is not PurchaseState.PAID:
            return Standing(STEP_OF_STATE[purchase.state], purchase)
        return replace(self.of_paid(purchase.purchase_id), purchase=purchase)

    def of_paid(self, purchase_id: str) -> Standing:
        """The same for a purchase that is known to be paid, without reading the purchase itself."""
        bought = self.store.read.grants.bought_by(purchase_id)
        if bought is None:  # settled together, or not at all
            raise LookupError(purchase_id)
        admission, receipt = bought
        now = self.clock.now()
        if not admission.usable_at(now):
            return Standing(Step.CHOOSE, None, admission, 0, receipt)
        mac, tenant_id = admission.mac, admission.tenant_id
        beside = [admission] if mac is None else self._usable(tenant_id, mac, now)
        return self._admitted(admission, beside, now, receipt)

    def ends_at(self, standing: Standing) -> datetime:
        """When the time left is over, if it is used without a pause."""
        return self.clock.now() + timedelta(seconds=standing.seconds_left)

    def _usable(self, tenant_id: str, mac: MacAddress, now: datetime) -> list[Admission]:
        of_device = self.store.read.grants.usable_of_device(tenant_id, mac)
        return [admission for admission in of_device if admission.usable_at(now)]

    def _admitted(
        self, admission: Admission, usable: list[Admission], now: datetime, receipt: str | None = None
    ) -> Standing:
        # One after the other: while one of a device's grants has it online, the others wait their turn.
        online = any(self.presence.is_online(each.username) for each in usable)
        seconds = sum(each.seconds_left_at(now) for each in usable)
        return Standing(Step.ONLINE if online else Step.CONNECTING, None, admission, seconds, receipt)
