"""Long lists, a page at a time: newest first, from a position on that stays true while rows are added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")


class Position(NamedTuple):
    """Where a page of a list ended.

    Args:
        at: The instant its last row is sorted by.
        key: What tells that row from others of the same instant.
    """

    at: datetime
    key: str


class Page(NamedTuple, Generic[T]):
    """Some rows of a list.

    Args:
        rows: In the list's order.
        next: Where the next page begins; None where this was the last.
    """

    rows: list[T]
    next: Position | None
