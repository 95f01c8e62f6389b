"""How the benchmark's own servers live: open, tell that they are ready, serve until terminated."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.systemd import Notifier
from tests.bench.processes import HOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def serve_http(app: web.Application, port: int) -> None:
    """Serve an application."""

    async def open_door() -> Callable[[], Awaitable[None]]:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
        return runner.cleanup

    serve(open_door)


def serve(open_door: Callable[[], Awaitable[Callable[[], Awaitable[None]]]]) -> None:
    """Open a door, say so, and close it (by what opening gave) when terminated."""
    asyncio.run(_serve(open_door))


async def _serve(open_door: Callable[[], Awaitable[Callable[[], Awaitable[None]]]]) -> None:
    stopping = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stopping.set)
    close = await open_door()
    Notifier(os.environ.get("NOTIFY_SOCKET", "")).tell("READY=1")
    await stopping.wait()
    await close()
