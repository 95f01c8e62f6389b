"""Words that try to be markup, and addresses that try to lead away: shown as words, and leading nowhere."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from easyisp_edge.lab.daraja import Payer
from tests.whole.stage import HOST, MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "javascript:alert(1)",
    "</title></style><script src=//evil.example></script>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u2028<script>\u2029",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example/>",
    "{{7*7}}${7*7}<%=7*7%>",
    "]]><!--<script>",
    "\x00<script>",
    "+ADw-script+AD4-",
    "%3Cscript%3E",
)
AWAY = (
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%2fevil.example",
    "http:evil.example",
    "https://evil.example/login",
    "javascript:alert(1)//",
    "data:text/html,<script>alert(1)</script>",
    "evil.example",
    ".evil.example",
    "@evil.example",
    "x\r\nLocation: https://evil.example",
    "%0d%0aLocation:%20https://evil.example",
)
NAMES = (
    *("mac", "ip", "lang", "error", "link-orig", "link-login", "link-login-only", "dst", "redirect", "return"),
    *("d", "package", "router", "username", "message", "title", "key", "phone", "api", "more"),
)
LOGIN_URL = "http://10.5.50.1/login"
PRODUCTS = """
[[package]]
id = "1h"
name = '{name}'
price = 10
duration = "1h"
speed = "2M/5M"
data = "1GB"
[[package]]
id = "1d"
name = '''{name} '''
price = 50
duration = "24h"
speed = "3M/8M"
"""
ROUTER = """
[[router]]
id = "main"
address = "127.0.0.1"
mode = "hotspot-user"
login_url = "http://10.5.50.1/login"
round_seconds = 1
[router.api]
tls = false
port = {api_port}
username = "edge"
password = "s3cret"
"""


class Anatomy(HTMLParser):
    """The bones of a page: tags and the names of their attributes; and every address in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bones: list[tuple[str, ...]] = []
        self.addresses: list[tuple[str, str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.bones.append((tag, *sorted(name for name, _ in attrs)))
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in {"srcdoc", "style", "formaction"}, (tag, name)
            if name in {"href", "src", "action", "data-poll"}:
                self.addresses.append((tag, name, value or ""))

    def handle_comment(self, data: str) -> None:
        self.bones.append(("!", data))


def assert_harmless(page: str) -> None:
    """No script but ours, no frame or picture, and every address within the site or one the owner configured."""
    anatomy = Anatomy(page)
    tags = {bone[0] for bone in anatomy.bones}
    assert not tags & {"img", "iframe", "object", "embed", "base", "video", "audio", "math", "template", "!"}, tags
    for tag, name, address in anatomy.addresses:
        within = re.match(r"/(?![/\\])", address) is not None
        known = (tag, name, address) in {("link", "href", "data:,"), ("form", "action", LOGIN_URL)}
        assert within or known or (tag == "a" and re.fullmatch(r"tel:[+0-9]+", address)), (tag, name, address)
        assert tag != "script" or re.fullmatch(r"/static/portal\.[0-9a-f]{8}\.js", address), address


def assert_guarded(headers: Any) -> None:
    """The page's policy lets nothing in but our own sheet and script, and nobody frame it."""
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", policy["style-src"])
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert set(policy["form-action"].split()) <= {"'self'", "http://10.5.50.1"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def assert_stays(location: str | None) -> None:
    """A redirect begins with one slash and goes on with what no browser reads as another host."""
    assert location is None or re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", location), location


async def look(stage: Stage, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """Ask for a page and hold whatever comes to all the rules above."""
    method = "GET" if form is None else "POST"
    async with stage.http.request(method, path, data=form, allow_redirects=False) as answer:
        text = await answer.text()
        assert_stays(answer.headers.get("Location"))
        assert "Refresh" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert answer.status < 500
        if answer.content_type == "text/html":
            assert_guarded(answer.headers)
            assert_harmless(text)
        else:
            assert answer.content_type == "application/json" or answer.status == 303
        return answer.status, text


def site(tmp_path: Path, name: str) -> Stage:
    """A site whose owner gave everything that may have a name this one."""
    portal = f"title = '{name}'\nnote = '{name}'\nsupport_phone = '0712 345 678'\n"
    tenants = f"[[tenant]]\nid = 'default'\nname = '{name}'\nbusiness_name = '{name}'\n"
    files = {
        "packages.toml": PRODUCTS.format(name=name),
        "portal.toml": portal,
        "tenants.toml": tenants,
        "routers.toml": ROUTER,
    }
    return Stage(tmp_path, files=files)


async def _every_page(stage: Stage) -> dict[str, str]:
    """All pages a customer may meet, from the first to the last, by what they are."""
    pages: dict[str, str] = {}

    async def keep(what: str, path: str, status: int = 200, form: dict[str, str] | None = None) -> None:
        found, pages[what] = await look(stage, path, form)
        assert found == status, (what, found)

    await keep("choose", f"/?mac={MAC}")
    await keep("closed package", "/buy?package=none", 404)
    await keep("phone", f"/buy?package=1h&mac={MAC}")
    await keep("phone again", "/buy", 400, {"package": "1h", "phone": "12", "mac": MAC})
    await keep("missing", "/none", 404)
    await keep("bad", "/?mac=x", 400)
    cancelled = await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
    await keep("prompted", f"/p/{cancelled}")
    push = (await asyncio.wait_for(stage.daraja.wait_for_prompt(OTHER_PHONE), 5)).push
    await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
    await stage.until_status(cancelled, "failed")
    await keep("failed", f"/p/{cancelled}")
    stage.time.move(60)
    elsewhere = await stage.buy(phone=OTHER_PHONE, macAddress="AA:BB:CC:00:00:77", nasIp=HOST)
    await stage.pay(OTHER_PHONE)
    await stage.until_status(elsewhere, "completed")
    await keep("connecting", f"/p/{elsewhere}")
    paid = await stage.buy()
    await stage.pay()
    await stage.until_online()
    await stage.until_status(paid, "completed")

    async def says_online() -> bool:
        return "You are online" in (await look(stage, f"/p/{paid}"))[1]

    await stage.until(says_online, seconds=3, what="the page says online")
    await keep("online", f"/p/{paid}")
    stage.time.move(3601)
    await keep("over", f"/p/{paid}", 303)
    return pages


async def test_names_are_words_on_every_page(tmp_path: Path) -> None:
    """With packages, shop and note named like attacks, each page has the very bones it has with plain names."""
    (tmp_path / "plain").mkdir()
    async with site(tmp_path / "plain", "Plain") as stage:
        plain = await _every_page(stage)
    for number, payload in enumerate(payload for payload in PAYLOADS if payload.isprintable() and "'" not in payload):
        (tmp_path / str(number)).mkdir()
        async with site(tmp_path / str(number), payload.replace("{", "{{").replace("}", "}}")) as stage:
            pages = await _every_page(stage) if number < 3 else {"choose": (await look(stage, f"/?mac={MAC}"))[1]}
        for what, page in pages.items():
            assert Anatomy(page).bones == Anatomy(plain[what]).bones, (payload, what)
            assert what == "over" or payload not in page or not re.search(r"[<>\"&]", payload), (payload, what)


@pytest.mark.parametrize("path", ["/", "/buy", "/p/{paid}", "/p/{failed}", "/none"])
async def test_parameters_are_words_and_lead_nowhere(tmp_path: Path, path: str) -> None:
    """Every parameter with every payload: the page has the bones it has without; no redirect leaves the site."""
    async with site(tmp_path, "Plain") as stage:
        failed = await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
        push = (await asyncio.wait_for(stage.daraja.wait_for_prompt(OTHER_PHONE), 5)).push
        await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
        await stage.until_status(failed, "failed")
        paid = await stage.buy(macAddress="AA:BB:CC:00:00:77", nasIp=HOST)
        await stage.pay()
        await stage.until_status(paid, "completed")
        where = path.format(paid=paid, failed=failed)
        # What the router said is told: it alone adds a line, which is the same whatever stands in it.
        bones: dict[tuple[int, bool], list[tuple[str, ...]]] = {}
        for name in NAMES:
            for payload in ("plain", *PAYLOADS, *AWAY):
                status, page = await look(stage, f"{where}?{name}={quote(payload, safe='')}")
                same = bones.setdefault((status, name == "error"), Anatomy(page).bones)
                assert Anatomy(page).bones == same, (name, payload)
                assert "evil.example" not in re.sub(r"\?[^\"]*", "", page), (name, payload)


async def test_what_was_typed_comes_back_as_words(tmp_path: Path) -> None:
    """The form shows again what was typed in it, letter for letter, inside its field."""
    async with site(tmp_path, "Plain") as stage:
        _, plain = await look(stage, "/buy", {"package": "1h", "phone": "x"})
        for payload in (*PAYLOADS, *AWAY):
            form = {"package": "1h", "phone": payload, "lang": payload, "error": payload, "link-orig": payload}
            status, page = await look(stage, "/buy", form)
            assert status == 400
            assert Anatomy(page).bones == Anatomy(plain).bones, payload
        assert await stage.count("purchases") == 0


async def test_redirects_stay_on_the_site(tmp_path: Path) -> None:
    """After a purchase, and after its time is over, the browser is sent to a path of ours, whatever was asked."""
    async with site(tmp_path, "Plain") as stage:
        paid = await stage.buy()
        await stage.pay()
        await stage.until_status(paid, "completed")
        await stage.until_running()
        stage.time.move(3601)
        for number, target in enumerate(AWAY):
            query = "&".join(f"{name}={quote(target, safe='')}" for name in ("lang", "dst", "link-orig", "redirect"))
            async with stage.http.get(f"/p/{paid}?{query}", allow_redirects=False) as answer:
                assert answer.status == 303
                assert_stays(answer.headers["Location"])
            order = {
                "package": "1h",
                "phone": f"07330001{number:02}",
                "lang": target,
                "dst": target,
                "link-orig": target,
            }
            async with stage.http.post(f"/buy?{query}", data=order, allow_redirects=False) as answer:
                assert answer.status == 303
                assert re.fullmatch(r"/p/[0-9a-f]{32}\?lang=(en|sw)", answer.headers["Location"])


async def test_the_login_goes_to_the_configured_router_only(tmp_path: Path) -> None:
    """The credentials are posted to the address in the configuration; what a link names as that is not looked at."""
    async with site(tmp_path, "Plain") as stage:
        purchase_id = await stage.buy(macAddress="AA:BB:CC:00:00:77", nasIp=HOST)
        await stage.pay(PHONE)
        await stage.until_status(purchase_id, "completed")
        for said in (*AWAY, LOGIN_URL + "@evil.example", "http://10.5.50.1.evil.example/login"):
            names = ("link-login", "link-login-only", "dst", "link-orig", "action")
            query = "&".join(f"{name}={quote(said, safe='')}" for name in names)
            assert (await look(stage, f"/?mac={MAC}&{query}"))[0] == 200
            _, page = await look(stage, f"/p/{purchase_id}?{query}")
            assert [address for _, name, address in Anatomy(page).addresses if name == "action"] == [LOGIN_URL]
            assert f'name="dst" value="{stage.portal_url}/p/{purchase_id}"' in page
