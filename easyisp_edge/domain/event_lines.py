"""Events as they come back from a hub: lines that must continue what is there, or nothing of them is believed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Event, Stream
from easyisp_edge.errors import ConflictError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

PARKED = "edge.parked"
_DIGEST_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Line:
    """An event as a hub keeps it.

    Args:
        event: As it stands in a stream. One the hub could not take is of type `edge.parked`: its body is the line
            that stands in its place, its digest that of the event it stands for.
        previous: The digest it says it is chained to; None for one that stands in an event's place.
        data: What it tells.
    """

    event: Event
    previous: bytes | None
    data: Mapping[str, Any]

    def continues(self, sequence: int, head: bytes) -> bool:
        """Whether it is the one after that number, chained to that digest."""
        return self.event.sequence == sequence + 1 and self.previous in {None, head}


def parked_line(sequence: int, digest: bytes) -> bytes:
    """What stands in the place of an event that a hub cannot take."""
    told = {"digest": digest.hex(), "parked": sequence}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def parked_digest(body: bytes, sequence: int) -> bytes | None:
    """The digest that such a line stands for; None for any other line."""
    try:
        told = json.loads(body)
        digest = bytes.fromhex(told["digest"])
    except (ValueError, KeyError, TypeError):
        return None
    return digest if len(digest) == _DIGEST_OCTETS and body == parked_line(sequence, digest) else None


def read_line(stream: Stream, body: bytes, at: datetime) -> Line:
    """Read a line.

    Args:
        stream: Which it must be of.
        body: As it came, without the end of the line.
        at: Stands in for the time of an event that the hub could not take.

    Raises:
        InvalidError: It is no event of that stream.
    """
    try:
        told = json.loads(body)
        if "parked" in told:
            return _parked(stream, body, at, told)
        digest = hashlib.sha256(body).digest()
        event = Event(
            Stream(told["stream"]), _number(told["seq"]), _text(told["type"]), _text(told["key"]),
            _aware(told["at"]), body, digest,
        )  # fmt: skip
        line = Line(event, bytes.fromhex(told["prev"]), dict(told["data"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(stream) from error
    if event.stream is not stream:
        raise _unreadable(stream)
    return line


def not_continued(stream: Stream, sequence: int) -> ConflictError:
    """What to say where the line after `sequence` is missing, or was changed."""
    return ConflictError(
        "rebuild.broken",
        f"The events of {stream.value} that came do not continue number {sequence}: nothing was taken.",
    )


def _parked(stream: Stream, body: bytes, at: datetime, told: Mapping[str, Any]) -> Line:
    sequence = _number(told["parked"])
    digest = parked_digest(body, sequence)
    if digest is None:
        raise ValueError("not as such a line is written")
    return Line(Event(stream, sequence, PARKED, "", at, body, digest), None, {})


def _number(told: Any) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or told < 1:
        raise ValueError("not a number of an event")
    return told


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError("not a text")
    return told


def _aware(told: Any) -> datetime:
    at = datetime.fromisoformat(_text(told))
    if at.utcoffset() is None:
        raise ValueError("an instant without its zone")
    return at.astimezone(UTC)


def _unreadable(stream: Stream) -> InvalidError:
    return InvalidError("rebuild.unreadable", f"A line that came is no event of {stream.value}: nothing was taken.")
