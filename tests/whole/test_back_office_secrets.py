"""No secret is in any answer, log line, event or file of the back office's books, in whatever spelling."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from easyisp_edge.domain.permissions import Role
from easyisp_edge.services.staff.login_tokens import KEY_PURPOSE
from easyisp_edge.web.webhooks import KEY_HEADER, PATHS
from tests.unit.web.webhook_bodies import stk_body
from tests.whole.back_office_requests import right
from tests.whole.back_office_site import GATEWAY, OPERATIONS, PASSWORD, WEBHOOK_KEY, BackOfficeSite
from tests.whole.stage import RADIUS_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.whole.back_office_site import Answered

NEW_PASSWORD = "canary of a new password \u00e9\u00df 8Zt2"
WRONG_PASSWORD = "canary of a wrong password 3Lp6"
ROUTER_PASSWORD = "s3cret"
OTHER_KEYS = {
    "consumerKey": "canary/other+key=2Bn7",
    "consumerSecret": "canary&other?secret#5Vf",
    "passkey": "6Wd1canary",
}
FILED = {"east-secret", "east-passkey", "west-secret", "west-passkey"}
FILES_OF_BOOKS = ("edge.sqlite", "edge.sqlite-wal")


def spellings(secret: str | bytes) -> set[bytes]:
    """How a secret may stand in something else: as it is, in hex, in a URL, in JSON, or within some base64."""
    octets = secret if isinstance(secret, bytes) else secret.encode()
    spelled = {octets, octets.hex().encode(), octets.hex().upper().encode(), quote(octets, safe="").encode()}
    if isinstance(secret, str):
        spelled |= {json.dumps(secret)[1:-1].encode(), quote(octets).encode()}
    for before in range(3):
        # What the octets before and behind it have a share in is left out.
        begin, end = -(-before * 8 // 6), (before + len(octets)) * 8 // 6
        coded = base64.b64encode(bytes(before) + octets)[begin:end]
        spelled |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    return spelled


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
def test_what_is_searched_for_is_found(before: bytes) -> None:
    """A secret is found in hex, in a URL, in JSON, and in the midst of base64 of either alphabet."""
    secret = "sec\u00e9ret/of?many>shapes~~"
    octets = before + secret.encode() + b"and more"
    for text in (
        octets,
        octets.hex().encode(),
        base64.b64encode(octets),
        base64.urlsafe_b64encode(octets),
        quote(octets).encode(),
        json.dumps(secret).encode(),
    ):
        assert any(each in text for each in spellings(secret)), text
    assert not any(each in b"another text altogether" for each in spellings(secret))


@dataclass
class Driven:
    """A box on which every operation was driven, rightly and wrongly.

    Args:
        site: The box.
        secrets: What nobody may find, by what it is.
        given: What is told once, in the one answer that makes it.
    """

    site: BackOfficeSite
    secrets: dict[str, str | bytes]
    given: dict[str, str] = field(default_factory=dict)

    def found_in(self, octets: bytes) -> set[str]:
        """Which secrets stand there, by what they are."""
        every = self.secrets | self.given
        return {name for name, secret in every.items() if any(each in octets for each in spellings(secret))}


@pytest.fixture
async def driven(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Driven]:
    """A box on which all was done, by people and by programs."""
    caplog.set_level(logging.DEBUG)
    async with BackOfficeSite(tmp_path) as site:
        master = (tmp_path / "secrets.key").read_bytes()
        keys = {"consumer key": GATEWAY["consumerKey"], "consumer secret": GATEWAY["consumerSecret"]}
        keyring = site.daemon.parts.keyring
        driven = Driven(
            site,
            {
                **keys,
                "passkey": GATEWAY["passkey"],
                **{f"other {name}": value for name, value in OTHER_KEYS.items()},
                **{name: name for name in FILED},
                "webhook key": WEBHOOK_KEY,
                "password": PASSWORD,
                "new password": NEW_PASSWORD,
                "wrong password": WRONG_PASSWORD,
                "RADIUS secret": RADIUS_SECRET,
                "router's password": ROUTER_PASSWORD,
                "master key": master,
                "key of logins": keyring.derive(KEY_PURPOSE),
            },
        )
        admin = await site.furnish(site.ours)
        await _people(driven)
        await _gateways(driven, admin)
        await _webhook(driven)
        await _broken(driven, admin)
        for name in sorted(OPERATIONS, key=lambda name: name == "logOut"):
            request = right(name, site.ours.ids)
            answered = await site.ask(request.operation.method, request.path, admin, **request.sent)
            if name == "makeMyToken":
                driven.given["token of the round"] = answered.content["token"]
        yield driven


async def _people(driven: Driven) -> None:
    """Log in wrongly and rightly, go on, be caught with an old refresh token, change the password, make tokens."""
    site = driven.site
    await site.user("mary@east.example", Role.ADMIN, "east")
    for email, password in (("mary@east.example", WRONG_PASSWORD), ("nobody@east.example", WRONG_PASSWORD)):
        assert (await site.ask("POST", "/api/auth/login", json={"email": email, "password": password})).status == 401
    login = {"email": "mary@east.example", "password": PASSWORD}
    first = (await site.ask("POST", "/api/auth/login", json=login)).content
    second = (await site.ask("POST", "/api/auth/refresh", json={"refreshToken": first["refreshToken"]})).content
    token = second["token"]
    words = {"oldPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    assert (await site.ask("PUT", "/api/auth/password", token, json=words)).status == 200
    words = {"oldPassword": WRONG_PASSWORD, "newPassword": NEW_PASSWORD}
    assert (await site.ask("PUT", "/api/auth/password", token, json=words)).status == 400
    made = await site.done("POST", "/api/auth/tokens", token, name="a program", permissions=["packages:view"])
    await site.done("GET", "/api/packages", made["token"])
    third = (await site.ask("POST", "/api/auth/refresh", json={"refreshToken": second["refreshToken"]})).content
    old = await site.ask("POST", "/api/auth/refresh", json={"refreshToken": first["refreshToken"]})
    assert old.status == 401
    driven.given |= {
        f"refresh token {number}": each["refreshToken"] for number, each in enumerate((first, second, third))
    }
    driven.given |= {"API token": made["token"], "token of mary": third["token"]}


async def _gateways(driven: Driven, admin: str) -> None:
    """Change a gateway's keys, have them refused, and hold them against M-Pesa."""
    site = driven.site
    path = f"/api/payment-gateways/{site.ours.ids['gateway']}"
    await site.done("PUT", path, admin, **OTHER_KEYS)
    assert (await site.ask("POST", f"{path}/test", admin)).status == 400
    assert (await site.ask("POST", f"{path}/default", admin)).status == 409
    for wrong in (
        {"consumerKey": "\x00" + OTHER_KEYS["consumerKey"]},
        {"consumerKey": OTHER_KEYS["consumerKey"] * 300},
        {"consumerKey": [OTHER_KEYS["consumerKey"]]},
        {"shortcode": "1", "passkey": OTHER_KEYS["passkey"]},
    ):
        for method, where in (("PUT", path), ("POST", "/api/payment-gateways")):
            assert (await site.ask(method, where, admin, json=wrong)).status == 400


async def _webhook(driven: Driven) -> None:
    """Tell with the right key in either place, with a wrong one, and what cannot be read."""
    site = driven.site
    for path in PATHS:
        await site.ask("POST", f"{path}?key={WEBHOOK_KEY}&tenantId=east", json=stk_body("SFX41HOO01"))
        await site.ask("POST", f"{path}?key={WEBHOOK_KEY}x", json=stk_body("SFX41HOO02"))
        await site.ask("POST", path, headers={KEY_HEADER: WEBHOOK_KEY}, data=b"{" + WEBHOOK_KEY.encode())


async def _broken(driven: Driven, admin: str) -> None:
    """Send secrets where they do not belong: broken bodies, addresses, paths."""
    site = driven.site
    for body in (f'{{"password": "{PASSWORD}"', f'{{"{PASSWORD}": 1, "{PASSWORD}": 2}}', f'"{PASSWORD}"'):
        assert (await site.ask("POST", "/api/auth/login", data=body.encode())).status == 400
    login: dict[str, Any] = {"email": PASSWORD, "password": {"is": PASSWORD}}
    assert (await site.ask("POST", "/api/auth/login", json=login)).status == 400
    await site.ask("GET", f"/api/packages?token={admin}", admin)
    await site.ask("POST", "/api/auth/refresh", json={"refreshToken": f"{admin}.1.x"})


def _whole(answered: Answered) -> bytes:
    return repr(answered.headers).encode() + answered.body


async def test_no_answer_holds_a_secret(driven: Driven) -> None:
    """Nothing that anybody was answered holds one; what is made for its user stands in the one answer that made it."""
    assert len(driven.site.answers) > 90
    told = [driven.found_in(_whole(answered)) for answered in driven.site.answers]
    assert set().union(*told) == set(driven.given)
    for name in driven.given:
        # Those of one login that were signed within a second are the same.
        most = 3 if name == "token of mary" else 1
        assert 1 <= sum(name in each for each in told) <= most, name


async def test_no_password_of_a_grant_is_told(driven: Driven) -> None:
    """What a router takes as a customer's password is in no answer and no event."""
    async with driven.site.books() as (_, connection):
        passwords = [row[0] for row in connection.execute("SELECT password FROM grants")]
        events = [bytes(row[0]) for row in connection.execute("SELECT body FROM events")]
    assert passwords
    places = [_whole(answered) for answered in driven.site.answers] + events
    assert not [each for each in places for password in passwords if password.encode() in each]


async def test_no_log_line_holds_a_secret(driven: Driven, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the most talkative level, with what went wrong and its traces."""
    formatter = logging.Formatter("%(name)s %(message)s")
    lines = [formatter.format(record).encode() for record in caplog.get_records("setup")]
    assert any(line.startswith(b"easyisp_edge") for line in lines)
    assert {line for line in lines if driven.found_in(line)} == set()


async def test_the_books_hold_no_secret(driven: Driven, tmp_path: Path) -> None:
    """Not the database's file, not what is written ahead of it, not a copy made as backups are: nor any event in them.

    Passwords and tokens are kept as hashes, gateways' keys sealed.
    """
    folder = driven.site.folder
    copy = tmp_path / "copy.sqlite"
    with sqlite3.connect(folder / "edge.sqlite") as books, sqlite3.connect(copy) as target:
        books.backup(target)
    for connection in (books, target):
        connection.close()
    for path in [*(folder / name for name in FILES_OF_BOOKS), copy]:
        assert path.stat().st_size > 0, path
        assert driven.found_in(path.read_bytes()) == set(), path.name
    async with driven.site.books() as (_, connection):
        hashes = [row[0] for row in connection.execute("SELECT password_hash FROM staff_users")]
        assert hashes
        assert all(each.startswith("$argon2id$v=19$") for each in hashes)
        assert len({each.rpartition("$")[2] for each in hashes}) == len(hashes), "each has a salt of its own"
        (sealed,) = connection.execute("SELECT consumer_key, consumer_secret, passkey FROM gateways LIMIT 1").fetchall()
        assert all(isinstance(each, bytes) and len(each) > 40 for each in sealed)


async def test_the_rest_of_the_folder_is_config_and_the_key_alone(driven: Driven) -> None:
    """Beside the files the owner wrote, only the key's own file holds a secret, and only its user reads it."""
    folder = driven.site.folder
    written = {path.name for path in folder.glob("*.toml")} | {"secrets.key", "copy.sqlite"}
    holding = {path.name for path in folder.iterdir() if path.is_file() and driven.found_in(path.read_bytes())}
    assert holding <= written
    assert (folder / "secrets.key").stat().st_mode & 0o777 == 0o600
