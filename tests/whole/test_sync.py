"""A box and its hub, both real, kept in step over wires that lose, cut and flip."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import sqlite3
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.hub.publish import Publisher
from easyisp_edge.hub.store.sites import sites_of
from easyisp_edge.system import SystemClock
from tests.fakes.hub_stage import hub_config, parts_of, running_hub
from tests.fakes.ports import free_port
from tests.whole.stage import EDGE, HOST, MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage
from tests.whole.sync_stage import HubProcess, Wire, box_digests, enrol, side, until_in_step, until_same

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.hub.hub import Hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    folder = tmp_path / "hub"
    folder.mkdir()
    port = free_port()
    config = hub_config(folder, SqliteAddress(folder / "hub.sqlite"))
    update = {"port": port, "public_url": f"http://{HOST}:{port}"}
    async with running_hub(config.model_copy(update=update)) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path) -> Stage:
    folder = tmp_path / "box"
    folder.mkdir()
    return Stage(folder)


async def sell(stage: Stage, phone: str = PHONE, mac: str = MAC, package: str = "1h") -> str:
    """One sale, paid for; gives the purchase's id."""
    purchase_id = await stage.buy(phone=phone, macAddress=mac, packageId=package)
    await stage.pay(phone)
    await stage.until_status(purchase_id, "completed")
    return purchase_id


RELAYED = EDGE.replace("enabled = true", "enabled = false").replace(
    'public_url = "http://127.0.0.1:{callbacks_port}"', "[central]\ncallbacks = true"
)
WEEK = {"id": "1w", "name": "1 week", "price": 300, "duration": "7d", "speed": "3M/8M"}


def publisher(hub: Hub) -> Publisher:
    parts = parts_of(hub)
    return Publisher(parts.database, SystemClock(), parts.key, parts.bells)


async def command(stage: Stage, *arguments: str) -> str:
    """What one of the box's own commands says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "easyisp_edge", *arguments, "--config", str(stage.folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def packages_on_sale(stage: Stage) -> set[str]:
    _, page = await stage.get("/", mac=MAC)
    return {name for name in ("1 hour", "1 day", "1 week") if name in page}


def key_of(stage: Stage) -> bytes:
    site = side(stage).link.site
    assert site is not None
    return site.public_key


def keep_card(stage: Stage, *, keys: bool = False) -> Path:
    """A copy of a stopped box's card: its books, and its keys where they are asked for."""
    kept = stage.folder.with_name("kept")
    kept.mkdir()
    for pattern in ("edge.sqlite*", *(("hub-*.key",) if keys else ())):
        for file in stage.folder.glob(pattern):
            shutil.copy(file, kept)
    return kept


def put_card_back(stage: Stage, kept: Path) -> None:
    """What stood on the card when it was copied, and nothing of what came after."""
    for file in stage.folder.glob("edge.sqlite*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, stage.folder)


async def test_what_a_box_sells_is_known_at_the_hub(hub: Hub, box: Stage) -> None:
    """Before enrolment and after it: row for row."""
    async with box:
        await sell(box)
        site_id = await enrol(box, hub, hub.address)
        await until_in_step(box)
        await until_same(box, hub, site_id)


async def test_nothing_is_lost_on_a_wire_that_cuts_and_flips(hub: Hub, box: Stage) -> None:
    """Whatever is cut or changed on the way goes again, and nothing stands twice."""
    async with Wire(int(hub.address.rpartition(":")[2])).running() as wire, box:
        site_id = await enrol(box, hub, wire.url)
        await until_in_step(box)
        wire.cuts, wire.flips = 0.1, 0.05
        await sell(box)
        await sell(box, OTHER_PHONE, OTHER_MAC)
        wire.cut()
        await until_in_step(box, seconds=60)
        wire.cuts = wire.flips = 0.0
        await until_in_step(box, seconds=60)
        await until_same(box, hub, site_id)


async def test_a_hub_that_is_away_costs_a_customer_nothing(hub: Hub, box: Stage) -> None:
    """Sales go on while nobody answers, and all of it goes up when somebody does."""
    async with Wire(int(hub.address.rpartition(":")[2])).running() as wire, box:
        site_id = await enrol(box, hub, wire.url)
        await until_in_step(box)
        wire.is_up = False
        wire.cut()
        await sell(box)
        await box.until(lambda: side(box).sync.status()["streams"]["money"]["waiting"], seconds=5, what="a backlog")
        assert side(box).sync.status()["selling"]
        wire.is_up = True
        side(box).link.ring_all()
        await until_in_step(box)
        await until_same(box, hub, site_id)


async def test_a_new_box_takes_a_dead_ones_place(hub: Hub, box: Stage, tmp_path: Path) -> None:
    """Enrolled in its place it has its books again, row for row, and its customer is let on with the time left."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await sell(box)
        await box.until_running()
        await until_in_step(box)
    before = await box_digests(box.folder)
    (tmp_path / "another").mkdir()
    async with Stage(tmp_path / "another") as other:
        assert await enrol(other, hub, hub.address) == site_id
        await until_in_step(other, seconds=40)
        found = await box_digests(other.folder)
        assert found["payments"] == before["payments"]
        await until_same(other, hub, site_id)
        await other.until_online(seconds=10)
        await sell(other, OTHER_PHONE, OTHER_MAC)
        await until_in_step(other)
        await until_same(other, hub, site_id)
        assert side(other).sync.status()["alarms"] == []


async def test_a_box_changes_its_key_and_goes_on(hub: Hub, box: Stage, tmp_path: Path) -> None:
    """Nobody has to do anything; a copy of its card from before is nobody to the hub from then on."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await until_in_step(box)
        first = key_of(box)
    kept = keep_card(box, keys=True)
    async with box:
        await until_in_step(box)
        link = side(box).link
        half_a_year_ago = link.clock.now() - timedelta(days=181)
        await link.store.write(lambda tx: tx.sync.change_key(first, half_a_year_ago))
        link.bell("new key").ring()
        await box.until(lambda: key_of(box) != first, what="another key", seconds=20)
        await sell(box)
        await until_in_step(box)
        await until_same(box, hub, site_id)
        second = key_of(box)
    async with box:
        await until_in_step(box)
        await sell(box, OTHER_PHONE, OTHER_MAC)
        await until_same(box, hub, site_id)
        assert "key         since" in await command(box, "sync", "status")
        async with parts_of(hub).database.transaction() as tx:  # restored from before the change
            await tx.rows("UPDATE sites SET public_key = former_key, former_key = NULL WHERE site_id = $1", site_id)
        await sell(box, "0733222111", "AA:BB:CC:00:00:03")
        await box.until(lambda: key_of(box) == first, what="the key the hub knows", seconds=20)
        await until_in_step(box)
        await until_same(box, hub, site_id)
        link = side(box).link
        await link.store.write(lambda tx: tx.sync.change_key(first, half_a_year_ago))
        link.bell("new key").ring()
        await box.until(lambda: key_of(box) not in {first, second}, what="a third key", seconds=20)
        await until_in_step(box)
        second = key_of(box)
    async with parts_of(hub).database.reading() as tx:
        known = (await sites_of(tx, [site_id]))[site_id]
    assert (known.public_key, known.former_key) == (second, first)
    (tmp_path / "copy").mkdir()
    copy = Stage(tmp_path / "copy")
    put_card_back(copy, kept)
    async with copy:
        link = side(copy).link
        await copy.until(lambda: bool(link.said), what="an answer", seconds=20)
        assert "enrol it again" in await command(copy, "sync", "status")
        assert not link.in_step


async def test_a_restored_card_gets_back_what_it_lost(hub: Hub, box: Stage) -> None:
    """The hub is ahead: the box takes its own events back, begins a new epoch and sells again."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await until_in_step(box)
        await box.stop_daemon()
        kept = keep_card(box)
        await box.start_daemon()
        await sell(box)
        await until_in_step(box)
        await box.stop_daemon()
        put_card_back(box, kept)
        await box.start_daemon()
        await box.until(lambda: side(box).link.in_step, seconds=20, what="in step again")
        assert await box.count("payments") == 1
        assert side(box).sync.status()["epoch"] == 2
        await sell(box, OTHER_PHONE, OTHER_MAC)
        await until_in_step(box)
        await until_same(box, hub, site_id)


async def test_a_fork_keeps_both_parts(hub: Hub, box: Stage) -> None:
    """A restored card that sold on before it could ask: both its and the hub's sales stand, and a person is told."""
    async with Wire(int(hub.address.rpartition(":")[2])).running() as wire, box:
        site_id = await enrol(box, hub, wire.url)
        await until_in_step(box)
        await box.stop_daemon()
        kept = keep_card(box)
        await box.start_daemon()
        await sell(box)
        await until_in_step(box)
        await box.stop_daemon()
        wire.is_up = False
        wire.cut()
        put_card_back(box, kept)
        await box.start_daemon()
        await sell(box, OTHER_PHONE, OTHER_MAC, "1d")
        wire.is_up = True
        side(box).link.ring_all()
        await until_in_step(box, seconds=40)
        assert await box.count("payments") == 2
        assert "fork" in [each["kind"] for each in side(box).sync.status()["alarms"]]
        await until_same(box, hub, site_id)


async def test_a_callback_reaches_a_box_that_nobody_can_reach(
    hub: Hub, box: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """M-Pesa posts to the hub's address, and the device is online within three seconds; nothing is sold before."""
    caplog.set_level(logging.INFO, "easyisp_edge.daemon.central")
    box.files["edge.toml"] = RELAYED
    async with box:
        assert "nothing is sold by M-Pesa yet" in caplog.text
        assert (await box.initiate(expect=404))["code"] == "gateway.missing"
        await enrol(box, hub, hub.address)
        await until_in_step(box)
        purchase_id = await box.buy()
        await box.pay()
        assert await box.until_online(seconds=3) < 3
        assert (await box.status(purchase_id))["status"] == "completed"
        assert await box.count("evidence", "source = 'stk_callback_relayed' AND verdict = 'settled'") == 1


async def test_a_grant_is_taken_back_by_the_hub(hub: Hub, box: Stage) -> None:
    """It ends at the box, which says why, and its device is put off."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await sell(box)
        await box.until_online()
        await until_in_step(box)
        async with box.books() as (_, connection):
            (grant_id,) = connection.execute("SELECT grant_id FROM grants").fetchone()
        await publisher(hub).revoke(site_id, grant_id, "a stolen phone")
        await box.until(lambda: not box.router.is_online(MAC), seconds=10, what="the device off")
        assert await box.count("grants", "state = 'ended'") == 1
        assert await box.count("events", "type = 'grant.revoked'") == 1


async def test_a_published_configuration_is_kept_and_lies_below_the_files(hub: Hub, box: Stage) -> None:
    """A new package is on sale, at once and after a restart; one that a file has is as the file has it."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await until_in_step(box)
        await publisher(hub).publish(site_id, [WEEK, {**WEEK, "id": "1h", "name": "1 week too"}], [])
        await box.until(lambda: len(side(box).site.config.packages) == 3, seconds=10, what="the package")
        assert await packages_on_sale(box) == {"1 hour", "1 day", "1 week"}
        await box.stop_daemon()
        await box.start_daemon()
        assert await packages_on_sale(box) == {"1 hour", "1 day", "1 week"}
        assert side(box).site.config.package("default", "1h").name == "1 hour"


async def test_a_wrong_configuration_is_refused_as_a_whole(hub: Hub, box: Stage) -> None:
    """Nothing of it is in force, a person is told, and what comes after it is taken."""
    async with box:
        site_id = await enrol(box, hub, hub.address)
        await until_in_step(box)
        await publisher(hub).publish(site_id, [WEEK, {**WEEK, "id": "bad", "speed": "fast"}], [])
        await box.until(lambda: side(box).sync.status()["config"]["withdrawn"] == [1], seconds=10, what="the refusal")
        assert len(side(box).site.config.packages) == 2
        await box.until(lambda: side(box).sync.status()["alarms"], seconds=10, what="the alarm")  # noted just after
        assert [each["kind"] for each in side(box).sync.status()["alarms"]] == ["config.refused"]
        await publisher(hub).publish(site_id, [WEEK], [])
        await box.until(lambda: len(side(box).site.config.packages) == 3, seconds=10, what="the package")


async def test_killed_in_the_middle_a_box_goes_on(hub: Hub, tmp_path: Path) -> None:
    """By its own commands it is enrolled and looked at; what it sold before and after each kill is known, once."""
    folder = tmp_path / "box"
    folder.mkdir()
    async with Stage(folder, as_process=True) as box:
        enrolment = parts_of(hub).enrolment
        new = await enrolment.new_code("Juja")
        await sell(box)
        said = await command(box, "enrol", hub.address, new.code, "--no-wait")
        (seen,) = await enrolment.seen()
        assert seen.fingerprint in said
        await enrolment.confirm(new.site_id)
        for phone, mac in ((OTHER_PHONE, OTHER_MAC), ("0733000222", "AA:BB:CC:00:00:03")):
            box.router.connect_device(mac, f"10.5.50.{mac[-1]}0")
            await box.kill_daemon()
            await box.start_daemon()
            await sell(box, phone, mac)

        async def told() -> bool:
            status = json.loads(await command(box, "sync", "status", "--json"))
            return bool(status["inStep"] and not any(each["waiting"] for each in status["streams"].values()))

        await box.until(told, seconds=30, what="all of it at the hub")
        assert "in step" in await command(box, "sync", "status")
        await until_same(box, hub, new.site_id)


async def test_a_configuration_under_which_the_daemon_dies_is_withdrawn(hub: Hub, tmp_path: Path) -> None:
    """Dead within its trial, in one boot of the machine: the one before is in force at the next start."""
    folder = tmp_path / "box"
    folder.mkdir()
    async with Stage(folder, as_process=True) as box:
        new = await parts_of(hub).enrolment.new_code("Juja")
        await command(box, "enrol", hub.address, new.code, "--no-wait")
        await parts_of(hub).enrolment.confirm(new.site_id)
        await publisher(hub).publish(new.site_id, [WEEK], [])

        async def on_sale() -> bool:
            return "1 week" in await packages_on_sale(box)

        await box.until(on_sale, seconds=20, what="the package")
        await box.kill_daemon()
        await box.start_daemon()
        assert await packages_on_sale(box) == {"1 hour", "1 day"}
        status = json.loads(await command(box, "sync", "status", "--json"))
        assert status["config"]["withdrawn"] == [1]
        assert [each["kind"] for each in status["alarms"]] == ["config.withdrawn"]


async def test_while_the_books_are_taken_back_nothing_is_sold(hub: Hub, box: Stage) -> None:
    """The page says so plainly, nothing is begun, and who is online stays so; after it all is as ever."""
    async with Wire(int(hub.address.rpartition(":")[2])).running() as wire, box:
        await enrol(box, hub, wire.url)
        await sell(box)
        await box.until_online()
        await until_in_step(box)
        await box.stop_daemon()
        wire.is_up = False
        wire.cut()
        with contextlib.closing(sqlite3.connect(box.folder / "edge.sqlite")) as connection, connection:
            connection.execute("UPDATE sync_site SET phase = 'apart'")  # it was cut off in the middle of it
        await box.start_daemon()
        assert "Sales rest for a moment" in (await box.get("/", mac=OTHER_MAC))[1]
        refused = await box.initiate(phone=OTHER_PHONE, macAddress=OTHER_MAC, expect=503)
        assert refused["code"] == "sales.rest"
        assert box.router.is_online(MAC)
        assert await box.count("purchases") == 1
        wire.is_up = True
        side(box).link.ring_all()
        await until_in_step(box)
        await sell(box, OTHER_PHONE, OTHER_MAC)


async def test_a_hub_that_is_killed_again_and_again_loses_nothing(box: Stage, tmp_path: Path) -> None:
    """Over a wire that cuts and flips, while the box sells: at the end its rows are the box's, once."""
    folder = tmp_path / "hub"
    folder.mkdir()
    process = HubProcess(folder)
    async with Wire(process.port, cuts=0.03, flips=0.03).running() as wire, box:
        async with process.opened() as hub:
            enrolment = parts_of(hub).enrolment
            new = await enrolment.new_code("Juja")
            side(box).link.return_seconds = 0.0
            await side(box).enrolment.run(hub.address, new.code, "a test")
            await enrolment.confirm(new.site_id)
        async with box.books() as (tables, _):
            site = tables.sync.site()
        assert site is not None
        await box.daemon.parts.store.write(lambda tx: tx.sync.enrol(replace(site, hub_url=wire.url)))
        side(box).link.enrolled_anew()
        for number in range(6):
            await process.start()
            mac = f"AA:BB:CC:00:01:0{number}"
            box.router.connect_device(mac, f"10.5.50.{50 + number}")
            side(box).link.ring_all()
            await sell(box, f"07330002{number:02}", mac)
            await process.kill()
        wire.cuts = wire.flips = 0.0
        await process.start()
        side(box).link.ring_all()
        await until_in_step(box, seconds=60)
        await process.kill()
        async with process.opened() as hub:
            await until_same(box, hub, new.site_id)
        assert await box.count("payments") == 6
