"""Where a customer stands: what the page is to show now, whoever opens it and however often."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.claims import ClaimState
from easyisp_edge.domain.grants import Funding, GrantState, letting_on
from easyisp_edge.domain.purchases import PurchaseState

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Money
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.store.store import Store

# How long a device that comes back is shown what became of its last purchase or claim, before it is offered packages.
_FAILED_SHOWN = timedelta(minutes=10)
_EXPIRED_SHOWN = timedelta(hours=1)
_DECIDED_SHOWN = timedelta(minutes=10)


class Step(enum.StrEnum):
    """The step of the way to being online. Values are part of the page's script."""

    CHOOSE = "choose"
    OFFERED = "offered"
    PROMPTED = "prompted"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FAILED = "failed"
    VERIFYING = "verifying"  # a receipt is being looked for
    PROVISIONAL = "provisional"  # the same, and the device is online until that is done
    CREDITED = "credited"
    REFUSED = "refused"
    OVER = "over"  # what a receipt bought is used up
    ELSEWHERE = "elsewhere"  # what a receipt bought serves another device, and may not move again today
    SHUT = "shut"  # it is bought, and may not be used at this hour
    CONNECTING = "connecting"
    ONLINE = "online"
    OFF = "off"  # its owner wants it to be


# Where the device is online by what it has here.
STEPS_ONLINE = frozenset((Step.ONLINE, Step.PROVISIONAL))
STEP_OF_STATE = {
    PurchaseState.OFFERED: Step.OFFERED,
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
        admission: The grant it is about, once paid, or given in advance.
        seconds_left: Time left over all that the device has, one after the other.
        mpesa_receipt_number: Of the payment, where known; for whoever holds the purchase or the claim alone.
        claim: The claim it is about, where there is one.
        credit: For credited, what is in the wallet.
        known: Whether the device ever did anything here.
        current: Of what the device has, what is used now or, where nothing may be used at this hour, what opens first.
        after: What comes after that, in order: bought and not begun, or set aside.
        opens_at: For shut, when that is.
    """

    step: Step
    purchase: Purchase | None = None
    admission: Admission | None = None
    seconds_left: int = 0
    mpesa_receipt_number: str | None = None
    claim: Claim | None = None
    credit: Money | None = None
    known: bool = True
    current: Admission | None = None
    after: tuple[Admission, ...] = ()
    opens_at: datetime | None = None


_STRANGER = Standing(Step.CHOOSE, known=False)
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
        read, now = self.store.read, self.clock.now()
        if not read.devices.is_known(mac):
            return _STRANGER
        usable, claim = self._usable(tenant_id, mac, now), read.claims.latest_of_device(tenant_id, mac)
        usable = [*self._shared(tenant_id, mac, now), *usable]
        if claim is not None and len(usable) == 1 and usable[0].grant_id == claim.provisional_grant_id:
            return self._looking(claim, usable[0], now)
        if usable:
            return self._admitted(None, usable, now, mac)
        purchase = read.purchases.latest_of_device(tenant_id, mac)
        if claim is not None and _comes_back_for(claim, purchase, now):
            return replace(self.of_claim(claim), mpesa_receipt_number=None)
        return _NOTHING if purchase is None or _is_done_with(purchase, now) else _of_unpaid(purchase)

    def of_purchase(self, purchase: Purchase) -> Standing:
        """Where a purchase stands, for whoever holds its id."""
        if purchase.state is not PurchaseState.PAID:
            return _of_unpaid(purchase)
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
        return self._with_others(admission, now, receipt)

    def of_claim(self, claim: Claim) -> Standing:
        """Where a claim stands, for whoever holds its id."""
        read, now, receipt = self.store.read, self.clock.now(), claim.mpesa_receipt_number
        if claim.state is ClaimState.VERIFYING:
            given = claim.provisional_grant_id
            looking = self._looking(claim, None if given is None else read.grants.admission_by_id(given), now)
            return replace(looking, mpesa_receipt_number=receipt)
        if claim.state is ClaimState.REFUSED:
            return Standing(Step.REFUSED, claim=claim, mpesa_receipt_number=receipt)
        if claim.state is ClaimState.CREDITED:
            return self._credited(claim)
        return replace(self._granted(claim, now), claim=claim)

    def is_proven(self, claim: Claim) -> bool:
        """Whether a claim's receipt is known to be the one of what was given back for it.

        Anybody may name a device and invent a receipt. What that device has bought with a payment whose receipt nobody
        told is put right by it, and is not the claimant's to log in with or to take along.
        """
        if claim.state is not ClaimState.GIVEN_BACK:
            return True
        read = self.store.read
        payment = read.payments.by_receipt(claim.mpesa_receipt_number)
        if payment is None:
            return False
        bought = read.grants.by_payment(payment.payment_id)
        if bought is None and payment.purchase_id is not None:  # it paid a part of it
            bought = read.grants.by_purchase(payment.purchase_id)
        return bought is not None and bought.grant_id == claim.grant_id

    def of_credit_purchase(self, grant_id: str) -> Standing | None:
        """Where a grant bought from a wallet stands, for whoever holds the key it was bought with; None without one."""
        grant, admission = self.store.read.grants.by_id(grant_id), self.store.read.grants.admission_by_id(grant_id)
        if grant is None or admission is None or grant.funding is not Funding.WALLET:
            return None
        now = self.clock.now()
        return self._with_others(admission, now) if admission.usable_at(now) else Standing(Step.CHOOSE, None, admission)

    def ends_at(self, standing: Standing) -> datetime:
        """When all that the device has is over, one after the other and used or not.

        What counts time online is over sooner where that is used up before.
        """
        now = self.clock.now()
        of_device = standing.after if standing.current is None else (standing.current, *standing.after)
        return now + sum((lapses_at(admission, now) - now for admission in of_device), timedelta())

    def _looking(self, claim: Claim, given: Admission | None, now: datetime) -> Standing:
        if given is None or not given.usable_at(now):
            return Standing(Step.VERIFYING, claim=claim)
        step = Step.PROVISIONAL if self.presence.is_online(given.username) else Step.VERIFYING
        return Standing(step, None, given, given.seconds_left_at(now), claim=claim)

    def _credited(self, claim: Claim) -> Standing:
        if claim.customer_id is None:  # credit is somebody's
            raise LookupError(claim.claim_id)
        credit = self.store.read.ledger.wallet(claim.customer_id)
        step = Step.CREDITED if credit.cents else Step.CHOOSE  # it has been spent since
        return Standing(step, claim=claim, credit=credit, mpesa_receipt_number=claim.mpesa_receipt_number)

    def _granted(self, claim: Claim, now: datetime) -> Standing:
        admission = self.store.read.grants.admission_by_id(claim.grant_id or "")
        if admission is None:  # granted together, or not at all
            raise LookupError(claim.claim_id)
        receipt = claim.mpesa_receipt_number
        if not admission.usable_at(now):
            return Standing(Step.OVER, None, admission, 0, receipt)
        moved = claim.mac != admission.mac and None not in {claim.mac, admission.mac}
        if moved and admission.package.devices_max == 1:
            return Standing(Step.ELSEWHERE, None, admission, 0, receipt)
        return self._with_others(admission, now, receipt)

    def _with_others(self, admission: Admission, now: datetime, receipt: str | None = None) -> Standing:
        """A usable grant, with the others of its device."""
        mac, tenant_id = admission.mac, admission.tenant_id
        beside = [admission] if mac is None else self._usable(tenant_id, mac, now)
        return self._admitted(admission, beside, now, mac, receipt)

    def _usable(self, tenant_id: str, mac: MacAddress, now: datetime) -> list[Admission]:
        of_device = self.store.read.grants.usable_of_device(tenant_id, mac)
        return [admission for admission in of_device if admission.usable_at(now)]

    def _shared(self, tenant_id: str, mac: MacAddress, now: datetime) -> list[Admission]:
        """What a device is on by that went on to another one of its buyer's since, and is for several."""
        read = self.store.read
        by = {session.grant_id for session in read.sessions.open_of_device(mac) if session.grant_id is not None}
        found = [admission for grant_id in sorted(by) if (admission := read.grants.admission_by_id(grant_id))]
        return [
            each
            for each in found
            if each.tenant_id == tenant_id and each.mac != mac and each.package.devices_max > 1 and each.usable_at(now)
            if self._is_on(each, mac)
        ]

    def _admitted(
        self,
        about: Admission | None,
        usable: list[Admission],
        now: datetime,
        mac: MacAddress | None,
        receipt: str | None = None,
    ) -> Standing:
        """One after the other: while one of a device's grants has it online, the others wait their turn."""
        # Of those that are open the first; what its buyer paused stands behind what was bought since.
        current = min(letting_on(usable, now) or usable, key=lambda each: opens_at(each, now))
        after = tuple(each for each in usable if each is not current)
        seconds = sum(each.seconds_left_at(now) for each in usable)
        step, opening = Step.CONNECTING, None
        if not current.open_at(now):
            step, opening = Step.SHUT, opens_at(current, now)
        elif self._is_off(current, usable):
            step = Step.OFF
        elif any(self._is_on(each, mac) for each in usable):
            step = Step.ONLINE
        return Standing(step, None, about or current, seconds, receipt, current=current, after=after, opens_at=opening)

    def _is_on(self, admission: Admission, mac: MacAddress | None) -> bool:
        """Whether it has that device on: that another one is, by a package for several, says nothing of it."""
        if not self.presence.is_online(admission.username):
            return False
        if mac is None or admission.package.devices_max == 1:
            return True
        told = {session.mac for session in self.store.read.sessions.open_of_grant(admission.grant_id)}
        devices = self.presence.devices_of(admission.username) | told
        return mac in devices or not devices - {None}

    @staticmethod
    def _is_off(current: Admission, usable: list[Admission]) -> bool:
        return any(each.keeps_off(current) for each in usable)


def opens_at(admission: Admission, now: datetime) -> datetime:
    """When a grant may be used: now, or from the hours of its package on."""
    schedule = admission.package.schedule
    return now if schedule is None else schedule.opens_at(now)


def lapses_at(admission: Admission, now: datetime) -> datetime:
    """When a grant is over by the clock, if its time runs from now on at the latest."""
    if admission.state is GrantState.RUNNING and admission.ends_at is not None:
        return admission.ends_at
    return now + timedelta(seconds=admission.seconds_left)


def _of_unpaid(purchase: Purchase) -> Standing:
    return Standing(STEP_OF_STATE[purchase.state], purchase)


def _is_done_with(purchase: Purchase, now: datetime) -> bool:
    shown = {PurchaseState.FAILED: _FAILED_SHOWN, PurchaseState.EXPIRED: _EXPIRED_SHOWN}.get(purchase.state)
    return purchase.state is PurchaseState.PAID or (shown is not None and now - purchase.changed_at > shown)


def _comes_back_for(claim: Claim, purchase: Purchase | None, now: datetime) -> bool:
    """Whether a device's last claim is what it comes back for, and not a purchase it began since."""
    if purchase is not None and purchase.created_at > claim.created_at:
        return False
    return claim.state is ClaimState.VERIFYING or now - claim.changed_at <= _DECIDED_SHOWN
