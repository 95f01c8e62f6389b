"""A hotspot router as we see it: what is on it, and what we want on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.domain.values import MacAddress, RateLimit

# What is ours on a router begins so: a user's comment, and the name of a profile, which has no comment.
USER_MARK = "edge:"
PROFILE_MARK = "edge-"


@dataclass(frozen=True, slots=True)
class UserProfile:
    """A hotspot user profile of ours: where a user's speed hangs.

    Args:
        name: Begins with our mark, because a profile has no comment to put it in.
        rate_limit: Speed of each user.
        shared_users: How many devices one user may log in at once.
    """

    name: str
    rate_limit: RateLimit
    shared_users: int


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A hotspot user as it should stand on the router.

    Args:
        name: The grant's user name.
        password: The grant's password; a router does not read it back to us.
        profile: Name of its user profile.
        mac: The only device that may use it; None for any.
        uptime_left_seconds: Online time it must at least still have.
        comment: Our mark, with a fingerprint of the rest: where it differs, the user is set anew.
    """

    name: str
    password: str
    profile: str
    mac: MacAddress | None
    uptime_left_seconds: int
    comment: str


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A hotspot user of ours as it stands on the router."""

    item_id: str
    name: str
    profile: str
    uptime_seconds: int
    limit_uptime_seconds: int
    disabled: bool
    comment: str


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A device that is logged in."""

    item_id: str
    user: str
    mac: MacAddress | None
    address: str
    by_radius: bool
    uptime_seconds: int


@dataclass(frozen=True, slots=True)
class HotspotHost:
    """A device the router sees on the hotspot side, logged in or not."""

    mac: MacAddress
    address: str
    authorized: bool
    bypassed: bool


@dataclass(frozen=True, slots=True)
class RouterState:
    """Everything of interest on one router, read in one round.

    Args:
        profiles: Our user profiles by name.
        users: Our users by name; users without our mark are not in it.
        active: All devices logged in.
        hosts: All devices seen.
    """

    profiles: dict[str, UserProfile]
    users: dict[str, FoundUser]
    active: tuple[ActiveSession, ...]
    hosts: tuple[HotspotHost, ...]
