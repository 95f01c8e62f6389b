"""Whatever goes wrong at whatever command of a round, soon after it the router equals the grants."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik.faults import Fault, FaultKind
from easyisp_edge.services.access import grant_life
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT
from tests.whole.router_site import RouterSite

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.lab.mikrotik import MikrotikLab
    from easyisp_edge.store.store import Tables

COMMANDS = (
    "/ip/hotspot/host/print",
    "/ip/hotspot/user/profile/add",
    "/ip/hotspot/user/add",
    "/ip/hotspot/active/login",
    "/ip/hotspot/user/profile/print",
    "/ip/hotspot/user/print",
    "/ip/hotspot/active/print",
    "/ip/hotspot/cookie/print",
    "/ip/hotspot/ip-binding/print",
    "/ip/hotspot/user/remove",
    "/ip/hotspot/active/remove",
)
# The seconds are those of reboots, and of answers that take their time.
KINDS = (
    (FaultKind.HANG, 0.0),
    (FaultKind.HANG_AFTER, 0.0),
    (FaultKind.HANG_MIDWAY, 0.0),
    (FaultKind.DROP, 0.0),
    (FaultKind.DROP_AFTER, 0.0),
    (FaultKind.RESET_AFTER, 0.0),
    (FaultKind.SLOW, 0.2),
    (FaultKind.LATE, 0.5),
    (FaultKind.TRAP, 0.0),
    (FaultKind.REBOOT, 0.3),
    (FaultKind.REBOOT_AFTER, 0.3),
)


@pytest.mark.parametrize(("kind", "seconds"), KINDS, ids=[kind.value for kind, _ in KINDS])
async def test_a_fault_at_each_command(tmp_path: Path, kind: FaultKind, seconds: float) -> None:
    """One buyer comes while another's time ends: whichever command it hits, one is on and one is off, once each."""
    site = RouterSite(tmp_path)
    async with site:
        lab = site.router
        for number, command in enumerate(COMMANDS):
            lab.connect_device(MAC.text, "10.5.50.11")
            lab.connect_device(OTHER_MAC.text, "10.5.50.12")
            first = await site.sell(number=2 * number + 1, mac=MAC)
            await site.until(lambda: settled(lab, {MAC.text}), "the first on")
            await site.until(functools.partial(runs, site, first.grant_id), "its time running")
            lab.faults.add(Fault(kind, command, seconds=seconds, message="failure: out of sorts"))
            second = await site.sell(replace(HOUR, devices_max=2 + number), number=2 * number + 2, mac=OTHER_MAC)
            await end(site, first.grant_id)
            await site.until(lambda: settled(lab, {OTHER_MAC.text}), f"equal after {kind} at {command}")
            await site.until(lambda: len(site.ours()) == 1, "one user")
            lab.faults.clear()
            await end(site, second.grant_id)
            await site.until(lambda: settled(lab, set()) and not site.ours(), "nobody")
        # A user whose profile was refused on purpose is refused for good reason.
        refused = [each for each in lab.refused if "out of sorts" not in each.message]
        assert not refused or kind is FaultKind.TRAP


@pytest.mark.parametrize("position", range(0, 24, 3))
async def test_a_dead_line_at_the_nth_command(tmp_path: Path, position: int) -> None:
    """From the nth command on nothing is answered for a while: then all is as it should be."""
    async with RouterSite(tmp_path) as site:
        lab = site.router
        lab.connect_device(MAC.text, "10.5.50.11")
        lab.faults.add(Fault(FaultKind.HANG, after=position, times=2))
        await site.sell(mac=MAC)
        await site.until(lambda: settled(lab, {MAC.text}), "on")
        assert len(site.ours()) == 1


async def test_a_slow_router_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Each has its own link and its own rounds: while one hangs the other lets its buyer on at once."""
    async with RouterSite(tmp_path, names=("quick", "slow"), deadline_seconds=3) as site:
        slow, quick = site.labs["slow"], site.labs["quick"]
        slow.faults.add(Fault(FaultKind.HANG, times=None))
        quick.connect_device(MAC.text, "10.5.50.11")
        await site.until(lambda: any("print" in words[0] for words in slow.commands_seen), "the slow one asked")
        await site.sell(mac=MAC)
        assert await site.until(lambda: quick.is_online(MAC.text), "on") < 1.5
        assert not site.ours("slow")


def settled(lab: MikrotikLab, macs: set[str]) -> bool:
    """Whether exactly these are on, and the router is there."""
    return {active.mac for active in lab.active} == macs


def runs(site: RouterSite, grant_id: str) -> bool:
    """Whether the time of a grant runs."""
    grant = site.store.read.grants.by_id(grant_id)
    return grant is not None and grant.ends_at is not None


async def end(site: RouterSite, grant_id: str) -> None:
    """The time of a grant is up."""

    def write(tx: Tables) -> None:
        grant = tx.grants.by_id(grant_id)
        assert grant is not None
        grant_life.end(tx, grant, "time", site.clock.now())

    await site.store.write(write)
    site.access.tell_routers(TENANT)
