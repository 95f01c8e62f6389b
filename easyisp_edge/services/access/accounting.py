"""What routers report as used: in any order, any number of times, with ends that nobody tells."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import UsageKind
from easyisp_edge.domain.sessions import BEGINNINGS_APART, RESTARTED, SILENT, Session, spoken_of
from easyisp_edge.services.access.grant_life import end
from easyisp_edge.services.access.login_names import login_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.logins import UsageReport
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.store.store import Store, Tables

# A session not heard of for so many of its reporting intervals is over.
INTERIMS_MISSED_MAX = 3
_INTERIM_ELSE = timedelta(minutes=5)
_OF_ROUTERS = frozenset((UsageKind.ROUTER_ON, UsageKind.ROUTER_OFF))


class ReportingRouter(NamedTuple):
    """A router whose sessions are kept.

    Args:
        tenant_id: Whose.
        interim: How often it reports a session.
    """

    tenant_id: str
    interim: timedelta


@dataclass(slots=True)
class _Noted:
    """What a transaction led to.

    Args:
        on: Whether they are on, on that router, by user name.
        used_up: The tenants of whom a grant was used up.
    """

    on: dict[str, bool] = field(default_factory=dict)
    used_up: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class AccountingService:
    """Keeps sessions as routers report them, and counts them against what was bought.

    Args:
        store: The store.
        clock: Box time; a router's own may be wrong.
        presence: Who is online.
        routers: The routers whose sessions are kept, by id.
        clock_set_at: Since when box time has gone on without a step.
        listening_since: Since when reports are heard.
        used_up: To be called with a tenant of whom a grant was used up: somebody is to be put off.
    """

    store: Store
    clock: Clock
    presence: Presence
    routers: Mapping[str, ReportingRouter]
    clock_set_at: Callable[[], datetime]
    listening_since: datetime
    used_up: Callable[[str], None]

    def account(self, usage: UsageReport) -> Awaitable[object]:
        """Note a report; once what this gives is done it is committed and the router may be answered.

        Raises:
            UnavailableError: It was not committed; the router is to send it again.
        """
        # Routers report by the thousand: a task for each would cost a tenth of all that is done for it.
        noting = self.store.writing(lambda tx: self._note(tx, usage), repeatable=True)
        noting.add_done_callback(lambda done: self._noted(usage, done))
        return noting

    def _noted(self, usage: UsageReport, done: asyncio.Future[_Noted]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        if usage.kind in _OF_ROUTERS:
            self.presence.observed(usage.router_id, set())
        self._tell(usage.router_id, done.result())

    async def silence_round(self) -> None:
        """Give up sessions that were not heard of for long, once routers had the time to speak of them."""
        now, listening_since = self.clock.now(), max(self.listening_since, self.clock_set_at())
        for router_id, router in self.routers.items():
            patience = router.interim * INTERIMS_MISSED_MAX
            if now - listening_since < patience or not self.store.read.sessions.unheard(router_id, now - patience):
                continue
            give_up = functools.partial(self._give_up_unheard, router_id=router_id, since=now - patience)
            self._tell(router_id, await self.store.write(give_up))

    def remembered(self, router_id: str) -> set[str]:
        """Who is on a router by what it reported last, and not long ago."""
        since = self.clock.now() - self.routers[router_id].interim * INTERIMS_MISSED_MAX
        tables = self.store.read
        return {
            _name_of(session, _grant_of(tables, session))
            for session in tables.sessions.open_on(router_id)
            if session.updated_at >= since
        }

    def is_noted(self, usage: UsageReport) -> bool:
        """Whether the end a report tells of is in the books already."""
        at = usage.at or self.clock.now()
        named = self.store.read.sessions.named(usage.router_id, usage.session_id, usage.username)
        session = spoken_of(named, usage, at, self.clock_set_at())
        return session is not None and session.is_over and session.told(usage, at) == session

    def _tell(self, router_id: str, noted: _Noted) -> None:
        for username, on in noted.on.items():
            (self.presence.came if on else self.presence.left)(router_id, username)
        for tenant_id in noted.used_up:
            self.used_up(tenant_id)

    def _give_up_unheard(self, tx: Tables, router_id: str, since: datetime) -> _Noted:
        books = self._books(tx, router_id)
        for session in tx.sessions.unheard(router_id, since):
            books.give_up(session, books.now, SILENT)
        return books.noted

    def _note(self, tx: Tables, usage: UsageReport) -> _Noted:
        books = self._books(tx, usage.router_id)
        at, set_at = usage.at or books.now, self.clock_set_at()
        if usage.kind in _OF_ROUTERS:
            for session in tx.sessions.open_on(usage.router_id):
                books.give_up(session, at, RESTARTED)
            return books.noted
        found = tx.sessions.open_named(usage.router_id, usage.session_id, usage.username)
        if found is not None and found[0].plainly_goes_on(usage, at, set_at):
            books.enter(found[0], found[0].told(usage, at), found[1])
            return books.noted
        named = tx.sessions.named(usage.router_id, usage.session_id, usage.username)
        same = spoken_of(named, usage, at, set_at)
        if same is None:
            books.begin(Session.begun(usage, self._grant_id(tx, usage, at), at), named, at)
        else:
            books.go_on(same, same.told(usage, at), named, at)
        return books.noted

    def _books(self, tx: Tables, router_id: str) -> _Books:
        router = self.routers.get(router_id)
        return _Books(tx, self.clock.now(), _INTERIM_ELSE if router is None else router.interim, _Noted())

    def _grant_id(self, tx: Tables, usage: UsageReport, at: datetime) -> str | None:
        """What let a device on: the router gives back what it was told then, else the name says it."""
        router = self.routers.get(usage.router_id)
        tenant_id = None if router is None else router.tenant_id
        told = None if usage.grant_id is None else tx.grants.admission_by_id(usage.grant_id)
        if told is not None and told.tenant_id == tenant_id:
            return told.grant_id
        name = login_name(tx, tenant_id, usage.username, usage.mac, at, usage.router_id)
        return None if name is None or name.admission is None else name.admission.grant_id


class _Books(NamedTuple):
    """The sessions of one router, within one transaction.

    Args:
        tx: The transaction.
        now: Box time.
        interim: How often the router reports a session.
        noted: What it leads to.
    """

    tx: Tables
    now: datetime
    interim: timedelta
    noted: _Noted

    def begin(self, session: Session, named: list[Session], at: datetime) -> None:
        """Enter a session; what cannot be on beside it is given up."""
        for each in self._beside(session, named):
            # A device has one login on a router: what was heard of since is on by another service.
            same_names = session.stopped_at is None and each in named
            if same_names or each.updated_at <= session.started_at + BEGINNINGS_APART:
                self.give_up(each, min(at, session.started_at), SILENT)
        self._enter(None, session, _grant_of(self.tx, session))

    def go_on(self, before: Session, session: Session, named: list[Session], at: datetime) -> None:
        """Enter what was heard of a session, also of one that was given up."""
        if before.stopped_at is not None and session.stopped_at is None:
            # Where its device has begun another meanwhile, this is an old report, and only tells the end better.
            beside, recently = self._beside(before, named), at - BEGINNINGS_APART
            next_began = [each.started_at for each in beside if each in named or each.started_at >= recently]
            if next_began:
                session = session.given_up(min(next_began), self.interim, before.cause)
        self.enter(before, session, _grant_of(self.tx, before))

    def enter(self, before: Session, session: Session, grant: Admission | None) -> None:
        """Enter what was heard of a session that is there, and what let it on."""
        if session != before:
            self._enter(before, session, grant)

    def give_up(self, session: Session, at: datetime, cause: str) -> None:
        """Enter that a session was found to be over at that instant, without anybody saying since when."""
        self._enter(session, session.given_up(at, self.interim, cause), _grant_of(self.tx, session))

    def _beside(self, session: Session, named: list[Session]) -> list[Session]:
        """What else is open of the same names, or of the same device on the router."""
        beside = [each for each in named if each.stopped_at is None]
        if session.mac is not None:
            of_device = self.tx.sessions.open_of_device(session.mac)
            beside += [each for each in of_device if each.router_id == session.router_id and each not in beside]
        return [each for each in beside if each.session_id != session.session_id]

    def _enter(self, before: Session | None, session: Session, grant: Admission | None) -> None:
        if before is None:
            self.tx.sessions.add(session)
        elif (before.stopped_at, before.cause) == (session.stopped_at, session.cause):
            self.tx.sessions.go_on(session)
        else:
            self.tx.sessions.update(session)
        grant = self._counted(before, session, grant)
        ends_now = before is None or before.stopped_at is None or before.was_given_up
        if session.stopped_at is not None and ends_now:
            _tell_end(self.tx, session)
        self._see(session, grant)

    def _counted(self, before: Session | None, session: Session, grant: Admission | None) -> Admission | None:
        """Count what was added against the grant; gives it as it stands then."""
        seconds = session.seconds - (0 if before is None else before.seconds)
        octets = session.octets_counted - (0 if before is None else before.octets_counted)
        if grant is None or not (seconds or octets):
            return grant
        self.tx.grants.use(grant.grant_id, seconds, octets)
        return grant.used(seconds, octets)

    def _see(self, session: Session, grant: Admission | None) -> None:
        """Note who is on, and a grant of which nothing is left."""
        on = session.stopped_at is None
        if grant is not None:
            self._use_up(grant)
            if not on:
                others = self.tx.sessions.open_of_grant(grant.grant_id)
                on = any(each.router_id == session.router_id for each in others)
        self.noted.on[_name_of(session, grant)] = on

    def _use_up(self, admission: Admission) -> None:
        """End a grant of which nothing is left."""
        if admission.state is GrantState.ENDED or admission.usable_at(self.now):
            return
        grant = self.tx.grants.by_id(admission.grant_id)
        if grant is not None:
            end(self.tx, grant, "data" if admission.data_is_used_up else "time", self.now)
            self.noted.used_up.add(grant.tenant_id)


def _grant_of(tables: Tables, session: Session) -> Admission | None:
    return None if session.grant_id is None else tables.grants.admission_by_id(session.grant_id)


def _name_of(session: Session, grant: Admission | None) -> str:
    """What its device is known to be on by: its grant's name, whatever it logged in with."""
    return session.username if grant is None else grant.username


def _tell_end(tx: Tables, session: Session) -> None:
    tx.events.append(
        Stream.USAGE,
        "session.stopped",
        session.username,
        {
            "router": session.router_id,
            "session": session.acct_session_id,
            "startedAt": session.started_at.isoformat(timespec="seconds"),
            "grant": session.grant_id,
            "seconds": session.seconds,
            "octetsIn": session.octets_in,
            "octetsOut": session.octets_out,
            "cause": session.cause,
        },
    )
