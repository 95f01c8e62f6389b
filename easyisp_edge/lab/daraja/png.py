"""A small picture in PNG, with a text inside.

Source: Portable Network Graphics (Third Edition), chunks IHDR, iTXt, IDAT, IEND.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREYSCALE = 0
_NO_FILTER = b"\x00"


def square_png(pixels: int, is_dark: Callable[[int, int], bool], comment: str) -> bytes:
    """A square of that many pixels a side, black where `is_dark(x, y)`, with the comment as its text chunk."""
    header = struct.pack(">IIBBBBB", pixels, pixels, 8, _GREYSCALE, 0, 0, 0)
    lines = (_NO_FILTER + bytes(0 if is_dark(x, y) else 255 for x in range(pixels)) for y in range(pixels))
    text = b"Comment\x00\x00\x00\x00\x00" + comment.encode()
    chunks = [(b"IHDR", header), (b"iTXt", text), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
