"""Hotspot users that somebody else sold are taken over: their passwords, and exactly the time and data they have left.

What a user has left is worked out, shown and, on demand, becomes a grant with its user name and password. The user
itself stays on the router, its counters and its session with it; only our mark is put on it, after which the rounds
keep it. A second run finds the mark, or the grant, and does nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.imported_users import ExpiryMode, LegacyTables, Outcome
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import NotFoundError, RefusedError
from easyisp_edge.services.importing.booking import Taking, mark_of
from easyisp_edge.services.importing.judge import ImportLine, ImportOrder, Judge
from easyisp_edge.services.importing.packages import PackageMap
from easyisp_edge.services.importing.turns import RouterTurns

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.imported_users import LegacyScheduler, LegacyUser
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.importing.turns import LegacyRouter
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

# How far a router's clock may be off: the ends in its comments are by that clock.
CLOCK_OFF_MOST = timedelta(minutes=5)
# How many are taken over per request, so that whoever asks sees it going on.
TAKEN_AT_ONCE = 100
# After a start the marks on users taken over within this time are looked after.
_MARKS_MAY_BE_MISSING = timedelta(days=1)


class ImportPlan(NamedTuple):
    """What would be done.

    Args:
        at: The instant it is true of.
        lines: One a user.
        schedulers: What ends users by itself, with how many users it is for that are not taken over.
    """

    at: datetime
    lines: list[ImportLine]
    schedulers: list[tuple[LegacyScheduler, int]]


class ImportDone(NamedTuple):
    """What was done.

    Args:
        taken: Names of the users taken over.
        remaining: How many are yet to be.
        disabled: Names of the schedulers switched off.
    """

    taken: list[str]
    remaining: int
    disabled: list[str]


@dataclass(frozen=True, slots=True)
class ImportService:
    """Takes over users that others sold.

    Args:
        access: Tells routers; its store and clock are used.
        site: Who sells what, by which routers.
        identifiers: New ids.
        read_export: Reads an export with its dates in a zone, at that instant.
        turns: The routers that are reached by their API.
    """

    access: AccessService
    site: Site
    identifiers: Identifiers
    read_export: Callable[[str, tzinfo, datetime], LegacyTables]
    turns: dict[str, RouterTurns] = field(default_factory=dict)

    def open(self, router_id: str, router: LegacyRouter) -> RouterTurns:
        """Have a router's users within reach."""
        turns = self.turns[router_id] = RouterTurns(router, self.access.clock)
        read, since = self.access.store.read, self.access.clock.now() - _MARKS_MAY_BE_MISSING
        turns.look_after(
            {
                grant.username: mark_of(grant)
                for grant in read.grants.imported_since(since)
                if _is_of(grant, router_id, read)
            }
        )
        return turns

    async def plan(self, order: ImportOrder) -> ImportPlan:
        """What would be done about each user; nothing is changed.

        Raises:
            NotFoundError: No such router, or none that is reached by its API.
            InvalidError: The export or the packages named cannot be used.
            RefusedError: The router does not let us read, hides passwords, or its clock is wrong.
            UnavailableError: The router did not answer.
        """
        tenant_id = self.site.config.router(order.router_id).tenant
        tables, now = await self._read(order), self.access.clock.now()
        packages = tuple(each for each in self.site.config.packages if _valid(each, tenant_id, order.router_id))
        mapped = PackageMap.of(packages, order.packages, _profiles(tables))
        names = Counter(user.name for user in tables.users)
        judge = Judge(order, tables, mapped, names, now, tenant_id)
        lines = await self.access.store.survey(lambda read: [judge.line(read, user) for user in tables.users])
        return ImportPlan(now, lines, _schedulers(tables, lines) if order.mikhmon else [])

    async def take_over(self, order: ImportOrder, by: str, *, disable_schedulers: bool) -> ImportDone:
        """Take over some of the users that may be, each in a transaction of its own.

        Call it until nothing remains; once nothing does, schedulers are switched off where that is asked for, and
        where nobody's end depends on them any more.

        Raises:
            NotFoundError: As for `plan`; so for the others.
            UnavailableError: The router went away; what was done stands.
        """
        plan = await self.plan(order)
        due = [line for line in plan.lines if line.is_due]
        taken = []
        for line in due[:TAKEN_AT_ONCE]:
            await self._take(order, line, by)
            taken.append(line.user.name)
        if taken:
            self._tell(self.site.config.router(order.router_id).tenant)
            log.info("%d users of %s taken over by %s", len(taken), order.router_id, by)
        remaining, disabled = len(due) - len(taken), []
        if disable_schedulers and not remaining:
            disabled = await self._disable(order, plan.schedulers)
        return ImportDone(taken, remaining, disabled)

    # --- reading

    async def _read(self, order: ImportOrder) -> LegacyTables:
        now = self.access.clock.now()
        export = None
        if order.export is not None:  # off the event loop: it may be long
            export = await asyncio.to_thread(self.read_export, order.export, order.zone or NAIROBI, now)
        tables = export if export is not None and order.offline else await self._read_router(order)
        if export is not None and not order.offline:
            tables = _with_passwords(tables, export)
        if not (order.empty_passwords or tables.shows_passwords or not tables.users):
            raise RefusedError("import.passwords_hidden", _HIDDEN)
        return tables

    async def _read_router(self, order: ImportOrder) -> LegacyTables:
        turns = self.turns.get(order.router_id)
        if turns is None:
            message = f"{order.router_id} is not reached by the RouterOS API: give it an [router.api] in routers.toml."
            raise NotFoundError("import.no_api", message)
        tables = await turns.router.read(order.zone)
        if tables.router_time is not None and not order.ignore_clock:
            _refuse_wrong_clock(tables.router_time, self.access.clock.now())
        return tables

    # --- taking over

    async def _take(self, order: ImportOrder, line: ImportLine, by: str) -> None:
        store, now = self.access.store, self.access.clock.now()

        async def commit() -> str:
            def work(tx: Tables) -> Grant:
                if line.grant_id is not None:
                    return _standing(tx, line.grant_id)
                return Taking(tx, order, line, by, now, self._tenant(order)).grant(self.identifiers)

            grant = await store.write(work)
            return mark_of(grant)

        turns = self.turns.get(order.router_id)
        if turns is None or order.offline:
            await commit()
        else:
            await turns.take(line.user.name, commit)

    def _tenant(self, order: ImportOrder) -> str:
        return self.site.config.router(order.router_id).tenant

    def _tell(self, tenant_id: str) -> None:
        self.access.ended.ring()
        self.access.begun.ring()
        self.access.tell_routers(tenant_id)

    async def _disable(self, order: ImportOrder, schedulers: list[tuple[LegacyScheduler, int]]) -> list[str]:
        turns = self.turns.get(order.router_id)
        if turns is None:
            return []
        due = [each for each, needed in schedulers if not each.disabled and not needed and each.item_id]
        for scheduler in due:
            await turns.router.disable_scheduler(scheduler)
        return [scheduler.name for scheduler in due]


_HIDDEN = (
    "The router hides the users' passwords, so vouchers that are printed could not go on working. Either let the box's"
    " API user see them this once (/user group set [find name=GROUP] policy=read,write,api,sensitive, and take"
    " sensitive away again afterwards), or give the export with them: /ip hotspot user export show-sensitive"
    " file=users on the router, then --file users.rsc. Where users really have no passwords: --no-passwords."
)


def _is_of(grant: Grant, router_id: str, tables: Tables) -> bool:
    told = tables.events.told(grant.grant_id, "grant.made")
    return told is not None and told["takenOver"]["router"] == router_id


def _standing(tx: Tables, grant_id: str) -> Grant:
    grant = tx.grants.by_id(grant_id)
    if grant is None:  # grants are kept
        raise LookupError(grant_id)
    return grant


def _valid(package: Package, tenant_id: str, router_id: str) -> bool:
    return package.tenant_id == tenant_id and package.valid_on(router_id)


def _profiles(tables: LegacyTables) -> dict[str, object]:
    """All profiles that users have, also those the source says nothing of."""
    return {user.profile: None for user in tables.users} | dict(tables.profiles)


def _with_passwords(tables: LegacyTables, export: LegacyTables) -> LegacyTables:
    """What the router says, with the passwords of its export."""
    known = {(user.server, user.name): user.password for user in export.users}
    users = (replace(user, password=user.password or known.get((user.server, user.name))) for user in tables.users)
    return replace(tables, users=tuple(users))


def _refuse_wrong_clock(router_time: datetime, now: datetime) -> None:
    off = abs(router_time - now)
    if off > CLOCK_OFF_MOST:
        minutes = round(off.total_seconds() / 60)
        raise RefusedError(
            "import.clock",
            f"The router takes it to be {router_time.astimezone(UTC):%Y-%m-%d %H:%M} UTC, the box"
            f" {now.astimezone(UTC):%Y-%m-%d %H:%M}: {minutes} minutes apart, so the ends in its comments would be"
            " wrong. Set its clock and time zone, say --zone (such as +03:00) where its clock shows the time of another"
            " zone, or --ignore-clock where the ends are right all the same.",
        )


def _schedulers(tables: LegacyTables, lines: list[ImportLine]) -> list[tuple[LegacyScheduler, int]]:
    """What ends users by itself, with how many that are not ours then still need it."""
    staying = [line.user for line in lines if line.outcome not in {Outcome.TAKEN, Outcome.OURS}]
    ending = [user for user in staying if _is_ended_by_others(tables, user)]
    return [(each, sum(_governs(each, user) for user in ending)) for each in tables.schedulers]


def _is_ended_by_others(tables: LegacyTables, user: LegacyUser) -> bool:
    """Whether somebody may be on by it whom a scheduler is to put off, now or once it has an end."""
    profile = tables.profiles.get(user.profile)
    terms = None if profile is None else profile.terms
    may_get_end = terms is not None and terms.mode is not ExpiryMode.NEVER and user.unstamped
    return not (user.disabled or user.cut_off) and (user.ends_at is not None or may_get_end)


def _governs(scheduler: LegacyScheduler, user: LegacyUser) -> bool:
    if scheduler.user is not None:
        return scheduler.user == user.name
    return scheduler.profile is None or scheduler.profile == user.profile
