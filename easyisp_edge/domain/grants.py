"""A grant: the right to be online that a payment or a voucher bought."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.values import DataVolume

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from easyisp_edge.domain.packages import Package, Service
    from easyisp_edge.domain.values import MacAddress


class Funding(enum.StrEnum):
    """What a grant stands on. Values are stored."""

    PAYMENT = "payment"
    WALLET = "wallet"
    PROVISIONAL = "provisional"  # no money yet: ended, or taken off what the money buys, once that is known
    IMPORTED = "imported"  # sold before this box came, by whatever kept the router's users then
    VOUCHER = "voucher"  # paid for outside of this box, on paper
    TRIAL = "trial"  # given for free


class GrantState(enum.StrEnum):
    """Where a grant stands. Values are stored."""

    WAITING = "waiting"  # bought; the device was not let on yet, so no time runs
    RUNNING = "running"
    PAUSED = "paused"  # set aside for another one of its device: its time stands still
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to be online, as it stands in the store.

    Args:
        grant_id: Our id.
        tenant_id: Whose customer.
        customer_id: Who may.
        funding: What it stands on.
        payment_id: What paid for it, where a payment did; each buys one grant.
        purchase_id: The purchase it answers, where there is one; each gets one grant.
        package_version_id: What was bought.
        service: Hotspot or PPPoE.
        username: For the machine path, random.
        password: For the machine path, random.
        mac: The device it is for; None where any device with the credentials may.
        state: Where it stands.
        seconds_left: Time left by the clock when it last did not run: as bought until it is first set aside, as left
            from then on, 0 once ended and never before.
        created_at: When it was bought.
        started_at: When the device was first let on.
        ends_at: When the time is up by the clock; known while it runs, kept once it ended.
        seconds_used: Time spent online, over all sessions as reported.
        octets_used: Data used in both directions, over all sessions as reported.
        off_since: Since when its buyer wants to be off, while its time by the clock runs on; None where that is not so.
    """

    grant_id: str
    tenant_id: str
    customer_id: str
    funding: Funding
    payment_id: str | None
    purchase_id: str | None
    package_version_id: int
    service: Service
    username: str
    password: str
    mac: MacAddress | None
    state: GrantState
    seconds_left: int
    created_at: datetime
    started_at: datetime | None
    ends_at: datetime | None
    seconds_used: int = 0
    octets_used: int = 0
    off_since: datetime | None = None

    def seconds_left_at(self, now: datetime) -> int:
        """Time left by the clock at that instant in whole seconds, rounded up: nobody is cut short by a fraction."""
        return _seconds_left(self.ends_at, self.seconds_left, now)

    def started(self, now: datetime) -> Grant:
        """The same grant, running from now: for the first time, or again."""
        ends_at = now + timedelta(seconds=self.seconds_left)
        return replace(self, state=GrantState.RUNNING, started_at=self.started_at or now, ends_at=ends_at)

    def paused(self, now: datetime) -> Grant:
        """The same grant, set aside with the time it has left, rounded up."""
        return replace(
            self, state=GrantState.PAUSED, seconds_left=self.seconds_left_at(now), ends_at=None, off_since=None
        )

    def ended(self, now: datetime) -> Grant:
        """The same grant, over; one that never began had no time at all."""
        started_at, ends_at = self.started_at or now, self.ends_at or now
        return replace(
            self, state=GrantState.ENDED, seconds_left=0, started_at=started_at, ends_at=ends_at, off_since=None
        )


class Admission(NamedTuple):
    """What a router needs to know of a grant, and what it bought.

    A tuple of the few fields that takes: one is read at every login, and thousands are held per router.
    """

    grant_id: str
    tenant_id: str
    username: str
    password: str
    mac: MacAddress | None
    state: GrantState
    seconds_left: int
    created_at: datetime
    ends_at: datetime | None
    seconds_used: int
    octets_used: int
    package: Package
    off_since: datetime | None = None

    def seconds_left_at(self, now: datetime) -> int:
        """Time left at that instant, by the clock or of time online, whichever is less."""
        left, online_left = _seconds_left(self.ends_at, self.seconds_left, now), self.online_seconds_left
        return left if online_left is None else min(left, online_left)

    @property
    def online_seconds_left(self) -> int | None:
        """Time online left, as reported so far; None where only the clock counts."""
        online_time = self.package.online_time
        return None if online_time is None else max(0, int(online_time.total_seconds()) - self.seconds_used)

    @property
    def data_left(self) -> DataVolume | None:
        """Data left, as reported so far; None for no limit."""
        limit = self.package.data_limit
        return None if limit is None else DataVolume(max(0, limit.octets - self.octets_used))

    @property
    def data_is_used_up(self) -> bool:
        """Whether its data is limited and none is left."""
        limit = self.package.data_limit
        return limit is not None and self.octets_used >= limit.octets

    def used(self, seconds: int, octets: int) -> Admission:
        """The same with so much more used."""
        return self._replace(seconds_used=self.seconds_used + seconds, octets_used=self.octets_used + octets)

    def usable_at(self, now: datetime) -> bool:
        """Whether there is something left of it; where it has hours, it may still be shut."""
        # Asked at every login: what is bought without limits is not looked into further.
        if not self.seconds_left or (self.ends_at is not None and self.ends_at <= now):
            return False
        if self.package.online_time is not None and not self.online_seconds_left:
            return False
        return not self.data_is_used_up

    def open_at(self, now: datetime) -> bool:
        """Whether that instant is within the hours it may be used in."""
        schedule = self.package.schedule
        return schedule is None or schedule.is_open(now)

    def session_seconds_at(self, now: datetime) -> int:
        """How long a session that begins at that instant may be: the time left, within the hours it may be used in."""
        left, schedule = self.seconds_left_at(now), self.package.schedule
        if schedule is None:
            return left
        closes_at = schedule.closes_at(now)
        return 0 if closes_at is None else min(left, math.ceil((closes_at - now).total_seconds()))

    def keeps_off(self, other: Admission) -> bool:
        """Whether its buyer wants to be off, and did not get that other one since, by which to be on after all."""
        return self.off_since is not None and other.created_at <= self.off_since

    def serves(self, mac: MacAddress | None) -> bool:
        """Whether it lets that device on, as one of those it is for."""
        return mac is None or self.mac is None or self.mac == mac or self.package.devices_max > 1


def letting_on(admissions: Iterable[Admission], now: datetime) -> list[Admission]:
    """Those that may have somebody on at that instant: there is something left, it is their hour, and their turn.

    What was set aside comes back once nothing else of its device runs. Where a buyer wants to be off, nothing that the
    device had then lets it on.
    """
    usable = _without_off([each for each in admissions if each.usable_at(now) and each.open_at(now)])
    running = {each.mac for each in usable if each.state is GrantState.RUNNING and each.mac is not None}
    return [each for each in usable if each.state is not GrantState.PAUSED or each.mac not in running]


def _without_off(usable: list[Admission]) -> list[Admission]:
    off = [each for each in usable if each.off_since is not None]
    if not off:  # nearly always
        return usable
    of_device: dict[MacAddress, list[Admission]] = {}
    for each in off:
        if each.mac is not None:
            of_device.setdefault(each.mac, []).append(each)
    return [
        each
        for each in usable
        if each.off_since is None
        and not (each.mac is not None and any(other.keeps_off(each) for other in of_device.get(each.mac, ())))
    ]


def _seconds_left(ends_at: datetime | None, seconds_left: int, now: datetime) -> int:
    if ends_at is None or not seconds_left:  # none runs, or none is left
        return seconds_left
    return max(0, math.ceil((ends_at - now).total_seconds()))
