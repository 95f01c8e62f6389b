"""A hub on stage: with the databases it may have, and a box that talks to it by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from nacl.signing import SigningKey, VerifyKey

from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.domain.events import GENESIS, Event, Stream, chain
from easyisp_edge.domain.sync import Lane, Reply, Request, enrolment_proof, renewal_proof
from easyisp_edge.hub.config import HubConfig
from easyisp_edge.hub.hub import Hub
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.fakes.clocks import START
from tests.fakes.ports import free_port
from tests.real_parts import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.machine import Clock

HOST = "127.0.0.1"
PUBLIC_URL = "https://hub.example.com"
_START_SECONDS = 30.0
_names = itertools.count()


@contextlib.contextmanager
def postgresql_server(folder: Path, *, fsync: str = "off") -> Iterator[PostgresqlAddress]:
    """A PostgreSQL server that runs within the block; the address is of its first database."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = require(str((programs or [Path("/usr/lib/postgresql/15/bin")])[-1] / "initdb"), "postgresql")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses root, and the folder has to be its user's
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    (folder / "password").write_text("a password")
    (folder / "password").chmod(0o644)
    subprocess.run(
        [initdb, "-D", data, "-U", "hub", "-A", "scram-sha-256", "--no-sync", "--locale=C", "-E", "UTF8",
         f"--pwfile={folder / 'password'}"],
        check=True, capture_output=True, cwd=folder, timeout=60, **user,
    )  # fmt: skip
    settings = {
        "port": port, "listen_addresses": HOST, "unix_socket_directories": "", "fsync": fsync, "max_connections": 60,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = folder / "output.txt"
    with log.open("wb") as output:
        command = [str(Path(initdb).with_name("postgres")), "-D", str(data), *options]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, **user)
    try:
        wait_until(lambda: b"ready to accept connections" in log.read_bytes(), process)
        yield PostgresqlAddress(HOST, port, "hub", "a password", "postgres")
    finally:
        process.send_signal(signal.SIGINT)  # waits for nobody
        process.wait(60)


def wait_until(ready: Any, process: subprocess.Popen[bytes]) -> None:
    """Wait for a program that has begun."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        assert process.poll() is None, process.args
        assert time.monotonic() < deadline, process.args
        time.sleep(0.02)


async def fresh_database(server: PostgresqlAddress) -> PostgresqlAddress:
    """An empty database on a server."""
    name = f"hub_{os.getpid()}_{next(_names)}"
    await run_sql(server, f"CREATE DATABASE {name}")
    return PostgresqlAddress(server.host, server.port, server.user, server.password, name)


async def run_sql(address: PostgresqlAddress, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement as the owner of a database might."""
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - only where PostgreSQL is on stage

    connection = await asyncpg.connect(
        host=address.host, port=address.port, user=address.user, password=address.password, database=address.name
    )
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


def listening(_name: str, address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=256)


def hub_config(folder: Path, database: DatabaseAddress) -> HubConfig:
    return HubConfig(address=HOST, port=0, public_url=PUBLIC_URL, database=database, key_file=folder / "hub.key")


def write_config(folder: Path, database: DatabaseAddress, port: int) -> Path:
    """A configuration for a hub in a process of its own."""
    if isinstance(database, SqliteAddress):
        address = f"sqlite://{database.path}"
    else:
        password = database.password.replace(" ", "%20")
        address = f"postgresql://{database.user}:{password}@{database.host}:{database.port}/{database.name}"
    path = folder / "hub.toml"
    path.write_text(
        f'port = {port}\npublic_url = "{PUBLIC_URL}"\ndatabase = "{address}"\nkey_file = "hub.key"\n', encoding="utf-8"
    )
    return path


@contextlib.asynccontextmanager
async def running_hub(config: HubConfig, clock: Clock | None = None) -> AsyncIterator[Hub]:
    """A hub that runs within the block."""
    hub = Hub(config, clock or SystemClock(), SystemRandomness(), listening)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hub.run())
        ready = group.create_task(hub.ready.wait())
        await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
        try:
            if hub.ready.is_set():
                yield hub
        finally:
            ready.cancel()
            hub.stop()


def parts_of(hub: Hub) -> Parts:
    assert hub.parts is not None
    return hub.parts


@dataclass(frozen=True)
class Said:
    """An answer.

    Args:
        status: Of HTTP.
        body: As sent.
        headers: Of the answer.
        signed: Whether the hub signed it for this request.
    """

    status: int
    body: bytes
    headers: dict[str, str]
    signed: bool

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def code(self) -> str:
        return str(self.content.get("code", ""))


@dataclass
class Box:
    """A box's side, by hand.

    Args:
        http: What it asks with; it must not unpack bodies by itself.
        url: The hub's.
        key: Its own.
        site: Its site, once enrolled.
        epoch: Of its life.
        hub_key: What it believes.
        counters: The last of each lane.
        streams: The events it made.
    """

    http: aiohttp.ClientSession
    url: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    site: str = ""
    epoch: int = 0
    hub_key: bytes = bytes(32)
    counters: dict[Lane, int] = field(default_factory=dict)
    streams: dict[Stream, list[Event]] = field(default_factory=lambda: {stream: [] for stream in Stream})

    async def enrol(self, code: str) -> Said:
        """Enrol, and believe the hub from then on."""
        async with self.http.post(f"{self.url}/edge/v1/enrol", data=json.dumps(self.enrolment(code))) as answer:
            said = Said(answer.status, await answer.read(), dict(answer.headers), signed=False)
        if said.status == 200:
            told = said.content
            self.site, self.epoch = told["site"], told["epoch"]
            self.hub_key = base64.b64decode(told["hubKey"])
        return said

    def enrolment(self, code: str) -> dict[str, str]:
        public = base64.b64encode(bytes(self.key.verify_key)).decode()
        proof = self.key.sign(enrolment_proof(code, public)).signature
        return {"code": code, "publicKey": public, "proof": base64.b64encode(proof).decode()}

    def renewal(self, key: SigningKey) -> dict[str, str]:
        """What a box says that goes on with another key."""
        public = base64.b64encode(bytes(key.verify_key)).decode()
        proof = key.sign(renewal_proof(self.site, self.epoch, public)).signature
        return {"publicKey": public, "proof": base64.b64encode(proof).decode()}

    def make(self, stream: Stream, data: dict[str, Any] | None = None, kind: str = "payment.booked") -> Event:
        """Make an event."""
        events = self.streams[stream]
        previous = events[-1].digest if events else GENESIS
        number = len(events) + 1
        facts = data or {"n": number}
        event = chain(
            stream, number, previous, kind=kind, key=f"key-{number}", at=START, clock="synced", data=facts
        )  # fmt: skip
        events.append(event)
        return event

    def make_rows(self, stream: Stream = Stream.MONEY, **tables: list[dict[str, Any]]) -> Event:
        """Make an event that tells rows."""
        return self.make(stream, {"rows": tables}, "rows" if stream is Stream.MONEY else "counts")

    def lines(self, stream: Stream, first: int, last: int) -> list[bytes]:
        return [event.body for event in self.streams[stream][first - 1 : last]]

    def headers(self, method: str, target: str, body: bytes, lane: Lane, counter: int | None = None) -> dict[str, str]:
        """The headers of a request; the next counter where none is given."""
        if counter is None:
            counter = self.counters[lane] = self.counters.get(lane, 0) + 1
        request = Request(method, target, self.site, self.epoch, lane, counter, body)
        signature = base64.b64encode(self.key.sign(request.signed()).signature).decode()
        return {
            "Edge-Site": self.site,
            "Edge-Epoch": str(self.epoch),
            "Edge-Lane": lane.value,
            "Edge-Counter": str(counter),
            "Edge-Signature": signature,
        }

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        lane: Lane = Lane.ASK,
        *,
        headers: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
    ) -> Said:
        """Send a request, signed unless `headers` say otherwise; gives the answer, and whether it is the hub's."""
        headers = self.headers(method, target, body, lane) if headers is None else headers
        async with self.http.request(
            method, f"{self.url}{target}", data=body or None, headers={**headers, **(more or {})}
        ) as answer:
            content = await answer.read()
        signed = self._is_hubs(headers, answer.status, content, answer.headers.get("Hub-Signature", ""))
        return Said(answer.status, content, dict(answer.headers), signed)

    async def post(self, stream: Stream, lines: Sequence[bytes], *, query: str = "", compressed: bool = True) -> Said:
        """Send lines of a stream."""
        content = b"".join(line + b"\n" for line in lines)
        body = gzip.compress(content, 1, mtime=0) if compressed else content
        more = {"Content-Encoding": "gzip"} if compressed else {}
        return await self.send("POST", f"/edge/v1/streams/{stream}{query}", body, Lane(stream.value), more=more)

    async def post_all(self, stream: Stream = Stream.MONEY) -> Said:
        """Send all there is of a stream."""
        return await self.post(stream, [event.body for event in self.streams[stream]])

    async def ask(self, path: str, content: Any) -> Said:
        """Post an object in the lane `ask`."""
        return await self.send("POST", path, json.dumps(content).encode())

    def _is_hubs(self, headers: dict[str, str], status: int, body: bytes, signature: str) -> bool:
        with contextlib.suppress(Exception):
            reply = Reply(headers["Edge-Site"], Lane(headers["Edge-Lane"]), int(headers["Edge-Counter"]), status, body)
            VerifyKey(self.hub_key).verify(reply.signed(), base64.b64decode(signature))
            return True
        return False


@contextlib.asynccontextmanager
async def http_client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        auto_decompress=False, timeout=aiohttp.ClientTimeout(30), connector=aiohttp.TCPConnector(limit=0)
    ) as http:
        yield http


async def enrolled_box(hub: Hub, http: aiohttp.ClientSession, name: str = "", *, confirmed: bool = True) -> Box:
    """A box of a new site."""
    box = Box(http, hub.address)
    enrolment = parts_of(hub).enrolment
    new = await enrolment.new_code(name or f"site {os.getpid()} {next(_names)}")
    assert (await box.enrol(new.code)).status == 200
    if confirmed:
        await enrolment.confirm(box.site)
    return box
