"""Errors as HTTP: one table from what the caller may do to a status."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.errors import (
    ConflictError,
    EdgeError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    TooManyError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[EdgeError], int], ...] = (
    (InvalidError, 400),
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (RefusedError, 422),
    (TooManyError, 429),
    (UnavailableError, 503),
    (OutcomeUnknownError, 502),
)
UNFORESEEN = EdgeError("unexpected", "Something went wrong on our side. Please try again in a minute.")


def status_of(error: EdgeError) -> int:
    """The HTTP status of an expected failure."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer_errors(
    answer: Callable[[web.Request, int, EdgeError], web.Response],
) -> Middleware:
    """A middleware that lets `answer` put every failure into words; the unforeseen is logged and said in general."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except EdgeError as error:
            return answer(request, status_of(error), error)
        except web.HTTPException as error:
            if error.status < 400:  # noqa: PLR2004 - a redirect is no failure
                raise
            told = answer(request, error.status, EdgeError("request.invalid", error.reason))
            if "Allow" in error.headers:  # RFC 9110, section 15.5.6: with 405 come the methods there are
                told.headers["Allow"] = error.headers["Allow"]
            return told
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return answer(request, 500, UNFORESEEN)

    return middleware
