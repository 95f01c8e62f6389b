"""Makes the configuration tables a version has, their fields as its command tree lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.tables import NOT_FIELDS, Column, Table
from easyisp_edge.lab.mikrotik.value_formats import boolean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.lab.mikrotik.command_tree import CommandTree

DISABLED = Column("disabled", boolean_text, "false", frozenset())
DYNAMIC = {"dynamic": "false"}
VALID = {"dynamic": "false", "invalid": "false"}


class TableMaker:
    """Makes tables for one version.

    Args:
        tree: What the version has.
    """

    def __init__(self, tree: CommandTree) -> None:
        self._tree = tree
        self.made: dict[str, Table] = {}

    def table(
        self,
        menu: str,
        columns: Iterable[Column] = (),
        *,
        key: tuple[str, ...] = (),
        duplicate: str = "failure: already have such name",
        shown: Mapping[str, str] | None = None,
    ) -> Table:
        """The table of a menu: the fields given, as far as the version has them, and the others as plain text."""
        taken = self._tree.arguments(f"{menu}/add") | self._tree.arguments(f"{menu}/set")
        given = [column for column in columns if not taken or column.name in taken or column.required]
        named = {column.name for column in given}
        plain = (Column(name) for name in sorted(taken - named - NOT_FIELDS - {"disabled"}))
        switch = [DISABLED] if "disabled" in taken and "disabled" not in named else []
        table = Table([*given, *plain, *switch], key=key, duplicate=duplicate, shown=shown)
        self.made[menu] = table
        return table
