"""Daraja at the end of a mocked transport: gives tokens, and answers the rest as a test says."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from pydantic import SecretStr

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer: TypeAlias = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]

PAYLOADS = Path(__file__).parent.parent / "unit" / "adapters" / "daraja_payloads"
PAYBILL = DarajaAccount.paybill("600000", SecretStr("passkey"))
TILL = DarajaAccount.buy_goods("600123", "5123456", SecretStr("passkey"))
BANK = DarajaAccount.bank("600123", "247247", "0322417860001", SecretStr("passkey"))


class LeapingClock:
    """Stands still but for sleeping, which takes no time."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 6, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


def payload(name: str, status: int = 200, **headers: str) -> httpx.Response:
    """An answer from a file named by case; no name for an answer without a body."""
    if not name:
        return httpx.Response(status, headers=headers)
    kind = "application/json" if name.endswith(".json") else "text/html"
    return httpx.Response(status, content=(PAYLOADS / name).read_bytes(), headers={"Content-Type": kind} | headers)


class DarajaWire:
    """Plays its answers in turn, the last one for ever, and keeps what was asked."""

    def __init__(self, *answers: Answer, account: DarajaAccount = PAYBILL) -> None:
        self.answers = list(answers)
        self.clock = LeapingClock()
        self.tokens = 0
        self.requests: list[httpx.Request] = []
        self.app = DarajaApp(
            consumer_key=SecretStr("key"),
            consumer_secret=SecretStr("secret"),
            base_url="https://daraja.test",
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._handle)),
            clock=self.clock,
        )
        self.client = DarajaClient(self.app, account)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/v1/generate":
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"token{self.tokens}", "expires_in": "3599"})
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, httpx.Response):
            return answer(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def body(self, at: int = -1) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[at].content)
        return body
