"""Twenty boxes and a hub that is killed a hundred times, over a way that loses, doubles, delays, overtakes and cuts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from tests.fakes.hub_stage import HOST, fresh_database, parts_of, postgresql_server
from tests.whole.fleet_stage import FleetBox, KilledHub, Mischief, SpoiltWay, all_of, holds
from tests.whole.sync_stage import Wire, hub_digests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.hub import Hub

BOXES, KILLS = 20, 100
_DRAINED_WITHIN_SECONDS = 60.0
_MOST_SECONDS_UP = 1.5


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real_part("PostgreSQL"))])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DatabaseAddress]:
    if request.param == "sqlite":
        yield SqliteAddress(tmp_path / "hub.sqlite")
        return
    # Not below pytest's own folder, which every run closes to other users when it starts.
    with tempfile.TemporaryDirectory() as folder, postgresql_server(Path(folder)) as server:
        yield await fresh_database(server)


async def keep_killing(hub: KilledHub, mischief: Mischief) -> int:
    """Kill the hub again and again while requests are under way; gives how often one was."""
    met = 0
    for _ in range(KILLS):
        await hub.start()
        wanted = mischief.stored + mischief.chance.randint(1, 6)
        with contextlib.suppress(AssertionError):  # however little it did, it dies
            await holds(lambda wanted=wanted: mischief.stored >= wanted, _MOST_SECONDS_UP, str)  # type: ignore[misc]
        await asyncio.sleep(mischief.chance.random() * 0.02)
        met += mischief.under_way > 0
        await hub.kill()
    return met


async def same_lines(hub: Hub, box: FleetBox) -> int:
    """Hold the hub's lines of a box against its own: numbers, order, every octet; gives how many there are."""
    found = 0
    for stream in Stream:
        async with parts_of(hub).database.reading() as tx:
            rows = await tx.rows(
                "SELECT seq, body FROM events WHERE site_id = $1 AND stream = $2 ORDER BY seq",
                box.site_id,
                stream.value,
            )
        told = [(number, bytes(body)) for number, body in rows]
        assert [number for number, _ in told] == list(range(1, len(told) + 1))
        assert told == await box.lines(stream)
        found += len(told)
    return found


async def same_rows(hub: Hub, box: FleetBox) -> None:
    """Hold the hub's rows of a box against its own, and the receipts against what was sold."""
    ours, theirs = await box.digests(), await hub_digests(hub, box.site_id)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    async with parts_of(hub).database.reading() as tx:
        rows = await tx.rows(
            "SELECT mpesa_receipt_number FROM payments WHERE site_id = $1 AND purchase_id IS NOT NULL"
            " AND (mpesa_receipt_number LIKE 'RECEIPT%' OR mpesa_receipt_number LIKE 'RLY%')",
            box.site_id,
        )
    assert sorted(receipt for (receipt,) in rows) == sorted(box.sold + box.relayed)


async def nothing_odd(hub: Hub) -> None:
    """No fork, nothing parked, nothing the hub could make no rows of."""
    async with parts_of(hub).database.reading() as tx:
        for table in ("forked_events", "parked_events", "projection_errors"):
            assert await tx.rows(f"SELECT * FROM {table}") == [], table  # noqa: S608 - constants
        kinds = {kind for (kind,) in await tx.rows("SELECT DISTINCT kind FROM alarms")}
    assert not kinds & {"fork", "gap", "behind", "projection", "parked", "epoch"}


def waits(boxes: list[FleetBox]) -> list[object]:
    return [box.sync.status() for box in boxes if not box.is_drained()]


def lacking(boxes: list[FleetBox]) -> list[object]:
    return [(box.lacks(), box.sync.status()["talk"]) for box in boxes if box.lacks()]


@pytest.mark.timeout(300)
async def test_a_fleet_loses_nothing_and_tells_nothing_twice(database: DatabaseAddress, tmp_path: Path) -> None:
    """When all is calm again every box's tables and lines are the hub's, and each sale stands there once.

    Half of the sales are paid by callbacks that M-Pesa posts to the hub until it takes them; boxes change their keys.
    """
    mischief = Mischief(random.Random(1))
    killed = KilledHub(tmp_path, database)
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(killed.loaded())
        wire = await stack.enter_async_context(Wire(killed.port).running())
        boxes: list[FleetBox] = []
        for number in range(BOXES):
            folder = tmp_path / f"box{number}"
            folder.mkdir()
            boxes.append(await stack.enter_async_context(FleetBox.opened(folder, number, mischief)))
        async with killed.opened() as hub:
            await all_of([box.enrol(hub, wire.url) for box in boxes])

        mischief.share, wire.cuts, wire.flips = 0.3, 0.02, 0.01
        async with asyncio.TaskGroup() as talking:
            runs = [talking.create_task(box.sync.run()) for box in boxes]
            async with asyncio.TaskGroup() as business:
                for box in boxes:
                    business.create_task(box.sell(stop))
                    business.create_task(box.sell_relayed(stop, f"http://{HOST}:{killed.port}"))
                met = await keep_killing(killed, mischief)
                await killed.start()
                stop.set()
            mischief.share = wire.cuts = wire.flips = 0.0
            for box in boxes:
                box.link.ring_all()
            await holds(lambda: not lacking(boxes), _DRAINED_WITHIN_SECONDS, lambda: lacking(boxes))
            await all_of([box.count() for box in boxes])
            await holds(lambda: not waits(boxes), _DRAINED_WITHIN_SECONDS, lambda: waits(boxes))
            for run in runs:
                run.cancel()
        await killed.kill()

        assert killed.kills == KILLS + 1
        assert met > KILLS / 4, "the hub died idle"
        assert all(mischief.done[kind] for kind in SpoiltWay.KINDS), mischief.done
        async with killed.opened() as hub:
            events = [await same_lines(hub, box) for box in boxes]
            for box in boxes:
                await same_rows(hub, box)
            await nothing_odd(hub)
        changed = [box.keys_changed() for box in boxes]
        assert sum(changed) > 2 * BOXES, changed
        assert all(len(box.sold) > 10 for box in boxes)
        assert all(len(box.relayed) > 2 for box in boxes)
        assert all(events)
