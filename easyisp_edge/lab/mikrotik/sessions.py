"""A session of a logged-in device: what it may use, what it used, when it ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.lab.mikrotik.chap import ChapAnswer
    from easyisp_edge.lab.mikrotik.radius_packets import ChapChallenge
    from easyisp_edge.lab.mikrotik.tables import Row


class TerminateCause(enum.IntEnum):
    """Why a session ended, as Acct-Terminate-Cause says it. Source: RFC 2866, section 5.10."""

    USER_REQUEST = 1
    LOST_SERVICE = 3
    IDLE_TIMEOUT = 4
    SESSION_TIMEOUT = 5
    ADMIN_RESET = 6
    NAS_REQUEST = 10


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a login is given, by a local user or by RADIUS. None is no limit; spans in seconds.

    Args:
        session_timeout: Longest the session may be.
        idle_timeout: Longest it may go without traffic.
        keepalive_timeout: Longest the device may be gone.
        limit_bytes_in: From the client; likewise out and total.
        rate_limit: In RouterOS's grammar, empty for none.
        shared: How many sessions the user name may have, this one included.
        interim_seconds: How often RADIUS wants to hear of it.
        classes: Class attributes to repeat in accounting.
        radius: Whether RADIUS gave it.
        user_row: The local user whose totals it counts into.
        mac_cookie_seconds: How long a MAC cookie of it is good for.
    """

    session_timeout: float | None = None
    idle_timeout: float | None = None
    keepalive_timeout: float | None = None
    limit_bytes_in: int | None = None
    limit_bytes_out: int | None = None
    limit_bytes_total: int | None = None
    rate_limit: str = ""
    shared: int | None = 1
    interim_seconds: float | None = None
    classes: tuple[bytes, ...] = ()
    radius: bool = False
    user_row: Row | None = None
    mac_cookie_seconds: float | None = None


@dataclass(eq=False, slots=True)
class Host:
    """A device the hotspot sees.

    Args:
        id: Of its row in the host table.
        mac: Upper case with colons.
        ip: Its IPv4 address.
        server: The hotspot server's row.
        since: When it appeared, monotonic seconds.
        last_heard: When it last sent something.
        gone_at: When it left, None while it is there.
        authorizing: Whether a login of it waits for RADIUS.
        challenge: What its browser is to answer for CHAP, once a page told it.
        challenged: When a page last told it, monotonic seconds.
        out_since: When its last session ended, monotonic seconds.
    """

    id: str
    mac: str
    ip: str
    server: Row
    since: float
    last_heard: float
    gone_at: float | None = None
    authorizing: bool = False
    challenge: ChapChallenge | None = None
    challenged: float = 0.0
    out_since: float = 0.0


@dataclass(eq=False, slots=True)
class Session:
    """A running session.

    Args:
        id: Of its row in the active table.
        acct_id: Acct-Session-Id, 8 hex digits.
        host: The device.
        user: As it logged in.
        password: As it logged in, for a MAC cookie.
        login_by: As `/ip/hotspot/active` names it.
        entitlement: What it may use; CoA may replace it.
        started: Monotonic seconds.
        queue_id: Of its dynamic simple queue, if it has a rate limit.
        chap: What the browser answered where it logged in by CHAP, so that a cookie can answer it again.
    """

    id: str
    acct_id: str
    host: Host
    user: str
    password: str
    login_by: str
    entitlement: Entitlement
    started: float
    queue_id: str | None = None
    last_traffic: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    next_interim: float | None = field(default=None)
    chap: ChapAnswer | None = None

    def uptime(self, now: float) -> float:
        """Seconds since the login."""
        return max(0.0, now - self.started)

    def time_left(self, now: float) -> float | None:
        """Seconds until the session time is up; None without a limit."""
        if self.entitlement.session_timeout is None:
            return None
        return max(0.0, self.started + self.entitlement.session_timeout - now)

    def end(self) -> tuple[float, TerminateCause] | None:
        """When and why it ends if nothing further happens."""
        return min(self._ends(), default=None)

    def _ends(self) -> Iterator[tuple[float, TerminateCause]]:
        given = self.entitlement
        if self.over_limit():
            yield self.last_traffic, TerminateCause.NAS_REQUEST
        if given.session_timeout is not None:
            yield self.started + given.session_timeout, TerminateCause.SESSION_TIMEOUT
        if given.idle_timeout is not None:
            yield self.last_traffic + given.idle_timeout, TerminateCause.IDLE_TIMEOUT
        if given.keepalive_timeout is not None and self.host.gone_at is not None:
            yield self.host.gone_at + given.keepalive_timeout, TerminateCause.LOST_SERVICE

    def over_limit(self) -> bool:
        """Whether a byte limit is used up."""
        given = self.entitlement
        used = (
            (given.limit_bytes_in, self.bytes_in),
            (given.limit_bytes_out, self.bytes_out),
            (given.limit_bytes_total, self.bytes_in + self.bytes_out),
        )
        return any(limit is not None and count >= limit for limit, count in used)

    def count(self, bytes_in: int, bytes_out: int, now: float) -> None:
        """Add traffic, in packets of at most 1500 octets."""
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.packets_in += -(-bytes_in // 1500)
        self.packets_out += -(-bytes_out // 1500)
        self.last_traffic = now


class SessionIds:
    """Acct-Session-Ids: service 80, a digit that steps at each boot, five that count. They come round."""

    def __init__(self) -> None:
        self._boot = 0
        self._count = 0

    def next(self) -> str:
        """The next id, 8 hex digits."""
        self._count = (self._count + 1) & 0xFFFFF
        return f"80{self._boot:x}{self._count:05x}"

    def boot(self) -> None:
        """The router started again."""
        self._boot = (self._boot + 1) & 0xF
        self._count = 0
