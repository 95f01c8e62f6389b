"""Rows of the hotspot menus, read into our values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.durations import parse_duration, parse_flag
from easyisp_edge.domain.routers import ActiveSession, FoundUser, HotspotHost, UserProfile
from easyisp_edge.domain.values import MacAddress, RateLimit
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, str]

PROFILE_FIELDS = (".id", "name", "rate-limit", "shared-users")
USER_FIELDS = (
    ".id", "name", "profile", "uptime", "limit-uptime", "disabled", "comment", "bytes-in", "bytes-out",
    "limit-bytes-total",
)  # fmt: skip
ACTIVE_FIELDS = (".id", "user", "mac-address", "address", "radius", "uptime", "bytes-in", "bytes-out")
HOST_FIELDS = ("mac-address", "address", "authorized", "bypassed")

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
        disabled=_flag(row.get("disabled")),
        comment=row.get("comment", ""),
        octets_in=_count(row.get("bytes-in")),
        octets_out=_count(row.get("bytes-out")),
        limit_octets=_count(row.get("limit-bytes-total")),
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
        by_radius=_flag(row.get("radius")),
        uptime_seconds=_seconds(row.get("uptime")),
        octets_in=_count(row.get("bytes-in")),
        octets_out=_count(row.get("bytes-out")),
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
        authorized=_flag(row.get("authorized")),
        bypassed=_flag(row.get("bypassed")),
    )


def _seconds(text: str | None) -> int:
    span = None if text is None else parse_duration(text)
    return 0 if span is None else int(span.total_seconds())


def _count(text: str | None) -> int:
    if text is None:
        return 0
    if not _COUNT.fullmatch(text):
        raise InvalidError("routeros.count_unreadable", f"{text!r:.40} is no count of bytes.")
    return int(text)


def _flag(text: str | None) -> bool:
    return text is not None and parse_flag(text)
