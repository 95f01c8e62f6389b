"""The Daraja side: its APIs behind one address, and what surrounds them all."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.faults import (
    INVALID_AUTHENTICATION_HEADER,
    METHOD_NOT_ALLOWED,
    RESOURCE_NOT_FOUND,
    DarajaRefusalError,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.typedefs import Handler, Middleware

    from easyisp_edge.lab.daraja.answers import Answers
    from easyisp_edge.machine import Clock


class Wire:
    """The application that speaks Daraja.

    Args:
        clock: For the `Date` header, which clients without a clock of their own may read.
        answers: For refusals.
        routes: One list per API.

    Attributes:
        outage: Answers every request, whatever it is, while set.
    """

    def __init__(self, clock: Clock, answers: Answers, routes: Sequence[Sequence[web.RouteDef]]) -> None:
        self._clock = clock
        self._answers = answers
        self.outage: Fault | None = None
        self.app = web.Application(middlewares=[_middleware(self)])
        self.app.on_response_prepare.append(self._date)
        for api in routes:
            self.app.add_routes(api)

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One request, its refusals put into words."""
        if self.outage is not None:
            return await self._answers.give(request, self.outage)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return await self._answers.give(request, RESOURCE_NOT_FOUND)
        except web.HTTPMethodNotAllowed:
            bearer = request.headers.get("Authorization", "").lower().startswith("bearer ")
            refused = METHOD_NOT_ALLOWED if bearer else INVALID_AUTHENTICATION_HEADER
            return await self._answers.give(request, refused)
        except DarajaRefusalError as refusal:
            return await self._answers.give(request, refusal.error, request_id=refusal.request_id)

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(self._clock.now(), usegmt=True)


def _middleware(wire: Wire) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await wire.handle(request, handler)

    return middleware
