"""A router's set-up on the wire: whatever fails on the way, the router ends as it was or as planned."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from easyisp_edge.adapters.routeros.setup.apply import UndoneError, UndoPendingError
from easyisp_edge.adapters.routeros.setup.rows import SiteRadius
from easyisp_edge.adapters.routeros.setup.undo_script import AT_BOOT, TIMER
from easyisp_edge.errors import ConflictError, EdgeError, UnavailableError
from easyisp_edge.lab.mikrotik.faults import Fault, FaultKind
from tests.fakes.router_setup_stage import PAGES, UNDO_AFTER, SetupStage, commands_of, options, setup_stage

_WRITES = ("/add", "/set", "/remove", "/run")


@pytest.mark.parametrize("version", ["7.15.3", "7.18.2", "7.24"])
async def test_second_plan_is_empty(version: str) -> None:
    """What was applied needs nothing more, the router took every command, and nothing of the safety is left."""
    async with setup_stage(options(version)) as stage:
        setup = stage.setup()
        plan = await setup.plan()
        assert not plan.stopped
        await stage.run(setup.apply(plan))
        assert stage.said[-1] == "confirmed"
        assert (await setup.plan()).is_empty
        assert not _refused_writes(stage)
        state = await stage.state()
        assert state["/system/script"] == state["/system/scheduler"] == []
        assert not await setup.finish_undo()


@pytest.mark.parametrize("version", ["6.49.18", "7.9.2"])
async def test_pages_by_hand_before_7_15(version: str) -> None:
    """Where the API makes no folders nothing is changed before somebody put the pages there; then all goes well."""
    async with setup_stage(options(version)) as stage:
        setup = stage.setup()
        plan = await setup.plan()
        assert [trap.code for trap in plan.traps if trap.stops] == ["pages"]
        before = await stage.state()
        with pytest.raises(ConflictError):
            await stage.run(setup.apply(plan))
        assert await stage.state() == before
        folder = next(
            change.row.values["html-directory"] for change in plan.changes if change.row.menu == "/ip/hotspot/profile"
        )
        for name, text in PAGES.items():
            stage.stage.router.configuration.others["/file"].add({"name": f"{folder}/{name}", "contents": text})
        plan = await setup.plan()
        assert not plan.stopped
        await stage.run(setup.apply(plan))
        assert (await setup.plan()).is_empty
        assert not _refused_writes(stage)


async def test_undo_restores_everything() -> None:
    """The script that was written first takes every change back, and itself; a second run would change nothing."""
    async with setup_stage() as stage:
        setup = stage.setup()
        before = await stage.state()
        plan = await setup.plan()
        stage.stage.router.faults.add(_at_confirmation())
        with pytest.raises(UndoneError):
            await stage.run(setup.apply(plan))
        assert await stage.state() == before


async def test_secret_and_password_replaced() -> None:
    """A changed secret and password go beside the old ones, which stand again when it fails and go when it holds."""
    async with setup_stage() as stage:
        first = stage.setup()
        await stage.run(first.apply(await first.plan()))
        radius = SiteRadius("another-secret-of-16", 1812, 1813, UNDO_AFTER / 2, 3799)
        api = replace(stage.site.api, password="another-password")
        site = replace(stage.site, radius=radius, api=api)
        secrets = _secrets(stage)
        second = stage.setup(site)
        plan = await second.plan()
        stage.stage.router.faults.add(_at_confirmation())
        with pytest.raises(UndoneError):
            await stage.run(second.apply(plan))
        assert _secrets(stage) == secrets
        await stage.run(second.apply(await second.plan()))
        assert _secrets(stage) == (["another-secret-of-16"], ["another-password"])
        assert (await second.plan()).is_empty


async def test_interrupted_set_up_is_undone_first() -> None:
    """A set-up that finds the script of one that broke off has it run, and starts from there."""
    async with setup_stage() as stage:
        before = await stage.state()
        await _die_at(stage, 60, FaultKind.HANG_AFTER)
        stage.stage.router.faults.clear()
        assert {row["name"] for row in (await stage.state())["/system/scheduler"]} == {TIMER, AT_BOOT}
        with pytest.raises(ConflictError, match="under way"):
            await stage.run(stage.setup().apply(await stage.setup().plan()))
        setup = stage.setup()
        assert await setup.finish_undo()
        assert await stage.state() == before
        await stage.run(setup.apply(await setup.plan()))
        assert (await setup.plan()).is_empty


async def test_slow_router_is_never_confirmed_late() -> None:
    """Near the deadline nothing is confirmed any more: the router could be undoing it at that moment."""
    async with setup_stage() as stage:
        before = await stage.state()
        setup = stage.setup()
        plan = await setup.plan()
        stage.stage.router.faults.fault_at(40, FaultKind.SLOW, seconds=545)
        stage.seconds = 10.0
        with pytest.raises(UndoneError, match="too long"):
            await stage.run(setup.apply(plan))
        assert await stage.state() == before


async def test_router_changed_meanwhile() -> None:
    """A plan is for the router it was made for: what the undo would write back has to be what stands there."""
    async with setup_stage() as stage:
        setup = stage.setup()
        plan = await setup.plan()
        stage.stage.router.configuration.servers.change("hotspot1", {"idle-timeout": "7m"})
        before = await stage.state()
        with pytest.raises(ConflictError, match="plan anew"):
            await stage.run(setup.apply(plan))
        assert await stage.state() == before


async def test_lost_answer_to_the_confirmation() -> None:
    """A confirmation whose answer was lost is found to have been carried out, and is none that failed."""
    async with setup_stage() as stage:
        setup = stage.setup()
        plan = await setup.plan()
        stage.stage.router.faults.add(_at_confirmation(FaultKind.DROP_AFTER))
        await stage.run(setup.apply(plan))
        assert (await setup.plan()).is_empty


async def test_scheduler_forbidden() -> None:
    """Where the router may not undo by itself it is not touched, unless that is what is wanted."""
    async with setup_stage(options(forbidden=frozenset({"scheduler"}))) as stage:
        setup = stage.setup()
        plan = await setup.plan()
        assert "device_mode_scheduler" in {trap.code for trap in plan.traps}
        with pytest.raises(ConflictError):
            await stage.run(setup.apply(plan))
        unsafe = stage.setup(safety=False)
        await stage.run(unsafe.apply(await unsafe.plan()))
        assert (await unsafe.plan()).is_empty


async def test_wrong_box_address_locks_nobody_out() -> None:
    """A box_address that is not this box's is found out before anything is changed."""
    async with setup_stage(box_address="10.5.50.2") as stage:
        plan = await stage.setup().plan()
        assert "box_address" in {trap.code for trap in plan.traps if trap.stops}


_FAULTS = (
    FaultKind.DROP,
    FaultKind.DROP_AFTER,
    FaultKind.REBOOT,
    FaultKind.REBOOT_AFTER,
    FaultKind.HANG,
    FaultKind.HANG_AFTER,
)


@pytest.mark.parametrize("kind", _FAULTS, ids=lambda kind: kind.value)
async def test_fault_at_any_write(kind: FaultKind) -> None:
    """Whatever command the fault hits, the router is as before or as planned in the end, reachable, and not stuck."""
    for step in _sampled(await _writes(), _FAULTS.index(kind)):
        async with setup_stage() as stage:
            before = await stage.state()
            setup = stage.setup()
            plan = await setup.plan()
            stage.seconds = 0.08
            stage.stage.router.faults.fault_at(step, kind, seconds=40)
            try:
                await stage.run(setup.apply(plan))
                ended = "done"
            except UndoneError:
                ended = "undone"
            except (UndoPendingError, UnavailableError):
                ended = "unknown"
            stage.seconds = 5.0
            await _ends_well(stage, before, ended, f"{kind.value} at {step}")


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.HANG_AFTER], ids=lambda kind: kind.value)
async def test_box_dies_at_any_write(kind: FaultKind) -> None:
    """A box that never comes back leaves a router that was confirmed, or undoes it all at the deadline."""
    for step in _sampled(await _writes(), 0 if kind is FaultKind.HANG else 3):
        async with setup_stage() as stage:
            before = await stage.state()
            await _die_at(stage, step, kind)
            await _ends_well(stage, before, "unknown", f"died at {step}")


@pytest.mark.parametrize("step", [40, 90, 140])
async def test_box_dies_and_router_reboots(step: int) -> None:
    """A power cut after the box died undoes it at the next boot, long before the deadline."""
    async with setup_stage() as stage:
        before = await stage.state()
        await _die_at(stage, step, FaultKind.HANG_AFTER)
        await stage.stage.router.reboot(40)
        await stage.stage.clock.advance(90)
        assert await stage.state() == before


async def _writes() -> list[int]:
    """The numbers of the commands of an apply that write."""
    async with setup_stage() as stage:
        setup = stage.setup()
        plan = await setup.plan()
        since = len(stage.stage.router.commands_seen)
        await stage.run(setup.apply(plan))
        return commands_of(stage, since, lambda command: command.endswith(_WRITES))


def _sampled(steps: list[int], offset: int) -> list[int]:
    """The first and the last, where what is safe turns, and some between, others for each kind of fault."""
    return [*steps[:4], *steps[4 + offset : -5 : 9], *steps[-5:]]


async def _die_at(stage: SetupStage, step: int, kind: FaultKind) -> None:
    setup = stage.setup()
    plan = await setup.plan()
    fault = stage.stage.router.faults.fault_at(step, kind)
    task = asyncio.create_task(setup.apply(plan))
    while fault.times:
        await asyncio.sleep(0.001)
        assert not task.done()
    await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, EdgeError):
        await task


async def _ends_well(stage: SetupStage, before: object, ended: str, case: str) -> None:
    router = stage.stage.router
    router.faults.clear()
    await stage.stage.clock.advance(2 * UNDO_AFTER.total_seconds() + 60)
    now = await stage.state()
    setup = stage.setup()
    plan = await setup.plan()
    assert now == before or not plan.changes, case
    assert (ended, now == before) != ("done", True), case
    assert (ended, now == before) != ("undone", False), case
    assert now["/system/script"] == now["/system/scheduler"] == [], case
    await stage.run(setup.apply(plan))
    assert (await setup.plan()).is_empty, case


def _refused_writes(stage: SetupStage) -> list[tuple[str, ...]]:
    """Reading a menu that a version does not have is how one finds out."""
    refused = stage.stage.router.refused
    return [refusal.words for refusal in refused if not refusal.words[0].endswith("/print")]


def _at_confirmation(kind: FaultKind = FaultKind.DROP) -> Fault:
    return Fault(kind, "/system/script/remove")


def _secrets(stage: SetupStage) -> tuple[list[str], list[str]]:
    configuration = stage.stage.router.configuration
    radius = [row.values["secret"] for row in configuration.radius if row.values.get("disabled") != "true"]
    users = [row.values["password"] for row in configuration.others["/user"] if row.values["name"] == "easyisp"]
    return radius, users
