"""A box behind a wall that lets nobody in, in its own network: M-Pesa's callback reaches it by the hub it dials."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real_parts import require
from tests.whole.internet_side import HUB_PORT
from tests.whole.stage import EDGE, GATEWAYS, MAC, PHONE, Stage
from tests.whole.sync_stage import side, until_in_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.real_part("network namespaces")

INTERNET_ADDRESS, SITE_ADDRESS = "10.213.7.1", "10.213.7.2"
# Answers come to these ports; whatever the box listens on is below them.
DIALLED_FROM, DIALLED_TO = 61000, 65000
PORTAL_PORT = 20000
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Networks:
    """Two networks, joined by one wire.

    Args:
        internet: The name of the one with the hub and M-Pesa.
        site: The name of the one with the box.
    """

    internet: str
    site: str

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """They stand within the block, and nothing of them after it."""
        try:
            for name in (self.internet, self.site):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("link", "add", "out", "netns", self.internet, "type", "veth", "peer", "name", "in", "netns", self.site)
            for name, end, address in ((self.internet, "out", INTERNET_ADDRESS), (self.site, "in", SITE_ADDRESS)):
                ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
                ip("-n", name, "link", "set", end, "up")
            yield
        finally:
            for name in (self.internet, self.site):
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def wall_in(self) -> None:
        """From now on the site is reached by answers to what it dialled itself, and by nothing else."""
        ports = f"echo {DIALLED_FROM} {DIALLED_TO} > /proc/sys/net/ipv4/ip_local_port_range"
        subprocess.run(["ip", "netns", "exec", self.site, "sh", "-c", ports], check=True)
        for protocol in ("tcp", "udp"):
            rule = ("iif", "in", "ipproto", protocol, "dport", f"1-{DIALLED_FROM - 1}", "blackhole")
            ip("-n", self.site, "rule", "add", "pref", "10", *rule)
        ip("-n", self.site, "rule", "add", "pref", "50", "table", "local")
        ip("-n", self.site, "rule", "del", "pref", "0")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread's sockets are that network's within the block."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(descriptor: int) -> None:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network {name} cannot be entered")

    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{name}").open() as there:
        enter(there.fileno())
        try:
            yield
        finally:
            enter(home.fileno())


@pytest.fixture
def networks() -> Iterator[Networks]:
    require("ip", "iproute2")
    made = Networks(f"edge-internet-{os.getpid()}", f"edge-site-{os.getpid()}")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(made.made())
            ip("netns", "exec", made.site, "true")
        except OSError as error:  # no package mends this: it takes root, and a kernel that allows it
            pytest.skip(f"no networks of our own can be made here ({error}): this is not tried")
        yield made


@dataclass
class Internet:
    """The process with the hub and M-Pesa.

    Args:
        process: It.
        told: Where things are.
    """

    process: asyncio.subprocess.Process
    told: dict[str, str]

    async def do(self, *words: str) -> Any:
        """Have something done; gives what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words).encode() + b"\n")
        return await heard(self.process)


async def heard(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    assert line, "the internet's half has ended"
    return json.loads(line)


@pytest.fixture
async def internet(networks: Networks, tmp_path: Path) -> AsyncIterator[Internet]:
    folder = tmp_path / "hub"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", networks.internet),
        *(sys.executable, "-m", "tests.whole.internet_side", str(folder), INTERNET_ADDRESS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield Internet(process, await heard(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class WalledInStage(Stage):
    """A site whose portal listens in a network of its own, on ports below those it dials from."""

    def _choose_ports(self) -> None:
        names = ("portal_port", "admin_port", "callbacks_port", "radius_auth_port", "radius_acct_port")
        self._ports = {name: PORTAL_PORT + number for number, name in enumerate(names)}


async def test_a_callback_posted_to_the_hub_reaches_a_box_that_lets_nobody_in(
    networks: Networks, internet: Internet, tmp_path: Path
) -> None:
    """Nobody can dial the box, and three seconds after M-Pesa posted to the hub's address the device is online."""
    folder = tmp_path / "box"
    folder.mkdir()
    settings = EDGE.replace('address = "127.0.0.1"', 'address = "0.0.0.0"', 1).replace(
        "enabled = true", "enabled = false"
    )
    relayed = settings.replace('public_url = "http://127.0.0.1:{callbacks_port}"', "[central]\ncallbacks = true")
    gateways = GATEWAYS.replace("{daraja}", internet.told["daraja"])
    box = WalledInStage(folder, files={"edge.toml": relayed, "gateways.toml": gateways})
    with inside(networks.site):
        async with box:
            assert await internet.do("dial", SITE_ADDRESS, str(PORTAL_PORT)) == "open"
            networks.wall_in()
            assert await internet.do("dial", SITE_ADDRESS, str(PORTAL_PORT)) == "shut"
            await enrol(box, internet)
            await until_in_step(box)
            purchase_id = await box.buy()
            assert not box.router.is_online(MAC)
            await internet.do("pay", PHONE)
            assert await box.until_online(seconds=3) < 3
            assert (await box.status(purchase_id))["status"] == "completed"
            assert await box.count("evidence", "source = 'stk_callback_relayed' AND verdict = 'settled'") == 1
            assert await internet.do("dial", SITE_ADDRESS, str(PORTAL_PORT)) == "shut"


async def enrol(box: Stage, internet: Internet) -> None:
    side(box).link.return_seconds = 0.0
    assert internet.told["hub"].endswith(f":{HUB_PORT}")
    await side(box).enrolment.run(internet.told["hub"], internet.told["code"], "a test")
    await internet.do("confirm")
