"""Whose page a request is for: by the address it came from, also behind HTTPS on this machine; in which language."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from easyisp_edge.services.portal.trials import TrialService
from easyisp_edge.web.app import portal_app
from easyisp_edge.web.askers import source_of
from easyisp_edge.web.visits import Device
from tests.unit.shop import MAC, open_books
from tests.unit.web.counter import TEXTS, open_portal
from tests.unit.web.test_requests import FILES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web
    from aiohttp.test_utils import TestClient
    from pytest_aiohttp.plugin import AiohttpClient

    from easyisp_edge.services.money.settlement import SettlementService

    Client = TestClient[web.Request, web.Application]


@pytest.fixture(name="client")
async def _client(tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[Client]:
    """A site of two tenants, a router each; of one the devices' network is known."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    async with open_books(tmp_path) as books:
        portal = open_portal(books, tmp_path)
        no_trials = TrialService(cast("SettlementService", None), portal.site)  # which asks for none of it
        yield await aiohttp_client(portal_app(replace(portal, trials=no_trials)))


async def page(client: Client, path: str, source: str | None = None) -> str:
    headers = {} if source is None else {"X-Forwarded-For": source}
    async with client.get(path, headers=headers) as answer:
        return await answer.text()


async def test_behind_a_proxy_on_this_machine_the_device_counts(client: Client) -> None:
    """Its address tells its router and tenant, whatever its link claims; the same link of another device is another."""
    of_west = f"/?d={Device(MAC, 'b').token}"
    assert Device(MAC, "a").token in await page(client, of_west, "10.1.0.7")
    assert Device(MAC, "b").token in await page(client, of_west, "192.0.2.9")
    assert Device(MAC, "a").token in await page(client, of_west, "198.51.100.1, 10.1.0.8")
    assert "East" in await page(client, of_west, "::ffff:10.1.0.9")


async def test_a_form_is_told_by_its_address_too(client: Client) -> None:
    """What it says of its router is outweighed as it is on a page."""
    form = {"d": Device(MAC, "b").token, "package": "none"}
    async with client.post("/buy", data=form, headers={"X-Forwarded-For": "10.1.0.7"}) as answer:
        assert answer.status == 404
        assert "East" in await answer.text()


@pytest.mark.parametrize("odd", ["", "unknown", "10.1.0.7:4711, _hidden", "10.1.0"])
async def test_an_odd_header_is_passed_over(client: Client, odd: str) -> None:
    """The page comes as it would without."""
    assert Device(MAC, "b").token in await page(client, f"/?d={Device(MAC, 'b').token}", odd)


def test_nobody_else_is_believed() -> None:
    """A device that sends the header itself is told by where it is."""
    for remote, expected in (("10.5.50.9", "10.5.50.9"), ("::ffff:127.0.0.1", "10.1.0.7"), ("127.0.0.1", "10.1.0.7")):
        request = make_mocked_request("GET", "/", {"X-Forwarded-For": "10.1.0.7"}).clone(remote=remote)
        assert source_of(request) == expected


@pytest.mark.parametrize(("language", "said"), [("sw", "Hatukuweza kutambua kifaa hiki"), ("en", "We could not tell")])
async def test_a_page_that_cannot_be_told_is_answered_in_its_language(client: Client, language: str, said: str) -> None:
    """An address that is none, or a damaged link: the language it names is read all the same."""
    assert said in await page(client, f"/?mac=x&lang={language}")
    title = TEXTS.get(language, "error.bad_title")
    assert title in await page(client, f"/?d=x&lang={language}")


@pytest.mark.parametrize("language", ["sw", "en"])
async def test_a_form_that_cannot_be_told_is_answered_in_its_language(client: Client, language: str) -> None:
    """Its language stands in the form, not in the address."""
    form = {"d": "x", "lang": language, "package": "1h"}
    for path in ("/buy", "/find", "/off", "/voucher", "/here"):
        async with client.post(path, data=form) as answer:
            assert answer.status == 400
            assert f'lang="{language}"' in (await answer.text()).partition("<head>")[0]
