"""The daemon as systemd runs it: with sockets handed over, a watchdog fed, signals obeyed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from easyisp_edge.systemd import Notifier, inherited_sockets, watchdog_seconds
from tests.fakes.service_manager import HOST, ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

EDGE = """development = true
[portal]
address = "127.0.0.1"
port = {portal}
[admin]
port = {admin}
[callbacks]
enabled = true
port = {callbacks}
public_url = "http://127.0.0.1:{callbacks}"
[radius]
address = "127.0.0.1"
auth_port = {radius-auth}
acct_port = {radius-acct}
[store]
path = "edge.sqlite"
[control]
path = "control.sock"
"""
PACKAGES = """[[package]]
id = "1h"
name = "1 hour"
price = {price}
duration = "1h"
speed = "2M/5M"
"""
GATEWAYS = """[[gateway]]
id = "paybill"
sub_type = "PAYBILL"
shortcode = "174379"
consumer_key = "a-key"
consumer_secret = "a-secret"
passkey = "a-passkey"
base_url = "http://127.0.0.1:{closed}"
"""
ROUTERS = """[[router]]
id = "main"
address = "127.0.0.1"
mode = "hotspot-user"
login_url = "http://10.5.50.1/login"
[router.api]
tls = false
port = {closed}
username = "edge"
password = "s3cret"
"""
RADIUS_ROUTER = """[[router]]
id = "annexe"
address = "127.0.0.2"
mode = "radius"
login_url = "http://10.5.60.1/login"
[router.radius]
secret = "only-good-on-loopback"
"""
DEAR, CHEAP = "777", "555"


def closed_port() -> int:
    """A port at which nobody answers."""
    with socket.create_server((HOST, 0)) as trial:
        return int(trial.getsockname()[1])


def configure(manager: ServiceManager, price: str = DEAR, routers: str = ROUTERS) -> None:
    """Write a configuration whose doors are where the manager's sockets are, as on an installed box."""
    files = {
        "edge.toml": EDGE.format_map({name: manager.port(name) for name in manager.sockets}),
        "packages.toml": PACKAGES.format(price=price),
        "gateways.toml": GATEWAYS.format(closed=closed_port()),
        "routers.toml": routers.format(closed=closed_port()),
    }
    for name, text in files.items():
        (manager.folder / name).write_text(text, encoding="utf-8")


async def offered(manager: ServiceManager) -> list[str]:
    """The prices on the portal's first page."""
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(f"http://{HOST}:{manager.port('portal')}/") as answer,
    ):
        assert answer.status == 200
        return re.findall(r'class="price">\D*(\d+)\s*</span>', await answer.text())


async def test_life_of_the_service(tmp_path: Path) -> None:
    """READY when the doors are open, WATCHDOG in time though its router is away, STOPPING, exit code 0, nobody left."""
    async with ServiceManager.at(tmp_path) as manager:
        configure(manager)
        await manager.start()
        await manager.heard("READY=1")
        assert await offered(manager) == [DEAR]
        await manager.wrote("router.unreachable")
        fed = manager.states.count("WATCHDOG=1")
        async with asyncio.timeout(manager.watchdog_seconds):
            await manager.heard("WATCHDOG=1", fed + 2)
        assert await offered(manager) == [DEAR]
        manager.tell(signal.SIGTERM)
        assert await manager.ended() == 0
        await manager.heard("STOPPING=1")
        assert manager.states[0] == "READY=1"
        assert manager.states[-1] == "STOPPING=1"
        assert not manager.left_over()


async def test_takes_every_socket(tmp_path: Path) -> None:
    """Each socket that a unit describes is taken; opening the door itself would fail, its port being taken."""
    async with ServiceManager.at(tmp_path) as manager:
        configure(manager, routers=ROUTERS + RADIUS_ROUTER)
        await manager.start()
        await manager.heard("READY=1")
        async with aiohttp.ClientSession() as owner:
            async with owner.get(f"http://{HOST}:{manager.port('admin')}/health") as answer:
                assert (await answer.json())["radius"] is not None
            async with owner.get(f"http://{HOST}:{manager.port('callbacks')}/") as answer:
                assert answer.status == 404


async def test_nothing_is_lost_over_a_restart(tmp_path: Path) -> None:
    """A customer who comes while the service is down waits in the socket and is answered by its next life."""
    async with ServiceManager.at(tmp_path) as manager:
        configure(manager)
        early = asyncio.create_task(offered(manager))
        await manager.start()
        assert await early == [DEAR]
        manager.tell(signal.SIGTERM)
        assert await manager.ended() == 0
        late = asyncio.create_task(offered(manager))
        await manager.start()
        assert await late == [DEAR]


async def test_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    """A wrong file ends it with code 2, before it opens anything, and names file and line."""
    async with ServiceManager.at(tmp_path) as manager:
        configure(manager, price='"seven"')
        await manager.start()
        assert await manager.ended() == 2
        await manager.wrote(f"{tmp_path / 'packages.toml'}:4: package[1].price")
        assert manager.states == []
        assert not (tmp_path / "edge.sqlite").exists()


async def test_reload(tmp_path: Path) -> None:
    """On SIGHUP a broken file changes nothing and is named; a good one is in force at once."""
    async with ServiceManager.at(tmp_path) as manager:
        configure(manager)
        await manager.start()
        await manager.heard("READY=1")
        configure(manager, price='"seven"')
        manager.tell(signal.SIGHUP)
        await manager.wrote("packages.toml:4")
        assert await offered(manager) == [DEAR]
        configure(manager, price=CHEAP)
        manager.tell(signal.SIGHUP)
        await manager.wrote("configuration read anew")
        assert await offered(manager) == [CHEAP]


def test_sockets_of_another_process_are_left_alone() -> None:
    """Variables meant for another process, as a child inherits them, hand nothing over."""
    for_another = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "portal"}
    assert inherited_sockets(for_another) == {}
    assert inherited_sockets({}) == {}


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({}, None),
    ],
)
def test_whom_the_watchdog_watches(environ: dict[str, str], seconds: float | None) -> None:
    """The watchdog is ours when it names us or nobody; its time is told in microseconds."""
    assert watchdog_seconds(environ) == seconds


def test_tells_an_abstract_socket() -> None:
    """An address that begins with @ is in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        name = f"easyisp-edge-test-{os.getpid()}"
        hearing.bind(f"\0{name}")
        hearing.settimeout(1)
        Notifier(f"@{name}").tell("READY=1")
        assert hearing.recv(64) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_telling_nobody_is_no_failure(address: str) -> None:
    """Without systemd, or with its socket gone, nothing is said and nothing fails."""
    Notifier(address).tell("READY=1")
