"""What the router's own user table says to a login, and what it counts afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.sessions import Entitlement
from easyisp_edge.lab.mikrotik.value_formats import format_whole_seconds, parse_duration

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.hotspot import Attempt
    from easyisp_edge.lab.mikrotik.sessions import Session
    from easyisp_edge.lab.mikrotik.tables import Row, Table

INVALID_USERNAME = "invalid username or password"


def find_user(configuration: Configuration, name: str, server: Row) -> Row | None:
    """The user of that name, of this server before one of all servers."""
    users = configuration.users
    named = [row for row in users if users.value(row, "name") == name]
    of_server = configuration.servers.value(server, "name")
    return next((row for wanted in (of_server, "") for row in named if users.value(row, "server") == wanted), None)


def local_entitlement(configuration: Configuration, user: Row, attempt: Attempt) -> Entitlement:
    """What the user may have from now on.

    Raises:
        TrapError: Disabled, wrong password, not from this device, or used up.
    """
    users = configuration.users
    name = users.value(user, "name")
    if users.value(user, "disabled") == "true" or not attempt.knows(users.value(user, "password")):
        raise TrapError(INVALID_USERNAME)
    if users.value(user, "mac-address") not in {"", attempt.host.mac}:
        raise TrapError(f"user {name} is not allowed to log in from this MAC address")
    profile = configuration.user_profiles.named(users.value(user, "profile"))
    uptime_left = _uptime_left(users, user)
    if uptime_left is not None and uptime_left <= 0:
        raise TrapError(f"user {name} has reached uptime limit")
    bytes_left = _bytes_left(users, user)
    if any(left is not None and left <= 0 for left in bytes_left):
        raise TrapError(f"user {name} has reached traffic limit")
    given = profile_entitlement(configuration, profile)
    spans = [span for span in (given.session_timeout, uptime_left) if span is not None]
    return Entitlement(
        session_timeout=min(spans, default=None),
        idle_timeout=given.idle_timeout,
        keepalive_timeout=given.keepalive_timeout,
        limit_bytes_in=bytes_left[0],
        limit_bytes_out=bytes_left[1],
        limit_bytes_total=bytes_left[2],
        rate_limit=given.rate_limit,
        shared=given.shared,
        user_row=user,
        mac_cookie_seconds=given.mac_cookie_seconds,
    )


def profile_entitlement(configuration: Configuration, profile: Row | None) -> Entitlement:
    """What a user profile gives; the default profile where there is none."""
    profiles = configuration.user_profiles
    row = profile or profiles.named("default")
    if row is None:
        return Entitlement()
    shared = profiles.value(row, "shared-users")
    with_cookie = profiles.value(row, "add-mac-cookie") == "true"
    return Entitlement(
        session_timeout=_span(profiles.value(row, "session-timeout")),
        idle_timeout=_span(profiles.value(row, "idle-timeout")),
        keepalive_timeout=_span(profiles.value(row, "keepalive-timeout")),
        rate_limit=profiles.value(row, "rate-limit"),
        shared=None if shared == "unlimited" else int(shared),
        mac_cookie_seconds=parse_duration(profiles.value(row, "mac-cookie-timeout")) if with_cookie else None,
    )


def count_session(session: Session, ended: float) -> None:
    """Add an ended session to its user's totals. Sessions that came in by RADIUS do not count here."""
    user = session.entitlement.user_row
    if user is None:
        return
    total_seconds = parse_duration(user.shown["uptime"]) + session.uptime(ended)
    user.shown["uptime"] = format_whole_seconds(total_seconds)
    for field, count in (
        ("bytes-in", session.bytes_in),
        ("bytes-out", session.bytes_out),
        ("packets-in", session.packets_in),
        ("packets-out", session.packets_out),
    ):
        user.shown[field] = str(int(user.shown[field]) + count)


def _span(text: str) -> float | None:
    return None if text in {"", "none"} else parse_duration(text)


def _uptime_left(users: Table, user: Row) -> float | None:
    limit = users.value(user, "limit-uptime")
    return parse_duration(limit) - parse_duration(user.shown["uptime"]) if limit else None


def _bytes_left(users: Table, user: Row) -> tuple[int | None, int | None, int | None]:
    used_in, used_out = int(user.shown["bytes-in"]), int(user.shown["bytes-out"])
    limits = [users.value(user, f"limit-bytes-{way}") for way in ("in", "out", "total")]
    used = (used_in, used_out, used_in + used_out)
    left = [int(limit) - count if limit else None for limit, count in zip(limits, used, strict=True)]
    return left[0], left[1], left[2]
