from __future__ import annotations

import asyncio
import hashlib
import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest

from easyisp_edge.lab.mikrotik import MikrotikOptions
from tests.fakes.mikrotik_stage import (
    IP,
    MAC,
    OTHER_MAC,
    RadiusAuthority,
    Stage,
    mikrotik_stage,
    radius_options,
)

PORTAL = MikrotikOptions(portal_url="http://10.5.50.2:8080/start?router=east")
STOCK = MikrotikOptions(portal_url="")
PROBE = "captive.apple.com"
NO_CHAP = "web browser did not send challenge response (try again, enable JavaScript)"


@dataclass(frozen=True)
class Answer:
    """What the servlet answered."""

    status: int
    text: str
    version: tuple[int, int]
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def refresh(self) -> str:
        found = re.search(r'http-equiv="refresh" content="\d+;url=([^"]*)"', self.text)
        return found[1].replace("&amp;", "&") if found else ""


async def ask(
    stage: Stage,
    path: str,
    method: str = "GET",
    *,
    mac: str = MAC,
    host: str | None = None,
    data: dict[str, str] | None = None,
) -> Answer:
    headers = {"X-Lab-Device": mac} | ({"Host": host} if host else {})
    url = path if path.startswith("http") else f"{stage.router.http_url}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, data=data, allow_redirects=False) as response,
    ):
        version = response.version
        assert version is not None
        return Answer(
            response.status,
            await response.text(),
            (version.major, version.minor),
            dict(response.headers),
            str(response.url),
        )


def add_kofi(stage: Stage, **fields: str) -> None:
    stage.router.connect_device(MAC, IP)
    stage.router.configuration.users.add({"name": "kofi", "password": "7731", **fields})


def set_profile(stage: Stage, **fields: str) -> None:
    stage.router.configuration.server_profiles.change(
        "hsprof1", {name.replace("_", "-"): value for name, value in fields.items()}
    )


def put_files(stage: Stage, files: dict[str, str]) -> None:
    for path, text in files.items():
        stage.router.files.put(path, text)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def chap_password(page: str, password: str) -> str:
    """What md5.js would make of the challenge on the page."""
    ident, challenge = (
        bytes(int(octet, 8) for octet in found[1].split("\\")[1:])
        for name in ("id", "challenge")
        if (found := re.search(rf'data-chap-{name}="([^"]+)"', page))
    )
    assert (len(ident), len(challenge)) == (1, 16)
    return hashlib.md5(ident + password.encode() + challenge).hexdigest()  # noqa: S324 - the protocol's


def login(word: str = "7731", **more: str) -> dict[str, str]:
    return {"username": "kofi", "password": word, **more}


async def test_a_probe_is_sent_to_the_portal() -> None:
    """A device that is not in and asks any other host gets the portal's address with all the hand-over says."""
    async with mikrotik_stage(PORTAL) as stage:
        add_kofi(stage)
        answer = await ask(stage, "/hotspot-detect.html?x=1", host=PROBE)
        assert (answer.status, answer.version) == (302, (1, 0))
        assert answer.location.startswith("http://10.5.50.2:8080/start/?router=east&mac=")
        assert query(answer.location) == {
            "router": "east",
            "mac": MAC,
            "ip": IP,
            "link-orig": f"http://{PROBE}/hotspot-detect.html?x=1",
        }
        assert answer.refresh == answer.location


async def test_the_factory_s_pages_lead_to_the_form() -> None:
    """Without hand-over pages the probe goes to the router's own login page, which holds the form."""
    async with mikrotik_stage(STOCK) as stage:
        add_kofi(stage)
        answer = await ask(stage, "/generate_204", host=PROBE)
        assert answer.status == 302
        assert query(answer.location) == {"dst": f"http://{PROBE}/generate_204"}
        page = (await ask(stage, answer.location)).text
        assert f'<form action="{stage.router.http_url}/devices/{MAC}/login"' in page
        assert f'name="dst" value="http://{PROBE}/generate_204"' in page
        assert stage.router.portal_link(MAC).endswith(f"/devices/{MAC}/login")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pap_logs_in_and_goes_on(method: str) -> None:
    """Name and password, by form or by link, put the device online; the page after it leads to the portal."""
    async with mikrotik_stage(PORTAL) as stage:
        add_kofi(stage)
        if method == "POST":
            answer = await ask(stage, "/login", "POST", data=login(dst="http://example.com/"))
        else:
            answer = await ask(stage, "/login?username=kofi&password=7731")
        assert answer.status == 200
        assert "You are online" in answer.text
        assert answer.refresh == f"http://10.5.50.2:8080/start/?router=east&mac={quote(MAC, safe='')}&ip={IP}"
        assert [session.login_by for session in stage.router.active] == ["http-pap"]
        assert (await ask(stage, "/hotspot-detect.html", host=PROBE)).text == "You are online.\n"
        assert (await ask(stage, "/generate_204", host=PROBE)).status == 204


@pytest.mark.parametrize("login_by", ["http-chap", "http-chap,http-pap"])
async def test_chap_logs_in_without_telling_the_password(login_by: str) -> None:
    """The md5 over identifier, password and challenge logs in, and one over a wrong password does not."""
    async with mikrotik_stage(MikrotikOptions(portal_url="", login_by=login_by)) as stage:
        add_kofi(stage)
        page = (await ask(stage, "/login")).text
        wrong = await ask(stage, "/login", "POST", data=login(chap_password(page, "7732")))
        assert "invalid username or password" in wrong.text
        answer = await ask(stage, "/login", "POST", data=login(chap_password(wrong.text, "7731")))
        assert "logged in as kofi" in answer.text
        assert [session.login_by for session in stage.router.active] == ["http-chap"]


async def test_a_challenge_dies_after_an_hour() -> None:
    """An answer to a challenge that is more than an hour old is none; nor is an answer before any challenge."""
    async with mikrotik_stage(MikrotikOptions(portal_url="", login_by="http-chap")) as stage:
        add_kofi(stage)
        assert NO_CHAP in (await ask(stage, "/login", "POST", data=login("0" * 32))).text
        page = (await ask(stage, "/login")).text
        await stage.clock.advance(3601)
        answer = await ask(stage, "/login", "POST", data=login(chap_password(page, "7731")))
        assert NO_CHAP in answer.text
        assert not stage.router.is_online(MAC)


async def test_chap_reaches_radius_as_the_browser_answered() -> None:
    """The RADIUS server gets the browser's challenge and answer, never the password."""
    async with RadiusAuthority() as authority:
        options = radius_options(authority.as_server(), portal_url="", login_by="http-chap,cookie")
        async with mikrotik_stage(options) as stage:
            stage.router.connect_device(MAC, IP)
            page = (await ask(stage, "/login")).text
            await ask(stage, "/login", "POST", data=login(chap_password(page, "7731")))
            assert stage.router.is_online(MAC)
            (request,) = authority.logins
            assert request.VerifyChapPasswd("7731")
            assert "User-Password" not in request
            await ask(stage, "/logout")
            await ask(stage, "/", host=PROBE)
            assert [session.login_by for session in stage.router.active] == ["cookie"]
            assert authority.logins[1].VerifyChapPasswd("7731")


@pytest.mark.parametrize(("login_by", "error"), [("http-pap", "invalid username or password"), ("http-chap", NO_CHAP)])
async def test_a_refused_login_goes_back_with_the_error(login_by: str, error: str) -> None:
    """The portal is told in `error` why the login failed, and nothing of it stands bare in the page."""
    async with mikrotik_stage(MikrotikOptions(login_by=login_by)) as stage:
        add_kofi(stage)
        answer = await ask(stage, "/login", "POST", data=login("x"))
        assert (answer.status, query(answer.refresh)["error"]) == (200, error)
        assert not stage.router.is_online(MAC)


async def test_trouble_shows_the_error_page() -> None:
    """A fatal error is told by error.html, in the owner's words for it, with the hotspot's own beside them."""
    async with mikrotik_stage(STOCK) as stage:
        add_kofi(stage)
        stage.router.hotspot.trouble = "configuration error (no such pool)"
        answer = await ask(stage, "/login", "POST", data=login())
        assert "Hotspot error: configuration error (no such pool)" in answer.text
        stage.router.hotspot.trouble = None
        assert "logged in as kofi" in (await ask(stage, "/login", "POST", data=login())).text


@pytest.mark.parametrize(
    ("version", "dst", "goes_to"),
    [
        ("7.20.8", "http://example.com/a", "http://example.com/a"),
        ("7.20.8", "javascript:alert(1)", "/status"),
        ("7.20.8", "//evil.example/", "/status"),
        ("7.18.2", "javascript:alert(1)", "javascript:alert(1)"),
    ],
)
async def test_where_a_login_goes(version: str, dst: str, goes_to: str) -> None:
    """Since 7.19.2 only a web address is followed as dst; before, whatever was given."""
    async with mikrotik_stage(MikrotikOptions(version=version, portal_url="")) as stage:
        add_kofi(stage)
        answer = await ask(stage, "/login", "POST", data=login(dst=dst))
        target = answer.text.partition('content="2;url=')[2].partition('"')[0]
        assert target.removeprefix(f"{stage.router.http_url}/devices/{MAC}") == goes_to


@pytest.mark.parametrize(
    ("path", "logged_in", "expected"),
    [
        ("/", False, "LOCATION /login"),
        ("/", True, "LOCATION /status"),
        ("/login", False, '<form action="'),
        ("/login", True, "You are logged in as kofi. "),
        ("/status", False, "LOCATION /login"),
        ("/status", True, "time left 1h"),
        ("/logout", False, "LOCATION /login"),
        ("/logout", True, "You have just logged out."),
        ("/api", False, '"captive": true'),
        ("/api", True, '"captive": false'),
        ("/nowhere.html", False, "Error 404"),
        ("/nowhere.html", True, "Error 404"),
    ],
)
async def test_each_address_has_its_page(path: str, expected: str, *, logged_in: bool) -> None:
    """The factory's pages, asked for by a device that is in and by one that is not."""
    async with mikrotik_stage(STOCK) as stage:
        add_kofi(stage, **{"limit-uptime": "1h"})
        if logged_in:
            await stage.router.log_in(MAC, "kofi", "7731")
        answer = await ask(stage, path)
        own = f"{stage.router.http_url}/devices/{MAC}"
        said = f"LOCATION {answer.location.removeprefix(own)}" if answer.status == 302 else answer.text
        assert expected in said


SPARE_PAGES = ("rlogin", "flogin", "alogin", "fstatus", "rstatus", "flogout", "login", "status", "logout", "redirect")


@pytest.mark.parametrize(
    ("path", "logged_in", "page"),
    [
        ("/", False, "rlogin"),
        ("/", True, "rstatus"),
        ("/login", False, "login"),
        ("/login?username=kofi&password=x", False, "flogin"),
        ("/login?username=kofi&password=7731", False, "alogin"),
        ("/status", False, "fstatus"),
        ("/status", True, "status"),
        ("/logout", False, "flogout"),
        ("/logout", True, "logout"),
        ("/redirect.html", False, "redirect"),
    ],
)
async def test_the_router_s_own_files_come_first(path: str, page: str, *, logged_in: bool) -> None:
    """A folder among the router's files holds as soon as a login.html stands there, each page for its moment."""
    files = {f"edge-1/{name}.html": f"this is {name} of $(mac)" for name in SPARE_PAGES}
    async with mikrotik_stage(STOCK) as stage:
        put_files(stage, files)
        add_kofi(stage)
        assert "this is" not in (await ask(stage, "/login")).text
        set_profile(stage, html_directory="edge-1")
        if logged_in:
            await stage.router.log_in(MAC, "kofi", "7731")
        assert (await ask(stage, path)).text == f"this is {page} of {MAC}"
        set_profile(stage, html_directory="edge-2")
        assert "this is" not in (await ask(stage, "/login")).text
        set_profile(stage, html_directory_override="edge-1")
        assert "this is" in (await ask(stage, "/login")).text


async def test_versions_of_the_pages() -> None:
    """A folder within the folder holds another version; what it lacks comes from above, and links stay within it."""
    files = {
        "own/login.html": "main $(link-status)",
        "own/lv/login.html": "lv $(link-status)",
        "own/status.html": "status $(ip)",
        "own/errors.txt": "# ours\ninvalid-username = $(username): wrong ($(error-orig))\n",
        "own/flogin.html": "$(error)|$(error-orig)|$(error-type)",
        "own/portal.css": "body{content:'$(mac)'}",
    }
    async with mikrotik_stage(STOCK) as stage:
        put_files(stage, files)
        set_profile(stage, html_directory="own")
        add_kofi(stage)
        link = f"{stage.router.http_url}/devices/{MAC}"
        assert (await ask(stage, "/login")).text == f"main {link}/status"
        assert (await ask(stage, "/lv/login")).text == f"lv {link}/lv/status"
        assert (await ask(stage, "/login?target=lv")).text == f"lv {link}/lv/status"
        assert (await ask(stage, "/lv/status.html")).text == f"status {IP}"
        refused = (await ask(stage, "/login?username=kofi&password=x")).text
        original = "invalid username or password"
        assert refused == f"kofi: wrong ({original})|{original}|invalid-username"
        css = await ask(stage, "/portal.css")
        assert (css.text, css.headers["Content-Type"]) == ("body{content:'$(mac)'}", "text/css")


async def test_a_request_must_name_a_device_that_is_there() -> None:
    """Without a device, or with one the router does not see, there is nothing to say."""
    async with mikrotik_stage() as stage:
        assert (await ask(stage, "/login", mac="")).status == 404
        assert (await ask(stage, "/login")).status == 404
        assert (await ask(stage, "/devices/nonsense", mac="")).status == 404
        stage.router.connect_device(MAC, IP)
        for path in (f"/login?device={MAC}", f"/devices/{MAC}/login"):
            assert (await ask(stage, path, mac="")).status == 200


async def test_a_browser_becomes_a_device() -> None:
    """Visiting the device's page goes to the portal, and the browser stays that device."""
    async with mikrotik_stage() as stage, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        add_kofi(stage)
        async with browser.get(f"{stage.router.http_url}/devices/{MAC}", allow_redirects=False) as response:
            assert response.headers["Location"] == stage.router.portal_link(MAC)
        async with browser.post(f"{stage.router.http_url}/login", data=login()) as response:
            assert "You are online" in await response.text()


async def test_a_cookie_brings_the_browser_back_until_it_is_erased() -> None:
    """With `cookie` in login-by the next request logs in again; logging out with erase-cookie ends that."""
    async with mikrotik_stage(MikrotikOptions(login_by="cookie,http-pap")) as stage:
        add_kofi(stage)
        await ask(stage, "/login?username=kofi&password=7731")
        assert (await ask(stage, "/logout")).status == 200
        assert not stage.router.is_online(MAC)
        back = await ask(stage, "/page", host=PROBE)
        assert (back.status, back.location) == (302, f"http://{PROBE}/page")
        assert [session.login_by for session in stage.router.active] == ["cookie"]
        await ask(stage, "/logout?erase-cookie=on")
        assert "mac=" in (await ask(stage, "/page", host=PROBE)).location
        assert (await ask(stage, "/logout")).status == 302


async def test_a_cookie_that_no_longer_logs_in_is_forgotten() -> None:
    """When the user is gone, its cookie fails once and is not there any more."""
    async with mikrotik_stage(MikrotikOptions(login_by="cookie,http-pap")) as stage:
        add_kofi(stage)
        await ask(stage, "/login?username=kofi&password=7731")
        await ask(stage, "/logout")
        stage.router.configuration.users.remove("kofi")
        assert (await ask(stage, "/login")).status == 200
        assert not stage.router.is_online(MAC)
        assert stage.router.hotspot.cookies.all(stage.clock.monotonic()) == []


async def test_a_trial_lasts_as_long_as_the_profile_says() -> None:
    """A trial needs no user, is counted by MAC over sessions, and is given anew after its span."""
    async with mikrotik_stage(MikrotikOptions(portal_url="", login_by="http-pap,trial")) as stage:
        set_profile(stage, trial_uptime_limit="30m", trial_uptime_reset="1d")
        stage.router.connect_device(MAC, IP)
        trial = f"/login?username=T-{MAC}"
        assert "Try it" in (await ask(stage, "/login")).text
        assert f"logged in as T-{MAC}" in (await ask(stage, trial)).text
        assert [session.login_by for session in stage.router.active] == ["trial"]
        await stage.clock.advance(1200)
        await ask(stage, "/logout")
        await ask(stage, trial)
        assert stage.router.active[0].time_left_seconds == 600
        await stage.clock.advance(601)
        assert not stage.router.is_online(MAC)
        refused = (await ask(stage, trial)).text
        assert f"user T-{MAC} has reached uptime limit" in refused
        assert "Try it" not in refused
        await stage.clock.advance(86400)
        assert "logged in as" in (await ask(stage, trial)).text
        stage.router.connect_device(OTHER_MAC, "10.5.50.11")
        assert "T-" not in (await ask(stage, f"/login?username=T-{MAC}", mac=OTHER_MAC)).location
        assert not stage.router.is_online(OTHER_MAC)


@pytest.mark.parametrize("portal_url", ["", "http://10.5.50.2:8080/"])
async def test_the_captive_api_tells_what_is_left(portal_url: str) -> None:
    """`/api` says captive or not, and the seconds and bytes that remain, in valid JSON throughout."""
    async with mikrotik_stage(MikrotikOptions(portal_url=portal_url)) as stage:
        add_kofi(stage, **{"limit-uptime": "1h", "limit-bytes-total": "5000"})
        stage.router.configuration.users.add({"name": "ama", "password": "1", "limit-bytes-in": "5000"})
        answer = await ask(stage, "/api")
        assert answer.headers["Content-Type"] == "application/captive+json"
        told = json.loads(answer.text)
        assert (told.pop("captive"), told.pop("can-extend-session"), list(told)) == (True, True, ["user-portal-url"])
        await stage.router.log_in(MAC, "kofi", "7731")
        stage.router.traffic(MAC, 1000, 0)
        told = json.loads((await ask(stage, "/api")).text)
        assert (told["captive"], told["seconds-remaining"], told["bytes-remaining"]) == (False, 3600, 4000)
        await ask(stage, "/logout")
        await stage.router.log_in(MAC, "ama", "1")
        told = json.loads((await ask(stage, "/api")).text)
        assert (told["captive"], "seconds-remaining" in told, "bytes-remaining" in told) == (False, False, False)


async def test_the_captive_api_is_no_older_than_7_3() -> None:
    """No lab version of 7 is that old; version 6 is, where the lab plays it, and a bypassed device is not captive."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        stage.router.configuration.ip_bindings.add({"mac-address": MAC, "type": "bypassed"})
        assert json.loads((await ask(stage, "/api")).text)["captive"] is False
        stage.router._servlet._rules = type(stage.router._servlet._rules).of((6, 49, 18))
        assert (await ask(stage, "/api")).status == 404


async def test_the_walled_garden_and_a_blocked_device() -> None:
    """What the garden lets through is not sent to the portal; a blocked device gets no answer at all."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        stage.router.configuration.walled_garden.add({"dst-host": "*.example.com"})
        assert (await ask(stage, "/", host="pay.example.com")).text == "You are online.\n"
        assert (await ask(stage, "/", host="example.org")).status == 302
        stage.router.configuration.ip_bindings.add({"mac-address": MAC, "type": "blocked"})
        with pytest.raises(aiohttp.ClientError):
            await ask(stage, "/", host="example.org")


async def test_a_router_that_is_down_serves_no_page() -> None:
    """During a reboot the servlet is as silent as the API."""
    async with mikrotik_stage() as stage:
        add_kofi(stage)
        await stage.router.reboot()
        with pytest.raises(aiohttp.ClientError):
            await ask(stage, "/login")


async def test_posting_twice_at_once_starts_one_session() -> None:
    """The second post of a login that waits for RADIUS is told to retry later."""
    async with RadiusAuthority(mute=1) as authority:
        options = radius_options(authority.as_server(timeout_seconds=1.0), portal_url="")
        async with mikrotik_stage(options) as stage:
            stage.router.connect_device(MAC, IP)
            first = asyncio.ensure_future(ask(stage, "/login", "POST", data=login()))
            await authority.heard(1)
            assert "already authorizing" in (await ask(stage, "/login", "POST", data=login())).text
            await stage.clock.advance(1.5)
            await first
            assert len(stage.router.active) == 1
