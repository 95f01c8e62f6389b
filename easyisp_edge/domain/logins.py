"""What a router asks when a device logs in, and what it reports of the session after."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.packages import Service
    from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit


class Credential(Protocol):
    """A password as it came over the wire, in the clear or as a response to a challenge."""

    def matches(self, password: str) -> bool:
        """Whether it was made from that password."""


class LoginRequest(NamedTuple):
    """A router asks whether a device may go online.

    Args:
        router_id: Which router, known by its address and secret.
        username: As given.
        credential: The proof that came with it.
        mac: The device; None where the router did not say.
        address: The device's IP address; None where it has none yet.
        service: Hotspot or PPPoE.
        session_id: The router's Acct-Session-Id; empty where it sent none.
    """

    router_id: str
    username: str
    credential: Credential
    mac: MacAddress | None
    address: str | None
    service: Service
    session_id: str


class LoginAccepted(NamedTuple):
    """The device may go online.

    Args:
        grant_id: By which grant; comes back in accounting.
        session_seconds: At most so long, at least 1.
        rate_limit: Speed.
        data_left: At most so much more data; None for no limit.
        devices_max: How many devices may use the login at once.
    """

    grant_id: str
    session_seconds: int
    rate_limit: RateLimit
    data_left: DataVolume | None
    devices_max: int


@dataclass(frozen=True, slots=True)
class LoginRejected:
    """The device may not go online; the message is shown to the customer."""

    message: str


LoginAnswer = LoginAccepted | LoginRejected


class UsageKind(enum.StrEnum):
    """What a usage report marks."""

    START = "start"
    INTERIM = "interim"
    STOP = "stop"
    ROUTER_ON = "router_on"
    ROUTER_OFF = "router_off"


class UsageReport(NamedTuple):
    """A router reports on a session, or on itself.

    Args:
        router_id: Which router.
        kind: What it marks.
        session_id: Acct-Session-Id; comes round again after reboots.
        username: Whose session.
        grant_id: From Class, where the router sent it back.
        mac: The device.
        address: Its IP address.
        seconds: Length of the session so far.
        octets_in: From the customer so far, 64 bits.
        octets_out: To the customer so far, 64 bits.
        cause: Why it ended, in RFC 2866's words; empty unless it did.
        at: When it was made, where that was not just now.
    """

    router_id: str
    kind: UsageKind
    session_id: str
    username: str
    grant_id: str | None
    mac: MacAddress | None
    address: str | None
    seconds: int
    octets_in: int
    octets_out: int
    cause: str
    at: datetime | None = None
