"""The real FreeRADIUS on loopback, with a database of its own, asked by the real radclient."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.freeradius.configuration import (
    REFUSALS,
    FreeradiusClient,
    FreeradiusServer,
    configuration_files,
)
from easyisp_edge.adapters.freeradius.opening import freeradius_database
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, running
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime, SeededRandomness
from tests.fakes.ports import free_port
from tests.real_parts import require
from tests.unit.shop import MAC, OTHER_MAC, TENANT, Books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase
    from easyisp_edge.domain.database_address import DatabaseAddress

SECRET = 's3cret-of-main %{User-Name} "$x#'
OTHER_TENANT = "coast"
# Where each router asks from; the last sends no request without a Message-Authenticator.
MAIN, ANNEXE, COAST, STRICT = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
ROUTERS = {
    "main": (MAIN, TENANT, "if-present"),
    "annexe": (ANNEXE, TENANT, "if-present"),
    "coast": (COAST, OTHER_TENANT, "if-present"),
    "strict": (STRICT, TENANT, "required"),
}
REJECTS = {refusal: f"It's 100% {refusal}: $(no) #{{}}; Sh. 10 <b>ñ</b>" for refusal in REFUSALS}
# The annexe's PPPoE customers get their addresses from it.
POOL = "pool of 100% {the} $annexe"
DATABASES = ("sqlite", "postgresql")
FROM_MAC, FROM_OTHER = f'Calling-Station-Id = "{MAC}"', f'Calling-Station-Id = "{OTHER_MAC}"'
_TABLES = ("radcheck", "radreply", "radusergroup", "radgroupreply", "radacct")
_READY = "Ready to process requests"
_START_SECONDS = 20.0


def real_parts() -> tuple[str, str]:
    """Where freeradius and radclient are."""
    freeradius = require(shutil.which("freeradius") or "/usr/sbin/freeradius", "freeradius")
    return freeradius, require("radclient", "freeradius-utils")


@dataclass(frozen=True)
class Answer:
    """What came back: nothing where `code` is empty."""

    code: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.code == "Access-Accept"


@dataclass
class FreeradiusStage:
    """A server that answers from a database.

    Args:
        folder: Of its configuration.
        address: Where its database is.
        auth_port: Where it answers logins.
        acct_port: Where it answers accounting.
        secret: Shared with all routers.
    """

    folder: Path
    address: DatabaseAddress
    auth_port: int
    acct_port: int
    secret: str = SECRET

    def open(self) -> FreeradiusDatabase:
        """The database as the daemon has it open."""
        return freeradius_database(self.address)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the site's owner might."""
        if isinstance(self.address, SqliteAddress):
            with contextlib.closing(sqlite3.connect(self.address.path, isolation_level=None, timeout=5)) as connection:
                return connection.execute(statement).fetchall()
        return asyncio.run(_run_on_postgresql(self.address, statement))

    async def ask(self, *requests: str, router: str = MAIN, tries: int = 3) -> list[Answer]:
        """Ask for logins, all at once; answers in the order of the requests."""
        return list(
            await asyncio.gather(*(self._exchange("auth", self.auth_port, one, router, tries) for one in requests))
        )

    async def login(self, username: str, password: str, *more: str, router: str = MAIN) -> Answer:
        """Ask for one login by PAP."""
        return (await self.ask(", ".join([*credentials(username, password), *more]), router=router))[0]

    async def report(self, *reports: str, router: str = MAIN) -> None:
        """Send accounting, one after the other; each is answered."""
        for one in reports:
            answer = await self._exchange("acct", self.acct_port, one, router, 3)
            assert answer.code == "Accounting-Response", one

    async def _exchange(self, kind: str, port: int, request: str, router: str, tries: int) -> Answer:
        radclient = await asyncio.create_subprocess_exec(
            real_parts()[1], "-x", "-r", str(tries), "-t", "3", f"{MAIN}:{port}", kind, self.secret,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await radclient.communicate(f"{request}, Packet-Src-IP-Address = {router}\n".encode())
        return _answer(said.decode(errors="replace"))


def credentials(username: str, password: str) -> list[str]:
    """A login by PAP."""
    quoted = password.replace('"', '\\"')
    return [f'User-Name = "{username}"', f'User-Password = "{quoted}"']


def _answer(said: str) -> Answer:
    found = re.search(r"^Received (\S+) Id .*\n((?:\t.*\n)*)", said, re.MULTILINE)
    if found is None:
        return Answer("")
    attributes = (line.strip().partition(" = ") for line in found[2].splitlines())
    return Answer(found[1], {name: value.strip('"') for name, _, value in attributes})


def stage_configuration(folder: Path, address: DatabaseAddress, /, **changes: Any) -> FreeradiusServer:
    """Write a configuration for the stage's routers into a folder."""
    secret, routers = changes.pop("secret", SECRET), changes.pop("routers", ROUTERS)
    clients = [
        FreeradiusClient(RadiusClient(name, ip, secret.encode(), signed, 300, POOL if ip == ANNEXE else None), tenant)
        for name, (ip, tenant, signed) in routers.items()
    ]
    ports = {name: free_port(socket.SOCK_DGRAM, MAIN) for name in ("auth_port", "acct_port")}
    values = {"address": MAIN, "folder": str(folder), "log_folder": str(folder), "run_folder": str(folder)}
    server = FreeradiusServer(address, clients, changes.pop("messages", REJECTS), **{**values, **ports, **changes})
    for name, content in configuration_files(server).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return server


def check_configuration(folder: Path) -> tuple[int, str]:
    """Have FreeRADIUS check a configuration: its exit code, and what it says."""
    checked = subprocess.run(
        [real_parts()[0], "-XC", "-d", folder], capture_output=True, text=True, check=False, timeout=30
    )
    return checked.returncode, checked.stdout + checked.stderr


@contextlib.contextmanager
def freeradius(folder: Path, address: DatabaseAddress, **changes: Any) -> Iterator[FreeradiusStage]:
    """A server that runs within the block."""
    program, _ = real_parts()
    server = stage_configuration(folder, address, **changes)
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-f", "-l", "stdout", "-d", folder], stdout=output, stderr=output)
    try:
        _wait_until(lambda: _READY in log.read_text(errors="replace"), process, log)
        yield FreeradiusStage(folder, address, server.auth_port, server.acct_port, changes.get("secret", SECRET))
    finally:
        _end(process)


def session(username: str, status: str, *more: str, number: int = 1, mac: str = FROM_MAC) -> str:
    """An accounting packet as a hotspot sends it; its clock has not been set."""
    return ", ".join(
        [
            f"Acct-Status-Type = {status}",
            f'User-Name = "{username}"',
            f"Acct-Session-Id = 8010000{number}",
            "NAS-Port = 2148532244",
            "NAS-Port-Id = vlan888-hotspot",
            "NAS-IP-Address = 10.99.99.99",
            'Event-Timestamp = "Jan  1 1970 00:01:00 UTC"',
            "Framed-IP-Address = 10.5.50.9",
            mac,
            *more,
        ]
    )


def seconds_of(answer: Any) -> int:
    return int(answer.attributes["Session-Timeout"])


@contextlib.contextmanager
def freeradius_on(kind: str, folder: Path) -> Iterator[FreeradiusStage]:
    """A server on a database of one of `DATABASES`, that runs within the block."""
    with contextlib.ExitStack() as stack:
        address: DatabaseAddress = SqliteAddress(folder / "radius.sqlite")
        if kind == "postgresql":
            # Not below pytest's own folder, which every run closes to other users when it starts.
            address = stack.enter_context(postgresql(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        yield stack.enter_context(freeradius(folder, address))


@contextlib.asynccontextmanager
async def emptied(stage: FreeradiusStage) -> AsyncIterator[FreeradiusDatabase]:
    """A server's database as the daemon has it open, with no user and no session in it."""
    for table in _TABLES:
        await asyncio.to_thread(stage.sql, f"DELETE FROM {table}")  # noqa: S608 - a test's own words
    database = stage.open()
    try:
        yield database
    finally:
        await database.close()


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[PostgresqlAddress]:
    """A PostgreSQL server with the tables, that runs within the block."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = require(str((programs or [Path("/usr/lib/postgresql/15/bin")])[-1] / "initdb"), "postgresql")
    # It refuses root, and all folders above have to let its user through.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data, password, port = folder / "data", "p4ss:word@/", free_port(host=MAIN)
    (folder / "password").write_text(password)
    if user:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")
    subprocess.run(
        [initdb, "-D", data, "-U", "radius", "-A", "scram-sha-256", "--no-sync", "--locale=C", "-E", "UTF8",
         f"--pwfile={folder / 'password'}"],
        check=True, capture_output=True, cwd=folder, timeout=60, **user,
    )  # fmt: skip
    server = Path(initdb).with_name("postgres")
    settings = {"port": port, "listen_addresses": MAIN, "unix_socket_directories": "", "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen([server, "-D", data, *options], stdout=output, stderr=output, cwd=folder, **user)
    address = PostgresqlAddress(MAIN, port, "radius", password, "postgres")
    try:
        _wait_until(lambda: "ready to accept connections" in log.read_text(errors="replace"), process, log)
        asyncio.run(
            _run_on_postgresql(address, configuration_files(FreeradiusServer(address, [], REJECTS))["sql/schema.sql"])
        )
        yield address
    finally:
        _end(process, signal.SIGINT)  # waits for nobody


async def _run_on_postgresql(address: PostgresqlAddress, statement: str) -> list[tuple[Any, ...]]:
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - only where PostgreSQL is on stage

    connection = await asyncpg.connect(
        host=address.host, port=address.port, user=address.user, password=address.password, database=address.name
    )
    try:
        if statement.lstrip().upper().startswith("SELECT"):
            return [tuple(row) for row in await connection.fetch(statement)]
        await connection.execute(statement)
        return []
    finally:
        await connection.close()


def _wait_until(ready: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(how)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def books_of_today(folder: Path) -> AsyncIterator[Books]:
    """A store whose clock stands at the time FreeRADIUS has."""
    clock_time = ManualTime(datetime.now(UTC))
    database = await ThreadedDatabase.open(folder / "edge.sqlite")
    try:
        clock = BoxClock(clock_time, None)
        async with running(Store(database, clock)) as store:
            yield Books(store, clock, clock_time, Identifiers(SeededRandomness()))
    finally:
        await database.close()
