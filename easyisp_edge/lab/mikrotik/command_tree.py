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
_ARGUMENT = re.compile(r"([a-z-]+)(?:>=([\d.]+))?(?:<=([\d.]+))?")
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

    Args:
        version: Such as `7.20.8`; from the oldest to the newest version listed.

    Raises:
        InvalidError: Outside the versions listed.
    """

    def __init__(self, version: str) -> None:
        self.version = parse_version(version)
        listed = json.loads(resources.files(__package__).joinpath("commands.json").read_text("utf-8"))
        oldest, newest = listed["versions"][0], listed["versions"][-1]
        if not parse_version(oldest) <= self.version <= parse_version(newest):
            raise InvalidError("lab.mikrotik.version", f"{version} is not within {oldest} … {newest}")
        self._arguments = {
            command: frozenset(self._present(arguments.split())) for command, arguments in listed["commands"].items()
        }
        self._menus = {command.rpartition("/")[0] for command in self._arguments}

    def has(self, command: str, argument: str) -> bool:
        """Whether the command takes the argument."""
        return argument in self._arguments.get(command, ())

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

    def _present(self, arguments: Iterable[str]) -> Iterable[str]:
        for argument in arguments:
            name, since, until = _matched(argument)
            if (since is None or parse_version(since) <= self.version) and (
                until is None or self.version <= parse_version(until)
            ):
                yield name


def _matched(argument: str) -> tuple[str, str | None, str | None]:
    match = _ARGUMENT.fullmatch(argument)
    if match is None:
        raise InvalidError("lab.mikrotik.commands", f"{argument!r} in commands.json cannot be read")
    return match[1], match[2], match[3]
