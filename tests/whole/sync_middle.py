"""Somebody in the middle: sees all that box and hub say to each other, and answers in the hub's place where told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from easyisp_edge.domain.sync import Lane
from tests.whole.stage import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_TOLD = ("Edge-Site", "Edge-Epoch", "Edge-Lane", "Edge-Counter", "Edge-Signature", "Content-Encoding")


class Asked(NamedTuple):
    """A request as a box made it.

    Args:
        method: Of HTTP.
        target: Path and query.
        headers: Those that the hub reads.
        body: As sent.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def lane(self) -> Lane:
        return Lane(self.headers["Edge-Lane"])

    @property
    def counter(self) -> int:
        return int(self.headers["Edge-Counter"])


class Answered(NamedTuple):
    """An answer.

    Args:
        status: Of HTTP.
        body: As sent.
        signature: Of whom it may be; empty: none.
        encoding: Of the body.
    """

    status: int
    body: bytes
    signature: str
    encoding: str = ""


@dataclass
class Middle:
    """Stands before a hub.

    Args:
        hub_url: The hub's address.
    """

    hub_url: str
    seen: list[tuple[Asked, Answered]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    _forgeries: defaultdict[Lane, asyncio.Queue[Callable[[Asked], Answered]]] = field(
        default_factory=lambda: defaultdict(asyncio.Queue)
    )

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[Middle]:
        app = web.Application(client_max_size=2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # What is signed is the body as it was sent.
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, auto_decompress=False, handler_cancellation=True
        )
        async with aiohttp.ClientSession(auto_decompress=False) as self._http:
            await runner.setup()
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            self.url = f"http://{HOST}:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    def answer_next(self, lane: Lane, forge: Callable[[Asked], Answered]) -> None:
        """Answer the next request of a lane, or the one that waits, in the hub's place."""
        self._forgeries[lane].put_nowait(forge)

    async def say_to_hub(self, asked: Asked) -> Answered:
        """Ask the hub something."""
        async with self._http.request(
            asked.method, f"{self.hub_url}{asked.target}", headers=asked.headers, data=asked.body or None,
        ) as answer:  # fmt: skip
            signature, encoding = answer.headers.get("Hub-Signature", ""), answer.headers.get("Content-Encoding", "")
            return Answered(answer.status, await answer.read(), signature, encoding)

    async def _serve(self, request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in _TOLD if name in request.headers}
        asked = Asked(request.method, request.raw_path, headers, await request.read())
        answered = await self.say_to_hub(asked) if "Edge-Lane" not in headers else await self._answer(asked)
        more = CIMultiDict({"Hub-Signature": answered.signature} if answered.signature else {})
        if answered.encoding:
            more["Content-Encoding"] = answered.encoding
        return web.Response(status=answered.status, body=answered.body, headers=more)

    async def _answer(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        forging = asyncio.ensure_future(self._forgeries[asked.lane].get())
        await asyncio.sleep(0)
        passing = None if forging.done() else asyncio.ensure_future(self.say_to_hub(asked))
        try:
            if passing is not None:
                await asyncio.wait((forging, passing), return_when=asyncio.FIRST_COMPLETED)
            if forging.done():
                return forging.result()(asked)
            assert passing is not None
            self.seen.append((asked, passing.result()))
            return passing.result()
        finally:
            for task in filter(None, (forging, passing)):
                task.cancel()
            await asyncio.gather(*filter(None, (forging, passing)), return_exceptions=True)
