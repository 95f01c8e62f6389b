"""The steps that make a router equal to the grants: who may not be on goes, who may is written and let on."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.user_usage import Used
from easyisp_edge.errors import ConflictError, RefusedError
from easyisp_edge.services.routers.wanted_users import stands, under_way, user_profile, wanted_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.routers import HotspotCookie, HotspotHost, RouterState, UserProfile
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.services.ports import HotspotRouter
    from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
    from easyisp_edge.services.routers.memory import RouterMemory
    from easyisp_edge.services.routers.sessions import KnownSession, RouterSessions
    from easyisp_edge.store.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)

# So long after a purchase its buyer is likely to be looking at the page, waiting to be let on.
IMPATIENT_FOR = timedelta(minutes=5)
# So many grants or rows are looked into before others are served.
AT_A_STRETCH = 200


@dataclass(frozen=True, slots=True)
class RouterSteps:
    """Takes steps on one router. A refusal of one is said in the log, and keeps no other from being taken.

    All raise `UnavailableError` where the router is not reached; what was done is kept.

    Args:
        router_id: Which router.
        mode: How users get onto it.
        router: How to speak to it.
        store: The store.
        clock: Box time.
        presence: Who is online.
        usage: Knows of which users the counters are in doubt.
        sessions: Knows whose sessions are.
        memory: What stands on the router.
        started: To be called when a device was let on.
    """

    router_id: str
    mode: RouterMode
    router: HotspotRouter
    store: Store
    clock: Clock
    presence: Presence
    usage: HotspotUsage
    sessions: RouterSessions
    memory: RouterMemory
    started: Callable[[Admission], Awaitable[None]]

    async def put_right(
        self,
        wanted: Mapping[str, Admission],
        state: RouterState,
        *,
        users: set[str],
        concerned: set[str] | None = None,
    ) -> bool:
        """Put right what differs; True where somebody should be on any moment.

        Args:
            wanted: What may let somebody on, by user name.
            state: What was seen.
            users: Whose users are to be held against what is wanted.
            concerned: Whose sessions may be ended, where not everything was looked at.
        """
        standing = self.memory.users or {}
        known = [self.sessions.known(session, standing) async for session in self._unhurried(state.active)]
        if concerned is None:
            self.presence.observed(self.router_id, {each.username for each in known}, _devices_on(known))
            self.presence.saw(self.router_id, state.hosts, self.clock.monotonic())
        ended = [each for each in known if each.ours and not each.stays(wanted)]
        await self._put_off(wanted, state, known, [e for e in ended if concerned is None or e.username in concerned])
        if self.mode is RouterMode.HOTSPOT_USER:
            await self._put_users([each for name, each in wanted.items() if name in users], state)
        others = [each for each in known if concerned is not None and each.username not in concerned]
        staying = [each for each in known if each.stays(wanted)]
        return await self._let_on(wanted, state, staying, {each.session.mac for each in (*staying, *others)})

    async def clear_away(self, wanted: Mapping[str, Admission]) -> None:
        """Forget the logins of ours that would let a device back on that may not be, and bindings of ours.

        No grant is sold as a binding: one with our mark is left from nothing that is wanted.
        """
        async for cookie in self._unhurried(await self.router.cookies()):
            if self._is_over(cookie, wanted):
                await self._try(f"forget {cookie.user}", self.router.remove_cookie(cookie.item_id))
        for item_id in await self.router.our_bindings():
            await self._try(f"remove binding {item_id}", self.router.remove_binding(item_id))

    def _is_over(self, cookie: HotspotCookie, wanted: Mapping[str, Admission]) -> bool:
        admission = wanted.get(cookie.user)
        if admission is not None:
            return not admission.serves(cookie.mac)
        return self.store.read.grants.by_username(cookie.user) is not None

    async def _put_off(
        self,
        wanted: Mapping[str, Admission],
        state: RouterState,
        known: Iterable[KnownSession],
        ended: Sequence[KnownSession],
    ) -> None:
        """Take away users, then what would bring their devices back, then their sessions: none begins in between."""
        gone = set()
        kept = self._kept(wanted, known)
        async for name, found in self._unhurried(state.users.items()):
            if name not in kept and await self._try(f"remove user {name}", self.router.remove_user(found)):
                self.memory.removed(name)
                gone.add(name)
        for each in ended:
            user = each.session.user
            if user not in gone:
                await self._try(f"forget {user}", self.router.forget_device(user, each.session.mac))
            await self._try(f"log out {each.username}", self.router.logout(each.session.item_id))
            self.presence.left(self.router_id, each.username)

    def _kept(self, wanted: Mapping[str, Admission], known: Iterable[KnownSession]) -> Mapping[str, object] | set[str]:
        """The users that are to stand.

        Of a router that came over to RADIUS those somebody is on by: what they use is counted in their rows to the end.
        """
        if self.mode is RouterMode.HOTSPOT_USER:
            return wanted
        return {each.session.user for each in known if not each.session.by_radius and each.stays(wanted)}

    async def _put_users(self, wanted: Iterable[Admission], state: RouterState) -> None:
        now, profiles, on = self.clock.now(), dict(state.profiles), under_way(state.active)
        async for admission in self._unhurried(wanted):
            name, profile = admission.username, user_profile(admission.package)
            if profiles.get(profile.name) != profile:
                await self._put_profile(profile)
                profiles[profile.name] = profile
            found = state.users.get(name)
            user = wanted_user(admission, profile, now, found, on.get(name, Used()))
            if found is None or not stands(user, found, in_doubt=self.usage.in_doubt(name)):
                self.memory.unsure.add(name)
                if not await self._try(f"put user {name}", self.router.put_user(user, found)):
                    self.memory.was_refused(f"put {name}")

    async def _put_profile(self, profile: UserProfile) -> None:
        if await self._try(f"put profile {profile.name}", self.router.put_profile(profile)):
            self.memory.profiles[profile.name] = profile
        else:
            self.memory.was_refused(f"put {profile.name}")

    async def _let_on(
        self,
        wanted: Mapping[str, Admission],
        state: RouterState,
        staying: Iterable[KnownSession],
        macs_on: set[MacAddress | None],
    ) -> bool:
        """Log in every device that may be on and is seen; True when one of them should be on any moment."""
        on = Counter(each.username for each in staying)
        for name in on:
            await self.started(wanted[name])
        first: dict[MacAddress, Admission] = {}
        # A device's grants are used one after the other: what runs first, then by age.
        async for grant in self._unhurried(wanted.values()):
            has_room = on[grant.username] < grant.package.devices_max
            if grant.mac is not None and grant.mac not in macs_on and has_room:
                before = first.get(grant.mac)
                first[grant.mac] = grant if before is None else min(before, grant, key=_turn)
        hosts, missing = {host.mac: host for host in state.hosts if not host.bypassed}, False
        for grant in sorted((grant for mac, grant in first.items() if mac in hosts), key=_turn):
            host = hosts[grant.mac] if grant.mac is not None else None
            if host is not None and not self.sessions.is_elsewhere(host):
                missing |= not await self._login(grant, host)
        return missing or any(self._is_new(grant) for mac, grant in first.items() if mac not in hosts)

    def _is_new(self, grant: Admission) -> bool:
        """Whether its buyer is likely to be looking at the page, waiting to be let on."""
        return self.clock.now() - grant.created_at < IMPATIENT_FOR

    async def _login(self, grant: Admission, host: HotspotHost) -> bool:
        login = self.router.login(username=grant.username, password=grant.password, mac=host.mac, address=host.address)
        try:
            await login
        except ConflictError as error:
            log.info("%s: %s is not let on yet: %s", self.router_id, host.mac, error.message)
            return False
        except RefusedError as error:
            log.warning("%s does not let %s on: %s", self.router_id, host.mac, error.message)
            self.memory.was_refused(grant.username)
            return False
        self.presence.came(self.router_id, grant.username, host.mac)
        await self.started(grant)
        return True

    async def _try(self, what: str, step: Awaitable[None]) -> bool:
        """Take a step; where the router says no, say so and go on with the others."""
        try:
            await step
        except RefusedError as error:
            log.error("%s refuses to %s: %s", self.router_id, what, error.message)  # noqa: TRY400 - no bug of ours
            return False
        return True

    async def _unhurried(self, several: Iterable[T]) -> AsyncIterator[T]:
        """Each of many, with others served in between."""
        for number, each in enumerate(several, 1):
            yield each
            if number % AT_A_STRETCH == 0:
                await self.clock.sleep(0)


def _devices_on(known: Iterable[KnownSession]) -> dict[str, set[MacAddress]]:
    devices: dict[str, set[MacAddress]] = {}
    for each in known:
        if each.session.mac is not None:
            devices.setdefault(each.username, set()).add(each.session.mac)
    return devices


def _turn(admission: Admission) -> tuple[bool, datetime]:
    return admission.state is not GrantState.RUNNING, admission.created_at
