"""What should be on a router against what is there: the difference is worked off, round by round.

This is the only way anything gets onto a router. A new grant, an expiry, a rebooted, wiped or unreachable
router and a killed daemon are all the same to it: something differs.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.routers import PROFILE_MARK, USER_MARK, UserProfile, WantedUser
from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.routers import ActiveSession, FoundUser, HotspotHost, RouterState
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.ports import HotspotRouter
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

# While somebody who has just paid is not on, the router is looked at more often than in its usual round.
IMPATIENT_SECONDS = 5.0
IMPATIENT_FOR = timedelta(minutes=5)
# How much less online time a user on the router may have than its grant before it is set again.
UPTIME_SLACK_SECONDS = 5
# After more events than these, all grants are read anew instead of one by one.
EVENTS_FOLLOWED_MAX = 2000


@dataclass(slots=True)
class _Read:
    """The grants that are not over, by id, and the number of the last event they reflect."""

    sequence: int | None = None
    usable: dict[str, Admission] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Keeps one router equal to the grants.

    Args:
        router_id: Which router.
        tenant_id: Whose.
        mode: How users get onto it.
        router: How to speak to it.
        store: The store.
        clock: Box time.
        presence: Who is online; told after each look.
        started: To be called when a device was let on.
    """

    router_id: str
    tenant_id: str
    mode: RouterMode
    router: HotspotRouter
    store: Store
    clock: Clock
    presence: Presence
    started: Callable[[Admission], Awaitable[None]]
    _read: _Read = field(default_factory=_Read)

    async def round(self) -> float | None:
        """Look, and put right what differs; gives a shorter wait until the next round where one is due.

        Raises:
            UnavailableError: The router was not reached; what was done is kept, the rest is for the next round.
        """
        try:
            state = await self.router.observe()
        except RefusedError as error:
            raise UnavailableError(
                "router.unreadable", f"{self.router_id} lets us not read: {error.message}"
            ) from error
        self.presence.observed(self.router_id, {session.user for session in state.active})
        # Read after the look: the session of a grant made meanwhile must not be taken for nobody's.
        wanted = await self._wanted()
        await self._put_off(wanted, state)
        if self.mode is RouterMode.HOTSPOT_USER:
            await self._put_users(wanted, state)
        missing = await self._let_on(wanted, state)
        return IMPATIENT_SECONDS if missing else None

    async def _wanted(self) -> dict[str, Admission]:
        """What is usable on this router now, by user name."""
        await self._read_grants()
        now = self.clock.now()
        return {
            admission.username: admission
            for admission in self._read.usable.values()
            if admission.package.service is Service.HOTSPOT
            and admission.package.valid_on(self.router_id)
            and admission.usable_at(now)
        }

    async def _read_grants(self) -> None:
        """Read the grants: all of them once, then those that events say have changed."""
        read = self._read
        sequence, _ = self.store.read.events.head(Stream.MONEY)
        if read.sequence is None or sequence - read.sequence > EVENTS_FOLLOWED_MAX:
            usable = await self.store.survey(lambda tables: tables.grants.usable(self.tenant_id))
            read.usable = {admission.grant_id: admission for admission in usable}
        elif sequence > read.sequence:
            for grant_id in self.store.read.events.keys_since(Stream.MONEY, read.sequence, "grant."):
                self._reread(grant_id)
        read.sequence = sequence

    def _reread(self, grant_id: str) -> None:
        admission = self.store.read.grants.admission_by_id(grant_id)
        if admission is None or admission.tenant_id != self.tenant_id:
            return
        if admission.state is GrantState.ENDED:
            self._read.usable.pop(grant_id, None)
        else:
            self._read.usable[grant_id] = admission

    async def _put_off(self, wanted: dict[str, Admission], state: RouterState) -> None:
        kept = wanted if self.mode is RouterMode.HOTSPOT_USER else {}
        for name, found in state.users.items():
            if name not in kept:
                await self._try(f"remove user {name}", self.router.remove_user(found))
        for session in state.active:
            if not _stays(session, wanted) and self._is_ours(session, state):
                await self._try(f"log out {session.user}", self.router.logout(session.item_id))
                self.presence.left(self.router_id, session.user)

    def _is_ours(self, session: ActiveSession, state: RouterState) -> bool:
        return session.user in state.users or self.store.read.grants.by_username(session.user) is not None

    async def _put_users(self, wanted: dict[str, Admission], state: RouterState) -> None:
        now, profiles = self.clock.now(), dict(state.profiles)
        # A user's row counts a session only once it has ended: the one that runs comes on top.
        under_way = {session.user: session.uptime_seconds for session in state.active}
        for name, admission in wanted.items():
            profile = user_profile(admission.package)
            if profiles.get(profile.name) != profile:
                await self._try(f"put profile {profile.name}", self.router.put_profile(profile))
                profiles[profile.name] = profile
            user, found = wanted_user(admission, profile, now, under_way.get(name, 0)), state.users.get(name)
            if found is None or not _stands(user, found):
                await self._try(f"put user {name}", self.router.put_user(user, found))

    async def _try(self, what: str, step: Awaitable[None]) -> None:
        """Take a step; where the router says no, say so and go on with the others."""
        try:
            await step
        except RefusedError as error:
            log.error("%s refuses to %s: %s", self.router_id, what, error.message)  # noqa: TRY400 - no bug of ours

    async def _let_on(self, wanted: dict[str, Admission], state: RouterState) -> bool:
        """Log in every device that may be on and is seen; True when one of them should be on any moment."""
        staying = [session for session in state.active if _stays(session, wanted)]
        on, macs_on = {session.user for session in staying}, {session.mac for session in staying}
        hosts = {host.mac: host for host in state.hosts}
        missing = False
        # A device's grants are used one after the other: what runs first, then by age.
        for grant in sorted(wanted.values(), key=_turn):
            if grant.username in on:
                await self.started(grant)
            elif grant.mac is not None and grant.mac not in macs_on:
                macs_on.add(grant.mac)
                host = hosts.get(grant.mac)
                if host is None or host.bypassed:
                    missing |= self._is_new(grant)
                else:
                    missing |= not await self._login(grant, grant.mac, host)
        return missing

    def _is_new(self, grant: Admission) -> bool:
        """Whether its buyer is likely to be looking at the page, waiting to be let on."""
        return self.clock.now() - grant.created_at < IMPATIENT_FOR

    async def _login(self, grant: Admission, mac: MacAddress, host: HotspotHost) -> bool:
        try:
            await self.router.login(username=grant.username, password=grant.password, mac=mac, address=host.address)
        except ConflictError as error:
            log.info("%s: %s is not let on yet: %s", self.router_id, mac, error.message)
            return False
        except RefusedError as error:
            log.warning("%s does not let %s on: %s", self.router_id, mac, error.message)
            return False
        self.presence.came(self.router_id, grant.username)
        await self.started(grant)
        return True


def _stays(session: ActiveSession, wanted: dict[str, Admission]) -> bool:
    """Whether a session is of a grant that is usable, and still for its device: grants follow their buyers."""
    admission = wanted.get(session.user)
    if admission is None:
        return False
    return admission.package.devices_max > 1 or admission.mac in {None, session.mac}


def _turn(admission: Admission) -> tuple[bool, datetime]:
    return admission.state is not GrantState.RUNNING, admission.created_at


def user_profile(package: Package) -> UserProfile:
    """The user profile a package needs; packages of one speed share it."""
    rate = str(package.rate_limit).replace("/", "-")
    return UserProfile(f"{PROFILE_MARK}{rate}-x{package.devices_max}", package.rate_limit, package.devices_max)


def wanted_user(admission: Admission, profile: UserProfile, now: datetime, under_way_seconds: int = 0) -> WantedUser:
    """The hotspot user of a grant, as it should stand on a router; `under_way_seconds` is its running session."""
    package = admission.package
    mac = admission.mac if package.devices_max == 1 else None
    contents = f"{admission.username}\0{admission.password}\0{mac or ''}"
    fingerprint = hashlib.sha256(contents.encode()).hexdigest()[:12]
    return WantedUser(
        name=admission.username,
        password=admission.password,
        profile=profile.name,
        mac=mac,
        uptime_left_seconds=admission.seconds_left_at(now) + under_way_seconds,
        comment=f"{USER_MARK}{admission.grant_id} {fingerprint}",
    )


def _stands(user: WantedUser, found: FoundUser) -> bool:
    left = found.limit_uptime_seconds - found.uptime_seconds
    enough = left >= user.uptime_left_seconds - UPTIME_SLACK_SECONDS
    return enough and found.comment == user.comment and found.profile == user.profile and not found.disabled
