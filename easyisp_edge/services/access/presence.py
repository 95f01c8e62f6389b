"""Who is online and who is in sight: what routers were last seen or heard to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.domain.routers import HotspotHost
    from easyisp_edge.domain.values import MacAddress

# Addresses are lent, and lent again: what was seen longer ago says nothing of who has one now.
SEEN_FOR_SECONDS = 300.0


@dataclass(slots=True)
class Presence:
    """User names logged in and devices in sight, per router.

    Only what was observed; empty after a restart until the first round.
    """

    _online: dict[str, set[str]] = field(default_factory=dict)
    _devices: dict[str, dict[str, set[MacAddress]]] = field(default_factory=dict)
    _hosts: dict[str, dict[str, HotspotHost]] = field(default_factory=dict)
    _seen_at: dict[str, float] = field(default_factory=dict)

    def observed(
        self, router_id: str, usernames: set[str], devices: Mapping[str, set[MacAddress]] | None = None
    ) -> None:
        """A whole look at a router: exactly these are on, with these devices as far as that is known."""
        self._online[router_id] = usernames
        self._devices[router_id] = dict(devices or {})

    def saw(self, router_id: str, hosts: Iterable[HotspotHost], at: float) -> None:
        """A whole look at a router, at that monotonic second: exactly these devices are in its sight."""
        self._hosts[router_id] = {host.address: host for host in hosts}
        self._seen_at[router_id] = at

    def came(self, router_id: str, username: str, mac: MacAddress | None = None) -> None:
        """A router says this one is on, with that device where it is known."""
        self._online.setdefault(router_id, set()).add(username)
        if mac is not None:
            self._devices.setdefault(router_id, {}).setdefault(username, set()).add(mac)

    def left(self, router_id: str, username: str) -> None:
        """A router says this one is off."""
        self._online.get(router_id, set()).discard(username)
        self._devices.get(router_id, {}).pop(username, None)

    def is_online(self, username: str) -> bool:
        """Whether any router has this one on."""
        return any(username in usernames for usernames in self._online.values())

    def devices_of(self, username: str) -> set[MacAddress]:
        """The devices this one was seen on with; fewer than there are, where routers only report."""
        return {mac for devices in self._devices.values() for mac in devices.get(username, ())}

    def count_on(self, router_id: str) -> int:
        """How many user names a router has on."""
        return len(self._online.get(router_id, ()))

    def host_at(self, router_id: str, address: str, now: float) -> HotspotHost | None:
        """The device that has an address behind a router; None where that is not known, or not any more.

        Args:
            router_id: Which router.
            address: As the router writes it.
            now: Monotonic seconds.
        """
        if now - self._seen_at.get(router_id, float("-inf")) > SEEN_FOR_SECONDS:
            return None
        return self._hosts[router_id].get(address)
