"""Hotspot users that somebody else made on a router: what is known of each, and what is left of it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.user_usage import Used

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from easyisp_edge.domain.values import MacAddress, Money

# To Mikhmon a user with so little is one whose time is up, kept so that the login page can say so.
_CUT_OFF_SECONDS = 1
# How long its login script may take at most until it has written when a user ends.
_SCRIPT_SECONDS = 60


class ExpiryMode(enum.StrEnum):
    """What Mikhmon does with a user whose time is up. Values are as its scripts write them."""

    REMOVE = "rem"
    NOTICE = "ntf"
    REMOVE_AND_RECORD = "remc"
    NOTICE_AND_RECORD = "ntfc"
    NEVER = "0"


@dataclass(frozen=True, slots=True)
class MikhmonTerms:
    """How Mikhmon sells the users of a profile, as the profile's login script says.

    Args:
        mode: What happens at the end.
        validity: How long a user lasts by the clock from its first login; None where it never ends, or unreadable.
        prices: What it costs: to whoever sells it on, and to the customer.
        locks: Whether a user is bound to the first device that logs in by it.
    """

    mode: ExpiryMode
    validity: timedelta | None
    prices: tuple[Money, ...]
    locks: bool


@dataclass(frozen=True, slots=True)
class LegacyProfile:
    """A user profile as it was found.

    Args:
        name: Its name.
        devices_max: How many devices a user may have on at once; None for any number.
        terms: Of Mikhmon, where its login script is Mikhmon's.
    """

    name: str
    devices_max: int | None
    terms: MikhmonTerms | None


@dataclass(frozen=True, slots=True)
class LegacyUser:
    """A hotspot user as it was found.

    Args:
        name: What a device logs in with.
        password: None where the source does not show it, or there is none.
        server: The hotspot server it is for, or `all`.
        profile: Name of its user profile.
        mac: The only device that may use it; None for any.
        comment: As it stands there.
        ends_at: When its time is up, as its comment or a scheduler of its own says.
        limit_seconds: How long it may be online in all; None for no limit.
        limit_octets: What it may use in both directions; None for no limit.
        used: By its sessions that have ended; None where the source does not say.
        under_way: By those that run; None where nobody is on by it.
        disabled: Whether nobody may log in by it.
        ours: Whether it carries our mark.
        fault: Why it cannot be taken over as it stands, in words; empty where it can.
    """

    name: str
    password: str | None
    server: str
    profile: str
    mac: MacAddress | None
    comment: str
    ends_at: datetime | None
    limit_seconds: int | None
    limit_octets: int | None
    used: Used | None
    under_way: Used | None = None
    disabled: bool = False
    ours: bool = False
    fault: str = ""

    @property
    def untouched(self) -> bool:
        """Whether nothing shows that anybody ever logged in by it."""
        return self.under_way is None and self.used in {None, Used()}

    @property
    def unstamped(self) -> bool:
        """Whether Mikhmon would write the end into its comment at its first login."""
        return self.comment[:2] in {"", "vc", "up"}

    @property
    def cut_off(self) -> bool:
        """Whether Mikhmon has ended it, and left it there for the login page to say so."""
        return self.limit_seconds is not None and self.limit_seconds <= _CUT_OFF_SECONDS

    @property
    def used_so_far(self) -> Used:
        """Over all its sessions, as far as is known."""
        return (self.used or Used()) + (self.under_way or Used())


@dataclass(frozen=True, slots=True)
class LegacyScheduler:
    """Something on the router that ends users by itself.

    Args:
        item_id: The row's id there; empty where it was not read there.
        name: Its name.
        disabled: Whether it is switched off.
        user: The only user it is for; None where it is for all of a profile, or of the router.
        profile: The only profile it is for; None where it is for one user, or all.
    """

    item_id: str
    name: str
    disabled: bool
    user: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class LegacyTables:
    """What a router, or its export, says of its users.

    Args:
        users: All but those that the router makes by itself.
        profiles: By name.
        schedulers: That end users.
        router_time: What the router takes the time to be; None where the source does not say.
    """

    users: tuple[LegacyUser, ...]
    profiles: Mapping[str, LegacyProfile]
    schedulers: tuple[LegacyScheduler, ...]
    router_time: datetime | None

    @property
    def shows_passwords(self) -> bool:
        """Whether passwords are shown: where no user at all has one they are hidden, or nobody has any."""
        return any(user.password for user in self.users)


class Left(NamedTuple):
    """What is left of a user.

    Args:
        ends_at: When its time is up; None where it runs from the next login on.
        seconds: How long from then on; None for as long as its package lasts.
        online_seconds: Of time online; None for no limit.
        octets: Of data; None for no limit.
    """

    ends_at: datetime | None
    seconds: int | None
    online_seconds: int | None
    octets: int | None

    def seconds_at(self, now: datetime, package_duration: timedelta) -> int:
        """By the clock at that instant, rounded up; at least as long as there is time online left."""
        if self.ends_at is not None:
            return math.ceil((self.ends_at - now).total_seconds())
        whole = int(package_duration.total_seconds()) if self.seconds is None else self.seconds
        return whole if self.seconds is not None else max(whole, self.online_seconds or 0)


class Skipped(NamedTuple):
    """Why a user is not taken over.

    Args:
        outcome: In a word.
        reason: In a sentence.
    """

    outcome: Outcome
    reason: str


class Outcome(enum.StrEnum):
    """What becomes of a user. Values are part of what commands answer."""

    TAKEN = "take"
    OURS = "ours"
    OVER = "over"
    DISABLED = "disabled"
    REFUSED = "refused"


def left_of(user: LegacyUser, terms: MikhmonTerms | None, now: datetime) -> Left | Skipped:
    """What is left of a user at that instant, or why that is nothing, or cannot be told.

    Args:
        user: As it was found.
        terms: Of its profile, where Mikhmon kept it.
        now: Box time.
    """
    if user.disabled:
        return Skipped(Outcome.DISABLED, "It is disabled, so nobody uses it; enable it first if somebody should.")
    if user.fault:
        return _refused(user.fault)
    if user.cut_off:
        return Skipped(Outcome.OVER, "Its time is up: it was cut off.")
    if user.used is None and _limited(user) and not _never_used(user, terms):
        return _refused("An export does not say how much of its limit is used: read the router itself.")
    return _by_limits(user, terms, now)


def _by_limits(user: LegacyUser, terms: MikhmonTerms | None, now: datetime) -> Left | Skipped:
    used = user.used_so_far
    online = None if user.limit_seconds is None else user.limit_seconds - used.seconds
    octets = None if user.limit_octets is None else user.limit_octets - used.octets
    if online is not None and online <= 0:
        return Skipped(Outcome.OVER, "Its time online is used up.")
    if octets is not None and octets <= 0:
        return Skipped(Outcome.OVER, "Its data is used up.")
    return _by_clock(user, terms, now, Left(None, None, online, octets))


def _by_clock(user: LegacyUser, terms: MikhmonTerms | None, now: datetime, left: Left) -> Left | Skipped:
    if _has_just_begun(user, terms):
        return _refused("Somebody has just logged in by it, and Mikhmon is writing down when it ends: try again soon.")
    if user.ends_at is not None:
        if user.ends_at <= now:
            return Skipped(Outcome.OVER, "Its time is up.")
        return left._replace(ends_at=user.ends_at)
    if terms is not None and terms.mode is not ExpiryMode.NEVER and user.unstamped:
        return _unstamped(user, terms, left)
    if left.online_seconds is None and left.octets is None:
        return _refused("Nothing says when it ends: it has no date, no limit and no voucher's comment.")
    return left


def _unstamped(user: LegacyUser, terms: MikhmonTerms, left: Left) -> Left | Skipped:
    """A voucher of Mikhmon's whose end was not written yet."""
    if terms.validity is None:
        return _refused("The validity in its profile's login script cannot be read.")
    if not user.untouched:
        return _refused("It was used, but Mikhmon has not written down when it ends: try again in a minute.")
    return left._replace(seconds=int(terms.validity.total_seconds()))


def _never_used(user: LegacyUser, terms: MikhmonTerms | None) -> bool:
    """Whether its comment proves that nobody has logged in by it: Mikhmon would have changed it."""
    expires = terms is not None and terms.mode is not ExpiryMode.NEVER
    return expires and user.unstamped and user.untouched and user.ends_at is None


def _has_just_begun(user: LegacyUser, terms: MikhmonTerms | None) -> bool:
    """Whether Mikhmon's login script may still be at work on it."""
    begun = user.under_way is not None and user.under_way.seconds < _SCRIPT_SECONDS
    return terms is not None and terms.mode is not ExpiryMode.NEVER and user.unstamped and begun


def _limited(user: LegacyUser) -> bool:
    return user.limit_seconds is not None or user.limit_octets is not None


def _refused(reason: str) -> Skipped:
    return Skipped(Outcome.REFUSED, reason)
