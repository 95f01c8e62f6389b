"""The lab's Daraja on stage: a clock wound by hand, a client on the wire, a shop that is called back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import heapq
import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from easyisp_edge.lab.daraja import SANDBOX_MERCHANT, DarajaLab, DarajaOptions, Merchant
from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PHONE = "254708374149"
TIMESTAMP = "20261121090000"


class CrankedClock:
    """Stands still until wound on."""

    state = ClockState.SYNCED

    def __init__(self, at: datetime = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)) -> None:
        self._start = at
        self._seconds = 0.0
        self._turn = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._turn), until))
        await until

    async def advance(self, seconds: float) -> None:
        """Wake everyone due within that time, each at its own moment."""
        await self._let_run()
        end = self._seconds + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._seconds, _, until = heapq.heappop(self._sleepers)
            if not until.done():
                until.set_result(None)
            await self._let_run()
        self._seconds = end

    @staticmethod
    async def _let_run() -> None:
        for _ in range(20):
            await asyncio.sleep(0)


class SeededRandomness:
    """Repeatable chance."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, octets: int) -> bytes:
        return self._random.randbytes(octets)

    def fraction(self) -> float:
        return self._random.random()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    text: str
    content_type: str
    body: Any  # the JSON, None where it is none

    @property
    def error(self) -> tuple[int, str, str]:
        return self.status, self.body["errorCode"], self.body["errorMessage"]


@dataclass(slots=True)
class Shop:
    """Where callbacks arrive."""

    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    arrived: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    status: int = 200

    async def receive(self, request: web.Request) -> web.Response:
        self.texts.append(await request.text())
        self.bodies.append(await request.json())
        self.arrived.put_nowait(self.bodies[-1])
        return web.json_response({"ResultCode": 0, "ResultDesc": "Accepted"}, status=self.status)

    async def next(self) -> Any:
        async with asyncio.timeout(2):
            return (await self.arrived.get())["Body"]["stkCallback"]


@dataclass(slots=True)
class Stage:
    """The lab, its clock, a client and the shop."""

    lab: DarajaLab
    clock: CrankedClock
    shop: Shop
    http: aiohttp.ClientSession
    merchant: Merchant
    token: str = ""

    async def send(self, method: str, path: str, **how: Any) -> Answer:
        url = path if path.startswith("http") else self.lab.base_url + path
        async with self.http.request(method, url, **how) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json" and text
            return Answer(answer.status, text, answer.content_type, await answer.json() if is_json else None)

    async def ask_token(self, key: str | None = None, secret: str | None = None) -> Answer:
        key, secret = key or self.merchant.consumer_key, secret or self.merchant.consumer_secret
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        return await self.send(
            "GET",
            "/oauth/v1/generate?grant_type=client_credentials",
            headers={"Authorization": f"Basic {basic}"},
        )

    async def bearer(self) -> dict[str, str]:
        if not self.token:
            self.token = (await self.ask_token()).body["access_token"]
        return {"Authorization": f"Bearer {self.token}"}

    def push_fields(self, **overrides: Any) -> dict[str, Any]:
        fields = {
            "BusinessShortCode": self.merchant.short_code,
            "Password": self.merchant.password(TIMESTAMP),
            "Timestamp": TIMESTAMP,
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 50,
            "PartyA": overrides.get("PhoneNumber", PHONE),
            "PartyB": self.merchant.short_code,
            "PhoneNumber": PHONE,
            "CallBackURL": self.shop.url,
            "AccountReference": "ABC123",
            "TransactionDesc": "Internet",
        }
        fields |= overrides
        return {name: value for name, value in fields.items() if value is not None}

    async def push(self, **overrides: Any) -> Answer:
        return await self.send(
            "POST",
            "/mpesa/stkpush/v1/processrequest",
            json=self.push_fields(**overrides),
            headers=await self.bearer(),
        )

    async def pushed(self, **overrides: Any) -> str:
        """The CheckoutRequestID of a push that was accepted."""
        answer = await self.push(**overrides)
        assert answer.status == 200, answer.text
        return str(answer.body["CheckoutRequestID"])

    async def query(self, checkout_request_id: str, **overrides: Any) -> Answer:
        fields = {
            "BusinessShortCode": self.merchant.short_code,
            "Password": self.merchant.password(TIMESTAMP),
            "Timestamp": TIMESTAMP,
            "CheckoutRequestID": checkout_request_id,
        }
        return await self.send(
            "POST", "/mpesa/stkpushquery/v1/query", json=fields | overrides, headers=await self.bearer()
        )


@contextlib.asynccontextmanager
async def daraja_stage(
    options: DarajaOptions | None = None, merchants: Sequence[Merchant] = (SANDBOX_MERCHANT,)
) -> AsyncIterator[Stage]:
    """Everything started, and everything closed after."""
    clock, shop = CrankedClock(), Shop()
    async with contextlib.AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_post("/c/{secret}", shop.receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}/c/5f0a"
        lab = await stack.enter_async_context(
            DarajaLab(
                clock=clock,
                randomness=SeededRandomness(),
                merchants=merchants,
                options=options or DarajaOptions.unhurried(),
            )
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stage(lab, clock, shop, http, merchants[0])
