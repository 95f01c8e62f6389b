"""`easyisp-edge demo` as a newcomer meets it: started, bought from, ended with Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest

from tests.whole.stage import HOST, PHONE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS = 20
STOP_SECONDS = 5
ONLINE_SECONDS = 2
USUAL_PORTS = (8080, 8090)


@dataclass
class Demo:
    """A demo that runs, and what it said on starting."""

    process: asyncio.subprocess.Process
    portal: str
    phone: str

    async def interrupted(self) -> tuple[int | None, bytes]:
        """Ctrl-C: its exit code, and all it wrote to standard error."""
        self.process.send_signal(signal.SIGINT)
        _, complaints = await asyncio.wait_for(self.process.communicate(), STOP_SECONDS)
        return self.process.returncode, complaints


@contextlib.asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[Demo]:
    """Start the demo; warnings are errors in it, too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "easyisp_edge",
        "demo",
        *arguments,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        addresses = await asyncio.wait_for(_addresses(process), START_SECONDS)
        yield Demo(process, addresses["portal"], addresses["phone"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


MODES = pytest.mark.parametrize("arguments", [(), ("--radius",)])


@MODES
async def test_bought_by_forms_then_ended_by_ctrl_c(arguments: tuple[str, ...]) -> None:
    """The addresses it prints are enough to buy and be online within 2 s of the PIN; Ctrl-C ends it without a word."""
    async with demo(*arguments) as running, aiohttp.ClientSession() as http:
        purchase = await _order(http, running)
        await _press(http, running, act="pin", pin="1234")
        await asyncio.wait_for(_online(http, purchase), ONLINE_SECONDS)
        assert await running.interrupted() == (0, b"")


@MODES
async def test_ctrl_c_at_once(arguments: tuple[str, ...]) -> None:
    """Ended before anybody came, it has closed all it had opened."""
    async with demo(*arguments) as running:
        assert await running.interrupted() == (0, b"")


async def test_ctrl_c_while_the_phone_asks_for_the_pin() -> None:
    """A prompt that stands open holds nothing up."""
    async with demo() as running, aiohttp.ClientSession() as http:
        purchase = await _order(http, running)
        assert "Enter your PIN" in await _page(http, purchase)
        assert await running.interrupted() == (0, b"")


async def test_usual_ports_taken() -> None:
    """Where another program has the usual ports, the demo takes others and says which."""
    with contextlib.ExitStack() as taken:
        held = {port for port in USUAL_PORTS if _take(port, taken)}
        if not held:
            pytest.skip("another program has the usual ports, and may give them back at any moment")
        async with demo() as running, aiohttp.ClientSession() as http:
            assert not {urlsplit(running.portal).port, urlsplit(running.phone).port} & held
            assert "Choose a package" in await _page(http, running.portal)
            assert "No phone has been asked to pay yet" in await _page(http, running.phone)
            assert await running.interrupted() == (0, b"")


def _take(port: int, taken: contextlib.ExitStack) -> bool:
    try:
        taken.enter_context(socket.create_server((HOST, port)))
    except OSError:
        return False
    return True


async def _addresses(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout is not None
    found: dict[str, str] = {}
    while not {"portal", "phone"} <= found.keys():
        line = await process.stdout.readline()
        assert line, "the demo ended before it said where it is"
        name, _, rest = line.decode().strip().partition(" ")
        found[name] = rest
    return found


async def _order(http: aiohttp.ClientSession, running: Demo) -> str:
    """By links and forms to the waiting page; gives its address."""
    offers = re.findall(r'href="(/buy\?[^"]*package=1h[^"]*)"', await _page(http, running.portal))
    form = await _page(http, urljoin(running.portal, unescape(offers[0])))
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    async with http.post(urljoin(running.portal, "/buy"), data={**fields, "phone": PHONE}) as answer:
        assert answer.status == 200, await answer.text()
        return str(answer.url)


async def _press(http: aiohttp.ClientSession, running: Demo, **fields: str) -> None:
    """A button on the phone's page."""
    forms = re.findall(r'action="(/prompts/[^"]+)"', await _page(http, running.phone))
    assert len(forms) == 1
    async with http.post(urljoin(running.phone, unescape(forms[0])), data=fields) as answer:
        assert answer.status == 200


async def _online(http: aiohttp.ClientSession, purchase: str) -> None:
    while True:
        if "You are online" in await _page(http, purchase):
            return
        await asyncio.sleep(0.02)


async def _page(http: aiohttp.ClientSession, address: str) -> str:
    async with http.get(address) as answer:
        assert answer.status == 200
        return await answer.text()
