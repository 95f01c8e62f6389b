"""How the lists the router keeps by itself print: hosts, active, cookies, queues, API sessions, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.value_formats import format_duration, format_whole_seconds, parse_rates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.radius_client import Counters
    from easyisp_edge.lab.mikrotik.sessions import Host, Session

Fields = dict[str, str]


def active_rows(hotspot: Hotspot, now: float) -> Iterator[Fields]:
    """`/ip/hotspot/active`."""
    for session in hotspot.sessions.values():
        yield _active(hotspot, session, now)


def host_rows(hotspot: Hotspot, now: float) -> Iterator[Fields]:
    """`/ip/hotspot/host`."""
    for host in hotspot.hosts.values():
        yield _host(hotspot, host, now)


def cookie_rows(hotspot: Hotspot, now: float) -> Iterator[Fields]:
    """`/ip/hotspot/cookie`."""
    for cookie in hotspot.cookies.all(now):
        yield {
            ".id": cookie.id,
            "user": cookie.user,
            "mac-address": cookie.mac,
            "expires-in": format_whole_seconds(cookie.expires - now),
            "mac-cookie": _flag(cookie.is_mac_cookie),
        }


def queue_rows(hotspot: Hotspot) -> Iterator[Fields]:
    """`/queue/simple`: one dynamic row per session with a rate limit."""
    for session in hotspot.sessions.values():
        if session.queue_id is not None:
            received, sent = parse_rates(session.entitlement.rate_limit)
            yield {
                ".id": session.queue_id,
                "name": f"<hotspot-{session.user}>",
                "target": f"{session.host.ip}/32",
                "parent": "none",
                "max-limit": f"{received}/{sent}",
                "bytes": f"{session.bytes_in}/{session.bytes_out}",
                "invalid": "false",
                "dynamic": "true",
                "disabled": "false",
            }


def radius_counters(counters: Counters) -> Fields:
    """`/radius/monitor`."""
    return {
        "pending": str(counters.pending),
        "requests": str(counters.requests),
        "accepts": str(counters.accepts),
        "rejects": str(counters.rejects),
        "resends": str(counters.resends),
        "timeouts": str(counters.timeouts),
        "bad-replies": str(counters.bad_replies),
        "last-request-rtt": format_duration(counters.last_request_rtt_ms / 1000),
    }


def _active(hotspot: Hotspot, session: Session, now: float) -> Fields:
    given, host = session.entitlement, session.host
    fields = {
        ".id": session.id,
        "server": hotspot.configuration.servers.value(host.server, "name"),
        "user": session.user,
        "address": host.ip,
        "mac-address": host.mac,
        "login-by": session.login_by,
        "uptime": format_whole_seconds(session.uptime(now)),
        "idle-time": format_whole_seconds(now - session.last_traffic),
    }
    left = session.time_left(now)
    spans = (
        ("session-time-left", left),
        ("idle-timeout", given.idle_timeout),
        ("keepalive-timeout", given.keepalive_timeout),
    )
    fields |= {name: format_whole_seconds(span) for name, span in spans if span is not None}
    limits = (
        ("limit-bytes-in", given.limit_bytes_in),
        ("limit-bytes-out", given.limit_bytes_out),
        ("limit-bytes-total", given.limit_bytes_total),
    )
    fields |= {name: str(limit) for name, limit in limits if limit is not None}
    return fields | _counts(session) | {"radius": _flag(given.radius), "blocked": "false"}


def _host(hotspot: Hotspot, host: Host, now: float) -> Fields:
    session, binding = hotspot.sessions.get(host.mac), hotspot.binding(host)
    heard = max(host.last_heard, session.last_traffic) if session else host.last_heard
    idle = now - heard if host.gone_at is not None else 0.0
    fields = {
        ".id": host.id,
        "mac-address": host.mac,
        "address": host.ip,
        "to-address": host.ip,
        "server": hotspot.configuration.servers.value(host.server, "name"),
        "uptime": format_whole_seconds(now - host.since),
        "idle-time": format_whole_seconds(idle),
        "found-by": "packet",
    }
    none = {"bytes-in": "0", "bytes-out": "0", "packets-in": "0", "packets-out": "0"}
    return (
        fields
        | (_counts(session) if session else none)
        | {
            "authorized": _flag(session is not None),
            "bypassed": _flag(binding == "bypassed"),
            "blocked": _flag(binding == "blocked"),
            "static": "false",
            "DHCP": "true",
            "dynamic": "true",
        }
    )


def _counts(session: Session) -> Fields:
    return {
        "bytes-in": str(session.bytes_in),
        "bytes-out": str(session.bytes_out),
        "packets-in": str(session.packets_in),
        "packets-out": str(session.packets_out),
    }


def _flag(is_set: object) -> str:
    return "true" if is_set else "false"
