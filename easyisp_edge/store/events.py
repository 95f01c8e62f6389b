"""Table `events`: the outbox, the audit trail and the verifiable history in one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.event_lines import parked_digest
from easyisp_edge.domain.events import GENESIS, Event, Stream, chain
from easyisp_edge.store.acts import ActsTable
from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from easyisp_edge.machine import Clock


class EventsTable:
    """Events in their order; a transaction that changes money or a grant appends here too."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock | None) -> None:
        self._sql = connection
        self._clock = clock
        self._acts = ActsTable(connection)

    def append(self, stream: Stream, kind: str, key: str, data: Mapping[str, Any]) -> Event:
        """Chain an event onto its stream; what says `by` whom is listed as that person's act.

        Raises:
            RuntimeError: This connection reads only.
        """
        if self._clock is None:
            raise RuntimeError("Events are appended within a transaction.")
        sequence, previous = self.head(stream)
        event = chain(
            stream,
            sequence + 1,
            previous,
            kind=kind,
            key=key,
            at=self._clock.now(),
            clock=self._clock.state.value,
            data=data,
        )
        self.keep(event)
        self._acts.note(event, data)
        return event

    def keep(self, event: Event) -> None:
        """Write an event as it is; whether it continues its stream is the caller's to see."""
        self._sql.execute(
            "INSERT INTO events (stream, sequence, type, key, at, body, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                event.stream.value,
                event.sequence,
                event.type,
                event.key,
                instant(event.at),
                event.body,
                event.digest,
            ),
        )

    def bodies_after(self, stream: Stream, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        """The next events after a number, in order: number and body, which is a line as it is sent."""
        rows = self._sql.execute(
            "SELECT sequence, body FROM events WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (stream.value, sequence, limit),
        )
        return [(row[0], row[1]) for row in rows]

    def each_after(self, stream: Stream, sequence: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """The same, read as they are taken: whoever stops early has read no more."""
        rows = self._sql.execute(
            "SELECT sequence, body FROM events WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (stream.value, sequence, limit),
        )
        return ((row[0], row[1]) for row in rows)

    def first(self, stream: Stream) -> tuple[int, bytes | None]:
        """Number of a stream's first event that is here, and the digest it is chained to; 0 when it is empty.

        It is 1 unless the beginning made way on a full disk. The digest is None where only that event's own is left.
        """
        row = self._sql.execute(
            "SELECT sequence, body FROM events WHERE stream = ? ORDER BY sequence LIMIT 1", (stream.value,)
        ).fetchone()
        if row is None:
            return 0, GENESIS
        previous = json.loads(row[1]).get("prev")
        return row[0], None if previous is None else bytes.fromhex(previous)

    def may_be(self, stream: Stream, sequence: int, digest: bytes) -> bool:
        """Whether that event has that digest; of usage that made way on a full disk nobody knows, and so it may."""
        own = self.digest_of(stream, sequence)
        if own is not None or stream is Stream.MONEY:
            return own == digest
        first, previous = self.first(stream)
        return sequence < first - 1 or (sequence == first - 1 and previous in {None, digest})

    def digest_of(self, stream: Stream, sequence: int) -> bytes | None:
        """The digest of an event, where it is there."""
        query = "SELECT digest FROM events WHERE stream = ? AND sequence = ?"
        row = self._sql.execute(query, (stream.value, sequence)).fetchone()
        return None if row is None else bytes(row[0])

    def head(self, stream: Stream) -> tuple[int, bytes]:
        """Number and digest of a stream's last event; 0 and `GENESIS` when it is empty."""
        row = self._sql.execute(
            "SELECT sequence, digest FROM events WHERE stream = ? ORDER BY sequence DESC LIMIT 1",
            (stream.value,),
        ).fetchone()
        return (0, GENESIS) if row is None else (row[0], row[1])

    def keys_since(self, stream: Stream, sequence: int, kinds: str) -> list[str]:
        """What events of types that begin so happened to, after that number, each once."""
        rows = self._sql.execute(
            "SELECT DISTINCT key FROM events WHERE stream = ? AND sequence > ? AND substr(type, 1, ?) = ?",
            (stream.value, sequence, len(kinds), kinds),
        )
        return [row[0] for row in rows]

    def problems(self, before: int | None) -> Iterator[tuple[int, str]]:
        """Reported problems with their numbers in the stream, the newest first, read as they are taken."""
        query = (
            "SELECT sequence, key FROM events WHERE type = 'problem.reported' AND stream = 'usage'"
            " AND (:before IS NULL OR sequence < :before) ORDER BY sequence DESC"
        )
        return iter(self._sql.execute(query, {"before": before}))

    def of_key(self, key: str) -> list[str]:
        """The types of all that happened to one thing, in order."""
        rows = self._sql.execute("SELECT type FROM events WHERE key = ? ORDER BY stream, sequence", (key,))
        return [row[0] for row in rows]

    def told(self, key: str, kind: str) -> dict[str, Any] | None:
        """The facts of the first event of that type that happened to one thing; None where it never did."""
        query = "SELECT body FROM events WHERE key = ? AND type = ? ORDER BY stream, sequence LIMIT 1"
        row = self._sql.execute(query, (key, kind)).fetchone()
        return None if row is None else dict(json.loads(row[0])["data"])

    def count_since(self, key: str, kind: str, since: datetime) -> int:
        """How often that happened to one thing since then."""
        query = "SELECT count(*) FROM events WHERE key = ? AND type = ? AND at >= ?"
        return int(self._sql.execute(query, (key, kind, instant(since))).fetchone()[0])

    def first_break(self, stream: Stream) -> int | None:
        """The number of the first event that is missing or was changed; None when the chain holds. A long read."""
        expected, previous = 1, GENESIS
        if stream is Stream.USAGE and (begun := self.first(stream))[0] > 1:  # a full disk had its beginning
            expected, previous = begun[0], begun[1] or GENESIS
        rows = self._sql.execute(
            "SELECT sequence, body, digest FROM events WHERE stream = ? ORDER BY sequence", (stream.value,)
        )
        for sequence, body, digest in rows:
            if sequence != expected:
                return expected
            if hashlib.sha256(body).digest() != digest:
                if parked_digest(body, sequence) != digest:
                    return expected
                expected, previous = expected + 1, digest  # no hub could keep it: the chain goes on over its digest
                continue
            told = json.loads(body)
            if (told["prev"], told["seq"], told["stream"]) != (previous.hex(), sequence, stream.value):
                return expected
            expected, previous = expected + 1, digest
        return None
