"""Rows of users that others made, as a router or its export shows them, read into our values."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.adapters.routeros.durations import parse_duration
from easyisp_edge.adapters.routeros.legacy_dates import end_in_comment, next_run, router_time
from easyisp_edge.adapters.routeros.rows import count_of, flag_of
from easyisp_edge.domain.imported_users import (
    ExpiryMode,
    LegacyProfile,
    LegacyScheduler,
    LegacyTables,
    LegacyUser,
    MikhmonTerms,
)
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.domain.user_usage import Used
from easyisp_edge.domain.values import MacAddress, Money
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    Row = Mapping[str, str]

_ANY_MAC = "00:00:00:00:00:00"
# The first thing that Mikhmon's login script does is to say its own terms: mode, price, validity and more.
_TERMS = re.compile(r':put\s*\(\s*"(,[^"]*)"\s*\)')
_NO_EXPIRY = "noexp"
_PROFILE_MONITOR = "Monitor Profile "
_MONITORS = frozenset(("mikhmon-expire-monitor", "mikhmon-expire-scheduler"))
# No shop sells more; beyond it a date could not be written.
_SPAN_MOST = timedelta(days=20 * 366)


class LegacyRows(NamedTuple):
    """The rows as they were read.

    Args:
        users: Of `/ip/hotspot/user`.
        profiles: Of `/ip/hotspot/user/profile`.
        active: Of `/ip/hotspot/active`; None where the source does not say what was used.
        schedulers: Of `/system/scheduler`.
    """

    users: Sequence[Row]
    profiles: Sequence[Row]
    active: Sequence[Row] | None
    schedulers: Sequence[Row]


def tables_of(found: LegacyRows, zone: tzinfo, now: datetime, *, shown: datetime | None = None) -> LegacyTables:
    """All of it in our values; what cannot be read of a user is its fault.

    Args:
        found: The rows.
        zone: What the router's dates are in.
        now: What the router takes the time to be, or when it was not asked, box time.
        shown: What the router takes the time to be, where it was asked.
    """
    under_way = None if found.active is None else _under_way(found.active)
    ends = _ends_by_scheduler(found.schedulers, zone, now)
    shown_users = [row for row in found.users if not _is_built_in(row)]
    users = tuple(_user(row, under_way, ends.get(row["name"]), zone) for row in shown_users if "name" in row)
    profiles = {row["name"]: _profile(row) for row in found.profiles if "name" in row}
    names = {user.name for user in users}
    schedulers = (_scheduler(row, names) for row in found.schedulers)
    return LegacyTables(users, profiles, tuple(each for each in schedulers if each is not None), shown)


def mikhmon_terms(on_login: str) -> MikhmonTerms | None:
    """The terms that a login script of Mikhmon's says; None where it is not Mikhmon's.

    They stand in their own places: mode, price, validity, then a selling price (or, in version 2, a grace period),
    what marks users that never end, and whether the first device is locked in.
    """
    found = _TERMS.search(on_login)
    if found is None:
        return None
    _, mode, price, validity, selling, never, lock = (found[1].split(",") + [""] * 7)[:7]
    known = _mode(mode, never)
    if known is None:
        return None
    prices = tuple(each for each in (_price(price), _price(selling)) if each is not None)
    return MikhmonTerms(known, _validity(validity), prices, lock == "Enable")


def _mode(mode: str, never: str) -> ExpiryMode | None:
    if never == _NO_EXPIRY or mode in {"", "0"}:
        return ExpiryMode.NEVER
    return ExpiryMode(mode) if mode in set(ExpiryMode) else None


def _price(text: str) -> Money | None:
    try:
        money = Money.parse(text)
    except InvalidError:
        return None
    return money if money.cents else None


def _validity(text: str) -> timedelta | None:
    try:
        span = parse_duration(text.replace(" ", ""))
    except InvalidError:
        return None
    return span if span is not None and timedelta() < span <= _SPAN_MOST else None


def _profile(row: Row) -> LegacyProfile:
    shared = row.get("shared-users", "1")
    devices_max = int(shared) if shared.isascii() and shared.isdecimal() else None
    return LegacyProfile(row["name"], devices_max, mikhmon_terms(row.get("on-login", "")))


def _user(row: Row, under_way: Mapping[str, Used] | None, end: datetime | None, zone: tzinfo) -> LegacyUser:
    comment, name = row.get("comment", ""), row["name"]
    plain = LegacyUser(
        name=name,
        password=_password(row.get("password")),
        server=row.get("server", "all"),
        profile=row.get("profile", "default"),
        mac=None,
        comment=comment,
        ends_at=end,
        limit_seconds=None,
        limit_octets=None,
        used=None,
        ours=comment.startswith(USER_MARK),
    )
    try:
        return replace(
            plain,
            mac=_mac(row.get("mac-address", _ANY_MAC)),
            ends_at=end_in_comment(comment, zone) or end,
            limit_seconds=_seconds(row.get("limit-uptime")) or None,
            limit_octets=count_of(row.get("limit-bytes-total")) or None,
            used=None if under_way is None else _used(row),
            under_way=None if under_way is None else under_way.get(name),
            disabled=flag_of(row.get("disabled")),
            fault=_one_way(row),
        )
    except InvalidError as error:
        return replace(plain, fault=error.message)


def _password(text: str | None) -> str | None:
    """The password; None also where asterisks stand for it."""
    return None if text is None or not text.strip("*") else text


def _one_way(row: Row) -> str:
    if count_of(row.get("limit-bytes-in")) or count_of(row.get("limit-bytes-out")):
        return "Its data is limited in one direction; packages limit both together. Set limit-bytes-total instead."
    return ""


def _mac(text: str) -> MacAddress | None:
    return None if text == _ANY_MAC else MacAddress.parse(text)


def _used(row: Row) -> Used:
    seconds, octets_in, octets_out = _seconds(row.get("uptime")), row.get("bytes-in"), row.get("bytes-out")
    return Used.shown(seconds, count_of(octets_in), count_of(octets_out))


def _under_way(active: Iterable[Row]) -> dict[str, Used]:
    """What the sessions of the router's own users have used so far."""
    under_way: dict[str, Used] = {}
    for row in active:
        if not flag_of(row.get("radius")) and "user" in row:
            under_way[row["user"]] = under_way.get(row["user"], Used()) + _used(row)
    return under_way


def _ends_by_scheduler(schedulers: Iterable[Row], zone: tzinfo, now: datetime) -> dict[str, datetime]:
    """When each user ends that has a scheduler of its own, as version 2 and older made them."""
    ends = ((row["name"], _end(row, zone, now)) for row in schedulers if "name" in row and not _off(row))
    return {name: end for name, end in ends if end is not None}


def _end(row: Row, zone: tzinfo, now: datetime) -> datetime | None:
    if "next-run" in row:
        return next_run(row["next-run"], now, zone)
    try:
        begun = router_time(row["start-date"], row["start-time"], zone)
        interval = parse_duration(row["interval"])
    except (InvalidError, KeyError):
        return None
    return None if not interval or interval > _SPAN_MOST else begun + interval


def _off(row: Row) -> bool:
    return row.get("disabled", "false") in {"true", "yes"}


def _scheduler(row: Row, users: set[str]) -> LegacyScheduler | None:
    name, comment = row.get("name", ""), row.get("comment", "")
    if name in users:
        return LegacyScheduler(row.get(".id", ""), name, _off(row), user=name)
    if comment.startswith(_PROFILE_MONITOR):
        return LegacyScheduler(row.get(".id", ""), name, _off(row), profile=comment.removeprefix(_PROFILE_MONITOR))
    return LegacyScheduler(row.get(".id", ""), name, _off(row)) if name.lower() in _MONITORS else None


def _is_built_in(row: Row) -> bool:
    return any(row.get(flag, "false") in {"true", "yes"} for flag in ("default", "dynamic"))


def _seconds(text: str | None) -> int:
    span = None if text is None else parse_duration(text)
    if span is not None and span > _SPAN_MOST:
        raise InvalidError("import.span", f"It lasts longer than any package: {text!r:.40}.")
    return 0 if span is None else int(span.total_seconds())
