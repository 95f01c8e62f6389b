"""A configuration table: rows that commands add, change and remove, printed as RouterOS prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError, TrapError
from easyisp_edge.lab.mikrotik.value_formats import any_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

_ID = re.compile(r"\*[0-9A-Fa-f]+")
NO_SUCH_ITEM = "no such item"
_SPELT_TWICE = frozenset({"yes", "no", "true", "false"})  # queries take one spelling for the other
NOT_FIELDS = frozenset({"numbers", "copy-from", "place-before"})


@dataclass(frozen=True, slots=True)
class Column:
    """A field that commands may set.

    Args:
        name: As on the wire.
        normal: Gives a value's normal form, or raises ValueError.
        default: What an unset field shows; None where it is then absent.
        unset: The normal forms that mean "not set".
        required: Whether a new row must have it.
        sensitive: Whether only users with the `sensitive` policy see it.
        hidden: Whether nobody ever sees it.
    """

    name: str
    normal: Callable[[str], str] = any_text
    default: str | None = None
    unset: frozenset[str] = frozenset({""})
    required: bool = False
    sensitive: bool = False
    hidden: bool = False


@dataclass(eq=False, slots=True)
class Row:
    """One row.

    Args:
        id: `*` and upper-case hex; never used again while the router is up.
        values: Fields set by commands, in normal form.
        shown: Read-only fields.
    """

    id: str
    values: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)


class Ids:
    """Counts up the ids of one table."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> str:
        """The next id."""
        self._last += 1
        return f"*{self._last:X}"


def split_numbers(numbers: str | None) -> list[str]:
    """The row names in `.id` or `numbers`.

    Raises:
        RefusalError: None given, or an id of no valid form.
    """
    if numbers is None:
        raise RefusalError("missing value(s) of argument(s) numbers")
    parts = numbers.split(",")
    for part in parts:
        if part.startswith("*") and not _ID.fullmatch(part):
            raise RefusalError("invalid internal item number")
    return parts


class Table:
    """A menu whose rows commands write.

    Args:
        columns: Its fields.
        key: The fields that together may stand only once; empty where rows may repeat.
        duplicate: RouterOS's wording when they would.
        shown: Read-only fields of a new row.

    Attributes:
        computed: Gives read-only fields that stand for now only; they come over all others.
    """

    def __init__(
        self,
        columns: Iterable[Column],
        *,
        key: tuple[str, ...] = (),
        duplicate: str = "",
        shown: Mapping[str, str] | None = None,
    ) -> None:
        self.columns = {column.name: column for column in columns}
        self._key = key
        self._duplicate = duplicate
        self._shown = dict(shown or {})
        self._ids = Ids()
        self._rows: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._by_key: dict[tuple[str, ...], str] | None = None
        self.computed: Callable[[Row], Mapping[str, str]] | None = None
        self._changed: list[Callable[[], None]] = []
        self._renamed: list[Callable[[str, str], None]] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change."""
        self._changed.append(callback)

    def on_rename(self, callback: Callable[[str, str], None]) -> None:
        """Call `callback` with old and new name when a row's name changes or, with its id as new, goes."""
        self._renamed.append(callback)

    def value(self, row: Row, name: str) -> str:
        """The field's value, its default where unset, empty where it has none."""
        return row.values.get(name, self.columns[name].default or "")

    def enabled(self) -> list[Row]:
        """The rows that are not disabled."""
        return [row for row in self._rows if self.value(row, "disabled") != "true"]

    def named(self, name: str) -> Row | None:
        """The first row of that name."""
        return next((row for row in self._rows if self.value(row, "name") == name), None)

    def named_so(self, row_id: str | None, name: str | None) -> Iterable[Row]:
        """The rows that can have this id and name, in order; None for any."""
        if row_id is not None:
            row = self._by_id.get(row_id)
            return [] if row is None else [row]
        if name is not None and name not in _SPELT_TWICE:
            return [row for row in self._rows if row.values.get("name", row.shown.get("name")) == name]
        return self._rows

    def printed(self, row: Row, *, sensitive: bool, only: Collection[str] | None = None) -> dict[str, str]:
        """The row as a print shows it: unset fields absent, and of the others `only` these."""
        fields = {".id": row.id}
        for column in self._columns_of(only):
            value = row.values.get(column.name, column.default)
            if value is not None and not column.hidden and (sensitive or not column.sensitive):
                fields[column.name] = value
        shown = {**row.shown, **self.computed(row)} if self.computed else row.shown
        if only is None:
            return fields | shown
        return fields | {name: shown[name] for name in only if name in shown}

    def _columns_of(self, only: Collection[str] | None) -> Iterable[Column]:
        if only is None:
            return self.columns.values()
        return [self.columns[name] for name in only if name in self.columns]

    def add(self, arguments: Mapping[str, str], shown: Mapping[str, str] | None = None) -> Row:
        """Add a row.

        Raises:
            TrapError: A value is wrong or missing, or the row would stand twice.
        """
        row = Row("", shown=self._shown | dict(shown or {}))
        if "copy-from" in arguments:
            row.values |= self._single(arguments["copy-from"]).values
        before = self._single(arguments["place-before"]) if arguments.get("place-before") else None
        self._write(row, arguments)
        missing = [name for name, column in self.columns.items() if column.required and name not in row.values]
        if missing:
            raise RefusalError(f"missing value(s) of argument(s) {' '.join(missing)}")
        self._refuse_twin(row)
        row.id = self._ids.next()
        self._by_id[row.id] = row
        if self._by_key is not None:
            self._by_key[self._key_of(row)] = row.id
        self._rows.insert(self._rows.index(before) if before else len(self._rows), row)
        self._tell_changed()
        return row

    def change(self, numbers: str | None, arguments: Mapping[str, str]) -> None:
        """Write fields of rows.

        Raises:
            TrapError: No such row, a wrong value, or a row would stand twice.
        """
        for row in self.select(numbers):
            written = Row(row.id, dict(row.values))
            self._write(written, arguments)
            self._refuse_twin(written)
            if self._key_of(written) != self._key_of(row):
                self.forget_keys()
            old_name, row.values = row.values.get("name"), written.values
            new_name = row.values.get("name")
            if old_name and new_name and old_name != new_name:
                self._tell_renamed(old_name, new_name)
        self._tell_changed()

    def unset(self, numbers: str | None, name: str) -> None:
        """Forget fields of rows.

        Raises:
            TrapError: No such row or field.
        """
        rows = self.select(numbers)
        if name not in self.columns or self.columns[name].required:
            raise RefusalError("invalid value for argument value-name", BAD_ARGUMENT)
        for row in rows:
            row.values.pop(name, None)
        self.forget_keys()
        self._tell_changed()

    def remove(self, numbers: str | None) -> None:
        """Remove rows.

        Raises:
            TrapError: No such row, or one that RouterOS keeps.
        """
        rows = self.select(numbers)
        if any(row.shown.get("default") == "true" for row in rows):
            raise TrapError("failure: can not remove default entry")
        gone = {row.id for row in rows}
        self._rows = [row for row in self._rows if row.id not in gone]
        for row in rows:
            self._forget(row)
            if "name" in row.values:
                self._tell_renamed(row.values["name"], row.id)
        self._tell_changed()

    def move(self, numbers: str | None, destination: str | None) -> None:
        """Put rows before another one, or at the end.

        Raises:
            TrapError: No such row.
        """
        rows = self.select(numbers)
        before = self._single(destination) if destination else None
        kept = [row for row in self._rows if row not in rows]
        place = kept.index(before) if before in kept and before is not None else len(kept)
        self._rows = [*kept[:place], *rows, *kept[place:]]
        self._tell_changed()

    def clear(self) -> None:
        """Remove every row but the built-in ones, which go back to what they were."""
        self._rows = [row for row in self._rows if row.shown.get("default") == "true"]
        for row in self._rows:
            row.values = {"name": row.values["name"]}
        self._by_id = {row.id: row for row in self._rows}
        self.forget_keys()
        self._tell_changed()

    def empty(self) -> None:
        """Remove every row, the built-in ones too."""
        self._rows.clear()
        self._by_id.clear()
        self.forget_keys()
        self._tell_changed()

    def forget_keys(self) -> None:
        """Say that a field of the key was written."""
        self._by_key = None

    def select(self, numbers: str | None) -> list[Row]:
        """The rows that `.id` or `numbers` names, by id or name.

        Raises:
            TrapError: One of them does not exist.
        """
        return [self._single(number) for number in split_numbers(numbers)]

    def _single(self, number: str) -> Row:
        row = self._by_id.get(number.upper()) if number.startswith("*") else self._by_name(number)
        if row is None:
            raise TrapError(NO_SUCH_ITEM)
        return row

    def _by_name(self, name: str) -> Row | None:
        return next((row for row in self._rows if row.values.get("name") == name), None)

    def _key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(self.value(row, name) for name in self._key)

    def _forget(self, row: Row) -> None:
        del self._by_id[row.id]
        if self._by_key is not None:
            self._by_key.pop(self._key_of(row), None)

    def _write(self, row: Row, arguments: Mapping[str, str]) -> None:
        for name, value in arguments.items():
            if name in NOT_FIELDS:
                continue
            column = self.columns[name]
            try:
                empties = not value and "" in column.unset and not column.required
                normal = "" if empties else column.normal(value)
            except ValueError:
                raise RefusalError(f"invalid value for argument {name}", BAD_ARGUMENT) from None
            if normal in column.unset:
                row.values.pop(name, None)
            else:
                row.values[name] = normal

    def _refuse_twin(self, row: Row) -> None:
        if not self._key:
            return
        if self._by_key is None:
            self._by_key = {self._key_of(other): other.id for other in self._rows}
        if self._by_key.get(self._key_of(row), row.id) != row.id:
            raise TrapError(self._duplicate)

    def _tell_changed(self) -> None:
        for callback in self._changed:
            callback()

    def _tell_renamed(self, old: str, new: str) -> None:
        for callback in self._renamed:
            callback(old, new)


def reference(table: Table, label: str, *words: str) -> Callable[[str], str]:
    """The name of a row of `table`, which may be shortened as long as it stays clear; or one of `words`.

    Raises (when called):
        RefusalError: No row fits, or more than one.
    """

    def normal(text: str) -> str:
        names = [*words, *(table.value(row, "name") for row in table)]
        if text in names:
            return text
        fitting = [name for name in names if text and name.startswith(text)]
        if not fitting:
            raise RefusalError(f"input does not match any value of {label}", BAD_ARGUMENT)
        if len(fitting) > 1:
            raise RefusalError(f"ambiguous value of {label}, more than one possible value matches input", BAD_ARGUMENT)
        return fitting[0]

    return normal


def follow_names(table: Table, column: str, referenced: Table) -> None:
    """Keep `column` of `table` pointing at its row of `referenced` when that is renamed or removed."""

    def renamed(old: str, new: str) -> None:
        for row in table:
            if table.value(row, column) == old:
                row.values[column] = new
        table.forget_keys()

    referenced.on_rename(renamed)
