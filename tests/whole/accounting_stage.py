"""A day at a site on a clock wound by hand: the lab's MikroTik, and a box that answers it over a bad wire.

The RADIUS packets are real, on loopback; time is not. The box can be started anew, and lose its power.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius.coa_client import CoaClient
from easyisp_edge.adapters.radius.coa_packets import CoaRouter, CoaSession
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.adapters.radius.server import RadiusServer
from easyisp_edge.errors import UnavailableError
from easyisp_edge.lab.mikrotik import MikrotikLab, MikrotikOptions, TrapError
from easyisp_edge.lab.mikrotik import RadiusServer as RadiusEntry
from easyisp_edge.lab.mikrotik.sessions import SessionIds
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.disconnect import DisconnectService
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.lockout import Lockout
from easyisp_edge.services.access.logins import LoginService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.store.store import Tables
from easyisp_edge.system import SocketUdpEndpoint
from easyisp_edge.timekeeping import BoxClock, ClockMark
from tests.fakes.mikrotik_stage import HandClock, SeededRandomness
from tests.unit.services.access.accounting_desk import MemoryStore
from tests.unit.shop import ROUTER, TENANT, add_grant, tables_in_memory

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.lab.mikrotik.sessions import Session as RouterSession
    from easyisp_edge.machine import UdpAddress, UdpEndpoint

HOST = "127.0.0.1"
SECRET = "only-good-on-loopback"
INTERIM_SECONDS = 60
LOOK_SECONDS = 30.0
LATE_MAX_SECONDS = 8.0


class BoxTime:
    """The box's `TimeSource` on the day's clock; a power cut begins another boot."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._booted = 0.0
        self.boot_id = "boot-1"

    def reboot(self) -> None:
        self._booted = self._clock.monotonic()
        self.boot_id = f"boot at {self._booted}"

    def wall(self) -> datetime:
        return self._clock.now()

    def since_boot(self) -> float:
        return self._clock.monotonic() - self._booted

    def synchronised(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class BadWire:
    """A `UdpEndpoint` that loses datagrams, doubles them, and lets some overtake others; deaf when told to be."""

    def __init__(self, inner: UdpEndpoint, clock: HandClock, draw: random.Random) -> None:
        self.deaf = False
        self._inner = inner
        self._clock = clock
        self._draw = draw
        self._ready: deque[tuple[bytes, UdpAddress]] = deque()
        self._late: set[asyncio.Task[None]] = set()
        self._wake: Callable[[], None] = lambda: None

    @property
    def address(self) -> UdpAddress:
        return self._inner.address

    def on_readable(self, callback: Callable[[], None]) -> None:
        self._wake = callback
        self._inner.on_readable(callback)

    def receive(self) -> tuple[bytes, UdpAddress] | None:
        while not self._ready:
            received = self._inner.receive()
            if received is None:
                return None
            self._carry(received)
        return self._ready.popleft()

    def send(self, datagram: bytes, address: UdpAddress) -> None:
        if self._draw.random() >= 0.1:
            self._inner.send(datagram, address)

    def close(self) -> None:
        self._inner.close()
        for task in self._late:
            task.cancel()

    def _carry(self, received: tuple[bytes, UdpAddress]) -> None:
        fate = self._draw.random()
        if self.deaf or fate < 0.1:
            return
        if fate < 0.3:
            task = asyncio.get_running_loop().create_task(self._come_late(received))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        if not 0.1 <= fate < 0.2:
            self._ready.append(received)

    async def _come_late(self, received: tuple[bytes, UdpAddress]) -> None:
        await self._clock.sleep(self._draw.uniform(0, LATE_MAX_SECONDS))
        self._ready.append(received)
        self._wake()


@dataclass
class Box:
    """The daemon's parts, as long as they live."""

    clock: BoxClock
    access: AccessService
    accounting: AccountingService
    wire: BadWire
    tasks: list[asyncio.Task[None]]

    async def die(self) -> ClockMark:
        """Stop at once; what was written down last."""
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        failed = [error for error in ended if error and not isinstance(error, asyncio.CancelledError)]
        assert failed == []
        self.wire.close()
        return self.clock.mark()


@dataclass
class Day:
    """A site's day.

    Args:
        clock: Its time.
        lab: The router.
        sql: The box's books.
        tx: Their tables.
        draw: Its chances.
        box_time: The box's raw time.
        ports: Of the box's doors for logins and for accounting.
        endpoints: Both, bound already, for the box's first life.
        grant: What was bought.
        box: The box, while it runs.
        mark: What the last one wrote down of the time.
        served: What the router really served: session, and how many seconds it was on.
    """

    clock: HandClock
    lab: MikrotikLab
    sql: sqlite3.Connection
    tx: Tables
    draw: random.Random
    box_time: BoxTime
    ports: tuple[int, int]
    endpoints: tuple[UdpEndpoint, UdpEndpoint] | None
    grant: Grant
    box: Box | None = None
    mark: ClockMark | None = None
    served: list[tuple[RouterSession, float]] = field(default_factory=list)

    def start_box(self) -> None:
        """Build the daemon's parts over the books, and let them run."""
        clock = BoxClock(self.box_time, self.mark)
        store = MemoryStore(self.sql, Tables(self.sql, clock))
        presence, over = Presence(), Wake()
        access = AccessService(store, clock, {ROUTER: TENANT}, {}, {ROUTER: over})
        accounting = AccountingService(
            store=store,
            clock=clock,
            presence=presence,
            routers={ROUTER: ReportingRouter(TENANT, timedelta(seconds=INTERIM_SECONDS))},
            clock_set_at=lambda: clock.set_at,
            listening_since=clock.now(),
            used_up=access.tell_routers,
        )
        auth, acct = self.endpoints or tuple(SocketUdpEndpoint.bind(HOST, port) for port in self.ports)
        self.endpoints, wire = None, BadWire(acct, self.clock, self.draw)
        server = RadiusServer(
            auth=auth,
            acct=wire,
            clients=[RadiusClient(ROUTER, HOST, SECRET.encode(), "required", INTERIM_SECONDS)],
            clock=clock,
            authorize=LoginService(access, lambda _, refusal: refusal.key, Lockout(clock)).answer,
            account=accounting.account,
        )
        client = CoaClient(endpoint=SocketUdpEndpoint.bind(HOST, 0), clock=clock)
        orders = self._orders(store, clock, presence, client, access)
        works = (server.run(), client.run(), self._look(access, accounting), self._obey(orders, over, clock))
        loop = asyncio.get_running_loop()
        self.box = Box(clock, access, accounting, wire, [loop.create_task(work) for work in works])

    def _orders(
        self, store: MemoryStore, clock: BoxClock, presence: Presence, client: CoaClient, access: AccessService
    ) -> DisconnectService[CoaSession]:
        router = CoaRouter(ROUTER, HOST, self.lab.coa_port or 0, SECRET.encode())

        def named(session: Session) -> CoaSession:
            return CoaSession(router, session.username, session.address, session.acct_session_id)

        return DisconnectService(
            router_id=ROUTER,
            store=store,
            clock=clock,
            presence=presence,
            control=client,
            named=named,
            may_stay=access.may_stay,
        )

    async def _look(self, access: AccessService, accounting: AccountingService) -> None:
        while True:
            await accounting.silence_round()
            await access.end_round()
            await self.clock.sleep(LOOK_SECONDS)

    async def _obey(self, orders: DisconnectService[CoaSession], over: Wake, clock: BoxClock) -> None:
        while True:
            await over.wait(clock, 600)
            with contextlib.suppress(UnavailableError):
                await orders.round()

    async def restart_box(self, *, power_cut: bool, down_seconds: float = 90) -> None:
        """The daemon dies and comes back a while later; after a power cut in another boot."""
        assert self.box is not None
        self.mark, self.box = await self.box.die(), None
        await self.clock.advance(down_seconds)
        if power_cut:
            self.box_time.reboot()
        self.start_box()

    async def log_in(self, mac: str) -> RouterSession | None:
        """Log a device in by the grant; None where the box refuses."""
        self.lab.connect_device(mac, "10.5.50.11")
        login = asyncio.create_task(self.lab.log_in(mac, self.grant.username, self.grant.password))
        await self.clock.advance(2)
        with contextlib.suppress(TrapError):
            await login
        return self.lab.hotspot.sessions.get(mac)

    async def cut_power(self, *, same_ids: bool) -> None:
        """The router loses its power; who was on is off without a word."""
        for session in self.lab.hotspot.sessions.values():
            self.served.append((session, session.uptime(self.clock.monotonic())))
        await self.lab.reboot(40)
        if same_ids:
            self.lab.hotspot._acct_ids = SessionIds()
        await self.clock.advance(41)


@contextlib.asynccontextmanager
async def a_day(package: Package, draw: random.Random) -> AsyncIterator[Day]:
    """A box, a router, and one grant of a package."""
    clock = HandClock()
    box_time = BoxTime(clock)
    sql, tx = tables_in_memory()
    grant = add_grant(tx, package, mac=None)
    auth, acct = SocketUdpEndpoint.bind(HOST, 0), SocketUdpEndpoint.bind(HOST, 0)
    ports = (auth.address.port, acct.address.port)
    entry = RadiusEntry(HOST, SECRET, authentication_port=ports[0], accounting_port=ports[1])
    options = MikrotikOptions(use_radius=True, radius_servers=(entry,))
    lab = MikrotikLab(clock=clock, randomness=SeededRandomness(), options=options)
    await lab.start(coa_port=0)
    day = Day(clock, lab, sql, tx, draw, box_time, ports, (auth, acct), grant)
    _watch_ends(day)
    day.start_box()
    try:
        yield day
    finally:
        if day.box is not None:
            await day.box.die()
        await lab.close()


def _watch_ends(day: Day) -> None:
    """Write down what each session that the router ends was really served."""
    tell = day.lab.radius.stopped

    def stopped(session: RouterSession, cause: object, at: float) -> None:
        day.served.append((session, at - session.started))
        tell(session, cause, at)  # type: ignore[arg-type]

    day.lab.radius.stopped = stopped  # type: ignore[method-assign]
