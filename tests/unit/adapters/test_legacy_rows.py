"""Rows of users that others made, in our values: Mikhmon's terms in all versions, schedulers, what cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from easyisp_edge.adapters.routeros.legacy_rows import LegacyRows, mikhmon_terms, tables_of
from easyisp_edge.domain.imported_users import ExpiryMode, LegacyTables
from easyisp_edge.domain.user_usage import Used
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.errors import InvalidError

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TAIL = "; {:local date [ /system clock get date ]}"


def tables(*users: dict[str, str], **more: list[dict[str, str]]) -> LegacyTables:
    """A router with those users."""
    rows = {"profiles": [], "active": [], "schedulers": [], **more}
    return tables_of(LegacyRows(users, rows["profiles"], rows["active"], rows["schedulers"]), NAIROBI, NOW, shown=NOW)


@pytest.mark.parametrize(
    ("script", "mode", "days", "shillings"),
    [
        (':put (",rem,5000,1d,6000,,Disable,")', ExpiryMode.REMOVE, 1, (5000, 6000)),
        (':put (",ntf,50,30d,0,,Disable,")', ExpiryMode.NOTICE, 30, (50,)),
        (':put (",remc,50,4w3d,60,,Enable,")', ExpiryMode.REMOVE_AND_RECORD, 31, (50, 60)),
        (':put (",ntfc,0,1d,,,Disable,")', ExpiryMode.NOTICE_AND_RECORD, 1, ()),
        (':put (",rem,20,1d,5m,,Disable,")', ExpiryMode.REMOVE, 1, (20,)),  # version 2: a grace period
        (':put (",rem,20,1d,25,,Disable,Enable,")', ExpiryMode.REMOVE, 1, (20, 25)),  # version 4: locks the server too
        (':put (",rem,20,1d 00:00:00,25,,Disable,")', ExpiryMode.REMOVE, 1, (20, 25)),
        (':put (",,50000,,,noexp,Disable,")', ExpiryMode.NEVER, None, (50000,)),
        (':put (",0,50,,60,noexp,Enable,Disable,")', ExpiryMode.NEVER, None, (50, 60)),
        (':put (",rem,50,soon,60,,Disable,")', ExpiryMode.REMOVE, None, (50, 60)),
        (':put (",rem,50,9999w,60,,Disable,")', ExpiryMode.REMOVE, None, (50, 60)),
    ],
)
def test_terms_in_all_versions(script: str, mode: ExpiryMode, days: int | None, shillings: tuple[int, ...]) -> None:
    """Each thing has its place among the commas."""
    terms = mikhmon_terms(script + TAIL)
    assert terms is not None
    assert terms.mode is mode
    assert terms.validity == (None if days is None else timedelta(days=days))
    assert terms.prices == tuple(Money.shillings(each) for each in shillings)


@pytest.mark.parametrize("script", ["", ":log info hello", ':put ("hello")', ':put (",other,1,1d,1,,Disable,")'])
def test_other_scripts_are_not_mikhmons(script: str) -> None:
    """Then the profile has no terms."""
    assert mikhmon_terms(script) is None


def test_a_row_as_the_router_shows_it() -> None:
    """With what its sessions used, those under way apart; a session by RADIUS is of no user here."""
    row = {
        "name": "kofi", "password": "7731", "profile": "1d", "comment": "2026-11-24 12:00:00 N", "limit-uptime": "5h",
        "limit-bytes-total": "1000", "uptime": "1h", "bytes-in": "10", "bytes-out": "20", "disabled": "false",
        "mac-address": "00:00:00:00:00:00", "dynamic": "false",
    }  # fmt: skip
    on = {"user": "kofi", "uptime": "5m", "bytes-in": "1", "bytes-out": "2", "radius": "false"}
    (user,) = tables(row, active=[on, {**on, "radius": "true"}]).users
    assert (user.used, user.under_way) == (Used(3600, 10, 20), Used(300, 1, 2))
    assert user.used_so_far == Used(3900, 11, 22)
    assert user.ends_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert (user.mac, user.limit_seconds, user.limit_octets, user.fault) == (None, 18000, 1000, "")
    assert not user.untouched


def test_built_in_users_are_nobodys() -> None:
    """The trial's, and those that the router makes by itself, are left alone."""
    assert tables({"name": "default-trial", "default": "true"}, {"name": "T-AA", "dynamic": "true"}).users == ()


def test_our_mark_is_known() -> None:
    """So that a second run takes over nothing twice."""
    (user,) = tables({"name": "a", "comment": "edge:0123 abc 5f"}).users
    assert user.ours


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("limit-uptime", "ages", "no RouterOS duration"),
        ("limit-uptime", "9999w", "longer than any package"),
        ("limit-bytes-total", "10M", "no count"),
        ("limit-bytes-in", "10", "one direction"),
        ("limit-bytes-out", "10", "one direction"),
        ("mac-address", "AA:BB", "no device address"),
        ("comment", "feb/31/2026 10:00:00", "begins as a date"),
        ("disabled", "perhaps", "neither true nor false"),
    ],
)
def test_what_cannot_be_read_is_the_users_fault(field: str, value: str, words: str) -> None:
    """One odd user keeps no other from being taken over."""
    odd, right = tables({"name": "odd", field: value}, {"name": "right", "password": "x"}).users
    assert words in odd.fault
    assert right.fault == ""


@pytest.mark.parametrize(("password", "shown"), [("*****", False), ("", False), ("a*", True)])
def test_asterisks_stand_for_a_password_that_is_hidden(password: str, shown: bool) -> None:  # noqa: FBT001 - a case
    """It is not taken for the password itself."""
    assert tables({"name": "a", "password": password}).shows_passwords is shown


@pytest.mark.parametrize(
    ("scheduler", "end"),
    [
        ({"next-run": "nov/24 12:00:00"}, datetime(2026, 11, 24, 9, 0, tzinfo=UTC)),
        ({"next-run": "2026-11-24 12:00:00"}, datetime(2026, 11, 24, 9, 0, tzinfo=UTC)),
        (
            {"start-date": "2026-11-20", "start-time": "12:00:00", "interval": "1w"},
            datetime(2026, 11, 27, 9, 0, tzinfo=UTC),
        ),
        ({"next-run": "2026-11-24 12:00:00", "disabled": "true"}, None),
        ({"start-date": "2026-11-20", "start-time": "startup", "interval": "1w"}, None),
        ({"start-date": "2026-11-20", "start-time": "12:00:00", "interval": "0s"}, None),
        ({}, None),
    ],
)
def test_a_scheduler_of_the_users_own_says_when_it_ends(scheduler: dict[str, str], end: datetime | None) -> None:
    """As version 2 of Mikhmon kept ends; one that is off ends nobody."""
    (user,) = tables({"name": "kofi", "comment": "vc-1-11.20.26-"}, schedulers=[{"name": "kofi", **scheduler}]).users
    assert user.ends_at == end


def test_schedulers_that_end_users() -> None:
    """Of one user, of a profile, of all; others are nobody's business."""
    found = tables(
        {"name": "kofi"},
        schedulers=[
            {".id": "*1", "name": "kofi"},
            {".id": "*2", "name": "1d", "comment": "Monitor Profile 1d", "disabled": "true"},
            {".id": "*3", "name": "Mikhmon-Expire-Monitor"},
            {".id": "*4", "name": "backup", "comment": "every night"},
        ],
    ).schedulers
    assert [(each.item_id, each.user, each.profile, each.disabled) for each in found] == [
        ("*1", "kofi", None, False),
        ("*2", None, "1d", True),
        ("*3", None, None, False),
    ]


def test_profiles_say_how_many_devices() -> None:
    """A number, or any."""
    found = tables(
        profiles=[{"name": "a"}, {"name": "b", "shared-users": "3"}, {"name": "c", "shared-users": "unlimited"}]
    ).profiles
    assert [found[name].devices_max for name in "abc"] == [1, 3, None]


def test_a_broken_duration_of_a_session_is_no_answer() -> None:
    """What the router says of those that are on has to be right, or nobody knows what was used."""
    with pytest.raises(InvalidError):
        tables({"name": "a"}, active=[{"user": "a", "uptime": "ages"}])
