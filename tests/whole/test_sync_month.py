"""Thirty days without a hub at 150 sales a day: nobody at the site notices, and all of it goes up in minutes after."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.services.access import grant_life
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.services.sync.link import RETURN_SECONDS
from easyisp_edge.system import SystemRandomness
from tests.bench.books import paid_callback
from tests.fakes.hub_stage import hub_config, running_hub
from tests.unit.shop import ROUTER, a_prompted_purchase
from tests.whole.stage import RADIUS_ONLY, MovedTime, Stage
from tests.whole.sync_stage import Wire, enrol, side, until_same

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.store.store import Store, Tables

pytestmark = pytest.mark.timeout(180)

DAYS, SALES_A_DAY = 30, 150
HOURS_OF_SALES, HOUR_SECONDS = (8, 13, 18), 3600.0
SALES_AN_HOUR = SALES_A_DAY // len(HOURS_OF_SALES)
LINE_OCTETS_A_SECOND = 1_000_000 / 8
DRAINED_WITHIN_SECONDS = 600.0
# So much faster than a real one does the clock run while the backlog is drained, and while the box has yet to ask.
HURRY, HURRY_BEFORE = 3, 100
GROWS_MOST_OCTETS = 48 * 2**20
WARM_AFTER_DAYS = 3


class WoundTime(MovedTime):
    """The machine's time, which may be wound on: whoever sleeps wakes when it is late enough by it."""

    def __init__(self) -> None:
        super().__init__()
        self._wound = asyncio.Event()

    def move(self, seconds: float) -> None:
        super().move(seconds)
        self._wound.set()
        self._wound = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        due = self.since_boot() + seconds
        await asyncio.sleep(0)
        while (left := due - self.since_boot()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._wound.wait()
            except TimeoutError:
                continue


@dataclass
class ThinLine(Wire):
    """A wire that passes so many octets a second, in both directions together, by a clock.

    Args:
        time: The clock.
        octets_a_second: How many; None: as they come.
    """

    time: MovedTime = field(default_factory=MovedTime)
    octets_a_second: float | None = None
    _free_at: float = 0.0

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(4096):
            self.octets += len(piece)
            if self.octets_a_second is not None:
                now = self.time.since_boot()
                self._free_at = max(now, self._free_at) + len(piece) / self.octets_a_second
                await self.time.sleep(self._free_at - now)
            sink.write(piece)
            await sink.drain()
        raise ConnectionResetError


@dataclass
class Trade:
    """Sales by the services that book them, without their HTTP.

    Args:
        store: Of a box that runs.
        now: Its time.
        package: What is sold.
        identifiers: Of everything new.
        sold: How many.
    """

    store: Store
    now: datetime
    package: Package
    identifiers: Identifiers
    sold: int = 0

    @classmethod
    def of(cls, box: Stage) -> Trade:
        """At a box that runs."""
        parts = side(box)
        package = parts.site.config.package("default", "1h")
        return cls(parts.link.store, parts.link.clock.now(), package, Identifiers(SystemRandomness()))

    async def sell(self, now: datetime, count: int) -> None:
        """So many sales at once, each from the prompt to the end of its session."""
        self.now = now
        numbers = range(self.sold, self.sold + count)
        self.sold += count
        for step in (self._prompt, self._settle, self._come_on, self._go_off):
            await asyncio.gather(*(self.store.write(partial(step, number)) for number in numbers))

    def _prompt(self, number: int, tx: Tables) -> None:
        version = tx.packages.version_of(self.package, self.now)
        purchase = a_prompted_purchase(
            purchase_id=_purchase_id(number),
            package_version_id=version.version_id,
            phone=Msisdn(f"25470{number % 1500:07}"),
            mac=_mac(number),
            account_reference=f"REF{number:07}",
            checkout_request_id=f"ws_CO_{number}",
            merchant_request_id=f"29115-{number}",
            created_at=self.now,
            changed_at=self.now,
        )
        tx.purchases.add(purchase, f"token-{number}")
        tx.purchases.update(purchase)
        tx.events.append(Stream.MONEY, "purchase.started", purchase.purchase_id, {"phone": purchase.phone.digits})

    def _settle(self, number: int, tx: Tables) -> None:
        purchase = tx.purchases.by_id(_purchase_id(number))
        assert purchase is not None
        report = parse_stk_callback(paid_callback(purchase, f"TKM{number:07}"), EvidenceSource.STK_CALLBACK)
        Judge(tx, self.now, self.identifiers).settle(purchase.purchase_id, report)

    def _come_on(self, number: int, tx: Tables) -> None:
        grant = tx.grants.by_purchase(_purchase_id(number))
        assert grant is not None
        grant_life.start(tx, grant, self.now)
        tx.sessions.add(Session.begun(_usage(number, grant.username, UsageKind.START, 0), grant.grant_id, self.now))

    def _go_off(self, number: int, tx: Tables) -> None:
        grant = tx.grants.by_purchase(_purchase_id(number))
        assert grant is not None
        (before,) = tx.sessions.named(ROUTER, f"8{number:07}", grant.username)
        at = self.now + timedelta(minutes=50)
        told = before.told(_usage(number, grant.username, UsageKind.STOP, 3000), at)
        tx.sessions.update(told)
        tx.grants.use(grant.grant_id, told.seconds, told.octets_counted)


def _purchase_id(number: int) -> str:
    return f"{number:032x}"


def _mac(number: int) -> MacAddress:
    return MacAddress(f"02:00:00:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}")


def _usage(number: int, username: str, kind: UsageKind, seconds: int) -> UsageReport:
    octets = seconds * 40_000
    address = f"10.6.{number >> 8 & 255}.{number & 255}"
    return UsageReport(
        ROUTER, kind, f"8{number:07}", username, None, _mac(number), address, seconds, octets, octets // 8, ""
    )


def resident_octets() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Site:
    """A box on a clock that is wound on.

    Args:
        box: The box.
        time: Its clock.
        trade: What is sold beside the portal.
    """

    box: Stage
    time: WoundTime
    trade: Trade

    async def day(self, number: int) -> None:
        """One day: a customer of flesh and blood in the morning, all others by the services."""
        for hour in range(24):
            if hour == HOURS_OF_SALES[0]:
                await self._customer(number)
            if hour in HOURS_OF_SALES:
                await self.trade.sell(side(self.box).link.clock.now(), SALES_AN_HOUR - (hour == HOURS_OF_SALES[0]))
            self.time.move(HOUR_SECONDS)
            await asyncio.sleep(0.005)  # whoever was woken does its work
        await self._until(number, "ended")

    async def _customer(self, number: int) -> None:
        """The first page, a purchase, and a login that RADIUS lets on."""
        mac, phone = _device(number), f"07330{number:05}"
        self.box.router.connect_device(mac, f"10.5.51.{number + 1}")
        status, _ = await self.box.get("/", mac=mac)
        assert status == 200
        purchase_id = await self.box.buy(phone=phone, macAddress=mac)
        await self.box.pay(phone)
        bought = await self.box.until_status(purchase_id, "completed")
        await self.box.router.log_in(mac, bought["username"], bought["password"])
        assert self.box.router.is_online(mac)
        await self._until(number, "running")

    async def _until(self, number: int, state: str) -> None:
        async def holds() -> bool:
            return await self.box.count("grants", f"mac = '{_device(number)}' AND state = '{state}'") == 1

        await self.box.until(holds, seconds=5, what=f"on day {number} a grant that is {state}")

    def waiting(self) -> int:
        """How many events the hub does not know of."""
        streams = side(self.box).sync.status()["streams"].values()
        return sum(each["waiting"] for each in streams)


def _device(number: int) -> str:
    return f"AA:BB:CC:01:00:{number:02X}"


async def test_thirty_days_without_a_hub(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Portal, RADIUS and grants are as ever each day; 30 days of sales go up within ten minutes at 1 Mbit/s."""
    for name in ("hub", "box"):
        (tmp_path / name).mkdir()
    time = WoundTime()
    box = Stage(tmp_path / "box", mode="radius", files={"routers.toml": RADIUS_ONLY}, time=time)
    config = hub_config(tmp_path / "hub", SqliteAddress(tmp_path / "hub" / "hub.sqlite"))
    async with running_hub(config) as hub:
        line = ThinLine(int(hub.address.rpartition(":")[2]), time=time)
        async with line.running(), box:
            site_id = await enrol(box, hub, line.url)
            site = Site(box, time, Trade.of(box))
            await box.until(lambda: side(box).link.in_step and not site.waiting(), seconds=20, what="in step")
            side(box).link.return_seconds = RETURN_SECONDS
            line.is_up = False
            line.cut()
            grown = await thirty_days(site)
            assert grown < GROWS_MOST_OCTETS
            assert await box.count("payments") == DAYS * SALES_A_DAY
            backlog = site.waiting()
            line.octets, line.octets_a_second = 0, LINE_OCTETS_A_SECOND
            line.is_up = True
            took = await drained(site, line)
            sent = line.octets / LINE_OCTETS_A_SECOND
            found = {"events": backlog, "octets": line.octets, "seconds_on_the_line": sent, "drained_after": took}
            for name, value in {**found, "octets_grown": grown}.items():
                record_property(name, value)
            assert sent <= took <= DRAINED_WITHIN_SECONDS
            line.octets_a_second = None
            await until_same(box, hub, site_id)


async def thirty_days(site: Site) -> int:
    """Let them pass, the hub away; gives by how many octets the process grew once it was warm."""
    warm = 0
    for number in range(DAYS):
        await site.day(number)
        status = side(site.box).sync.status()
        assert status["selling"]
        assert site.waiting() > number * SALES_A_DAY
        if number + 1 == WARM_AFTER_DAYS:
            warm = resident_octets()
    return resident_octets() - warm


async def drained(site: Site, line: ThinLine) -> float:
    """Wait until the hub knows everything, on a clock that hurries; gives how long that took by this clock."""
    began = real = site.time.since_boot()
    while site.waiting() or not side(site.box).link.in_step:
        assert site.time.since_boot() - began < DRAINED_WITHIN_SECONDS, side(site.box).sync.status()
        await asyncio.sleep(0.02)
        hurry = HURRY if line.octets else HURRY_BEFORE
        site.time.move((hurry - 1) * (site.time.since_boot() - real))
        real = site.time.since_boot()
    return site.time.since_boot() - began
