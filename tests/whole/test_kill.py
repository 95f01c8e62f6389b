"""The daemon killed in the middle: one payment, one grant, the device on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaOptions
from easyisp_edge.lab.mikrotik import Fault, FaultKind
from tests.whole.stage import MAC, Stage

if TYPE_CHECKING:
    from pathlib import Path

MODES = pytest.mark.parametrize("mode", ["hotspot-user", "radius"])


async def settled_once(stage: Stage) -> None:
    """One payment, one grant, the device on, the books whole."""
    await stage.until_online(seconds=45)
    assert (await stage.count("payments"), await stage.count("grants")) == (1, 1)
    assert len(stage.daraja.debits) == 1
    async with stage.books() as (tables, _):
        assert tables.events.first_break(Stream.MONEY) is None


@MODES
async def test_killed_while_the_push_is_under_way(tmp_path: Path, mode: str) -> None:
    """Killed before Daraja's answer came: the payer pays, the callback names the purchase by its secret."""
    options = DarajaOptions.unhurried(Behaviour(answer_after_seconds=1.0))
    async with Stage(tmp_path, mode=mode, daraja_options=options, as_process=True) as stage:
        buying = asyncio.create_task(stage.buy())
        await stage.daraja.wait_for_prompt("0712345678")
        await stage.kill_daemon()
        await asyncio.gather(buying, return_exceptions=True)
        await stage.start_daemon()
        await stage.pay()
        await settled_once(stage)
        assert len(stage.daraja.pushes) == 1


async def test_killed_after_the_push_was_answered(tmp_path: Path) -> None:
    """Killed with the prompt open, paid while it is down and the callback lost: found by query."""
    options = DarajaOptions.unhurried(Behaviour(callback=CallbackHandling(copies=0)))
    async with Stage(tmp_path, daraja_options=options, as_process=True) as stage:
        await stage.buy()
        await stage.kill_daemon()
        await stage.pay()
        await stage.start_daemon()
        await settled_once(stage)


@MODES
@pytest.mark.parametrize("after_milliseconds", [0, 5, 10, 20, 40, 80])
async def test_killed_somewhere_between_the_callback_and_the_device_on(
    tmp_path: Path, mode: str, after_milliseconds: int
) -> None:
    """Killed at any moment after the PIN: what was committed is carried on, what was not is asked again."""
    async with Stage(tmp_path, mode=mode, as_process=True) as stage:
        await stage.buy()
        paying = asyncio.create_task(stage.pay())
        await asyncio.sleep(after_milliseconds / 1000)
        await stage.kill_daemon()
        await paying
        await stage.start_daemon()
        await settled_once(stage)


async def test_killed_with_the_device_on(tmp_path: Path) -> None:
    """Killed and started again, the device stays on and its time goes on running."""
    async with Stage(tmp_path, as_process=True) as stage:
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_online()
        before = (await stage.until_status(purchase_id, "completed"))["secondsLeft"]
        await stage.kill_daemon()
        assert stage.router.is_online(MAC)
        await asyncio.sleep(1.1)
        await stage.start_daemon()
        await settled_once(stage)
        assert (await stage.status(purchase_id))["secondsLeft"] < before
        assert len(stage.router.active) == 1


async def test_acknowledged_is_committed(tmp_path: Path) -> None:
    """A callback that was answered 200 is in the books even if the daemon dies with the answer."""
    async with Stage(tmp_path, as_process=True) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until(lambda: len(stage.daraja.callbacks) == 1, seconds=5, what="the callback sent")
        await stage.kill_daemon()
        if stage.daraja.callbacks[0].status == 200:
            assert await stage.count("payments") == 1
        await stage.start_daemon()
        await settled_once(stage)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/ip/hotspot/user/profile/add", FaultKind.HANG),
        ("/ip/hotspot/user/profile/add", FaultKind.HANG_AFTER),
        ("/ip/hotspot/user/add", FaultKind.HANG),
        ("/ip/hotspot/user/add", FaultKind.HANG_AFTER),
        ("/ip/hotspot/active/login", FaultKind.HANG),
        ("/ip/hotspot/active/login", FaultKind.HANG_AFTER),
    ],
)
async def test_killed_at_each_step_on_the_router(tmp_path: Path, command: str, kind: FaultKind) -> None:
    """Killed before and after each command of provisioning took effect: no duplicate, the device on."""
    async with Stage(tmp_path, as_process=True) as stage:
        stage.router.faults.add(Fault(kind, command))
        await stage.buy()
        await stage.pay()
        await stage.until(
            lambda: any(words[0] == command for words in stage.router.commands_seen), seconds=5, what=command
        )
        await stage.kill_daemon()
        stage.router.faults.clear()
        await stage.start_daemon()
        await settled_once(stage)
        ours = [user for user in stage.router.users if user.get("comment", "").startswith("edge:")]
        assert len(ours) == 1
        assert stage.router.is_online(MAC)
