"""Which commands and arguments the version played has."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Version = tuple[int, ...]
V7 = (7,)
_OLDEST_V6 = (6, 43)
_BOUNDED = re.compile(r"([a-z0-9/-]+)(?:>=([\d.]+))?(?:<=([\d.]+))?")
# Words of the API itself, which the console's own tree does not list.
_OF_PRINT = frozenset({".proplist", "proplist"})


def parse_version(text: str) -> Version:
    """`7.20.8` as numbers that compare.

    Raises:
        InvalidError: Not of that form.
    """
    if not re.fullmatch(r"\d+(\.\d+){1,2}", text):
        raise InvalidError("lab.mikrotik.version", f"{text!r} is no RouterOS version such as 7.20.8")
    return tuple(int(part) for part in text.split("."))


class CommandTree:
    """The commands of one RouterOS version, as far as they are played.

    No list of what version 6 had is at hand: it is played with the commands of the oldest version 7 listed, less
    those known to be newer and with its own few, which is close and not exact.

    Args:
        version: Such as `7.20.8`: from the oldest to the newest version listed, or a version 6 from 6.43.

    Raises:
        InvalidError: Outside these.
    """

    def __init__(self, version: str) -> None:
        self.version = parse_version(version)
        listed = json.loads(resources.files(__package__).joinpath("commands.json").read_text("utf-8"))
        oldest, newest = listed["versions"][0], listed["versions"][-1]
        is_v6 = _OLDEST_V6 <= self.version < V7
        if not is_v6 and not parse_version(oldest) <= self.version <= parse_version(newest):
            raise InvalidError("lab.mikrotik.version", f"{version} is not within {oldest} … {newest}, nor 6.43 to 6.49")
        commands = {name: listed["commands"][bounded] for bounded, name in self._present(listed["commands"])}
        self._arguments = {
            command: frozenset(name for _, name in self._present(arguments.split()))
            for command, arguments in commands.items()
        }
        self._menus = {command.rpartition("/")[0] for command in self._arguments}

    def knows(self, command: str) -> bool:
        """Whether the version has the command."""
        return command in self._arguments

    def commands(self) -> Iterable[str]:
        """Every command the version has."""
        return self._arguments

    def has_menu(self, menu: str) -> bool:
        """Whether the version has the menu."""
        return menu in self._menus

    def has(self, command: str, argument: str) -> bool:
        """Whether the command takes the argument."""
        return argument in self._arguments.get(command, ())

    def arguments(self, command: str) -> frozenset[str]:
        """What the command takes; nothing where there is no such command."""
        return self._arguments.get(command, frozenset())

    def remove_menus(self, below: str) -> None:
        """Play a router without the package that brings this menu and those below it."""
        gone = {menu for menu in self._menus if menu == below or menu.startswith(f"{below}/")}
        self._menus -= gone
        self._arguments = {
            command: arguments
            for command, arguments in self._arguments.items()
            if command.rpartition("/")[0] not in gone
        }

    def checked(self, command: str, arguments: Collection[str]) -> tuple[str, str]:
        """The command as menu and verb.

        Raises:
            RefusalError: The version has no such command, or the command no such argument.
        """
        menu, _, verb = command.rpartition("/")
        known = self._arguments.get(command)
        if known is None:
            raise RefusalError("no such command" if menu in self._menus else "no such command prefix")
        if verb in {"print", "monitor"}:
            known = known | _OF_PRINT
        for argument in arguments:
            if argument not in known:
                raise RefusalError(f"unknown parameter {argument}")
        return menu, verb

    def _present(self, bounded: Iterable[str]) -> Iterable[tuple[str, str]]:
        for entry in bounded:
            name, since, until = _matched(entry)
            if (since is None or parse_bound(since) <= self.version) and (
                until is None or self.version <= parse_bound(until)
            ):
                yield entry, name


def parse_bound(text: str) -> Version:
    """A version of which only the first number may be given."""
    return tuple(int(part) for part in text.split("."))


def _matched(entry: str) -> tuple[str, str | None, str | None]:
    match = _BOUNDED.fullmatch(entry)
    if match is None:
        raise InvalidError("lab.mikrotik.commands", f"{entry!r} in commands.json cannot be read")
    return match[1], match[2], match[3]
