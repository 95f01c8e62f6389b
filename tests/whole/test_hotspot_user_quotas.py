"""Packages by data and by time online on a router whose users the box writes: they end where they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik import TrapError
from easyisp_edge.lab.mikrotik.sessions import TerminateCause
from tests.whole.stage import MAC, Stage

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = """[[package]]
id = "100mb"
name = "100 MB"
price = 10
duration = "30d"
data = "100MB"
speed = "2M/5M"
[[package]]
id = "2h"
name = "2 hours online"
price = 20
duration = "7d"
online = "2h"
speed = "2M/5M"
"""
FILES = {"packages.toml": PACKAGES}
LIMIT = 100_000_000


class Site(Stage):
    """The site, with what is known of its one customer's use."""

    async def bought(self, package_id: str) -> None:
        """Bought, paid, and on."""
        await self.buy(packageId=package_id)
        await self.pay()
        await self.until_online()

    async def used(self) -> tuple[int, int]:
        """What the books say was used: seconds and octets."""
        async with self.books() as (_, connection):
            row = connection.execute("SELECT seconds_used, octets_used FROM grants").fetchone()
            return int(row[0]), int(row[1])

    async def until_used(self, octets: int) -> None:
        """Wait until just so much data is in the books."""

        async def is_noted() -> bool:
            return (await self.used())[1] == octets

        await self.until(is_noted, seconds=5, what=f"{octets} octets in the books")

    async def until_used_for(self, seconds: int) -> None:
        """Wait until so much time online is in the books, and a little that really went by."""

        async def is_noted() -> bool:
            return seconds <= (await self.used())[0] < seconds + 60

        await self.until(is_noted, seconds=5, what=f"{seconds} seconds in the books")

    def traffic(self, octets: int) -> None:
        """The device sends and receives so much in all."""
        self.router.traffic(MAC, octets // 4, octets - octets // 4)

    def be_on(self, seconds: int) -> None:
        """The device was on so much longer than it really was."""
        for session in self.router.hotspot.sessions.values():
            session.started -= seconds

    def log_out(self) -> None:
        """The session ends; the box lets the device on again where it may be."""
        for session in list(self.router.hotspot.sessions.values()):
            self.router.hotspot.end(session, TerminateCause.USER_REQUEST)

    async def until_over(self) -> None:
        """Wait, a round's worth, until the grant has ended and the device is off with nothing left on the router."""

        async def is_over() -> bool:
            return await self.count("grants", "state = 'ended'") == 1 and not self.router.is_online(MAC)

        await self.until(is_over, seconds=5, what="the end")
        await self.until(lambda: not self.ours(), seconds=5, what="the user gone")

    def ours(self) -> list[dict[str, str]]:
        """Our users on the router."""
        return [user for user in self.router.users if user.get("comment", "").startswith("edge:")]


async def test_data_ends_over_sessions_and_a_reboot(tmp_path: Path) -> None:
    """Every session counts, what was seen before the router's power went too, and at the limit it is over."""
    async with Site(tmp_path, files=FILES) as site:
        await site.bought("100mb")
        assert [user["limit-bytes-total"] for user in site.ours()] == [str(LIMIT)]
        for done in (20_000_000, 40_000_000):
            site.traffic(20_000_000)
            site.log_out()
            await site.until_used(done)
            await site.until_online()
        site.traffic(20_000_000)
        await site.until_used(60_000_000)
        await site.router.reboot(down_seconds=0.5)
        await site.router.until_up()
        await site.until_online(seconds=30)
        site.traffic(39_000_000)
        await site.until_used(99_000_000)
        assert site.router.is_online(MAC)
        site.traffic(1_000_000)
        await site.until_over()
        assert (await site.used())[1] == LIMIT


async def test_time_online_ends_over_sessions_and_a_reboot(tmp_path: Path) -> None:
    """The same with time: what the device is away costs nothing."""
    async with Site(tmp_path, files=FILES) as site:
        await site.bought("2h")
        assert [user["limit-uptime"] for user in site.ours()] == ["2h"]
        for done in (1800, 3600):
            site.be_on(1800)
            site.log_out()
            await site.until_used_for(done)
            await site.until_online()
        site.time.move(86400)
        site.be_on(1800)
        await site.until_used_for(5400)
        await site.router.reboot(down_seconds=0.5)
        await site.router.until_up()
        await site.until_online(seconds=30)
        site.be_on(1700)
        await site.until_used_for(7100)
        site.be_on(100)
        await site.until_over()
        assert 7200 <= (await site.used())[0] < 7260


async def test_a_box_killed_and_started_counts_nothing_twice(tmp_path: Path) -> None:
    """Whether the session went on, ended, or came and went while nobody looked."""
    async with Site(tmp_path, files=FILES, as_process=True) as site:
        await site.bought("100mb")
        site.traffic(10_000_000)
        await site.until_used(10_000_000)
        await site.kill_daemon()
        site.traffic(10_000_000)
        await site.start_daemon()
        await site.until_used(20_000_000)
        await site.kill_daemon()
        site.traffic(10_000_000)
        site.log_out()
        (user,) = site.ours()
        for _ in range(2):
            await site.router.log_in(MAC, user["name"], user["password"])
            site.traffic(5_000_000)
            site.log_out()
        await site.start_daemon()
        await site.until_used(40_000_000)
        await site.until_online()
        site.traffic(59_000_000)
        await site.until_used(99_000_000)
        await site.kill_daemon()
        await site.start_daemon()
        site.traffic(1_000_000)
        await site.until_over()
        assert (await site.used())[1] == LIMIT


@pytest.mark.parametrize("package_id", ["100mb", "2h"])
async def test_the_router_keeps_the_limit_while_the_box_is_dead(tmp_path: Path, package_id: str) -> None:
    """Over sessions, by itself; the box, once it is back, ends what was used up."""
    async with Site(tmp_path, files=FILES, as_process=True) as site:
        await site.bought(package_id)
        site.traffic(60_000_000)
        site.be_on(4000)
        await site.until_used(60_000_000)
        await site.kill_daemon()
        site.log_out()
        (user,) = site.ours()
        await site.router.log_in(MAC, user["name"], user["password"])
        if package_id == "100mb":
            site.traffic(40_000_000)
        else:
            site.be_on(3300)
        assert not site.router.is_online(MAC)
        with pytest.raises(TrapError, match=r"has reached (traffic|uptime) limit"):
            await site.router.log_in(MAC, user["name"], user["password"])
        await site.start_daemon()
        await site.until_over()


async def test_a_wiped_router_gives_no_data_twice(tmp_path: Path) -> None:
    """The user that is made again may come to what the books say is left."""
    async with Site(tmp_path, files=FILES) as site:
        await site.bought("100mb")
        site.traffic(70_000_000)
        await site.until_used(70_000_000)
        site.wipe_router()
        await site.until_online(seconds=10)
        assert [user["limit-bytes-total"] for user in site.ours()] == ["30000000"]
        site.traffic(30_000_000)
        await site.until_over()
        assert (await site.used())[1] == LIMIT
