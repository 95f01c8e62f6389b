from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from easyisp_edge.lab.mikrotik import MikrotikOptions
from tests.fakes.mikrotik_stage import IP, MAC, Stage, mikrotik_stage

PORTAL = MikrotikOptions(portal_url="http://10.5.50.2:8080/start?site=1")
AS_DEVICE = {"X-Lab-Device": MAC}


def add_kofi(stage: Stage) -> None:
    stage.router.connect_device(MAC, IP)
    stage.router.configuration.users.add({"name": "kofi", "password": "7731"})


async def ask(
    url: str, method: str = "GET", *, headers: dict[str, str] | None = None, data: dict[str, str] | None = None
) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, data=data, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Location", ""), await response.text()


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_a_plain_request_is_sent_to_the_portal() -> None:
    """A device that is not in gets the portal's address with all that the hand-over says."""
    async with mikrotik_stage(PORTAL) as stage:
        add_kofi(stage)
        status, location, _ = await ask(f"{stage.router.http_url}/generate_204?x=1", headers=AS_DEVICE)
        assert status == 302
        assert location.startswith("http://10.5.50.2:8080/start?site=1&mac=")
        said = query(location)
        assert (said["mac"], said["ip"], said["server-name"]) == (MAC, IP, "hotspot1")
        assert said["link-orig"] == f"{stage.router.http_url}/generate_204?x=1"
        assert said["link-login-only"].startswith(f"{stage.router.http_url}/login?device=")
        assert "error" not in said


async def test_the_form_logs_the_device_in() -> None:
    """Posting name and password to link-login-only puts that device online and sends it to dst."""
    async with mikrotik_stage() as stage:
        add_kofi(stage)
        link = query(stage.router.portal_link(MAC))["link-login-only"]
        form = {"username": "kofi", "password": "7731", "dst": "http://example.com/"}
        assert (await ask(link, "POST", data=form))[:2] == (302, "http://example.com/")
        assert [session.login_by for session in stage.router.active] == ["http-pap"]
        assert (await ask(f"{stage.router.http_url}/x", headers=AS_DEVICE))[0] == 200
        text = (await ask(f"{stage.router.http_url}/status", headers=AS_DEVICE))[2]
        assert "logged in as kofi" in text


async def test_a_login_by_link_works_too() -> None:
    """The servlet takes name and password from the query; a script as dst is not followed."""
    async with mikrotik_stage() as stage:
        add_kofi(stage)
        link = f"{stage.router.http_url}/login?device={MAC}&username=kofi&password=7731&dst=javascript:x"
        _, location, _ = await ask(link)
        assert urlsplit(location).path == "/status"
        assert stage.router.is_online(MAC)


@pytest.mark.parametrize(
    ("login_by", "error"),
    [
        ("http-pap", "invalid username or password"),
        ("http-chap", "web browser did not send challenge response (try again, enable JavaScript)"),
    ],
)
async def test_a_refused_login_goes_back_with_the_error(login_by: str, error: str) -> None:
    """The portal is told in `error` why the login failed."""
    async with mikrotik_stage(MikrotikOptions(login_by=login_by)) as stage:
        add_kofi(stage)
        link = query(stage.router.portal_link(MAC))["link-login-only"]
        status, location, _ = await ask(link, "POST", data={"username": "kofi", "password": "x"})
        assert (status, query(location)["error"]) == (302, error)
        assert not stage.router.is_online(MAC)


async def test_a_request_must_name_a_device_that_is_there() -> None:
    """Without a device, or with one the router does not see, there is nothing to say."""
    async with mikrotik_stage() as stage:
        assert (await ask(f"{stage.router.http_url}/login"))[0] == 404
        assert (await ask(f"{stage.router.http_url}/login?device={MAC}"))[0] == 404
        assert (await ask(f"{stage.router.http_url}/devices/nonsense"))[0] == 404


async def test_a_browser_becomes_a_device() -> None:
    """Visiting the device's page goes to the portal, and the browser stays that device."""
    async with mikrotik_stage() as stage, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        add_kofi(stage)
        async with browser.get(f"{stage.router.http_url}/devices/{MAC}", allow_redirects=False) as response:
            assert response.headers["Location"] == stage.router.portal_link(MAC)
        form = {"username": "kofi", "password": "7731"}
        async with browser.post(f"{stage.router.http_url}/login", data=form) as response:
            assert "logged in as kofi" in await response.text()


async def test_a_cookie_brings_the_browser_back_until_it_is_erased() -> None:
    """With `cookie` in login-by the next request logs in again; logging out with erase-cookie ends that."""
    async with mikrotik_stage(MikrotikOptions(login_by="cookie,http-pap")) as stage:
        add_kofi(stage)
        url = stage.router.http_url
        await ask(f"{url}/login?device={MAC}&username=kofi&password=7731")
        assert (await ask(f"{url}/logout", headers=AS_DEVICE))[0] == 200
        assert not stage.router.is_online(MAC)
        assert (await ask(f"{url}/page", headers=AS_DEVICE))[0] == 200
        assert [session.login_by for session in stage.router.active] == ["cookie"]
        await ask(f"{url}/logout?erase-cookie=on", headers=AS_DEVICE)
        assert (await ask(f"{url}/page", headers=AS_DEVICE))[0] == 302
        assert (await ask(f"{url}/logout", headers=AS_DEVICE))[0] == 302


async def test_the_captive_api_tells_what_is_left() -> None:
    """`/api` says captive or not, and the seconds and bytes that remain."""
    async with mikrotik_stage() as stage, aiohttp.ClientSession(headers=AS_DEVICE) as session:
        add_kofi(stage)
        users = stage.router.configuration.users
        users.change("kofi", {"limit-uptime": "1h", "limit-bytes-total": "5000"})
        async with session.get(f"{stage.router.http_url}/api") as response:
            assert response.content_type == "application/captive+json"
            assert (await response.json(content_type=None))["captive"] is True
        await stage.router.log_in(MAC, "kofi", "7731")
        stage.router.traffic(MAC, 1000, 0)
        async with session.get(f"{stage.router.http_url}/api") as response:
            told = await response.json(content_type=None)
        assert (told["captive"], told["seconds-remaining"], told["bytes-remaining"]) == (False, 3600, 4000)


async def test_a_router_that_is_down_serves_no_page() -> None:
    """During a reboot the servlet is as silent as the API."""
    async with mikrotik_stage() as stage:
        add_kofi(stage)
        await stage.router.reboot()
        with pytest.raises(aiohttp.ClientError):
            await ask(f"{stage.router.http_url}/login", headers=AS_DEVICE)
