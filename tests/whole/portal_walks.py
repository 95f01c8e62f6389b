"""Every page of the portal in every step, and how a customer comes to it.

A new page is one walk more in its site's list: what is proved of all pages is proved of that one from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from easyisp_edge.config.router_setup import CAPTIVE_PATH
from easyisp_edge.domain.reach import FAILURES_TO_TELL
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.lab.daraja import Behaviour, Fault, Payer
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder, VouchersDesk
from easyisp_edge.services.portal.outages import Outage
from easyisp_edge.web.captive_api import EXPECTED
from tests.whole.browsing import PAY, BrowsedStage, Customer, settled
from tests.whole.money_stage import ANY_NUMBER_OF_PROMPTS
from tests.whole.stage import GATEWAYS, HOST, PACKAGES, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import ConsoleMessage

PAYBILL = "174379"
# What programs and scripts ask for, and pictures.
NO_PAGES = ("/api/", "/static/", "/logo/", CAPTIVE_PATH, "/redirect", *EXPECTED)
NUMBERS = itertools.count(1)
LISTED = GATEWAYS + '[gateway.pull]\nnominated_number = "0722000000"\nevery = "1m"\n'
BY_HAND = '[[gateway]]\nid = "kiosk"\ntype = "MPESA_NO_API"\nsub_type = "BUYGOODS"\nshortcode = "898989"\n'
SMALL = '[[package]]\nid = "half"\nname = "Half an hour"\nprice = 5\nduration = "30m"\nspeed = "2M/5M"\n'
LATER = """[[package]]
id = "later"
name = "Later"
price = 10
duration = "1d"
data = "1GB"
hours = "{opens:%H:%M}-{closes:%H:%M}"
speed = "5M"
"""
PORTAL = 'title = "Mama Njeri Wi-Fi"\nnote = "Trouble? Ask at the counter."\nsupport_phone = "0712 345 678"\n'
TRIAL = """[[package]]
id = "trial"
name = "Free trial"
price = 1
duration = "10m"
speed = "1M"
active = false
"""
GIVES_TRIAL = '[[tenant]]\nid = "default"\nname = "Shop"\ntrial = "trial"\n'
ADVANCE = '[[tenant]]\nid = "default"\nname = "Shop"\nprovisional_access = "15m"\n'
REFUSED_AFTER_SECONDS = 49 * 3600
EXPIRED_AFTER_SECONDS = 301
# A list is read three times a minute at most, and a phone is not prompted twice within one.
BETWEEN_READINGS_SECONDS, BETWEEN_PROMPTS_SECONDS = 21, 60


class Walker(Customer):
    """A customer with a device and a phone that nobody had before, at a page that may come with any status."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number = next(NUMBERS)
        self.mac = f"AA:BB:CC:01:{number >> 8:02X}:{number & 255:02X}"
        self.address = f"10.5.{60 + (number >> 8)}.{number & 255}"
        self.phone = f"07123{number:05}"
        self.paths: set[str] = set()
        self.page.on("request", lambda request: self.paths.add(urlsplit(request.url).path))

    def _said(self, line: ConsoleMessage) -> None:
        if re.search(r"responded with a status of 4\d\d ", line.text) is None:
            super()._said(line)

    async def go(self, path: str, **query: str) -> None:
        """Open a page in the walker's language, for the walker's device."""
        asked = urlencode({"mac": self.mac, **query, "lang": self.language})
        await self.goto(f"{self.stage.portal_url}{path}?{asked}")
        await self.arrived()

    async def buy(self, package: str = "1h", **fields: Any) -> str:
        """Have the phone prompted; gives the path of the purchase's page."""
        return "/p/" + await self.stage.buy(packageId=package, phone=self.phone, macAddress=self.mac, **fields)

    async def prompted(self) -> str:
        """The open prompt's CheckoutRequestID."""
        prompt = await asyncio.wait_for(self.stage.daraja.wait_for_prompt(self.phone), 5)
        return prompt.push.checkout_request_id

    async def pay(self, path: str) -> None:
        """Enter the PIN, and wait until that is known."""
        await self.stage.pay(self.phone)
        await self.stage.until_status(path[3:], "completed")

    async def submit(self, selector: str, text: str, button: str) -> None:
        """Type something and tap a button."""
        await self.page.fill(selector, text)
        await self.page.locator(button).click()
        await self.arrived()

    async def claim(self, text: str, **query: str) -> None:
        """Show a receipt by the form, and be at its claim's page."""
        await self.go("/paid", **query)
        await self.submit("#text", text, "form[action='/paid'] button")
        await self.page.wait_for_url("**/k/*")

    async def says(self, step: str) -> None:
        """Load the page until it shows that step."""

        async def shown() -> bool:
            await self.reload()
            return await settled(self.page.locator(f"main[data-step={step}]").count) > 0

        await self.stage.until(shown, seconds=10, what=f"the page at {step}")
        await self.arrived()

    async def decided(self) -> None:
        """Load the page until it waits for nothing any more."""

        async def shown() -> bool:
            await self.reload()
            return await settled(self.page.locator("main:not([data-poll])").count) > 0

        await self.stage.until(shown, seconds=10, what="a page that waits for nothing")
        await self.arrived()

    def look(self, seconds: float = BETWEEN_READINGS_SECONDS) -> None:
        """Let M-Pesa's list be read again."""
        self.stage.time.move(seconds)
        self.stage.daemon.parts.bells.ring_look()


@dataclass(frozen=True)
class Walk:
    """The way to a page.

    Args:
        name: Of what is shown there.
        go: Brings a walker there.
    """

    name: str
    go: Callable[[Walker], Awaitable[None]]


def language_of(walk: Walk) -> str:
    """In which language a page is pictured: half of them in each, always the same."""
    return "sw" if sum(walk.name.encode()) % 2 else "en"


@dataclass(frozen=True)
class Place:
    """A site, and the walks to be taken there in this order.

    Args:
        name: Of the site.
        walks: The ways to its pages.
        files: Its configuration, where it is not the usual one.
    """

    name: str
    walks: tuple[Walk, ...]
    files: dict[str, str] = field(default_factory=dict)

    def stage(self, folder: Path) -> BrowsedStage:
        """The site, to be entered."""
        now = datetime.now(NAIROBI)
        later = LATER.format(opens=now + timedelta(hours=3), closes=now + timedelta(hours=4))
        usual = {
            "edge.toml": ANY_NUMBER_OF_PROMPTS,
            "gateways.toml": LISTED,
            "packages.toml": PACKAGES + SMALL + later,
            "portal.toml": PORTAL,
        }
        return BrowsedStage(folder, files={**usual, **self.files})


@contextlib.asynccontextmanager
async def walker(
    stage: BrowsedStage, *, language: str = "en", width: int = 320, scripts: bool = True
) -> AsyncIterator[Walker]:
    """Somebody with a browser of its own, who may talk to the portal alone and hears no complaint from the browser."""
    context = await stage.browser.new_context(
        java_script_enabled=scripts, viewport={"width": width, "height": 640}, locale="en-KE"
    )
    someone = Walker(stage, await context.new_page(), language)
    stage.router.connect_device(someone.mac, someone.address)
    try:
        yield someone
    finally:
        await context.close()
    assert someone.complaints == []
    assert someone.hosts == {urlsplit(stage.portal_url).netloc}


# Before anything is bought


async def _choose(who: Walker) -> None:
    await who.go("/")


async def _no_such_package(who: Walker) -> None:
    await who.go("/buy", package="none")


async def _phone(who: Walker) -> None:
    await who.go("/buy", package="1h")


async def _phone_wrong(who: Walker) -> None:
    await _phone(who)
    await who.submit("#phone", "0712 34", PAY)
    await who.page.locator("#wrong").wait_for()


async def _third_device(who: Walker) -> None:
    await who.go("/", error="no more sessions are allowed for user kofi")
    await who.page.locator("p.wrong").wait_for()


async def _not_found(who: Walker) -> None:
    await who.go("/none")


async def _not_understood(who: Walker) -> None:
    await who.goto(f"{who.stage.portal_url}/?mac=x&lang={who.language}")


# Between the button and the router


async def _prompted(who: Walker) -> None:
    await who.go(await who.buy())
    await who.at("prompted")


async def _unknown(who: Walker) -> None:
    who.stage.daraja.set_behaviour(who.phone, Behaviour(fault=Fault.EMPTY_500))
    await who.go(await who.buy())
    await who.at("unknown")


async def _expired(who: Walker) -> None:
    path = await who.buy()
    await who.prompted()
    who.stage.time.move(EXPIRED_AFTER_SECONDS)
    await who.stage.daemon.parts.settlement.expire_round()
    await who.go(path)
    await who.at("expired")


async def _offered(who: Walker) -> None:
    await _phone(who)
    await who.submit("#phone", who.phone, "button[name=prompt]")
    await who.at("offered")


async def _failed(who: Walker) -> None:
    path = await who.buy()
    await who.stage.daraja.act(await who.prompted(), Payer.CANCEL)
    await who.stage.until_status(path[3:], "failed")
    await who.go(path)


async def _paid_short(who: Walker) -> None:
    await _offered(who)
    code = (await who.page.locator(".code", has=who.page.locator("i")).inner_text()).strip()
    await who.stage.daraja.pay_bill(who.phone, PAYBILL, code, 6)
    who.look()
    await who.says("failed")


async def _connecting(who: Walker) -> None:
    who.mac = who.mac.replace("AA:BB:CC:01", "AA:BB:CC:02")  # of a device the router has never seen
    path = await who.buy(nasIp=HOST)
    await who.pay(path)
    await who.go(path)
    await who.at("connecting")


async def _connecting_in_vain(who: Walker) -> None:
    await _connecting(who)
    await who.go("/", error="RADIUS server is not responding")
    await who.page.locator("p.wrong:not([hidden])").wait_for()
    await who.at("connecting")


# While something is down


def _m_pesa_fails(who: Walker, *, connected: bool) -> None:
    """Have the last tries to reach M-Pesa failed; the next that succeeds ends it."""
    portal = who.stage.daemon.parts.portal
    (gateway,) = portal.site.config.gateways
    reach = portal.outages.reach_of(gateway)
    assert reach is not None
    for _ in range(FAILURES_TO_TELL):
        reach.failed(portal.clock.monotonic(), connected=connected)


async def _prompted_with_m_pesa_away(who: Walker) -> None:
    path = await who.buy()
    await who.prompted()
    _m_pesa_fails(who, connected=True)
    await who.go(path)
    await who.at("prompted")
    await who.page.locator("p.wrong:not([hidden])").wait_for()


async def _m_pesa_away(who: Walker) -> None:
    await _prompted_with_m_pesa_away(who)
    who.mac = who.mac.replace("AA:BB:CC:01", "AA:BB:CC:04")
    _m_pesa_fails(who, connected=True)
    await who.go("/")
    await who.page.locator("p.wrong").wait_for()


async def _internet_away(who: Walker) -> None:
    await _m_pesa_away(who)
    _m_pesa_fails(who, connected=False)
    await who.go("/")
    await who.page.locator("p.wrong").wait_for()


async def _router_gone(who: Walker) -> None:
    portal = who.stage.daemon.parts.portal
    (gateway,) = portal.site.config.gateways
    reach = portal.outages.reach_of(gateway)
    if reach is not None:  # whoever walked here before may have had it fail
        reach.answered()
    await who.stage.router.unreachable()
    away = portal.outages.now
    await who.stage.until(lambda: Outage.ROUTER in away("default", None), seconds=10, what="the router's outage")


async def _router_away(who: Walker) -> None:
    await _router_gone(who)
    await who.go("/")
    await who.page.locator("p.wrong").wait_for()


async def _connecting_with_the_router_away(who: Walker) -> None:
    await _router_gone(who)
    path = await who.buy(nasIp=HOST)
    await who.pay(path)
    await who.go(path)
    await who.page.locator("p.wrong:not([hidden])").wait_for()
    await who.at("connecting")


# Bought


async def _online(who: Walker) -> None:
    path = await who.buy()
    await who.pay(path)
    await who.stage.until_online(who.mac)
    await who.go(path)
    await who.at("online")


async def _online_with_another(who: Walker) -> None:
    await _online(who)
    who.stage.time.move(BETWEEN_PROMPTS_SECONDS)
    path = await who.buy("1d")
    await who.pay(path)
    await who.go("/")
    await who.page.locator("form[action='/switch']").wait_for()
    await who.at("online")


async def _shut(who: Walker) -> None:
    path = await who.buy("later")
    await who.pay(path)
    await who.go(path)
    await who.at("shut")


async def _signed_off(who: Walker) -> None:
    await _online(who)
    await who.page.locator("form[action='/off'] button").click()
    await who.page.locator("form[action='/on']").wait_for()
    await who.arrived()


async def _receipt(who: Walker) -> None:
    await _online(who)
    await who.go(f"{urlsplit(who.page.url).path}/receipt")


async def _on_another_device(who: Walker) -> None:
    await _online(who)
    path, bought_by = urlsplit(who.page.url).path, who.mac
    who.mac = bought_by.replace("AA:BB:CC:01", "AA:BB:CC:03")
    await who.go("/")
    token = await who.page.locator("form[action='/find'] input[name=d]").get_attribute("value") or ""
    await who.go(path, d=token)
    await who.page.locator("form[action='/here']").wait_for()


async def _problem(who: Walker) -> None:
    await who.go("/problem")


async def _problem_sent(who: Walker) -> None:
    await _problem(who)
    await who.submit("#text", "It is slow.", "form[action='/problem'] button")
    await who.page.wait_for_url("**/problem?sent=1*")


# By the one box, by voucher, and for nothing


async def _find(who: Walker) -> None:
    await who.go("/find")


async def _find_unclear(who: Walker) -> None:
    await _find(who)
    await who.submit("#box", "hello there", "form[action='/find'] button")


async def voucher_of(stage: Stage) -> str:
    """A voucher's code that nobody used yet."""
    parts = stage.daemon.parts
    desk = VouchersDesk(parts.store, parts.clock, parts.portal.identifiers, parts.site)
    made = await desk.make(BatchOrder("1h", 1), "tests")
    return (await desk.show(made.batch.batch_id, "tests")).vouchers[0][0].code


async def _voucher(who: Walker) -> None:
    await who.go(f"/v/{await voucher_of(who.stage)}")
    await who.page.locator("form[action='/voucher']").wait_for()


async def _voucher_mistyped(who: Walker) -> None:
    await who.go("/v/AAAA-AAAA-AAA")


async def _voucher_used(who: Walker) -> None:
    await _voucher(who)
    await who.page.locator("form[action='/voucher'] button").click()
    await who.stage.until_online(who.mac)
    await who.says("online")


async def _voucher_moves(who: Walker) -> None:
    await _voucher(who)
    path = urlsplit(who.page.url).path
    await who.page.locator("form[action='/voucher'] button").click()
    await who.stage.until_online(who.mac)
    who.mac = who.mac.replace("AA:BB:CC:01", "AA:BB:CC:03")
    await who.go(path)
    await who.page.locator("form[action='/voucher'] input[name=move]").wait_for(state="attached")


# By receipt


async def _paid(who: Walker) -> None:
    await who.go("/paid", package="1h")


async def _paid_without_device(who: Walker) -> None:
    await who.go("/paid", mac="")


async def _paid_wrong(who: Walker) -> None:
    await _paid(who)
    await who.submit("#text", "hello there", "form[action='/paid'] button")
    await who.page.locator("#wrong").wait_for()


async def _paid_phone_wrong(who: Walker) -> None:
    await _paid(who)
    await who.page.fill("#phone", "12")
    await who.submit("#text", "UKL5QWERT1", "form[action='/paid'] button")
    await who.page.locator("#wrong").wait_for()


async def _verifying(who: Walker) -> None:
    await who.claim(f"UKL5QW{who.mac[-2:]}T1", package="1h")
    await who.at("verifying")


async def _verifying_at_the_start(who: Walker) -> None:
    await _verifying(who)
    await who.go("/")
    await who.at("verifying")


async def _refused(who: Walker) -> None:
    await _verifying(who)
    who.look(REFUSED_AFTER_SECONDS)
    await who.decided()


async def _claim_online(who: Walker) -> None:
    debit = await who.stage.daraja.pay_bill(who.phone, PAYBILL, "WIFI", 10)
    await who.claim(debit.receipt, package="1h")
    who.look()
    await who.says("online")


async def _claim_receipt(who: Walker) -> None:
    await _claim_online(who)
    await who.page.locator("a[href*='/receipt']").click()
    await who.page.wait_for_url("**/receipt*")
    await who.arrived()


async def _bought_from_credit(who: Walker) -> None:
    await _phone_with_credit(who)
    await who.page.locator("form[action='/credit'] button").click()
    await who.page.wait_for_url("**/w/*")
    await who.at("online")


async def _used(who: Walker) -> None:
    debit = await who.stage.daraja.pay_bill(who.phone, PAYBILL, "WIFI", 10)
    async with who.stage.http.post(
        "/api/portal/mpesa/verify-sms",
        json={"smsText": debit.receipt, "packageId": "1h", "macAddress": who.mac[:-2] + "FF"},
    ) as answer:
        claim_id = (await answer.json())["claimId"]
    who.look()

    async def done() -> bool:
        async with who.stage.http.get("/api/portal/mpesa/claim", params={"claimId": claim_id}) as answer:
            return bool((await answer.json())["status"] == "completed")

    await who.stage.until(done, seconds=5, what="another device's claim")
    await who.claim(debit.receipt)
    await who.decided()


async def _credited(who: Walker) -> None:
    debit = await who.stage.daraja.pay_bill(who.phone, PAYBILL, "WIFI", 7)
    await who.claim(debit.receipt, package="1h")
    who.look()
    await who.decided()


async def _choose_with_credit(who: Walker) -> None:
    await _credited(who)
    await who.go("/", more="1")
    await who.page.locator("p.note b").wait_for()


async def _phone_with_credit(who: Walker) -> None:
    await _credited(who)
    await who.go("/buy", package="half")
    await who.page.locator("form[action='/credit']").wait_for()


async def _provisional(who: Walker) -> None:
    stage = who.stage
    debit = await stage.daraja.pay_bill(who.phone, PAYBILL, "WIFI", 10)
    stage.daraja.set_outage(Fault.HTML_503)
    try:
        who.look()
        sweep = stage.daemon.parts.sweep
        await stage.until(lambda: sweep.cut_off("paybill"), seconds=5, what="M-Pesa is away")
        await who.claim(debit.receipt, package="1h")
        await stage.until_online(who.mac)
        await who.says("provisional")
    finally:
        stage.daraja.set_outage(None)


SHOP = Place(
    "shop",
    (
        Walk("choose", _choose),
        Walk("no-such-package", _no_such_package),
        Walk("phone", _phone),
        Walk("phone-wrong", _phone_wrong),
        Walk("third-device", _third_device),
        Walk("not-found", _not_found),
        Walk("not-understood", _not_understood),
        Walk("prompted", _prompted),
        Walk("unknown", _unknown),
        Walk("expired", _expired),
        Walk("offered", _offered),
        Walk("failed", _failed),
        Walk("paid-short", _paid_short),
        Walk("connecting", _connecting),
        Walk("connecting-in-vain", _connecting_in_vain),
        Walk("online", _online),
        Walk("online-with-another", _online_with_another),
        Walk("shut", _shut),
        Walk("signed-off", _signed_off),
        Walk("receipt", _receipt),
        Walk("on-another-device", _on_another_device),
        Walk("problem", _problem),
        Walk("problem-sent", _problem_sent),
    ),
)
BOX = Place(
    "box",
    (
        Walk("find", _find),
        Walk("find-unclear", _find_unclear),
        Walk("voucher", _voucher),
        Walk("voucher-mistyped", _voucher_mistyped),
        Walk("voucher-used", _voucher_used),
        Walk("voucher-moves", _voucher_moves),
        Walk("choose-with-trial", _choose),
    ),
    {"packages.toml": PACKAGES + TRIAL, "tenants.toml": GIVES_TRIAL},
)
RECEIPTS = Place(
    "receipts",
    (
        Walk("paid", _paid),
        Walk("paid-without-device", _paid_without_device),
        Walk("paid-wrong", _paid_wrong),
        Walk("paid-phone-wrong", _paid_phone_wrong),
        Walk("verifying", _verifying),
        Walk("verifying-at-the-start", _verifying_at_the_start),
        Walk("claim-online", _claim_online),
        Walk("claim-receipt", _claim_receipt),
        Walk("used", _used),
        Walk("credited", _credited),
        Walk("choose-with-credit", _choose_with_credit),
        Walk("phone-with-credit", _phone_with_credit),
        Walk("bought-from-credit", _bought_from_credit),
        Walk("refused", _refused),
    ),
)
DOWN = Place(
    "down",
    (
        Walk("prompted-daraja-away", _prompted_with_m_pesa_away),
        Walk("choose-daraja-away", _m_pesa_away),
        Walk("choose-uplink-away", _internet_away),
        Walk("choose-router-away", _router_away),
        Walk("connecting-router-away", _connecting_with_the_router_away),
    ),
)
IN_ADVANCE = Place("in-advance", (Walk("provisional", _provisional),), {"tenants.toml": ADVANCE})
KIOSK = Place("kiosk", (Walk("phone-by-hand", _phone), Walk("offered-by-hand", _offered)), {"gateways.toml": BY_HAND})
EMPTY = Place("empty", (Walk("closed", _choose),), {"packages.toml": ""})
UNPAYABLE = Place("unpayable", (Walk("closed-no-gateway", _choose),), {"gateways.toml": ""})
PLACES = (SHOP, BOX, RECEIPTS, DOWN, IN_ADVANCE, KIOSK, EMPTY, UNPAYABLE)
