"""Hostile parameters on every route of the portal, as the application has them: nothing runs, leaves or slips in.

What is looked at here by the octet is then opened in a real browser, where anything that runs tells of itself.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from aiohttp import web
from playwright.async_api import Error

from easyisp_edge.lab.daraja import Payer
from easyisp_edge.web.captive_api import EXPECTED
from tests.whole import hostile_input, test_xss
from tests.whole.browsing import BrowsedStage, settled
from tests.whole.portal_walks import voucher_of
from tests.whole.raw_http import Route, routes_of
from tests.whole.stage import HOST, MAC, OTHER_MAC, OTHER_PHONE, Stage
from tests.whole.test_xss import AWAY, PAYLOADS, Anatomy, assert_guarded, assert_harmless, assert_stays

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aiohttp import ClientResponse
    from playwright.async_api import Page

INJECTED = (
    "x\r\nX-Evil: 1",
    "x\nX-Evil: 1\n\n<script>alert(1)</script>",
    "x\rX-Evil: 1",
    "x%0d%0aX-Evil:%201",
    "\u560a\u560dX-Evil: 1",
    "en\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
)
HOSTILE = (*PAYLOADS, *AWAY, *INJECTED)
FORM_FIELDS = (
    *("package", "phone", "d", "lang", "key", "text", "turn", "prompt", "code", "h", "username", "password", "save"),
    *("sent", "box"),
)
NAMES = tuple(dict.fromkeys((*test_xss.NAMES, *hostile_input.NAMES, *FORM_FIELDS)))
# How many of all pairs of a name and a value each route meets: each value at many names, each name with many values.
ONE_IN = 5
LEAST_A_ROUTE = 200
HARMLESS_VALUES = ("plain", "1", "")
HEADERS = {
    *("content-type", "content-length", "content-security-policy", "cache-control", "referrer-policy", "date"),
    *("server", "x-content-type-options", "location", "allow", "vary", "retry-after", "content-disposition"),
    "content-encoding",
    *("access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"),
}
PROBES = {"/redirect", *EXPECTED}
IN_BRACES = re.compile(r"\{[a-z_]+\}")


def pairs() -> Iterator[tuple[str, str]]:
    """Names with hostile values, as many of them as each route meets one by one."""
    for at, name in enumerate(NAMES):
        for number, value in enumerate(HOSTILE):
            if (at + number) % ONE_IN == 0:
                yield name, value


@dataclass(frozen=True)
class Target:
    """A site with purchases in several states and a claim, and what leads to them."""

    stage: Stage
    ids: dict[str, list[str]]
    fields: dict[str, str]
    bones: dict[tuple[str, str], set[tuple[Any, ...]]] = field(default_factory=dict)

    def routes(self, *methods: str) -> list[Route]:
        """The portal's routes with one of these methods."""
        found = [one for one in routes_of(self.stage) if one.door == "portal" and one.method in methods]
        assert len(found) > 3
        return found

    def paths(self, route: Route) -> list[str]:
        """Where the route leads: to each thing there is of its kind, and nowhere where nothing is known of that."""
        found = [route.path]
        for name in IN_BRACES.findall(route.path):
            found = [path.replace(name, one) for path in found for one in self.ids.get(name, ["x"])]
        return found

    async def ask(self, method: str, path: str, fields: dict[str, str], *, as_json: bool = False) -> str:
        """Ask with these fields, in the query and in the body; whatever comes is held to the rules."""
        asked = f"{path}?{urlencode(fields, quote_via=quote)}"
        body: dict[str, Any] = {} if method == "GET" else {"json": fields} if as_json else {"data": fields}
        async with self.stage.http.request(method, asked, allow_redirects=False, **body) as answer:
            text = await answer.text()
            if path in PROBES:
                assert_probe(answer, text, self.stage.portal_url)
                return ""
            assert_clean(answer, text)
            return text if answer.content_type == "text/html" else ""


def assert_clean(answer: ClientResponse, text: str) -> None:
    """Our headers and no other, each once; no way off the site; a page under its policy, or JSON taken as that."""
    told = f"{answer.method} {answer.url}: {answer.status}"
    names = [name.decode().lower() for name, _ in answer.raw_headers]
    assert set(names) <= HEADERS, f"{told} {names}"
    assert len(names) == len(set(names)), f"{told} {names}"
    assert answer.status < 500, told
    assert_stays(answer.headers.get("Location"))
    assert b"evil" not in b"".join(value.lower() for _, value in answer.raw_headers), told
    if answer.content_type == "text/html":
        assert_guarded(answer.headers)
        assert_harmless(text)
    elif text and not answer.content_type.startswith("text/javascript"):
        assert answer.content_type in {"application/json", "application/captive+json"}, told
        json.loads(text)


def assert_probe(answer: ClientResponse, text: str, portal_url: str) -> None:
    """What systems ask for by themselves: sent to this portal and nowhere else, or told what they expect."""
    told = f"{answer.method} {answer.url}: {answer.status} {answer.headers}"
    assert {name.decode().lower() for name, _ in answer.raw_headers} <= HEADERS | {"x-networkmanager-status"}, told
    assert "evil" not in str(answer.raw_headers).lower(), told
    if answer.status == 302:
        assert re.match(rf"{re.escape(portal_url)}(/[!-~]*)?$", answer.headers["Location"]), told
    elif answer.status < 400:
        expected = EXPECTED[answer.url.path].body
        assert (answer.status, text) == (200 if expected else 204, expected.decode()), told


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """A site to be asked by program."""
    async with test_xss.site(tmp_path, "Plain") as stage:
        yield await furnish(stage)


async def furnish(stage: Stage) -> Target:
    """Bring about what the routes lead to."""
    failed = await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
    push = (await stage.daraja.wait_for_prompt(OTHER_PHONE)).push
    await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
    await stage.until_status(failed, "failed")
    connecting = await stage.buy(phone="0722000112", macAddress="AA:BB:CC:00:00:77", nasIp=HOST)
    await stage.pay("0722000112")
    await stage.until_status(connecting, "completed")
    online = await stage.buy()
    await stage.pay()
    await stage.until_online()
    prompted = await stage.buy(phone="0722000113", macAddress="AA:BB:CC:00:00:78")
    async with stage.http.post(
        "/api/portal/mpesa/verify-sms", json={"smsText": "UKL5QWERT1", "macAddress": MAC}
    ) as got:
        claim_id = (await got.json())["claimId"]
    _, page = await stage.get("/", mac="AA:BB:CC:00:00:79")
    token = re.search(r"[?;]d=([A-Za-z0-9_-]+)&amp;", page)
    assert token is not None
    ids = {
        "{purchase_id}": [failed, connecting, online, prompted],
        "{claim_id}": [claim_id],
        "{kind}": ["p"],
        "{key}": [online],
        "{code}": [await voucher_of(stage)],
    }
    known = {"package": "1h", "d": token[1], "lang": "en", "checkoutRequestId": connecting, "claimId": claim_id}
    return Target(stage, ids, known)


def bones_of(page: str) -> tuple[Any, ...]:
    """What the page is made of."""
    return tuple(Anatomy(page).bones)


def test_there_are_enough() -> None:
    """At least two hundred on each route, every name and every value among them."""
    asked = list(pairs())
    assert len(asked) >= LEAST_A_ROUTE
    assert {name for name, _ in asked} == set(NAMES)
    assert {value for _, value in asked} == set(HOSTILE)


async def test_asking_with_hostile_parameters(target: Target) -> None:
    """On every route that is asked: each page has the bones it has with harmless values, or says that it has none."""
    refusals = {bones_of(await target.ask("GET", *nowhere)) for nowhere in (("/none", {}), ("/", {"mac": "x"}))}
    for route in target.routes("GET"):
        for path in target.paths(route):
            same: dict[str, set[tuple[Any, ...]]] = {}
            for name, value in pairs():
                if name not in same:
                    pages = [await target.ask("GET", path, target.fields | {name: one}) for one in HARMLESS_VALUES]
                    same[name] = refusals | {bones_of(page) for page in pages}
                page = await target.ask("GET", path, target.fields | {name: value})
                assert bones_of(page) in same[name], (path, name, value)
                assert not re.search(r'["<>]', value) or value not in page, (path, name, value)


async def test_sending_hostile_fields(target: Target) -> None:
    """On every route that takes a body, as a form and as JSON: pages under the same rules, and no purchase for it."""
    purchases = await target.stage.count("purchases")
    fields = target.fields | {"phone": "12", "text": "x", "key": ""}
    for route in target.routes("POST"):
        for path in target.paths(route):
            for name, value in pairs():
                for as_json in {False, route.path.startswith("/api/")}:
                    page = await target.ask("POST", path, fields | {name: value}, as_json=as_json)
                    assert not re.search(r'["<>]', value) or value not in page, (path, name, value)
    assert await target.stage.count("purchases") == purchases


async def test_hostile_paths(target: Target) -> None:
    """In place of what a path names, and after it: no page of what there is not has other bones than the next."""
    for route in target.routes("GET", "POST"):
        path = route.path if "{" in route.path else f"{route.path.rstrip('/')}/{{more}}"
        pages = {await target.ask(route.method, IN_BRACES.sub(quote(value, safe=""), path), {}) for value in HOSTILE}
        assert len({bones_of(page) for page in pages if page}) <= 2, route  # not found, and not understood


# In a browser


@dataclass
class Witness:
    """Whatever runs in a page that should not, and whom the page turns to."""

    page: Page
    host: str
    seen: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, stage: BrowsedStage, url: str) -> AsyncIterator[Witness]:
        """A browser that stays at one host."""
        context = await stage.browser.new_context(locale="en-KE")
        page = await context.new_page()
        page.set_default_timeout(20_000)
        witness = cls(page, urlsplit(url).netloc)

        async def dismiss(dialog: Any) -> None:
            witness.seen.append(f"dialog at {page.url}")
            with contextlib.suppress(Error):  # it went with the page, or with the browser
                await dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("request", lambda request: witness.asked(request.url))
        page.on("console", lambda line: witness.said(line.text))
        page.on("pageerror", lambda error: witness.seen.append(f"error: {error}"))
        try:
            yield witness
        finally:
            await context.close()

    def asked(self, url: str) -> None:
        """A request goes out."""
        if not url.startswith("data:,") and urlsplit(url).netloc != self.host:
            self.seen.append(f"asks for {url}")

    def said(self, text: str) -> None:
        """The console notes something: what the policy holds back had got in all the same."""
        if re.search(r"responded with a status of 4\d\d ", text) is None:
            self.seen.append(f"console: {text}")

    async def open(self, url: str) -> None:
        """Open an address and wait until its scripts have run."""
        try:
            await settled(lambda: self.page.goto(url, wait_until="load"))
        except Error as error:
            if "Download is starting" not in error.message:  # a receipt to keep is a file, and no page
                raise
        await self.held()

    async def post(self, url: str, fields: dict[str, str]) -> None:
        """Send a form from a page of the site, and wait for what comes."""
        async with self.page.expect_navigation(wait_until="load"):
            await self.page.evaluate(SEND, [url, list(fields.items())])
        await self.held()

    async def held(self) -> None:
        """Nothing ran, and the page is where it was."""
        assert urlsplit(self.page.url).netloc == self.host
        assert self.seen == [], self.page.url


SEND = """([url, fields]) => {
  const form = document.createElement("form");
  form.method = "post";
  form.action = url;
  for (const [name, value] of fields) {
    const input = document.createElement("textarea");
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}"""


@contextlib.asynccontextmanager
async def browsed(tmp_path: Path) -> AsyncIterator[tuple[Target, Witness]]:
    """The site, and a browser to open it with."""
    files = test_xss.site(tmp_path, "Plain").files
    async with BrowsedStage(tmp_path, files=files) as stage, Witness.of(stage, stage.portal_url) as witness:
        yield await furnish(stage), witness


async def harmful_alone(target: Target, method: str, path: str) -> set[str]:
    """The names that make another page of it: together with them the others would not be seen."""
    usual = bones_of(await target.ask(method, path, target.fields))
    found = set()
    for name in NAMES:
        if bones_of(await target.ask(method, path, target.fields | {name: "<plain>"})) != usual:
            found.add(name)
    return found


@pytest.mark.real_part("chromium")
async def test_the_witness_sees_what_runs(tmp_path: Path) -> None:
    """A page that says again what it was asked with, as it came: the very values used here run, and are seen."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=f"<p>{request.query['name']}</p>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    door = web.TCPSite(runner, HOST, 0)
    await door.start()
    url = f"http://{HOST}:{runner.addresses[0][1]}/"
    try:
        async with BrowsedStage(tmp_path) as stage, Witness.of(stage, url) as witness:
            caught = 0
            for value in HOSTILE:
                witness.seen.clear()
                with contextlib.suppress(Exception):  # some lead the page away
                    await witness.page.goto(f"{url}?name={quote(value, safe='')}", wait_until="load", timeout=1000)
                caught += bool(witness.seen)
            assert caught >= 6
    finally:
        await runner.cleanup()


@pytest.mark.real_part("chromium")
@pytest.mark.timeout(400)
async def test_nothing_runs_in_a_page_asked_for(tmp_path: Path) -> None:
    """Every route with every hostile value in all its parameters at once, and in those that leave the page as it is."""
    async with browsed(tmp_path) as (target, witness):
        for route in target.routes("GET"):
            if route.path in PROBES or route.path.startswith("/static/"):  # their octets are known, whatever is asked
                continue
            for path in target.paths(route)[:2]:
                masking = set() if path.startswith("/api/") else await harmful_alone(target, "GET", path)
                for value in HOSTILE:
                    for left_out in {frozenset[str](), frozenset(masking)}:
                        fields = target.fields | {name: value for name in NAMES if name not in left_out}
                        await witness.open(f"{target.stage.portal_url}{path}?{urlencode(fields, quote_via=quote)}")


@pytest.mark.real_part("chromium")
@pytest.mark.timeout(400)
async def test_nothing_runs_in_a_page_sent_for(tmp_path: Path) -> None:
    """Every route that takes a form with every hostile value: in one field that changes, and in all of them."""
    async with browsed(tmp_path) as (target, witness):
        fields = target.fields | {"phone": "12", "text": "x"}
        await witness.open(f"{target.stage.portal_url}/none")
        for route in target.routes("POST"):
            for path in target.paths(route)[:1]:
                for number, value in enumerate(HOSTILE):
                    everywhere, one = fields | dict.fromkeys(FORM_FIELDS, value), FORM_FIELDS[number % len(FORM_FIELDS)]
                    if route.path.startswith("/api/"):  # what answers in JSON is no page to send a form from
                        await witness.open(f"{target.stage.portal_url}/none")
                        await witness.post(path, everywhere)
                        continue
                    await witness.post(path, fields | {one: value})
                    await witness.post(path, everywhere)
            await witness.open(f"{target.stage.portal_url}/none")
