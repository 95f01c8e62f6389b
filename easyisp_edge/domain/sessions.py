"""A session: one login of one device, as the router reported it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.logins import UsageKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from easyisp_edge.domain.logins import UsageReport
    from easyisp_edge.domain.values import MacAddress

# How far apart two reports may put the beginning of one session: routers resend for seconds, and clocks drift.
BEGINNINGS_APART = timedelta(seconds=30)
# No router is back sooner after it went down, and names come round only when it is back.
_RESTART_TAKES = timedelta(seconds=15)
# Causes of ours, for sessions nobody said were over.
SILENT = "Lost-Stop"
RESTARTED = "Router-Restart"
_GIVEN_UP = frozenset((SILENT, RESTARTED))
# What a column holds. Two 32-bit words can say twice as much; a router that does has lost count.
_OCTETS_MAX = 2**63 - 1
# More than any session moves. What a router that lost count says beyond it is left out of what a grant used, so
# that the sum over all its sessions stays a number that a column holds.
_OCTETS_COUNTED_MAX = 2**50


class Session(NamedTuple):
    """A session as it stands in the books.

    Args:
        session_id: Ours; 0 before it is written.
        router_id: On which router.
        acct_session_id: The router's name for it; comes round again after reboots.
        username: What the device logged in with.
        grant_id: What let it on, where known.
        mac: The device.
        address: Its IP address.
        started_at: When it began, as far as its first report tells.
        updated_at: When its length was last reported.
        stopped_at: When it was over; where nobody said so, when it most likely was. None while it is open.
        seconds: Its length: as reported, and on to its most likely end where none was reported.
        octets_in: From the customer.
        octets_out: To the customer.
        cause: Why it ended; empty while it is open.
    """

    session_id: int
    router_id: str
    acct_session_id: str
    username: str
    grant_id: str | None
    mac: MacAddress | None
    address: str | None
    started_at: datetime
    updated_at: datetime
    stopped_at: datetime | None
    seconds: int
    octets_in: int
    octets_out: int
    cause: str

    @classmethod
    def begun(cls, usage: UsageReport, grant_id: str | None, at: datetime) -> Session:
        """The session a report at that instant is the first to speak of."""
        return cls(
            session_id=0,
            router_id=usage.router_id,
            acct_session_id=usage.session_id,
            username=usage.username,
            grant_id=grant_id,
            mac=usage.mac,
            address=usage.address,
            started_at=at - timedelta(seconds=usage.seconds),
            updated_at=at,
            stopped_at=at if usage.kind is UsageKind.STOP else None,
            seconds=usage.seconds,
            octets_in=min(usage.octets_in, _OCTETS_MAX),
            octets_out=min(usage.octets_out, _OCTETS_MAX),
            cause=usage.cause if usage.kind is UsageKind.STOP else "",
        )

    @property
    def octets_counted(self) -> int:
        """In both directions, as they are counted against what was bought."""
        return min(self.octets_in + self.octets_out, _OCTETS_COUNTED_MAX)

    @property
    def was_given_up(self) -> bool:
        """Whether it ended without anybody saying so."""
        return self.stopped_at is not None and self.cause in _GIVEN_UP

    @property
    def is_over(self) -> bool:
        """Whether its end was reported."""
        return self.stopped_at is not None and self.cause not in _GIVEN_UP

    @property
    def as_reported(self) -> Session:
        """The same session without what was guessed of its end."""
        if self.stopped_at is None or self.cause not in _GIVEN_UP:
            return self
        guessed = round((self.stopped_at - self.updated_at).total_seconds())
        return self._replace(stopped_at=None, cause="", seconds=self.seconds - guessed)

    def is_of(self, usage: UsageReport, at: datetime, clock_set_at: datetime) -> bool:
        """Whether a report at that instant speaks of this session, and not of a later one with the same names.

        A session that was on before the last report of this one is this one, since names come round only after a
        reboot. Where the clock was set meanwhile that cannot be told: then a session goes on where nothing of it has
        become less.

        Args:
            usage: A report with this session's names.
            at: When it was made, by box time.
            clock_set_at: Since when box time has gone on without a step.
        """
        if usage.mac is not None and self.mac is not None and usage.mac != self.mac:
            return False
        if self.updated_at < clock_set_at <= at:
            return at - clock_set_at <= BEGINNINGS_APART or (not self.is_over and self._has_grown_to(usage))
        began_at = at - timedelta(seconds=usage.seconds)
        # A report of a beginning that comes after that of the end has nothing to lose.
        latest = self.updated_at + _RESTART_TAKES if usage.kind is UsageKind.START else self.updated_at
        return began_at <= latest or self.beginning_apart(usage, at) <= BEGINNINGS_APART

    def plainly_goes_on(self, usage: UsageReport, at: datetime, clock_set_at: datetime) -> bool:
        """Whether it is open and a report at that instant can be of no other session with the same names.

        Those begin at least the time a restart takes from each other.
        """
        if self.stopped_at is not None or clock_set_at > self.updated_at or usage.mac != self.mac:
            return False
        apart = (at - self.updated_at).total_seconds() - usage.seconds + self.seconds
        return abs(apart) * 2 < _RESTART_TAKES.total_seconds()

    def beginning_apart(self, usage: UsageReport, at: datetime) -> timedelta:
        """How far from the beginning of this session a report at that instant puts the one it speaks of."""
        reported = self.as_reported
        return abs((at - reported.updated_at) - timedelta(seconds=usage.seconds - reported.seconds))

    def told(self, usage: UsageReport, at: datetime) -> Session:
        """The same session with what a report of it adds; counters only grow, and what was guessed gives way."""
        known = self.as_reported
        goes_on = usage.kind is not UsageKind.START and usage.seconds > known.seconds
        told = known._replace(
            address=usage.address or known.address,
            octets_in=max(known.octets_in, min(usage.octets_in, _OCTETS_MAX)),
            octets_out=max(known.octets_out, min(usage.octets_out, _OCTETS_MAX)),
            seconds=usage.seconds if goes_on else known.seconds,
            updated_at=at if goes_on else known.updated_at,
        )
        if usage.kind is UsageKind.STOP and told.stopped_at is None:
            return told._replace(stopped_at=at, cause=usage.cause)
        if self.was_given_up and not goes_on:  # what is older than its end says nothing against it
            return told._replace(stopped_at=self.stopped_at, cause=self.cause, seconds=self.seconds)
        return told

    def given_up(self, at: datetime, interim: timedelta, cause: str) -> Session:
        """The same session, found to be over at that instant without anybody saying since when.

        It was, at some time since its last report and before the next was due. The middle of that is taken: what is
        counted too much of one is too little of another.
        """
        unknown = max(timedelta(), min(interim, at - self.updated_at))
        guessed = timedelta(seconds=round(unknown.total_seconds() / 2))
        seconds = self.seconds + int(guessed.total_seconds())
        return self._replace(stopped_at=self.updated_at + guessed, seconds=seconds, cause=cause)

    def _has_grown_to(self, usage: UsageReport) -> bool:
        known = self.as_reported
        grown = usage.octets_in >= known.octets_in and usage.octets_out >= known.octets_out
        return grown and usage.seconds >= known.seconds


def spoken_of(named: Iterable[Session], usage: UsageReport, at: datetime, clock_set_at: datetime) -> Session | None:
    """Which of the sessions with a report's names it speaks of; None for one that is not among them.

    Args:
        named: The sessions with its names.
        usage: The report.
        at: When it was made, by box time.
        clock_set_at: Since when box time has gone on without a step.
    """
    same = [each for each in named if each.is_of(usage, at, clock_set_at)]
    return min(same, key=lambda each: each.beginning_apart(usage, at), default=None)
