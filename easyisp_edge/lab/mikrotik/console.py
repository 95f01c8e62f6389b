"""Carries out a request: does the version have it, may the user, and what does the menu answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import RefusalError
from easyisp_edge.lab.mikrotik.queries import field_of, matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.lab.mikrotik.command_tree import CommandTree
    from easyisp_edge.lab.mikrotik.wire import Answer, Request

DAEMON_POLICIES = frozenset({"read", "write", "api"})
_READING = frozenset({"print", "get", "monitor", "read"})
_OF_USERS = frozenset({"/user", "/user/group"})


@dataclass(frozen=True, slots=True)
class ApiUser:
    """A user of the router itself.

    Args:
        name: Log-in name.
        password: Its password.
        policies: Of its group.
    """

    name: str
    password: str = field(repr=False)
    policies: frozenset[str] = DAEMON_POLICIES


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let through.

    Args:
        arguments: By the names of the command tree.
        queries: The `?` words.
        user: Who asked.
    """

    arguments: Mapping[str, str]
    queries: tuple[str, ...]
    user: ApiUser

    @property
    def sensitive(self) -> bool:
        """Whether the user may see passwords."""
        return "sensitive" in self.user.policies

    def given(self, unless_said: Mapping[str, str]) -> Call:
        """The same with more arguments, as far as they were not given."""
        return replace(self, arguments={**unless_said, **self.arguments})

    def numbers(self) -> str | None:
        """What `.id`, `numbers` or `number` named."""
        return self.arguments.get("numbers", self.arguments.get("number"))

    def fields_used(self) -> frozenset[str] | None:
        """The fields the answer and its queries can need; None for all."""
        wanted = self.arguments.get(".proplist", self.arguments.get("proplist"))
        if not wanted:
            return None
        names = {"name", *wanted.split(",")}  # rows are also called by name
        return frozenset(names | {field_of(query) for query in self.queries})

    def must_equal(self, name: str) -> str | None:
        """What a row's field must be for any answer; None where the queries leave it open."""
        if any(query.startswith("?#") for query in self.queries):
            return None
        for query in self.queries:
            field, equals, value = query[1:].removeprefix("=").partition("=")
            if equals and field == name:
                return value
        return None

    def chosen(self, rows: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
        """The rows that answer the queries, with the fields the proplist wants."""
        wanted = self.arguments.get(".proplist", self.arguments.get("proplist"))
        found = (row for row in rows if matches(self.queries, row))
        if not wanted:
            return [dict(row) for row in found]
        names = wanted.split(",")
        return [{name: row[name] for name in names if name in row} for row in found]


Handler = Callable[[Call], "Answer | Awaitable[Answer]"]
Menus = Mapping[str, Mapping[str, Handler]]


def _needed(menu: str, verb: str) -> frozenset[str]:
    if verb in _READING:
        return frozenset({"read"})
    return frozenset({"write", "policy"} if menu in _OF_USERS else {"write"})


class Console:
    """The router's commands.

    Args:
        tree: What the version has.
        menus: What each menu does, by verb.
    """

    def __init__(self, tree: CommandTree, menus: Menus) -> None:
        self._tree = tree
        self._menus = menus

    async def run(self, request: Request, user: ApiUser) -> Answer:
        """Carry out a request.

        Raises:
            RefusalError: The version has no such command or argument, a value is wrong, or the user may not.
            TrapError: It was tried and failed.
        """
        arguments = self._renamed(request)
        menu, verb = self._tree.checked(request.command, arguments)
        if not _needed(menu, verb) <= user.policies:
            raise RefusalError("not enough permissions (9)")
        call = Call(arguments, request.queries, user)
        answer = self._menus[menu][verb](call)
        return await answer if inspect.isawaitable(answer) else answer

    def _renamed(self, request: Request) -> dict[str, str]:
        arguments = dict(request.arguments)
        for name in ("numbers", "number"):
            if ".id" in arguments and self._tree.has(request.command, name):
                arguments[name] = arguments.pop(".id")
        return arguments
