"""What is remembered of a router from one look to the next, so that not all of it is read each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.services.routers.hotspot_usage import LAG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.domain.routers import ActiveSession, FoundUser, RouterState, UserProfile
    from easyisp_edge.domain.values import MacAddress

# All of a router is looked at so seldom that it takes this part of the time at most, but every few minutes at least.
# Where there are few users that is in every round.
LOOK_PART = 50
LOOK_AT_LEAST_EVERY_SECONDS = 300.0
# The same of looks at devices, where something happened that could not wait for the next round; that is never kept
# waiting by it, however long the last one took.
DEVICES_PART = 20
DEVICES_AT_LEAST_EVERY_SECONDS = 5.0


@dataclass(slots=True)
class RouterMemory:
    """What stood on a router when it was looked at, with what was written since.

    Args:
        users: Our users, as they were read last; None where nothing is known and all has to be read.
        profiles: Our user profiles, the same.
        unsure: Users that were written since, or could not be: their rows are to be read again.
        refused: What was refused since all was looked at: the next time it is no news.
        surprised: Whether the router said something that does not go with what is remembered.
    """

    users: dict[str, FoundUser] | None = None
    profiles: dict[str, UserProfile] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    surprised: bool = False
    _on: dict[tuple[str, str, MacAddress | None], int] = field(default_factory=dict)
    _on_at: float = 0.0
    _all_due_at: float = 0.0
    _devices_due_at: float = 0.0

    def forget(self) -> None:
        """Nothing is sure any more: all is to be looked at."""
        self.users = None
        self.surprised = False

    def all_due(self, now: float) -> bool:
        """Whether all is to be looked at, by the monotonic clock."""
        return self.users is None or self.surprised or now >= self._all_due_at

    def devices_due_in(self, now: float) -> float:
        """Seconds until devices are to be looked at again, where something happened; 0 for now."""
        return max(0.0, self._devices_due_at - now)

    def looked(self, state: RouterState, began: float) -> None:
        """All was looked at; it began then, by the monotonic clock."""
        self.users, self.profiles = dict(state.users), dict(state.profiles)
        self.unsure.clear()
        self.refused.clear()
        self._saw(state.active, began)

    def looked_again(self, users: dict[str, FoundUser], asked: set[str]) -> None:
        """Some users were asked for; these are there."""
        for name in asked & self._standing.keys() - users.keys():
            # Nobody but us takes them away: who knows what else is gone.
            self.surprised = True
            self._standing.pop(name)
        self._standing.update(users)
        self.unsure -= asked

    def looked_at_devices(self, active: Iterable[ActiveSession], began: float) -> None:
        """Devices were looked at; it began then, by the monotonic clock."""
        self._saw(active, began)

    def all_done(self, began: float, now: float) -> None:
        """The round in which all was looked at is over; nothing it was refused is a surprise."""
        self.surprised = False
        self._all_due_at = now + min(LOOK_AT_LEAST_EVERY_SECONDS, (now - began) * LOOK_PART)
        self.devices_done(began, now)

    def devices_done(self, began: float, now: float) -> None:
        """The round in which devices were looked at is over."""
        self._devices_due_at = now + min(DEVICES_AT_LEAST_EVERY_SECONDS, (now - began) * DEVICES_PART)

    def removed(self, name: str) -> None:
        """A user was taken away."""
        self.unsure.discard(name)
        self._standing.pop(name, None)

    def was_refused(self, what: str) -> None:
        """The router refused something; for the first time that does not go with what is remembered."""
        self.surprised |= what not in self.refused
        self.refused.add(what)

    @property
    def _standing(self) -> dict[str, FoundUser]:
        return {} if self.users is None else self.users

    def changed(self, active: Iterable[ActiveSession], now: float) -> set[str]:
        """Users of the router's own whose rows may have changed: somebody came or went by them since the last look."""
        least = max(0.0, now - self._on_at - LAG_SECONDS)
        seen = _uptimes(active)
        same = {key for key, uptime in seen.items() if key in self._on and uptime - self._on[key] >= least}
        return {user for _, user, _ in seen.keys() ^ self._on.keys() | (seen.keys() - same)}

    def _saw(self, active: Iterable[ActiveSession], at: float) -> None:
        self._on, self._on_at = _uptimes(active), at


def _uptimes(active: Iterable[ActiveSession]) -> dict[tuple[str, str, MacAddress | None], int]:
    return {
        (session.item_id, session.user, session.mac): session.uptime_seconds
        for session in active
        if not session.by_radius
    }
