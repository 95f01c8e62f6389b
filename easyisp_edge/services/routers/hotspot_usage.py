"""What customers used by a router's own hotspot users, accounted for at each look at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.logins import UsageKind
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.routers import USER_MARK, RouterState
from easyisp_edge.domain.user_usage import GONE, Counted, Login, Used, UserLook, interim, judge, looks_of, row_names
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.logins import UsageReport
    from easyisp_edge.domain.routers import ActiveSession, FoundUser
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store

# How long a row shows less than the books have before that is taken for lost.
DOUBT_SECONDS = 10.0
# How much less than the time between two looks a login may have grown by, and be the same.
LAG_SECONDS = 10.0
# How many users are looked into before others are served.
AT_A_STRETCH = 100
# How many users are accounted for side by side; they share commits.
TOGETHER_MAX = 1000


class _Seen(NamedTuple):
    """A user as it was last accounted for.

    Args:
        look: What was seen.
        at: When, monotonic seconds.
        names: The session of each login, by the login's item id.
        lost: What the row is known to have lost.
        behind_since: Since when the row shows less than the books have, monotonic seconds; None where it does not.
    """

    look: UserLook
    at: float
    names: dict[str, str]
    lost: Used
    behind_since: float | None


class _Work(NamedTuple):
    """Reports on a user, and what is known of it once they are committed."""

    reports: list[UsageReport]
    seen: _Seen


@dataclass(slots=True)
class HotspotUsage:
    """Accounts for what one router counted of its own users; see `domain.user_usage` for how.

    What was accounted for is read from the books wherever more happened to a user than that it went on; what is
    remembered here only spares that.

    Args:
        router_id: Which router.
        tenant_id: Whose.
        store: The store.
        clock: Box time.
        account: Notes a report on a session.
        clock_set_at: Since when box time has gone on without a step.
    """

    router_id: str
    tenant_id: str
    store: Store
    clock: Clock
    account: Callable[[UsageReport], Awaitable[object]]
    clock_set_at: Callable[[], datetime]
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _looked: bool = False
    _outlived: bool = True

    async def note(self, state: RouterState, *, only: set[str] | None = None) -> None:
        """Account for what changed since the last look; nothing is written where nothing did.

        Args:
            state: What was seen.
            only: The users that were looked for; None where all were, which comes first.

        Raises:
            UnavailableError: Not all of it was committed; the next look does the rest.
        """
        left_open = set() if self._looked else self._left_open()
        found = [work async for work in self._works(state, left_open, only)]
        self._looked = True
        await self._account_all(found)

    async def note_outlived(self, active: Iterable[ActiveSession]) -> None:
        """Account for sessions by RADIUS on a router that asks nobody by RADIUS any more, so that nobody reports them.

        Args:
            active: Who is on.

        Raises:
            UnavailableError: Not all of it was committed; the next look does the rest.
        """
        if not self._outlived:
            return
        open_ones = [
            session for session in self.store.read.sessions.open_on(self.router_id) if self._by_radius(session)
        ]
        self._outlived = bool(open_ones)
        on = {(session.user, session.mac): session for session in active if session.by_radius}
        reports = [outlived(session, on.get((session.username, session.mac))) for session in open_ones]
        await self._together(self.account(usage) for usage in reports if usage is not None)

    def in_doubt(self, username: str) -> bool:
        """Whether the router shows less of a user than is known to be used: it may yet show it."""
        seen = self._seen.get(username)
        return seen is not None and seen.behind_since is not None

    async def _works(self, state: RouterState, left_open: set[str], only: set[str] | None) -> AsyncIterator[_Work]:
        """What there is to account for, a few users at a time."""
        logins: dict[str, list[ActiveSession]] = {}
        for session in state.active:
            if not session.by_radius:
                logins.setdefault(session.user, []).append(session)
        names = list(dict.fromkeys((*state.users, *logins, *left_open, *self._seen)) if only is None else only)
        for first in range(0, len(names), AT_A_STRETCH):
            for look in self._looks(names[first : first + AT_A_STRETCH], state.users, logins):
                work = self._work(look, left_open=look.username in left_open)
                if work is not None:
                    yield work
            await self.clock.sleep(0)

    @staticmethod
    def _looks(
        names: Iterable[str], users: Mapping[str, FoundUser], logins: Mapping[str, Iterable[ActiveSession]]
    ) -> Iterator[UserLook]:
        some = list(names)
        standing = {name: users[name] for name in some if name in users}
        on = tuple(session for name in some for session in logins.get(name, ()))
        looks = looks_of(RouterState({}, standing, on, ()))
        return (looks.get(name) or UserLook(name, None, Used(), ()) for name in some)

    def _by_radius(self, session: Session) -> bool:
        """Whether it is a hotspot session that a RADIUS server let on."""
        if session.acct_session_id.startswith(USER_MARK) or session.grant_id is None:
            return False
        admission = self.store.read.grants.admission_by_id(session.grant_id)
        return admission is not None and admission.package.service is Service.HOTSPOT

    def _left_open(self) -> set[str]:
        """Who was on when this box last looked."""
        sessions = self.store.read.sessions.open_on(self.router_id)
        return {session.username for session in sessions if session.acct_session_id.startswith(USER_MARK)}

    def _work(self, look: UserLook, *, left_open: bool) -> _Work | None:
        seen = self._seen.get(look.username)
        if seen is None and look.is_empty and not left_open:
            return None
        if seen is not None and self._only_went_on(look, seen):
            return self._went_on(look, seen)
        admission = self.store.read.grants.admission(look.username)
        if admission is None or admission.tenant_id != self.tenant_id:
            return None
        return self._judged(look, seen, admission)

    def _only_went_on(self, look: UserLook, seen: _Seen) -> bool:
        elapsed = self.clock.monotonic() - seen.at - LAG_SECONDS
        return seen.behind_since is None and look.only_grew(seen.look, elapsed)

    def _went_on(self, look: UserLook, seen: _Seen) -> _Work | None:
        if look == seen.look:
            return None
        changed = [login for login in look.logins if login not in seen.look.logins]
        reports = [interim(look.username, login, seen.names[login.item_id], self.router_id) for login in changed]
        return _Work(reports, seen._replace(look=look, at=self.clock.monotonic()))

    def _judged(self, look: UserLook, seen: _Seen | None, admission: Admission) -> _Work:
        same_row = seen is not None and look.since == seen.look.since
        lost = seen.lost if seen is not None and same_row else Used()
        behind_since = seen.behind_since if seen is not None and same_row else None
        counted = self._counted(look, admission, lost)
        judged = judge(look, counted, self.router_id, self.clock.now(), self.clock_set_at())
        now = self.clock.monotonic()
        if judged.behind == Used():
            behind_since = None
        elif behind_since is None:
            behind_since = now
        elif now - behind_since >= DOUBT_SECONDS:
            lost, behind_since = lost + judged.behind, None
        return _Work(judged.reports, _Seen(look, now, judged.names, lost, behind_since))

    def _counted(self, look: UserLook, admission: Admission, lost: Used) -> Counted:
        sessions = self.store.read.sessions
        unended = {
            session.session_id: session
            for session in sessions.open_of_grant(admission.grant_id)
            if session.router_id == self.router_id and session.acct_session_id.startswith(USER_MARK)
        }
        if look.since is None:
            return Counted(Used(), tuple(unended.values()), lost)
        names = (self.router_id, row_names(look.since), look.username)
        unended |= {session.session_id: session for session in sessions.unended_of(*names)}
        return Counted(Used(*sessions.ended_of(*names)), tuple(unended.values()), lost)

    async def _account_all(self, work: Sequence[_Work]) -> None:
        for first in range(0, len(work), TOGETHER_MAX):
            await self._together(self._account(each) for each in work[first : first + TOGETHER_MAX])

    async def _together(self, accounting: Iterable[Awaitable[object]]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in accounting:
                    tasks.create_task(_awaited(each), name=f"usage on {self.router_id}")
        except* UnavailableError as errors:
            raise UnavailableError("router.accounting", "What was used could not be noted.") from errors

    async def _account(self, work: _Work) -> None:
        for usage in work.reports:
            await self.account(usage)
        look = work.seen.look
        if look.since is None and not look.logins:
            self._seen.pop(look.username, None)
        else:
            self._seen[look.username] = work.seen


async def _awaited(each: Awaitable[object]) -> None:
    await each


def outlived(session: Session, on: ActiveSession | None) -> UsageReport | None:
    """The report on a session of the books that nobody else reports: how it goes on, or that it is over.

    Args:
        session: As it stands in the books.
        on: Who is on by its names; None where nobody is.
    """
    known = session.as_reported
    if on is not None and on.uptime_seconds >= known.seconds:
        usage = interim(session.username, Login.of(on), session.acct_session_id, session.router_id)
        grown = (usage.seconds, usage.octets_in, usage.octets_out)
        return None if grown == (known.seconds, known.octets_in, known.octets_out) else usage
    used = Used.shown(known.seconds, known.octets_in, known.octets_out)
    last = interim(session.username, Login("", session.mac, "", used), session.acct_session_id, session.router_id)
    return last._replace(kind=UsageKind.STOP, cause=GONE, at=known.updated_at)
