"""What a plan changes, what it leaves alone, and what it warns of, for routers in many states."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros.setup.plan import make_plan
from easyisp_edge.adapters.routeros.setup.rows import SetupSite, SiteRadius
from easyisp_edge.adapters.routeros.setup.words import plan_json, plan_text
from tests.fakes.router_setup_stage import SITE

if TYPE_CHECKING:
    from easyisp_edge.adapters.routeros.setup.rows import Change, SetupPlan, Tables

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SERVICES = ("telnet", "ftp", "www", "ssh", "www-ssl", "api", "winbox", "api-ssl")


def router(version: str = "7.24.2 (stable)", *, menus: Tables | None = None, **others: list[dict[str, str]]) -> Tables:
    """A router with addresses, DHCP and a hotspot; menus by their path with `_` for `/`."""
    others |= menus or {}
    tables: Tables = {
        "/system/resource": [{"version": version}],
        "/system/clock": [{"date": "2026-11-23", "time": "12:00:30", "gmt-offset": "+03:00"}],
        "/system/device-mode": [{"mode": "advanced", "hotspot": "true", "scheduler": "true"}],
        "/system/ntp/client": [{"enabled": "false", "servers": ""}],
        "/interface": [{"name": "ether1"}, {"name": "bridge1"}],
        "/ip/address": [{"address": "10.5.50.1/24", "interface": "bridge1", "disabled": "false"}],
        "/ip/dhcp-server": [{"name": "dhcp1", "interface": "bridge1", "disabled": "false"}],
        "/ip/dhcp-server/network": [{"address": "10.5.50.0/24", "dhcp-option": "theirs"}],
        "/ip/dhcp-server/option": [],
        "/ip/hotspot": [
            {"name": "hotspot1", "interface": "bridge1", "profile": "hsprof1", "idle-timeout": "5m",
             "keepalive-timeout": "none", "addresses-per-mac": "2", "disabled": "false"},
        ],
        "/ip/hotspot/profile": [
            {"name": "hsprof1", "hotspot-address": "10.5.50.1", "rate-limit": "", "html-directory": "hotspot",
             "login-by": "cookie,http-chap", "use-radius": "false", "dns-name": "old.example.com"},
        ],
        "/ip/service": [{"name": name, "disabled": "false", "address": ""} for name in SERVICES],
        "/ip/firewall/filter": [],
        "/ipv6/firewall/filter": [],
    }  # fmt: skip
    return tables | {f"/{name.replace('_', '/')}": rows for name, rows in others.items()}


def plan(tables: Tables, site: SetupSite = SITE, *, fits: bool = True) -> SetupPlan:
    return make_plan(site, tables, password_fits=fits, now=NOW)


def changes(found: SetupPlan, menu: str) -> list[Change]:
    return [change for change in found.changes if change.row.menu == menu]


def codes(found: SetupPlan) -> set[str]:
    return {trap.code for trap in found.traps}


def test_clean_router_has_no_traps() -> None:
    """A router as it should be, before a set-up, is warned of nothing."""
    assert not plan(router()).traps


def test_owners_rows_are_never_rewritten() -> None:
    """The hotspot gets a profile of ours, with what the old one said beside; the old one is not changed."""
    found = plan(router(), replace(SITE, dns_name=None))
    (profile,) = changes(found, "/ip/hotspot/profile")
    assert profile.verb == "add"
    assert profile.row.key == {"name": "edge-main"}
    assert profile.row.when_new == {"hotspot-address": "10.5.50.1", "dns-name": "old.example.com"}
    (server,) = changes(found, "/ip/hotspot")
    assert (server.row.values["profile"], server.before["profile"]) == ("edge-main", "hsprof1")
    assert any("hsprof1" in words for words in found.left_alone)


def test_radius_mode_and_hotspot_user_mode() -> None:
    """RADIUS rows are only where RADIUS is used; ours of an earlier mode are put out of use, theirs stay."""
    assert changes(plan(router()), "/radius")[0].row.secrets == {"secret": "a-secret-of-sixteen"}
    theirs = {"service": "hotspot", "address": "10.0.0.9", "disabled": "false"}
    ours = {**theirs, "comment": "edge:setup radius 0123abcd"}
    found = plan(router(radius=[theirs, ours]), replace(SITE, radius=None))
    (change,) = changes(found, "/radius")
    assert (change.row.key, dict(change.row.values)) == ({"comment": ours["comment"]}, {"disabled": "yes"})
    assert [(left.menu, left.key) for left in found.leftovers] == [("/radius", {"comment": ours["comment"]})]
    assert changes(found, "/ip/hotspot/profile")[0].row.values["use-radius"] == "no"
    assert any("10.0.0.9" in words for words in found.left_alone)


def test_nothing_in_a_plan_tells_a_secret() -> None:
    """Neither the words of a plan, nor its JSON, nor its objects, nor the undo script hold a secret."""
    found = plan(router())
    shown = plan_text(found) + json.dumps(plan_json(found)) + repr(found)
    shown += "".join(line for change in found.changes for line in change.undo)
    for secret in ("a-secret-of-sixteen", "box-password"):
        assert secret not in shown
    assert "(not shown)" in shown


def test_services() -> None:
    """What nobody needs is off, what managers need is for them only, and WinBox and SSH are never off."""
    services = {change.row.key["name"]: dict(change.row.values) for change in changes(plan(router()), "/ip/service")}
    networks = ",".join(SITE.management_networks)
    assert services == {
        **{name: {"disabled": "yes"} for name in ("telnet", "ftp", "api-ssl")},
        **{name: {"address": networks} for name in ("winbox", "ssh", "www", "www-ssl")},
        "api": {"address": f"127.0.0.1/32,{networks}"},
    }
    open_site = replace(SITE, management_networks=())
    names = {change.row.key["name"] for change in changes(plan(router(), open_site), "/ip/service")}
    assert names == {"telnet", "ftp", "api-ssl", "api"}
    assert any("winbox" in words for words in plan(router(), open_site).left_alone)


def test_connections_among_the_services_are_no_services() -> None:
    """Newer routers list connections in the services' menu under the same names; they are not looked at."""
    rows = [{"name": "telnet", "dynamic": "true", "disabled": "false"}]
    assert not changes(plan(router(ip_service=rows)), "/ip/service")


def test_firewall_order() -> None:
    """This box is let in before anybody is kept out."""
    rules = [change.row for change in changes(plan(router()), "/ip/firewall/filter")]
    actions = [rule.values["action"] for rule in rules]
    assert actions == sorted(actions) == ["accept"] * 3 + ["drop"] * 2
    assert {rule.place.value for rule in rules[:3]} == {"front"}
    assert {rule.place.value for rule in rules[3:]} == {"behind_ours"}


def test_walled_garden_is_the_portal_and_nothing_else() -> None:
    """One address, one port."""
    (change,) = changes(plan(router()), "/ip/hotspot/walled-garden/ip")
    shown = dict(change.row.values)
    assert shown == {
        "action": "accept", "dst-address": "127.0.0.1", "protocol": "tcp", "dst-port": "8080", "disabled": "no",
    }  # fmt: skip
    by_name = replace(SITE, portal_url="https://pay.example.com")
    values = changes(plan(router(), by_name), "/ip/hotspot/walled-garden/ip")[0].row.values
    assert (values["dst-host"], values["dst-port"]) == ("pay.example.com", "443")


def test_box_among_the_customers_needs_no_login() -> None:
    """A box inside the hotspot's network is let through before the hotspot is switched on, one outside is not."""
    found = plan(router(), replace(SITE, box_address="10.5.50.2"))
    menus = [change.row.menu for change in found.changes]
    assert menus.index("/ip/hotspot/ip-binding") < menus.index("/ip/hotspot")
    assert not changes(plan(router()), "/ip/hotspot/ip-binding")


def test_others_keep_their_options_and_servers() -> None:
    """DHCP options and clock servers that stood there stand there still, behind ours or before."""
    client = {"enabled": "true", "mode": "unicast", "servers": "10.0.0.5,127.0.0.1"}
    found = plan(router(system_ntp_client=[client]))
    assert changes(found, "/system/ntp/client")[0].row.values["servers"] == "127.0.0.1,10.0.0.5"
    assert changes(found, "/ip/dhcp-server/network")[0].row.values["dhcp-option"] == "theirs,edge-captive"


def test_version_six_names_clock_servers_its_own_way() -> None:
    """RouterOS 6 has one address and a list of names."""
    found = plan(router("6.49.21 (long-term)"))
    values = changes(found, "/system/ntp/client")[0].row.values
    assert values == {"enabled": "yes", "primary-ntp": "127.0.0.1", "server-dns-names": "0.pool.ntp.org"}


def test_flash_boards() -> None:
    """Where the board keeps its files under flash, the pages go there: elsewhere a reboot would take them."""
    files = [{"name": "flash", "type": "disk"}]
    found = plan(router(file=files))
    assert changes(found, "/ip/hotspot/profile")[0].row.values["html-directory"].startswith("flash/edge-")
    assert all(change.row.key["name"].startswith("flash/edge-") for change in changes(found, "/file"))


def test_old_pages_go_last() -> None:
    """Folders of earlier pages go once all is confirmed, files first; what another hotspot shows stays."""
    old, used = "edge-0123456789ab", "edge-ba9876543210"
    files = [{"name": name} for name in (old, f"{old}/login.html", used, "edge-notours", "hotspot")]
    tables = router(file=files)
    tables["/ip/hotspot/profile"].append({"name": "second", "html-directory": used})
    leftovers = [left.key["name"] for left in plan(tables).leftovers]
    assert leftovers == [f"{old}/login.html", old]


def test_user_with_another_password_is_put_aside() -> None:
    """A password that cannot be read cannot be restored: its user is kept under another name until all is well."""
    tables = router(user=[{"name": "easyisp", "group": "full", "disabled": "false"}])
    aside, new = changes(plan(tables, fits=False), "/user")
    assert aside.row.values == {"name": "edge-old-easyisp", "disabled": "yes"}
    assert (new.verb, new.undo) == ("add", ())
    assert [change.verb for change in changes(plan(tables, fits=True), "/user")] == ["set"]


@pytest.mark.parametrize(
    ("menus", "code", "stops"),
    [
        ({"system_device-mode": [{"hotspot": "false", "scheduler": "false"}]}, "device_mode_hotspot", True),
        ({"system_device-mode": [{"hotspot": "true", "scheduler": "false"}]}, "device_mode_scheduler", False),
        ({"interface": []}, "interface", True),
        ({"ip_address": []}, "address", True),
        ({"ip_dhcp-server": []}, "dhcp_server", True),
        ({"ip_dhcp-server": [{"interface": "bridge1", "disabled": "true"}]}, "dhcp_server", True),
        ({"system_clock": [{"date": "1970-01-02", "time": "00:01:00", "gmt-offset": "+00:00"}]}, "clock", False),
        ({"system_clock": [{"date": "jan/02/1970", "time": "00:01:00"}]}, "clock", False),
        ({"ip_hotspot_walled-garden": [{"action": "allow", "dst-host": "*.gstatic.com"}]}, "probes", False),
        ({"ip_hotspot_walled-garden": [{"action": "allow", "dst-host": "*apple.com"}]}, "probes", False),
        ({"queue_simple": [{"name": "all", "target": "10.5.0.0/16"}]}, "queue", False),
        ({"queue_simple": [{"name": "all", "target": "bridge1"}]}, "queue", False),
        ({"ip_firewall_filter": [{"chain": "forward", "action": "fasttrack-connection"}]}, "fasttrack", False),
        ({"ipv6_address": [{"interface": "bridge1", "advertise": "true"}]}, "ipv6", False),
        ({"user_active": [{"name": "admin", "via": "api", "address": "10.9.9.9"}]}, "box_address", True),
    ],
)
def test_traps(menus: dict[str, list[dict[str, str]]], code: str, stops: bool) -> None:  # noqa: FBT001 - a parameter
    """Each hindrance is said, and stops where going on would be in vain or harm."""
    found = plan(router(menus=menus))
    assert code in codes(found)
    assert found.stopped is stops
    assert code not in codes(plan(router()))


@pytest.mark.parametrize(
    "menus",
    [
        {"ip_hotspot_walled-garden": [{"action": "deny", "dst-host": "*.gstatic.com"}]},
        {"ip_hotspot_walled-garden": [{"action": "allow", "dst-host": "pay.example.com"}]},
        {"ip_hotspot_walled-garden": [{"action": "allow", "dst-host": "captive.apple.com", "disabled": "true"}]},
        {"queue_simple": [{"name": "<hotspot-x>", "target": "10.5.50.9/32", "dynamic": "true"}]},
        {"queue_simple": [{"name": "office", "target": "192.168.88.0/24"}]},
        {"ip_firewall_filter": [{"chain": "forward", "action": "fasttrack-connection", "disabled": "true"}]},
        {"ipv6_address": [{"interface": "ether1", "advertise": "true"}]},
        {"system_clock": [{"date": "2026-11-23", "time": "11:58:00", "gmt-offset": "+03:00"}]},
    ],
)
def test_no_false_alarm(menus: dict[str, list[dict[str, str]]]) -> None:
    """What only looks like a hindrance is not called one."""
    assert not plan(router(menus=menus)).traps


def test_package_of_version_six() -> None:
    """On version 6 the hotspot is a package of its own, which may be missing or off."""
    tables = router("6.49.21 (long-term)", system_package=[{"name": "system"}])
    del tables["/ip/hotspot"]
    assert "hotspot_package" in codes(plan(tables))
    off = router("6.49.21", system_package=[{"name": "hotspot", "disabled": "true"}])
    assert "hotspot_package" in codes(plan(off))
    there = router("6.49.21", system_package=[{"name": "hotspot", "disabled": "false"}])
    assert "hotspot_package" not in codes(plan(there))


@pytest.mark.parametrize(("version", "warned"), [("7.20.8", True), ("7.24.2", False), ("6.49.18", True)])
def test_known_holes(version: str, warned: bool) -> None:  # noqa: FBT001 - a parameter
    """A version with known holes is named, with the one to take."""
    assert ("holes" in codes(plan(router(version)))) is warned


def test_several_hotspots() -> None:
    """The one on the customers' interface is meant; others are named, and an unlike name stops."""
    other = {"name": "other", "interface": "ether1", "idle-timeout": "none", "keepalive-timeout": "none"}
    tables = router()
    tables["/ip/hotspot"].append(other)
    assert codes(plan(tables)) == {"hotspots", "time_outs"}
    assert changes(plan(tables), "/ip/hotspot")[0].row.key == {"name": "hotspot1"}
    assert plan(tables, replace(SITE, server="other")).stopped


def test_hotspot_is_made_where_there_is_none() -> None:
    """With an address and DHCP there, the hotspot itself is made, after everything it needs."""
    found = plan(router(ip_hotspot=[]))
    (change,) = changes(found, "/ip/hotspot")
    assert change.verb == "add"
    assert change.row.key == {"name": "edge-main"}
    assert change.row.when_new["interface"] == "bridge1"
    named = changes(plan(router(ip_hotspot=[]), replace(SITE, server="wifi")), "/ip/hotspot")
    assert named[0].row.key == {"name": "wifi"}


def test_rule_that_is_never_reached() -> None:
    """A rule of ours that somebody moved behind one that drops everything is said, not moved."""
    tables = router()
    rule = changes(plan(tables), "/ip/firewall/filter")[2].row
    ours = {**rule.key, **rule.values, "disabled": "false"}
    tables["/ip/firewall/filter"] = [{"chain": "input", "action": "drop"}, ours]
    assert "order" in codes(plan(tables))
    tables["/ip/firewall/filter"] = [ours, {"chain": "input", "action": "drop"}]
    assert "order" not in codes(plan(tables))


def test_both_time_outs_none() -> None:
    """A site that lets go of nobody is told so."""
    assert "time_outs" in codes(plan(router(), replace(SITE, idle_timeout=None)))


def test_changed_secret_is_a_row_beside() -> None:
    """Another secret makes another comment, so the old row is found as the old one."""
    radius = SiteRadius("another-secret-of-16", 1812, 1813, timedelta(minutes=5), 3799)
    before = changes(plan(router()), "/radius")[0].row.key
    after = changes(plan(router(), replace(SITE, radius=radius)), "/radius")[0].row.key
    assert before != after
