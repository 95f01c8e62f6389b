"""Guessing of passwords: how often somebody may be wrong before nobody listens for a while.

Three counts stand beside each other. A name tried from an address is locked first, and only there. An address that
tries many names is locked as a whole. A name that is tried from many addresses is locked for addresses from which
its user is not logged in: so who guesses from many places cannot keep the owner out of a place where the owner is
known, and on the box itself `easyisp-edge admin password` always works.

Tries are counted before the password is looked at, so that a hundred at once are not all let through. Names that do
not exist are counted like any other. It is kept in memory alone: a restart forgets it, and nobody who guesses can
bring one about.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.networks import network_of
from easyisp_edge.errors import TooManyError

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock

# Of each count so many are remembered at most; then the one that was tried longest ago is forgotten.
KEYS_MAX = 4096


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How often wrong is too often, within the span.

    Args:
        here: One name from one address.
        source: One address, whatever the names.
        email: One name, wherever from.
        span_seconds: The span.
    """

    here: int = 5
    source: int = 30
    email: int = 50
    span_seconds: float = 900.0


class Try(NamedTuple):
    """One try, counted.

    Args:
        email: With which name.
        source: From where.
        at: When, on the monotonic clock.
        is_last: Whether the next one would not be listened to.
    """

    email: str
    source: str
    at: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Counts:
    """Moments of tries, by whatever they are counted by.

    Args:
        most: How many are allowed.
    """

    most: int
    moments: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def standing(self, key: str, since: float) -> deque[float]:
        """Those that still count."""
        found = self.moments.get(key, deque())
        while found and found[0] <= since:
            found.popleft()
        return found

    def add(self, key: str, at: float) -> bool:
        """Count one; whether it was the last that is allowed."""
        found = self.moments.setdefault(key, deque())
        self.moments.move_to_end(key)
        found.append(at)
        if len(self.moments) > KEYS_MAX:
            self.moments.popitem(last=False)
        return len(found) >= self.most

    def take_back(self, key: str, at: float) -> None:
        """Count one no more."""
        found = self.moments.get(key)
        if found is not None and at in found:
            found.remove(at)


class LoginLockout:
    """Counts tries to log in.

    Args:
        clock: For spans.
        limits: How often is too often.
    """

    def __init__(self, clock: Clock, limits: LoginLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or LoginLimits()
        self._here = _Counts(self._limits.here)
        self._sources = _Counts(self._limits.source)
        self._emails = _Counts(self._limits.email)

    def begin(self, email: str, source: str, *, is_known: bool) -> Try:
        """Count a try, or refuse to listen.

        Args:
            email: The name, in its normal form; it need not exist.
            source: The address it comes from.
            is_known: Whether that user is logged in from there.

        Raises:
            TooManyError: There were too many of late; this one does not count.
        """
        now, source = self._clock.monotonic(), network_of(source)
        here = f"{email} {source}"
        self._refuse(self._here, here, now)
        self._refuse(self._sources, source, now)
        if not is_known:
            self._refuse(self._emails, email, now)
        counted = (self._here.add(here, now), self._sources.add(source, now), self._emails.add(email, now))
        return Try(email, source, now, any(counted))

    def right(self, tried: Try) -> None:
        """It was right: what was wrong with this name from there is forgotten, and this try does not count."""
        self._here.moments.pop(f"{tried.email} {tried.source}", None)
        self._sources.take_back(tried.source, tried.at)
        self._emails.take_back(tried.email, tried.at)

    def unheard(self, tried: Try) -> None:
        """Nobody looked at it, for there was too much to do: it does not count, neither as wrong nor as right."""
        self._here.take_back(f"{tried.email} {tried.source}", tried.at)
        self._sources.take_back(tried.source, tried.at)
        self._emails.take_back(tried.email, tried.at)

    def _refuse(self, counts: _Counts, key: str, now: float) -> None:
        span = self._limits.span_seconds
        standing = counts.standing(key, now - span)
        if len(standing) >= counts.most:
            wait = standing[-counts.most] + span - now
            message = "There were too many wrong tries. Wait a while, or have the password set on the box itself."
            raise TooManyError("login.locked", message, retry_after_seconds=max(1.0, wait))
