"""The variables of the hotspot's pages, and what each is for one device and one request.

Source: RouterOS manual, Hotspot customisation (list of available variables).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from easyisp_edge.lab.mikrotik.chap import octal
from easyisp_edge.lab.mikrotik.value_formats import format_whole_seconds, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.radius_packets import ChapChallenge
    from easyisp_edge.lab.mikrotik.sessions import Host, Session

_NO_LIMIT = "---"
_KIBI = 1024
_SERVER = (
    "hostname", "identity", "server-name", "server-address", "interface-name", "login-by", "plain-passwd",
    "ssl-login", "location-id", "location-name",
)  # fmt: skip
_LINKS = (
    "link-login", "link-login-only", "link-logout", "link-status", "link-orig", "link-redirect", "target", "target-dir",
)  # fmt: skip
_CLIENT = (
    "ip", "mac", "host-ip", "vlan-id", "username", "domain", "logged-in", "trial", "login-by-mac", "blocked",
    "user-agent", "http-header", "http-status", "session-id", "var", "advert-pending",
)  # fmt: skip
_SPANS = ("session-timeout", "session-time-left", "idle-timeout", "uptime", "refresh-timeout")
_COUNTERS = (
    "bytes-in", "bytes-out", "packets-in", "packets-out", "limit-bytes-in", "limit-bytes-out", "limit-bytes-total",
    "remain-bytes-in", "remain-bytes-out", "remain-bytes-total",
)  # fmt: skip
_NICE = tuple(f"{name}-nice" for name in _COUNTERS if "bytes" in name)
_OF_LOGIN = ("error", "error-orig", "error-type", "chap-id", "chap-challenge", "popup")
KNOWN_VARIABLES = frozenset(
    {*_SERVER, *_LINKS, *_CLIENT, *_SPANS, *(f"{name}-secs" for name in _SPANS), *_COUNTERS, *_NICE, *_OF_LOGIN}
)
_RADIUS = re.compile(r"radius[0-9]+(?:-[0-9]+)?(u?)(?:\[[0-9]+\])?")
_REQUEST_HEADER = "http-header-"
# Errors and challenges are for the login pages only, counters for those that speak of a session.
_LOGIN_PAGES = frozenset({"login.html", "flogin.html", "alogin.html", "error.html", "errors.txt"})
_COUNTING_PAGES = frozenset({"status.html", "logout.html", "api.json"})


def is_variable(name: str) -> bool:
    """Whether RouterOS has a variable of that name, `-esc` taken off."""
    return name in KNOWN_VARIABLES or name.startswith(_REQUEST_HEADER) or _RADIUS.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Error:
    """Why a login failed.

    Args:
        text: As the page shows it.
        original: As the hotspot said it.
        key: Its name in errors.txt.
    """

    text: str = ""
    original: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """For whom a page is rendered, and upon which request.

    Args:
        host: The device.
        now: Monotonic seconds.
        link: Where the servlet's pages are for this device, without a slash at the end.
        session: The one that runs, or has just ended.
        logged_in: Whether the device is in now.
        orig: The address that was asked for first.
        redirect: Where a redirect goes.
        given: The parameters of the request.
        headers: The headers of the request.
        target: The chosen version of the pages.
        error: Of a login that failed.
        challenge: For CHAP; None where it is not allowed.
    """

    host: Host
    now: float
    link: str
    session: Session | None = None
    logged_in: bool = False
    orig: str = ""
    redirect: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    error: Error = field(default_factory=Error)
    challenge: ChapChallenge | None = None

    def to(self, page: str) -> str:
        """The address of one of the servlet's pages, in the chosen version."""
        return f"{self.link}/{self.target}/{page}" if self.target else f"{self.link}/{page}"

    @property
    def link_login(self) -> str:
        """The login page, the address asked for with it."""
        return f"{self.to('login')}?dst={quote_plus(self.orig)}" if self.orig else self.to("login")


class PageVariables:
    """Tells the value of each variable.

    Args:
        hotspot: Whose pages they are.
        identity: Gives the router's name.
        address: Gives host and port of the servlet.
    """

    def __init__(self, hotspot: Hotspot, identity: Callable[[], str], address: Callable[[], str]) -> None:
        self._hotspot = hotspot
        self._identity = identity
        self._address = address

    def of(self, view: View, page: str) -> Callable[[str], str]:
        """The values on that page: empty for what it does not have, or RouterOS does not know."""
        values = self._server(view) | _links(view) | self._client(view) | self._spans(view)
        if page in _LOGIN_PAGES:
            values |= _of_login(view)
        if page in _COUNTING_PAGES:
            values |= _counters(view.session)

        def value(name: str) -> str:
            if name.startswith(_REQUEST_HEADER):
                return view.headers.get(name.removeprefix(_REQUEST_HEADER), "")
            of_radius = _RADIUS.fullmatch(name)
            return ("0" if of_radius[1] else "") if of_radius else values.get(name, "")

        return value

    def _server(self, view: View) -> dict[str, str]:
        servers, server = self._hotspot.configuration.servers, view.host.server
        allowed = self._hotspot.login_by(server)
        return {
            "hostname": self._hotspot.profile_value(server, "dns-name") or self._address().partition(":")[0],
            "identity": self._identity(),
            "server-name": servers.value(server, "name"),
            "server-address": self._address(),
            "interface-name": servers.value(server, "interface"),
            "login-by": view.session.login_by if view.session else "",
            "plain-passwd": _yes("http-pap" in allowed),
            "ssl-login": "no",
            "location-id": self._hotspot.profile_value(server, "radius-location-id"),
            "location-name": self._hotspot.profile_value(server, "radius-location-name"),
        }

    def _client(self, view: View) -> dict[str, str]:
        host, session, given = view.host, view.session, view.given
        return {
            "ip": host.ip,
            "host-ip": host.ip,
            "mac": host.mac,
            "username": session.user if session else given.get("username", ""),
            "domain": given.get("domain", ""),
            "logged-in": _yes(view.logged_in),
            "trial": _yes(self._hotspot.trials.seconds_left(host, view.now) > 0),
            "login-by-mac": _yes(session is not None and session.login_by == "mac"),
            "blocked": "no",
            "user-agent": view.headers.get("User-Agent", ""),
            "session-id": given.get("session-id", ""),
            "var": given.get("var", ""),
            "advert-pending": "no",
        }

    def _spans(self, view: View) -> dict[str, str]:
        session = view.session
        left = session.time_left(view.now) if session else None
        refresh = self._refresh_seconds(session) if session else None
        spans = {
            "session-timeout": left,
            "session-time-left": left,
            "idle-timeout": session.entitlement.idle_timeout if session else None,
            "uptime": session.uptime(view.now) if session else None,
            "refresh-timeout": refresh,
        }
        texts = {name: "" if span is None else format_whole_seconds(span) for name, span in spans.items()}
        return texts | {f"{name}-secs": str(int(span or 0)) for name, span in spans.items()}

    def _refresh_seconds(self, session: Session) -> float | None:
        users, profiles = self._hotspot.configuration.users, self._hotspot.configuration.user_profiles
        user = session.entitlement.user_row
        row = profiles.named(users.value(user, "profile") if user else "default")
        span = profiles.value(row, "status-autorefresh") if row else "none"
        return None if span == "none" else parse_duration(span)


def _links(view: View) -> dict[str, str]:
    return {
        "link-login": view.link_login,
        "link-login-only": view.to("login"),
        "link-logout": view.to("logout"),
        "link-status": view.to("status"),
        "link-orig": view.orig,
        "link-redirect": view.redirect,
        "target": view.target,
        "target-dir": f"{view.target}/" if view.target else "",
    }


def _of_login(view: View) -> dict[str, str]:
    chap = view.challenge
    return {
        "error": view.error.text,
        "error-orig": view.error.original,
        "error-type": view.error.key,
        "chap-id": octal(chap.identifier) if chap else "",
        "chap-challenge": octal(chap.challenge) if chap else "",
        "popup": "true" if view.given.get("popup") in {"true", "on", "yes"} else "false",
    }


def _counters(session: Session | None) -> dict[str, str]:
    if session is None:
        return {}
    given = session.entitlement
    used = {"in": session.bytes_in, "out": session.bytes_out, "total": session.bytes_in + session.bytes_out}
    limits = {"in": given.limit_bytes_in, "out": given.limit_bytes_out, "total": given.limit_bytes_total}
    counts: dict[str, int | None] = {f"bytes-{way}": used[way] for way in ("in", "out")}
    for way, limit in limits.items():
        counts[f"limit-bytes-{way}"] = limit
        counts[f"remain-bytes-{way}"] = None if limit is None else max(0, limit - used[way])
    plain = {name: _NO_LIMIT if count is None else str(count) for name, count in counts.items()}
    if limits["total"] is None:
        plain["remain-bytes-total"] = ""  # the stock api.json asks whether it is empty
    nice = {f"{name}-nice": _NO_LIMIT if count is None else _nice(count) for name, count in counts.items()}
    return plain | nice | {"packets-in": str(session.packets_in), "packets-out": str(session.packets_out)}


def _nice(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size >= _KIBI:
            size, unit = size / _KIBI, larger
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def _yes(holds: bool) -> str:  # noqa: FBT001 - the whole point
    return "yes" if holds else "no"
