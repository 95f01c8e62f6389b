"""Changes a router as planned, so that it ends as it was or as planned, whatever fails on the way.

Before anything is changed the router gets a script that undoes all of it, and two schedulers that run the script: at a
deadline, and at its next boot. Removing the script is what confirms the set-up: one command, done or not done.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.durations import duration_text
from easyisp_edge.adapters.routeros.setup.equality import differing
from easyisp_edge.adapters.routeros.setup.plan import make_plan
from easyisp_edge.adapters.routeros.setup.rows import SETUP_MARK, Place, found
from easyisp_edge.adapters.routeros.setup.tables import observed
from easyisp_edge.adapters.routeros.setup.undo_script import (
    AT_BOOT,
    ON_EVENT,
    POLICY,
    SCRIPT,
    TIMER,
    undo_script,
)
from easyisp_edge.errors import ConflictError, EdgeError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import timedelta

    from easyisp_edge.adapters.routeros.setup.rows import Change, Leftover, SetupPlan, SetupSite
    from easyisp_edge.adapters.routeros.setup.tables import RouterSession
    from easyisp_edge.machine import Clock

# Nothing is confirmed so near the deadline that the router might be undoing it already.
MARGIN_SECONDS = 60.0
_TRIES_AFTER_SECONDS = (0.0, 1.0, 5.0, 15.0, 30.0, 30.0)


class UndoneError(EdgeError):
    """The set-up failed, and the router is as it was before."""


class UndoPendingError(EdgeError):
    """The set-up failed, and the router will undo it by itself at the deadline or its next boot."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The ways to a router.

    Args:
        admin: A session of the user who may change everything. It ends for good when its connection does: a router
            that was away in between may have undone everything meanwhile.
        box: A session of this box's user.
    """

    admin: Callable[[], RouterSession]
    box: Callable[[], RouterSession]

    @contextlib.asynccontextmanager
    async def administering(self) -> AsyncIterator[RouterSession]:
        """A session of the administrator's, closed at the end."""
        async with _closing(self.admin()) as session:
            yield session

    async def password_fits(self) -> bool:
        """Whether this box's user can log in, from here and with the password in the configuration."""
        async with _closing(self.box()) as session:
            try:
                await session.read("/system/identity", ("name",))
            except EdgeError:
                return False
        return True


@dataclass(slots=True)
class SetupJob:
    """Plans and applies the set-up of one router.

    Args:
        site: What everything follows from.
        doors: The ways to the router.
        clock: For the deadline.
        undo_after: After which the router undoes what was not confirmed; some minutes.
        say: Takes a line on what is being done.
        safety: Whether the router is to undo by itself; False only where its device-mode forbids that.
    """

    site: SetupSite
    doors: Doors
    clock: Clock
    undo_after: timedelta
    say: Callable[[str], None]
    safety: bool = True
    _deadline: float = 0.0
    _password_fits: bool = True

    async def plan(self) -> SetupPlan:
        """Read the router and say what would change.

        Raises:
            RefusedError: This user may not read something.
            UnavailableError: The router did not answer.
        """
        self._password_fits = await self.doors.password_fits()
        async with self.doors.administering() as session:
            return await self._plan(session)

    async def finish_undo(self) -> bool:
        """Undo what an earlier set-up that was interrupted left; whether there was any.

        Raises:
            RefusedError: The router could not carry it out.
            UnavailableError: The router did not answer.
        """
        async with self.doors.administering() as session:
            standing = await _has(session, "/system/script", SCRIPT)
            if standing:
                await _run_script(session)
            await _remove_schedulers(session)
            return standing

    async def apply(self, plan: SetupPlan) -> None:
        """Make the changes of a plan that was just made, and see that they hold.

        Raises:
            ConflictError: Nothing was changed: a trap has to be dealt with first, another set-up is under way, or the
                router is no longer what the plan was made for.
            UnavailableError: All is confirmed; what it replaced is still there.
            UndoneError: It failed, and the router is as it was.
            UndoPendingError: It failed, and the router is out of reach or could not undo all; it will by itself.
        """
        if plan.stopped or (self.safety and any(trap.code == "device_mode_scheduler" for trap in plan.traps)):
            raise ConflictError("router_setup.trap", "Something has to be dealt with first; nothing was changed.")
        if plan.changes:
            try:
                async with self.doors.administering() as session:
                    await self._change(session, plan)
            except ConflictError:
                raise
            except EdgeError as error:
                await self._after_failure(plan, error)
        try:
            await self._clear_up(plan)
        except EdgeError as error:
            words = f"The set-up stands. Not all that it replaced is gone; apply again for that: {error.message}"
            raise UnavailableError("router_setup.left_over", words) from error

    async def _change(self, session: RouterSession, plan: SetupPlan) -> None:
        if (await self._plan(session)).changes != plan.changes:  # what its undo writes back would be of yesterday
            raise ConflictError("router_setup.changed", "The router was changed since the plan was made; plan anew.")
        self._deadline = self.clock.monotonic() + self.undo_after.total_seconds()
        await self._arm(session, plan)
        for change in plan.changes:
            await self._watch_undo(session)
            self.say(f"{change.verb} {change.row.menu} {' '.join(change.row.key.values())}".rstrip())
            await _make(session, change)
        await self._check(session)
        await self._confirm(session)

    async def _arm(self, session: RouterSession, plan: SetupPlan) -> None:
        """The schedulers first: without the script they take themselves away, and it would stay for ever."""
        if await _has(session, "/system/script", SCRIPT):
            raise ConflictError("router_setup.busy", "Another set-up of this router is under way, or was interrupted.")
        if self.safety:
            await self._schedule(session)
        lines = [line for change in reversed(plan.changes) for line in change.undo]
        source = undo_script(lines)
        await session.run("/system/script/add", {"name": SCRIPT, "source": source, "policy": POLICY})
        rows = await session.read("/system/script", ("name", "source"), {"name": SCRIPT})
        if [row.get("source") for row in rows] != [source]:
            raise RefusedError("router_setup.script", f"The router did not keep the script {SCRIPT} as it was written.")
        self.say(f"the router undoes all of this by itself within {duration_text(self.undo_after)}, unless confirmed")

    async def _schedule(self, session: RouterSession) -> None:
        event = {"on-event": ON_EVENT, "policy": POLICY}
        timer = {"name": TIMER, "interval": duration_text(self.undo_after), **event}
        await session.run("/system/scheduler/add", timer)
        await session.run("/system/scheduler/add", {"name": AT_BOOT, "start-time": "startup", **event})
        for name in (TIMER, AT_BOOT):
            if not await _has(session, "/system/scheduler", name):
                raise RefusedError("router_setup.scheduler", f"The router did not keep the scheduler {name}.")

    async def _watch_undo(self, session: RouterSession) -> None:
        if self.clock.monotonic() > self._deadline - MARGIN_SECONDS:
            raise UnavailableError("router_setup.late", "It took too long; the router is about to undo it.")
        if not await _has(session, "/system/script", SCRIPT):
            raise UnavailableError("router_setup.undone", "The router has begun to undo it: it was rebooted.")

    async def _check(self, session: RouterSession) -> None:
        """Everything once more, and that this box gets in by itself."""
        self._password_fits = await self.doors.password_fits()
        if not self._password_fits:
            user = self.site.api.username
            raise RefusedError(
                "router_setup.login", f"The router does not let {user} in from this box as it is set up."
            )
        again = await self._plan(session)
        if again.changes:
            rows = ", ".join(change.row.menu for change in again.changes)
            raise RefusedError("router_setup.differs", f"The router did not keep what was written: {rows}.")

    async def _confirm(self, session: RouterSession) -> None:
        await self._watch_undo(session)
        await session.run("/system/script/remove", {"numbers": SCRIPT})
        self.say("confirmed")

    async def _after_failure(self, plan: SetupPlan, error: EdgeError) -> None:
        """Find out how the router is, and have it undo what stands.

        Returns only where everything had been confirmed and nothing but the answer was lost.
        """
        self.say(f"failed: {error.message}")
        for seconds in _TRIES_AFTER_SECONDS:
            await self.clock.sleep(seconds)
            try:
                if await self._settled(plan):
                    return
            except UnavailableError as away:
                self.say(f"the router does not answer yet: {away.message}")
            except RefusedError as refused:
                raise UndoPendingError("router_setup.undo_refused", self._pending(refused)) from error
            else:
                raise UndoneError("router_setup.undone", f"{error.message} The router is as it was before.") from error
        raise UndoPendingError("router_setup.undo_pending", self._pending(error)) from error

    async def _settled(self, plan: SetupPlan) -> bool:
        """Undo whatever of the plan stands; True where all of it does and was confirmed."""
        async with self.doors.administering() as session:
            if await _has(session, "/system/script", SCRIPT):
                await _run_script(session)
            elif not (await self._plan(session)).changes:
                return True
        async with self.doors.administering() as session:
            self._password_fits = await self.doors.password_fits()
            left = await self._plan(session)
            if left.changes != plan.changes:
                await self._undo_again(session, plan)
            await _remove_schedulers(session)
        return False

    async def _undo_again(self, session: RouterSession, plan: SetupPlan) -> None:
        """A change that came through just after the router had undone the others."""
        lines = [line for change in reversed(plan.changes) for line in change.undo]
        await session.run("/system/script/add", {"name": SCRIPT, "source": undo_script(lines), "policy": POLICY})
        await _run_script(session)
        self._password_fits = await self.doors.password_fits()
        if (await self._plan(session)).changes != plan.changes:
            raise RefusedError(
                "router_setup.undo_incomplete", "Not all of it could be undone; look at the router's log."
            )

    def _pending(self, error: EdgeError) -> str:
        if not self.safety:
            return f"{error.message} Run it on the router when it is back: /system/script/run {SCRIPT}"
        left = max(0.0, self._deadline - self.clock.monotonic())
        by = f"{-(-left // 60):.0f} minutes"
        return f"{error.message} The router undoes it by itself within {by}, or at its next boot."

    async def _clear_up(self, plan: SetupPlan) -> None:
        """What is left over once all is confirmed; where this is interrupted, the next plan shows it."""
        async with self.doors.administering() as session:
            await _remove_schedulers(session)
            for leftover in plan.leftovers:
                await _remove(session, leftover.menu, leftover.key)
            for leftover in plan.leftovers:
                await _see_gone(session, leftover)

    async def _plan(self, session: RouterSession) -> SetupPlan:
        tables = await observed(session, self.site)
        return make_plan(self.site, tables, password_fits=self._password_fits, now=self.clock.now())


@contextlib.asynccontextmanager
async def _closing(session: RouterSession) -> AsyncIterator[RouterSession]:
    try:
        yield session
    finally:
        await session.close()


async def _make(session: RouterSession, change: Change) -> None:
    """Make one change and read it back.

    Raises:
        RefusedError: The router said no, or says something else now than was written.
        UnavailableError: No whole answer; it may have been made.
    """
    row = change.row
    if change.verb == "add":
        place = await _place(session, change)
        await session.run(f"{row.menu}/add", {**row.key, **row.when_new, **row.values, **row.secrets, **place})
    else:
        which = {".id": await _id_of(session, change)} if row.key else {}
        await session.run(f"{row.menu}/set", {**which, **row.values})
    key = {name: row.values.get(name, value) for name, value in row.key.items()}
    now = found(await session.read(row.menu, ("dynamic", *key, *row.values), key), {}) or {}
    if not now or differing(now, row.values):
        wrong = ", ".join(differing(now, row.values)) or "the row"
        raise RefusedError("router_setup.not_kept", f"The router did not keep {wrong} in {row.menu}.")


async def _id_of(session: RouterSession, change: Change) -> str:
    row = found(await session.read(change.row.menu, (".id", "dynamic"), change.row.key), {})
    if row is None:
        raise RefusedError("router_setup.gone", f"What was to be changed in {change.row.menu} is gone.")
    return row[".id"]


async def _place(session: RouterSession, change: Change) -> dict[str, str]:
    if change.row.place is Place.END:
        return {}
    rows = await session.read(change.row.menu, (".id", "dynamic", "comment"))
    for row in rows:
        behind = change.row.place is Place.BEHIND_OURS and row.get("comment", "").startswith(SETUP_MARK)
        if row.get("dynamic") != "true" and not behind:
            return {"place-before": row[".id"]}
    return {}


async def _has(session: RouterSession, menu: str, name: str) -> bool:
    return bool(await session.read(menu, ("name",), {"name": name}))


async def _run_script(session: RouterSession) -> None:
    """Have the router undo; the script removes itself at its end.

    Raises:
        RefusedError: It broke off.
        UnavailableError: No whole answer.
    """
    await session.run("/system/script/run", {"number": SCRIPT})
    if await _has(session, "/system/script", SCRIPT):
        raise RefusedError("router_setup.undo_stuck", f"The script {SCRIPT} ran and is still there.")


async def _remove_schedulers(session: RouterSession) -> None:
    for name in (AT_BOOT, TIMER):  # what remains of the two, the timer takes away
        await _remove(session, "/system/scheduler", {"name": name})


async def _remove(session: RouterSession, menu: str, key: Mapping[str, str]) -> None:
    for row in await session.read(menu, (".id", "dynamic"), key):
        if row.get("dynamic") != "true":
            with contextlib.suppress(RefusedError):  # gone meanwhile, as files of a folder are with it
                await session.run(f"{menu}/remove", {".id": row[".id"]})


async def _see_gone(session: RouterSession, leftover: Leftover) -> None:
    if await session.read(leftover.menu, (".id",), leftover.key):
        raise RefusedError("router_setup.left_over", f"An old row of ours in {leftover.menu} could not be removed.")
