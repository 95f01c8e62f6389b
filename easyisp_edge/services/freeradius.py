"""A RADIUS server of the site's own, FreeRADIUS, told who may be on; what it noted of sessions is read back.

The users in its database are desired state as everywhere: they are compared with the grants, and what differs is
written. It goes on answering while this box is down, so nothing it holds lets anybody on for longer than was paid.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.login_database import SessionsCursor, WantedLogin
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.login_database import NotedSession
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

# How often all rows are read and compared; in between what was written is taken to stand.
LOOK_EVERY_SECONDS = 300.0
# After more events than these, all grants are read anew instead of one by one.
EVENTS_FOLLOWED_MAX = 2000
# How far back sessions are read at the start: so long a box may have been away.
READ_BACK = timedelta(days=35)
# What is noted at one instant may show a moment later: what was read is read again.
OVERLAP = timedelta(minutes=2)
SESSIONS_READ_MAX = 500
# How far the server's clock may be off when it says when a session began.
CLOCKS_APART = timedelta(minutes=5)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


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

    async def octets_used(self) -> dict[str, int]:
        """Data used by each user of ours, in both directions, over all sessions."""


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
        sequence: The last event the grants reflect.
        usable: The grants that are not over, by id.
        cursor: How far sessions were read.
        progress: What those near the cursor had come to, by number.
        looked_at: When all rows were compared last, by the monotonic clock.
    """

    sequence: int | None = None
    usable: dict[str, Admission] = field(default_factory=dict)
    cursor: SessionsCursor | None = None
    progress: dict[int, _Progress] = field(default_factory=dict)
    looked_at: float | None = None


@dataclass(frozen=True, slots=True)
class FreeradiusService:
    """Keeps one server's database equal to the grants, and accounts for what the server noted.

    Args:
        database: The server's database.
        routers: All routers that ask this server; at least one.
        store: The store.
        clock: Box time.
        account: Notes a report on a session.
        started: To be called when a device was let on for the first time, with when that was.
        written: To be called when users were written: a router may log them in from now on.
    """

    database: LoginDatabase
    routers: Sequence[ServedRouter]
    store: Store
    clock: Clock
    account: Callable[[UsageReport], Awaitable[None]]
    started: Callable[[Admission, datetime], Awaitable[None]]
    written: Callable[[], None]
    _read: _Read = field(default_factory=_Read)

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
        changed = await self.database.keep(await self._wanted(), whole=whole)
        self._read.looked_at = now if whole else looked_at
        if changed:
            log.info("%d users written for FreeRADIUS", changed)
            self.written()

    async def _wanted(self) -> dict[str, WantedLogin]:
        await self._read_grants()
        now = self.clock.now()
        usable = [admission for admission in self._read.usable.values() if admission.usable_at(now)]
        limited = any(admission.package.data_limit is not None for admission in usable)
        used = await self.database.octets_used() if limited else {}
        wanted = (self._wanted_login(admission, used.get(admission.username, 0)) for admission in usable)
        return {login.username: login for login in wanted if login is not None}

    def _wanted_login(self, admission: Admission, octets_used: int) -> WantedLogin | None:
        """What the server has to know of a grant; None where it lets nobody on here."""
        package = admission.package
        there = [router for router in self.routers if router.tenant_id == admission.tenant_id]
        valid = [router for router in there if package.valid_on(router.router_id)]
        left = None if package.data_limit is None else package.data_limit.octets - octets_used
        if not valid or (left is not None and left <= 0):
            return None
        return wanted_login(
            admission,
            data_left=None if left is None else DataVolume(left),
            interim_seconds=min(router.interim_seconds for router in valid),
            tenant_id=None if len(there) == len(self.routers) else admission.tenant_id,
            router_ids=() if valid == there else tuple(router.router_id for router in valid),
        )

    async def _read_grants(self) -> None:
        """Read the grants: all of them once, then those that events say have changed."""
        read = self._read
        sequence, _ = self.store.read.events.head(Stream.MONEY)
        if read.sequence is None or sequence - read.sequence > EVENTS_FOLLOWED_MAX:
            tenants = self._tenants
            usable = await self.store.survey(
                lambda tables: [grant for tenant_id in tenants for grant in tables.grants.usable(tenant_id)]
            )
            read.usable = {admission.grant_id: admission for admission in usable}
        elif sequence > read.sequence:
            for grant_id in self.store.read.events.keys_since(Stream.MONEY, read.sequence, "grant."):
                self._reread(grant_id)
        read.sequence = sequence

    def _reread(self, grant_id: str) -> None:
        admission = self.store.read.grants.admission_by_id(grant_id)
        if admission is None or admission.tenant_id not in self._tenants:
            return
        if admission.state is GrantState.ENDED:
            self._read.usable.pop(grant_id, None)
        else:
            self._read.usable[grant_id] = admission

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
        if admission is not None and admission.state is GrantState.WAITING:
            await self.started(admission, _began_at(session, admission, self.clock.now()))
        await self.account(usage)

    def _usage(self, session: NotedSession) -> UsageReport | None:
        """The report on a session; None where it is nobody's of ours, or its end is in the books."""
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
        )
        booked = session.stopped and self.store.read.sessions.stopped_lately(usage, _LONG_AGO)
        return None if booked else usage

    def _router_at(self, address: str) -> ServedRouter | None:
        if len(self.routers) == 1:  # whatever it calls itself
            return self.routers[0]
        return next((router for router in self.routers if router.address == address), None)


def wanted_login(
    admission: Admission,
    *,
    interim_seconds: int,
    data_left: DataVolume | None = None,
    online_seconds: int | None = None,
    tenant_id: str | None = None,
    router_ids: tuple[str, ...] = (),
) -> WantedLogin:
    """What a RADIUS server has to know of a grant.

    Args:
        admission: The grant and what it bought.
        interim_seconds: How often its sessions are to be reported.
        data_left: What is left of its data; None for no limit.
        online_seconds: Online time in all; None where its time runs by the clock.
        tenant_id: Whose routers it is good behind; None for all.
        router_ids: The only routers it is good behind; empty for all of those.
    """
    waits, package = admission.state is GrantState.WAITING, admission.package
    if waits:
        # Until its start is known here no instant ends it: its length does, in each session and in all together.
        length = admission.seconds_left * package.devices_max
        online_seconds = length if online_seconds is None else min(online_seconds, length)
    return WantedLogin(
        grant_id=admission.grant_id,
        username=admission.username,
        password=admission.password,
        service=package.service,
        mac=admission.mac if package.devices_max == 1 else None,
        session_seconds=admission.seconds_left if waits else None,
        online_seconds=online_seconds,
        expires_at=None if waits else admission.ends_at,
        data_left=data_left,
        rate_limit=package.rate_limit,
        devices_max=package.devices_max,
        interim_seconds=interim_seconds,
        tenant_id=tenant_id,
        router_ids=router_ids,
    )


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
