"""Who is online: what routers were last seen or heard to say."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Presence:
    """User names logged in, per router. Only what was observed; empty after a restart until the first round."""

    _online: dict[str, set[str]] = field(default_factory=dict)

    def observed(self, router_id: str, usernames: set[str]) -> None:
        """A whole look at a router: exactly these are on."""
        self._online[router_id] = usernames

    def came(self, router_id: str, username: str) -> None:
        """A router says this one is on."""
        self._online.setdefault(router_id, set()).add(username)

    def left(self, router_id: str, username: str) -> None:
        """A router says this one is off."""
        self._online.get(router_id, set()).discard(username)

    def is_online(self, username: str) -> bool:
        """Whether any router has this one on."""
        return any(username in usernames for usernames in self._online.values())
