"""A grant lets its device on; at its end, or when another of its device is started, the device is put off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.grant_life import PAUSES_PER_DAY, end, let_on_again, pause, start, take_off

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.schedules import Schedule
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store, Tables

# How long sessions by one grant are taken to go on after their last report, when time online is counted ahead.
COUNTED_AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AccessService:
    """Starts grants, sets them aside and ends them, and has routers told.

    Args:
        store: The store.
        clock: Box time.
        tenant_of: The tenant of each router.
        router_changed: A bell per router: something is to be put right there.
        sessions_over: A second bell, for routers whose sessions can be ended without the API.
        ended: Rings when the time of the next end may have changed.
        begun: Rings when the time of a grant began.
    """

    store: Store
    clock: Clock
    tenant_of: dict[str, str]
    router_changed: dict[str, Wake]
    sessions_over: dict[str, Wake] = field(default_factory=dict)
    ended: Wake = field(default_factory=Wake)
    begun: Wake = field(default_factory=Wake)
    _open: set[Schedule] = field(default_factory=set)

    def tell_routers(self, tenant_id: str) -> None:
        """Have all routers of a tenant looked at now."""
        for bells in (self.router_changed, self.sessions_over):
            for router_id, wake in bells.items():
                if self.tenant_of[router_id] == tenant_id:
                    wake.ring()

    async def started(self, grant: Grant | Admission, at: datetime | None = None) -> None:
        """The device was let on, now or at that instant: the grant's time runs, for the first time or again.

        What was set aside runs again from now: the instant may be one before that, and its time was not used since.
        """
        if grant.state in {GrantState.WAITING, GrantState.PAUSED}:
            await self.store.write(lambda tx: _start(tx, grant.grant_id, at, self.clock.now()))
            self.ended.ring()
            self.begun.ring()

    async def switch_to(
        self, tenant_id: str, mac: MacAddress, grant_id: str, noting: Callable[[Tables], None] | None = None
    ) -> Grant:
        """Let a device use one of its grants now; the one that runs is set aside with the time it has left.

        Args:
            tenant_id: Whose customer.
            mac: The device.
            grant_id: What it is to use.
            noting: What is to be written in the same transaction.

        Raises:
            NotFoundError: The device has no such grant.
            ConflictError: It cannot be used now: it is over, or shut at this hour.
        """

        def work(tx: Tables) -> Grant:
            switched = _switch(tx, tenant_id, mac, grant_id, self.clock.now())
            if noting is not None:
                noting(tx)
            return switched

        grant = await self.store.write(work)
        self.ended.ring()
        self.begun.ring()
        self.tell_routers(tenant_id)
        return grant

    async def pause(self, tenant_id: str, mac: MacAddress, grant_id: str) -> Grant:
        """Let a buyer be off to save time online: it stands still, and the device is put off until `switch_to`.

        The time by the clock within which the package is valid runs on. What else the device has does not begin
        meanwhile; what is bought from now on does. Asked twice is once.

        Raises:
            NotFoundError: The device has no such grant.
            ConflictError: `grant.by_clock`: its time runs whether the device is on or not; `grant.not_running`: it has
                not begun, or another one runs; or `grant.paused_often`: often enough within a day.
        """
        grant = await self.store.write(lambda tx: _pause(tx, tenant_id, mac, grant_id, self.clock.now()))
        self.tell_routers(tenant_id)
        return grant

    async def end_round(self) -> float | None:
        """End what is over and have it put off; gives the seconds until the next end."""
        now = self.clock.now()
        online_left = self._time_online_left(now)
        used_up = {grant_id for grant_id, left in online_left.items() if left <= 0}
        if used_up or self.store.read.grants.over(now):
            for tenant_id in await self.store.write(lambda tx: _end_over(tx, used_up, now)):
                self.tell_routers(tenant_id)
        ends = [left for left in online_left.values() if left > 0]
        next_end = self.store.read.grants.next_end()
        if next_end is not None:
            ends.append((next_end - now).total_seconds())
        return max(0.0, min(ends)) if ends else None

    async def hours_round(self) -> float | None:
        """Have routers looked at when hours of packages began or ended; gives the seconds until they next do."""
        now, schedules = self.clock.now(), self.store.read.grants.schedules()
        is_open = {schedule for schedule in schedules if schedule.is_open(now)}
        if is_open != self._open:
            self._open.clear()
            self._open.update(is_open)
            for tenant_id in dict.fromkeys(self.tenant_of.values()):
                self.tell_routers(tenant_id)
        changes = [schedule.closes_at(now) or schedule.opens_at(now) for schedule in schedules]
        return (min(changes) - now).total_seconds() if changes else None

    def may_stay(self, session: Session) -> bool:
        """Whether the device of a session may be on by what let it on; those of nobody we know may."""
        if session.grant_id is None:
            return True
        admission, now = self.store.read.grants.admission_by_id(session.grant_id), self.clock.now()
        if admission is None:
            return True
        usable = admission.usable_at(now) and admission.open_at(now) and admission.state is not GrantState.PAUSED
        return usable and admission.off_since is None and admission.serves(session.mac)

    def _time_online_left(self, now: datetime) -> dict[str, float]:
        """Seconds left of grants by time online that several devices use at once, by what must have been used since.

        One device alone is put off by its router, to the second.
        """
        on: dict[str, list[Session]] = {}
        for session in self.store.read.sessions.open_by_online_time():
            if session.grant_id is not None:
                on.setdefault(session.grant_id, []).append(session)
        return {
            grant_id: self._left_of_shared(grant_id, sessions, now)
            for grant_id, sessions in on.items()
            if len(sessions) > 1
        }

    def _left_of_shared(self, grant_id: str, sessions: list[Session], now: datetime) -> float:
        admission = self.store.read.grants.admission_by_id(grant_id)
        online_left = None if admission is None else admission.online_seconds_left
        if online_left is None:
            return 1.0
        since = sum(min(now - each.updated_at, COUNTED_AHEAD).total_seconds() for each in sessions)
        return (online_left - since) / len(sessions)


def _start(tx: Tables, grant_id: str, at: datetime | None, now: datetime) -> None:
    grant = tx.grants.by_id(grant_id)
    if grant is not None:
        start(tx, grant, at if at is not None and grant.state is GrantState.WAITING else now)


def _switch(tx: Tables, tenant_id: str, mac: MacAddress, grant_id: str, now: datetime) -> Grant:
    usable = tx.grants.usable_of_device(tenant_id, mac)
    grant, admission = _own(tx, usable, grant_id)
    if not (admission.usable_at(now) and admission.open_at(now)):
        raise ConflictError("grant.shut", "This package cannot be used now.")
    others = [each for each in usable if each.package.service is admission.package.service]
    grant = let_on_again(tx, grant)
    rounded_up = sum((_set_aside(tx, each.grant_id, now) for each in others if each is not admission), timedelta())
    return start(tx, grant, now - rounded_up)


def _pause(tx: Tables, tenant_id: str, mac: MacAddress, grant_id: str, now: datetime) -> Grant:
    grant, admission = _own(tx, tx.grants.usable_of_device(tenant_id, mac), grant_id)
    if admission.package.online_time is None:
        raise ConflictError("grant.by_clock", "This package counts by the clock: its time runs on while you are off.")
    if grant.off_since is not None:
        return grant
    if grant.state is not GrantState.RUNNING or not admission.usable_at(now):
        raise ConflictError("grant.not_running", "This package is not running now.")
    if tx.events.count_since(grant_id, "grant.off", now - timedelta(days=1)) >= PAUSES_PER_DAY:
        raise ConflictError("grant.paused_often", "This package was paused often enough today.")
    return take_off(tx, grant, now)


def _own(tx: Tables, usable: Sequence[Admission], grant_id: str) -> tuple[Grant, Admission]:
    grant, admission = tx.grants.by_id(grant_id), next((each for each in usable if each.grant_id == grant_id), None)
    if grant is None or admission is None:
        raise NotFoundError("grant.unknown", "This device has no such package.")
    return grant, admission


def _set_aside(tx: Tables, grant_id: str, now: datetime) -> timedelta:
    """Pause a grant that runs, or end one whose time is up; gives by how much its time left was rounded up.

    That is taken off what runs instead: else who switches to and fro many times a second would never use any.
    """
    grant = tx.grants.by_id(grant_id)
    if grant is None or grant.state is not GrantState.RUNNING or grant.ends_at is None:
        return timedelta()
    if grant.ends_at <= now:
        end(tx, grant, "time", now)
        return timedelta()
    return timedelta(seconds=pause(tx, grant, now).seconds_left) - (grant.ends_at - now)


def _end_over(tx: Tables, used_up: set[str], now: datetime) -> set[str]:
    shared = (tx.grants.by_id(grant_id) for grant_id in used_up)
    over = {grant.grant_id: grant for grant in (*tx.grants.over(now), *shared) if grant is not None}
    for grant in over.values():
        end(tx, grant, "time", now)
    return {grant.tenant_id for grant in over.values()}
