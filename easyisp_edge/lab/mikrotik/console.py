"""Carries out a request: does the version have it, may the user, and what does the menu answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import RefusalError
from easyisp_edge.lab.mikrotik.queries import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.lab.mikrotik.command_tree import CommandTree
    from easyisp_edge.lab.mikrotik.wire import Answer, Request

DAEMON_POLICIES = frozenset({"read", "write", "api"})
_READING = frozenset({"print", "get", "monitor"})


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
        sensitive: Whether the user may see passwords.
    """

    arguments: Mapping[str, str]
    queries: tuple[str, ...]
    sensitive: bool

    def numbers(self) -> str | None:
        """What `.id`, `numbers` or `number` named."""
        return self.arguments.get("numbers", self.arguments.get("number"))

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
        if ("read" if verb in _READING else "write") not in user.policies:
            raise RefusalError("not enough permissions (9)")
        call = Call(arguments, request.queries, "sensitive" in user.policies)
        answer = self._menus[menu][verb](call)
        return await answer if inspect.isawaitable(answer) else answer

    def _renamed(self, request: Request) -> dict[str, str]:
        arguments = dict(request.arguments)
        for name in ("numbers", "number"):
            if ".id" in arguments and self._tree.has(request.command, name):
                arguments[name] = arguments.pop(".id")
        return arguments
