"""FreeRADIUS's users kept equal to the grants: what differs is written, and nothing else is touched."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.freeradius.rows import GROUP_MARK, GroupRows, Row, UserRows, group_rows, user_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from easyisp_edge.domain.login_database import NotedSession, SessionsCursor, WantedLogin

log = logging.getLogger(__name__)

# Conditions and queries that every SQL we know understands.
MARKED = f"substr(groupname, 1, {len(GROUP_MARK)}) = '{GROUP_MARK}'"
OURS = f"(SELECT username FROM radusergroup WHERE {MARKED})"  # noqa: S608 - constants
# For `Observed.from_rows`.
OBSERVING = (
    f"SELECT username, groupname FROM radusergroup WHERE {MARKED} ORDER BY id",  # noqa: S608 - constants
    f"SELECT username, attribute, op, value FROM radcheck WHERE username IN {OURS} ORDER BY id",  # noqa: S608
    f"SELECT username, attribute, op, value FROM radreply WHERE username IN {OURS} ORDER BY id",  # noqa: S608
    f"SELECT groupname, attribute, op, value FROM radgroupreply WHERE {MARKED} ORDER BY id",  # noqa: S608
)


class Observed(NamedTuple):
    """What stands in the tables that bears our mark, by name."""

    users: dict[str, UserRows]
    groups: dict[str, GroupRows]

    @classmethod
    def from_rows(
        cls,
        groups_of: Iterable[Sequence[str]],
        check: Iterable[Sequence[str]],
        reply: Iterable[Sequence[str]],
        told: Iterable[Sequence[str]],
    ) -> Observed:
        """Put together what was read, each in the order of the rows' numbers.

        Args:
            groups_of: User name and group, of radusergroup.
            check: User name, attribute, operator and value, of radcheck.
            reply: The same of radreply.
            told: The same of radgroupreply, with the group's name.
        """
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for username, group in groups_of:
            groups[username].append(group)
        checks, replies = _by_name(check), _by_name(reply)
        return cls(
            {name: UserRows(checks.get(name, ()), replies.get(name, ()), tuple(of)) for name, of in groups.items()},
            {name: GroupRows(name, rows) for name, rows in _by_name(told).items()},
        )


def _by_name(rows: Iterable[Sequence[str]]) -> dict[str, tuple[Row, ...]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for name, *row in rows:
        found[name].append(Row(*row))
    return {name: tuple(of) for name, of in found.items()}


class Change(NamedTuple):
    """A user to be written anew, or taken away where `rows` is None."""

    username: str
    rows: UserRows | None


class SqlTables(Protocol):
    """FreeRADIUS's tables in one kind of database. Every call raises `UnavailableError` when it cannot be used."""

    async def observe(self) -> Observed:
        """Read each table once, and of it what bears our mark."""

    async def put_groups(self, groups: Sequence[GroupRows]) -> None:
        """Write groups anew."""

    async def remove_groups(self, names: Sequence[str]) -> None:
        """Take groups of ours away."""

    async def change_users(self, changes: Sequence[Change]) -> list[str]:
        """Write users, each wholly or not at all; gives those whose name is somebody else's, left as they are."""

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        """Sessions that changed after the cursor, in its order."""

    async def close(self) -> None:
        """Close the database."""


class _Plan(NamedTuple):
    """What is to be written.

    Args:
        changes: Users.
        groups: Groups that are missing or differ; before the users in them.
        unused: Groups nobody is in any more; after.
        refused: User names FreeRADIUS cannot be told of, and why.
    """

    changes: list[Change]
    groups: list[GroupRows]
    unused: list[str]
    refused: dict[str, str]


class FreeradiusDatabase:
    """A database that FreeRADIUS answers from.

    Args:
        tables: Its tables.
    """

    def __init__(self, tables: SqlTables) -> None:
        self._tables = tables
        self._standing: dict[str, WantedLogin] | None = None
        self._told: dict[str, str] = {}

    async def keep(self, wanted: Mapping[str, WantedLogin], *, whole: bool) -> int:
        """Make our users exactly these; gives how many were written or taken away.

        Args:
            wanted: By user name.
            whole: Whether to look at all that stands; else what was written last is taken to stand.

        Raises:
            UnavailableError: The database cannot be used; what was done is kept, the next call does the rest.
        """
        before, self._standing = self._standing, None
        if whole or before is None:
            observed = await self._tables.observe()
            # Many rows are compared: off the loop.
            plan = await asyncio.to_thread(_plan_from_look, wanted, observed)
        else:
            plan = _plan_from_memory(wanted, before)
        await self._tables.put_groups(plan.groups)
        taken = await self._tables.change_users(plan.changes)
        await self._tables.remove_groups(plan.unused)
        self._tell(plan.refused | dict.fromkeys(taken, "FreeRADIUS has another user of that name"), wanted)
        self._standing = {name: login for name, login in wanted.items() if name not in taken}
        return len(plan.changes) - len(taken)

    async def sessions_after(self, cursor: SessionsCursor, limit: int) -> list[NotedSession]:
        """Sessions that changed after the cursor, in its order; at most `limit`.

        Raises:
            UnavailableError: The database cannot be used.
        """
        return await self._tables.sessions_after(cursor, limit)

    async def close(self) -> None:
        """Close the database."""
        await self._tables.close()

    def _tell(self, refused: dict[str, str], wanted: Mapping[str, WantedLogin]) -> None:
        """Say once of each why it is not let on this way."""
        for name, why in refused.items():
            if self._told.get(name) != why:
                log.error("%s is not written for FreeRADIUS: %s", name, why)
        self._told = {name: why for name, why in (self._told | refused).items() if name in wanted}


def _plan_from_look(wanted: Mapping[str, WantedLogin], observed: Observed) -> _Plan:
    rows, groups, refused = _rows(wanted.values())
    changes = [Change(name, user) for name, user in rows.items() if observed.users.get(name) != user]
    changes += [
        Change(name, None)
        for name, user in observed.users.items()
        # Somebody may have put a user of their own into a group of ours: that is no grant's.
        if name not in rows and (user.bears_our_mark or name in wanted)
    ]
    return _Plan(
        changes,
        [group for name, group in groups.items() if observed.groups.get(name) != group],
        [name for name in observed.groups if name not in groups],
        refused,
    )


def _plan_from_memory(wanted: Mapping[str, WantedLogin], standing: Mapping[str, WantedLogin]) -> _Plan:
    """The same, where what was wanted last stands. Groups nobody is in are left for the next look."""
    changed = [login for name, login in wanted.items() if standing.get(name) != login]
    rows, groups, refused = _rows(changed)
    gone = [name for name in standing if name not in wanted or name in refused]
    changes = [Change(name, user) for name, user in rows.items()] + [Change(name, None) for name in gone]
    return _Plan(changes, list(groups.values()), [], refused)


def _rows(wanted: Iterable[WantedLogin]) -> tuple[dict[str, UserRows], dict[str, GroupRows], dict[str, str]]:
    """What is to stand: users, their groups, and who cannot be written with the reason."""
    users: dict[str, UserRows] = {}
    groups: dict[str, GroupRows] = {}
    refused: dict[str, str] = {}
    for login in wanted:
        try:
            users[login.username], group = user_rows(login), group_rows(login)
        except UnwritableError as error:
            users.pop(login.username, None)
            refused[login.username] = error.message
        else:
            groups[group.name] = group
    return users, groups, refused
