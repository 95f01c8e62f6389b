"""The script that takes a set-up back, written onto the router before anything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCRIPT = "edge-undo"
TIMER = "edge-undo-timer"
AT_BOOT = "edge-undo-boot"
# What the script needs to change users, files and everything else; its schedulers need the same to run it.
POLICY = "ftp,read,write,policy,test,password,sensitive"
# Without the script the schedulers are what an interrupted confirmation left; they take themselves away.
ON_EVENT = (
    f':if ([:len [/system script find where name="{SCRIPT}"]] > 0) do={{ /system script run "{SCRIPT}" }}'
    f' else={{ /system scheduler remove [find where name~"^edge-undo-"] }}'
)

_ESCAPES = {'"': '\\"', "\\": "\\\\", "$": "\\$", "\n": "\\n", "\r": "\\r", "\t": "\\t", "?": "\\3F"}


def quoted(text: str) -> str:
    r"""The text as a string of RouterOS's script language.

    Everything but plain ASCII is written as hexadecimal octets of its UTF-8; `?` too, which asks older consoles
    for help.

    Source: RouterOS, Scripting, constant escape sequences.
    """
    return '"' + "".join(_ESCAPES.get(char) or _plain(char) for char in text) + '"'


def _plain(char: str) -> str:
    return char if " " <= char <= "~" else "".join(f"\\{octet:02X}" for octet in char.encode())


def undo_of_add(menu: str, key: Mapping[str, str]) -> str:
    """Takes away the row that has these fields, if it is there."""
    return f"{_path(menu)} remove {_found_by(key)}"


def undo_of_set(menu: str, key: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Writes back what a row said."""
    # A service is one of a fixed few, and its menu also lists connections under the same names.
    row = [quoted(key["name"])] if menu == "/ip/service" else [_found_by(key)] if key else []
    return " ".join([_path(menu), "set", *row, *_assigned(before)])


def undo_of_replaced(menu: str, name: str, aside: str, before: Mapping[str, str]) -> str:
    """Takes a new row away and gives its name back to the old one that was put aside, if one was.

    The name alone would not do: run before the old row was put aside, it would take that one away.
    """
    path, old, new = _path(menu), _found_by({"name": aside}), _found_by({"name": name})
    back = " ".join(_assigned({"name": name} | dict(before)))
    return f"if ([:len [{path} {old[1:]}] > 0) do={{ {path} remove {new}; {path} set {old} {back} }}"


def undo_script(undo: Iterable[str]) -> str:
    """The whole script: each line by itself, so that one that fails keeps none from running; itself last.

    Args:
        undo: The lines that undo the changes, the last change's first.
    """
    own = [
        undo_of_add("/system/scheduler", {"name": AT_BOOT}),
        undo_of_add("/system/scheduler", {"name": TIMER}),
        undo_of_add("/system/script", {"name": SCRIPT}),
    ]
    lines = [_guarded(line, number) for number, line in enumerate([*undo, *own], start=1)]
    return "\n".join([':log info "EasyISP Edge: the set-up is undone"', *lines])


def _guarded(line: str, number: int) -> str:
    command = line if line.startswith("/") else f":{line}"
    return f':do {{ {command} }} on-error={{ :log warning "EasyISP Edge: undo, line {number} failed" }}'


def _path(menu: str) -> str:
    return "/" + menu.strip("/").replace("/", " ")  # as versions 6 and 7 both read it


def _found_by(key: Mapping[str, str]) -> str:
    return f"[find where {' && '.join(_assigned(key))}]"


def _assigned(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={quoted(value)}" for name, value in values.items()]
