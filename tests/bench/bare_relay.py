"""The bare reference for starting a purchase: a handler that posts to the payment stand-in and hands on its answer.

Run as a process with its port and that of the stand-in; serves `/relay`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import httpx
from aiohttp import web

from tests.bench.processes import HOST
from tests.bench.serving import serve_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CLIENT: web.AppKey[httpx.AsyncClient] = web.AppKey("client", httpx.AsyncClient)
_CONNECTIONS_MAX = 16


async def relay(request: web.Request) -> web.Response:
    """The body handed on, one connection for each, as the daemon does for payments."""
    fields = json.loads(await request.read())
    answer = await request.app[_CLIENT].post(
        "/mpesa/stkpush/v1/processrequest", json=fields, headers={"Connection": "close"}
    )
    return web.Response(body=answer.content, content_type="application/json")


def main(port: int, payments_port: int) -> None:
    """Serve until terminated."""

    async def client(app: web.Application) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=_CONNECTIONS_MAX, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{payments_port}", limits=limits) as opened:
            app[_CLIENT] = opened
            yield

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.add_routes([web.post("/relay", relay)])
    serve_http(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
