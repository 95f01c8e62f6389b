"""A fleet: boxes with books on disk that talk with one hub as the daemon's do, over a way that does what it likes.

The boxes' time runs faster than the world's, so that what waits for seconds waits for a few hundredths.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import httpx

from easyisp_edge.adapters.central.client import CentralClient, enrol
from easyisp_edge.adapters.central.keys import KeyFiles
from easyisp_edge.adapters.daraja.c2b import parse_c2b
from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.central import SyncSite
from easyisp_edge.domain.events import Stream
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.services.sync.apart import Progress, TakingBack
from easyisp_edge.services.sync.central_config import CentralConfigService
from easyisp_edge.services.sync.down import DownService
from easyisp_edge.services.sync.in_step import SyncService
from easyisp_edge.services.sync.key_renewal import KeyRenewal
from easyisp_edge.services.sync.link import SyncLink
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.digests import digests
from easyisp_edge.store.store import Store
from easyisp_edge.system import SystemRandomness
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.hub_stage import HOST, hub_config, parts_of, running_hub, write_config
from tests.fakes.ports import free_port
from tests.unit.shop import HOUR, a_prompted_purchase, check_books
from tests.unit.store.told_books import STEPS, Box, Business, UndoneError
from tests.unit.web.webhook_bodies import stk_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.hub import Hub
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

_RATE = 20.0
# By the boxes' clocks: each changes its key every few seconds, whatever becomes of the hub meanwhile.
KEY_RENEWED_EVERY = timedelta(minutes=1)
_SPAWNER = Path(__file__).with_name("hub_spawner.py")
_NUMBERS_A_BOX = 1000
_HELD_SECONDS = 0.4
# M-Pesa's answers are not signed, and TLS keeps them whole.
_DARAJA_KINDS = ("request lost", "request twice", "request late", "overtaken", "answer lost", "answer late")


class FastTime:
    """A `TimeSource` whose seconds are short."""

    boot_id = "boot-1"

    def __init__(self) -> None:
        self._began = time.monotonic()

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.since_boot())

    def since_boot(self) -> float:
        return (time.monotonic() - self._began) * _RATE

    def synchronised(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / _RATE)


class _Whole(httpx.AsyncByteStream):
    """A body as it came, still packed."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


@dataclass
class Mischief:
    """What a way does to requests and answers, and how often it did.

    Args:
        chance: Decides.
        share: How many of all requests something happens to, of 1.
    """

    chance: random.Random
    share: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    stored: int = 0

    def choose(self, kinds: tuple[str, ...]) -> str:
        """What happens to this one; empty for nothing."""
        kind = self.chance.choice(kinds) if self.chance.random() < self.share else ""
        self.done[kind] += 1
        return kind


class SpoiltWay(httpx.AsyncBaseTransport):
    """One box's way to the hub: loses, doubles, delays and overtakes requests, and does the like to answers."""

    KINDS = ("request lost", "request twice", "request late", "overtaken", "answer lost", "answer late", "answer cut",
             "answer of another")  # fmt: skip

    def __init__(self, mischief: Mischief, kinds: tuple[str, ...] = KINDS) -> None:
        self._mischief = mischief
        self._kinds = kinds
        self._inner = httpx.AsyncHTTPTransport()
        self._held: set[asyncio.Task[None]] = set()
        self._former: httpx.Response | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        kind = self._mischief.choose(self._kinds)
        if kind == "request lost":
            raise httpx.ReadError("lost", request=request)
        if kind in {"overtaken", "request twice"}:
            self._hold(request)
        if kind == "overtaken":
            raise httpx.ReadTimeout("it is still on its way", request=request)
        if kind == "request late":
            await self._dawdle()
        return await self._answer(kind, request)

    async def aclose(self) -> None:
        for task in self._held:
            task.cancel()
        await asyncio.gather(*self._held, return_exceptions=True)
        await self._inner.aclose()

    async def _answer(self, kind: str, request: httpx.Request) -> httpx.Response:
        answer = await self._sent(request)
        former, self._former = self._former, answer
        if kind == "answer lost":
            raise httpx.ReadError("lost", request=request)
        if kind == "answer late":
            await self._dawdle()
        if kind == "answer of another" and former is not None:
            return _again(former)
        return _again(answer, cut=kind == "answer cut")

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        is_told = request.method == "POST"  # the others may wait for long
        self._mischief.under_way += is_told
        try:
            response = await self._inner.handle_async_request(request)
            try:
                body = b"".join([part async for part in cast("httpx.AsyncByteStream", response.stream)])
            finally:
                await response.aclose()
        finally:
            self._mischief.under_way -= is_told
        if is_told and response.status_code == httpx.codes.OK:
            self._mischief.stored += 1
        return httpx.Response(response.status_code, headers=response.headers, extensions={"body": body})

    def _hold(self, request: httpx.Request) -> None:
        """Have a copy arrive on its own, maybe after those that come later."""
        task = asyncio.create_task(self._send_later(request))
        self._held.add(task)
        task.add_done_callback(self._held.discard)

    async def _send_later(self, request: httpx.Request) -> None:
        await self._dawdle()
        with contextlib.suppress(httpx.HTTPError):
            copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            await self._sent(copy)

    async def _dawdle(self) -> None:
        await asyncio.sleep(self._mischief.chance.random() * _HELD_SECONDS)


def _again(answer: httpx.Response, *, cut: bool = False) -> httpx.Response:
    body = answer.extensions["body"]
    whole = body[: len(body) // 2] if cut else body
    return httpx.Response(answer.status_code, headers=answer.headers, stream=_Whole(whole))


@dataclass
class FleetBox:
    """A box: books on disk, and what keeps them in step with the hub.

    Args:
        number: Among the fleet.
        folder: Its own.
        store: Its books.
        database: The same, to be read as a whole.
        clock: Its time.
        link: To the hub.
        sync: Keeps it.
        chance: Decides what happens.
        daraja: What M-Pesa posts with.
        sold: The receipts of what was paid for at the box.
        relayed: The same of what the hub was told first.
    """

    number: int
    folder: Path
    store: Store
    database: ThreadedDatabase
    clock: BoxClock
    link: SyncLink
    sync: SyncService
    chance: random.Random
    daraja: httpx.AsyncClient
    sold: list[str] = field(default_factory=list)
    relayed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin its business."""
        self._business = Business(cast("Box", self), SeededRandomness(self.number))

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, folder: Path, number: int, mischief: Mischief) -> AsyncIterator[FleetBox]:
        """A box that runs within the block; its books keep all rules at the end."""
        database = await ThreadedDatabase.open(folder / "edge.sqlite")
        clock = BoxClock(FastTime(), None)
        store = Store(database, clock)
        committing = asyncio.create_task(store.run())
        try:
            async with (
                httpx.AsyncClient(transport=SpoiltWay(mischief), timeout=90) as http,
                httpx.AsyncClient(transport=SpoiltWay(mischief, _DARAJA_KINDS), timeout=90) as daraja,
            ):
                sync = _sync(folder, store, clock, http)
                yield cls(number, folder, store, database, clock, sync.link, sync, random.Random(number), daraja)
            await database.survey(check_books)
        finally:
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
            await database.close()

    async def enrol(self, hub: Hub, hub_url: str) -> None:
        """Become a site's box, and talk with its hub at an address from then on."""
        enrolment = parts_of(hub).enrolment
        new = await enrolment.new_code(f"site {self.number}")
        key = KeyFiles(self.folder, SystemRandomness()).new()
        async with httpx.AsyncClient(timeout=30) as http:
            told = await enrol(http, hub.address, new.code, key)
        await enrolment.confirm(told.site_id)
        now = self.clock.now()
        site = SyncSite(hub_url, told.site_id, told.epoch, told.hub_key, key.public, told.callback_base, now, now)
        await self.store.write(lambda tx: tx.sync.enrol(site))

    @property
    def site_id(self) -> str:
        site = self.link.site
        assert site is not None
        return site.site_id

    async def sell(self, stop: asyncio.Event) -> None:
        """Do business: a sale, and something else, again and again."""
        first = self.number * _NUMBERS_A_BOX
        while not stop.is_set():
            number = first + len(self.sold)
            for name in ("buy", "pay", "live", "use"):
                await self._happen(name, number)
            self.sold.append(f"RECEIPT{number:03}")
            await self._happen(self.chance.choice(sorted(STEPS)), self.chance.randint(first, number))
            await asyncio.sleep(self.chance.random() * 0.4)

    async def sell_relayed(self, stop: asyncio.Event, hub_url: str) -> None:
        """Have purchases paid whose callback M-Pesa posts to the hub, until it is told that it was taken."""
        first = self.number * _NUMBERS_A_BOX + _NUMBERS_A_BOX // 2
        while not stop.is_set():
            number = first + len(self.relayed)
            receipt, token = f"RLY{number:07}", f"{number:032x}"
            await self.store.write(lambda tx, number=number, token=token: _buy(tx, number, token))  # type: ignore[misc]
            body = stk_body(receipt, checkout=f"ws_CO_{number}")
            url = f"{hub_url}/cb/{self.site_id}/c/{token}"
            while not await self._posted(url, body):  # noqa: ASYNC110 - nothing rings when the hub is back
                await asyncio.sleep(self.chance.random() * 0.1)
            self.relayed.append(receipt)
            await asyncio.sleep(self.chance.random() * 0.4)

    async def _posted(self, url: str, body: object) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return (await self.daraja.post(url, json=body)).status_code == httpx.codes.OK
        return False

    def lacks(self) -> list[str]:
        """Receipts the hub was told and this box has not booked."""
        return [receipt for receipt in self.relayed if self.store.read.payments.by_receipt(receipt) is None]

    def keys_changed(self) -> int:
        """How often this box has gone on with another key."""
        return self.store.read.events.count_since(self.site_id, "sync.key_changed", START - timedelta(days=1))

    async def _happen(self, name: str, number: int) -> None:
        with contextlib.suppress(UndoneError):
            await self.store.write(lambda tx: STEPS[name](self._business, tx, number))

    async def count(self) -> None:
        """Tell what all sessions that are on come to."""
        await self.store.write(lambda tx: tx.changes.count_open(START - timedelta(days=1), sessions=True))

    def is_drained(self) -> bool:
        """Whether the hub knows all there is."""
        if not self.link.in_step:
            return False
        read = self.store.read
        return all(read.events.head(stream)[0] == read.sync.acked(stream) for stream in Stream)

    async def digests(self) -> dict[str, str]:
        return await self.database.survey(digests)

    async def lines(self, stream: Stream) -> list[tuple[int, bytes]]:
        """Number and line of all its events."""

        def found(tx: Tables) -> list[tuple[int, bytes]]:
            return [(number, bytes(body)) for number, body in tx.events.bodies_after(stream, 0, 1_000_000)]

        return await self.store.survey(found)


def _sync(folder: Path, store: Store, clock: BoxClock, http: httpx.AsyncClient) -> SyncService:
    """What keeps a box in step, joined as in the daemon; but for routers and published configurations."""
    keys = KeyFiles(folder, SystemRandomness())
    link = SyncLink(
        store=store, clock=clock, randomness=SystemRandomness(),
        connect=lambda at: CentralClient(http, at, keys.of(at.public_key)),
    )  # fmt: skip
    identifiers = Identifiers(SystemRandomness())
    down = DownService(
        link=link,
        settlement=cast(
            "SettlementService",
            SimpleNamespace(judge=lambda tx: Judge(tx, clock.now(), identifiers), query_due=lambda: None),
        ),
        access=AccessService(store, clock, {}, {}),
        site=cast("Site", SimpleNamespace(receiver=lambda _: None)),
        configs=CentralConfigService(store, clock, lambda _: None, _nothing),
        read_callback=parse_stk_callback,
        read_notice=lambda body: parse_c2b(body).record,
        look=lambda: None,
        tenants=set,
    )
    renewal = KeyRenewal(link, keys.new, keys.keep, asyncio.Lock(), KEY_RENEWED_EVERY)
    others = {"down": down.round, "new key": renewal.round}
    return SyncService(link, TakingBack(link, _nothing, Progress()), others, _nothing)


def _buy(tx: Tables, number: int, token: str) -> None:
    """A push was sent whose callback has an address of its own."""
    version = tx.packages.version_of(HOUR, START)
    purchase = a_prompted_purchase(
        purchase_id=f"{number:032}",
        package_version_id=version.version_id,
        account_reference=f"REF{number:07}",
        checkout_request_id=f"ws_CO_{number}",
    )
    tx.purchases.add(purchase, token)
    tx.purchases.update(purchase)


async def _nothing() -> None:
    """Nothing else hangs on these books."""


@dataclass
class KilledHub:
    """A hub in a process of its own that is killed again and again.

    Args:
        folder: For its files.
        database: What it knows.
        port: Where it listens.
    """

    folder: Path
    database: DatabaseAddress
    port: int = field(default_factory=free_port)
    kills: int = 0
    _pid: int = 0

    @contextlib.asynccontextmanager
    async def loaded(self) -> AsyncIterator[KilledHub]:
        """Ready to be started within the block."""
        config = write_config(self.folder, self.database, self.port)
        self._spawner = await asyncio.create_subprocess_exec(
            sys.executable, str(_SPAWNER), str(config), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            yield self
        finally:
            if self._spawner.returncode is None:
                self._spawner.kill()  # the hub dies with it
            await self._spawner.wait()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        assert self._spawner.stdin is not None
        assert self._spawner.stdout is not None
        self._spawner.stdin.write(b"start\n")
        self._pid = int(await self._spawner.stdout.readline())
        async with asyncio.timeout(30):
            while not await self._listens():  # noqa: ASYNC110 - another process rings no bell
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        assert self._spawner.stdout is not None
        os.kill(self._pid, signal.SIGKILL)
        assert await self._spawner.stdout.readline() == b"ended\n"
        self.kills += 1

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Hub]:
        """A hub of this process on the same database, on another port."""
        async with running_hub(hub_config(self.folder, self.database)) as hub:
            yield hub

    async def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, self.port)
            writer.close()
            return True
        return False


async def holds(condition: Callable[[], bool], seconds: float, told: Callable[[], object]) -> None:
    """Wait for something; what is told stands in the error where it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for rings no bell
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise AssertionError(f"not within {seconds} s: {told()}") from error


async def all_of(works: list[Awaitable[object]]) -> None:
    """Do all at once."""
    await asyncio.gather(*works)
