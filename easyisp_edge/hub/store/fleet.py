"""What is known of all sites, for people: nothing here changes anything.

Every query is for some sites, and is bounded; money and grants by a span of time that their indexes hold.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easyisp_edge.hub.store.sites import EVERY_LANE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.hub.store.database import Row, Transaction

ROWS_MOST: Final = 200
SITE_ROWS_LEAST: Final = 20
TENANTS_MOST: Final = 50
_UNIT = 1_000_000
# In two parts: the sum of many large amounts leaves 64 bits, and SQLite then gives none.
_SUM = f"sum(amount_cents / {_UNIT}) AS units, sum(amount_cents % {_UNIT}) AS rest"
_TENANT, _NO_TENANT = "coalesce(tenant_id, '')", "''"
_HOURS = ", ".join(f"'{hour:02}'" for hour in range(24))


class Listed(NamedTuple):
    """Rows of a list.

    Args:
        rows: Those that are told.
        left_out: How many more there are.
    """

    rows: list[Row]
    left_out: int


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
    """Site, None, hour (`2026-01-31T09`, UTC), whether it was given back, how often, and cents.

    Money that turned out to be another payment's is left out.
    """
    rows = await tx.rows(_takings(_NO_TENANT), list(sites), since, until, _days(since, until))
    return [(row[0], None, *row[2:5], _cents(*row[5:7])) for row in rows]


async def takings_by_tenant(tx: Transaction, sites: Sequence[str], since: str, until: str) -> Listed:
    """As `takings_by_hour`, with the tenant; of each site those that sold most. How many tenants are left out."""
    rows = await tx.rows(
        f"WITH told AS ({_takings(_TENANT)}), ranked AS (SELECT site_id, tenant,"  # noqa: S608 - constants
        " row_number() OVER (PARTITION BY site_id ORDER BY sum(payments) DESC, tenant) AS place,"
        " count(*) OVER (PARTITION BY site_id) AS tenants FROM told GROUP BY site_id, tenant)"
        " SELECT told.*, ranked.tenants FROM told JOIN ranked ON ranked.site_id = told.site_id"
        " AND ranked.tenant = told.tenant WHERE ranked.place <= $5",
        list(sites),
        since,
        until,
        _days(since, until),
        TENANTS_MOST,
    )
    tenants = {row[0]: int(row[7]) for row in rows}
    found = [(row[0], row[1] or None, *row[2:5], _cents(*row[5:7])) for row in rows]
    return Listed(found, sum(max(0, count - TENANTS_MOST) for count in tenants.values()))


def _takings(tenant: str) -> str:
    """What came in by site, tenant, hour and whether it was given back; what is no hour makes no groups."""
    return (
        f"SELECT site_id, {tenant} AS tenant, substr(created_at, 1, 13) AS hour,"  # noqa: S608 - constants
        " CASE WHEN disposition = 'refunded' THEN 1 ELSE 0 END AS refunded,"
        f" count(*) AS payments, {_SUM} FROM payments WHERE site_id = ANY($1)"
        " AND created_at >= $2 AND created_at < $3 AND substr(created_at, 1, 10) = ANY($4)"
        f" AND substr(created_at, 11, 1) = 'T' AND substr(created_at, 12, 2) IN ({_HOURS})"
        " AND disposition <> 'merged' GROUP BY 1, 2, 3, 4"
    )


def _days(since: str, until: str) -> list[str]:
    """All days that a span touches, in UTC."""
    first, last = date.fromisoformat(since[:10]), date.fromisoformat(until[:10])
    return [(first + timedelta(days=ahead)).isoformat() for ahead in range((last - first).days + 1)]


def _cents(units: Any, rest: Any) -> int:
    """A sum that was taken as `_SUM` says; None where there was nothing to add."""
    return int(units or 0) * _UNIT + int(rest or 0)


async def unmatched_sums(tx: Transaction, sites: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many payments of each site nobody owns, and cents."""
    query = (
        f"SELECT site_id, count(*), {_SUM} FROM payments WHERE site_id = ANY($1)"  # noqa: S608 - constants
        " AND disposition = 'unmatched' GROUP BY site_id"
    )
    return {row[0]: (int(row[1]), _cents(*row[2:4])) for row in await tx.rows(query, list(sites))}


async def unmatched(tx: Transaction, sites: Sequence[str]) -> Listed:
    """Site, payment, tenant, receipt, cents, when it was booked, and all of it as JSON; the newest."""
    source = (
        "SELECT site_id, row_key, tenant_id, mpesa_receipt_number, amount_cents, created_at FROM payments"
        " WHERE site_id = ANY($1) AND disposition = 'unmatched'"
    )
    found = await _newest(tx, source, "coalesce(created_at, '') DESC, row_key", sites)
    keys = [sorted({row[place] for row in found.rows}) for place in (0, 1)]
    query = "SELECT site_id, row_key, body FROM payments WHERE site_id = ANY($1) AND row_key = ANY($2)"
    bodies = {(row[0], row[1]): row[2] for row in (await tx.rows(query, *keys) if found.rows else ())}
    newest = sorted(found.rows, key=lambda row: row[5] or "", reverse=True)
    return found._replace(rows=[(*row, bodies.get((row[0], row[1]), "{}")) for row in newest])


async def booked_twice(tx: Transaction, sites: Sequence[str], since: str) -> Listed:
    """Site, payment, receipt, cents and time of payments since then whose receipt gave something elsewhere too.

    By receipt, so that of two sites the same ones are taken: M-Pesa's letters rise with the days.
    """
    source = (
        "SELECT p.site_id, p.row_key, p.mpesa_receipt_number, p.amount_cents, p.created_at FROM payments p"
        " WHERE p.site_id = ANY($1) AND p.created_at >= $2 AND p.disposition IN ('grant', 'wallet')"
        " AND EXISTS (SELECT 1 FROM payments q WHERE q.mpesa_receipt_number = p.mpesa_receipt_number"
        " AND q.site_id <> p.site_id AND q.disposition IN ('grant', 'wallet'))"
    )
    found = await _newest(tx, source, "mpesa_receipt_number DESC, created_at DESC", sites, since)
    return found._replace(rows=sorted(found.rows, key=lambda row: (row[2], row[4] or ""), reverse=True))


async def never_online(tx: Transaction, sites: Sequence[str], since: str, until: str) -> Listed:
    """Site, grant, tenant, receipt, cents and time of what was paid for in a span and never seen in a session."""
    source = (
        "SELECT g.site_id, g.row_key, g.tenant_id, p.mpesa_receipt_number, p.amount_cents, g.created_at FROM grants g"
        " JOIN payments p ON p.site_id = g.site_id AND p.row_key = g.payment_id WHERE g.site_id = ANY($1)"
        " AND g.created_at >= $2 AND g.created_at < $3 AND g.payment_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM sessions s WHERE s.site_id = g.site_id AND s.grant_id = g.row_key)"
    )
    found = await _newest(tx, source, "created_at DESC, row_key", sites, since, until)
    return found._replace(rows=sorted(found.rows, key=lambda row: row[5], reverse=True))


async def forks(tx: Transaction, sites: Sequence[str]) -> list[Row]:
    """Site, stream, how many lines, the first and the last number, and when the last came."""
    return await tx.rows(
        "SELECT site_id, stream, count(*), min(seq), max(seq), max(received_at) FROM forked_events"
        " WHERE site_id = ANY($1) GROUP BY site_id, stream ORDER BY max(received_at) DESC",
        list(sites),
    )


async def parked(tx: Transaction, sites: Sequence[str]) -> Listed:
    """Site, stream, number and time of events no hub could take; the newest."""
    source = "SELECT site_id, stream, seq, received_at FROM parked_events WHERE site_id = ANY($1)"
    found = await _newest(tx, source, "received_at DESC, seq DESC", sites)
    return found._replace(rows=sorted(found.rows, key=lambda row: (row[3], row[2]), reverse=True))


async def projection_errors(tx: Transaction, sites: Sequence[str]) -> Listed:
    """Site, stream, number, reason and time of events of which not all rows could be made; the newest."""
    source = "SELECT site_id, stream, seq, reason, received_at FROM projection_errors WHERE site_id = ANY($1)"
    found = await _newest(tx, source, "received_at DESC, seq DESC", sites)
    return found._replace(rows=sorted(found.rows, key=lambda row: (row[4], row[2]), reverse=True))


async def alarms(tx: Transaction, sites: Sequence[str], since: str) -> Listed:
    """Site, kind, how often, first, last and detail of what should not have come since then; the newest."""
    source = (
        "SELECT site_id, kind, times, first_at, last_at, detail FROM alarms WHERE last_at >= $2 AND site_id = ANY($1)"
    )
    found = await _newest(tx, source, "last_at DESC, kind", sites, since)
    return found._replace(rows=sorted(found.rows, key=lambda row: row[4], reverse=True))


async def _newest(tx: Transaction, source: str, order: str, sites: Sequence[str], *values: str) -> Listed:
    """Of each site the first rows, and of all sites their first before the second of any: none hides another's."""
    of_each = max(SITE_ROWS_LEAST, ROWS_MOST // max(1, len(sites)))
    place = len(values) + 2
    rows = await tx.rows(
        f"SELECT * FROM (SELECT told.*, row_number() OVER (PARTITION BY site_id ORDER BY {order}) AS place,"  # noqa: S608 - constants
        f" count(*) OVER () AS found FROM ({source}) AS told) AS ranked"
        f" WHERE place <= ${place} ORDER BY place, {order} LIMIT ${place + 1}",
        list(sites),
        *values,
        of_each,
        ROWS_MOST,
    )
    return Listed([row[:-2] for row in rows], rows[0][-1] - len(rows) if rows else 0)
