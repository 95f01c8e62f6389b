"""What another site's page has a browser send changes nothing; our own forms, and old web views, go on working."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import make_mocked_request

from easyisp_edge.web.app import portal_app
from easyisp_edge.web.origins import is_by_page_of
from tests.unit.shop import open_books
from tests.unit.web.counter import open_portal

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_aiohttp.plugin import AiohttpClient

# What others than our own pages may post, by the contract: the hotspot's own pages on the router, and M-Pesa.
FOR_OTHERS = {
    "/api/portal/mpesa/initiate",
    "/api/portal/mpesa/callback",
    "/api/portal/mpesa/verify-sms",
    "/api/portal/login",
    "/api/portal/logout",
    "/api/portal/voucher",
}
ROUTERS = """[[router]]
id = "main"
address = "10.0.0.1"
mode = "hotspot-user"
login_url = "http://10.5.50.1/login"
api = { tls = false, username = "u", password = "p" }
[router.setup]
interface = "bridge"
box_address = "10.0.0.2"
portal_url = "https://wifi.example"
"""
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://10.5.50.2.evil.example"},
    {"Origin": "http://10.5.50.2:1"},
    {"Origin": "http://[bad"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "odd"},
]
OUR_OWN: list[dict[str, str]] = [
    {},  # an old web view
    {"Origin": "http://10.5.50.2"},
    {"Origin": "HTTP://10.5.50.2:80"},
    {"Origin": "https://10.5.50.2"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://wifi.example"},  # its proxy calls the portal otherwise
]


def by_page(headers: dict[str, str], host: str = "10.5.50.2") -> bool:
    request = make_mocked_request("POST", "/off", {"Host": host, **headers})
    return is_by_page_of(request, ["https://wifi.example/", None])


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_sites_page_is_told_apart(headers: dict[str, str]) -> None:
    """By what the browser says of it, which no page can forge."""
    assert not by_page(headers)


@pytest.mark.parametrize("headers", OUR_OWN, ids=str)
def test_our_own_pages_and_silent_browsers_are_not_kept_out(headers: dict[str, str]) -> None:
    """Also under the address the owner gave, and with the usual port written out."""
    assert by_page(headers)


def test_no_host_is_nobodys() -> None:
    """A request that names none does not make an origin without one its own."""
    assert not by_page({"Origin": "null"}, host="")


async def test_every_form_refuses_another_sites_page(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    """Every POST route there is, but for those that others may use by the contract; in the customer's language."""
    (tmp_path / "edge.toml").write_text("development = true\n")
    (tmp_path / "routers.toml").write_text(ROUTERS)
    async with open_books(tmp_path) as books:
        app = portal_app(open_portal(books, tmp_path))
        paths = {
            route.resource.canonical
            for route in app.router.routes()
            if route.method not in {"GET", "HEAD", "OPTIONS"} and route.resource is not None
        }
        client = await aiohttp_client(app)
        refused: set[str] = set()
        done: set[str] = set()
        for path in paths:
            answers = []
            for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
                async with client.post(f"{path}?lang=sw", headers=headers) as answer:
                    answers.append("tovuti nyingine" in await answer.text())
                    assert not answers[-1] or answer.status == 422
            (refused if answers == [True, True, False] else done).add(path)
            assert answers in ([True, True, False], [False] * 3), path
        assert done == FOR_OTHERS
        assert {"/off", "/on", "/pause", "/buy", "/voucher", "/here", "/find", "/problem", "/switch"} <= refused


async def test_a_proxy_may_say_what_the_portal_is_called(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    """The one on this machine, which serves HTTPS in front of the portal."""
    async with open_books(tmp_path) as books:
        client = await aiohttp_client(portal_app(open_portal(books, tmp_path)))
        for host, refused in (("portal.example", False), ("other.example", True)):
            headers = {"Origin": "https://portal.example", "X-Forwarded-Host": host}
            async with client.post("/off", headers=headers) as answer:
                assert ("Another site" in await answer.text()) is refused
