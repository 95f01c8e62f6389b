"""A grant: the right to be online that a payment bought."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.packages import Package, Service
    from easyisp_edge.domain.values import MacAddress


class Funding(enum.StrEnum):
    """What a grant stands on. Values are stored."""

    PAYMENT = "payment"
    WALLET = "wallet"
    PROVISIONAL = "provisional"  # no money yet: ended, or taken off what the money buys, once that is known


class GrantState(enum.StrEnum):
    """Where a grant stands. Values are stored."""

    WAITING = "waiting"  # bought; the device was not let on yet, so no time runs
    RUNNING = "running"
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
        seconds_left: Time left, when no time runs: as bought while waiting, 0 once ended.
        created_at: When it was bought.
        started_at: When the device was first let on.
        ends_at: When the time is up; known once it runs.
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

    def seconds_left_at(self, now: datetime) -> int:
        """Time left at that instant in whole seconds, rounded up: nobody is cut short by a fraction."""
        return _seconds_left(self.ends_at, self.seconds_left, self.state, now)

    def usable_at(self, now: datetime) -> bool:
        """Whether it lets its device on at that instant."""
        return self.state is not GrantState.ENDED and self.seconds_left_at(now) > 0

    def started(self, now: datetime) -> Grant:
        """The same grant, running from now."""
        return replace(
            self, state=GrantState.RUNNING, started_at=now, ends_at=now + timedelta(seconds=self.seconds_left)
        )

    def ended(self) -> Grant:
        """The same grant, over."""
        return replace(self, state=GrantState.ENDED, seconds_left=0)


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
    package: Package

    def seconds_left_at(self, now: datetime) -> int:
        """As a grant's."""
        return _seconds_left(self.ends_at, self.seconds_left, self.state, now)

    def usable_at(self, now: datetime) -> bool:
        """As a grant's."""
        return self.state is not GrantState.ENDED and self.seconds_left_at(now) > 0


def _seconds_left(ends_at: datetime | None, seconds_left: int, state: GrantState, now: datetime) -> int:
    if ends_at is not None and state is GrantState.RUNNING:
        return max(0, math.ceil((ends_at - now).total_seconds()))
    return seconds_left
