"""A hotspot router as we see it: what is on it, and what we want on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.router_versions import RouterVersion
    from easyisp_edge.domain.values import MacAddress, RateLimit

# What is ours on a router begins so: a user's comment, and the name of a profile, which has no comment.
USER_MARK = "edge:"
PROFILE_MARK = "edge-"
_COMMENT_WORDS = 3


def user_comment(grant_id: str, fingerprint: str, since: str) -> str:
    """What stands in the comment of a user of ours.

    Args:
        grant_id: Whose it is.
        fingerprint: Of what is written with it and not read back.
        since: Since when its row counts, the same for as long as the row stands; empty where that is not known.
    """
    return " ".join(word for word in (f"{USER_MARK}{grant_id}", fingerprint, since) if word)


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
        uptime_left_seconds: Online time it must at least still have, sessions under way included.
        comment: Our mark, with a fingerprint of the rest: where it differs, the user is set anew.
        uptime_left_most_seconds: Online time it may have at most, counted the same way; None where only the clock
            ends it, which the box sees to.
        octets_left: Data it may still use in both directions, counted the same way; None for no limit.
    """

    name: str
    password: str
    profile: str
    mac: MacAddress | None
    uptime_left_seconds: int
    comment: str
    uptime_left_most_seconds: int | None = None
    octets_left: int | None = None


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A hotspot user of ours as it stands on the router.

    Args:
        item_id: The row's id there.
        name: Its name.
        profile: Name of its user profile.
        uptime_seconds: Time online of its sessions that have ended.
        limit_uptime_seconds: How much of that it may come to; 0 for no limit.
        disabled: Whether nobody may log in by it.
        comment: Our mark and what stands behind it.
        octets_in: From the customer, in its sessions that have ended.
        octets_out: To the customer, in the same.
        limit_octets: What both may come to together; 0 for no limit.
    """

    item_id: str
    name: str
    profile: str
    uptime_seconds: int
    limit_uptime_seconds: int
    disabled: bool
    comment: str
    octets_in: int = 0
    octets_out: int = 0
    limit_octets: int = 0

    @property
    def since(self) -> str:
        """Since when it counts, as its comment says; empty where it does not."""
        words = self.comment.split(" ")
        return words[2] if len(words) == _COMMENT_WORDS else ""


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A device that is logged in.

    Args:
        item_id: The row's id there; comes round again.
        user: What it logged in with.
        mac: The device; None where the router does not say.
        address: Its IP address.
        by_radius: Whether a RADIUS server let it on; else it is by one of the router's own users.
        uptime_seconds: Since its login.
        octets_in: From the customer since then.
        octets_out: To the customer since then.
        idle_seconds: Since it was last heard.
    """

    item_id: str
    user: str
    mac: MacAddress | None
    address: str
    by_radius: bool
    uptime_seconds: int
    octets_in: int = 0
    octets_out: int = 0
    idle_seconds: int = 0


@dataclass(frozen=True, slots=True)
class HotspotHost:
    """A device the router sees on the hotspot side, logged in or not.

    Args:
        mac: The device.
        address: Its IP address.
        authorized: Whether it is logged in.
        bypassed: Whether it needs no login, by somebody else's word.
        idle_seconds: Since it was last heard; the router keeps it in view for minutes after it went.
    """

    mac: MacAddress
    address: str
    authorized: bool
    bypassed: bool
    idle_seconds: int = 0


@dataclass(frozen=True, slots=True)
class HotspotCookie:
    """A login that a router remembers for a device, to let it back on by itself.

    Args:
        item_id: The row's id there.
        user: What the device logged in with.
        mac: The device; None where the router does not say.
    """

    item_id: str
    user: str
    mac: MacAddress | None


class DevicesSeen(NamedTuple):
    """Who is on a router and who is in its sight.

    Args:
        active: All devices logged in.
        hosts: All devices seen.
    """

    active: tuple[ActiveSession, ...]
    hosts: tuple[HotspotHost, ...]


@dataclass(frozen=True, slots=True)
class RouterState:
    """What is of interest on one router: all of it, or what there is of some users and devices.

    Args:
        profiles: Our user profiles by name.
        users: Our users by name; users without our mark are not in it.
        active: Devices logged in, whoever let them on.
        hosts: Devices seen.
    """

    profiles: dict[str, UserProfile]
    users: dict[str, FoundUser]
    active: tuple[ActiveSession, ...]
    hosts: tuple[HotspotHost, ...]


class LinkState(enum.Enum):
    """How the way to a router's API is."""

    UNTRIED = "untried"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class RouterHealth:
    """How a router is, as far as the way to its API tells.

    Args:
        state: How the last command ended: with an answer, or without.
        identity: What the router calls itself; empty until it was asked.
        version: Of RouterOS; None until it was asked, and where it makes no sense.
        board: What kind of device it is; empty until it was asked.
        connected_since: Since when the session stands; None without one.
        last_error: What went wrong last, in words; None since an answer came.
    """

    state: LinkState = LinkState.UNTRIED
    identity: str = ""
    version: RouterVersion | None = None
    board: str = ""
    connected_since: datetime | None = None
    last_error: str | None = None
