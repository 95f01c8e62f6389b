"""A hotspot router that keeps what it is given, and refuses, fails or is busy when told to."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from easyisp_edge.domain.routers import (
    USER_MARK,
    ActiveSession,
    DevicesSeen,
    FoundUser,
    HotspotCookie,
    HotspotHost,
    RouterState,
    UserProfile,
    WantedUser,
)
from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection

    from easyisp_edge.domain.values import MacAddress


@dataclass
class FakeRouter:
    """A `HotspotRouter` with its tables.

    Args:
        radius: Whether logins are asked of a RADIUS server, which here says yes.
        ids_by_device: Whether a session's id comes round with its device.
        away: Not reached.
        away_after: Not reached any more after so many steps; None for never.
        refused: Steps it refuses, such as `put_user ABC`.
        busy: Devices whose login is under way.
        steps: What it was made to do, looks left out.
        remembered: The logins it remembers for devices, by id.
        bindings: The comments of its ip-bindings, by id.
        looks: What it was asked for.
    """

    radius: bool = False
    ids_by_device: bool = False
    away: bool = False
    away_after: int | None = None
    refused: set[str] = field(default_factory=set)
    busy: set[MacAddress] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    profiles: dict[str, UserProfile] = field(default_factory=dict)
    users: dict[str, FoundUser] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    active: dict[str, ActiveSession] = field(default_factory=dict)
    hosts: dict[MacAddress, HotspotHost] = field(default_factory=dict)
    remembered: dict[str, HotspotCookie] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    looks: list[str] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def wipe(self) -> None:
        """A reset without a backup: nothing is left, the devices stay where they are."""
        self.profiles.clear()
        self.users.clear()
        self.passwords.clear()
        self.active.clear()
        self.remembered.clear()
        self.bindings.clear()

    def see(self, mac: MacAddress, address: str = "10.5.50.11", *, bypassed: bool = False) -> None:
        """A device comes to the hotspot."""
        self.hosts[mac] = HotspotHost(mac, address, authorized=False, bypassed=bypassed)

    def add_user(self, name: str, *, comment: str, profile: str = "default") -> FoundUser:
        """A user of somebody else's, or of ours from earlier."""
        user = FoundUser(f"*{next(self._ids):X}", name, profile, 0, 0, disabled=False, comment=comment)
        self.users[name] = user
        return user

    def add_session(self, user: str, mac: MacAddress, *, uptime_seconds: int = 0) -> ActiveSession:
        """A device is logged in by whatever way."""
        item_id = f"*{mac.text[-2:]}" if self.ids_by_device else f"*{next(self._ids):X}"
        session = ActiveSession(item_id, user, mac, "10.5.50.11", self.radius, uptime_seconds)
        self.active[item_id] = session
        return session

    def sessions_of(self, user: str) -> list[ActiveSession]:
        """Who is on as that user."""
        return [session for session in self.active.values() if session.user == user]

    def run_session(self, user: str, seconds: int, octets: int = 0) -> None:
        """Let a user's sessions go on: so much data from the customer each, and twice as much to it."""
        for item_id, session in self.active.items():
            if session.user == user:
                self.active[item_id] = replace(
                    session,
                    uptime_seconds=session.uptime_seconds + seconds,
                    octets_in=session.octets_in + octets,
                    octets_out=session.octets_out + 2 * octets,
                )

    def end_session(self, user: str, mac: MacAddress | None = None) -> None:
        """A device goes, or all of a user's: what its session used is added to its user's row, where there is one."""
        for session in self.sessions_of(user):
            if mac in {None, session.mac}:
                del self.active[session.item_id]
                self._add_up(session)

    def reboot(self) -> None:
        """Power goes and comes: sessions and hosts are gone, and what they used was never added up."""
        self.active.clear()
        self.hosts.clear()

    def reset_counters(self, user: str) -> None:
        """`reset-counters` by hand."""
        self.users[user] = replace(self.users[user], uptime_seconds=0, octets_in=0, octets_out=0)

    def counters(self, user: str) -> tuple[int, int, int]:
        """What a user's row shows: seconds, octets in, octets out."""
        found = self.users[user]
        return found.uptime_seconds, found.octets_in, found.octets_out

    def _add_up(self, session: ActiveSession) -> None:
        found = self.users.get(session.user)
        if found is not None and not session.by_radius:
            self.users[session.user] = replace(
                found,
                uptime_seconds=found.uptime_seconds + session.uptime_seconds,
                octets_in=found.octets_in + session.octets_in,
                octets_out=found.octets_out + session.octets_out,
            )

    async def observe(self) -> RouterState:
        self._look("observe")
        ours = {name: user for name, user in self.users.items() if user.comment.startswith(USER_MARK)}
        return RouterState(dict(self.profiles), ours, tuple(self.active.values()), tuple(self._hosts()))

    async def observe_devices(self) -> DevicesSeen:
        self._look("observe_devices")
        return DevicesSeen(tuple(self.active.values()), tuple(self._hosts()))

    async def users_named(self, names: Collection[str]) -> dict[str, FoundUser]:
        ours = {}
        for name in names:
            self._look(f"user {name}")
            if name in self.users and self.users[name].comment.startswith(USER_MARK):
                ours[name] = self.users[name]
        return ours

    async def sessions_by(
        self, *, users: Collection[str] = (), macs: Collection[MacAddress] = ()
    ) -> tuple[ActiveSession, ...]:
        for asked in (*users, *macs):
            self._look(f"sessions {asked}")
        return tuple(each for each in self.active.values() if each.user in users or each.mac in macs)

    async def hosts_of(self, macs: Collection[MacAddress]) -> tuple[HotspotHost, ...]:
        for mac in macs:
            self._look(f"host {mac}")
        return tuple(host for host in self._hosts() if host.mac in macs)

    async def cookies(self) -> tuple[HotspotCookie, ...]:
        self._look("cookies")
        return tuple(self.remembered.values())

    async def remove_cookie(self, item_id: str) -> None:
        cookie = self.remembered.get(item_id)
        self._step(f"remove_cookie {item_id if cookie is None else cookie.user}")
        self.remembered.pop(item_id, None)

    async def forget_device(self, user: str, mac: MacAddress | None) -> None:
        for cookie in list(self.remembered.values()):
            if cookie.user == user and mac in {None, cookie.mac}:
                await self.remove_cookie(cookie.item_id)

    async def our_bindings(self) -> tuple[str, ...]:
        self._look("bindings")
        return tuple(item_id for item_id, comment in self.bindings.items() if comment.startswith(USER_MARK))

    async def remove_binding(self, item_id: str) -> None:
        self._step(f"remove_binding {item_id}")
        self.bindings.pop(item_id, None)

    async def put_profile(self, profile: UserProfile) -> None:
        self._step(f"put_profile {profile.name}")
        self.profiles[profile.name] = profile

    async def put_user(self, user: WantedUser, found: FoundUser | None) -> None:
        self._step(f"put_user {user.name}")
        standing = self.users.get(user.name)
        uptime, octets_in, octets_out = (0, 0, 0) if standing is None else self.counters(user.name)
        self.users[user.name] = FoundUser(
            item_id=f"*{next(self._ids):X}" if found is None else found.item_id,
            name=user.name,
            profile=user.profile,
            uptime_seconds=uptime,
            limit_uptime_seconds=uptime + user.uptime_left_seconds,
            disabled=False,
            comment=user.comment,
            octets_in=octets_in,
            octets_out=octets_out,
            limit_octets=0 if user.octets_left is None else octets_in + octets_out + user.octets_left,
        )
        self.passwords[user.name] = user.password

    async def remove_user(self, found: FoundUser) -> None:
        self._step(f"remove_user {found.name}")
        self.users.pop(found.name, None)
        await self.forget_device(found.name, None)

    async def login(self, *, username: str, password: str, mac: MacAddress, address: str) -> None:
        self._step(f"login {username}")
        if mac in self.busy or mac not in self.hosts:
            raise ConflictError("router.device_authorizing", "already authorizing, retry later")
        if not self.radius and self.passwords.get(username) != password:
            raise RefusedError("router.refused", "invalid username or password")
        self.active = {item_id: session for item_id, session in self.active.items() if session.mac != mac}
        self.add_session(username, mac)

    async def logout(self, item_id: str) -> None:
        self._step(f"logout {self.active[item_id].user}" if item_id in self.active else f"logout {item_id}")
        session = self.active.pop(item_id, None)
        if session is not None:
            self._add_up(session)

    def _hosts(self) -> list[HotspotHost]:
        on = {session.mac for session in self.active.values()}
        return [replace(host, authorized=mac in on) for mac, host in self.hosts.items()]

    def _look(self, look: str) -> None:
        if self.away:
            raise UnavailableError("router.unreachable", "The router was not reached.")
        self.looks.append(look)
        if look in self.refused:
            raise RefusedError("router.refused", "not enough permissions (9)")

    def _step(self, step: str) -> None:
        if self.away or (self.away_after is not None and len(self.steps) >= self.away_after):
            raise UnavailableError("router.unreachable", "The router was not reached.")
        self.steps.append(step)
        if step in self.refused:
            raise RefusedError("router.refused", f"refused: {step}")
