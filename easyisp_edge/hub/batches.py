"""What a box sends of a stream, read and held against what is known: pure."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import GENESIS, Stream
from easyisp_edge.domain.sync import BATCH_OCTETS_MOST, EVENTS_MOST, SEQ_MOST
from easyisp_edge.hub.refusals import RequestRefused, behind, fork, gap, too_long, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.hub.store.streams import Head


def _no_number(word: str) -> None:
    raise ValueError(word)


# One for all lines: half the time of a batch goes into reading them.
_JSON = json.JSONDecoder(parse_constant=_no_number)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_GZIP = 31  # zlib's name for a gzip header and window


class Line(NamedTuple):
    """One event as it came, or its digest in its place.

    Args:
        seq: Its number.
        digest: Of the event.
        previous: The digest of the one before, by its own word; None where only the digest came.
        body: The line; None where only the digest came.
        kind: What happened; empty where only the digest came.
        schema_version: Of `data`.
        data: The facts.
        key: What it happened to.
        at: When, by the box.
    """

    seq: int
    digest: bytes
    previous: bytes | None
    body: bytes | None
    kind: str = ""
    schema_version: int = 0
    data: Mapping[str, Any] | None = None
    key: str = ""
    at: str = ""


class Batch(NamedTuple):
    """What came in one request.

    Args:
        site_id: From whom.
        epoch: In which of its lives.
        public_key: Of its box: what its signature was judged by.
        stream: Of which stream.
        counter: Of the request; its lane has the stream's name.
        lines: The events.
        own_last: The box's own last number, where it said that.
    """

    site_id: str
    epoch: int
    public_key: bytes | None
    stream: Stream
    counter: int
    lines: Sequence[Line]
    own_last: int | None


class Taken(NamedTuple):
    """What a batch adds to a stream.

    Args:
        fresh: The events that were not known.
        last: The last number after them.
        head: Its digest.
    """

    fresh: Sequence[Line]
    last: int
    head: bytes


def unpacked(body: bytes, encoding: str | None) -> bytes:
    """The lines of a body as it was sent; never more than a batch may hold is unpacked.

    Raises:
        RequestRefused: It is too long, or not what its header says.
    """
    if not encoding:
        content = body
    elif encoding == "gzip":
        content = _gunzipped(body)
    else:
        raise unreadable("Only gzip is understood.")
    if len(content) > BATCH_OCTETS_MOST:
        raise too_long()
    return content


def _gunzipped(body: bytes) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, BATCH_OCTETS_MOST + 1)
    except zlib.error:
        raise unreadable("The body is no gzip.") from None
    if len(content) <= BATCH_OCTETS_MOST and (not stream.eof or stream.unused_data):
        raise unreadable("The body is not one whole gzip.")
    return content


def read_lines(content: bytes, stream: Stream) -> list[Line]:
    """The events of a batch.

    Raises:
        RequestRefused: There are too many, or one cannot be read; then the answer says which.
    """
    bodies = content.removesuffix(b"\n").split(b"\n") if content else []
    if len(bodies) > EVENTS_MOST:
        raise too_long()
    lines: list[Line] = []
    for place, body in enumerate(bodies):
        line = _read(body, stream)
        if line is None:
            raise unreadable_event(place, lines[-1].seq + 1 if lines else None)
        lines.append(line)
    return lines


def unreadable_event(place: int, seq: int | None) -> RequestRefused:
    """An event cannot be read; `seq` is its number where that can be told."""
    refused = unreadable(f"Line {place + 1} is no event.", seq=seq, line=place)
    refused.code = "event"
    return refused


def _read(body: bytes, stream: Stream) -> Line | None:
    """An event, or its digest in its place; None for anything a box could not take back."""
    try:
        told, end = _JSON.raw_decode(text := body.decode())
        if end == len(text):
            return _parked(told) if "parked" in told else _event(told, body, stream)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _parked(told: dict[str, Any]) -> Line | None:
    seq, digest = told["parked"], told["digest"]
    return Line(seq, bytes.fromhex(digest), None, None) if _is_seq(seq) and _DIGEST.fullmatch(digest) else None


def _event(told: dict[str, Any], body: bytes, stream: Stream) -> Line | None:
    seq, previous, kind, version, data = told["seq"], told["prev"], told["type"], told["sv"], told["data"]
    key, at = told["key"], told["at"]
    if (
        _is_seq(seq)
        and _DIGEST.fullmatch(previous)
        and told["stream"] == stream
        and type(version) is type(told["v"]) is int
        and type(data) is dict
        and type(kind) is type(key) is str
        and datetime.fromisoformat(at).utcoffset() is not None
    ):
        return Line(seq, hashlib.sha256(body).digest(), bytes.fromhex(previous), body, kind, version, data, key, at)
    return None


def _is_seq(value: Any) -> bool:
    return type(value) is int and 0 < value < SEQ_MOST


def judge(batch: Batch, known: Head, digests: Mapping[int, bytes]) -> Taken:
    """What of a batch is new, where it fits what is known.

    Args:
        batch: What came.
        known: How far its stream has come.
        digests: Of events that are known already, by number: those of the batch, and the one before its first.

    Raises:
        RequestRefused: A number is missing, known with another digest, or the hub knows more than the box.
    """
    fresh: list[Line] = []
    last, head = known
    before: Line | None = None
    for line in batch.lines:
        if before is not None and line.seq != before.seq + 1:
            raise gap(known.last + 1)
        if line.seq > last + 1:
            raise gap(known.last + 1)
        _check_previous(line, before, digests, known)
        if line.seq <= known.last:
            if digests.get(line.seq) != line.digest:
                raise fork(line.seq, *known)
        else:
            fresh.append(line)
            last, head = line.seq, line.digest
        before = line
    if batch.own_last is not None and batch.own_last < known.last:
        raise behind(*known)
    return Taken(fresh, last, head)


def _check_previous(line: Line, before: Line | None, digests: Mapping[int, bytes], known: Head) -> None:
    """The event before has the digest this one is chained to."""
    if line.previous is None:
        return
    if before is not None:
        expected: bytes | None = before.digest
    elif line.seq == known.last + 1:
        expected = known.head
    else:
        expected = digests.get(line.seq - 1) if line.seq > 1 else GENESIS
    if expected != line.previous:
        raise fork(max(line.seq - 1, 1), *known)


def overlap(batch: Batch, last: int) -> tuple[int, int] | None:
    """The numbers of which the digests have to be known to judge a batch; None where it only goes on."""
    if not batch.lines or batch.lines[0].seq > last:
        return None
    return batch.lines[0].seq - 1, min(last, batch.lines[-1].seq)
