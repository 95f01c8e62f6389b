"""A tap on the line between the daemon and M-Pesa: everything is passed on and counted, and a test may step in."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

QUERY = "/mpesa/stkpushquery/v1/query"
PULL_REGISTER = "/pulltransactions/v1/register"
PULL_QUERY = "/pulltransactions/v1/query"


class Moment(enum.Enum):
    """When a test may step in."""

    ASKED = "asked"  # M-Pesa does not have the request yet
    ANSWERED = "answered"  # M-Pesa has answered, the daemon does not have it yet


async def _pass_on(_moment: Moment, _path: str, _number: int) -> None:
    """Step in nowhere."""


class WireTap:
    """Stands in for M-Pesa's address. Use it as an async context manager, and say what it passes on to.

    Attributes:
        target: M-Pesa's real address here.
        bodies: What was asked, by path.
        statuses: What it was answered with, by path.
        meet: Called with the moment, the path, and how many requests to that path there were with this one.
    """

    def __init__(self) -> None:
        self.target = ""
        self.bodies: dict[str, list[Any]] = {}
        self.statuses: dict[str, list[int]] = {}
        self.meet: Callable[[Moment, str, int], Awaitable[None]] = _pass_on

    async def __aenter__(self) -> Self:
        self._open = contextlib.AsyncExitStack()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._open.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._http = await self._open.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    def count(self, path: str) -> int:
        """How many requests there were."""
        return len(self.bodies.get(path, []))

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = self.bodies.setdefault(request.path, [])
        asked.append(await request.json() if body else None)
        number = len(asked)
        await self.meet(Moment.ASKED, request.path, number)
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        url = f"{self.target}{request.path_qs}"
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            self.statuses.setdefault(request.path, []).append(answer.status)
            passed_on = web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        await self.meet(Moment.ANSWERED, request.path, number)
        return passed_on
