"""What should be on a router against what is there: the difference is worked off, round by round.

This is the only way anything gets onto a router. A new grant, an expiry, a rebooted, wiped or unreachable
router and a killed daemon are all the same to it: something differs.

All of a router is looked at in each round where that is quick. Where there are thousands of users it is looked at every
few minutes, and in between at who is on and in sight, and at the users to whom something happened. What happened to
grants is put right first, before anything is looked at as a whole: somebody may be waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.config import RouterMode
from easyisp_edge.domain.grants import letting_on
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.routers import RouterState
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.services.access.followed_grants import Changes, FollowedGrants
from easyisp_edge.services.routers.memory import RouterMemory
from easyisp_edge.services.routers.sessions import RouterSessions
from easyisp_edge.services.routers.steps import AT_A_STRETCH, RouterSteps
from easyisp_edge.services.routers.wanted_users import limits_use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.services.ports import HotspotRouter
    from easyisp_edge.services.routers.hotspot_usage import HotspotUsage
    from easyisp_edge.store.store import Store

# While somebody who has just paid is not on, the router is looked at more often than in its usual round.
IMPATIENT_SECONDS = 5.0
# Where more users changed than these, it is quicker to look at all of it than to ask for each.
ASKED_FOR_MAX = 30


@dataclass(slots=True)
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
    _grants: FollowedGrants = field(init=False)
    _steps: RouterSteps = field(init=False)
    _memory: RouterMemory = field(default_factory=RouterMemory)
    _changes: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        self._grants = FollowedGrants(self.store, (self.tenant_id,))
        self._steps = RouterSteps(
            router_id=self.router_id,
            mode=self.mode,
            router=self.router,
            store=self.store,
            clock=self.clock,
            presence=self.presence,
            usage=self.usage,
            sessions=RouterSessions(self.router_id, self.tenant_id, self.mode, self.store, self.clock),
            memory=self._memory,
            started=self.started,
        )

    async def round(self) -> float | None:
        """Look, and put right what differs; gives a shorter wait until the next round where one is due.

        Raises:
            UnavailableError: The router was not reached, or what it counted could not be noted; what was done is kept,
                the rest is for the next round.
        """
        try:
            return await self._round()
        except UnavailableError:
            self._memory.forget()
            raise
        except RefusedError as error:
            self._memory.forget()
            raise UnavailableError(
                "router.unreadable", f"{self.router_id} lets us not read: {error.message}"
            ) from error

    async def _round(self) -> float | None:
        memory, missing = self._memory, False
        if memory.users is None:
            return await self._look_at_all()
        await self._follow()
        if self._changes:
            missing = await self._hurry()
        now = self.clock.monotonic()
        if memory.all_due(now):
            return await self._look_at_all()
        wait = memory.devices_due_in(now)
        if not wait:
            return await self._look_at_devices()
        return min(wait, IMPATIENT_SECONDS) if missing else wait

    async def _follow(self) -> None:
        self._changes.add(await self._grants.follow())

    async def _look_at_all(self) -> float | None:
        memory, began = self._memory, self.clock.monotonic()
        state = await self.router.observe()
        # First what was used: a grant of which nothing is left by now is not wanted any more.
        await self.usage.note(state)
        await self._note_outlived(state)
        # Read after the look: the session of a grant made meanwhile must not be taken for nobody's.
        await self._follow_all()
        memory.looked(state, began)
        wanted = await self._all_wanted()
        missing = await self._steps.put_right(wanted, state, users=set(wanted))
        await self._steps.clear_away(wanted)
        memory.all_done(began, self.clock.monotonic())
        return IMPATIENT_SECONDS if missing else None

    async def _look_at_devices(self) -> float | None:
        """Look at who is on and in sight, and at the users to whom something happened; the others are remembered."""
        memory, began = self._memory, self.clock.monotonic()
        changes, self._changes = self._changes, Changes()
        seen = await self.router.observe_devices()
        asked = memory.unsure | memory.changed(seen.active, began) | (changes.usernames & (memory.users or {}).keys())
        if len(asked) > ASKED_FOR_MAX:
            return await self._look_at_all()
        memory.looked_again(await self.router.users_named(asked), asked)
        # After their rows: who went in between must not be on by one and counted in the other.
        others = (session for session in seen.active if session.user not in asked)
        active = (*others, *await self.router.sessions_by(users=asked))
        state = RouterState(memory.profiles, dict(memory.users or {}), active, seen.hosts)
        on = {session.user for session in active if not session.by_radius}
        await self.usage.note(state, only=asked | on)
        await self._note_outlived(state)
        await self._follow()
        memory.looked_at_devices(active, began)
        wanted = await self._all_wanted()
        users = asked | self._reread_limited(wanted, on) | (wanted.keys() - state.users.keys())
        missing = await self._steps.put_right(wanted, state, users=users)
        memory.devices_done(began, self.clock.monotonic())
        if memory.surprised or self._changes:
            return 0.0
        return IMPATIENT_SECONDS if missing else None

    async def _hurry(self) -> bool:
        """Put right what changed, whatever else there is; True where somebody should be on any moment."""
        changes, self._changes = self._changes, Changes()
        concerned = changes.usernames | {admission.username for admission in self._concerned(changes)}
        if changes.whole or len(concerned) > ASKED_FOR_MAX:
            self._memory.surprised = True
            return False
        state, asked = await self._look_for(changes, concerned)
        await self.usage.note(state, only=asked)
        await self._follow()
        wanted = self._letting_on(self._concerned(changes))
        return await self._steps.put_right(wanted, state, users=set(wanted), concerned=concerned)

    async def _look_for(self, changes: Changes, names: set[str]) -> tuple[RouterState, set[str]]:
        """Look at some users and devices; gives who was asked for, too. Who is new is not asked for: it takes time."""
        memory = self._memory
        hosts = await self.router.hosts_of(changes.macs)
        standing = names & ((memory.users or {}).keys() | memory.unsure)
        memory.looked_again(await self.router.users_named(standing), standing)
        open_ones = (
            session for grant_id in changes.grant_ids for session in self.store.read.sessions.open_of_grant(grant_id)
        )
        asked = standing | {session.username for session in open_ones if session.router_id == self.router_id}
        macs = {host.mac for host in hosts if host.authorized}
        active = await self.router.sessions_by(users=asked, macs=macs)
        known = memory.users or {}
        users = {name: known[name] for name in known.keys() & asked}
        return RouterState(memory.profiles, users, active, hosts), asked

    async def _note_outlived(self, state: RouterState) -> None:
        if self.mode is RouterMode.HOTSPOT_USER:
            await self.usage.note_outlived(state.active)

    async def _follow_all(self) -> None:
        # What is used on other routers is no event: where that limits a grant, all are read.
        limited = any(limits_use(admission.package) for admission in self._grants.usable.values())
        await self._grants.follow(anew=limited)
        self._changes = Changes()

    def _reread_limited(self, wanted: dict[str, Admission], on: set[str]) -> set[str]:
        """Read anew what is wanted of those who are on and whose use is limited; gives their names."""
        limited = {name for name in on if name in wanted and limits_use(wanted[name].package)}
        for name in limited:
            admission = self._grants.reread(wanted[name].grant_id)
            if admission is not None:
                wanted[name] = admission
        return limited

    def _concerned(self, changes: Changes) -> list[Admission]:
        """What changed and is not over, with what else its devices have."""
        usable = self._grants.usable
        changed = {grant_id: usable[grant_id] for grant_id in changes.grant_ids if grant_id in usable}
        beside = {admission.grant_id: admission for admission in self._grants.of_devices(changes.macs)}
        return list((changed | beside).values())

    async def _all_wanted(self) -> dict[str, Admission]:
        """What may let somebody on at this router now, by user name."""
        wanted: dict[str, Admission] = {}
        stretch: list[Admission] = []
        for held in list(self._grants.device_by_device()):
            stretch += held
            if len(stretch) >= AT_A_STRETCH:
                wanted |= self._letting_on(stretch)
                stretch = []
                await self.clock.sleep(0)
        return wanted | self._letting_on(stretch)

    def _letting_on(self, admissions: Iterable[Admission]) -> dict[str, Admission]:
        here = (
            admission
            for admission in admissions
            if admission.package.service is Service.HOTSPOT and admission.package.valid_on(self.router_id)
        )
        return {admission.username: admission for admission in letting_on(here, self.clock.now())}
