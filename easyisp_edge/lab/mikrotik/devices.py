"""Devices as a test or a demo plays them, and as the router shows them once they are logged in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.sessions import Session


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is there, whether or not the router has heard of it.

    Args:
        mac: Upper case with colons.
        ip: IPv4 address.
    """

    mac: str
    ip: str


@dataclass(frozen=True, slots=True)
class ActiveDevice:
    """A logged-in device.

    Args:
        user: As it logged in.
        mac: Upper case with colons.
        ip: IPv4 address.
        server: The hotspot server.
        login_by: As `/ip/hotspot/active` names it.
        session_id: Acct-Session-Id.
        uptime_seconds: Since the login.
        time_left_seconds: Until the session time is up; None without a limit.
        bytes_in: From the device.
        bytes_out: To the device.
        rate_limit: In RouterOS's grammar, empty for none.
        radius: Whether RADIUS let it in.
    """

    user: str
    mac: str
    ip: str
    server: str
    login_by: str
    session_id: str
    uptime_seconds: float
    time_left_seconds: float | None
    bytes_in: int
    bytes_out: int
    rate_limit: str
    radius: bool

    @classmethod
    def of(cls, session: Session, server: str, now: float) -> Self:
        """What is to be seen of a session on that server at that moment."""
        return cls(
            user=session.user,
            mac=session.host.mac,
            ip=session.host.ip,
            server=server,
            login_by=session.login_by,
            session_id=session.acct_id,
            uptime_seconds=session.uptime(now),
            time_left_seconds=session.time_left(now),
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
            rate_limit=session.entitlement.rate_limit,
            radius=session.entitlement.radius,
        )
