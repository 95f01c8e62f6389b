"""What should be on a router against what is there: the difference is worked off, round by round.

This is the only way anything gets onto a router. A new grant, an expiry, a rebooted, wiped or unreachable
router and a killed daemon are all the same to it: something differs.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState, letting_on
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.routers import PROFILE_MARK, UserProfile, WantedUser, user_comment
from easyisp_edge.domain.user_usage import Used
from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError
from easyisp_edge.services.login_names import NameKind, login_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.routers import ActiveSession, FoundUser, HotspotHost, RouterState
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.hotspot_usage import HotspotUsage
    from easyisp_edge.services.ports import HotspotRouter
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store

log = logging.getLogger(__name__)

# While somebody who has just paid is not on, the router is looked at more often than in its usual round.
IMPATIENT_SECONDS = 5.0
IMPATIENT_FOR = timedelta(minutes=5)
# How much less online time or data a user on the router may have than its grant before it is set again.
UPTIME_SLACK_SECONDS = 5
OCTETS_SLACK = 2**20
# How much more it may have: such a part of it, and so much besides. Where a grant is used on another router it is not
# set anew at each round, and a box that dies leaves no more than that behind.
SURPLUS_PART = 16
SURPLUS_SECONDS = 60
# After more events than these, all grants are read anew instead of one by one.
EVENTS_FOLLOWED_MAX = 2000


@dataclass(slots=True)
class _Read:
    """The grants that are not over, by id, and the number of the last event they reflect."""

    sequence: int | None = None
    usable: dict[str, Admission] = field(default_factory=dict)


class _KnownSession(NamedTuple):
    """A session on the router, and whose it is.

    Args:
        session: As it was seen.
        username: Its grant's user name, whatever the device logged in with; as seen where that is nobody's.
        ours: Whether it is there by us.
        stray: Whether the user it came by is gone.
    """

    session: ActiveSession
    username: str
    ours: bool
    stray: bool = False

    def stays(self, wanted: dict[str, Admission]) -> bool:
        """Whether it is of a grant that lets on, and still for this device: grants follow their buyers."""
        admission = wanted.get(self.username)
        return admission is not None and admission.serves(self.session.mac) and not self.stray


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
        usage: Accounts for what the router counted of its own users; told at each look.
        started: To be called when a device was let on.
    """

    router_id: str
    tenant_id: str
    mode: RouterMode
    router: HotspotRouter
    store: Store
    clock: Clock
    presence: Presence
    usage: HotspotUsage
    started: Callable[[Admission], Awaitable[None]]
    _read: _Read = field(default_factory=_Read)

    async def round(self) -> float | None:
        """Look, and put right what differs; gives a shorter wait until the next round where one is due.

        Raises:
            UnavailableError: The router was not reached, or what it counted could not be noted; what was done is kept,
                the rest is for the next round.
        """
        try:
            state = await self.router.observe()
        except RefusedError as error:
            raise UnavailableError(
                "router.unreadable", f"{self.router_id} lets us not read: {error.message}"
            ) from error
        # First what was used: a grant of which nothing is left by now is not wanted any more.
        await self.usage.note(state)
        # Read after the look: the session of a grant made meanwhile must not be taken for nobody's.
        wanted = await self._wanted()
        sessions = [self._known(session, state) for session in state.active]
        self.presence.observed(self.router_id, {known.username for known in sessions})
        await self._put_off(wanted, state, sessions)
        if self.mode is RouterMode.HOTSPOT_USER:
            await self._put_users(wanted, state)
        missing = await self._let_on(wanted, state, sessions)
        return IMPATIENT_SECONDS if missing else None

    async def _wanted(self) -> dict[str, Admission]:
        """What may let somebody on at this router now, by user name."""
        await self._read_grants()
        if self.mode is RouterMode.HOTSPOT_USER:
            self._read_use()
        here = (
            admission
            for admission in self._read.usable.values()
            if admission.package.service is Service.HOTSPOT and admission.package.valid_on(self.router_id)
        )
        return {admission.username: admission for admission in letting_on(here, self.clock.now())}

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

    def _read_use(self) -> None:
        """Read anew the grants whose use limits them, here or on other routers: no event tells of it."""
        for grant_id, admission in list(self._read.usable.items()):
            if _limits_use(admission.package) and admission.state is not GrantState.WAITING:
                self._reread(grant_id)

    def _reread(self, grant_id: str) -> None:
        admission = self.store.read.grants.admission_by_id(grant_id)
        if admission is None or admission.tenant_id != self.tenant_id:
            return
        if admission.state is GrantState.ENDED:
            self._read.usable.pop(grant_id, None)
        else:
            self._read.usable[grant_id] = admission

    def _known(self, session: ActiveSession, state: RouterState) -> _KnownSession:
        """Whose a session is: by its user name, or by what else may be given to a router that asks by RADIUS."""
        if session.user in state.users or not session.by_radius:
            # Where its user is gone from under it, what it uses would never be counted there.
            stray = session.user not in state.users and self.mode is RouterMode.HOTSPOT_USER
            ours = session.user in state.users or self.store.read.grants.by_username(session.user) is not None
            return _KnownSession(session, session.user, ours=ours, stray=stray)
        booked = self._booked(session)
        if booked is not None:
            return _KnownSession(session, booked.username, ours=True)
        now = self.clock.now()
        name = login_name(self.store.read, self.tenant_id, session.user, session.mac, now, self.router_id)
        if name is None:
            return _KnownSession(session, session.user, ours=False)
        username = session.user if name.admission is None else name.admission.username
        return _KnownSession(session, username, ours=name.admission is not None or name.kind is NameKind.DEVICE)

    def _booked(self, session: ActiveSession) -> Admission | None:
        """What let a device on that logged in by its address: by then another grant of it may be in turn."""
        if session.mac is None or self.store.read.grants.by_username(session.user) is not None:
            return None
        read = self.store.read
        for each in read.sessions.open_of_device(session.mac):
            if each.router_id == self.router_id and each.username == session.user and each.grant_id is not None:
                return read.grants.admission_by_id(each.grant_id)
        return None

    async def _put_off(
        self, wanted: dict[str, Admission], state: RouterState, sessions: Iterable[_KnownSession]
    ) -> None:
        kept = wanted if self.mode is RouterMode.HOTSPOT_USER else {}
        for name, found in state.users.items():
            if name not in kept:
                await self._try(f"remove user {name}", self.router.remove_user(found))
        for known in sessions:
            if known.ours and not known.stays(wanted):
                await self._try(f"log out {known.username}", self.router.logout(known.session.item_id))
                self.presence.left(self.router_id, known.username)

    async def _put_users(self, wanted: dict[str, Admission], state: RouterState) -> None:
        now, profiles, under_way = self.clock.now(), dict(state.profiles), _under_way(state)
        for name, admission in wanted.items():
            profile = user_profile(admission.package)
            if profiles.get(profile.name) != profile:
                await self._try(f"put profile {profile.name}", self.router.put_profile(profile))
                profiles[profile.name] = profile
            found = state.users.get(name)
            user = wanted_user(admission, profile, now, found, under_way.get(name, Used()))
            if found is None or not _stands(user, found, in_doubt=self.usage.in_doubt(name)):
                await self._try(f"put user {name}", self.router.put_user(user, found))

    async def _try(self, what: str, step: Awaitable[None]) -> None:
        """Take a step; where the router says no, say so and go on with the others."""
        try:
            await step
        except RefusedError as error:
            log.error("%s refuses to %s: %s", self.router_id, what, error.message)  # noqa: TRY400 - no bug of ours

    async def _let_on(
        self, wanted: dict[str, Admission], state: RouterState, sessions: Iterable[_KnownSession]
    ) -> bool:
        """Log in every device that may be on and is seen; True when one of them should be on any moment."""
        staying = [known for known in sessions if known.stays(wanted)]
        on, macs_on = {known.username for known in staying}, {known.session.mac for known in staying}
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


def _turn(admission: Admission) -> tuple[bool, datetime]:
    return admission.state is not GrantState.RUNNING, admission.created_at


def user_profile(package: Package) -> UserProfile:
    """The user profile a package needs; packages of one speed share it."""
    rate = str(package.rate_limit).replace("/", "-").replace(" ", "_")
    return UserProfile(f"{PROFILE_MARK}{rate}-x{package.devices_max}", package.rate_limit, package.devices_max)


def wanted_user(
    admission: Admission, profile: UserProfile, now: datetime, found: FoundUser | None, under_way: Used
) -> WantedUser:
    """The hotspot user of a grant, as it should stand on a router.

    A user's row counts a session only once it has ended: those that run come on top of what is left.

    Args:
        admission: The grant.
        profile: Its user profile.
        now: Box time.
        found: The user as it stands there; None where it is to be made.
        under_way: What its sessions that run there have used.
    """
    package = admission.package
    mac = admission.mac if package.devices_max == 1 else None
    contents = f"{admission.username}\0{admission.password}\0{mac or ''}"
    fingerprint = hashlib.sha256(contents.encode()).hexdigest()[:12]
    since = f"{int(now.timestamp()):x}" if found is None else found.since
    over = Used() if found is None else under_way
    online_seconds = None if package.online_time is None else int(package.online_time.total_seconds())
    online_left = None if online_seconds is None else max(0, online_seconds - admission.seconds_used) + over.seconds
    data_left = admission.data_left
    return WantedUser(
        name=admission.username,
        password=admission.password,
        profile=profile.name,
        mac=mac,
        uptime_left_seconds=admission.session_seconds_at(now) + over.seconds,
        uptime_left_most_seconds=online_left,
        octets_left=None if data_left is None else data_left.octets + over.octets,
        comment=user_comment(admission.grant_id, fingerprint, since),
    )


def _under_way(state: RouterState) -> dict[str, Used]:
    under_way: dict[str, Used] = {}
    for session in state.active:
        if not session.by_radius:
            used = Used(session.uptime_seconds, session.octets_in, session.octets_out)
            under_way[session.user] = under_way.get(session.user, Used()) + used
    return under_way


def _limits_use(package: Package) -> bool:
    return package.data_limit is not None or package.online_time is not None


def _stands(user: WantedUser, found: FoundUser, *, in_doubt: bool) -> bool:
    if (found.comment, found.profile, found.disabled) != (user.comment, user.profile, False):
        return False
    if found.limit_uptime_seconds <= 0 or (found.limit_octets > 0) != (user.octets_left is not None):
        return False
    if in_doubt:
        return True
    left = found.limit_uptime_seconds - found.uptime_seconds
    return (
        not _falls_short(left, user.uptime_left_seconds, UPTIME_SLACK_SECONDS)
        and not _exceeds(left, user.uptime_left_most_seconds, SURPLUS_SECONDS)
        and _data_stands(user, found)
    )


def _data_stands(user: WantedUser, found: FoundUser) -> bool:
    if user.octets_left is None:
        return True
    left = found.limit_octets - found.octets_in - found.octets_out
    return not _falls_short(left, user.octets_left, OCTETS_SLACK) and not _exceeds(left, user.octets_left, OCTETS_SLACK)


def _falls_short(left: int, wanted: int, slack: int) -> bool:
    # With nothing left a device cannot log in any more, and what is still its own could never be used.
    return left < wanted - slack or (left <= 0 < wanted)


def _exceeds(left: int, most: int | None, slack: int) -> bool:
    return most is not None and left > most + most // SURPLUS_PART + slack
