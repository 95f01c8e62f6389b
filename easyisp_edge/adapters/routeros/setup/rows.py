"""What a set-up wants on a router, what it would change there, and what stands in the way."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

Row = dict[str, str]
Tables = dict[str, list[Row]]

# A row of ours has a comment that begins so; what has no comment has a name that does.
SETUP_MARK = "edge:setup "
NAME_MARK = "edge-"
API_GROUP = "edge-api"
OLD_USER = "edge-old-"


@dataclass(frozen=True, slots=True)
class SiteRadius:
    """What the router's RADIUS side is to know.

    Args:
        secret: Shared with whoever answers.
        auth_port: For logins.
        acct_port: For accounting.
        interim: How often usage is reported.
        incoming_port: Where the router takes orders to end sessions; None where it is to take none.
    """

    secret: str = field(repr=False)
    auth_port: int
    acct_port: int
    interim: timedelta
    incoming_port: int | None


@dataclass(frozen=True, slots=True)
class SiteApi:
    """The router's user for this box.

    Args:
        username: Its name.
        password: Its password.
        tls: Whether it comes by api-ssl.
        port: Where it comes to.
    """

    username: str
    password: str = field(repr=False)
    tls: bool
    port: int


@dataclass(frozen=True, slots=True)
class SetupSite:
    """Everything a router's set-up follows from.

    Args:
        router_id: Its id in `routers.toml`.
        router_address: As this box sees it.
        interface: The router's interface the customers are on.
        server: The hotspot server's name; None for the one that is on the interface.
        box_address: This box, as the router sees it.
        portal_url: The customers' page, as they reach it.
        pages: The hand-over pages by file name.
        api: The router's user for this box.
        radius: None where this box writes users on the router.
        cookies: What brings devices back by itself: `cookie`, `mac-cookie`, both or none.
        idle_timeout: After which a silent device is forgotten; None for never.
        keepalive_timeout: After which one that does not answer is; None for never.
        addresses_per_mac: How many addresses a device may hold.
        dns_name: What the router calls its login page; None to leave that alone.
        captive_api_url: What devices are told by DHCP; None to tell nothing.
        ntp_servers: Whom the router asks for the time after the box.
        management_networks: From where people manage the router; empty to leave its services open.
    """

    router_id: str
    router_address: str
    interface: str
    server: str | None
    box_address: str
    portal_url: str
    pages: Mapping[str, str]
    api: SiteApi
    radius: SiteRadius | None
    cookies: tuple[str, ...]
    idle_timeout: timedelta | None
    keepalive_timeout: timedelta | None
    addresses_per_mac: int
    dns_name: str | None
    captive_api_url: str | None
    ntp_servers: tuple[str, ...]
    management_networks: tuple[str, ...]

    @property
    def profile(self) -> str:
        """The name of the hotspot server profile of ours."""
        return f"{NAME_MARK}{self.router_id}"


class Place(enum.Enum):
    """Where a new row goes in a list that is gone through in its order."""

    END = "end"
    FRONT = "front"
    BEHIND_OURS = "behind_ours"  # before everybody else's


@dataclass(frozen=True, slots=True)
class WantedRow:
    """A row as it should stand.

    Args:
        menu: Where.
        key: The fields it is found by; empty in a menu of one row.
        values: What it should say.
        why: In words, for people.
        when_new: What else is written when it is made, and left to the owner after that.
        secrets: The same, and never read back or shown.
        place: Where a new one goes in its list.
    """

    menu: str
    key: Mapping[str, str]
    values: Mapping[str, str]
    why: str
    when_new: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    place: Place = Place.END


@dataclass(frozen=True, slots=True)
class Change:
    """One command to the router, and how to take it back.

    Args:
        verb: `add` or `set`.
        row: What it is about; of a `set`, `values` holds only what differs.
        before: What those values are now; empty for `add`.
        undo: Lines of a script; what they do is the same whether or not the change was made, and done twice.
    """

    verb: str
    row: WantedRow
    before: Mapping[str, str]
    undo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """A row of ours of no more use, taken away once everything is confirmed.

    Args:
        menu: Where.
        key: The fields it is found by.
    """

    menu: str
    key: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Trap:
    """What would make the set-up fail, or look done and not work.

    Args:
        code: For programs.
        words: For people.
        command: What to type on the router about it; None where that is not all.
        stops: Whether nothing may be changed before it is dealt with.
    """

    code: str
    words: str
    command: str | None = None
    stops: bool = False


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What would happen on one router.

    Args:
        changes: In their order.
        leftovers: Taken away last.
        traps: Those that stop first.
        left_alone: What one might expect among the changes and is not, in words.
    """

    changes: tuple[Change, ...]
    leftovers: tuple[Leftover, ...]
    traps: tuple[Trap, ...]
    left_alone: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes and not self.leftovers

    @property
    def stopped(self) -> bool:
        """Whether a trap has to be dealt with first."""
        return any(trap.stops for trap in self.traps)


def found(rows: list[Row], key: Mapping[str, str]) -> Row | None:
    """The row that has those fields; rows the router made by itself are none."""
    for row in rows:
        if row.get("dynamic") != "true" and all(row.get(name) == value for name, value in key.items()):
            return row
    return None
