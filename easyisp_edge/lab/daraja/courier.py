"""Carries what Daraja says to whoever asked to be told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

_TRY_SECONDS = 20.0
_ANSWER_OCTETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one try ended.

    Attributes:
        status: The HTTP status; None when there was no answer.
        answer: The beginning of its body.
        error: Why there was no answer.
    """

    status: int | None
    answer: str = ""
    error: str = ""


class Courier:
    """Posts JSON, once each, without following redirections.

    Args:
        session: What it leaves through; without one, its own, opened at the first delivery.
    """

    def __init__(self, session: aiohttp.ClientSession | None) -> None:
        self._lent = session
        self._own: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close what it opened."""
        if self._own is not None:
            await self._own.close()

    async def post(self, url: str, body: str) -> Delivery:
        """Deliver once; never raises for what the other side does."""
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(_TRY_SECONDS),
                self._session().post(url, data=body.encode(), headers=headers, allow_redirects=False) as answer,
            ):
                octets = await answer.read()
                return Delivery(answer.status, octets[:_ANSWER_OCTETS_MAX].decode("utf-8", "replace"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Delivery(None, error=f"{type(error).__name__}: {error}")

    def _session(self) -> aiohttp.ClientSession:
        if self._lent is not None:
            return self._lent
        if self._own is None:
            self._own = aiohttp.ClientSession()
        return self._own
