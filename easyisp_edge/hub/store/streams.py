"""Tables `streams`, `events`, `forked_events`, `parked_events` and `projection_errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.hub.store.database import Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easyisp_edge.hub.store.database import Row, Transaction

_KEY = (("site_id", "TEXT"), ("stream", "TEXT"), ("seq", "BIGINT"))
_EVENTS = Put("events", (*_KEY, ("epoch", "BIGINT"), ("digest", "BYTEA"), ("body", "BYTEA"), ("received_at", "TEXT")))
_FORKED = _EVENTS._replace(table="forked_events", conflict="ON CONFLICT DO NOTHING")
_PARKED = Put("parked_events", (*_KEY, ("digest", "BYTEA"), ("received_at", "TEXT")))
_ERRORS = Put(
    "projection_errors",
    (*_KEY, ("reason", "TEXT"), ("received_at", "TEXT")),
    "ON CONFLICT (site_id, stream, seq) DO UPDATE SET reason = excluded.reason",
)
_HEADS = Put(
    "streams",
    (("site_id", "TEXT"), ("stream", "TEXT"), ("last", "BIGINT"), ("head", "BYTEA"), ("received_at", "TEXT")),
    "ON CONFLICT (site_id, stream) DO UPDATE SET last = excluded.last, head = excluded.head,"
    " received_at = excluded.received_at",
)


class Head(NamedTuple):
    """How far a stream has come.

    Args:
        last: Number of the last event; 0 for none.
        head: Its digest.
    """

    last: int
    head: bytes


async def locked_heads(tx: Transaction, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Head]:
    """How far streams have come; nobody else changes them until the end of the transaction.

    Args:
        tx: Where.
        keys: Site and stream of each.
    """
    wanted = sorted(set(keys))
    rows = await tx.rows(
        "SELECT site_id, stream, last, head FROM streams WHERE site_id = ANY($1) AND stream = ANY($2)"
        " ORDER BY site_id, stream FOR UPDATE",
        sorted({site_id for site_id, _ in wanted}),
        sorted({stream for _, stream in wanted}),
    )
    return {(site_id, stream): Head(last, head) for site_id, stream, last, head in rows}


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


async def add_events(tx: Transaction, rows: Sequence[Row]) -> None:
    """Keep events: site, stream, number, epoch, digest, body, time."""
    await tx.put(_EVENTS, rows)
    parked = [(*row[:3], row[4], row[6]) for row in rows if row[5] is None]
    if parked:
        await tx.put(_PARKED, parked)


async def set_heads(tx: Transaction, rows: Sequence[Row]) -> None:
    """Note how far streams have come: site, stream, last, head, time."""
    await tx.put(_HEADS, rows)


async def add_forked(tx: Transaction, rows: Sequence[Row]) -> None:
    """Keep a box's lines beside those the hub knows of these numbers; as `add_events`."""
    await tx.put(_FORKED, rows)


async def add_projection_errors(tx: Transaction, rows: Sequence[Row]) -> None:
    """Note events of which no rows could be made: site, stream, number, reason, time."""
    await tx.put(_ERRORS, rows)


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
