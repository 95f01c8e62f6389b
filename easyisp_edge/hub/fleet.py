"""The fleet as people ask about it: who is there, what came in, what went wrong.

What boxes tell is believed of nobody but themselves: a time that is none, or a text without end, hides no other's.
"""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane, fingerprint
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import NotFoundError
from easyisp_edge.hub.instants import instant, read_instant
from easyisp_edge.hub.store import fleet
from easyisp_edge.hub.store.sites import all_sites

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from easyisp_edge.hub.store.database import Database, Row, Transaction
    from easyisp_edge.hub.store.sites import Site
    from easyisp_edge.machine import Clock

DAYS_MOST: Final = 31
_ONLINE_WITHIN = timedelta(minutes=10)
_ONLINE_SPAN = timedelta(hours=24)
_ALARMS_SPAN = timedelta(days=7)
_TEXT_LENGTH = 120

Found = list[dict[str, Any]]


class Told(NamedTuple):
    """What is told of a question.

    Args:
        rows: Those that matter most, as programs are told them.
        left_out: How many more there are.
    """

    rows: Found
    left_out: int = 0


class Fleet:
    """Answers questions about all sites, or one. All money is cents of KES, all days are Nairobi's.

    Args:
        database: What is known.
        clock: For spans that end now.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sites(self) -> Found:
        """All sites by name, with when they were last seen and what waits for them."""
        async with self._database.reading() as tx:
            found = await all_sites(tx)
            ids = [site.site_id for site in found]
            seen, streams = await fleet.lanes(tx, ids), await fleet.streams(tx, ids)
            waiting, unmatched = await fleet.waiting_down(tx, ids), await fleet.unmatched_sums(tx, ids)
        last, told = _last_seen(seen), _streams(streams)
        return [
            {
                **_site(site),
                "lastSeenAt": last.get(site.site_id),
                "streams": told.get(site.site_id, {}),
                "waitingDown": waiting.get(site.site_id, 0),
                "unmatched": dict(zip(("count", "amountCents"), unmatched.get(site.site_id, (0, 0)), strict=True)),
            }
            for site in found
        ]

    async def takings(self, days: int, site_id: str | None = None) -> Told:
        """What came in by site, tenant and day, of the last so many days; what was given back is told apart.

        Of each site the tenants that sold most; `left_out` is how many there are besides.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            found = await fleet.takings_by_tenant(tx, await _ids(tx, site_id), *self._span(days))
        return Told(_by_day(found.rows), found.left_out)

    async def daily_takings(self, days: int, site_id: str | None = None) -> Found:
        """As `takings`, of all tenants together.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            return _by_day(await fleet.takings_by_hour(tx, await _ids(tx, site_id), *self._span(days)))

    def _span(self, days: int) -> tuple[str, str]:
        """The last so many days of Nairobi's, today among them."""
        today = self._clock.now().astimezone(NAIROBI).replace(hour=0, minute=0, second=0, microsecond=0)
        since, until = today - timedelta(days=days - 1), today + timedelta(days=1)
        return instant(since.astimezone(UTC)), instant(until.astimezone(UTC))

    async def unmatched(self, site_id: str | None = None) -> Told:
        """The newest payments that nobody owns.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            rows, left_out = await fleet.unmatched(tx, await _ids(tx, site_id))
        names = ("site", "payment", "tenant", "mpesaReceiptNumber", "amountCents", "at", "account")
        return Told(_named(names, [(*row[:-1], _text(row[-1], "account")) for row in rows]), left_out)

    async def not_online(self, site_id: str | None = None) -> Told:
        """Who paid in the last day, ten minutes ago at least, and was never seen online since.

        Only where the site has told so much that it would have told of a session too.

        Raises:
            NotFoundError: There is no such site.
        """
        now = self._clock.now()
        async with self._database.reading() as tx:
            ids = await _ids(tx, site_id)
            span = instant(now - _ONLINE_SPAN), instant(now - _ONLINE_WITHIN)
            rows, left_out = await fleet.never_online(tx, ids, *span)
            told_until = _told_until(await fleet.lanes(tx, ids), await fleet.streams(tx, ids))
        names = ("site", "grant", "tenant", "mpesaReceiptNumber", "amountCents", "at")
        return Told(_named(names, [row for row in rows if _is_told(row[5], told_until.get(row[0], ""))]), left_out)

    async def booked_twice(self, site_id: str | None = None) -> Told:
        """Receipts of the last week that gave something at several sites: one of them was out of reach then.

        Raises:
            NotFoundError: There is no such site.
        """
        since = instant(self._clock.now() - _ALARMS_SPAN)
        async with self._database.reading() as tx:
            rows, left_out = await fleet.booked_twice(tx, await _ids(tx, None), since)
            if site_id is not None:
                await _ids(tx, site_id)
        receipts = {row[2] for row in rows if site_id in {None, row[0]}}
        names = ("site", "payment", "mpesaReceiptNumber", "amountCents", "at")
        return Told(_named(names, [row for row in rows if row[2] in receipts]), left_out)

    async def forks(self, site_id: str | None = None) -> Told:
        """Where a box and the hub went on from the same number.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            rows = await fleet.forks(tx, await _ids(tx, site_id))
        return Told(_named(("site", "stream", "events", "first", "last", "at"), rows))

    async def parked(self, site_id: str | None = None) -> Told:
        """The newest events no hub could take.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            rows, left_out = await fleet.parked(tx, await _ids(tx, site_id))
        return Told(_named(("site", "stream", "seq", "at"), rows), left_out)

    async def errors(self, site_id: str | None = None) -> Told:
        """The newest events of which not all rows could be made.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.reading() as tx:
            rows, left_out = await fleet.projection_errors(tx, await _ids(tx, site_id))
        return Told(_named(("site", "stream", "seq", "reason", "at"), rows), left_out)

    async def alarms(self, site_id: str | None = None) -> Told:
        """What should not have come in the last week, gaps among it; of nobody knows whom too, unless of one site.

        Raises:
            NotFoundError: There is no such site.
        """
        since = instant(self._clock.now() - _ALARMS_SPAN)
        async with self._database.reading() as tx:
            ids = await _ids(tx, site_id)
            rows, left_out = await fleet.alarms(tx, ids if site_id else [*ids, ""], since)
        return Told(_named(("site", "kind", "times", "firstAt", "at", "detail"), rows), left_out)


async def _ids(tx: Transaction, site_id: str | None) -> list[str]:
    found = await fleet.site_ids(tx)
    if site_id is None:
        return found
    if site_id not in found:
        raise NotFoundError("site.unknown", f"There is no site {site_id:.64}.")
    return [site_id]


def _site(site: Site) -> dict[str, Any]:
    return {
        "site": site.site_id,
        "name": site.name,
        "state": site.state,
        "epoch": site.epoch,
        "fingerprint": fingerprint(site.public_key) if site.public_key else None,
        "configVersion": site.config_version,
    }


def _last_seen(lanes: Iterable[Row]) -> dict[str, str]:
    last: dict[str, str] = {}
    for site_id, _, at in lanes:
        last[site_id] = max(last.get(site_id, ""), at)
    return last


def _streams(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for site_id, stream, last, at in rows:
        found.setdefault(site_id, {})[stream] = {"last": last, "receivedAt": at}
    return found


def _told_until(lanes: Iterable[Row], streams: Iterable[Row]) -> Mapping[str, str]:
    """Until when each site told what it had: its usage came, or it was there and had none to tell."""
    told: dict[str, str] = {}
    present = [(site_id, at) for site_id, lane, at in lanes if lane in {Lane.USAGE, Lane.DOWN}]
    for site_id, at in (*present, *((row[0], row[3]) for row in streams if row[1] == Stream.USAGE)):
        told[site_id] = max(told.get(site_id, ""), at)
    return told


def _by_day(rows: Sequence[Row]) -> Found:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for site_id, tenant, hour, refunded, count, cents in rows:
        began = read_instant(f"{hour}:00:00Z")
        if began is None:
            continue
        day = began.astimezone(NAIROBI).date().isoformat()
        empty = {
            "site": site_id, "tenant": _shown(tenant), "day": day, "payments": 0, "amountCents": 0, "refundedCents": 0
        }  # fmt: skip
        one = found.setdefault((day, site_id, tenant or ""), empty)
        one["payments"] += 0 if refunded else count
        one["refundedCents" if refunded else "amountCents"] += cents
    return [one for _, one in sorted(found.items())]


def _named(names: Sequence[str], rows: Iterable[Row]) -> Found:
    return [dict(zip(names, map(_shown, row), strict=True)) for row in rows]


def _shown(value: Any) -> Any:
    """A value as it is told: of a text no more than people read, and every sign of it visible."""
    if not isinstance(value, str):
        return value
    cut = value if len(value) <= _TEXT_LENGTH else value[: _TEXT_LENGTH - 1] + "\u2026"
    return cut if cut.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in cut)


def _is_told(paid_at: str, told_until: str) -> bool:
    """Whether a site has told so much that it would have told of a session too, had there been one."""
    paid = read_instant(paid_at)
    return paid is not None and told_until >= instant(paid + _ONLINE_WITHIN)


def _text(body: str, key: str) -> str:
    return str(json.loads(body).get(key) or "")
