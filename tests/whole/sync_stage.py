"""A box and a hub on loopback, with a wire between them that a test can spoil or cut."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.row_digest import digests as digests_of
from easyisp_edge.domain.row_images import MONEY_KEYS
from easyisp_edge.hub.store.projections import images
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.digests import digests
from tests.fakes.hub_stage import hub_config, parts_of, running_hub, write_config
from tests.fakes.ports import free_port
from tests.whole.stage import HOST, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.daemon.central import CentralSide
    from easyisp_edge.hub.hub import Hub

_PIECE_OCTETS = 4096


@dataclass
class Wire:
    """A TCP proxy before the hub.

    Args:
        target_port: The hub's.
        cuts: How often a piece is where a connection ends, of 1.
        flips: How often a bit of a piece is flipped, of 1.
        seed: Of chance.
    """

    target_port: int
    cuts: float = 0.0
    flips: float = 0.0
    seed: int = 1
    is_up: bool = True
    port: int = 0
    octets: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Wire]:
        self._chance = random.Random(self.seed)
        server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def cut(self) -> None:
        """End every connection now."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if not self.is_up:
                return
            far_reader, far = await asyncio.open_connection(HOST, self.target_port)
            self._open.add(far)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, far))
                both.create_task(self._pass_on(far_reader, writer))
        except (OSError, ExceptionGroup):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(_PIECE_OCTETS):
            if self._chance.random() < self.cuts:
                raise ConnectionResetError
            if self._chance.random() < self.flips:
                at = self._chance.randrange(len(piece))
                piece = piece[:at] + bytes([piece[at] ^ 1 << self._chance.randrange(8)]) + piece[at + 1 :]
            self.octets += len(piece)
            sink.write(piece)
            await sink.drain()
        raise ConnectionResetError


def side(stage: Stage) -> CentralSide:
    """The part of a daemon in this process that talks with the hub."""
    return stage.daemon.parts.central


async def enrol(stage: Stage, hub: Hub, url: str, name: str = "Juja") -> str:
    """Enrol a box and confirm it; gives the site's id."""
    side(stage).link.return_seconds = 0.0
    enrolment = parts_of(hub).enrolment
    new = await enrolment.new_code(name)
    await side(stage).enrolment.run(url, new.code, "a test")
    await enrolment.confirm(new.site_id)
    return new.site_id


async def until_in_step(stage: Stage, *, seconds: float = 40) -> None:
    """Wait until box and hub are in step, and the hub knows all there is."""

    def holds() -> bool:
        status = side(stage).sync.status()
        return bool(
            status["enrolled"] and status["inStep"] and not any(each["waiting"] for each in status["streams"].values())
        )

    try:
        await stage.until(holds, seconds=seconds, what="box and hub in step")
    except AssertionError as error:
        raise AssertionError(f"{error}: {side(stage).sync.status()}") from error


async def box_digests(folder: Path) -> dict[str, str]:
    """What the box's rows come to."""
    database = await ThreadedDatabase.open(folder / "edge.sqlite")
    try:
        return await database.survey(digests)
    finally:
        await database.close()


async def hub_digests(hub: Hub, site_id: str) -> dict[str, str]:
    """What the hub's rows of a site come to."""
    async with parts_of(hub).database.reading() as tx:
        return digests_of(await images(tx, site_id))


async def until_same(stage: Stage, hub: Hub, site_id: str, *, seconds: float = 20) -> None:
    """Wait until the hub's rows are the box's, row for row; but for usage, which is told now and then."""
    found: tuple[dict[str, str], dict[str, str]] = ({}, {})

    async def holds() -> bool:
        nonlocal found
        found = await box_digests(stage.folder), await hub_digests(hub, site_id)
        return all(found[0][table] == found[1][table] for table in MONEY_KEYS)

    try:
        await stage.until(holds, seconds=seconds, what="the same rows")
    except AssertionError as error:
        differing = [name for name, digest in found[0].items() if found[1].get(name) != digest]
        raise AssertionError(f"{error}: {differing} differ") from error


@dataclass
class HubProcess:
    """A hub in a process of its own, to be killed; its database is read when it is dead.

    Args:
        folder: For its files.
    """

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def database(self) -> SqliteAddress:
        return SqliteAddress(self.folder / "hub.sqlite")

    async def start(self) -> None:
        """Start it and wait until it answers."""
        config = write_config(self.folder, self.database, self.port)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "easyisp_edge", "hub", "run", "--config", str(config)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        self._process.kill()
        await self._process.wait()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Hub]:
        """A hub of this process on the same database, on another port."""
        config = hub_config(self.folder, self.database).model_copy(update={"key_file": self.folder / "hub.key"})
        async with running_hub(config) as hub:
            yield hub
