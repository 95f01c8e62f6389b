"""Words and sentences as they stand on the wire of the RouterOS API.

Source: RouterOS manual, API (API words, API sentences).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from easyisp_edge.lab.mikrotik.errors import RefusalError, WireError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping, Sequence

# First length that needs the next form, bits that mark the form, octets of the form.
_FORMS = ((0x80, 0, 1), (0x4000, 0x8000, 2), (0x20_0000, 0xC0_0000, 3), (0x1000_0000, 0xE000_0000, 4))
_FIVE_OCTET_MARK = 0xF0
_LENGTH_MOST = 0xFFFF_FFFF
WORD_OCTETS_MOST = 16 * 1024 * 1024
WORD_OCTETS_MOST_BEFORE_LOGIN = 4096
WORDS_MOST = 65536
WORDS_MOST_BEFORE_LOGIN = 64
Bound: TypeAlias = "int | Callable[[], int]"


def encode_length(length: int) -> bytes:
    """The length of a word in the shortest of the five forms.

    Raises:
        ValueError: It does not fit into 32 bits, or is negative.
    """
    if not 0 <= length <= _LENGTH_MOST:
        raise ValueError(f"no word is {length} octets long")
    for bound, mark, octets in _FORMS:
        if length < bound:
            return (length | mark).to_bytes(octets, "big")
    return bytes((_FIVE_OCTET_MARK,)) + length.to_bytes(4, "big")


def length_form(first: int) -> tuple[int, int]:
    """What the first octet of a length says: how many octets follow, and the bits it adds itself.

    Raises:
        WireError: A reserved control octet.
    """
    for marked_bits in range(4):
        if not first & (0x80 >> marked_bits):
            return marked_bits, first & (0x7F >> marked_bits)
    if first == _FIVE_OCTET_MARK:
        return 4, 0
    raise WireError(f"control octet {first:#x} has no meaning")


def decode_length(octets: bytes) -> tuple[int, int]:
    """The length at the start of `octets`, and how many octets it took.

    Raises:
        WireError: A reserved control octet, or too few octets.
    """
    if not octets:
        raise WireError("no length")
    following, high = length_form(octets[0])
    if len(octets) < following + 1:
        raise WireError("the length is cut off")
    return int.from_bytes(bytes((high,)) + octets[1 : following + 1], "big"), following + 1


def encode_sentence(words: Iterable[str]) -> bytes:
    """The words and the empty one that ends them. Octets that were no UTF-8 when read go out unchanged."""
    octets = [word.encode("utf-8", "surrogateescape") for word in words]
    return b"".join(encode_length(len(word)) + word for word in octets) + b"\x00"


async def read_word(reader: asyncio.StreamReader, octets_most: Bound = WORD_OCTETS_MOST) -> str:
    """The next word; empty where a sentence ends.

    Raises:
        WireError: A reserved control octet, or a word beyond `octets_most`.
        asyncio.IncompleteReadError: The peer closed.
    """
    first = await reader.readexactly(1)
    following, high = length_form(first[0])
    rest = await reader.readexactly(following)
    length = int.from_bytes(bytes((high,)) + rest, "big")
    if length > _now(octets_most):
        raise WireError(f"a word of {length} octets is more than the router takes")
    return (await reader.readexactly(length)).decode("utf-8", "surrogateescape")


def _now(bound: Bound) -> int:
    return bound if isinstance(bound, int) else bound()


async def read_sentence(
    reader: asyncio.StreamReader,
    octets_most: Bound = WORD_OCTETS_MOST,
    words_most: Bound = WORDS_MOST,
) -> tuple[str, ...]:
    """The next sentence that has words; empty ones are passed over.

    Args:
        reader: Where it comes from.
        octets_most: How long a word may be; a function is asked for each word once that begins.
        words_most: How many words there may be, likewise.

    Raises:
        WireError: As `read_word`, or more than `words_most` words.
        asyncio.IncompleteReadError: The peer closed.
    """
    words: list[str] = []
    while True:
        word = await read_word(reader, octets_most)
        if word:
            words.append(word)
        elif words:
            return tuple(words)
        if len(words) > _now(words_most):
            raise WireError("the sentence has too many words")


@dataclass(frozen=True, slots=True)
class Request:
    """A command sentence taken apart.

    Args:
        command: The console path, such as `/ip/hotspot/user/print`.
        arguments: What came as `=name=value`.
        queries: The `?` words in their order.
        tag: What `.tag=` asked to be echoed.
    """

    command: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    tag: str | None = None


def tag_of(words: Sequence[str]) -> str | None:
    """The tag of a sentence, if it has one."""
    return next((word.removeprefix(".tag=") for word in words if word.startswith(".tag=")), None)


def parse_request(words: Sequence[str]) -> Request:
    """Take a sentence apart.

    Raises:
        RefusalError: A word is of no known kind.
    """
    arguments: dict[str, str] = {}
    queries = tuple(word for word in words[1:] if word.startswith("?"))
    for word in words[1:]:
        if word.startswith("="):
            name, _, value = word[1:].partition("=")
            arguments[name] = value
        elif not word.startswith(("?", ".tag=")):
            raise RefusalError(f"unknown parameter {word}")
    command = words[0].removesuffix("/getall") + "/print" if words[0].endswith("/getall") else words[0]
    return Request(command, arguments, queries, tag_of(words))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gives back before the wire's own words.

    Args:
        rows: One `!re` each, fields in order.
        ret: The value of `=ret=` with the `!done`.
        listing: A print, which newer versions answer `!empty` when it found no row.
    """

    rows: Sequence[Mapping[str, str]] = ()
    ret: str | None = None
    listing: bool = False
