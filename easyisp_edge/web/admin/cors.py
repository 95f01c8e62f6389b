"""Which front ends on other origins browsers may let talk to the back office.

Source: Fetch standard, CORS protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiohttp.typedefs import Handler

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, Idempotency-Key"
# What a script may read of an answer beside its body: what the file is called, and when to ask again.
_SHOWN = "Content-Disposition, Retry-After"
_REMEMBERED_SECONDS = 600


def allow_origins(app: web.Application, allowed: Callable[[], Collection[str]]) -> None:
    """Have an application answer browsers' questions; who asks from elsewhere is served as if no browser asked.

    Tokens are sent as a header by the front end's own script and never by a browser alone, so that what is allowed
    here gives nobody a login.

    Args:
        app: The application.
        allowed: The origins, such as `https://admin.example.com`.
    """

    def known(request: web.BaseRequest) -> bool:
        return request.headers.get("Origin") in allowed()

    @web.middleware
    async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not known(request):
            return await handler(request)
        told = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": str(_REMEMBERED_SECONDS),
        }
        return web.Response(status=204, headers=told)

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if known(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _SHOWN
            response.headers.add("Vary", "Origin")

    app.middlewares.append(preflight)
    app.on_response_prepare.append(add)
