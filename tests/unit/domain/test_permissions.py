"""Who may do what, and what can be a user: pure rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.permissions import Permission, Role, is_beyond, permissions_of
from easyisp_edge.domain.users import Caller, StaffUser, UserStatus, check_password, parse_email, parse_name
from easyisp_edge.errors import InvalidError
from tests.fakes.clocks import START

ROLES = st.sampled_from(Role)
SOME = st.frozensets(st.sampled_from(Permission))
NONE: frozenset[Permission] = frozenset()
USER = StaffUser("u", "u@x.ke", "U", "default", Role.STAFF, NONE, NONE, UserStatus.ACTIVE, START, START)


@given(ROLES, SOME, SOME)
def test_added_and_removed_permissions_count(
    role: Role, added: frozenset[Permission], removed: frozenset[Permission]
) -> None:
    """What is added is there unless it is removed, too; a SUPER_ADMIN keeps all."""
    may = permissions_of(role, added, removed)
    if role is Role.SUPER_ADMIN:
        assert may == frozenset(Permission)
    else:
        assert may == (permissions_of(role) | added) - removed


@given(ROLES, ROLES)
def test_roles_stand_above_each_other_one_way(one: Role, other: Role) -> None:
    """Never both ways, and a role that stands above another may do no less by itself."""
    assert not (is_beyond(one, other) and is_beyond(other, one))
    if is_beyond(one, other):
        assert permissions_of(one) >= permissions_of(other)


def test_who_runs_all_stands_above_who_runs_a_business() -> None:
    """And that one above everybody else; else an ADMIN could make a SUPER_ADMIN."""
    assert is_beyond(Role.SUPER_ADMIN, Role.ADMIN)
    assert all(is_beyond(Role.ADMIN, role) for role in set(Role) - {Role.ADMIN, Role.SUPER_ADMIN})


@given(ROLES, SOME, ROLES, SOME, SOME)
def test_nobody_is_within_who_may_less(
    role: Role, may: frozenset[Permission], own: Role, added: frozenset[Permission], removed: frozenset[Permission]
) -> None:
    """A user is within a caller only if they may nothing the caller may not, and their role is not above."""
    user = replace(USER, role=own, added=added, removed=removed)
    within = user.is_within(Caller("c", "c", None, role, may))
    assert within == (user.permissions <= may and not is_beyond(own, role))


@pytest.mark.parametrize("text", ["Mary@Example.COM ", "m.n+shop@x.co.ke", "admin@box", "o'neill@x.ke"])
def test_addresses_have_one_form(text: str) -> None:
    """Small letters without blanks around, and twice the same as once."""
    email = parse_email(text)
    assert email == email.strip().lower() == parse_email(email)


@pytest.mark.parametrize(
    "text",
    ["", "mary", "@x.ke", "mary@", "a b@x.ke", "m@x.ke\n.evil", "m@-x", "a@b@c", "m\u0131@x.ke", "m" * 250 + "@x.ke"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Also what would only look like somebody else's."""
    with pytest.raises(InvalidError, match=r"user\.email"):
        parse_email(text)


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a" * 201, "a\x1b[2J"])
def test_a_name_is_one_line(text: str) -> None:
    """Nothing in it changes what a terminal or a log shows."""
    with pytest.raises(InvalidError, match=r"user\.name"):
        parse_name(text)


@pytest.mark.parametrize("password", ["123456789", "x" * 201, "U@longer-x.ke", " u@longer-x.ke "])
def test_easy_passwords_are_refused(password: str) -> None:
    """Too short, too long to hash for everybody who asks, or the name that everybody knows."""
    with pytest.raises(InvalidError) as refused:
        check_password(password, "u@longer-x.ke", field="newPassword")
    assert refused.value.field == "newPassword"
    check_password("0123456789", "u@longer-x.ke")
