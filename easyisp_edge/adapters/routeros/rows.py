"""Rows of the hotspot menus, read into our values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.durations import parse_duration, parse_flag
from easyisp_edge.domain.routers import ActiveSession, FoundUser, HotspotCookie, HotspotHost, UserProfile
from easyisp_edge.domain.values import MacAddress, RateLimit
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Row: TypeAlias = Mapping[str, str]

PROFILE_FIELDS = (".id", "name", "rate-limit", "shared-users")
USER_FIELDS = (
    ".id", "name", "profile", "uptime", "limit-uptime", "disabled", "comment", "bytes-in", "bytes-out",
    "limit-bytes-total",
)  # fmt: skip
ACTIVE_FIELDS = (".id", "user", "mac-address", "address", "radius", "uptime", "bytes-in", "bytes-out", "idle-time")
HOST_FIELDS = ("mac-address", "address", "authorized", "bypassed", "idle-time")
COOKIE_FIELDS = (".id", "user", "mac-address")
BINDING_FIELDS = (".id", "comment")

_COUNT = re.compile(r"\d{1,20}", re.ASCII)  # 64 bits


def profile_of(row: Row) -> UserProfile | None:
    """A user profile, or None where its speed or number of devices is nothing we would write."""
    shared_users = row.get("shared-users", "1")
    try:
        rate_limit = RateLimit.parse(row.get("rate-limit", ""))
    except InvalidError:
        return None
    if not (shared_users.isascii() and shared_users.isdecimal()):
        return None
    return UserProfile(row["name"], rate_limit, int(shared_users))


def user_of(row: Row) -> FoundUser:
    """A hotspot user.

    Raises:
        InvalidError: A value has no form that RouterOS writes.
        KeyError: There is no id or name.
    """
    return FoundUser(
        item_id=row[".id"],
        name=row["name"],
        profile=row.get("profile", "default"),
        uptime_seconds=_seconds(row.get("uptime")),
        limit_uptime_seconds=_seconds(row.get("limit-uptime")),
        disabled=flag_of(row.get("disabled")),
        comment=row.get("comment", ""),
        octets_in=count_of(row.get("bytes-in")),
        octets_out=count_of(row.get("bytes-out")),
        limit_octets=count_of(row.get("limit-bytes-total")),
    )


def active_of(row: Row) -> ActiveSession:
    """A device that is logged in.

    Raises:
        InvalidError: A value has no form that RouterOS writes.
        KeyError: There is no id.
    """
    mac = row.get("mac-address")
    return ActiveSession(
        item_id=row[".id"],
        user=row.get("user", ""),
        mac=MacAddress.parse(mac) if mac else None,
        address=row.get("address", ""),
        by_radius=flag_of(row.get("radius")),
        uptime_seconds=_seconds(row.get("uptime")),
        octets_in=count_of(row.get("bytes-in")),
        octets_out=count_of(row.get("bytes-out")),
        idle_seconds=_seconds(row.get("idle-time")),
    )


def host_of(row: Row) -> HotspotHost:
    """A device on the hotspot side.

    Raises:
        InvalidError: A value has no form that RouterOS writes.
        KeyError: There is no hardware address.
    """
    return HotspotHost(
        mac=MacAddress.parse(row["mac-address"]),
        address=row.get("address", ""),
        authorized=flag_of(row.get("authorized")),
        bypassed=flag_of(row.get("bypassed")),
        idle_seconds=_seconds(row.get("idle-time")),
    )


def cookie_of(row: Row) -> HotspotCookie:
    """A remembered login.

    Raises:
        InvalidError: Its hardware address has no form that RouterOS writes.
        KeyError: There is no id.
    """
    mac = row.get("mac-address")
    return HotspotCookie(row[".id"], row.get("user", ""), MacAddress.parse(mac) if mac else None)


def _seconds(text: str | None) -> int:
    span = None if text is None else parse_duration(text)
    return 0 if span is None else int(span.total_seconds())


def count_of(text: str | None) -> int:
    """A count of bytes; 0 for what is not set.

    Raises:
        InvalidError: It is none.
    """
    if text is None:
        return 0
    if not _COUNT.fullmatch(text):
        raise InvalidError("routeros.count_unreadable", f"{text!r:.40} is no count of bytes.")
    return int(text)


def flag_of(text: str | None) -> bool:
    """A flag; False for what is not set.

    Raises:
        InvalidError: It is none.
    """
    return text is not None and parse_flag(text)
