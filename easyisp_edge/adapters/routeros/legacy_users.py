"""Users that others made on a router: read as they stand, and handed over to us with their counters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.export_text import parse_export
from easyisp_edge.adapters.routeros.legacy_dates import parse_offset, router_time
from easyisp_edge.adapters.routeros.legacy_rows import LegacyRows, tables_of
from easyisp_edge.domain.routers import USER_MARK
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, tzinfo

    from easyisp_edge.adapters.routeros.link import RouterLink
    from easyisp_edge.domain.imported_users import LegacyScheduler, LegacyTables

_USERS = "/ip/hotspot/user"
_PROFILES = "/ip/hotspot/user/profile"
_ACTIVE = "/ip/hotspot/active"
_SCHEDULERS = "/system/scheduler"
_CLOCK = "/system/clock"

_USER_FIELDS = (
    "name", "password", "server", "profile", "mac-address", "comment", "limit-uptime", "limit-bytes-in",
    "limit-bytes-out", "limit-bytes-total", "uptime", "bytes-in", "bytes-out", "disabled", "default", "dynamic",
)  # fmt: skip
_PROFILE_FIELDS = ("name", "shared-users", "on-login")
_ACTIVE_FIELDS = ("user", "radius", "uptime", "bytes-in", "bytes-out")
# Not what they run: a thousand copies of one script would be too much of an answer.
_SCHEDULER_FIELDS = (".id", "name", "next-run", "start-date", "start-time", "interval", "comment", "disabled")
_GONE = "no such item"


class LegacyUsers:
    """The users of one router that do not carry our mark.

    Args:
        link: The way to the router.
    """

    def __init__(self, link: RouterLink) -> None:
        self._link = link

    async def read(self, zone: tzinfo | None) -> LegacyTables:
        """All users with what was used, profiles, what ends users by itself, and the router's clock.

        Args:
            zone: What its dates are in; None for what the router itself says.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/user, /system/scheduler and /system/clock.
        """
        clock = await self._link.read(_CLOCK, ("date", "time", "gmt-offset"))
        # First the schedulers: one that is made meanwhile is of a user that then shows as used.
        schedulers = await self._link.read(_SCHEDULERS, _SCHEDULER_FIELDS)
        profiles = await self._link.read(_PROFILES, _PROFILE_FIELDS)
        users = await self._link.read(_USERS, _USER_FIELDS)
        active = await self._link.read(_ACTIVE, _ACTIVE_FIELDS)
        try:
            row = clock[0]
            used_zone = parse_offset(row["gmt-offset"]) if zone is None else zone
            shown = router_time(row["date"], row["time"], used_zone)
            # RADIUS must not wait until thousands of users are read.
            rows = LegacyRows(users, profiles, active, schedulers)
            return await asyncio.to_thread(tables_of, rows, used_zone, shown, shown=shown)
        except (InvalidError, KeyError, IndexError) as error:
            raise UnavailableError("router.unreadable", f"The router's answer cannot be read: {error}.") from error

    async def hand_over(self, name: str, comment: str) -> bool:
        """Set the comment of a user that is not ours to our mark; nothing else of it changes. Again is fine.

        Args:
            name: Its name.
            comment: Our mark and what stands behind it.

        Returns:
            False where the router has no such user any more.

        Raises:
            ConflictError: It is ours by another grant, or there are several by that name.
            UnavailableError: No answer in time; it may be handed over.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/user set.
        """
        found = await self._link.read(_USERS, (".id", "comment"), where={"name": name})
        if not found:
            return False
        if len(found) > 1:
            raise ConflictError("import.duplicate", f"The router has {len(found)} users by the name {name!r:.70}.")
        standing = found[0].get("comment", "")
        if standing == comment:
            return True
        if standing.startswith(USER_MARK):
            # The box's own rounds write more behind the mark, of the same grant.
            if standing.split(" ", maxsplit=1)[0] == comment.split(" ", maxsplit=1)[0]:
                return True
            raise ConflictError("import.other_grant", f"The user {name!r:.70} is ours by another grant already.")
        try:
            await self._link.run(f"{_USERS}/set", {".id": found[0][".id"], "comment": comment})
        except RefusedError as error:
            if _GONE not in error.message.lower():
                raise
            return False
        return True

    async def unmarked(self, names: Collection[str]) -> list[str]:
        """Which of those users are there without our mark.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/user.
        """
        found = await self._link.read(_USERS, ("name", "comment"))
        strange = [row.get("name", "") for row in found if not row.get("comment", "").startswith(USER_MARK)]
        return [name for name in strange if name in names]

    async def disable_scheduler(self, scheduler: LegacyScheduler) -> None:
        """Switch a scheduler off; its comment and all else stay. Gone already is fine.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /system/scheduler set.
        """
        try:
            await self._link.run(f"{_SCHEDULERS}/set", {".id": scheduler.item_id, "disabled": "yes"})
        except RefusedError as error:
            if _GONE not in error.message.lower():
                raise


def read_export(text: str, zone: tzinfo, now: datetime) -> LegacyTables:
    """What an export says of users; it never says what was used, nor who is on.

    Args:
        text: The export, of the whole router or of its hotspot users and user profiles.
        zone: What its dates are in.
        now: Box time.

    Raises:
        InvalidError: It is no export, or has no hotspot users in it.
    """
    menus = parse_export(text, (_USERS, _PROFILES, _SCHEDULERS))
    if _USERS not in menus:
        message = "There are no hotspot users in it. On the router: /ip hotspot user export show-sensitive file=users"
        raise InvalidError("import.export_empty", message, field="file")
    rows = LegacyRows(menus[_USERS], menus.get(_PROFILES, []), None, menus.get(_SCHEDULERS, []))
    return tables_of(rows, zone, now)
