"""From events to rows of the books: pure; what cannot be made a row is said, and never in the way of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easyisp_edge.domain.row_images import KEYS_OF, KIND_OF
from easyisp_edge.hub.store.projections import books, searched, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.domain.events import Stream
    from easyisp_edge.hub.batches import Line
    from easyisp_edge.hub.store.database import Puts, Row

_SCHEMA_VERSION = 1
# No payment is nearly so large, and the sum of many still has room in 64 bits.
AMOUNT_MOST: Final = 10**15
# What PostgreSQL's indexes hold in a row is 2,704 octets: 500 characters of the longest beside a site's id.
TEXT_OCTETS_MOST: Final = 2000
_NUMBER_MOST = 2**63
_REASON_LENGTH = 200
_NAME_LENGTH = 40
_NUL = "\0"
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SCALARS = frozenset({str, int, float, bool, type(None)})


class CannotProject(NamedTuple):
    """An event of which not all rows could be made.

    Args:
        site_id: Whose.
        stream: Of which stream.
        seq: Its number.
        reason: For people.
    """

    site_id: str
    stream: Stream
    seq: int
    reason: str


class Projection:
    """Collects the rows that events tell, the last word on each."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[str, str], Row]] = {}
        self.failures: list[CannotProject] = []

    def add(self, site_id: str, stream: Stream, lines: Iterable[Line]) -> None:
        """Take in events of one stream, in their order."""
        for line in lines:
            if line.kind != KIND_OF[stream]:
                continue
            reasons = [reason for reason in self._reasons(site_id, stream, line) if reason]
            if reasons:
                told = "; ".join(dict.fromkeys(reasons))[:_REASON_LENGTH]
                self.failures.append(CannotProject(site_id, stream, line.seq, told))

    def puts(self) -> list[Puts]:
        """What was collected, in an order that is always the same."""
        return [books(table, [row for _, row in sorted(rows.items())]) for table, rows in sorted(self._rows.items())]

    def _reasons(self, site_id: str, stream: Stream, line: Line) -> Iterable[str]:
        """Put an event's rows; yields why where one cannot be."""
        if line.schema_version != _SCHEMA_VERSION:
            yield "its data is of a newer release"
            return
        tables = None if line.data is None else line.data.get("rows")
        if not isinstance(tables, dict):
            yield "it holds no rows"
            return
        for name, rows in tables.items():
            table = table_of(stream, name)
            if table is None or not isinstance(rows, list):
                yield f"no table of this hub's: {_plain(name[:_NAME_LENGTH]).replace(_NUL, '')}"
                continue
            for image in rows:
                yield self._add_row(site_id, line.seq, table, KEYS_OF[stream][name], image)

    def _add_row(self, site_id: str, seq: int, table: str, key: tuple[str, ...], image: Any) -> str:
        row_key = _row_key(key, image)
        if row_key is None:
            return f"a row of {table} without its key"
        try:
            _check_flat(image)
            values = [_value(name, image.get(name), kind) for name, kind in searched(table)]
        except ValueError:
            return f"a row of {table} with a value of the wrong kind"
        body = _plain(_JSON.encode(image))
        self._rows.setdefault(table, {})[site_id, row_key] = (site_id, row_key, seq, *values, body)
        return ""


def _row_key(key: tuple[str, ...], image: Any) -> str | None:
    """What a row is known by within its site and table: the value, or a JSON list where it takes several."""
    if not isinstance(image, dict):
        return None
    values = [image.get(name) for name in key]
    if any(not isinstance(value, str | int) or isinstance(value, bool) for value in values):
        return None
    text = str(values[0]) if len(values) == 1 else _JSON.encode(values)
    return text if _is_searchable(text) else None


def _check_flat(image: dict[str, Any]) -> None:
    """A value of a row is one of SQL's, or octets as `{"base64": …}`: what is nested deeply may be read only once.

    Raises:
        ValueError: There is another.
    """
    if _SCALARS.issuperset(map(type, image.values())):
        return
    for value in image.values():
        if type(value) not in _SCALARS and not (type(value) is dict and _SCALARS.issuperset(map(type, value.values()))):
            raise ValueError("nested")


def _value(name: str, value: Any, kind: str) -> Any:
    """A searched column's value.

    Raises:
        ValueError: It is not of that kind.
    """
    if value is None:
        return None
    if kind == "BIGINT":
        most = AMOUNT_MOST if name == "amount_cents" else _NUMBER_MOST - 1
        if type(value) is int and -most <= value <= most:
            return value
    elif isinstance(value, str) and _is_searchable(value):
        return value
    raise ValueError(kind)


def _is_searchable(text: str) -> bool:
    """Whether both databases hold a text, and find it by an index."""
    if _NUL in text or len(text) > TEXT_OCTETS_MOST:
        return False
    return text.isascii() or (_plain(text) == text and len(text.encode()) <= TEXT_OCTETS_MOST)


def _plain(text: str) -> str:
    """A text that UTF-8 can hold: half of a surrogate pair cannot be."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def as_row(failure: CannotProject, at: str) -> Row:
    """A failure as it is noted."""
    return failure.site_id, failure.stream.value, failure.seq, failure.reason, at


def sites_in(failures: Iterable[CannotProject]) -> Mapping[str, str]:
    """The sites that had failures, with the last of each."""
    return {failure.site_id: f"{failure.stream.value} {failure.seq}" for failure in failures}
