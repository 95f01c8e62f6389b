"""What a grant is in FreeRADIUS's tables, and what is never written there."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.freeradius.rows import Row, checked, checked_name, group_rows, user_rows
from easyisp_edge.domain.grants import Admission, GrantState
from easyisp_edge.domain.login_database import WantedLogin
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import NAIROBI, Burst, DataVolume, MacAddress, Rate, RateLimit
from easyisp_edge.errors import EdgeError, InvalidError
from easyisp_edge.services.access.freeradius import wanted_login
from tests.unit.shop import HOUR, MAC

if TYPE_CHECKING:
    from easyisp_edge.domain.packages import Package

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
    data_limit=None,
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
    seconds_used=0,
    octets_used=0,
    package=HOUR,
)


NOW = ENDS - timedelta(minutes=40)
ONLINE = replace(HOUR, duration=timedelta(days=7), online_time=timedelta(hours=3))
NIGHTS = replace(HOUR, duration=timedelta(days=1), schedule=Schedule.parse("22:00-06:00"))
MIDNIGHT = datetime(2027, 1, 31, 0, 0, tzinfo=NAIROBI)


def wanted(admission: Admission = WAITING, now: datetime = NOW, **changes: Any) -> WantedLogin:
    """What is to be told of a grant with those changes."""
    return wanted_login(admission._replace(**changes), now, interim_seconds=300)


def running(package: Package, **changes: Any) -> Admission:
    """A grant that runs and is over at the end of its time by the clock, 40 minutes from now."""
    return WAITING._replace(package=package, state=GrantState.RUNNING, ends_at=ENDS, seconds_left=0, **changes)


def bounds(login: WantedLogin) -> tuple[int | None, int | None, datetime | None]:
    """The longest session, time online in all, and the end."""
    return login.session_seconds, login.online_seconds, login.expires_at


def test_a_waiting_grant_has_its_length_and_no_end() -> None:
    """In one session and over all of them: even while nobody looks it lets nobody on for longer than was paid."""
    rows = {row.attribute: row.value for row in (*user_rows(wanted()).check, *user_rows(wanted()).reply)}
    assert rows["Session-Timeout"] == "3600"
    assert rows["Max-All-Session"] == "3600"
    assert "Expiration" not in rows


def test_a_running_grant_is_bounded_by_its_end_alone() -> None:
    """Time runs on while nobody is on, so no session is counted against it."""
    assert bounds(wanted(running(HOUR, seconds_used=600))) == (None, None, ENDS)


def test_each_of_several_devices_may_be_on_for_the_whole_of_it() -> None:
    """And any device may: the credentials say who it is."""
    family = wanted(package=replace(HOUR, devices_max=2))
    assert (family.session_seconds, family.online_seconds, family.mac) == (3600, 7200, None)


def test_time_online_is_counted_over_all_sessions() -> None:
    """The server counts all of it from its sessions; by the books, which may know of more, no session is too long."""
    assert bounds(wanted(package=ONLINE, seconds_left=7 * 86400)) == (10800, 10800, None)
    assert bounds(wanted(running(ONLINE, seconds_used=4000))) == (6800, 10800, ENDS)
    assert bounds(wanted(running(ONLINE, seconds_used=20000))) == (0, 10800, ENDS)


def test_what_was_had_in_advance_is_not_had_again() -> None:
    """Of what a waiting grant has used the server noted nothing under its name."""
    advanced = wanted(package=ONLINE, seconds_left=7 * 86400 - 900, seconds_used=900)
    assert advanced.online_seconds == 9900
    assert wanted(seconds_left=2700, seconds_used=900).online_seconds == 2700


def test_what_was_set_aside_goes_on_where_it_stood() -> None:
    """Its sessions of before are in the server's count, and so they are in what it may come to."""
    aside = WAITING._replace(state=GrantState.PAUSED, seconds_left=1200, seconds_used=2400)
    assert bounds(wanted(aside)) == (1200, 3600, None)
    assert bounds(wanted(aside, package=ONLINE)) == (1200, 3600, None)
    assert bounds(wanted(aside, package=ONLINE, seconds_left=9000)) == (8400, 10800, None)


@pytest.mark.parametrize("state", [GrantState.WAITING, GrantState.PAUSED, GrantState.RUNNING])
def test_hours_end_each_opening(state: GrantState) -> None:
    """With the box down nobody stays on into the day; what is over before then is over."""
    admission = WAITING._replace(package=NIGHTS, state=state, ends_at=MIDNIGHT + timedelta(days=3))
    assert wanted(admission, MIDNIGHT).expires_at == MIDNIGHT + timedelta(hours=6)
    ends = MIDNIGHT + timedelta(hours=1)
    over_earlier = wanted(admission._replace(ends_at=ends), MIDNIGHT).expires_at
    assert over_earlier == (ends if state is GrantState.RUNNING else MIDNIGHT + timedelta(hours=6))


def test_time_that_runs_changes_no_row() -> None:
    """Else every user would be written anew in every round."""
    for package in (HOUR, ONLINE):
        for admission in (WAITING._replace(package=package), running(package)):
            assert wanted(admission, NOW) == wanted(admission, NOW + timedelta(minutes=5))


def test_data_left_is_by_the_books() -> None:
    """For one session; over all sessions the server counts up to the whole, of which one waiting had none."""
    data = replace(HOUR, data_limit=DataVolume(1000))
    waits, runs = wanted(package=data, octets_used=100), wanted(running(data, octets_used=400))
    assert (waits.data_left, waits.data_limit) == (DataVolume(900), DataVolume(900))
    assert (runs.data_left, runs.data_limit) == (DataVolume(600), DataVolume(1000))
    assert check_rows(data_limit=DataVolume(5 * 2**30))["Edge-Data-Limit"] == (":=", "5368709120")
    assert check_rows(data_limit=DataVolume(2**70))["Edge-Data-Limit"] == (":=", str(2**64 - 1))


def _is_rate(text: str) -> bool:
    try:
        return bool(RateLimit.parse(text))
    except InvalidError:
        return False


BURSTS = st.builds(
    lambda own, more, seconds, priority: f"{own} {more} {own} {seconds} {priority} {own}",
    *(st.just("999999k/999999k"), st.sampled_from(["999M/999M", "999999k/999999k", "10M/999999k"])),
    *(st.sampled_from(["999/999", "8/8", "10"]), st.integers(1, 8)),
)


@given(st.lists(BURSTS.filter(_is_rate), min_size=2, max_size=2, unique=True))
def test_every_burst_has_a_group_of_its_own(rates: list[str]) -> None:
    """However much there is to say of it; the rate itself stands whole in the group's reply."""
    limits = {RateLimit.parse(rate) for rate in rates}
    groups = [group_rows(RUNNING._replace(rate_limit=limit, devices_max=100, interim_seconds=3600)) for limit in limits]
    assert len({group.name for group in groups}) == len(limits)
    assert {RateLimit.parse(group.reply[0].value) for group in groups} == limits


def test_a_burst_stands_in_the_name_where_there_is_room() -> None:
    """So that whoever looks into the tables sees what it is."""
    group = group_rows(RUNNING._replace(rate_limit=RateLimit.parse("2M/5M 4M/10M 1500k/4M 10/10 8 512k/1M")))
    assert group.name == "edge-2M-5M_4M-10M_1500k-4M_10-10_8_512k-1M-x1-i300"
    assert group.reply[0] == ("Mikrotik-Rate-Limit", ":=", "2M/5M 4M/10M 1500k/4M 10/10 8 512k/1M")


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


RATES = st.builds(Rate, st.integers(1, 10**9), st.integers(1, 10**9))
LIMITS = st.builds(
    RateLimit,
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.none() | st.builds(Burst, RATES, RATES, st.integers(1, 999), st.integers(1, 999)),
    st.none() | st.integers(1, 8),
    st.none() | RATES,
)


ANY_TEXT = st.text() | st.text("`%{}'\"\\ a0x\n")
HOSTILE_LOGINS = st.fixed_dictionaries(
    {
        "username": ANY_TEXT,
        "password": ANY_TEXT,
        "grant_id": ANY_TEXT,
        "router_ids": st.lists(st.text(max_size=8), max_size=3).map(tuple),
        "tenant_id": st.text(max_size=20) | st.none(),
        "rate_limit": LIMITS,
    }
)


@given(HOSTILE_LOGINS)
def test_no_login_whatsoever_gets_an_expansion_in(changes: dict[str, Any]) -> None:
    """Either all of its rows are harmless, or there are none."""
    hostile = RUNNING._replace(**changes)
    try:
        rows, group = user_rows(hostile), group_rows(hostile)
    except UnwritableError:
        return
    values = [row.value for row in (*rows.check, *rows.reply, *group.reply)] + [hostile.username, *rows.groups]
    assert not [value for value in values if EXPANDED.search(value) or len(value) > 253]
    assert {hostile.password, str(hostile.rate_limit)} <= set(values)


@given(st.text("ABCDEFGHJKMNPQRSTVWXYZ23456789", min_size=1, max_size=64))
def test_credentials_as_they_are_made_are_always_written(text: str) -> None:
    """Else somebody who has paid would be kept out."""
    rows = user_rows(RUNNING._replace(username=text, password=text, mac=MacAddress("AA:BB:CC:00:00:01")))
    assert rows.check[0] == ("Cleartext-Password", ":=", text)
