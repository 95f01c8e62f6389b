"""Several hubs on one database, and hubs that are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_digest import digests
from easyisp_edge.domain.sync import Lane
from easyisp_edge.hub.store.projections import images
from tests.fakes.hub_stage import (
    HOST,
    Box,
    enrolled_box,
    fresh_database,
    hub_config,
    parts_of,
    run_sql,
    running_hub,
    write_config,
)
from tests.fakes.ports import free_port
from tests.unit.hub.seen import stored

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.hub.hub import Hub

COMMAND = (
    "import argparse, sys; from easyisp_edge.commands import hub; parser = argparse.ArgumentParser();"
    " hub.add_parser(parser.add_subparsers()); args = parser.parse_args(); sys.exit(args.run(args))"
)


def second_way(box: Box, hub: Hub) -> Box:
    """The same box, as it reaches another hub; what it made and counted is one."""
    return Box(box.http, hub.address, box.key, box.site, box.epoch, box.hub_key, box.counters, box.streams)


@pytest.mark.real_part("PostgreSQL")
async def test_two_hubs_racing_with_one_batch_store_it_once(
    postgresql: PostgresqlAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """A hundred times both get the same lines at once: each line is there once, and in its place."""
    config = hub_config(tmp_path, postgresql)
    async with running_hub(config) as one, running_hub(config) as other:
        box = await enrolled_box(one, http)
        ways = [box, second_way(box, other)]
        for turn in range(100):
            for _ in range(3):
                box.make_rows(payments=[{"payment_id": f"p{turn % 7}", "turn": turn}])
            lines = box.lines(Stream.MONEY, 3 * turn + 1 - (turn % 2) * 2, 3 * turn + 3)
            said = await asyncio.gather(*(way.post(Stream.MONEY, lines) for way in ways))
            acks = {one_said.content.get("ack") for one_said in said if one_said.status == 200}
            assert acks == {3 * turn + 3}
            assert all(one_said.code == "counter.used" for one_said in said if one_said.status != 200)
        assert await stored(other, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 300)


@pytest.mark.real_part("PostgreSQL")
async def test_forked_batches_racing_leave_one_of_them(
    postgresql: PostgresqlAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Two cards of one box at two hubs: the first stands whole, the other is told of the fork, never both."""
    config = hub_config(tmp_path, postgresql)
    async with running_hub(config) as one, running_hub(config) as other:
        for _ in range(20):
            box = await enrolled_box(one, http)
            twin = second_way(box, other)
            twin.counters, twin.streams = dict(box.counters), {stream: [] for stream in Stream}
            for number in range(5):
                box.make(Stream.MONEY, {"of": "one", "n": number})
                twin.make(Stream.MONEY, {"of": "other", "n": number})
            twin.counters[Lane.MONEY] = 1
            said = await asyncio.gather(box.post_all(), twin.post_all())
            winner = [way for way, answer in zip((box, twin), said, strict=True) if answer.status == 200]
            assert len(winner) == 1
            loser = twin if winner[0] is box else box
            loser.counters[Lane.MONEY] = 10
            assert (await loser.post_all()).status == 422
            assert await stored(one, box.site, Stream.MONEY) == winner[0].lines(Stream.MONEY, 1, 5)


@pytest.mark.real_part("PostgreSQL")
async def test_a_hub_outlives_its_database(
    postgresql: PostgresqlAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """503 with Retry-After while it is away, signed; as soon as it is back all goes on, and nothing is there twice."""
    address = await fresh_database(postgresql)
    async with running_hub(hub_config(tmp_path, address)) as hub:
        box = await enrolled_box(hub, http)
        box.make(Stream.MONEY)
        assert (await box.post_all()).status == 200
        await run_sql(postgresql, f"ALTER DATABASE {address.name} ALLOW_CONNECTIONS false")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await run_sql(postgresql, ended, address.name)
        box.make(Stream.MONEY)
        said = await box.post_all()
        assert (said.status, said.code) == (503, "later")
        assert int(said.headers["Retry-After"]) > 0
        assert said.signed
        await run_sql(postgresql, f"ALTER DATABASE {address.name} ALLOW_CONNECTIONS true")
        assert (await box.post_all()).content["ack"] == 2
        assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 2)


class Process:
    """A hub in a process of its own, that can be killed."""

    def __init__(self, config: Path, port: int) -> None:
        self._config, self._port = config, port
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._begin()
        async with asyncio.timeout(30):
            while True:
                assert self._process is not None
                assert self._process.poll() is None, self._config.with_name("hub.log").read_text()
                try:
                    _, writer = await asyncio.open_connection(HOST, self._port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    def _begin(self) -> None:
        command = [sys.executable, "-c", COMMAND, "hub", "run", "--config", str(self._config)]
        with self._config.with_name("hub.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(20)


async def send_until_stored(box: Box, until: asyncio.Event) -> None:
    """Make and send events, as a box does, until told to end and all is acknowledged."""
    chance, acked = random.Random(box.site), 0
    while not (until.is_set() and acked == len(box.streams[Stream.MONEY])):
        if not until.is_set():
            for _ in range(chance.randrange(1, 8)):
                number = len(box.streams[Stream.MONEY]) + 1
                box.make_rows(payments=[{"payment_id": f"p{number % 50}", "number": number}])
        try:
            said = await box.post(Stream.MONEY, box.lines(Stream.MONEY, acked + 1, acked + 400))
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
            continue
        assert said.signed
        if said.status == 200:
            acked = said.content["ack"]
        else:
            assert said.status == 503, said


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "kills"),
    [("sqlite", 5), pytest.param("postgresql", 20, marks=pytest.mark.real_part("PostgreSQL"))],
)
async def test_a_hub_killed_in_the_middle_loses_and_doubles_nothing(
    kind: str, kills: int, request: pytest.FixtureRequest, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Kills under load: what was acknowledged is there, all of it once, and the books are the boxes'."""
    address: Any = SqliteAddress(tmp_path / "hub.sqlite")
    if kind == "postgresql":
        address = await fresh_database(request.getfixturevalue("postgresql"))
    async with running_hub(hub_config(tmp_path, address)) as hub:
        boxes = [await enrolled_box(hub, http, f"box {number}") for number in range(3)]
    port = free_port()
    process, over, chance = Process(write_config(tmp_path, address, port), port), asyncio.Event(), random.Random(3)
    await process.start()
    for box in boxes:
        box.url = f"http://{HOST}:{port}"
    async with asyncio.TaskGroup() as group:
        for box in boxes:
            group.create_task(send_until_stored(box, over))
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            assert process.kill() == -signal.SIGKILL
            await process.start()
        over.set()
    assert process.kill(signal.SIGTERM) == 0
    async with running_hub(hub_config(tmp_path, address)) as hub:
        for box in boxes:
            every = [event.body for event in box.streams[Stream.MONEY]]
            assert len(every) > 50
            assert await stored(hub, box.site, Stream.MONEY) == every
            last = {number % 50: number for number in range(1, len(every) + 1)}
            rows = [("payments", {"payment_id": f"p{key}", "number": number}) for key, number in last.items()]
            async with parts_of(hub).database.reading() as tx:
                assert digests(await images(tx, box.site)) == digests(rows)
