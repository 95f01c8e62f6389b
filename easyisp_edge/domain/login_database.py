"""What stands in a database that a RADIUS server of the site's own answers from, and what that server notes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit


class WantedLogin(NamedTuple):
    """What the server has to know of a grant to answer for it.

    Args:
        grant_id: Which grant; comes back in accounting.
        username: Its user name.
        password: Its password.
        service: Hotspot or PPPoE.
        mac: The only device that may use it; None for any.
        session_seconds: The longest one session may be; None where `expires_at` alone says it.
        online_seconds: Online time in all, over all sessions; None for no limit.
        expires_at: When it is over, or shuts; None while its time has not begun and it has no hours.
        data_limit: Data in all, over all sessions that the server noted; None for no limit.
        data_left: At most so much more data in one session; None for no limit.
        rate_limit: Speed.
        devices_max: How many devices may be on at once.
        interim_seconds: How often its sessions are to be reported.
        tenant_id: Whose routers it is good behind; None for all that the server answers.
        router_ids: The only routers it is good behind; empty for all of those.
    """

    grant_id: str
    username: str
    password: str
    service: Service
    mac: MacAddress | None
    session_seconds: int | None
    online_seconds: int | None
    expires_at: datetime | None
    data_limit: DataVolume | None
    data_left: DataVolume | None
    rate_limit: RateLimit
    devices_max: int
    interim_seconds: int
    tenant_id: str | None
    router_ids: tuple[str, ...]


class SessionsCursor(NamedTuple):
    """How far the sessions were read: by the time of their last change, then by their number."""

    changed_at: datetime
    row_id: int


class NotedSession(NamedTuple):
    """A session as the server noted it.

    Args:
        row_id: Its number in the database.
        router_address: The router's IP address, as the server saw it.
        session_id: The router's Acct-Session-Id.
        username: Whose session.
        grant_id: From Class, where the router sent it back.
        mac: The device.
        address: Its IP address.
        started_at: When it began, by the server's clock.
        changed_at: When it was last heard of, by the server's clock.
        stopped: Whether it is over.
        seconds: Its length so far.
        octets_in: From the customer so far.
        octets_out: To the customer so far.
        cause: Why it ended; empty unless it did.
    """

    row_id: int
    router_address: str
    session_id: str
    username: str
    grant_id: str | None
    mac: MacAddress | None
    address: str | None
    started_at: datetime | None
    changed_at: datetime
    stopped: bool
    seconds: int
    octets_in: int
    octets_out: int
    cause: str

    @property
    def cursor(self) -> SessionsCursor:
        """Where to read on after it."""
        return SessionsCursor(self.changed_at, self.row_id)
