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

from easyisp_edge.lab.daraja import SANDBOX_MERCHANT, DarajaLab, DarajaOptions, Merchant, NoApiMerchant
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
        self.slept_on = asyncio.Event()  # set whenever somebody lies down

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
        self.slept_on.set()
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
    """Where callbacks and C2B notifications arrive.

    Attributes:
        validation: What a validation is answered; None: nothing, ever.
    """

    url: str = ""
    confirmation_url: str = ""
    validation_url: str = ""
    bodies: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    arrived: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    status: int = 200
    confirmations: list[Any] = field(default_factory=list)
    confirmed: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    validations: list[Any] = field(default_factory=list)
    validation: Any = field(default_factory=lambda: {"ResultCode": "0", "ResultDesc": "Accepted"})
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def open_at(self, root: str) -> None:
        self.url = f"{root}/c/5f0a"
        self.confirmation_url = f"{root}/c2b/5f0a/confirmation"
        self.validation_url = f"{root}/c2b/5f0a/validation"

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/c/{secret}", self.receive)
        app.router.add_post("/c2b/{secret}/confirmation", self.confirm)
        app.router.add_post("/c2b/{secret}/validation", self.validate)
        return app

    async def confirm(self, request: web.Request) -> web.Response:
        self.confirmations.append(await request.json())
        self.confirmed.put_nowait(self.confirmations[-1])
        return web.json_response({"ResultCode": 0, "ResultDesc": "Success"}, status=self.status)

    async def validate(self, request: web.Request) -> web.Response:
        self.validations.append(await request.json())
        self.asked.set()
        if self.validation is None:
            await asyncio.Event().wait()
        return web.json_response(self.validation)

    async def next_confirmation(self) -> Any:
        async with asyncio.timeout(2):
            return await self.confirmed.get()

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

    async def register_urls(self, version: str = "v2", **overrides: Any) -> Answer:
        fields = {
            "ShortCode": self.merchant.short_code,
            "ResponseType": "Completed",
            "ConfirmationURL": self.shop.confirmation_url,
            "ValidationURL": self.shop.validation_url,
        }
        path = f"/mpesa/c2b/{version}/registerurl"
        return await self.send("POST", path, json=fields | overrides, headers=await self.bearer())

    async def register_pull(self, **overrides: Any) -> Answer:
        fields = {
            "ShortCode": self.merchant.short_code,
            "RequestType": "Pull",
            "NominatedNumber": "254722000000",
            "CallBackURL": self.shop.url,
        }
        path = "/pulltransactions/v1/register"
        return await self.send("POST", path, json=fields | overrides, headers=await self.bearer())

    async def pull(self, method: str = "POST", **overrides: Any) -> Answer:
        """Ask for the last hour, and the next, as far as `overrides` do not say otherwise."""
        now = self.clock.now() + timedelta(hours=3)  # Nairobi
        fields = {
            "ShortCode": self.merchant.short_code,
            "StartDate": f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
            "EndDate": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
            "OffSetValue": "0",
        }
        path = "/pulltransactions/v1/query"
        return await self.send(method, path, json=fields | overrides, headers=await self.bearer())

    async def rows(self, **overrides: Any) -> list[dict[str, Any]]:
        """The rows of one page, out of the lists they lie in."""
        found = (await self.pull(**overrides)).body["Response"]
        while found and isinstance(found[0], list):
            found = found[0]
        return list(found)

    async def qr(self, **overrides: Any) -> Answer:
        fields = {
            "MerchantName": "EASYISP LAB",
            "RefNo": "ABC123",
            "Amount": 50,
            "TrxCode": "PB",
            "CPI": self.merchant.short_code,
            "Size": "300",
        }
        path = "/mpesa/qrcode/v1/generate"
        return await self.send("POST", path, json=fields | overrides, headers=await self.bearer())


@contextlib.asynccontextmanager
async def daraja_stage(
    options: DarajaOptions | None = None,
    merchants: Sequence[Merchant] = (SANDBOX_MERCHANT,),
    no_api: Sequence[NoApiMerchant] = (),
) -> AsyncIterator[Stage]:
    """Everything started, and everything closed after."""
    clock, shop = CrankedClock(), Shop()
    async with contextlib.AsyncExitStack() as stack:
        runner = web.AppRunner(shop.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shop.open_at(f"http://127.0.0.1:{runner.addresses[0][1]}")
        lab = await stack.enter_async_context(
            DarajaLab(
                clock=clock,
                randomness=SeededRandomness(),
                merchants=merchants,
                no_api=no_api,
                options=options or DarajaOptions.unhurried(),
            )
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stage(lab, clock, shop, http, merchants[0])
