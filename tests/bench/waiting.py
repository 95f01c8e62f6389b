"""How long payers wait when every callback is lost: from the PIN to the grant, at the pace M-Pesa answers queries.

All pay within half a minute, and M-Pesa lets few queries through a minute. It takes as long as it takes: several
minutes, which is why nobody runs it by the way.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp

from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaLab, DarajaOptions, Payer, PullHandling
from easyisp_edge.store.checks import opened_for_reading
from easyisp_edge.store.columns import read_instant
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.bench.measures import Measure, at_least, one, percentile
from tests.bench.processes import HOST
from tests.bench.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from tests.bench.books import Past
    from tests.bench.sizes import Sizes

_LIST = '[gateway.pull]\nnominated_number = "0722000000"\nevery = "1m"\n'
_PIN_SECONDS_LEAST, _PIN_SECONDS_SPREAD = 4.0, 24.0
_LOOK_SECONDS = 1.0
# Who is not online a minute after the PIN pays again, or goes.
_PATIENCE_SECONDS = 60.0
_SHARE_TARGET = at_least(99)


@dataclass(frozen=True, slots=True)
class _Way:
    """How the box learns what was paid.

    Args:
        name: The figure.
        folder: Of its site.
        shown_after_seconds: How late M-Pesa lists a payment; None where its list is not read.
    """

    name: str
    folder: str
    shown_after_seconds: float | None = None


_WAYS = (
    _Way("by query alone", "query"),
    _Way("list every minute, shown at once", "list", 0.0),
    _Way("list every minute, shown after 2 minutes", "late-list", 120.0),
)


def run(folder: Path, sizes: Sizes, _past: Past) -> Iterator[Measure]:
    """Median, p99 and longest wait, and the share online a minute after the PIN, by each way."""
    for way, waits, answered in asyncio.run(_all_ways(folder, sizes)):
        name = f"{sizes.customers} at once, {sizes.queries_per_minute} queries a minute, {way.name}"
        for share, said in ((0.5, "p50"), (0.99, "p99"), (1.0, "longest")):
            yield one(name, f"PIN to grant, {said}", "s", percentile(waits.known, share))
        soon = sum(wait <= _PATIENCE_SECONDS for wait in waits.known) / sizes.customers * 100
        # Nobody can be granted what M-Pesa tells nobody yet.
        target = _SHARE_TARGET if way.shown_after_seconds == 0.0 else None
        yield one(name, "granted within 60 s", "%", soon, target)
        yield one(name, "still waiting at the end", "", waits.open)
        yield one(name, "queries answered", "", answered)


@dataclass(frozen=True, slots=True)
class _Waits:
    """Seconds from each PIN to its grant; for those still `open`, to the end of the run."""

    known: list[float]
    open: int


async def _all_ways(folder: Path, sizes: Sizes) -> list[tuple[_Way, _Waits, int]]:
    """All at the same time: what each does is mostly to wait."""
    return list(await asyncio.gather(*(_one_way(way, folder, sizes) for way in _WAYS)))


async def _one_way(way: _Way, folder: Path, sizes: Sizes) -> tuple[_Way, _Waits, int]:
    site = Site.lay_out(folder / way.folder, "radius")
    with (site.folder / "gateways.toml").open("a", encoding="utf-8") as gateways:
        gateways.write(f"queries_per_minute = {sizes.queries_per_minute}\n")
        gateways.write("" if way.shown_after_seconds is None else _LIST)
    clock = SystemClock()
    lab = DarajaLab(clock=clock, randomness=SystemRandomness(), options=_options(way, sizes))
    await lab.start(wire_port=site.ports.payments)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(lab.close)
        daemon = await asyncio.to_thread(site.run)
        stack.push_async_callback(asyncio.to_thread, daemon.__exit__, None, None, None)
        await _buy_all(site, lab, sizes)
        await _until_granted(site, lab, sizes)
        return way, _waits(site, lab, clock.now()), sum(push.queries for push in lab.accepted)


def _options(way: _Way, sizes: Sizes) -> DarajaOptions:
    pull = PullHandling(visible_after_seconds=way.shown_after_seconds or 0.0)
    return replace(DarajaOptions(), queries_per_minute=sizes.queries_per_minute, pull=pull)


async def _buy_all(site: Site, lab: DarajaLab, sizes: Sizes) -> None:
    """Everybody starts a purchase at once, and finds the PIN one after the other."""
    lost = CallbackHandling(copies=0)
    async with aiohttp.ClientSession(f"http://{HOST}:{site.ports.portal}") as http:
        orders = []
        for number in range(sizes.customers):
            pin_after = _PIN_SECONDS_LEAST + _PIN_SECONDS_SPREAD * number / sizes.customers
            phone = f"2547{number:08}"
            lab.set_behaviour(phone, Behaviour(payer=Payer.PIN, payer_after_seconds=pin_after, callback=lost))
            mac = f"06:01:00:00:{number >> 8:02X}:{number & 255:02X}"
            orders.append({"packageId": "1h", "phone": phone, "macAddress": mac, "nasIp": HOST})
        await asyncio.gather(*(_buy(http, order) for order in orders))


async def _buy(http: aiohttp.ClientSession, order: dict[str, str]) -> None:
    async with http.post("/api/portal/mpesa/initiate", json=order) as answer:
        answer.raise_for_status()


async def _until_granted(site: Site, lab: DarajaLab, sizes: Sizes) -> None:
    """Return when all who paid have their grant, or the time is over."""
    for _ in range(round(sizes.waiting_seconds / _LOOK_SECONDS)):
        if len(lab.debits) == len(_granted(site)) == sizes.customers:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _granted(site: Site) -> dict[str, datetime]:
    """When which push was answered with a grant."""
    with opened_for_reading(site.store) as connection:
        rows = connection.execute(
            "SELECT checkout_request_id, g.created_at FROM grants g JOIN purchases USING (purchase_id)"
        ).fetchall()
    return {checkout_request_id: read_instant(at) for checkout_request_id, at in rows}


def _waits(site: Site, lab: DarajaLab, end: datetime) -> _Waits:
    granted = _granted(site)
    known = [(granted.get(debit.checkout_request_id, end) - debit.at).total_seconds() for debit in lab.debits]
    return _Waits(known, sum(debit.checkout_request_id not in granted for debit in lab.debits))
