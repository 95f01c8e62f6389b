"""The hub: opened, joined, run, closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.http_log import connections
from easyisp_edge.hub.catching_up import project_again
from easyisp_edge.hub.edge_routes import EdgeRoutes
from easyisp_edge.hub.identity import own_key
from easyisp_edge.hub.opening import opened_database
from easyisp_edge.hub.parts import build_parts
from easyisp_edge.hub.services import open_services
from easyisp_edge.loops import every
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Coroutine

    from easyisp_edge.hub.config import HubConfig
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.hub.services import Services
    from easyisp_edge.machine import Clock, Randomness

log = logging.getLogger(__name__)

_KEEPALIVE_SECONDS = 75.0  # longer than a long poll, so that a box's next request finds its connection open
_BACKLOG = 1024
_CLOSE_SECONDS = 5.0
_ALARMS_EVERY_SECONDS = 5.0
_TIDY_EVERY_SECONDS = 3600.0
_LISTEN_AGAIN_SECONDS = 1.0
_ASKS_EVERY_SECONDS = 10.0  # another hub may have been asked, and M-Pesa posts its answers to any


class Hub:
    """A hub of a fleet. Several may run on one PostgreSQL.

    Args:
        config: What `hub.toml` says.
        clock: Its time.
        randomness: For keys, ids and codes.
        listen: Opens the door's socket.
    """

    def __init__(
        self,
        config: HubConfig,
        clock: Clock,
        randomness: Randomness,
        listen: Callable[[str, str, int], socket.socket],
    ) -> None:
        self._config = config
        self._clock = clock
        self._randomness = randomness
        self._listen = listen
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.parts: Parts | None = None
        self.address = ""

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            EdgeError: The key, the database or the door cannot be opened.
        """
        async with contextlib.AsyncExitStack() as stack:
            database = await opened_database(self._config.database)
            stack.push_async_callback(database.close)
            key = await own_key(database, self._config.key_file, self._randomness)
            parts = build_parts(self._config, database, key, self._clock, self._randomness)
            services = await stack.enter_async_context(open_services(parts, self._randomness))
            if told := await parts.enrolment.tell_address():
                log.info("public_url is not what it was: %d boxes are told where M-Pesa's callbacks go", told)
            self.parts = parts
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work, name=name) for name, work in self._work(parts, services).items()]
                try:
                    await self._serve(parts, services)
                finally:
                    await parts.alarms.flush()
                    for task in tasks:
                        task.cancel()

    def _work(self, parts: Parts, services: Services) -> dict[str, Coroutine[Any, Any, None]]:
        writers = {f"batches {turn}": parts.batches.run() for turn in range(parts.database.writers)}
        return {
            "keys": parts.doorkeeper.keys.run(),
            **writers,
            "alarms": self._every(_ALARMS_EVERY_SECONDS, parts.alarms.flush, "alarms"),
            "projection": self._every(_TIDY_EVERY_SECONDS, lambda: project_again(parts.database), "projection"),
            "tidy": self._every(_TIDY_EVERY_SECONDS, parts.down.tidy, "tidy"),
            "forgetting": self._every(_TIDY_EVERY_SECONDS, services.tidy, "forgetting"),
            "receipts": self._every(_ASKS_EVERY_SECONDS, services.lookups.round, "receipts", wake=parts.asked),
            "announcements": self._every(
                _LISTEN_AGAIN_SECONDS, lambda: parts.database.listen(parts.bells.ring), "announcements"
            ),
        }

    def _every(
        self, seconds: float, work: Callable[[], Awaitable[None]], name: str, *, wake: Wake | None = None
    ) -> Coroutine[Any, Any, None]:
        rung = wake or Wake()
        return every(seconds, work, name=name, clock=self._clock, randomness=self._randomness, wake=rung)

    async def _serve(self, parts: Parts, services: Services) -> None:
        listening = self._listen("hub", self._config.address, self._config.port)
        runner = web.AppRunner(
            hub_app(parts, services),
            access_log=None,
            logger=connections,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            handle_signals=False,
            shutdown_timeout=_CLOSE_SECONDS,
            auto_decompress=False,  # what is signed is the body as it was sent
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listening, backlog=_BACKLOG).start()
            host, port = listening.getsockname()[:2]
            self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            log.info("the hub is at %s", self.address)
            self.ready.set()
            await self._stopping.wait()
        finally:
            parts.bells.close()
            await runner.cleanup()


def hub_app(parts: Parts, services: Services) -> web.Application:
    """All that the hub answers."""
    app = web.Application()
    EdgeRoutes(parts).add_to(app)
    services.add_to(app)
    return app
