"""The first page on a slow phone behind a slow line, every octet of it counted; and a page of the old portal's size."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aiohttp import web
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

HOST = "127.0.0.1"
LINE_BITS_PER_SECOND, ROUND_TRIP_MS, CPU_SLOWER = 400_000, 150, 6
OLD_PAGE_OCTETS = 61 * 1024
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
_PACKAGES = [{"id": f"p{number}", "name": f"{number} hours", "price": 10 * number} for number in range(1, 7)]

# Usable: the packages can be tapped, and what the page's script does for them is done.
_USABLE = """() => new Promise((done) => {
  const look = () => {
    const timing = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    if (timing.domContentLoadedEventEnd && paint && window.__offersAt) {
      done([paint.startTime, Math.max(window.__offersAt, timing.domContentLoadedEventEnd)]);
    } else {
      requestAnimationFrame(look);
    }
  };
  look();
})"""
_WATCH = """(() => {
  const look = () => {
    if (document.querySelector("a.offer")) {
      window.__offersAt = performance.now();
    } else {
      requestAnimationFrame(look);
    }
  };
  look();
})()"""


@dataclass(frozen=True)
class Paint:
    """How a page came up.

    Args:
        octets: All that the browser received for it, heads included.
        painted_ms: From asking for it to its first words or picture.
        usable_ms: From asking for it to packages that can be tapped.
    """

    octets: int
    painted_ms: float
    usable_ms: float

    def __str__(self) -> str:
        return f"{self.octets} octets, first words after {self.painted_ms:.0f} ms, usable after {self.usable_ms:.0f} ms"


@contextlib.asynccontextmanager
async def a_browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def paint(browser: Browser, port: int, path: str) -> Paint:
    """Open a page for the first time: nothing kept, the line and the processor slowed down."""
    async with _Counter(port) as counter:
        context = await browser.new_context(viewport={"width": 320, "height": 640}, locale="en-KE")
        try:
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            line = LINE_BITS_PER_SECOND / 8
            conditions = {"latency": ROUND_TRIP_MS, "downloadThroughput": line, "uploadThroughput": line}
            await session.send("Network.enable")
            await session.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
            await session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWER})
            await page.add_init_script(_WATCH)
            await page.goto(f"http://{HOST}:{counter.port}{path}", wait_until="load")
            painted, usable = await page.evaluate(_USABLE)
        finally:
            await context.close()
    return Paint(counter.octets, painted, usable)


class _Counter:
    """Passes octets on to a port, and counts those that come back."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._passing: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self.octets = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
        await asyncio.gather(*self._passing)
        await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._passing.add(task)
        server_reader, server_writer = await asyncio.open_connection(HOST, self._to)
        self._open |= {writer, server_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, server_writer))
                both.create_task(self._pass_back(server_reader, writer))
        finally:
            writer.close()
            server_writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                self.octets += len(octets)
                writer.write(octets)
                await writer.drain()
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def old_page() -> AsyncIterator[int]:
    """A page as heavy as the old portal's; gives its port.

    It wants a font from a host that is not let through before a login, and asks for its packages once it is there.
    The host is refused after a round trip for its name and one for the connection, as a router refuses it: one that
    is silent would hold the page up for longer still.
    """
    fonts = await asyncio.start_server(_refuse, HOST, 0)
    html = _old_html(fonts.sockets[0].getsockname()[1])

    async def start(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", start), web.get("/packages", _old_packages)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        async with fonts:
            await web.TCPSite(runner, HOST, 0).start()
            yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(2 * ROUND_TRIP_MS / 1000)
    writer.transport.abort()


async def _old_packages(_: web.Request) -> web.Response:
    return web.json_response(_PACKAGES)


def _old_html(font_port: int) -> str:
    sheet, script = [], []
    for number in range(330):
        sheet.append(f".card-{number} .row > a:hover {{ margin: {number}px; color: #00{number:04x}; }}")
        script.append(
            f'function part{number}(a) {{ return "<div class=card-{number}>" + (a || {number}) + "</div>"; }}'
        )
    page = f"""<!doctype html><html><head><meta charset="utf-8"><title>Wi-Fi</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="stylesheet" href="http://{HOST}:{font_port}/css2?family=Inter">
<style>{"".join(sheet)}</style></head><body><h1>Choose a package</h1><div id="list"></div>
<script>{"".join(script)}
fetch("/packages").then((answer) => answer.json()).then((found) => {{
  const line = (one) => `<a class="offer" href="#${{one.id}}">${{one.name}} KES ${{one.price}}</a>`;
  document.getElementById("list").innerHTML = found.map(line).join("");
}});</script>"""
    return page + "<!--" + "x" * (OLD_PAGE_OCTETS - len(page) - 7) + "-->"
