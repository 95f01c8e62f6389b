"""Customers at a real browser: a device at the portal, and the phone that is asked for the PIN."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from playwright.async_api import Error, async_playwright

from tests.real_parts import require
from tests.whole.stage import MAC, PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import ConsoleMessage, Page, Request

    from easyisp_edge.lab.mikrotik import MikrotikOptions

T = TypeVar("T")

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 10_000
_ON_ITS_WAY = re.compile(
    "interrupted by another navigation|ERR_ABORTED|Not attached to an active page|Execution context was destroyed"
)
_TRIES = 4
REFUSING = {"/buy", "/paid", "/credit", "/find", "/voucher", "/here", "/problem", "/api/portal/mpesa/claim"}
_TAP_SECONDS = 0.1
# The button that has the phone prompted, and no other.
PAY = "form[action='/buy'] button:not([name])"


async def settled(act: Callable[[], Awaitable[T]]) -> T:
    """Do something at a page; again, where that page was just on its way elsewhere by itself."""
    for _ in range(_TRIES - 1):
        try:
            return await act()
        except Error as error:
            if _ON_ITS_WAY.search(error.message) is None:
                raise
    return await act()


@dataclass
class BrowsedStage(Stage):
    """A site whose router sends its devices to the portal, with a browser beside it."""

    async def __aenter__(self) -> Self:
        chromium = require("chromium", "chromium")
        self._browsers = contextlib.AsyncExitStack()
        await super().__aenter__()
        playwright = await self._browsers.enter_async_context(async_playwright())
        self.browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        self._browsers.push_async_callback(self.browser.close)
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._browsers.aclose()
        finally:
            await super().__aexit__(*error)

    def _router_options(self) -> MikrotikOptions:
        return replace(super()._router_options(), portal_url=f"{self.portal_url}/")

    @contextlib.asynccontextmanager
    async def customer(
        self, *, scripts: bool = True, language: str = "en", width: int = 320, height: int = 640, dark: bool = False
    ) -> AsyncIterator[Customer]:
        """A customer with a browser of its own; what its console complains of fails the test."""
        context = await self.browser.new_context(
            java_script_enabled=scripts,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="en-KE",
        )
        customer = Customer(self, await context.new_page(), language)
        try:
            yield customer
        finally:
            await context.close()
        assert customer.complaints == []
        assert customer.hosts <= {urlsplit(self.portal_url).netloc, *customer.other_hosts}

    @contextlib.asynccontextmanager
    async def handset(self, phone: str = PHONE) -> AsyncIterator[Handset]:
        """The page that plays a phone, in a browser of its own."""
        context = await self.browser.new_context(locale="en-KE")
        page = await context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        try:
            yield Handset(page, f"{self.daraja.phone_url}/?phone={phone}")
        finally:
            await context.close()


@dataclass
class Customer:
    """A person at the portal's pages. On arriving at any of them, nothing may need scrolling sideways."""

    stage: BrowsedStage
    page: Page
    language: str = "en"
    hosts: set[str] = field(default_factory=set)
    other_hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    posts: int = 0

    def __post_init__(self) -> None:
        self._watch(self.page)

    def _watch(self, page: Page) -> None:
        page.set_default_timeout(_PATIENCE_MS)
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Request) -> None:
        self.posts += request.method == "POST"
        if not request.url.startswith("data:"):
            self.hosts.add(urlsplit(request.url).netloc)

    def _said(self, line: ConsoleMessage) -> None:
        # A form that comes back with what was wrong in it, and a receipt that is refused, come with a status that
        # the browser notes down.
        asked = urlsplit(line.location["url"]).path in REFUSING
        refused = asked and re.search(r"status of (400|409|422) ", line.text)
        if line.type in {"error", "warning"} and not refused:
            self.complaints.append(f"{line.text} ({line.location})")

    async def another_tab(self) -> Customer:
        """The same device's next tab; what it complains of counts here."""
        page = await self.page.context.new_page()
        return Customer(self.stage, page, self.language, self.hosts, self.other_hosts, self.complaints)

    async def open(self, mac: str = MAC) -> None:
        """Open the page the router sends the device to."""
        link = self.stage.router.portal_link(mac)
        await self.goto(link if self.language == "en" else f"{link}&lang={self.language}")
        await self.arrived()

    async def goto(self, url: str) -> None:
        """Load an address, whatever the page is about to do by itself."""
        await settled(lambda: self.page.goto(url))

    async def reload(self) -> None:
        """Load the page anew, whatever it is about to do by itself."""
        await settled(self.page.reload)

    async def choose(self, package: str = "1 hour") -> None:
        """Tap a package."""
        await self.page.locator("a.offer", has_text=package).click()
        await self.page.locator("#phone").wait_for()
        await self.arrived()

    async def give_number(self, phone: str = PHONE) -> None:
        """Type the number and tap the button."""
        await self.page.fill("#phone", phone)
        await self.page.locator(PAY).click()
        await self.arrived()

    async def tap_again_and_again(self, selector: str) -> None:
        """Tap three times, too slowly for the browser to take it for one tap."""
        box = await self.page.locator(selector).bounding_box()
        assert box is not None
        for _ in range(3):
            await self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            await asyncio.sleep(_TAP_SECONDS)

    async def order(self, mac: str = MAC, package: str = "1 hour", phone: str = PHONE) -> None:
        """From the first page to waiting for the PIN."""
        await self.open(mac)
        await self.choose(package)
        await self.give_number(phone)
        await self.at("prompted")

    async def at(self, step: str, *, seconds: float = 10) -> None:
        """Wait until the page shows that step, by itself."""
        await self.page.wait_for_selector(f"main[data-step={step}]", timeout=seconds * 1000)
        await self.arrived()

    async def arrived(self) -> None:
        """Hold the page against what holds for all of them."""
        language, needed, there = await self.evaluate(
            "[document.documentElement.lang, document.documentElement.scrollWidth,"
            " document.documentElement.clientWidth]"
        )
        assert language == self.language
        assert needed <= there, f"{self.page.url} needs {needed} pixels of width, and there are {there}"

    async def evaluate(self, script: str) -> Any:
        """What a script says at the page."""
        return await settled(lambda: self.page.evaluate(script))

    async def heading(self) -> str:
        """What the page says above all."""
        return (await self.page.locator("h1").inner_text()).strip()

    async def text(self) -> str:
        """All that can be read."""
        return await self.page.locator("main").inner_text()


@dataclass
class Handset:
    """A phone that is asked for the PIN."""

    page: Page
    url: str

    async def look(self) -> None:
        """Take it up, and wait until it asks."""
        await self.page.goto(self.url)
        await self.page.locator("section.prompt input[name=pin]").wait_for()

    async def enter_pin(self, pin: str = "1234") -> None:
        """Answer the prompt that is looked at."""
        await self.page.fill("section.prompt input[name=pin]", pin)
        await self.page.click("[data-act=pin]")

    async def cancel(self) -> None:
        """Wave the prompt away."""
        await self.page.click("[data-act=cancel]")
