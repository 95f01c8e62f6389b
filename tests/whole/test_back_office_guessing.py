"""Guessing at the back office's door: a wrong name costs what a wrong password does; the owner gets in."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from nacl.pwhash import argon2id

from easyisp_edge.domain.permissions import Role
from easyisp_edge.domain.users import UserStatus
from easyisp_edge.services.staff.login_lockout import LoginLimits
from easyisp_edge.services.staff.passwords import WAITING_MAX
from easyisp_edge.services.staff.users import Author, UserChange
from tests.whole.back_office_site import PASSWORD, BackOfficeSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.whole.back_office_site import Answered

OWNER = "owner@box.example"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
LIMITS = LoginLimits()
GUESSES = 1000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BackOfficeSite]:
    """A box with an owner."""
    async with BackOfficeSite(tmp_path) as site:
        yield site


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cost of each hash that a password was held against, in order."""
    costs: list[str] = []
    real = argon2id.verify

    def verify(password_hash: bytes, password: bytes) -> bool:
        costs.append(password_hash.decode().rpartition("$")[0].rpartition("$")[0])
        return bool(real(password_hash, password))

    monkeypatch.setattr(argon2id, "verify", verify)
    return costs


async def _tries(site: BackOfficeSite, email: str, password: str, source: str) -> Answered:
    login = {"email": email, "password": password}
    return await site.ask("POST", "/api/auth/login", headers={"X-Forwarded-For": source}, json=login)


def _plain(answered: Answered) -> tuple[int, bytes, dict[str, Any]]:
    return answered.status, answered.body, {name: value for name, value in answered.headers.items() if name != "Date"}


class TestWrongIsWrong:
    async def test_whoever_is_named_one_hash_of_the_same_cost_is_made(
        self, site: BackOfficeSite, hashed: list[str]
    ) -> None:
        """A user's, a suspended one's, nobody's and no e-mail address at all: one hash each, and the same answer."""
        await site.user("clerk@east.example", Role.STAFF, "east")
        away = await site.user("away@east.example", Role.STAFF, "east")
        await site.auth.users.change(away.user_id, UserChange(status=UserStatus.SUSPENDED), Author("root"))
        names = [
            "clerk@east.example",
            away.email,
            "nobody@east.example",
            "no address",
            " CLERK@EAST.EXAMPLE ",
            "\u00e9@x",
        ]
        answers = []
        for number, name in enumerate(names, 1):
            answers.append(_plain(await _tries(site, name, "a wrong one", HOME)))
            assert len(hashed) == number, name
        assert len(set(hashed)) == 1
        assert answers == [answers[0]] * len(names)
        assert answers[0][0] == 401

    async def test_only_the_right_password_tells_of_a_suspension(self, site: BackOfficeSite, hashed: list[str]) -> None:
        """Who has the password of a suspended user learns that it is; nobody else can tell it from any name."""
        away = await site.user("away@east.example", Role.STAFF, "east")
        await site.auth.users.change(away.user_id, UserChange(status=UserStatus.SUSPENDED), Author("root"))
        assert (await _tries(site, away.email, PASSWORD, HOME)).code == "user.suspended"
        assert (await _tries(site, away.email, PASSWORD + " ", HOME)).code == "login.wrong"
        assert len(hashed) == 2

    async def test_a_name_that_is_locked_costs_nothing(self, site: BackOfficeSite, hashed: list[str]) -> None:
        """After too many tries no hash is made any more, for names there are and names there are not alike."""
        for name in (OWNER, "nobody@box.example"):
            hashed.clear()
            codes = [(await _tries(site, name, "a wrong one", ELSEWHERE)).code for _ in range(LIMITS.here + 3)]
            assert codes == ["login.wrong"] * LIMITS.here + ["login.locked"] * 3
            assert len(hashed) == LIMITS.here


class TestAStorm:
    async def test_from_one_address_leaves_the_owner_alone(self, site: BackOfficeSite, hashed: list[str]) -> None:
        """Of a thousand guesses at once from one address few are looked at; the owner comes in from any other."""
        statuses = await _storm(site, [(OWNER, ELSEWHERE)] * GUESSES)
        assert set(statuses) <= {401, 429, 503}
        assert statuses[401] <= LIMITS.here
        assert len(hashed) == statuses[401]
        assert (await _tries(site, OWNER, PASSWORD, ELSEWHERE)).status == 429
        assert (await _tries(site, OWNER, PASSWORD, HOME)).status == 200

    async def test_from_everywhere_leaves_the_owner_in_at_home(self, site: BackOfficeSite, hashed: list[str]) -> None:
        """A thousand guesses at once from as many addresses lock the name; where the owner is logged in it is not."""
        assert (await _tries(site, OWNER, PASSWORD, HOME)).status == 200
        hashed.clear()
        sources = [f"198.51.{number // 250}.{number % 250 + 1}" for number in range(GUESSES)]
        assert set(await _storm(site, [(OWNER, source) for source in sources])) <= {401, 429, 503}
        while (await _storm(site, [(OWNER, source) for source in sources[:100]]))[429] < 100:
            pass  # what was answered 503 was no try
        assert len(hashed) <= LIMITS.email
        assert (await _tries(site, OWNER, PASSWORD, ELSEWHERE)).status == 429
        assert (await _tries(site, OWNER, PASSWORD, HOME)).status == 200

    async def test_while_it_rages_the_owner_is_not_locked_out_by_it(
        self, site: BackOfficeSite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Told to come again because too many log in, the owner may: a try nobody looked at is no wrong one."""
        done, real = threading.Event(), argon2id.verify

        def verify(password_hash: bytes, password: bytes) -> bool:
            assert done.wait(20)
            return bool(real(password_hash, password))

        monkeypatch.setattr(argon2id, "verify", verify)
        guesses = [(f"name{number}@box.example", f"203.0.113.{number + 1}") for number in range(WAITING_MAX)]
        raging = asyncio.create_task(_storm(site, guesses))
        try:
            turns = site.auth.sign_in.passwords._turns
            await site.until(lambda: turns.waiting == WAITING_MAX, seconds=10, what="a full queue")
            for _ in range(LIMITS.here + 1):
                answered = await _tries(site, OWNER, PASSWORD, HOME)
                assert (answered.status, answered.code) == (503, "login.busy")
                assert int(answered.headers["Retry-After"]) > 0
        finally:
            done.set()
            assert await raging == {401: WAITING_MAX}
        assert (await _tries(site, OWNER, PASSWORD, HOME)).status == 200


async def _storm(site: BackOfficeSite, guesses: list[tuple[str, str]]) -> Counter[int]:
    """Guess all at once, over many connections; gives how often which status was answered."""
    statuses = Counter[int]()

    async def guess(http: aiohttp.ClientSession, number: int, email: str, source: str) -> None:
        login = {"email": email, "password": f"guess number {number}"}
        headers = {"X-Forwarded-For": source}
        async with http.post("/api/auth/login", json=login, headers=headers) as answer:
            await answer.read()
            statuses[answer.status] += 1

    url = f"http://127.0.0.1:{site.ports['admin_port']}"
    async with aiohttp.ClientSession(base_url=url, connector=aiohttp.TCPConnector(limit=200)) as http:
        await asyncio.gather(*(guess(http, number, *each) for number, each in enumerate(guesses)))
    return statuses
