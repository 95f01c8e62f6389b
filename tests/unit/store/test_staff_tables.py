"""Users, logins and API tokens give back what they were given, and are found by their keys."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import ApiToken, StaffLogin, StaffUser, UserStatus
from tests.fakes.clocks import START
from tests.unit.shop import tables_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.domain.paging import Position
    from easyisp_edge.store.store import Tables

USER = StaffUser(
    user_id="u1",
    email="mary@x.ke",
    name="Mary",
    tenant_id="default",
    role=Role.STAFF,
    added=frozenset({Permission.PAYMENTS_REFUND, Permission.AUDIT_VIEW}),
    removed=frozenset({Permission.VOUCHERS_MAKE}),
    status=UserStatus.ACTIVE,
    created_at=START,
    changed_at=START,
)
LOGIN = StaffLogin("l1", "u1", "10.0.0.9", 1, b"1" * 32, START, START, START + timedelta(days=30))
TOKEN = ApiToken("t1", "u1", "books", frozenset({Permission.AUDIT_VIEW}), START, START + timedelta(days=1), None)


@pytest.fixture(name="tables")
def _tables() -> Iterator[Tables]:
    connection, tables = tables_in_memory()
    tables.staff_users.add(USER, "hash")
    tables.staff_logins.add(LOGIN)
    tables.api_tokens.add(TOKEN, b"t" * 32)
    yield tables
    connection.close()


def test_what_was_written_comes_back(tables: Tables) -> None:
    """All of it, and as it was changed."""
    assert tables.staff_users.by_id("u1") == tables.staff_users.by_email("mary@x.ke") == USER
    assert tables.staff_users.password_hash("u1") == "hash"
    assert tables.staff_logins.carried("l1") == (USER, LOGIN)
    assert tables.api_tokens.carried(b"t" * 32) == (USER, TOKEN)
    changed = replace(USER, email="m@x.ke", name="M", role=Role.VIEWER, added=frozenset(), status=UserStatus.SUSPENDED)
    tables.staff_users.update(changed)
    turned = replace(LOGIN, turn=2, refresh_digest=b"2" * 32, turned_at=START + timedelta(hours=1))
    tables.staff_logins.update(turned)
    tables.api_tokens.used("t1", START)
    assert tables.staff_logins.carried("l1") == (changed, turned)
    assert tables.api_tokens.of_user("u1") == [replace(TOKEN, used_at=START)]


def test_what_is_not_there_is_not_found(tables: Tables) -> None:
    """Nor by what is somebody else's."""
    assert tables.staff_users.by_id("u2") is tables.staff_users.by_email("Mary@x.ke") is None
    assert tables.staff_users.password_hash("") is None
    assert tables.staff_logins.carried("") is None
    assert tables.api_tokens.carried(b"") is None
    assert not tables.staff_logins.has_come_from("u1", "10.0.0.8")
    assert not tables.staff_logins.has_come_from("", "10.0.0.9")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user_id": "u2"}, "staff_users.email"),
        ({"user_id": "u2", "email": "A@x.ke"}, "CHECK"),
        ({"user_id": "u2", "email": "a@x.ke", "tenant_id": None}, "CHECK"),
    ],
)
def test_the_database_refuses_it_too(tables: Tables, changes: dict[str, Any], why: str) -> None:
    """One address twice, in another spelling, or somebody who is nobody's and no SUPER_ADMIN."""
    with pytest.raises(sqlite3.IntegrityError, match=why):
        tables.staff_users.add(replace(USER, **changes), "hash")


def test_a_permission_of_another_release_gives_nothing() -> None:
    """A box that goes back a release still lets its people in."""
    connection, tables = tables_in_memory()
    tables.staff_users.add(USER, "hash")
    connection.execute("UPDATE staff_users SET added_permissions = 'rockets:launch audit:view'")
    found = tables.staff_users.by_id("u1")
    assert found is not None
    assert found.added == {Permission.AUDIT_VIEW}
    connection.close()


def test_logins_end_with_their_user(tables: Tables) -> None:
    """And API tokens."""
    tables.staff_users.remove("u1")
    assert tables.staff_logins.carried("l1") is None
    assert tables.api_tokens.carried(b"t" * 32) is None


def test_logins_end_one_by_one_and_all_but_one(tables: Tables) -> None:
    """As they are asked to."""
    for number in (2, 3):
        tables.staff_logins.add(replace(LOGIN, login_id=f"l{number}", refresh_digest=bytes([number])))
    tables.staff_logins.end("l1")
    assert tables.staff_logins.end_all("u1", but="l3") == 1
    assert tables.staff_logins.carried("l3") is not None
    assert tables.staff_logins.end_all("u1") == 1


def test_only_active_ones_look_after_the_box(tables: Tables) -> None:
    """Not those of a tenant, nor the suspended."""
    for number, (tenant_id, status) in enumerate(
        [(None, UserStatus.ACTIVE), (None, UserStatus.SUSPENDED), ("default", UserStatus.ACTIVE)]
    ):
        user = replace(USER, user_id=f"s{number}", email=f"s{number}@x.ke", role=Role.SUPER_ADMIN)
        tables.staff_users.add(replace(user, tenant_id=tenant_id, status=status), "hash")
    assert tables.staff_users.count_looking_after_box() == 1


def test_pages_join_without_gap() -> None:
    """Each user once, the newest first, whatever the size of the pages; a tenant's only."""
    connection, tables = tables_in_memory()
    for number in range(20):
        at = START + timedelta(seconds=number // 3)
        user = replace(USER, user_id=f"u{number:02}", email=f"{number}@x.ke", created_at=at)
        tables.staff_users.add(replace(user, tenant_id="b" if number % 4 == 0 else "default"), "hash")
    for tenant_id, expected in ((None, 20), ("b", 5), ("default", 15), ("c", 0)):
        for limit in (1, 4, 20):
            seen: list[StaffUser] = []
            after: Position | None = None
            while True:
                page = tables.staff_users.page(tenant_id, after, limit)
                seen += page.rows
                after = page.next
                if after is None:
                    break
            assert len(seen) == len({each.user_id for each in seen}) == expected
            assert seen == sorted(seen, key=lambda user: (user.created_at, user.user_id), reverse=True)
    connection.close()


ASKED_AT_EACH_REQUEST: list[Callable[[Tables], object]] = [
    lambda tables: tables.staff_logins.carried("l1"),
    lambda tables: tables.api_tokens.carried(b"t"),
    lambda tables: tables.staff_users.by_email("m@x.ke"),
    lambda tables: tables.staff_logins.has_come_from("u1", "10.0.0.9"),
    lambda tables: tables.staff_users.page(None, None, 50),
    lambda tables: tables.staff_users.page("default", None, 50),
    lambda tables: tables.api_tokens.of_user("u1"),
    lambda tables: tables.staff_logins.end_old("u1", 20, START),
]


@pytest.mark.parametrize("ask", ASKED_AT_EACH_REQUEST)
def test_what_is_asked_often_reads_no_whole_table(ask: Callable[[Tables], object]) -> None:
    """Each step goes through an index, and nothing is sorted."""
    connection, tables = tables_in_memory()
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    ask(tables)
    connection.set_trace_callback(None)
    steps = [row[3] for query in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert steps
    assert not [step for step in steps if "TEMP B-TREE" in step or (step.startswith("SCAN") and "INDEX" not in step)]
    connection.close()
