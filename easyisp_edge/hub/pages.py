"""The fleet's pages: made on the hub, without a script, and nothing in them from anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import NotFoundError
from easyisp_edge.hub.alarm_words import in_words
from easyisp_edge.hub.instants import read_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.hub.fleet import Fleet, Found, Told
    from easyisp_edge.machine import Clock

CSP: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# A box that is well asks for messages every minute.
_MISSING_AFTER = timedelta(minutes=15)
_NO_TIME = "not known"
_STATES: Mapping[str, str] = {
    "new": "no box yet",
    "waiting": "to be confirmed",
    "confirmed": "confirmed",
    "closed": "closed",
}


@dataclass(frozen=True, slots=True)
class _Troubles:
    """What needs a person.

    Args:
        not_online: Paid and never seen online.
        unmatched: Money nobody owns.
        twice: Receipts that gave something at several sites.
        forks: Where box and hub went on from the same number.
        parked: Events no hub could take.
        errors: Events of which not all rows could be made.
        alarms: What should not have come.
    """

    not_online: Told
    unmatched: Told
    twice: Told
    forks: Told
    parked: Told
    errors: Told
    alarms: Told


class FleetPages:
    """Makes the pages.

    Args:
        fleet: What they tell.
        clock: For how long ago things were.
    """

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        folder = files("easyisp_edge.hub") / "templates"
        self.style = (folder / "fleet.css").read_text(encoding="utf-8")
        sources = {name: (folder / name).read_text(encoding="utf-8") for name in ("frame.html", "lists.html")}
        sources |= {name: (folder / name).read_text(encoding="utf-8") for name in ("overview.html", "site.html")}
        self._templates = Environment(
            loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(
            kes=_kes, nairobi=_nairobi, ago=self._ago, state=_STATES.__getitem__, alarm=in_words
        )

    async def overview(self, days: int) -> str:
        """All sites, and all that needs a person."""
        sites = [self._with_presence(site) for site in await self._fleet.sites()]
        takings = await self._fleet.daily_takings(days)
        return self._rendered("overview.html", sites, _names(sites), takings, await self._troubles(None), days)

    async def site(self, site_id: str, days: int) -> str:
        """One site.

        Raises:
            NotFoundError: There is none.
        """
        known = await self._fleet.sites()
        sites = [self._with_presence(site) for site in known if site["site"] == site_id]
        if not sites:
            raise NotFoundError("site.unknown", "There is no such site.")
        takings = await self._fleet.daily_takings(days, site_id)
        return self._rendered("site.html", sites, _names(known), takings, await self._troubles(site_id), days)

    async def _troubles(self, site_id: str | None) -> _Troubles:
        return _Troubles(
            not_online=await self._fleet.not_online(site_id),
            unmatched=await self._fleet.unmatched(site_id),
            twice=await self._fleet.booked_twice(site_id),
            forks=await self._fleet.forks(site_id),
            parked=await self._fleet.parked(site_id),
            errors=await self._fleet.errors(site_id),
            alarms=await self._fleet.alarms(site_id),
        )

    def _rendered(  # noqa: PLR0917 - what a page holds
        self, name: str, sites: Found, names: dict[str, str], takings: Found, troubles: _Troubles, days: int
    ) -> str:
        today = self._clock.now().astimezone(NAIROBI).date()
        shown = [(today - timedelta(days=back)).isoformat() for back in range(days)]
        return self._templates.get_template(name).render(
            sites=sites,
            names=names,
            days=shown,
            takings=_grid(takings),
            totals=_totals(takings),
            troubles=troubles,
            now=_nairobi(self._clock.now().isoformat()),
        )

    def _with_presence(self, site: dict[str, Any]) -> dict[str, Any]:
        seen = site["lastSeenAt"]
        gone = seen is None or self._clock.now() - datetime.fromisoformat(seen) > _MISSING_AFTER
        return {**site, "missing": gone and site["state"] in {"confirmed", "waiting"}}

    def _ago(self, at: str | None) -> str:
        """How long ago, in the one unit that says it."""
        if at is None:
            return "never"
        then = read_instant(at)
        if then is None:
            return _NO_TIME
        seconds = max(0, int((self._clock.now() - then).total_seconds()))
        for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
            if seconds >= length:
                count = seconds // length
                return f"{count} {unit}{'' if count == 1 else 's'} ago"
        return "just now"


def _names(sites: Found) -> dict[str, str]:
    return {site["site"]: site["name"] for site in sites}


def _grid(takings: Found) -> dict[str, dict[str, int]]:
    """Cents by site and day."""
    grid: dict[str, dict[str, int]] = {}
    for one in takings:
        days = grid.setdefault(one["site"], {})
        days[one["day"]] = days.get(one["day"], 0) + one["amountCents"]
    return grid


def _totals(takings: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Cents by day."""
    totals: dict[str, int] = {}
    for one in takings:
        totals[one["day"]] = totals.get(one["day"], 0) + one["amountCents"]
    return totals


def _kes(cents: int) -> str:
    """Cents as shillings, with cents where there are any."""
    shillings, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    return f"{sign}{shillings:,}.{rest:02}" if rest else f"{sign}{shillings:,}"


def _nairobi(at: str | None) -> str:
    """An instant as people there read it."""
    then = read_instant(at)
    return _NO_TIME if then is None else then.astimezone(NAIROBI).strftime("%-d %b %Y, %H:%M")
