"""The lab router's scheduler: by its own clock, at boot, and where the device-mode allows it."""

from __future__ import annotations

import pytest

from easyisp_edge.lab.mikrotik import ALL_POLICIES, ApiUser, MikrotikOptions
from tests.fakes.mikrotik_stage import Stage, mikrotik_stage

ADMIN = ApiUser("edge", "s3cret", ALL_POLICIES)
ADD = "/system/scheduler/add"


def with_admin(**changes: object) -> MikrotikOptions:
    return MikrotikOptions(**{"api_users": (ADMIN,), **changes})  # type: ignore[arg-type]


def printed(stage: Stage) -> list[str]:
    return list(stage.router.scripts.printed)


async def planned(stage: Stage, *words: str) -> None:
    await (await stage.raw()).done(ADD, "=name=tick", *words)


async def test_an_interval_begins_now() -> None:
    """Without a start the first run is one interval away, and the next ones follow it."""
    async with mikrotik_stage(with_admin()) as stage:
        await planned(stage, "=interval=10m", "=on-event=:put tick")
        client = await stage.raw()
        (row,) = await client.rows("/system/scheduler/print")
        assert (row["start-date"], row["start-time"]) == ("2026-11-21", "06:16:40")
        assert row["next-run"] == "2026-11-21 06:26:40"
        await stage.clock.advance(599)
        assert printed(stage) == []
        await stage.clock.advance(2)
        assert printed(stage) == ["tick"]
        await stage.clock.advance(1800)
        (row,) = await client.rows("/system/scheduler/print")
        assert (len(printed(stage)), row["run-count"]) == (4, "4")


async def test_a_date_runs_once() -> None:
    """A start to come without an interval runs at its moment and never again; one that passed never runs."""
    async with mikrotik_stage(with_admin()) as stage:
        await planned(stage, "=start-date=2026-11-22", "=start-time=00:00:00", "=on-event=:put day")
        client = await stage.raw()
        await client.done(ADD, "=name=past", "=start-date=2026-11-20", "=start-time=00:00:00", "=on-event=:put past")
        await stage.clock.advance(3 * 86400)
        assert printed(stage) == ["day"]
        assert all("next-run" not in row for row in await client.rows("/system/scheduler/print"))


async def test_disabled_changed_and_removed_ones() -> None:
    """What is off does not run; a new interval counts from the same start; what is removed is gone."""
    async with mikrotik_stage(with_admin()) as stage:
        await planned(stage, "=interval=10m", "=on-event=:put tick", "=disabled=yes")
        client = await stage.raw()
        await stage.clock.advance(900)
        assert printed(stage) == []
        await client.done("/system/scheduler/set", "=numbers=tick", "=disabled=no", "=interval=1h")
        (row,) = await client.rows("/system/scheduler/print")
        assert row["next-run"] == "2026-11-21 07:16:40"
        await client.done("/system/scheduler/remove", "=numbers=tick")
        await stage.clock.advance(7200)
        assert printed(stage) == []


async def test_startup_runs_at_each_boot() -> None:
    """`startup` runs shortly after each boot and not when it is added; what has an interval waits for it first."""
    async with mikrotik_stage(with_admin()) as stage:
        await planned(stage, "=start-time=startup", "=on-event=:put up")
        client = await stage.raw()
        await client.done(ADD, "=name=slow", "=start-time=startup", "=interval=2h", "=on-event=:put slow")
        await stage.clock.advance(3600)
        assert printed(stage) == []
        for boots in (1, 2):
            await stage.router.reboot(40)
            await stage.clock.advance(42)
            assert len(printed(stage)) == boots - 1
            await stage.clock.advance(2)
            assert printed(stage) == ["up"] * boots
        (up, _) = await (await stage.raw()).rows("/system/scheduler/print")
        assert up["run-count"] == "1"
        await stage.clock.advance(7200)
        assert printed(stage) == ["up", "up", "slow"]


async def test_a_clock_in_1970_runs_nothing_late() -> None:
    """After a boot the timed ones wait for NTP, and runs that the clock jumps over are not made up for."""
    async with mikrotik_stage(with_admin(ntp_seconds=20.0)) as stage:
        await planned(stage, "=interval=10m", "=on-event=:put tick")
        await stage.router.reboot(595)
        await stage.clock.advance(596)
        assert stage.router.time.now().year == 1970
        await stage.clock.advance(10)
        assert printed(stage) == []
        await stage.clock.advance(600)
        assert printed(stage) == ["tick"]


async def test_scripts_run_with_the_scheduler_s_policies() -> None:
    """`on-event` may name a script; one that asks for more than the scheduler has fails, and the log says so."""
    async with mikrotik_stage(with_admin()) as stage:
        client = await stage.raw()
        await client.done("/system/script/add", "=name=job", "=source=:put job", "=policy=read,write")
        await planned(stage, "=interval=1m", "=on-event=job", "=policy=read")
        await stage.clock.advance(61)
        assert printed(stage) == []
        (line,) = [row for row in await client.rows("/log/print") if "error" in row["topics"]]
        assert "(tick)" in line["message"]
        assert "not enough permissions" in line["message"]
        await client.done("/system/scheduler/set", "=numbers=tick", "=policy=read,write")
        await stage.clock.advance(60)
        assert printed(stage) == ["job"]


async def test_a_device_mode_may_forbid_the_scheduler() -> None:
    """Then none can be added."""
    async with mikrotik_stage(with_admin(forbidden=frozenset({"scheduler"}))) as stage:
        refused = await (await stage.raw()).trapped(ADD, "=name=x", "=interval=1m")
        assert refused == "failure: not allowed by device-mode"


async def test_dates_are_text_before_7_10() -> None:
    """Old versions take and show the month as a word."""
    async with mikrotik_stage(with_admin(version="7.9.2")) as stage:
        await planned(stage, "=start-date=Nov/22/2026", "=start-time=1:00:00", "=on-event=:put x")
        (row,) = await (await stage.raw()).rows("/system/scheduler/print")
        assert (row["start-date"], row["start-time"]) == ("nov/22/2026", "01:00:00")
        assert row["next-run"] == "nov/22/2026 01:00:00"


@pytest.mark.parametrize("word", ["=start-time=25:00:00", "=start-time=soon", "=start-date=tomorrow", "=interval=x"])
async def test_wrong_times_are_refused(word: str) -> None:
    """A time of day, a date and a span must be such."""
    async with mikrotik_stage(with_admin()) as stage:
        assert "invalid value for argument" in await (await stage.raw()).trapped(ADD, "=name=x", word)


async def test_an_undo_removes_its_own_schedulers() -> None:
    """A script that takes away schedulers and itself leaves nothing behind and runs once."""
    undo = (
        ':put undone; /system scheduler remove [find where name~"^undo-"]\n'
        '/system script remove [find where name="undo"]'
    )
    async with mikrotik_stage(with_admin()) as stage:
        client = await stage.raw()
        await client.done("/system/script/add", "=name=undo", f"=source={undo}")
        await client.done(ADD, "=name=undo-timer", "=interval=10m", "=on-event=/system script run undo")
        await client.done(ADD, "=name=undo-boot", "=start-time=startup", "=on-event=/system script run undo")
        await stage.router.reboot(40)
        await stage.clock.advance(2000)
        assert printed(stage) == ["undone"]
        client = await stage.raw()
        for menu in ("/system/script", "/system/scheduler"):
            assert await client.rows(f"{menu}/print") == []
