"""What a router counted of one of its own hotspot users, against what the books have of it.

A user's row counts the sessions that have ended, each active row the one that runs: together they are what was used
there. Every login is a session of the books, reported anew at each look. A row's comment says since when it counts;
the sessions of its logins carry that in their names, so the books themselves say what the row should have come to:

- The sum of a row's ended sessions in the books is what the row is to show. What it shows beyond that was used unseen,
  by sessions between two looks or after the last look at one. It is counted at the end of a session that is gone, or
  as one of its own.
- A row that shows less has lost something: its counters were reset, or the router went down with sessions on it, whose
  use never got there. That is let pass, so that what comes next is counted; but only once it lasted for a while, since
  a session that ends between the reading of users and that of logins is in neither.

So each octet and second is counted once: however many rounds are missed, whatever the router or the box goes through,
with one device or several. What is not known to be new is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.routers import USER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from easyisp_edge.domain.routers import ActiveSession, FoundUser, RouterState
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress

# Why a session ended that was there at one look and not at the next.
GONE = "Gone"
# More than any user moves: a router that says more has lost count, and its sums are to stay numbers a column holds.
_OCTETS_MAX = 2**49


@dataclass(frozen=True, slots=True)
class Used:
    """Time online and data, counted from some beginning.

    Args:
        seconds: Time online.
        octets_in: From the customer.
        octets_out: To the customer.
    """

    seconds: int = 0
    octets_in: int = 0
    octets_out: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(self.seconds + other.seconds, self.octets_in + other.octets_in, self.octets_out + other.octets_out)

    def __sub__(self, other: Used) -> Used:
        return Used(self.seconds - other.seconds, self.octets_in - other.octets_in, self.octets_out - other.octets_out)

    @classmethod
    def shown(cls, seconds: int, octets_in: int, octets_out: int) -> Used:
        """As a router shows it."""
        return cls(seconds, min(octets_in, _OCTETS_MAX), min(octets_out, _OCTETS_MAX))

    @property
    def octets(self) -> int:
        """In both directions."""
        return self.octets_in + self.octets_out

    @property
    def more(self) -> Used:
        """What of a difference is above nothing."""
        return Used(max(0, self.seconds), max(0, self.octets_in), max(0, self.octets_out))

    def covers(self, other: Used) -> bool:
        """Whether nothing of it is less."""
        return (other - self).more == Used()


class Login(NamedTuple):
    """A device that is logged in by a user of the router's own.

    Args:
        item_id: The row's id on the router; comes round again.
        mac: The device.
        address: Its IP address.
        used: Since its login.
    """

    item_id: str
    mac: MacAddress | None
    address: str
    used: Used

    @classmethod
    def of(cls, session: ActiveSession) -> Login:
        """An active session as one."""
        used = Used.shown(session.uptime_seconds, session.octets_in, session.octets_out)
        return cls(session.item_id, session.mac, session.address, used)


class UserLook(NamedTuple):
    """What one look at a router showed of a user.

    Args:
        username: Whose.
        since: Since when its row counts, as its comment says; None where there is no row.
        ended: What its row shows.
        logins: Who is on by it.
    """

    username: str
    since: str | None
    ended: Used
    logins: tuple[Login, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used and nobody is on."""
        return not self.logins and self.ended == Used()

    def only_grew(self, before: UserLook, seconds: float) -> bool:
        """Whether nothing happened since another look than that those on used more, all that time.

        Args:
            before: The other look.
            seconds: For how long they were on at least, if they were on all the time.
        """
        if (self.since, self.ended, len(self.logins)) != (before.since, before.ended, len(before.logins)):
            return False
        known = {(login.item_id, login.mac): login.used for login in before.logins}
        for login in self.logins:
            used = known.get((login.item_id, login.mac))
            if used is None or not login.used.covers(used) or login.used.seconds - used.seconds < seconds:
                return False
        return True


class Counted(NamedTuple):
    """What the books have of a user on one router.

    Args:
        ended: The sum of the sessions of its row that are over.
        unended: Those that are open, or were given up without a word of their end; of whatever row.
        lost: What the row is known to have lost of them.
    """

    ended: Used
    unended: tuple[Session, ...]
    lost: Used


class Judged(NamedTuple):
    """What follows from a look.

    Args:
        reports: To be accounted for, in this order.
        names: The session of each login, by the login's item id.
        behind: How much less the row shows than the books have.
    """

    reports: list[UsageReport]
    names: dict[str, str]
    behind: Used


def looks_of(state: RouterState) -> dict[str, UserLook]:
    """What was seen of each user of ours, and of other names that devices are on by without RADIUS."""
    logins: dict[str, list[Login]] = {}
    for session in state.active:
        if not session.by_radius:
            logins.setdefault(session.user, []).append(Login.of(session))
    looks = {name: _look(found, logins.pop(name, ())) for name, found in state.users.items()}
    return looks | {name: UserLook(name, None, Used(), tuple(on)) for name, on in logins.items()}


def row_names(since: str) -> str:
    """How the names of the sessions of a row begin that counts since then."""
    return f"{USER_MARK}{since}/"


def judge(look: UserLook, counted: Counted, router_id: str, now: datetime, clock_set_at: datetime) -> Judged:
    """Hold a look against the books.

    Args:
        look: What was seen.
        counted: What the books have.
        router_id: Where.
        now: When.
        clock_set_at: Since when box time has gone on without a step.
    """
    unended = sorted(counted.unended, key=lambda session: session.started_at, reverse=True)
    begun = []
    for login in look.logins:
        session = next((each for each in unended if _goes_on(each, login, now, clock_set_at)), None)
        if session is not None:
            unended.remove(session)
        begun.append((login, _name(look, login, now) if session is None else session.acct_session_id))
    rows = row_names(look.since or "")
    of_row = [session for session in unended if session.acct_session_id.startswith(rows)]
    gone = [*(session for session in unended if session not in of_row), *of_row]
    known = sum((_used(session) for session in of_row), counted.ended) - counted.lost
    missing = Used() if look.since is None else (look.ended - known).more
    reports = [_stop(session, missing if of_row and session is gone[-1] else Used(), now) for session in gone]
    if missing != Used() and not of_row:
        reports.append(_unseen(look, missing, router_id))
    reports += [interim(look.username, login, name, router_id) for login, name in begun]
    behind = Used() if look.since is None else (known - look.ended).more
    return Judged(reports, {login.item_id: name for login, name in begun}, behind)


def interim(username: str, login: Login, name: str, router_id: str) -> UsageReport:
    """The report on a login that is on."""
    return UsageReport(
        router_id=router_id,
        kind=UsageKind.INTERIM,
        session_id=name,
        username=username,
        grant_id=None,
        mac=login.mac,
        address=login.address or None,
        seconds=login.used.seconds,
        octets_in=login.used.octets_in,
        octets_out=login.used.octets_out,
        cause="",
    )


def _look(found: FoundUser, logins: Iterable[Login]) -> UserLook:
    ended = Used.shown(found.uptime_seconds, found.octets_in, found.octets_out)
    return UserLook(found.name, found.since, ended, tuple(logins))


def _name(look: UserLook, login: Login, now: datetime) -> str:
    began = int(now.timestamp()) - login.used.seconds
    return f"{row_names(look.since or '')}{login.item_id}/{began:x}"


def _goes_on(session: Session, login: Login, now: datetime, clock_set_at: datetime) -> bool:
    """Whether a login is that of a session of the books, not a later one with an id that came round."""
    _, item_id, _ = session.acct_session_id.split("/")
    if (item_id, session.mac) != (login.item_id, login.mac) or not login.used.covers(_used(session)):
        return False
    report = interim(session.username, login, session.acct_session_id, session.router_id)
    return session.is_of(report, now, clock_set_at)


def _used(session: Session) -> Used:
    reported = session.as_reported
    return Used(reported.seconds, reported.octets_in, reported.octets_out)


def _stop(session: Session, missing: Used, now: datetime) -> UsageReport:
    """The report on a session that is gone: it was on when last seen, and for what is missing."""
    at = max(session.updated_at, min(now, session.updated_at + timedelta(seconds=missing.seconds)))
    last = Login("", session.mac, session.address or "", _used(session) + missing)
    seen = interim(session.username, last, session.acct_session_id, session.router_id)
    return seen._replace(kind=UsageKind.STOP, cause=GONE, at=at)


def _unseen(look: UserLook, missing: Used, router_id: str) -> UsageReport:
    """The report on what was used between two looks; once it is in the books there is nothing missing any more."""
    name = f"{row_names(look.since or '')}unseen/{look.ended.seconds}-{look.ended.octets}"
    report = interim(look.username, Login("", None, "", missing), name, router_id)
    return report._replace(kind=UsageKind.STOP, cause=GONE)
