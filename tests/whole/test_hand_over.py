"""From a phone's probe to the portal and back, over the pages that stand on the router, on the whole daemon."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest

from easyisp_edge.adapters.routeros.router_pages import render_router_pages
from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.web.visits import Device
from tests.whole.browsing import BrowsedStage
from tests.whole.stage import ADDRESS, MAC, OTHER_MAC, PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.lab.mikrotik import MikrotikLab, MikrotikOptions

ONLY_RADIUS = """[[router]]
id = "main"
address = "127.0.0.1"
mode = "radius"
login_url = "{{login}}"
round_seconds = 1
[router.radius]
secret = "only-good-on-loopback"
message_authenticator = "if-present"
"""
PROBES = {
    "iphone": ("captive.apple.com", "/hotspot-detect.html"),
    "android": ("connectivitycheck.gstatic.com", "/generate_204"),
    "windows": ("www.msftconnecttest.com", "/connecttest.txt"),
}


def is_played(version: str) -> bool:
    """Whether the lab takes that version."""
    try:
        CommandTree(version)
    except InvalidError:
        return False
    return True


VERSIONS = [version for version in ("6.49.18", "7.9.2", "7.18.2", "7.24") if is_played(version)]


class Page(HTMLParser):
    """A page's links, refresh and form."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.refresh = ""
        self.links: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag == "meta" and got.get("http-equiv") == "refresh":
            self.refresh = got["content"].partition("url=")[2]
        elif tag == "a":
            self.links.append(got.get("href", ""))
        elif tag == "form":
            self.forms.append((got.get("action", ""), {}))
        elif tag == "input" and self.forms and "name" in got:
            self.forms[-1][1][got["name"]] = got.get("value", "")


@dataclass
class Phone:
    """A captive sheet without scripts: follows redirects and refreshes, and is told apart by its address."""

    stage: Stage
    mac: str = MAC
    url: str = ""
    text: str = ""
    status: int = 0
    been: list[str] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return Page(self.text)

    async def probe(self, kind: str) -> None:
        """Ask what this kind of phone asks when it joins; whatever the name, the router takes it."""
        host, path = PROBES[kind]
        await self.go(f"{self.stage.router.http_url}{path}", host=host)

    async def go(self, url: str, *, host: str | None = None, data: dict[str, str] | None = None) -> None:
        """Open an address, and go wherever it leads by itself, as far as the portal."""
        for _ in range(8):
            headers = {"X-Lab-Device": self.mac} | ({"Host": host} if host else {})
            method = "GET" if data is None else "POST"
            async with self.stage.http.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                self.url, self.status, self.text = url, answer.status, await answer.text()
                self.been.append(url)
                onward = answer.headers.get("Location", "")
            is_router = url.startswith(self.stage.router.http_url)
            onward = onward or (self.page.refresh if is_router else "")
            if not onward:
                return
            url, host, data = urljoin(url, onward), None, None
        raise AssertionError(f"it goes round and round: {self.been}")


@dataclass
class HandOverStage(Stage):
    """A site whose router serves the hand-over pages out of its own files."""

    login_by: str = "http-pap"
    handed_over: bool = True

    def _router_options(self) -> MikrotikOptions:
        return replace(super()._router_options(), portal_url="", login_by=self.login_by)

    def _write_config(self) -> None:
        login = f"{self.router.http_url}/login"
        self.files = {name: text.replace("{{login}}", login) for name, text in self.files.items()}
        super()._write_config()
        if self.handed_over:
            put_pages(self.router, self.portal_url)

    @property
    def phone(self) -> Phone:
        return Phone(self)


def put_pages(router: MikrotikLab, portal_url: str) -> None:
    """What setting the router up comes to: our files in a folder, and the profile told to use it."""
    for name, text in render_router_pages(portal_url, "main").items():
        router.files.put(f"edge-pages/{name}", text)
    router.configuration.server_profiles.change("hsprof1", {"html-directory": "edge-pages"})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("login_by", ["http-pap", "http-chap", "http-chap,http-pap,cookie,mac-cookie"])
async def test_a_probe_ends_at_the_portal_and_a_purchase_online(tmp_path: Path, version: str, login_by: str) -> None:
    """A phone joins, lands on the packages as itself, pays by forms alone, and its next probe finds the internet."""
    stage = HandOverStage(tmp_path, routeros_version=version, login_by=login_by)
    async with stage:
        phone = stage.phone
        await phone.probe("android")
        assert phone.url.startswith(f"{stage.portal_url}/?router=main&mac=")
        assert parse_qs(urlsplit(phone.url).query)["ip"] == [ADDRESS]
        assert (phone.status, "1 hour" in phone.text) == (200, True)
        (offer,) = [link for link in phone.page.links if "package=1h" in link]
        device = Device.from_token(parse_qs(urlsplit(offer).query)["d"][0])
        assert (str(device.mac), device.router_id) == (MAC, "main")
        await phone.go(f"{stage.portal_url}{offer}")
        ((action, fields),) = [form for form in phone.page.forms if "phone" in form[1]]
        await phone.go(f"{stage.portal_url}{action}", data=fields | {"phone": PHONE})
        assert "Enter your PIN" in phone.text
        await stage.pay()
        await stage.until_online(seconds=5)
        await phone.probe("android")
        assert phone.status == 204
        await phone.go(f"{stage.router.http_url}/status")
        assert "You are online" in phone.text
        await phone.go(f"{stage.router.http_url}/")
        assert phone.url.startswith(stage.portal_url)
        assert "You are online" in phone.text


@pytest.mark.parametrize("kind", sorted(PROBES))
async def test_every_make_of_phone_is_handed_over(tmp_path: Path, kind: str) -> None:
    """Whatever a phone asks first, two steps later it is at the portal, which knows it."""
    async with HandOverStage(tmp_path) as stage:
        phone = stage.phone
        await phone.probe(kind)
        assert len(phone.been) == 2
        assert parse_qs(urlsplit(phone.url).query)["mac"] == [MAC]
        assert phone.status == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_router_s_form_logs_in_by_pap(tmp_path: Path, version: str) -> None:
    """Where the box cannot tell the router, the portal's form goes to the router and comes back online."""
    files = {"routers.toml": ONLY_RADIUS}
    async with HandOverStage(tmp_path, mode="radius", files=files, routeros_version=version) as stage:
        phone = stage.phone
        purchase_id = await stage.buy(nasIp="127.0.0.1")
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        await phone.go(f"{stage.portal_url}/p/{purchase_id}")
        ((action, fields),) = [form for form in phone.page.forms if "password" in form[1]]
        assert action == f"{stage.router.http_url}/login"
        assert not stage.router.is_online(MAC)
        await phone.go(action, data=fields)
        assert stage.router.is_online(MAC)
        assert [device.login_by for device in stage.router.active] == ["http-pap"]
        assert phone.url.startswith(f"{stage.portal_url}/?router=main&mac=")
        await stage.until(lambda: _says_online(phone), seconds=5, what="the portal says online")


async def _says_online(phone: Phone) -> bool:
    await phone.go(phone.url)
    return "You are online" in phone.text


async def test_a_plain_form_against_chap_comes_back_with_the_reason(tmp_path: Path) -> None:
    """A router with http-chap alone takes no plain password: the phone is back at the portal, offline and told why."""
    async with HandOverStage(tmp_path, login_by="http-chap") as stage:
        phone = stage.phone
        await phone.go(f"{stage.router.http_url}/login", data={"username": "kofi", "password": "<script>"})
        assert not stage.router.is_online(MAC)
        error = parse_qs(urlsplit(phone.url).query)["error"]
        assert error == ["web browser did not send challenge response (try again, enable JavaScript)"]
        assert (phone.status, "<script>" in phone.text) == (200, False)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_browser_that_answers_chap_is_let_on(tmp_path: Path, version: str) -> None:
    """A login page with md5.js logs in against the box's RADIUS, which never sees the password."""
    stage = HandOverStage(
        tmp_path,
        mode="radius",
        login_by="http-chap",
        files={"routers.toml": ONLY_RADIUS},
        routeros_version=version,
        handed_over=False,
    )
    async with stage:
        purchase_id = await stage.buy()
        await stage.pay()
        bought = await stage.until_status(purchase_id, "completed")
        phone = stage.phone
        await phone.go(f"{stage.router.http_url}/login")
        answer = _chap_answer(phone.text, bought["password"])
        await phone.go(f"{stage.router.http_url}/login", data={"username": bought["username"], "password": answer})
        assert [device.login_by for device in stage.router.active] == ["http-chap"]


def _chap_answer(page: str, password: str) -> str:
    found = [re.search(rf'data-chap-{name}="([^"]+)"', page) for name in ("id", "challenge")]
    ident, challenge = (bytes(int(octet, 8) for octet in one[1].split("\\")[1:]) for one in found if one)
    return hashlib.md5(ident + password.encode() + challenge).hexdigest()  # noqa: S324 - the protocol's


async def test_a_refused_login_s_error_runs_nowhere(tmp_path: Path) -> None:
    """A name made of markup, which the router puts into its error, reaches the portal encoded and comes to nothing."""
    async with HandOverStage(tmp_path) as stage:
        phone = stage.phone
        hostile = f'{OTHER_MAC}"><script>alert(1)</script>'
        await phone.go(f"{stage.router.http_url}/login", data={"username": hostile, "password": "x"})
        assert phone.url.startswith(f"{stage.portal_url}/?router=main&mac=")
        assert (phone.status, "alert(1)" in phone.text) == (200, False)


@pytest.mark.real_part("chromium")
@pytest.mark.parametrize("hostile", ['"><img src=x onerror=alert(1)>', "javascript:alert(1)", "<script>alert(1)"])
async def test_a_real_browser_runs_nothing_on_its_way(tmp_path: Path, hostile: str) -> None:
    """Chromium, led through the router's pages with hostile parameters, ends at the portal and shows no dialogue."""
    async with BrowsedStage(tmp_path) as stage, stage.customer() as customer:
        router = stage.router.http_url
        customer.other_hosts.add(router.removeprefix("http://"))
        dialogues: list[str] = []
        customer.page.on("dialog", lambda dialogue: dialogues.append(dialogue.message))
        given = dict.fromkeys(("username", "password", "dst", "popup", "target", "var", "session-id"), hostile)
        for path in ("login", "", "status", "logout"):
            await customer.goto(f"{router}/devices/{MAC}/{path}?{urlencode(given)}")
            await customer.page.wait_for_url(f"{stage.portal_url}/**")
            await customer.page.locator("a.offer").first.wait_for()
        assert dialogues == []


async def test_the_captive_api_names_the_portal(tmp_path: Path) -> None:
    """The router's api.json is valid, and leads to the portal as this device, before and after the login."""
    async with HandOverStage(tmp_path) as stage:
        phone = stage.phone
        await phone.go(f"{stage.router.http_url}/api")
        told = json.loads(phone.text)
        assert told["captive"] is True
        await phone.go(told["user-portal-url"])
        assert (phone.status, "1 hour" in phone.text) == (200, True)
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await phone.go(f"{stage.router.http_url}/api")
        told = json.loads(phone.text)
        assert told["captive"] is False
        assert 3500 < told["seconds-remaining"] <= 3600
