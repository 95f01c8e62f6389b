"""One number for all rows of a table, that a box and its hub come to from whatever each keeps them in.

A row's line is its image as canonical JSON: names sorted, no blanks, columns without a value left out (so that a
column added later changes nothing of the rows that lack it). A table's digest is SHA-256 over the count of its rows
and the sum, modulo 2^256, of the SHA-256 of all lines: rows may come in any order.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.row_images import COUNTED, MONEY_KEYS, USAGE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MODULUS = 1 << 256
USED = "grants.used"
DIGESTED = (*MONEY_KEYS, "sessions", USED)
"""What there are digests of: each table, and apart from the grants what they have used."""


class RowDigest:
    """The digest of one table, row by row."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = 0

    def add(self, image: Mapping[str, Any]) -> None:
        """Take in a row; the same row twice is two rows."""
        self._rows += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line_of(image)).digest(), "big")) % _MODULUS

    def hexdigest(self) -> str:
        """The digest of what was taken in, as 64 hex digits."""
        return hashlib.sha256(f"{self._rows}\n{self._sum:064x}".encode()).hexdigest()


def line_of(image: Mapping[str, Any]) -> bytes:
    """A row's image as canonical JSON, without what has no value."""
    told = {column: value for column, value in image.items() if value is not None}
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digests(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """The digests of `DIGESTED`, by name.

    Args:
        rows: Table and image of every row, in any order; grants with all their columns.
    """
    found = {name: RowDigest() for name in DIGESTED}
    for table, image in rows:
        for name, part in _parts(table, image):
            found[name].add(part)
    return {name: digest.hexdigest() for name, digest in found.items()}


def _parts(table: str, image: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if table != "grants":
        yield table, image
        return
    yield table, {column: value for column, value in image.items() if column not in COUNTED}
    if any(image.get(column) for column in COUNTED):
        yield USED, {column: image.get(column) or 0 for column in (*USAGE_KEYS["grants"], *COUNTED)}
