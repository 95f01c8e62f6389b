"""A RADIUS server of the site's own, FreeRADIUS, told who may be on; what it noted of sessions is read back.

The users in its database are desired state as everywhere: they are compared with the grants, and what differs is
written. It goes on answering while this box is down, so nothing it holds lets anybody on for longer than was paid.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from easyisp_edge.domain.grants import GrantState, letting_on
from easyisp_edge.domain.login_database import SessionsCursor, WantedLogin
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.followed_grants import FollowedGrants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.login_database import NotedSession
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

# How often all rows are read and compared; in between what was written is taken to stand.
LOOK_EVERY_SECONDS = 300.0
# How far back sessions are read at the start: so long a box may have been away.
READ_BACK = timedelta(days=35)
# What is noted at one instant may show a moment later: what was read is read again.
OVERLAP = timedelta(minutes=2)
SESSIONS_READ_MAX = 500
# How far the server's clock may be off when it says when a session began.
CLOCKS_APART = timedelta(minutes=5)


class LoginDatabase(Protocol):
    """The database a RADIUS server answers from. Every call raises `UnavailableError` when it cannot be used.

    Whatever was under way then is wholly there or not at all, user by user: the next round does the rest.
    """

    async def keep(self, wanted: Mapping[str, WantedLogin], *, whole: bool) -> int:
        """Make our users exactly these, by user name; gives how many were written or taken away.

        What is not ours is never touched. A user that cannot be written is left out, and said so in the log.

        Args:
            wanted: All that are to stand.
            whole: Whether to look at all that stands; else what was written last is taken to stand.
        """

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        """Sessions that changed after the cursor, in its order, whoever's they are; at most `limit`."""


@dataclass(frozen=True, slots=True)
class ServedRouter:
    """A router that asks the server.

    Args:
        router_id: Which router.
        tenant_id: Whose.
        address: Its IP address.
        interim_seconds: How often it is to report usage.
    """

    router_id: str
    tenant_id: str
    address: str
    interim_seconds: int


class _Progress(NamedTuple):
    """What a session had come to when it was last reported."""

    seconds: int
    octets_in: int
    octets_out: int
    stopped: bool


@dataclass(slots=True)
class _Read:
    """What was read so far.

    Args:
        used: Grants of which more was used since they were read.
        cursor: How far sessions were read.
        progress: What those near the cursor had come to, by number.
        looked_at: When all rows were compared last, by the monotonic clock.
    """

    used: set[str] = field(default_factory=set)
    cursor: SessionsCursor | None = None
    progress: dict[int, _Progress] = field(default_factory=dict)
    looked_at: float | None = None


@dataclass(slots=True)
class FreeradiusService:
    """Keeps one server's database equal to the grants, and accounts for what the server noted.

    Args:
        database: The server's database.
        routers: All routers that ask this server; at least one.
        store: The store.
        clock: Box time.
        account: Notes a report on a session.
        is_noted: Whether the end a report tells of is in the books.
        started: To be called when a device was let on for the first time, or again, with when that was.
        written: To be called when users were written: a router may log them in from now on.
    """

    database: LoginDatabase
    routers: Sequence[ServedRouter]
    store: Store
    clock: Clock
    account: Callable[[UsageReport], Awaitable[object]]
    is_noted: Callable[[UsageReport], bool]
    started: Callable[[Admission, datetime], Awaitable[None]]
    written: Callable[[], None]
    _read: _Read = field(default_factory=_Read)
    _grants: FollowedGrants = field(init=False)

    def __post_init__(self) -> None:
        self._grants = FollowedGrants(self.store, self._tenants)

    async def round(self) -> float | None:
        """Read back what was used, then put right what differs.

        Raises:
            UnavailableError: The database could not be used; what was done is kept, the rest is for the next round.
        """
        # First what was used: a grant that began meanwhile is to be written as one whose time runs.
        await self._account_all()
        await self._keep()
        return None

    async def _keep(self) -> None:
        now, looked_at = self.clock.monotonic(), self._read.looked_at
        whole = looked_at is None or now - looked_at >= LOOK_EVERY_SECONDS
        self._read.looked_at = None  # after a failure all is looked at
        await self._follow_grants(anew=whole)
        changed = await self.database.keep(self._wanted(), whole=whole)
        self._read.looked_at = now if whole else looked_at
        if changed:
            log.info("%d users written for FreeRADIUS", changed)
            self.written()

    def _wanted(self) -> dict[str, WantedLogin]:
        now = self.clock.now()
        by_tenant: dict[str, list[Admission]] = {tenant_id: [] for tenant_id in self._tenants}
        for admission in self._grants.usable.values():
            by_tenant[admission.tenant_id].append(admission)
        # Of each tenant by itself: what a device has with one does not wait for what it has with another.
        on = (admission for of_one in by_tenant.values() for admission in letting_on(of_one, now))
        wanted = (self._wanted_login(admission, now) for admission in on)
        return {login.username: login for login in wanted if login is not None}

    def _wanted_login(self, admission: Admission, now: datetime) -> WantedLogin | None:
        """What the server has to know of a grant; None where it lets nobody on here."""
        package = admission.package
        there = [router for router in self.routers if router.tenant_id == admission.tenant_id]
        valid = [router for router in there if package.valid_on(router.router_id)]
        if not valid:
            return None
        return wanted_login(
            admission,
            now,
            interim_seconds=min(router.interim_seconds for router in valid),
            tenant_id=None if len(there) == len(self.routers) else admission.tenant_id,
            router_ids=() if valid == there else tuple(router.router_id for router in valid),
        )

    async def _follow_grants(self, *, anew: bool) -> None:
        """Read the grants: all of them now and then, else those that events say have changed, or that were used."""
        changes = await self._grants.follow(anew=anew)
        if not changes.whole:
            for grant_id in self._read.used - changes.grant_ids:
                self._grants.reread(grant_id)
        self._read.used.clear()

    @property
    def _tenants(self) -> list[str]:
        return list(dict.fromkeys(router.tenant_id for router in self.routers))

    async def _account_all(self) -> None:
        """Account for all sessions that changed since the last round, some at a time."""
        read, now = self._read, self.clock.now()
        first = SessionsCursor(now - READ_BACK, 0) if read.cursor is None else _overlapping(read.cursor, now)
        cursor, progress = first, read.progress
        seen: dict[int, _Progress] = {}
        while True:
            sessions = await self.database.sessions_after(cursor, SESSIONS_READ_MAX)
            changed = [session for session in sessions if progress.get(session.row_id) != _progress(session)]
            await self._account(changed)
            seen |= {session.row_id: _progress(session) for session in sessions}
            if sessions:
                cursor = sessions[-1].cursor
            if len(sessions) < SESSIONS_READ_MAX:
                break
        if seen:
            read.cursor = cursor
        read.progress = seen

    async def _account(self, sessions: Sequence[NotedSession]) -> None:
        """Account for sessions side by side, so that they share commits."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for session in sessions:
                    usage = self._usage(session)
                    if usage is not None:
                        tasks.create_task(self._account_one(session, usage), name=f"session {session.session_id}")
        except* UnavailableError as errors:
            raise UnavailableError("freeradius.accounting", "Usage could not be noted.") from errors

    async def _account_one(self, session: NotedSession, usage: UsageReport) -> None:
        admission = self.store.read.grants.admission(session.username)
        if admission is not None and self._begins(admission, session):
            await self.started(admission, _began_at(session, admission, self.clock.now()))
        await self.account(usage)
        if admission is not None:
            self._read.used.add(admission.grant_id)

    def _begins(self, admission: Admission, session: NotedSession) -> bool:
        """Whether a session is one with which a grant's time begins to run, for the first time or again."""
        if admission.state is not GrantState.PAUSED or session.stopped:
            return admission.state is GrantState.WAITING
        usable = self.store.read.grants.usable_of_device(admission.tenant_id, admission.mac) if admission.mac else []
        if any(each.state is GrantState.RUNNING for each in usable):
            return False
        # One of before it was set aside does not count, unless it was heard of after.
        heard_at = min(session.changed_at, self.clock.now())
        return not self.store.read.events.count_since(admission.grant_id, "grant.paused", heard_at)

    def _usage(self, session: NotedSession) -> UsageReport | None:
        """The report on a session; None where it is nobody's of ours, or tells nothing new of one that is over."""
        grant = self.store.read.grants.by_username(session.username)
        router = self._router_at(session.router_address)
        if grant is None or router is None or grant.tenant_id != router.tenant_id:
            return None
        usage = UsageReport(
            router_id=router.router_id,
            kind=_kind(session),
            session_id=session.session_id,
            username=session.username,
            grant_id=session.grant_id,
            mac=session.mac,
            address=session.address,
            seconds=session.seconds,
            octets_in=session.octets_in,
            octets_out=session.octets_out,
            cause=session.cause,
            at=min(session.changed_at, self.clock.now()),
        )
        over = self.is_noted(usage) if session.stopped else self._is_given_up(usage)
        return None if over else usage

    def _is_given_up(self, usage: UsageReport) -> bool:
        """Whether it is the last that was heard of a session whose end nobody told, and which is over in the books.

        The server keeps such a session open for ever.
        """
        named = self.store.read.sessions.named(usage.router_id, usage.session_id, usage.username)
        return any(each.was_given_up and _tells_nothing_new(usage, each) for each in named)

    def _router_at(self, address: str) -> ServedRouter | None:
        if len(self.routers) == 1:  # whatever it calls itself
            return self.routers[0]
        return next((router for router in self.routers if router.address == address), None)


def wanted_login(
    admission: Admission,
    now: datetime,
    *,
    interim_seconds: int,
    tenant_id: str | None = None,
    router_ids: tuple[str, ...] = (),
) -> WantedLogin:
    """What a RADIUS server has to know of a grant that lets on now.

    Args:
        admission: The grant and what it bought.
        now: Box time.
        interim_seconds: How often its sessions are to be reported.
        tenant_id: Whose routers it is good behind; None for all.
        router_ids: The only routers it is good behind; empty for all of those.
    """
    package, waits = admission.package, admission.state is not GrantState.RUNNING
    shuts_at = None if package.schedule is None else package.schedule.closes_at(now)
    # Until its start is known here no instant ends it: its length does, in each session and in all together.
    ends = [each for each in (None if waits else admission.ends_at, shuts_at) if each is not None]
    return WantedLogin(
        grant_id=admission.grant_id,
        username=admission.username,
        password=admission.password,
        service=package.service,
        mac=admission.mac if package.devices_max == 1 else None,
        session_seconds=admission.seconds_left_at(now) if waits else admission.online_seconds_left,
        online_seconds=_online_seconds(admission),
        expires_at=min(ends, default=None),
        data_limit=admission.data_left if admission.state is GrantState.WAITING else package.data_limit,
        data_left=admission.data_left,
        rate_limit=package.rate_limit,
        devices_max=package.devices_max,
        interim_seconds=interim_seconds,
        tenant_id=tenant_id,
        router_ids=router_ids,
    )


def _online_seconds(admission: Admission) -> int | None:
    """Time online in all as the server counts it: over sessions by this user name, of which one waiting had none."""
    online_time, limits = admission.package.online_time, []
    noted = 0 if admission.state is GrantState.WAITING else admission.seconds_used
    if online_time is not None:
        limits.append(int(online_time.total_seconds()) - admission.seconds_used + noted)
    if admission.state is not GrantState.RUNNING:
        limits.append(admission.seconds_left * admission.package.devices_max + noted)
    return min(limits, default=None)


def _tells_nothing_new(usage: UsageReport, session: Session) -> bool:
    at = usage.at or session.updated_at
    counted = usage.octets_in <= session.octets_in and usage.octets_out <= session.octets_out
    return usage.mac == session.mac and at <= session.updated_at and usage.seconds <= session.seconds and counted


def _overlapping(cursor: SessionsCursor, now: datetime) -> SessionsCursor:
    # A clock that stood in the future for a moment must not hide what comes after.
    return SessionsCursor(min(cursor.changed_at, now) - OVERLAP, 0)


def _progress(session: NotedSession) -> _Progress:
    return _Progress(session.seconds, session.octets_in, session.octets_out, session.stopped)


def _kind(session: NotedSession) -> UsageKind:
    if session.stopped:
        return UsageKind.STOP
    return UsageKind.INTERIM if session.seconds else UsageKind.START


def _began_at(session: NotedSession, admission: Admission, now: datetime) -> datetime:
    """When a grant was first used, by box time; a clock that cannot be right is not believed."""
    began = session.started_at
    if began is None or not admission.created_at - CLOCKS_APART <= began <= now + CLOCKS_APART:
        began = now - timedelta(seconds=session.seconds)
    return min(max(began, admission.created_at), now)
