"""Who may not change anything changes nothing, and who may not see a thing does not: every operation, every caller."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import TOKEN_LIFE
from easyisp_edge.services.staff.login_tokens import API_TOKEN_PREFIX, LoginTokens
from easyisp_edge.services.staff.users import Author, UserChange
from tests.whole.back_office_requests import OPEN, right
from tests.whole.back_office_site import OPERATIONS, BackOfficeSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# What is anybody's who is logged in: to see and end the own login, and to see the own tokens and what roles are.
ANYBODYS = {"showMe", "listMyTokens", "listPermissions"}
# What a VIEWER sees, as an owner is told it; and nothing else.
VIEWER_SEES = ANYBODYS | {
    "listElectronicPayments",
    "listMpesaPayments",
    "showMpesaStatistics",
    "listUnmatchedPayments",
    "listManualPayments",
    "listPackages",
    "showPackage",
    "listCustomers",
    "showCustomer",
    "listGrants",
    "showGrant",
    "listSessions",
    "listVoucherBatches",
    "showVoucherBatch",
    "listRouters",
    "listProblems",
}
WRITES = {name for name, told in OPERATIONS.items() if told.method != "GET"}
CLOSED = set(OPERATIONS) - OPEN


@dataclass
class Office:
    """A box with something of everything, and whom it knows.

    Args:
        site: The box.
        admin: The token of the ADMIN of ours.
    """

    site: BackOfficeSite
    admin: str

    async def statuses(self, token: str) -> dict[str, tuple[int, str]]:
        """What each operation that is not open to everybody answers a caller, and why; logging out comes last."""
        names = sorted(CLOSED, key=lambda name: name == "logOut")
        found = {}
        for name in names:
            request = right(name, self.site.ours.ids)
            answered = await self.site.ask(request.operation.method, request.path, token, **request.sent)
            found[name] = (answered.status, answered.code)
        return found


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A box with something of everything."""
    async with BackOfficeSite(tmp_path) as site:
        admin = await site.furnish(site.ours)
        await site.until_on(1)
        yield Office(site, admin)


async def _changes_nothing(office: Office, token: str, allowed: set[str]) -> None:
    """All is refused for want of a permission but what is allowed; then nothing in the books is another."""
    before = await office.site.rows()
    found = await office.statuses(token)
    assert {name for name, (status, _) in found.items() if status == 200} == allowed
    refused = {name: told for name, told in found.items() if name not in allowed}
    assert set(refused.values()) == {(403, "permission.missing")}, refused
    after = await office.site.rows()
    if "logOut" in allowed:  # the one thing that is noted, and all that is gone is the login itself
        before.pop("staff_logins"), after.pop("staff_logins")
        noted = set(after.pop("events")) - set(before.pop("events"))
        assert len(noted) == 1
        assert "staff.logged_out" in noted.pop()
        assert len(after.pop("acts")) == len(before.pop("acts")) + 1
    assert after == before


async def test_a_viewer_changes_nothing(office: Office) -> None:
    """A VIEWER is refused every change but the end of the own login, and sees what is listed here and no more."""
    viewer = await office.site.user("viewer@east.example", Role.VIEWER, "east")
    await _changes_nothing(office, await office.site.token(viewer), VIEWER_SEES | {"logOut"})


async def test_nobody_without_a_permission_sees_or_changes_anything(office: Office) -> None:
    """One from whom all was taken away sees who it is, the permissions there are, and can log out."""
    nobody = await office.site.user("nobody@east.example", Role.ADMIN, "east", removed=frozenset(Permission))
    await _changes_nothing(office, await office.site.token(nobody), ANYBODYS | {"logOut"})


async def test_one_permission_gives_its_own_operations_and_no_other(office: Office) -> None:
    """Whoever has one permission alone is refused what needs another one, whatever the role once gave."""
    for permission in Permission:
        others = frozenset(Permission) - {permission}
        someone = await office.site.user(f"{permission.name}@east.example", Role.ADMIN, "east", removed=others)
        found = await office.statuses(await office.site.token(someone))
        admitted = {name for name, (_, code) in found.items() if code != "permission.missing"}
        own = {name for name in CLOSED if OPERATIONS[name].needs == permission}
        assert admitted == ANYBODYS | {"logOut"} | own


class TestApiTokens:
    async def test_a_token_does_what_it_was_made_for_alone(self, office: Office) -> None:
        """A token made for exports by an ADMIN exports; the rest is refused, and what takes a person, too."""
        token = await _api_token(office, ["payments:export"])
        await office.site.ask("GET", "/api/payments/export.csv", token)  # that it is used is noted once
        before = await office.site.rows()
        found = await office.statuses(token)
        assert {name for name, (status, _) in found.items() if status == 200} == ANYBODYS | {"exportPayments"}
        assert found.pop("logOut") == (403, "login.needed_in_person")
        refused = {told for name, told in found.items() if name not in ANYBODYS | {"exportPayments"}}
        assert refused == {(403, "permission.missing")}
        assert await office.site.rows() == before

    async def test_a_token_with_all_there_is_makes_no_users_and_no_tokens(self, office: Office) -> None:
        """A program with every permission cannot make, change or end what lets people in."""
        token = await _api_token(office, sorted(Permission))
        for name in ("makeUser", "changeUser", "removeUser", "makeMyToken", "revokeMyToken", "changeMyPassword"):
            request = right(name, office.site.ours.ids)
            answered = await office.site.ask(request.operation.method, request.path, token, **request.sent)
            assert (answered.status, answered.code) == (403, "login.needed_in_person"), name

    async def test_a_revoked_token_and_one_of_a_lesser_user_are_worth_less(self, office: Office) -> None:
        """Revoked it is nothing; of a user who lost a permission it has lost it, too."""
        token = await _api_token(office, ["payments:export", "packages:view"])
        users, admin = office.site.auth.users, office.site.ours.ids["admin"]
        await users.change(admin, UserChange(removed=frozenset({Permission.PAYMENTS_EXPORT})), Author("root"))
        assert (await office.site.ask("GET", "/api/payments/export.csv", token)).status == 403
        assert (await office.site.ask("GET", "/api/packages", token)).status == 200
        mine = await office.site.done("GET", "/api/auth/tokens", office.admin)
        await office.site.done("DELETE", f"/api/auth/tokens/{mine[0]['id']}", office.admin)
        assert set((await office.statuses(token)).values()) == {(401, "token.unknown")}


async def _api_token(office: Office, permissions: list[str]) -> str:
    made = await office.site.done("POST", "/api/auth/tokens", office.admin, name="a program", permissions=permissions)
    return str(made["token"])


class TestWhoIsNotLetIn:
    async def test_whose_login_is_over(self, office: Office) -> None:
        """After logging out, a suspension, and the end of the user, tokens are good for nothing; programs' neither."""
        site = office.site
        users = site.auth.users
        viewer = await site.user("viewer@east.example", Role.ADMIN, "east")
        out, suspended, removed = [await site.token(viewer) for _ in range(3)]
        made = await site.done("POST", "/api/auth/tokens", suspended, name="a program", permissions=["packages:view"])
        program = str(made["token"])
        await site.done("POST", "/api/auth/logout", out)
        await self._nothing_for(office, out, "login.ended")
        await site.done("PUT", f"/api/users/{viewer.user_id}", office.admin, status="SUSPENDED")
        await self._nothing_for(office, suspended, "login.ended")
        await self._nothing_for(office, program, "login.ended")
        await users.remove(viewer.user_id, Author("root"))
        await self._nothing_for(office, removed, "login.ended")
        await self._nothing_for(office, program, "token.unknown")

    async def test_whose_token_is_over(self, office: Office) -> None:
        """A token is good for a quarter of an hour, to the second, though its login goes on."""
        site = office.site
        logins = site.auth.sign_in.logins
        clerk = await site.user("late@east.example", Role.ADMIN, "east")
        said = logins.tokens.read(await site.token(clerk), logins.clock.now())
        begun = logins.clock.now() - TOKEN_LIFE
        await self._nothing_for(office, logins.tokens.sign(clerk, said.login_id, begun), "token.expired")
        standing = logins.tokens.sign(clerk, said.login_id, begun + timedelta(seconds=30))
        assert (await site.ask("GET", "/api/auth/me", standing)).status == 200

    async def test_whose_token_was_made_up(self, office: Office) -> None:
        """Signed by nobody, by another key, by another method, for another user or cut short: not known here."""
        site = office.site
        logins = site.auth.sign_in.logins
        said = logins.tokens.read(office.admin, logins.clock.now())
        claims = jwt.decode(office.admin, options={"verify_signature": False})
        clerk = dataclasses.replace(site.owner, user_id=said.user_id)
        head, body, seal = office.admin.split(".")
        richer = _part({**claims, "userId": site.owner.user_id})
        forged = {
            jwt.encode(claims, None, algorithm="none"),
            f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
            LoginTokens(bytes(32)).sign(clerk, said.login_id, logins.clock.now()),
            jwt.encode(claims, logins.tokens.key * 2, algorithm="HS512"),
            f"{head}.{richer}.{seal}",
            office.admin[:-1],
            API_TOKEN_PREFIX + "A" * 43,
            "null",
        }
        for token in forged:
            await self._nothing_for(office, token, "token.unknown")

    async def test_who_is_another_than_the_login_says(self, office: Office) -> None:
        """A token signed here for one user with another's login lets in neither."""
        site = office.site
        logins = site.auth.sign_in.logins
        said = logins.tokens.read(office.admin, logins.clock.now())
        mixed = logins.tokens.sign(site.owner, said.login_id, logins.clock.now())
        await self._nothing_for(office, mixed, "login.ended")

    async def test_who_carries_nothing(self, office: Office) -> None:
        """No header, another scheme, a token in the address or an empty one: log in."""
        site = office.site
        for headers in ({}, {"Authorization": f"Basic {office.admin}"}, {"Authorization": "Bearer "}):
            answered = await site.ask("GET", f"/api/users?token={office.admin}", headers=headers)
            assert (answered.status, answered.code) == (401, "login.needed")
            assert answered.headers["WWW-Authenticate"] == "Bearer"

    async def _nothing_for(self, office: Office, token: str, code: str) -> None:
        before = await office.site.rows()
        assert set((await office.statuses(token)).values()) == {(401, code)}
        assert await office.site.rows() == before


def test_the_lists_here_are_of_operations_there_are() -> None:
    """What is said to be open, anybody's or a VIEWER's exists; what is open carries no permission in the document."""
    assert OPEN | VIEWER_SEES | {"logOut"} <= set(OPERATIONS)
    assert not VIEWER_SEES & WRITES


def _part(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
