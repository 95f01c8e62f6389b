"""Tables `streams`, `events`, `forked_events`, `parked_events` and `projection_errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.hub.store.database import Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easyisp_edge.hub.store.database import Puts, Row, Transaction

_KEY = (("site_id", "TEXT"), ("stream", "TEXT"), ("seq", "BIGINT"))
_EVENTS = Put("events", (*_KEY, ("epoch", "BIGINT"), ("digest", "BYTEA"), ("body", "BYTEA"), ("received_at", "TEXT")))
_FORKED = _EVENTS._replace(table="forked_events", conflict="ON CONFLICT DO NOTHING")
_ROW_OCTETS = 200  # beside its body, with what the index takes
_PARKED = Put("parked_events", (*_KEY, ("digest", "BYTEA"), ("received_at", "TEXT")))
_ERRORS = Put(
    "projection_errors",
    (*_KEY, ("reason", "TEXT"), ("received_at", "TEXT")),
    "ON CONFLICT (site_id, stream, seq) DO UPDATE SET reason = excluded.reason",
)
_STANDINGS = Put(
    "streams",
    (
        *_KEY[:2],
        ("counter", "BIGINT"),
        ("seen_at", "TEXT"),
        ("last", "BIGINT"),
        ("head", "BYTEA"),
        ("received_at", "TEXT"),
    ),
    "ON CONFLICT (site_id, stream) DO UPDATE SET counter = excluded.counter, seen_at = excluded.seen_at,"
    " last = excluded.last, head = excluded.head, received_at = excluded.received_at",
)


class Head(NamedTuple):
    """How far a stream has come.

    Args:
        last: Number of the last event; 0 for none.
        head: Its digest.
    """

    last: int
    head: bytes


class Standing(NamedTuple):
    """A stream while nobody else changes it, and its site.

    Args:
        head: How far it has come.
        counter: The last of its lane.
        received_at: When its last event came.
        epoch: The life its site is in.
        public_key: Of the site's box.
        state: Of the site.
        config_version: Of the last configuration that was published for the site.
    """

    head: Head
    counter: int
    received_at: str
    epoch: int
    public_key: bytes | None
    state: str
    config_version: int


async def locked(tx: Transaction, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Standing]:
    """How streams stand; nobody else changes them, nor uses a counter of theirs, until the end of the transaction.

    Args:
        tx: Where.
        keys: Site and stream of each.
    """
    wanted = set(keys)
    # Always in one order: two hubs that lock several never wait for each other in a circle.
    rows = await tx.rows(
        "SELECT t.site_id, t.stream, t.last, t.head, t.counter, t.received_at, s.epoch, s.public_key, s.state,"
        " s.config_version FROM streams t JOIN sites s ON s.site_id = t.site_id"
        " WHERE t.site_id = ANY($1) AND t.stream = ANY($2) ORDER BY t.site_id, t.stream FOR UPDATE OF t",
        sorted({site_id for site_id, _ in wanted}),
        sorted({stream for _, stream in wanted}),
    )
    return {(row[0], row[1]): Standing(Head(row[2], row[3]), *row[4:]) for row in rows}


async def heads(tx: Transaction, site_id: str) -> dict[str, Head]:
    """How far a site's streams have come."""
    rows = await tx.rows("SELECT stream, last, head FROM streams WHERE site_id = $1", site_id)
    return {stream: Head(last, head) for stream, last, head in rows}


async def digests_between(tx: Transaction, site_id: str, stream: str, first: int, last: int) -> dict[int, bytes]:
    """The digests of events by number."""
    rows = await tx.rows(
        "SELECT seq, digest FROM events WHERE site_id = $1 AND stream = $2 AND seq >= $3 AND seq <= $4",
        site_id,
        stream,
        first,
        last,
    )
    return dict(rows)


def events(rows: Sequence[Row]) -> list[Puts]:
    """Keep events: site, stream, number, epoch, digest, body, time."""
    return [(_EVENTS, rows), (_PARKED, [(*row[:3], row[4], row[6]) for row in rows if row[5] is None])]


def standings(rows: Sequence[Row]) -> Puts:
    """Note how streams stand: site, stream, counter, when it was used, last, head, when that came."""
    return _STANDINGS, rows


async def add_forked(tx: Transaction, rows: Sequence[Row]) -> None:
    """Keep a box's lines beside those the hub knows of these numbers; as `events`."""
    await tx.put((_FORKED, rows))


def octets_of(rows: Sequence[Row]) -> int:
    """What rows of a fork take, as `forked_octets` counts."""
    return sum(len(row[5] or b"") + _ROW_OCTETS for row in rows)


async def forked_octets(tx: Transaction, site_id: str) -> int:
    """What the lines kept of a site's forks take, with their keys."""
    row = await tx.row("SELECT count(*), sum(length(body)) FROM forked_events WHERE site_id = $1", site_id)
    return 0 if row is None else int(row[0]) * _ROW_OCTETS + int(row[1] or 0)


async def forked_among(tx: Transaction, site_id: str, stream: str, numbers: Sequence[int]) -> set[tuple[int, bytes]]:
    """Number and digest of the lines that are kept of some numbers."""
    if not numbers:
        return set()
    rows = await tx.rows(
        "SELECT seq, digest FROM forked_events WHERE site_id = $1 AND stream = $2 AND seq = ANY($3)",
        site_id,
        stream,
        list(numbers),
    )
    return {(seq, digest) for seq, digest in rows}


async def add_projection_errors(tx: Transaction, rows: Sequence[Row]) -> None:
    """Note events of which no rows could be made: site, stream, number, reason, time."""
    await tx.put((_ERRORS, rows))


async def events_after(tx: Transaction, site_id: str, stream: str, after: int, most: int) -> list[Row]:
    """Number, digest and body of the next events of a stream, and the epoch they came in."""
    return await tx.rows(
        "SELECT seq, digest, body, epoch FROM events WHERE site_id = $1 AND stream = $2 AND seq > $3"
        " ORDER BY seq LIMIT $4",
        site_id,
        stream,
        after,
        most,
    )


async def unprojected(tx: Transaction, after: tuple[str, str, int], most: int) -> list[Row]:
    """Site, stream, number and body of the next events of which no rows could be made yet, behind one of them."""
    return await tx.rows(
        "SELECT e.site_id, e.stream, e.seq, e.body FROM projection_errors p JOIN events e"
        " ON e.site_id = p.site_id AND e.stream = p.stream AND e.seq = p.seq"
        " WHERE (p.site_id, p.stream, p.seq) > ($1, $2, $3) AND e.body IS NOT NULL"
        " ORDER BY p.site_id, p.stream, p.seq LIMIT $4",
        *after,
        most,
    )


async def remove_projection_error(tx: Transaction, site_id: str, stream: str, seq: int) -> None:
    """The rows of an event were made after all."""
    await tx.rows("DELETE FROM projection_errors WHERE site_id = $1 AND stream = $2 AND seq = $3", site_id, stream, seq)
