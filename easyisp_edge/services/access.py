"""A grant lets its device on; at its end the device is put off; a router that asks is answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.errors import UnavailableError
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccessService:
    """Starts and ends grants, and answers routers.

    Args:
        store: The store.
        clock: Box time.
        presence: Who is online.
        tenant_of: The tenant of each router.
        message: A refusal in the customer's words, by its key.
        router_changed: A bell per router: something is to be put right there.
        grants_over: A second bell, for routers whose sessions can be ended without the API.
        ended: Rings when the time of the next end may have changed.
        begun: Rings when the time of a grant began.
    """

    store: Store
    clock: Clock
    presence: Presence
    tenant_of: dict[str, str]
    message: Callable[[str, str], str]
    router_changed: dict[str, Wake]
    grants_over: dict[str, Wake] = field(default_factory=dict)
    ended: Wake = field(default_factory=Wake)
    begun: Wake = field(default_factory=Wake)

    def tell_routers(self, tenant_id: str) -> None:
        """Have all routers of a tenant looked at now."""
        for bells in (self.router_changed, self.grants_over):
            for router_id, wake in bells.items():
                if self.tenant_of[router_id] == tenant_id:
                    wake.ring()

    def admission_of_device(self, tenant_id: str, mac: MacAddress) -> Admission | None:
        """What lets a device on now; what runs comes before what waits."""
        now = self.clock.now()
        usable = self.store.read.grants.usable_of_device(tenant_id, mac)
        return next((admission for admission in usable if admission.usable_at(now)), None)

    async def started(self, grant: Grant | Admission, at: datetime | None = None) -> None:
        """The device was let on, now or at that instant: from the first time, the grant's time runs."""
        if grant.state is GrantState.WAITING:
            await self.store.write(lambda tx: _start(tx, grant.grant_id, at or self.clock.now()))
            self.ended.ring()
            self.begun.ring()

    async def end_round(self) -> float | None:
        """End what is over and have it put off; gives the seconds until the next end."""
        now = self.clock.now()
        if self.store.read.grants.over(now):
            tenants = await self.store.write(lambda tx: _end_over(tx, now))
            for tenant_id in tenants:
                self.tell_routers(tenant_id)
        next_end = self.store.read.grants.next_end()
        return None if next_end is None else max(0.0, (next_end - self.clock.now()).total_seconds())

    def answer(self, request: LoginRequest) -> LoginAnswer | Awaitable[LoginAnswer]:
        """Answer a router that asks whether a device may go online.

        At once, except at a grant's first use: that starts its time, and is committed before it is answered.
        """
        admission = self.store.read.grants.admission(request.username)
        if admission is None or admission.tenant_id != self.tenant_of.get(request.router_id):
            return LoginRejected(self.message(request.router_id, "rejects.unknown_user"))
        now = self.clock.now()
        refusal = self._refusal(admission, request, now)
        if refusal is not None:
            return LoginRejected(self.message(request.router_id, refusal))
        if admission.state is GrantState.WAITING:
            return self._start_and_accept(admission)
        return self._accept(admission, now)

    def _refusal(self, admission: Admission, request: LoginRequest, now: datetime) -> str | None:
        package = admission.package
        if not request.credential.matches(admission.password):
            return "rejects.wrong_password"
        if not admission.usable_at(now):
            return "rejects.time_up"
        if package.service is not request.service or not package.valid_on(request.router_id):
            return "rejects.other_place"
        if package.devices_max == 1 and admission.mac != request.mac and None not in (admission.mac, request.mac):
            return "rejects.other_device"
        return None

    async def _start_and_accept(self, admission: Admission) -> LoginAnswer:
        await self.started(admission)
        running = self.store.read.grants.admission_by_id(admission.grant_id)
        if running is None:
            raise UnavailableError("grant.unreadable", "The grant could not be read back.")
        return self._accept(running, self.clock.now())

    def _accept(self, admission: Admission, now: datetime) -> LoginAccepted:
        package = admission.package
        return LoginAccepted(
            grant_id=admission.grant_id,
            session_seconds=max(1, admission.seconds_left_at(now)),
            rate_limit=package.rate_limit,
            data_left=package.data_limit,
            devices_max=package.devices_max,
        )


def _start(tx: Tables, grant_id: str, at: datetime) -> None:
    grant = tx.grants.by_id(grant_id)
    if grant is None or grant.state is not GrantState.WAITING:
        return
    running = grant.started(at)
    tx.grants.update(running)
    tx.events.append(
        Stream.MONEY,
        "grant.started",
        grant_id,
        {"seconds": running.seconds_left, "endsAt": running.ends_at.isoformat() if running.ends_at else None},
    )


def _end_over(tx: Tables, now: datetime) -> set[str]:
    over = tx.grants.over(now)
    for grant in over:
        tx.grants.update(grant.ended())
        tx.events.append(Stream.MONEY, "grant.ended", grant.grant_id, {"cause": "time"})
    return {grant.tenant_id for grant in over}
