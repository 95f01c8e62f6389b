"""Users made, changed and removed by each other: nobody gives or takes more than they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.permissions import Permission, Role, permissions_of
from easyisp_edge.domain.users import Caller, StaffUser, UserStatus
from easyisp_edge.errors import ForbiddenError
from easyisp_edge.services.staff.users import _refuse_beyond, _refuse_given
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

NEW = {"name": "New One", "email": "new@example.com", "password": PASSWORD, "role": "VIEWER"}
NEW_PASSWORD = "staple of another colour"


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[BackOffice]:
    async with open_back_office(tmp_path) as office:
        await office.add_all()
        yield office


async def made(office: BackOffice, by: str, expect: int = 201, **changes: Any) -> dict[str, Any]:
    return await office.ask("POST", "/api/users", expect, token=await office.token(by), json=NEW | changes)


async def changed(office: BackOffice, by: str, whom: str, expect: int = 200, **changes: Any) -> dict[str, Any]:
    path = f"/api/users/{await office.user_id(whom)}"
    return await office.ask("PUT", path, expect, token=await office.token(by), json=changes)


async def removed(office: BackOffice, by: str, whom: str, expect: int = 200) -> dict[str, Any]:
    path = f"/api/users/{await office.user_id(whom)}"
    return await office.ask("DELETE", path, expect, token=await office.token(by))


async def emails(office: BackOffice, by: str, query: str = "") -> list[str]:
    told = await office.ask("GET", f"/api/users{query}", 200, token=await office.token(by))
    return [each["email"] for each in told["items"]]


# --- making


async def test_a_user_is_made_and_may_log_in(office: BackOffice) -> None:
    """Of the maker's tenant, whatever else is said."""
    told = await made(office, ADMIN, addedPermissions=["audit:view"], tenantId="b", id="x", status="SUSPENDED")
    assert (told["tenantId"], told["status"], told["addedPermissions"]) == ("default", "ACTIVE", ["audit:view"])
    assert "password" not in str(told).lower().replace("settings:password", "")
    shown = await office.ask("GET", f"/api/users/{told['id']}", 200, token=await office.token(ADMIN))
    assert shown["email"] == "new@example.com"
    await office.log_in("new@example.com")


async def test_an_address_is_taken_once(office: BackOffice) -> None:
    """However it is written, also by a user of another tenant."""
    for taken in (CLERK.upper(), f" {STRANGER} "):
        assert (await made(office, ADMIN, 409, email=taken))["code"] == "user.exists"
    assert (await changed(office, ADMIN, CLERK, 409, email=VIEWER))["code"] == "user.exists"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "new"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "new@example.com"}, "password"),
        ({"name": "\u0007"}, "name"),
        ({"role": "OWNER"}, "role"),
        ({"addedPermissions": ["sms:view"]}, "addedPermissions.0"),
        ({"password": None}, "password"),
    ],
)
async def test_what_cannot_be_is_refused(office: BackOffice, changes: dict[str, Any], field: str) -> None:
    """With the field at fault, and nobody is made."""
    assert (await made(office, ADMIN, 400, **changes))["field"] == field
    assert office.books.count("staff_users") == 5


async def test_nobody_makes_somebody_above(office: BackOffice) -> None:
    """An ADMIN makes no SUPER_ADMIN; who may not say what others may does not; nobody gives what they lack."""
    assert (await made(office, ADMIN, 403, role="SUPER_ADMIN"))["code"] == "user.beyond_you"
    may = frozenset({Permission.OPERATORS_ADD, Permission.OPERATORS_EDIT, Permission.OPERATORS_VIEW})
    await office.add("head@example.com", Role.STAFF, added=may)
    told = await made(office, "head@example.com", 403, addedPermissions=["packages:view"])
    assert told["permission"] == "operators:manage_permissions"
    assert (await made(office, "head@example.com", 403, role="ADMIN"))["code"] == "user.beyond_you"
    await made(office, "head@example.com", role="STAFF")
    await office.add("chief@example.com", Role.STAFF, added=may | {Permission.OPERATORS_MANAGE_PERMISSIONS})
    told = await made(office, "chief@example.com", 403, email="n2@x.ke", addedPermissions=["payments:refund"])
    assert told["code"] == "user.beyond_you"


ROLES = st.sampled_from(Role)
SOME = st.frozensets(st.sampled_from(Permission))


@given(ROLES, SOME, ROLES, SOME, SOME)
def test_what_is_let_pass_gives_no_more(
    role: Role, may: frozenset[Permission], given_role: Role, added: frozenset[Permission], gone: frozenset[Permission]
) -> None:
    """Whatever anybody asks for: what passes both checks may nothing that the caller may not."""
    caller = Caller("c", "c@x.ke", "default", role, permissions_of(role) & may, "l1")
    user = StaffUser("u", "u@x.ke", "U", "default", given_role, added, gone, UserStatus.ACTIVE, START, START)
    try:
        _refuse_beyond(user, caller)
        _refuse_given(user, caller, touches_rights=True)
    except ForbiddenError:
        return
    assert user.permissions <= caller.permissions
    assert Permission.OPERATORS_MANAGE_PERMISSIONS in caller.permissions


# --- changing


async def test_a_user_is_changed(office: BackOffice) -> None:
    """What is left out stays; a new address is the one to log in with."""
    told = await changed(office, ADMIN, CLERK, name="Chief Clerk", role="CUSTOMER_CARE", email="Chief@example.com")
    assert (told["name"], told["role"], told["email"]) == ("Chief Clerk", "CUSTOMER_CARE", "chief@example.com")
    told = await changed(office, ADMIN, "chief@example.com", removedPermissions=["settings:password"])
    assert told["name"] == "Chief Clerk"
    assert "settings:password" not in told["permissions"]
    await office.log_in("chief@example.com")
    await office.log_in(CLERK, expect=401)


async def test_a_password_that_was_forgotten_is_set(office: BackOffice) -> None:
    """All logins of that user end; one's own is changed elsewhere, with the old one."""
    token = await office.token(CLERK)
    await changed(office, ADMIN, CLERK, password=NEW_PASSWORD)
    await office.ask("GET", "/api/auth/me", 401, token=token)
    await office.log_in(CLERK, NEW_PASSWORD)
    assert (await changed(office, ADMIN, ADMIN, 403, password=NEW_PASSWORD))["code"] == "user.own_password"
    told = await changed(office, ADMIN, CLERK, 400, email="word.of.ten@x.ke", password="word.of.ten@x.ke")
    assert told["code"] == "password.is_email"


async def test_nobody_touches_who_may_more(office: BackOffice) -> None:
    """Neither word, name nor life of theirs: whoever sets a password may be that user."""
    await office.add("boss@example.com", Role.SUPER_ADMIN)
    for change in ({"password": NEW_PASSWORD}, {"name": "x"}, {"role": "VIEWER"}, {"status": "SUSPENDED"}):
        assert (await changed(office, ADMIN, "boss@example.com", 403, **change))["code"] == "user.beyond_you"
    assert (await removed(office, ADMIN, "boss@example.com", 403))["code"] == "user.beyond_you"
    less = frozenset({Permission.OPERATORS_EDIT, Permission.OPERATORS_DELETE})
    await office.add("head@example.com", Role.VIEWER, added=less)
    assert (await changed(office, "head@example.com", CLERK, 403, password=NEW_PASSWORD))["code"] == "user.beyond_you"
    assert (await removed(office, "head@example.com", CLERK, 403))["code"] == "user.beyond_you"
    await changed(office, "head@example.com", VIEWER, name="Mere Viewer")


async def test_nobody_raises_themselves(office: BackOffice) -> None:
    """Not by role, nor by a permission added or given back."""
    may = frozenset({Permission.OPERATORS_EDIT, Permission.OPERATORS_MANAGE_PERMISSIONS})
    await office.add("head@example.com", Role.STAFF, added=may, removed=frozenset({Permission.VOUCHERS_MAKE}))
    higher: list[dict[str, Any]] = [
        {"role": "ADMIN"},
        {"addedPermissions": ["payments:refund"]},
        {"removedPermissions": []},
    ]
    for change in higher:
        told = await changed(office, "head@example.com", "head@example.com", 403, **change)
        assert told["code"] == "user.beyond_you"
    await changed(office, "head@example.com", "head@example.com", addedPermissions=["operators:edit"])
    assert (await changed(office, ADMIN, ADMIN, 403, role="SUPER_ADMIN"))["code"] == "user.beyond_you"


async def test_nobody_ends_themselves(office: BackOffice) -> None:
    """Neither suspended nor removed by oneself, at whatever rank."""
    await office.add("second@example.com", Role.SUPER_ADMIN, None)
    for own in (ADMIN, OWNER):
        assert (await changed(office, own, own, 409, status="SUSPENDED"))["code"] == "user.yourself"
        assert (await removed(office, own, own, 409))["code"] == "user.yourself"


async def test_somebody_looks_after_the_box_always(office: BackOffice) -> None:
    """The last one is neither demoted, suspended nor removed, by whomever; with another one it may be."""
    assert (await changed(office, OWNER, OWNER, 409, role="ADMIN"))["code"] == "user.last_admin"
    await office.add("second@example.com", Role.SUPER_ADMIN, None)
    assert (await changed(office, OWNER, "second@example.com", 409, role="ADMIN"))["code"] == "user.tenant"
    await changed(office, OWNER, "second@example.com", status="SUSPENDED")
    await changed(office, OWNER, "second@example.com", status="ACTIVE")
    await removed(office, "second@example.com", OWNER)
    assert await emails(office, "second@example.com", "?limit=1") == ["second@example.com"]


async def test_who_is_removed_is_gone(office: BackOffice) -> None:
    """With logins and tokens; what they did stays, and the address is free again."""
    token = await office.token(CLERK)
    program = await office.ask(
        "POST", "/api/auth/tokens", 201, token=token, json={"name": "x", "permissions": ["packages:view"]}
    )
    await removed(office, ADMIN, CLERK)
    for carried in (token, program["token"]):
        await office.ask("GET", "/api/auth/me", 401, token=carried)
    await office.log_in(CLERK, expect=401)
    assert (office.books.count("staff_logins"), office.books.count("api_tokens")) == (1, 0)
    assert CLERK in {each.by for each in office.books.store.read.acts.page("default", None, 50).rows}
    await made(office, ADMIN, email=CLERK)


# --- whose


async def test_users_see_their_own(office: BackOffice) -> None:
    """A tenant's users theirs; who looks after the box all, or whom they ask for."""
    assert set(await emails(office, ADMIN)) == {ADMIN, CLERK, VIEWER}
    assert await emails(office, STRANGER) == [STRANGER]
    assert set(await emails(office, OWNER)) == {OWNER, ADMIN, CLERK, VIEWER, STRANGER}
    assert await emails(office, OWNER, "?tenantId=b") == [STRANGER]
    token = await office.token(ADMIN)
    for other in ("b", "nobody"):
        assert (await office.ask("GET", f"/api/users?tenantId={other}", 404, token=token))["code"] == "tenant.unknown"


async def test_other_tenants_users_are_out_of_reach(office: BackOffice) -> None:
    """And those who look after the box: as if they did not exist, word for word."""
    token, told = await office.token(ADMIN), []
    for user_id in (await office.user_id(STRANGER), await office.user_id(OWNER), "nobody"):
        for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
            answer = await office.ask(method, f"/api/users/{user_id}", 404, token=token, json=body)
            told.append((answer["code"], answer["message"]))
    assert len(set(told)) == 1
    assert await emails(office, OWNER, "?limit=200") == (await emails(office, OWNER))


async def test_lists_come_in_pages(office: BackOffice) -> None:
    """Newest first, each user once, also those of the same moment."""
    office.books.time.advance(1)
    await office.add("late@example.com")
    token, seen, cursor = await office.token(OWNER), [], ""
    for _ in range(3):
        told = await office.ask("GET", f"/api/users?limit=2{cursor}", 200, token=token)
        seen += [each["email"] for each in told["items"]]
        cursor = f"&cursor={told['nextCursor']}"
    assert told["nextCursor"] is None
    assert seen[0] == "late@example.com"
    assert sorted(seen) == sorted([OWNER, ADMIN, CLERK, VIEWER, STRANGER, "late@example.com"])


async def test_all_permissions_are_told(office: BackOffice) -> None:
    """With what each role may do, for whoever shows a form of them."""
    told = await office.ask("GET", "/api/permissions", 200, token=await office.token(VIEWER))
    assert set(told["permissions"]) == set(Permission)
    assert {each["role"]: set(each["permissions"]) for each in told["roles"]} == {
        role.value: set(permissions_of(role)) for role in Role
    }


async def test_each_change_is_noted(office: BackOffice) -> None:
    """By whom, and what; of a password only that there is a new one."""
    user_id = (await made(office, ADMIN))["id"]
    await changed(office, ADMIN, "new@example.com", role="STAFF", password=NEW_PASSWORD)
    await removed(office, ADMIN, "new@example.com")
    acts = [each for each in office.books.store.read.acts.page("default", None, 50).rows if each.key == user_id]
    assert [(each.kind, each.by) for each in reversed(acts)] == [
        ("staff.user_made", ADMIN),
        ("staff.user_changed", ADMIN),
        ("staff.user_removed", ADMIN),
    ]
    assert acts[1].data == {"tenant": "default", "email": "new@example.com", "role": "STAFF", "newPassword": True}
