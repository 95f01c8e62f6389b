"""Logging in and out of the back office, and what tokens are good for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.permissions import Permission, Role, permissions_of
from easyisp_edge.domain.users import UserStatus
from easyisp_edge.services.staff.logins import LOGINS_MAX
from easyisp_edge.services.staff.passwords import Passwords
from easyisp_edge.services.staff.users import Author, UserChange
from tests.fakes.clocks import START
from tests.unit.web.admin.staff_stage import (
    ADMIN,
    CLERK,
    OWNER,
    PASSWORD,
    STRANGER,
    VIEWER,
    BackOffice,
    open_back_office,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NEW_PASSWORD = "staple of another colour"


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[BackOffice]:
    async with open_back_office(tmp_path) as office:
        await office.add_all()
        yield office


async def change(office: BackOffice, email: str, **values: Any) -> None:
    """Change a user, as on the box itself."""
    await office.parts.control.users.change(await office.user_id(email), UserChange(**values), Author("root"))


async def refreshed(office: BackOffice, refresh_token: str, expect: int = 200) -> dict[str, Any]:
    return await office.ask("POST", "/api/auth/refresh", expect, json={"refreshToken": refresh_token})


async def me(office: BackOffice, token: str, expect: int = 200) -> dict[str, Any]:
    return await office.ask("GET", "/api/auth/me", expect, token=token)


async def made_token(office: BackOffice, token: str, expect: int = 201, **changes: Any) -> dict[str, Any]:
    """An API token of whoever carries a token."""
    new: dict[str, Any] = {"name": "books", "permissions": ["audit:view", "operators:view"]} | changes
    return await office.ask("POST", "/api/auth/tokens", expect, token=token, json=new)


# --- logging in


async def test_a_login_tells_who_one_is(office: BackOffice) -> None:
    """With the fields that front ends of the old backend read; the address counts however it is written."""
    login = await office.log_in(" Clerk@Example.COM ")
    assert login["user"] == {
        "id": await office.user_id(CLERK),
        "name": "clerk",
        "email": CLERK,
        "role": "STAFF",
        "tenantId": "default",
        "addedPermissions": [],
        "removedPermissions": [],
        "permissions": sorted(permissions_of(Role.STAFF)),
        "status": "ACTIVE",
        "createdAt": "2026-11-21T06:00:00.000Z",
        "updatedAt": "2026-11-21T06:00:00.000Z",
    }
    assert login["expiresIn"] == 900
    assert login["headers"]["Cache-Control"] == "no-store"
    shown = await me(office, login["token"])
    assert shown["email"] == CLERK
    assert (await office.log_in(OWNER))["user"]["tenantId"] is None


async def test_wrong_names_and_wrong_passwords_are_answered_the_same(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word, and after the same work: nobody finds out which names there are."""
    hashed: list[bool] = []
    real = Passwords.fits

    async def fits(self: Passwords, password: str, password_hash: str | None) -> bool:
        hashed.append(password_hash is not None)
        return await real(self, password, password_hash)

    monkeypatch.setattr(Passwords, "fits", fits)
    told = [
        await office.log_in(email, password, 401)
        for email, password in ((CLERK, "wrong"), ("nobody@example.com", PASSWORD), ("no address", PASSWORD))
    ]
    assert hashed == [True, False, False]
    for each in told:
        each["headers"].pop("Date")
    assert told[0] == told[1] == told[2]
    assert told[0]["code"] == "login.wrong"


@pytest.mark.parametrize(
    "body",
    [
        {"email": CLERK},
        {"email": CLERK, "password": ""},
        {"email": CLERK, "password": 1},
        {"email": "", "password": "x"},
        {"email": CLERK, "password": "x" * 201},
        {"email": CLERK, "password": ["x"]},
    ],
)
async def test_what_is_no_login_is_refused_unread(office: BackOffice, body: dict[str, Any]) -> None:
    """As input, without repeating any of it."""
    told = await office.ask("POST", "/api/auth/login", 400, json=body)
    assert told["code"] == "request.invalid"
    assert "xxx" not in str(told)


async def test_who_guesses_is_not_listened_to(office: BackOffice) -> None:
    """After five tries, right or wrong; it is said for how long, and noted once; the others' counts are their own."""
    for _ in range(5):
        await office.log_in(CLERK, "wrong", 401)
    for password in ("wrong", PASSWORD):
        told = await office.log_in(CLERK, password, 429)
        assert (told["code"], told["headers"]["Retry-After"]) == ("login.locked", "900")
    assert office.books.events().count("staff.login_locked") == 1
    await office.log_in(ADMIN)
    office.books.time.advance(900)
    await office.log_in(CLERK)


async def test_a_hundred_guesses_at_once_are_not_all_heard(office: BackOffice) -> None:
    """They are counted before they are looked at."""

    async def guess() -> int:
        wrong = {"email": CLERK, "password": "wrong"}
        async with office.client.post("/api/auth/login", json=wrong) as answer:
            return answer.status

    statuses = await asyncio.gather(*(guess() for _ in range(100)))
    assert sorted(statuses) == [401] * 5 + [429] * 95


async def test_guessing_from_elsewhere_locks_nobody_out(office: BackOffice) -> None:
    """Where a user is logged in they may log in again, from however many places somebody guesses."""
    at_home: dict[str, Any] = {"headers": {"X-Forwarded-For": "10.0.0.5"}}
    await office.log_in(CLERK, **at_home)
    for number in range(50):
        await office.log_in(CLERK, "wrong", 401, headers={"X-Forwarded-For": f"10.9.0.{number}"})
    await office.log_in(CLERK, expect=429, headers={"X-Forwarded-For": "10.8.0.1"})
    await office.log_in(CLERK, **at_home)


async def test_who_is_shut_out_is_out_at_once(office: BackOffice) -> None:
    """A suspension ends what one carries, also where one is let in again; the right password says why."""
    login, other = await office.log_in(CLERK), await office.log_in(CLERK)
    await change(office, CLERK, status=UserStatus.SUSPENDED)
    assert (await me(office, login["token"], 401))["code"] == "login.ended"
    await refreshed(office, login["refreshToken"], 401)
    assert (await office.log_in(CLERK, expect=403))["code"] == "user.suspended"
    assert (await office.log_in(CLERK, "wrong", 401))["code"] == "login.wrong"
    await change(office, CLERK, status=UserStatus.ACTIVE)
    for each in (login, other):
        await me(office, each["token"], 401)
        await refreshed(office, each["refreshToken"], 401)
    await office.log_in(CLERK)


async def test_a_change_counts_from_the_next_request_on(office: BackOffice) -> None:
    """What one may do is looked up each time, not carried."""
    token = await office.token(CLERK)
    await office.ask("GET", "/api/audit", 403, token=token)
    await change(office, CLERK, added=frozenset({Permission.AUDIT_VIEW}))
    await office.ask("GET", "/api/audit", 200, token=token)
    await change(office, CLERK, removed=frozenset({Permission.AUDIT_VIEW}))
    assert (await office.ask("GET", "/api/audit", 403, token=token))["permission"] == "audit:view"


async def test_users_of_a_business_that_is_gone_stay_out(office: BackOffice) -> None:
    """Once the files do not know the tenant any more, at once and at the next login."""
    token = await office.token(STRANGER)
    vars(office.site.config)["tenants"] = office.site.config.tenants[:1]
    await me(office, token, 401)
    assert (await office.log_in(STRANGER, expect=403))["code"] == "tenant.gone"


# --- keeping a login going


async def test_a_token_is_good_for_a_quarter_of_an_hour(office: BackOffice) -> None:
    """By the box's clock; the refresh token gives the next."""
    login = await office.log_in(CLERK)
    office.books.time.advance(899)
    await me(office, login["token"])
    office.books.time.advance(1)
    assert (await me(office, login["token"], 401))["code"] == "token.expired"
    pair = await refreshed(office, login["refreshToken"])
    assert set(pair) == {"token", "refreshToken", "expiresIn", "headers"}
    await me(office, pair["token"])


async def test_a_lost_answer_is_given_again(office: BackOffice) -> None:
    """Within half a minute, the same; two windows of a browser that ask at once both go on."""
    first = (await office.log_in(CLERK))["refreshToken"]
    one, two = await asyncio.gather(refreshed(office, first), refreshed(office, first))
    assert one["refreshToken"] == two["refreshToken"] != first
    office.books.time.advance(30)
    assert (await refreshed(office, first))["refreshToken"] == one["refreshToken"]
    await refreshed(office, one["refreshToken"])


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_an_old_refresh_token_ends_the_login(office: BackOffice, turns: int) -> None:
    """Somebody has copied it: neither goes on, and it is noted; the user's other logins do."""
    first, other = (await office.log_in(CLERK)), await office.token(CLERK)
    latest = first
    for _ in range(turns):
        latest = await refreshed(office, latest["refreshToken"])
    office.books.time.advance(31)
    assert (await refreshed(office, first["refreshToken"], 401))["code"] == "login.ended"
    await refreshed(office, latest["refreshToken"], 401)
    await me(office, latest["token"], 401)
    await me(office, other)
    assert office.books.events().count("staff.login_ended") == 1


async def test_what_is_no_refresh_token_ends_nothing(office: BackOffice) -> None:
    """Who knows a login's id, which stands in each token, cannot end it by making one up."""
    login = await office.log_in(CLERK)
    stem, _, _seal = login["refreshToken"].rpartition(".")
    for text in ("x", f"{stem}.{'A' * 43}", "x" * 200, f"{stem}.", login["refreshToken"] + "=", "\u00fc" * 9):
        assert (await refreshed(office, text, 401))["code"] == "login.ended"
    await refreshed(office, login["refreshToken"])


async def test_a_login_that_is_not_used_ends(office: BackOffice) -> None:
    """After 30 days; one that is used goes on."""
    used, unused = await office.log_in(CLERK), await office.log_in(CLERK)
    for _ in range(3):
        office.books.time.advance(20 * 86400)
        used = await refreshed(office, used["refreshToken"])
    await refreshed(office, unused["refreshToken"], 401)


async def test_logging_out_ends_the_login_at_once(office: BackOffice) -> None:
    """That one, and no other."""
    login, other = await office.log_in(CLERK), await office.log_in(CLERK)
    assert (await office.ask("POST", "/api/auth/logout", 200, token=login["token"]))["success"] is True
    await me(office, login["token"], 401)
    await refreshed(office, login["refreshToken"], 401)
    await me(office, other["token"])


async def test_old_logins_give_way(office: BackOffice) -> None:
    """One user has at most so many, and those that are over are forgotten."""
    first = await office.token(CLERK)
    office.books.time.advance(1)
    for _ in range(LOGINS_MAX):
        await office.log_in(CLERK)
    await me(office, first, 401)
    assert office.books.count("staff_logins") == LOGINS_MAX
    office.books.time.advance(30 * 86400)
    await office.log_in(ADMIN)
    assert office.books.count("staff_logins") == 1


# --- passwords


async def new_password(office: BackOffice, token: str, expect: int, old: str, new: str) -> dict[str, Any]:
    words = {"oldPassword": old, "newPassword": new}
    return await office.ask("PUT", "/api/auth/password", expect, token=token, json=words)


async def test_a_password_is_changed_by_who_knows_it(office: BackOffice) -> None:
    """The user's other logins end, this one stays; the old word opens nothing any more."""
    mine, other, somebody = await office.token(CLERK), await office.token(CLERK), await office.token(ADMIN)
    told = await new_password(office, mine, 400, "wrong", NEW_PASSWORD)
    assert (told["code"], told["field"]) == ("password.wrong", "oldPassword")
    for easy in ("short", CLERK):
        told = await new_password(office, mine, 400, PASSWORD, easy)
        assert told["field"] == "newPassword"
    assert (await new_password(office, mine, 200, PASSWORD, NEW_PASSWORD))["success"] is True
    await me(office, mine)
    await me(office, other, 401)
    await me(office, somebody)
    await office.log_in(CLERK, PASSWORD, 401)
    await office.log_in(CLERK, NEW_PASSWORD)


async def test_a_stolen_login_does_not_find_the_password(office: BackOffice) -> None:
    """Guessing the old password is counted like guessing at the door."""
    token = await office.token(CLERK)
    for number in range(5):
        await new_password(office, token, 400, f"guess number {number}", NEW_PASSWORD)
    assert (await new_password(office, token, 429, PASSWORD, NEW_PASSWORD))["code"] == "login.locked"


async def test_a_viewer_changes_nothing(office: BackOffice) -> None:
    """Not even an own password or token: somebody else looks after these."""
    token = await office.token(VIEWER)
    await new_password(office, token, 403, PASSWORD, NEW_PASSWORD)
    await made_token(office, token, 403, permissions=["packages:view"])
    await office.ask("DELETE", "/api/auth/tokens/x", 403, token=token)
    await office.ask("POST", "/api/users", 403, token=token, json={})


# --- tokens for programs


async def test_a_token_for_a_program_is_shown_once(office: BackOffice) -> None:
    """It does what it was made for, in its user's name and its own."""
    login = await office.token(ADMIN)
    made = await made_token(office, login)
    assert made["token"].startswith("eie_")
    listed = (await office.ask("GET", "/api/auth/tokens", 200, token=login))["items"]
    assert listed == [
        {
            "id": made["id"],
            "name": "books",
            "permissions": ["audit:view", "operators:view"],
            "createdAt": "2026-11-21T06:00:00.000Z",
            "expiresAt": None,
            "lastUsedAt": None,
        }
    ]
    assert (await me(office, made["token"]))["permissions"] == ["audit:view", "operators:view"]
    await office.ask("GET", "/api/users", 200, token=made["token"])
    await office.ask("DELETE", "/api/users/x", 403, token=made["token"])
    caller = await office.parts.gate.caller_of(made["token"])
    assert (caller.name, caller.session_id) == (f"{ADMIN} (books)", None)


async def test_a_program_never_may_more_than_its_user(office: BackOffice) -> None:
    """Neither when its token is made nor later; and it is out when the user is."""
    clerk = await office.token(CLERK)
    told = await made_token(office, clerk, 403, permissions=["vouchers:make", "payments:refund"])
    assert (told["code"], "payments:refund" in told["message"]) == ("token.beyond_you", True)
    made = await made_token(office, clerk, permissions=["vouchers:make", "packages:view"])
    await change(office, CLERK, removed=frozenset({Permission.VOUCHERS_MAKE}))
    assert (await me(office, made["token"]))["permissions"] == ["packages:view"]
    await change(office, CLERK, status=UserStatus.SUSPENDED)
    assert (await me(office, made["token"], 401))["code"] == "login.ended"


async def test_a_program_makes_no_tokens_and_no_users(office: BackOffice) -> None:
    """What outlives a token that is revoked takes a person with a password."""
    login = await office.token(OWNER)
    made = await made_token(office, login, permissions=sorted(Permission))
    clerk = await office.user_id(CLERK)
    new = {"name": "x", "email": "x@example.com", "password": PASSWORD, "role": "VIEWER"}
    for method, path, body in (
        ("POST", "/api/auth/tokens", {"name": "more", "permissions": ["audit:view"]}),
        ("DELETE", f"/api/auth/tokens/{made['id']}", None),
        ("PUT", "/api/auth/password", {"oldPassword": PASSWORD, "newPassword": NEW_PASSWORD}),
        ("POST", "/api/auth/logout", None),
        ("POST", "/api/users?tenantId=default", new),
        ("PUT", f"/api/users/{clerk}", {"password": NEW_PASSWORD}),
        ("DELETE", f"/api/users/{clerk}", None),
    ):
        told = await office.ask(method, path, 403, token=made["token"], json=body)
        assert told["code"] == "login.needed_in_person", path
    await office.log_in(CLERK)


async def test_a_token_ends_when_it_should(office: BackOffice) -> None:
    """At its hour, whatever the zone it was told in; or when it is revoked, by its own user only."""
    login = await office.token(ADMIN)
    for wrong in ("2026-11-21T06:00:00Z", "2056-01-01T00:00:00Z", "2026-11-22", "2026-11-22T06:00:00", "soon"):
        assert (await made_token(office, login, 400, expiresAt=wrong))["field"] == "expiresAt"
    made = await made_token(office, login, expiresAt="2026-11-21T10:00:00+03:00")
    assert made["expiresAt"] == "2026-11-21T07:00:00.000Z"
    forever = await made_token(office, login, name="other")
    office.books.time.advance(3599)
    await me(office, made["token"])
    office.books.time.advance(1)
    assert (await me(office, made["token"], 401))["code"] == "token.unknown"
    login = await office.token(ADMIN)
    stranger = await office.token(OWNER)
    path = f"/api/auth/tokens/{forever['id']}"
    assert (await office.ask("DELETE", path, 404, token=stranger))["code"] == "token.unknown"
    assert (await office.ask("DELETE", path, 200, token=login))["success"] is True
    await me(office, forever["token"], 401)
    await office.ask("DELETE", path, 404, token=login)


async def test_use_is_noted_once_an_hour(office: BackOffice) -> None:
    """So that a program that asks each second does not wear out the disk."""
    made = await made_token(office, await office.token(ADMIN))
    digest_user = await office.user_id(ADMIN)
    noted = set()
    for _ in range(5):
        await me(office, made["token"])
        noted.add(office.parts.gate.store.read.api_tokens.of_user(digest_user)[0].used_at)
        office.books.time.advance(15 * 60)
    assert noted == {START, START + timedelta(hours=1)}


async def test_a_user_has_only_so_many_tokens(office: BackOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, and says what to do."""
    monkeypatch.setattr("easyisp_edge.services.staff.api_tokens.TOKENS_MAX", 2)
    login = await office.token(ADMIN)
    for _ in range(2):
        await made_token(office, login)
    assert (await made_token(office, login, 409))["code"] == "token.too_many"


# --- what is kept and told


def written_in(folder: Path) -> bytes:
    """All that stands in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_nothing_secret_is_kept_or_told(
    office: BackOffice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No password, token or signing key stands in the books, the events or the log; no hash in any event."""
    caplog.set_level("DEBUG")
    login = await office.log_in(ADMIN)
    pair = await refreshed(office, login["refreshToken"])
    made = await made_token(office, pair["token"])
    await me(office, made["token"])
    await new_password(office, pair["token"], 200, PASSWORD, NEW_PASSWORD)
    await office.log_in(ADMIN, "a wrong password", 401)
    secrets = [PASSWORD, NEW_PASSWORD, "a wrong password", login["token"], pair["token"], made["token"]]
    secrets += [login["refreshToken"], pair["refreshToken"], login["refreshToken"].rpartition(".")[2]]
    files = await asyncio.to_thread(written_in, tmp_path)
    assert b"argon2id" in files
    for secret in secrets:
        assert secret.encode() not in files
        assert secret not in caplog.text
    assert bytes(range(32)) not in files
    rows = office.books.store._database.reading.execute("SELECT body FROM events").fetchall()
    assert len(rows) == 8
    assert not [body for (body,) in rows if b"argon2" in body or b"eie_" in body]


async def test_all_of_it_is_noted(office: BackOffice) -> None:
    """Who came in and out, changed a password, and made and revoked tokens."""
    login = await office.token(CLERK)
    made = await made_token(office, login, permissions=["packages:view"])
    await office.ask("DELETE", f"/api/auth/tokens/{made['id']}", 200, token=login)
    await new_password(office, login, 200, PASSWORD, NEW_PASSWORD)
    await office.ask("POST", "/api/auth/logout", 200, token=login)
    acts = office.books.store.read.acts.page("default", None, 5).rows
    assert [each.kind for each in reversed(acts)] == [
        "staff.logged_in",
        "staff.token_made",
        "staff.token_revoked",
        "staff.password_changed",
        "staff.logged_out",
    ]
    assert {each.by for each in acts} == {CLERK}
