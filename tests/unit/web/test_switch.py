"""A device with several packages: its page, and the form that begins another one at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.web.errors import answer_errors
from easyisp_edge.web.portal_pages import PortalPages
from easyisp_edge.web.standing_pages import SwitchPages
from easyisp_edge.web.visits import Device
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, Books, add_grant, open_books
from tests.unit.web.counter import open_portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp.test_utils import TestClient
    from pytest_aiohttp.plugin import AiohttpClient

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package

DAY = replace(HOUR, package_id="1d", name="1 day", duration=timedelta(days=1))
NIGHTS = replace(HOUR, package_id="n", name="Night owl", schedule=Schedule.parse("22:00-06:00"))
TOKEN, OTHER_TOKEN = Device(MAC, None).token, Device(OTHER_MAC, None).token


@dataclass(frozen=True)
class Door:
    """The customers' door over open books, and who is online."""

    books: Books
    presence: Presence
    client: TestClient[web.Request, web.Application]

    async def buy(self, package: Package, number: int) -> Grant:
        return await self.books.store.write(lambda tx: add_grant(tx, package, number=number))

    async def go_online(self, grant: Grant) -> None:
        await self.books.store.write(lambda tx: tx.grants.update(grant.started(self.books.now())))
        self.presence.came(ROUTER, grant.username)

    async def page(self, token: str = TOKEN, language: str = "en") -> str:
        async with self.client.get("/", params={"d": token, "lang": language}) as answer:
            assert answer.status == 200
            return await answer.text()

    async def post(self, **fields: str) -> tuple[int, str]:
        async with self.client.post("/switch", data=fields, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()

    def state(self, grant: Grant) -> GrantState:
        found = self.books.store.read.grants.by_id(grant.grant_id)
        assert found is not None
        return found.state


@pytest.fixture
async def door(tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[Door]:
    async with open_books(tmp_path) as books:
        presence = Presence()
        portal = open_portal(books, tmp_path, presence)
        pages = PortalPages(portal)
        app = web.Application(middlewares=[answer_errors(pages.error)])
        app.add_routes(pages.routes() + SwitchPages(portal).routes())
        yield Door(books, presence, await aiohttp_client(app))


def turns(page: str) -> list[str]:
    return re.findall(r'name="turn" value="([^"]*)"', page)


async def test_the_other_package_begins_at_once(door: Door) -> None:
    """One press: the other one runs, the one in use is set aside, and the page shows them the other way round."""
    hour, day = await door.buy(HOUR, 1), await door.buy(DAY, 2)
    await door.go_online(hour)
    door.books.time.advance(600)
    page = await door.page()
    assert "50 min" in page
    (turn,) = turns(page)
    assert re.search(r"After this.*1 day.*Start it now", page, re.DOTALL)
    assert await door.post(d=TOKEN, lang="sw", turn=turn) == (303, f"/?d={TOKEN}&lang=sw")
    assert (door.state(hour), door.state(day)) == (GrantState.PAUSED, GrantState.RUNNING)
    after = await door.page()
    assert re.search(r"Time left.*1 day.*After this.*1 hour.*50 min left", after, re.DOTALL)
    assert turns(after) != [turn]


async def test_pressed_twice_is_pressed_once(door: Door) -> None:
    """The second press finds it running, and leads to the same page."""
    hour, day = await door.buy(HOUR, 1), await door.buy(DAY, 2)
    await door.go_online(hour)
    (turn,) = turns(await door.page())
    answers = [await door.post(d=TOKEN, lang="en", turn=turn) for _ in range(2)]
    assert answers == [(303, f"/?d={TOKEN}&lang=en")] * 2
    assert (door.state(hour), door.state(day)) == (GrantState.PAUSED, GrantState.RUNNING)


async def test_what_is_shut_has_no_button(door: Door) -> None:
    """It says when it works; who asks for it all the same is refused in words, in the form's language."""
    day, nights = await door.buy(DAY, 1), await door.buy(NIGHTS, 2)  # it is nine in the morning in Kenya
    await door.go_online(day)
    page = await door.page()
    assert turns(page) == []
    assert re.search(r"After this.*Night owl.*From 22:00", page, re.DOTALL)
    door.books.time.advance(13 * 3600)
    (turn,) = turns(await door.page())
    door.books.time.advance(8 * 3600)
    status, said = await door.post(d=TOKEN, lang="sw", turn=turn)
    assert status == 409
    assert "hakiwezi kuanza kwa saa hii" in said
    assert f"/?d={TOKEN}&amp;lang=sw" in said
    assert door.state(nights) is GrantState.WAITING


async def test_only_the_devices_own(door: Door) -> None:
    """Another device's page names another's grants to no avail; nothing changes."""
    hour, day = await door.buy(HOUR, 1), await door.buy(DAY, 2)
    await door.go_online(hour)
    (turn,) = turns(await door.page())
    for token, named in ((OTHER_TOKEN, turn), (TOKEN, day.grant_id[:24]), (TOKEN, "0" * 24)):
        status, said = await door.post(d=token, lang="en", turn=named)
        assert status == 404
        assert "no longer this device" in said
    assert (door.state(hour), door.state(day)) == (GrantState.RUNNING, GrantState.WAITING)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"turn": "0" * 24},
        {"d": TOKEN},
        {"d": TOKEN, "turn": ""},
        {"d": TOKEN, "turn": "0" * 25},
        {"d": "damaged", "turn": "0" * 24},
    ],
)
async def test_a_broken_form_is_refused(door: Door, fields: dict[str, str]) -> None:
    """Without a device, with a damaged one, without a turn or with one that is too long."""
    status, said = await door.post(**fields)
    assert status == 400
    assert "<h1>" in said


async def test_it_takes_a_post(door: Door) -> None:
    """A link that is followed, or looked at beforehand, changes nothing."""
    async with door.client.get("/switch", params={"d": TOKEN, "turn": "0" * 24}) as answer:
        assert answer.status == 405


async def test_a_page_for_anybody_tells_no_grant(door: Door) -> None:
    """The id of a grant may be the key to what was bought from credit, and its login: it is in no page."""
    grants = [await door.buy(package, number) for number, package in enumerate((HOUR, DAY, NIGHTS), start=1)]
    await door.go_online(grants[0])
    page = await door.page()
    for grant in grants:
        assert not {grant.grant_id, grant.username, grant.password} & set(re.findall(r"[\w-]+", page))


async def test_a_shut_package_says_when_it_opens(door: Door) -> None:
    """In both languages, and not that it is being connected; at the hour, it is."""
    await door.buy(NIGHTS, 1)
    assert "Your package works from 22:00" in await door.page()
    swahili = await door.page(language="sw")
    assert "Kifurushi chako hutumika kuanzia 22:00" in swahili
    assert 'data-step="shut"' in swahili
    assert 'data-seconds-left="46800"' in swahili
    door.books.time.advance(13 * 3600)
    assert "Connecting you" in await door.page()


async def test_time_online_ends_by_no_clock(door: Door) -> None:
    """The page counts down what is left to be used, and says until when it is valid; data, as reported."""
    package = replace(DAY, duration=timedelta(days=7), online_time=timedelta(hours=3), data_limit=DataVolume(10**9))
    limited = await door.buy(package, 1)
    await door.go_online(limited)
    await door.books.store.write(lambda tx: tx.grants.use(limited.grant_id, 1800, 3 * 10**8))
    page = await door.page()
    assert "2 hours 30 min" in page
    assert re.search(r"Valid until</dt><dd>28/11/2026 at 09:00", page)
    assert re.search(r"Data left</dt><dd>700 MB", page)
