"""What is known of all sites, for people: nothing here changes anything.

Every query is for some sites, and is bounded; money and grants by a span of time that their indexes hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easyisp_edge.hub.store.sites import EVERY_LANE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.hub.store.database import Row, Transaction

ROWS_MOST: Final = 200


async def site_ids(tx: Transaction) -> list[str]:
    """All sites, by name."""
    return [row[0] for row in await tx.rows("SELECT site_id FROM sites ORDER BY name")]


async def lanes(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, lane, and when it was last used."""
    query = f"SELECT site_id, lane, seen_at FROM ({EVERY_LANE}) AS known WHERE site_id = ANY($1)"  # noqa: S608 - constants
    return await tx.rows(query, list(sites))


async def streams(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, stream, number of the last event, and when it came."""
    query = "SELECT site_id, stream, last, received_at FROM streams WHERE site_id = ANY($1) AND last > 0"
    return await tx.rows(query, list(sites))


async def waiting_down(tx: Transaction, sites: Sequence[str]) -> dict[str, int]:
    """How many messages each site has not had."""
    query = "SELECT site_id, last - acked FROM down_heads WHERE site_id = ANY($1)"
    return {site_id: int(count) for site_id, count in await tx.rows(query, list(sites))}


async def takings_by_hour(tx: Transaction, sites: Sequence[str], since: str, until: str) -> list[Row]:
    """Site, tenant, hour (`2026-01-31T09`, UTC), whether it was given back, how often, and cents.

    Money that turned out to be another payment's is left out.
    """
    rows = await tx.rows(
        "SELECT site_id, tenant_id, substr(created_at, 1, 13), CASE WHEN disposition = 'refunded' THEN 1 ELSE 0 END,"
        " count(*), sum(amount_cents) FROM payments WHERE site_id = ANY($1) AND created_at >= $2 AND created_at < $3"
        " AND disposition <> 'merged' GROUP BY 1, 2, 3, 4",
        list(sites),
        since,
        until,
    )
    return [(*row[:4], int(row[4]), int(row[5] or 0)) for row in rows]


async def unmatched_sums(tx: Transaction, sites: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many payments of each site nobody owns, and cents."""
    query = (
        "SELECT site_id, count(*), sum(amount_cents) FROM payments WHERE site_id = ANY($1)"
        " AND disposition = 'unmatched' GROUP BY site_id"
    )
    return {row[0]: (int(row[1]), int(row[2] or 0)) for row in await tx.rows(query, list(sites))}


async def unmatched(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, payment, tenant, receipt, cents, when it was booked, and all of it as JSON; the newest."""
    return await tx.rows(
        "SELECT site_id, row_key, tenant_id, mpesa_receipt_number, amount_cents, created_at, body FROM payments"
        " WHERE site_id = ANY($1) AND disposition = 'unmatched' ORDER BY created_at DESC, row_key LIMIT $2",
        list(sites),
        ROWS_MOST,
    )


async def booked_twice(tx: Transaction, sites: Sequence[str], since: str) -> list[Row]:
    """Site, payment, receipt, cents and time of payments since then whose receipt gave something elsewhere too."""
    return await tx.rows(
        "SELECT p.site_id, p.row_key, p.mpesa_receipt_number, p.amount_cents, p.created_at FROM payments p"
        " WHERE p.site_id = ANY($1) AND p.created_at >= $2 AND p.disposition IN ('grant', 'wallet')"
        " AND EXISTS (SELECT 1 FROM payments q WHERE q.mpesa_receipt_number = p.mpesa_receipt_number"
        " AND q.site_id <> p.site_id AND q.disposition IN ('grant', 'wallet'))"
        " ORDER BY p.mpesa_receipt_number, p.created_at LIMIT $3",
        list(sites),
        since,
        ROWS_MOST,
    )


async def never_online(tx: Transaction, sites: Sequence[str], since: str, until: str) -> list[Row]:
    """Site, grant, tenant, receipt, cents and time of what was paid for in a span and never seen in a session."""
    return await tx.rows(
        "SELECT g.site_id, g.row_key, g.tenant_id, p.mpesa_receipt_number, p.amount_cents, g.created_at FROM grants g"
        " JOIN payments p ON p.site_id = g.site_id AND p.row_key = g.payment_id WHERE g.site_id = ANY($1)"
        " AND g.created_at >= $2 AND g.created_at < $3 AND g.payment_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM sessions s WHERE s.site_id = g.site_id AND s.grant_id = g.row_key)"
        " ORDER BY g.created_at DESC, g.row_key LIMIT $4",
        list(sites),
        since,
        until,
        ROWS_MOST,
    )


async def forks(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, stream, how many lines, the first and the last number, and when the last came."""
    return await tx.rows(
        "SELECT site_id, stream, count(*), min(seq), max(seq), max(received_at) FROM forked_events"
        " WHERE site_id = ANY($1) GROUP BY site_id, stream ORDER BY max(received_at) DESC",
        list(sites),
    )


async def parked(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, stream, number and time of events no hub could take; the newest."""
    return await tx.rows(
        "SELECT site_id, stream, seq, received_at FROM parked_events WHERE site_id = ANY($1)"
        " ORDER BY received_at DESC, seq DESC LIMIT $2",
        list(sites),
        ROWS_MOST,
    )


async def projection_errors(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, stream, number, reason and time of events of which not all rows could be made; the newest."""
    return await tx.rows(
        "SELECT site_id, stream, seq, reason, received_at FROM projection_errors WHERE site_id = ANY($1)"
        " ORDER BY received_at DESC, seq DESC LIMIT $2",
        list(sites),
        ROWS_MOST,
    )


async def alarms(tx: Transaction, sites: Sequence[str], since: str) -> list[Row]:
    """Site, kind, how often, first, last and detail of what should not have come since then; the newest."""
    return await tx.rows(
        "SELECT site_id, kind, times, first_at, last_at, detail FROM alarms WHERE last_at >= $2"
        " AND site_id = ANY($1) ORDER BY last_at DESC, kind LIMIT $3",
        list(sites),
        since,
        ROWS_MOST,
    )
