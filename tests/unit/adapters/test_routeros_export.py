r"""Exports as routers write them: long lines broken by `\`, quotes, escapes, both ways of writing menus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from easyisp_edge.adapters.routeros.export_text import parse_export
from easyisp_edge.adapters.routeros.legacy_users import read_export
from easyisp_edge.domain.imported_users import ExpiryMode
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.errors import InvalidError

MENUS = ("/ip/hotspot/user", "/ip/hotspot/user/profile", "/system/scheduler")
NOW = datetime(2023, 7, 10, 9, 0, tzinfo=UTC)
EXPORT = r"""# jul/10/2023 12:00:00 by RouterOS 6.49.8
# software id = 5ULD-1FDY
#
/ip hotspot user profile
set [ find default=yes ] shared-users=5
add address-pool=POOL mac-cookie-timeout=5d name="1 day" on-login=":p\
    ut (\",remc,50,1d,60,,Enable,\"); {:local date [ /system clock get date\
    \_];:local year [ :pick \$date 7 11 ]; /ip hotspot user set comment=\$\
    exp [find where name=\"\$user\"]}" parent-queue=none rate-limit=2M/5M
/ip hotspot user
add comment=vc-466-10.02.23- name=1mgm3c password=1mgm3c profile="1 day" server=hotspot1
add comment="jul/14/2023 13:05:00" limit-uptime=1d limit-bytes-total=1073741824 mac-address=AA:BB:CC:00:11:22 \
    name=kofi password="o\$3ng \"8\\8\"" profile="1 day"
add disabled=yes name=gone
add name=caf\C3\A9 password=x !email
/system scheduler
add comment="Monitor Profile 1 day" interval=2m30s name="1 day" on-event=":local x; /foo" start-date=jul/01/2023 \
    start-time=01:02:03
add interval=4d name=1mgm3c on-event="[/ip hotspot user remove [find where name=1mgm3c]]" start-date=jul/09/2023 \
    start-time=10:00:00
"""


def test_rows_by_menu() -> None:
    """Broken lines are joined, escapes undone, values with blanks and brackets stay whole."""
    menus = parse_export(EXPORT, MENUS)
    assert set(menus) == {"/ip/hotspot/user/profile", "/ip/hotspot/user", "/system/scheduler"}
    default, day = menus["/ip/hotspot/user/profile"]
    assert default == {"name": "default", "shared-users": "5"}
    assert day["on-login"].startswith(':put (",remc,50,1d,60,,Enable,"); {:local date [ /system clock get date ];')
    assert day["on-login"].endswith('comment=$exp [find where name="$user"]}')
    kofi = menus["/ip/hotspot/user"][1]
    assert kofi["password"] == 'o$3ng "8\\8"'
    assert menus["/ip/hotspot/user"][3] == {"name": "café", "password": "x"}


@pytest.mark.parametrize(
    "command", ["/ip hotspot user add name=a password=b", "/ip/hotspot/user/add name=a password=b"]
)
def test_one_line_a_command(command: str) -> None:
    """Menus may stand in front of each command, with blanks or slashes."""
    assert parse_export(f"{command}\r\n", MENUS) == {"/ip/hotspot/user": [{"name": "a", "password": "b"}]}


def test_users_of_an_export() -> None:
    """What was used is not in it; ends come from comments and schedulers, by the zone that is said."""
    tables = read_export(EXPORT, NAIROBI, NOW)
    users = {user.name: user for user in tables.users}
    assert users["kofi"].ends_at == datetime(2023, 7, 14, 10, 5, tzinfo=UTC)
    assert (users["kofi"].limit_seconds, users["kofi"].limit_octets) == (86400, 2**30)
    assert users["kofi"].used is None
    assert str(users["kofi"].mac) == "AA:BB:CC:00:11:22"
    assert users["1mgm3c"].ends_at == datetime(2023, 7, 13, 7, 0, tzinfo=UTC)
    assert users["gone"].disabled
    terms = tables.profiles["1 day"].terms
    assert terms is not None
    assert (terms.mode, terms.validity, terms.locks) == (ExpiryMode.REMOVE_AND_RECORD, timedelta(days=1), True)
    assert terms.prices == (Money.shillings(50), Money.shillings(60))
    assert [(each.name, each.user, each.profile) for each in tables.schedulers] == [
        ("1 day", None, "1 day"),
        ("1mgm3c", "1mgm3c", None),
    ]


@pytest.mark.parametrize("text", ["", "/ip address\nadd address=10.0.0.1/24\n", "Dear sir,\n"])
def test_what_has_no_users_is_refused(text: str) -> None:
    """With how to make a right one."""
    with pytest.raises(InvalidError, match="show-sensitive"):
        read_export(text, NAIROBI, NOW)


def test_other_menus_may_hold_anything() -> None:
    """A whole router's export is full of what nobody here reads."""
    text = '/ip firewall layer7-protocol\nadd regexp="^(.+\n/ip hotspot user\nadd name=a\n/ip hotspot\nadd name=b\n'
    assert parse_export(text, MENUS) == {"/ip/hotspot/user": [{"name": "a"}]}


@pytest.mark.parametrize("text", ['/ip hotspot user\nadd name="a\n', "/ip hotspot user\nadd name=[find\n"])
def test_a_broken_line_is_shown(text: str) -> None:
    """A quote that is never closed must not swallow the users behind it."""
    with pytest.raises(InvalidError, match="none of an export"):
        parse_export(text, MENUS)
