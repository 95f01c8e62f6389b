"""The hotspot user of a grant as it should stand on a router, and whether what is there will do."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from easyisp_edge.domain.routers import PROFILE_MARK, UserProfile, WantedUser, user_comment
from easyisp_edge.domain.user_usage import Used

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.routers import ActiveSession, FoundUser

# How much less online time or data a user on the router may have than its grant before it is set again.
UPTIME_SLACK_SECONDS = 5
OCTETS_SLACK = 2**20
# How much more it may have: such a part of it, and so much besides. Where a grant is used on another router it is not
# set anew at each round, and a box that dies leaves no more than that behind.
SURPLUS_PART = 16
SURPLUS_SECONDS = 60


def user_profile(package: Package) -> UserProfile:
    """The user profile a package needs; packages of one speed share it."""
    rate = str(package.rate_limit).replace("/", "-").replace(" ", "_")
    return UserProfile(f"{PROFILE_MARK}{rate}-x{package.devices_max}", package.rate_limit, package.devices_max)


def wanted_user(
    admission: Admission, profile: UserProfile, now: datetime, found: FoundUser | None, under_way: Used
) -> WantedUser:
    """The hotspot user of a grant, as it should stand on a router.

    A user's row counts a session only once it has ended: those that run come on top of what is left.

    Args:
        admission: The grant.
        profile: Its user profile.
        now: Box time.
        found: The user as it stands there; None where it is to be made.
        under_way: What its sessions that run there have used.
    """
    package = admission.package
    mac = admission.mac if package.devices_max == 1 else None
    contents = f"{admission.username}\0{admission.password}\0{mac or ''}"
    fingerprint = hashlib.sha256(contents.encode()).hexdigest()[:12]
    since = f"{int(now.timestamp()):x}" if found is None else found.since
    over = Used() if found is None else under_way
    online_left, data_left = admission.online_seconds_left, admission.data_left
    return WantedUser(
        name=admission.username,
        password=admission.password,
        profile=profile.name,
        mac=mac,
        uptime_left_seconds=admission.session_seconds_at(now) + over.seconds,
        uptime_left_most_seconds=None if online_left is None else online_left + over.seconds,
        octets_left=None if data_left is None else data_left.octets + over.octets,
        comment=user_comment(admission.grant_id, fingerprint, since),
    )


def under_way(active: Iterable[ActiveSession]) -> dict[str, Used]:
    """What sessions that run have used of the router's own users, by user name."""
    on: dict[str, Used] = {}
    for session in active:
        if not session.by_radius:
            used = Used(session.uptime_seconds, session.octets_in, session.octets_out)
            on[session.user] = on.get(session.user, Used()) + used
    return on


def limits_use(package: Package) -> bool:
    """Whether it is sold by what is used of it, and not by the clock alone."""
    return package.data_limit is not None or package.online_time is not None


def stands(user: WantedUser, found: FoundUser, *, in_doubt: bool) -> bool:
    """Whether what is found will do for what is wanted.

    Args:
        user: What is wanted.
        found: What is found.
        in_doubt: Whether its counters may yet rise to what is known to be used.
    """
    if (found.comment, found.profile, found.disabled) != (user.comment, user.profile, False):
        return False
    if found.limit_uptime_seconds <= 0 or (found.limit_octets > 0) != (user.octets_left is not None):
        return False
    if in_doubt:
        return True
    left = found.limit_uptime_seconds - found.uptime_seconds
    return (
        not _falls_short(left, user.uptime_left_seconds, UPTIME_SLACK_SECONDS)
        and not _exceeds(left, user.uptime_left_most_seconds, SURPLUS_SECONDS)
        and _data_stands(user, found)
    )


def _data_stands(user: WantedUser, found: FoundUser) -> bool:
    if user.octets_left is None:
        return True
    left = found.limit_octets - found.octets_in - found.octets_out
    return not _falls_short(left, user.octets_left, OCTETS_SLACK) and not _exceeds(left, user.octets_left, OCTETS_SLACK)


def _falls_short(left: int, wanted: int, slack: int) -> bool:
    # With nothing left a device cannot log in any more, and what is still its own could never be used.
    return left < wanted - slack or (left <= 0 < wanted)


def _exceeds(left: int, most: int | None, slack: int) -> bool:
    return most is not None and left > most + most // SURPLUS_PART + slack
