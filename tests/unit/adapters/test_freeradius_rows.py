"""What a grant is in FreeRADIUS's tables, and what is never written there."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.freeradius.rows import Row, checked, checked_name, group_rows, user_rows
from easyisp_edge.domain.grants import Admission, GrantState
from easyisp_edge.domain.login_database import WantedLogin
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit
from easyisp_edge.errors import EdgeError
from easyisp_edge.services.freeradius import wanted_login
from tests.unit.shop import HOUR, MAC

ENDS = datetime(2027, 1, 31, 9, 0, 0, 1000, tzinfo=UTC)
RUNNING = WantedLogin(
    grant_id="grant-1",
    username="USER000001",
    password="PASSWORDAAAAAAAA",
    service=Service.HOTSPOT,
    mac=MAC,
    session_seconds=None,
    online_seconds=None,
    expires_at=ENDS,
    data_left=None,
    rate_limit=RateLimit(2000, 5000),
    devices_max=1,
    interim_seconds=300,
    tenant_id=None,
    router_ids=(),
)
WORD = 2**32


def check_rows(**changes: Any) -> dict[str, tuple[str, str]]:
    """The check rows of the login, but for the changes: operator and value by attribute."""
    rows = user_rows(RUNNING._replace(**changes)).check
    found = {row.attribute: (row.op, row.value) for row in rows}
    assert len(found) == len(rows), "an attribute stands twice"
    return found


def reply_rows(**changes: Any) -> dict[str, tuple[str, str]]:
    """The reply rows in the same way."""
    return {row.attribute: (row.op, row.value) for row in user_rows(RUNNING._replace(**changes)).reply}


def test_a_running_grant_ends_at_its_instant() -> None:
    """Unix time in digits, which depends on no zone, and rounded up: nobody is cut short by a fraction."""
    assert check_rows() == {
        "Cleartext-Password": (":=", "PASSWORDAAAAAAAA"),
        "Expiration": (":=", str(int(ENDS.timestamp()) + 1)),
        "Simultaneous-Use": (":=", "1"),
        "Calling-Station-Id": ("==", "AA:BB:CC:00:00:01"),
        "Framed-Protocol": ("!*", "PPP"),
    }
    assert reply_rows() == {"Class": (":=", "edge:grant-1")}


def test_a_group_holds_what_its_users_share() -> None:
    """Its name tells all that is in it, so that one name never means two things."""
    assert group_rows(RUNNING) == (
        "edge-2M-5M-x1-i300",
        (
            Row("Mikrotik-Rate-Limit", ":=", "2M/5M"),
            Row("Port-Limit", ":=", "1"),
            Row("Acct-Interim-Interval", ":=", "300"),
            Row("Session-Timeout", "=", "21474720"),
        ),
    )
    assert user_rows(RUNNING).groups == ("edge-2M-5M-x1-i300",)
    others: list[dict[str, Any]] = [{"devices_max": 2}, {"interim_seconds": 60}, {"rate_limit": RateLimit(2000, 5001)}]
    assert len({group_rows(RUNNING._replace(**change)).name for change in others} | {group_rows(RUNNING).name}) == 4


def test_several_devices_are_known_by_no_address() -> None:
    """Any device with the credentials may, up to their number at once."""
    rows = check_rows(devices_max=3)
    assert "Calling-Station-Id" not in rows
    assert rows["Simultaneous-Use"] == (":=", "3")


def test_online_time_is_counted_by_the_server() -> None:
    """Max-All-Session is the whole of it: what was used is in radacct."""
    assert check_rows(online_seconds=7200)["Max-All-Session"] == (":=", "7200")


@pytest.mark.parametrize(
    ("octets", "low", "high"),
    [
        (5, "5", None),
        (WORD - 1, "4294967295", None),
        (WORD, "1", "1"),
        (5 * 2**30, "1073741824", "1"),
        (3 * WORD, "1", "3"),
        (2**70, "4294967295", "4294967295"),
    ],
)
def test_data_left_goes_into_two_words(octets: int, low: str, high: str | None) -> None:
    """A low word of nought might be read as no limit."""
    rows = reply_rows(data_left=DataVolume(octets))
    assert rows["Mikrotik-Total-Limit"] == (":=", low)
    assert rows.get("Mikrotik-Total-Limit-Gigawords", (":=", None)) == (":=", high)


@pytest.mark.parametrize(("seconds", "said"), [(3600, "3600"), (0, "1"), (366 * 86400, "21474720")])
def test_a_session_is_bounded_by_what_routers_take(seconds: int, said: str) -> None:
    """Nought would be no bound at all, and RouterOS takes 248 days at most."""
    assert reply_rows(session_seconds=seconds)["Session-Timeout"] == (":=", said)


def test_pppoe_and_hotspot_keep_apart() -> None:
    """What was bought for one is no good for the other, as where this box answers itself."""
    assert check_rows(service=Service.PPPOE)["Framed-Protocol"] == ("==", "PPP")


def test_where_it_is_good_stands_in_its_rows() -> None:
    """One server may answer for routers of several tenants."""
    rows = check_rows(tenant_id="coast", router_ids=("main", "annexe-2"))
    assert rows["Edge-Tenant"] == ("==", "coast")
    assert rows["Edge-Router"] == ("=~", "^(main|annexe-2)$")


WAITING = Admission(
    grant_id="grant-1",
    tenant_id=HOUR.tenant_id,
    username="USER000001",
    password="PASSWORDAAAAAAAA",
    mac=MAC,
    state=GrantState.WAITING,
    seconds_left=3600,
    created_at=ENDS,
    ends_at=None,
    package=HOUR,
)


def test_a_waiting_grant_has_its_length_and_no_end() -> None:
    """In one session and over all of them: even while nobody looks it lets nobody on for longer than was paid."""
    wanted = wanted_login(WAITING, interim_seconds=300)
    rows = {row.attribute: row.value for row in (*user_rows(wanted).check, *user_rows(wanted).reply)}
    assert rows["Session-Timeout"] == "3600"
    assert rows["Max-All-Session"] == "3600"
    assert "Expiration" not in rows


def test_a_running_grant_is_bounded_by_its_end_alone() -> None:
    """Time runs on while nobody is on, so no session is counted against it."""
    wanted = wanted_login(WAITING._replace(state=GrantState.RUNNING, ends_at=ENDS), interim_seconds=300)
    assert (wanted.session_seconds, wanted.online_seconds, wanted.expires_at) == (None, None, ENDS)


def test_online_time_bounds_a_waiting_grant_too() -> None:
    """The shorter of the two; each of several devices may be on for the whole of it."""
    family = WAITING._replace(package=replace(HOUR, devices_max=2))
    assert wanted_login(family, interim_seconds=300).online_seconds == 7200
    assert wanted_login(WAITING, interim_seconds=300, online_seconds=600).online_seconds == 600
    assert wanted_login(family, interim_seconds=300).mac is None


HOSTILE = [
    "`id`", "a`id`", '"quoted"', "'quoted'", '"', "%{User-Name}", "a%{exec:id}", "a\\n", "a\nb", "a\x00", "\x7f", "",
    " a", "a ", "é", "0x616263", "x" * 254,
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_what_freeradius_would_expand_is_refused(value: str) -> None:
    """A value in backquotes would be run as a program."""
    with pytest.raises(UnwritableError) as error:
        checked(value)
    assert isinstance(error.value, EdgeError)


@pytest.mark.parametrize("name", ["", "a b", "a%b", "a'b", "é", "x" * 65, "a\n", "a;b", "a,b"])
def test_a_name_freeradius_would_not_find_is_refused(name: str) -> None:
    """It escapes such characters before it looks for the user."""
    with pytest.raises(UnwritableError):
        checked_name(name)


EXPANDED = re.compile(r"`|%\{|\\|^[\"']|[^ -~]")


@given(
    st.text() | st.text("`%{}'\"\\ a0x\n"),
    st.text() | st.text("`%{}'\"\\ a0x\n"),
    st.text() | st.text("`%{}'\"\\ a0x\n"),
    st.lists(st.text(max_size=8), max_size=3),
    st.text(max_size=20) | st.none(),
)
def test_no_login_whatsoever_gets_an_expansion_in(
    username: str, password: str, grant_id: str, router_ids: list[str], tenant_id: str | None
) -> None:
    """Either all of its rows are harmless, or there are none."""
    hostile = RUNNING._replace(
        username=username, password=password, grant_id=grant_id, router_ids=tuple(router_ids), tenant_id=tenant_id
    )
    try:
        rows = user_rows(hostile)
    except UnwritableError:
        return
    values = [row.value for row in (*rows.check, *rows.reply)] + [username, *rows.groups]
    assert not [value for value in values if EXPANDED.search(value) or len(value) > 253]
    assert password in values


@given(st.text("ABCDEFGHJKMNPQRSTVWXYZ23456789", min_size=1, max_size=64))
def test_credentials_as_they_are_made_are_always_written(text: str) -> None:
    """Else somebody who has paid would be kept out."""
    rows = user_rows(RUNNING._replace(username=text, password=text, mac=MacAddress("AA:BB:CC:00:00:01")))
    assert rows.check[0] == ("Cleartext-Password", ":=", text)
