"""Lists a page at a time: how one row more than asked for tells whether there is another page."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.domain.paging import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from easyisp_edge.domain.paging import Position

T = TypeVar("T")


def page_of(parts: Iterable[Iterable[T]], limit: int, position_of: Callable[[T], Position]) -> Page[T]:
    """A page of what was found.

    Args:
        parts: What was found, each part newest first and with one row more than a page has, where there are more.
        limit: How many rows a page has at most; at least 1.
        position_of: By what a row is sorted.
    """
    found = list(islice(heapq.merge(*parts, key=position_of, reverse=True), limit + 1))
    rows = found[:limit]
    return Page(rows, position_of(rows[-1]) if len(found) > limit else None)
