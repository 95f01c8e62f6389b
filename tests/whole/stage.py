"""A whole site on loopback: the daemon with its labs, in this process or as one that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

import aiohttp

from easyisp_edge.commands.running import real_surroundings
from easyisp_edge.config import load_config
from easyisp_edge.daemon import Daemon
from easyisp_edge.lab.daraja import DarajaLab, DarajaOptions
from easyisp_edge.lab.mikrotik import MikrotikLab, MikrotikOptions, RadiusServer
from easyisp_edge.store.checks import opened_for_reading
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Tables
from easyisp_edge.system import SystemClock, SystemRandomness, SystemTime
from tests.fakes.ports import free_port
from tests.unit.shop import check_books

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.lab.daraja import Merchant

HOST = "127.0.0.1"
MAC, ADDRESS = "AA:BB:CC:00:00:01", "10.5.50.11"
OTHER_MAC, OTHER_ADDRESS = "AA:BB:CC:00:00:02", "10.5.50.12"
PHONE, OTHER_PHONE = "0712345678", "0722000111"
RADIUS_SECRET = "only-good-on-loopback"

EDGE = """development = true
[portal]
address = "127.0.0.1"
port = {portal_port}
[admin]
port = {admin_port}
[callbacks]
enabled = true
port = {callbacks_port}
public_url = "http://127.0.0.1:{callbacks_port}"
[radius]
address = "127.0.0.1"
auth_port = {radius_auth_port}
acct_port = {radius_acct_port}
[store]
path = "{folder}/edge.sqlite"
[control]
path = "{folder}/control.sock"
"""
PACKAGES = """[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "1d"
name = "1 day"
price = 50
duration = "24h"
speed = "3M/8M"
"""
GATEWAYS = """[[gateway]]
id = "paybill"
sub_type = "PAYBILL"
shortcode = "174379"
consumer_key = "lab-key"
consumer_secret = "lab-secret"
passkey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
environment = "sandbox"
base_url = "{daraja}"
queries_per_minute = 60
"""
ROUTERS = """[[router]]
id = "main"
address = "127.0.0.1"
mode = "{mode}"
login_url = "http://127.0.0.1:9/login"
round_seconds = 1
[router.api]
tls = false
port = {api_port}
username = "edge"
password = "s3cret"
timeout_seconds = 2
[router.radius]
secret = "only-good-on-loopback"
"""
RADIUS_ONLY = """[[router]]
id = "main"
address = "127.0.0.1"
mode = "radius"
login_url = "http://127.0.0.1:9/login"
[router.radius]
secret = "only-good-on-loopback"
"""


class MovedTime:
    """The machine's time, moved on by the test."""

    def __init__(self) -> None:
        self._real = SystemTime()
        self._moved = 0.0
        self.boot_id = self._real.boot_id

    def move(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._moved += seconds

    def move_to_noon(self) -> None:
        """Let it be the next noon at the site: a day that a test counts in does not end meanwhile."""
        now = self.wall().astimezone(ZoneInfo("Africa/Nairobi"))
        noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        self.move(((noon - now) % timedelta(days=1)).total_seconds())

    def wall(self) -> datetime:
        return self._real.wall() + timedelta(seconds=self._moved)

    def since_boot(self) -> float:
        return self._real.since_boot() + self._moved

    def synchronised(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)


@dataclass
class Stage:
    """A site with one router, its labs, and a browser's session.

    Args:
        folder: For config and database.
        mode: How devices get onto the router.
        daraja_options: How M-Pesa behaves.
        as_process: Whether the daemon is a process of its own, to be killed.
        files: Config files in place of the usual ones.
        incoming: Whether the router takes orders by RADIUS, at `{coa_port}` in the files.
    """

    folder: Path
    mode: str = "hotspot-user"
    daraja_options: DarajaOptions | None = None
    merchants: tuple[Merchant, ...] = ()
    as_process: bool = False
    files: dict[str, str] = field(default_factory=dict)
    incoming: bool = False
    routeros_version: str = "7.20.8"
    time: MovedTime = field(default_factory=MovedTime)
    wiped: bool = False

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        clock, randomness = SystemClock(), SystemRandomness()
        more: dict[str, Any] = {"merchants": self.merchants} if self.merchants else {}
        self.daraja = DarajaLab(
            clock=clock, randomness=randomness, options=self.daraja_options or DarajaOptions.unhurried(), **more
        )
        await self.daraja.start()
        self._stack.push_async_callback(self.daraja.close)
        self._choose_ports()
        self.router = MikrotikLab(clock=clock, randomness=randomness, options=self._router_options())
        await self.router.start(coa_port=0 if self.incoming else None)
        self._stack.push_async_callback(self.router.close)
        self.router.connect_device(MAC, ADDRESS)
        self.router.connect_device(OTHER_MAC, OTHER_ADDRESS)
        self._write_config()
        self.http = aiohttp.ClientSession(base_url=self.portal_url)
        self._stack.push_async_callback(self.http.close)
        await self.start_daemon()
        return self

    def wipe_router(self) -> None:
        """The router loses all of ours; a round under way may name a profile that is gone, and the next one heals."""
        self.wiped = True
        self.router.wipe()

    async def __aexit__(self, *error: object) -> None:
        await self.stop_daemon()
        refused = [each for each in self.router.refused if not (self.wiped and each.message.endswith("of profile"))]
        await self._stack.aclose()
        with opened_for_reading(self.folder / "edge.sqlite") as connection:
            check_books(connection)
        assert not refused, f"the router does not know: {refused}"

    @property
    def portal_url(self) -> str:
        return f"http://{HOST}:{self._ports['portal_port']}"

    @property
    def callbacks_url(self) -> str:
        return f"http://{HOST}:{self._ports['callbacks_port']}"

    @property
    def ports(self) -> dict[str, int]:
        return self._ports

    # The daemon's life

    async def start_daemon(self) -> None:
        """Start the daemon and wait until its doors are open."""
        if self.as_process:
            await self._start_process()
        else:
            await self._start_here()

    async def stop_daemon(self) -> None:
        """Ask it to stop, and wait until it has."""
        if self.as_process:
            if self._process.returncode is None:
                self._process.terminate()
                await asyncio.wait_for(self._process.wait(), 20)
            return
        if not self._running.done():
            self.daemon.stop()
        await asyncio.wait_for(self._running, 20)

    async def kill_daemon(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def _start_here(self) -> None:
        machine = replace(real_surroundings({}), time=self.time)
        self.daemon = Daemon(load_config(self.folder, {}), machine)
        self._running = asyncio.create_task(self.daemon.run())
        ready = asyncio.create_task(self.daemon.ready.wait())
        await asyncio.wait({self._running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._running.done():
            self._running.result()

    async def _start_process(self) -> None:
        with (self.folder / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "easyisp_edge",
                "run",
                "--config",
                str(self.folder),
                env={**os.environ, "PYTHONWARNINGS": "error"},
                stderr=log,
            )
        await self.until(self._answers, seconds=20, what="the portal's door")

    async def _answers(self) -> bool:
        assert self._process.returncode is None, (self.folder / "daemon.log").read_text()
        with contextlib.suppress(aiohttp.ClientError):
            async with self.http.get("/api/portal/mpesa/check") as answer:
                return answer.status == 200
        return False

    def _choose_ports(self) -> None:
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._ports = {name: free_port(tcp) for name in ("portal_port", "admin_port", "callbacks_port")}
        self._ports |= {name: free_port(udp) for name in ("radius_auth_port", "radius_acct_port")}

    def _router_options(self) -> MikrotikOptions:
        server = RadiusServer(
            address=HOST,
            secret=RADIUS_SECRET,
            authentication_port=self._ports["radius_auth_port"],
            accounting_port=self._ports["radius_acct_port"],
        )
        radius = self.mode == "radius"
        return MikrotikOptions(
            version=self.routeros_version,
            use_radius=radius,
            radius_servers=(server,) if radius else (),
            reappear_seconds=0.5,
        )

    def _write_config(self) -> None:
        values = {
            **self._ports,
            "folder": self.folder,
            "mode": self.mode,
            "daraja": self.daraja.base_url,
            "api_port": self.router.api_port,
            "api_ssl_port": self.router.api_ssl_port,
            "coa_port": self.router.coa_port,
        }
        files = {
            "edge.toml": EDGE,
            "packages.toml": PACKAGES,
            "gateways.toml": GATEWAYS,
            "routers.toml": ROUTERS,
            **self.files,
        }
        for name, text in files.items():
            (self.folder / name).write_text(text.format(**values), encoding="utf-8")

    # What a customer does

    async def get(self, path: str, **query: str) -> tuple[int, str]:
        """A page."""
        async with self.http.get(path, params=query) as answer:
            return answer.status, await answer.text()

    async def initiate(self, *, expect: int = 200, **fields: Any) -> dict[str, Any]:
        """Start a purchase by the JSON call."""
        order = {"phone": PHONE, "packageId": "1h", "macAddress": MAC, "nasIp": "", **fields}
        async with self.http.post("/api/portal/mpesa/initiate", json=order) as answer:
            content: dict[str, Any] = await answer.json()
            assert answer.status == expect, content
            return content

    async def buy(self, **fields: Any) -> str:
        """Start a purchase; gives its id."""
        return str((await self.initiate(**fields))["checkoutRequestId"])

    async def status(self, purchase_id: str) -> dict[str, Any]:
        """Where a purchase stands."""
        async with self.http.get("/api/portal/mpesa/status", params={"checkoutRequestId": purchase_id}) as answer:
            assert answer.status == 200, await answer.text()
            content: dict[str, Any] = await answer.json()
            return content

    async def pay(self, phone: str = PHONE) -> None:
        """Wait for the prompt and enter the right PIN."""
        prompt = await asyncio.wait_for(self.daraja.wait_for_prompt(phone), 10)
        await self.daraja.enter_pin(prompt.push.checkout_request_id)

    # What is looked at

    async def until(self, holds: Callable[[], Any], *, seconds: float, what: str) -> float:
        """Wait until it holds; gives how long it took, and fails after `seconds`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return clock() - began
            assert clock() - began < seconds, f"{what} did not come within {seconds} s"
            await asyncio.sleep(0.02)

    async def until_online(self, mac: str = MAC, *, seconds: float = 5) -> float:
        """Wait until the router has the device in its active list."""
        return await self.until(lambda: self.router.is_online(mac), seconds=seconds, what=f"{mac} online")

    async def until_running(self, *, seconds: float = 5) -> float:
        """Wait until the time of a grant runs: the router has the device a moment before the books know."""

        async def runs() -> bool:
            return await self.count("grants", "state = 'running'") > 0

        return await self.until(runs, seconds=seconds, what="a grant running")

    async def until_status(self, purchase_id: str, status: str, *, seconds: float = 5) -> dict[str, Any]:
        """Wait until a purchase has that status; gives the whole answer."""
        seen: dict[str, Any] = {}

        async def has() -> bool:
            seen.update(await self.status(purchase_id))
            return bool(seen["status"] == status)

        await self.until(has, seconds=seconds, what=f"status {status}")
        return seen

    @contextlib.asynccontextmanager
    async def books(self) -> AsyncIterator[tuple[Tables, sqlite3.Connection]]:
        """The daemon's database, read from beside it."""
        database = await ThreadedDatabase.open(self.folder / "edge.sqlite")
        try:
            yield Tables(database.reading, None), database.reading
        finally:
            await database.close()

    async def count(self, table: str, where: str = "1") -> int:
        """How many rows."""
        async with self.books() as (_, connection):
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])  # noqa: S608
