"""The router's files: directories, what they hold, and what commands may write of it.

Source: RouterOS manual, Files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.menus import DONE, table_menu
from easyisp_edge.lab.mikrotik.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.lab.mikrotik.command_tree import Version
    from easyisp_edge.lab.mikrotik.console import Call, Handler
    from easyisp_edge.lab.mikrotik.tables import Row, Table

_ADD_TELLS_ID_SINCE = (7, 13)
_CHUNK = "32768"


class FileShelf:
    """The files of one router.

    Args:
        table: Of `/file`; the shelf takes it over.
        version: What is played.
        now: The time as the router sees it.
    """

    def __init__(self, table: Table, version: Version, now: Callable[[], datetime]) -> None:
        self._table = table
        self._version = version
        self._now = now
        table.computed = _seen

    def contents(self, path: str) -> str | None:
        """What a file holds; None where there is none, or a directory."""
        row = self._table.named(path.strip("/"))
        return None if row is None or _is_directory(row) else row.values.get("contents", "")

    def put(self, path: str, contents: str | None = None) -> None:
        """Put a file there, or a directory where no contents are given, as though uploaded."""
        folder = path.strip("/").rpartition("/")[0]
        if folder and self._table.named(folder) is None:
            self.put(folder)
        kind = {"type": "directory"} if contents is None else {"contents": contents}
        self._write({"name": path.strip("/")} | kind)

    def boot(self) -> None:
        """Power went: on a board with `flash`, everything beside it was in memory and is gone."""
        if self._table.named("flash") is None:
            return
        lost = [row.id for row in self._table if not f"{row.values['name']}/".startswith("flash/")]
        if lost:
            self._table.remove(",".join(lost))

    def menu(self) -> dict[str, Handler]:
        """The verbs of `/file`."""
        return table_menu(self._table) | {
            "add": self._add,
            "set": self._set,
            "remove": self._remove,
            "read": self._read,
        }

    def _add(self, call: Call) -> Answer:
        name = call.arguments.get("name", "").strip("/")
        folder = name.rpartition("/")[0]
        self._refuse_missing(folder)
        row = self._write(dict(call.arguments) | {"name": name})
        return Answer(ret=row.id) if self._version >= _ADD_TELLS_ID_SINCE else DONE

    def _write(self, fields: dict[str, str]) -> Row:
        kept = self._table.named(fields["name"])
        if kept is not None and "contents" in fields and not _is_directory(kept):
            raise TrapError("failure: file with such name already exists")
        row = self._table.add({name: value for name, value in fields.items() if name in self._table.columns})
        if fields.get("type") == "directory":
            row.values["type"] = "directory"
        row.shown["last-modified"] = self._now().strftime("%Y-%m-%d %H:%M:%S")
        return row

    def _refuse_missing(self, folder: str) -> None:
        parent = self._table.named(folder) if folder else None
        if folder and (parent is None or not _is_directory(parent)):
            raise TrapError(f"failure: no such directory {folder}")

    def _set(self, call: Call) -> Answer:
        rows = self._table.select(call.numbers())
        if "contents" in call.arguments and any(_is_directory(row) for row in rows):
            raise TrapError("failure: can not write to a directory")
        self._table.change(call.numbers(), call.arguments)
        for row in rows:
            row.shown["last-modified"] = self._now().strftime("%Y-%m-%d %H:%M:%S")
        return DONE

    def _remove(self, call: Call) -> Answer:
        rows = self._table.select(call.numbers())
        inside = tuple(f"{row.values['name']}/" for row in rows if _is_directory(row))
        gone = {row.id for row in rows} | {row.id for row in self._table if row.values["name"].startswith(inside)}
        self._table.remove(",".join(sorted(gone)))
        return DONE

    def _read(self, call: Call) -> Answer:
        contents = self.contents(call.arguments.get("file", ""))
        if contents is None:
            raise TrapError("no such item")
        octets = contents.encode("utf-8", "surrogateescape")
        start, length = int(call.arguments.get("offset", "0")), int(call.arguments.get("chunk-size", _CHUNK))
        return Answer([{"data": octets[start : start + length].decode("utf-8", "surrogateescape")}])


def _is_directory(row: Row) -> bool:
    return row.values.get("type") == "directory"


def _seen(row: Row) -> dict[str, str]:
    if row.values["name"] == "flash" and _is_directory(row):
        return {"type": "disk"}
    if _is_directory(row):
        return {"type": "directory"}
    last = row.values["name"].rpartition("/")[2]
    ending = last.rpartition(".")[2] if "." in last else ""
    contents = row.values.get("contents", "")
    return {
        "type": f".{ending} file" if ending else "file",
        "size": str(len(contents.encode("utf-8", "surrogateescape"))),
        "contents": contents,
    }
