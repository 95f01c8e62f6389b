"""The router's own menus as commands write them: users, services, scripts, files, certificates, clock servers.

Source: RouterOS manual, the menus named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.table_maker import VALID
from easyisp_edge.lab.mikrotik.tables import Column, reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.mikrotik.table_maker import TableMaker
    from easyisp_edge.lab.mikrotik.tables import Table

POLICIES = [
    "local",
    "telnet",
    "ssh",
    "ftp",
    "reboot",
    "read",
    "write",
    "policy",
    "test",
    "winbox",
    "password",
    "web",
    "sniff",
    "sensitive",
    "api",
    "romon",
    "rest-api",
]
ALL_POLICIES = frozenset(POLICIES)
SCRIPT_POLICIES = "ftp,reboot,read,write,policy,test,password,sniff,sensitive,romon"
MODES = ("basic", "home", "advanced", "rose")
FEATURES = [
    "scheduler",
    "socks",
    "fetch",
    "pptp",
    "l2tp",
    "bandwidth-test",
    "traffic-gen",
    "sniffer",
    "ipsec",
    "romon",
    "proxy",
    "hotspot",
    "smb",
    "email",
    "zerotier",
    "container",
]
_OFF_AT_HOME = frozenset({"scheduler", "socks", "fetch", "bandwidth-test", "traffic-gen", "sniffer", "romon", "proxy"})
_OFF_AT_HOME_TOO = frozenset({"hotspot", "email", "zerotier", "container"})
SERVICES = {
    "telnet": "23",
    "ftp": "21",
    "www": "80",
    "ssh": "22",
    "www-ssl": "443",
    "api": "8728",
    "winbox": "8291",
    "api-ssl": "8729",
}
FILE_OCTETS_MOST = 60 * 1024
_START_TIME = re.compile(r"\d{1,2}:\d{2}:\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|[A-Za-z]{3}/\d{2}/\d{4}")
_NAMED = ("name",)


def system_tables(maker: TableMaker) -> None:
    """Make the tables of the router's own menus."""
    _users(maker)
    _services(maker)
    _scripts(maker)
    maker.table(
        "/file",
        [
            Column("name", vf.filled_text, required=True),
            Column("type", vf.one_of("directory", "file")),
            Column("contents", file_contents),
        ],
        key=_NAMED,
        duplicate="failure: file with such name already exists",
    )
    maker.table("/system/package", [Column("name", required=True), Column("version", required=True)])
    _clock_servers(maker)
    maker.table("/system/device-mode", _mode_columns())


def file_contents(text: str) -> str:
    """What a file may hold when written by a command.

    Raises:
        TrapError: It is more than commands may write.
    """
    if len(text.encode("utf-8", "surrogateescape")) > FILE_OCTETS_MOST:
        raise TrapError("failure: contents too long")
    return text


def _users(maker: TableMaker) -> None:
    groups = maker.table(
        "/user/group",
        [
            Column("name", vf.filled_text, required=True),
            Column("policy", vf.some_or_none_of(*POLICIES), "", frozenset()),
            Column("skin", default="default"),
        ],
        key=_NAMED,
        duplicate="failure: group with the same name already exists",
    )
    maker.table(
        "/user",
        [
            Column("name", vf.filled_text, required=True),
            Column("group", reference(groups, "group"), required=True),
            Column("address", vf.networks_text, ""),
            Column("password", hidden=True),
        ],
        key=_NAMED,
        duplicate="failure: user with the same name already exists",
        shown={"expired": "false"},
    )


def all_policies(given: str) -> str:
    """A group's policies as a print shows them: those it has, then those it has not."""
    has = set(given.split(","))
    return ",".join([policy if policy in has else f"!{policy}" for policy in POLICIES])


def _services(maker: TableMaker) -> None:
    maker.table(
        "/ip/service",
        [
            Column("name", required=True),
            Column("port", vf.integer_between(1, 65535)),
            Column("address", vf.networks_text, ""),
            Column("certificate", reference(_certificates(maker), "certificate", "none")),
            Column("tls-version", vf.one_of("any", "only-1.2")),
            Column("vrf", default="main"),
            Column("max-sessions", vf.integer_between(1, 1000), "20"),
        ],
        key=_NAMED,
        shown=VALID,
    )


def _certificates(maker: TableMaker) -> Table:
    return maker.table(
        "/certificate",
        [
            Column("name", vf.filled_text, required=True),
            Column("common-name", default=""),
            Column("days-valid", vf.integer_between(1, 100_000), "365"),
            Column("key-size", default="2048"),
            Column("key-usage", default="digital-signature,key-encipherment,tls-server"),
            Column("trusted", default="no"),
        ],
        key=_NAMED,
        duplicate="failure: certificate with this name already exists",
    )


def _scripts(maker: TableMaker) -> None:
    policies = vf.some_of(*POLICIES)
    maker.table(
        "/system/script",
        [
            Column("name", vf.filled_text, required=True),
            Column("policy", policies, "", frozenset()),
            Column("dont-require-permissions", vf.boolean_text, "false", frozenset()),
            Column("source", default=""),
        ],
        key=_NAMED,
        duplicate="failure: item with such name already exists",
        shown={"run-count": "0", "invalid": "false"},
    )
    maker.table(
        "/system/scheduler",
        [
            Column("name", vf.filled_text, required=True),
            Column("start-date", _start_date),
            Column("start-time", _start_time),
            Column("interval", vf.duration_text, "0s"),
            Column("on-event", default=""),
            Column("policy", policies, "", frozenset()),
        ],
        key=_NAMED,
        duplicate="failure: item with such name already exists",
        shown={"run-count": "0"},
    )


def _start_time(text: str) -> str:
    if text == "startup":
        return text
    if not _START_TIME.fullmatch(text) or vf.parse_duration(text) >= vf.parse_duration("1d"):
        raise ValueError(f"{text!r} is neither a time of day nor startup")
    return text.zfill(8)


def _start_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is no date")
    return text.lower()


def _clock_servers(maker: TableMaker) -> None:
    maker.table(
        "/system/ntp/client",
        [
            Column("enabled", vf.boolean_text, "false", frozenset()),
            Column("mode", vf.one_of("unicast", "broadcast", "multicast", "manycast"), "unicast"),
            Column("servers", default=""),
            Column("vrf", default="main"),
            Column("primary-ntp", vf.address_text, "0.0.0.0"),  # noqa: S104 - how RouterOS writes "none"
            Column("secondary-ntp", vf.address_text, "0.0.0.0"),  # noqa: S104 - as above
            Column("server-dns-names", default=""),
        ],
    )
    servers = maker.table("/system/ntp/client/servers", [Column("address", vf.filled_text, required=True)])
    client = maker.made["/system/ntp/client"]

    def listed() -> None:
        for row in client:
            row.values["servers"] = ",".join(servers.value(server, "address") for server in servers)

    servers.on_change(listed)


def _mode_columns() -> list[Column]:
    flag = vf.boolean_text
    return [
        Column("mode", vf.one_of(*MODES), "advanced"),
        *(Column(feature, flag, "true", frozenset()) for feature in FEATURES),
        Column("flagged", flag, "false", frozenset()),
        Column("flagging-enabled", flag, "true", frozenset()),
    ]


def mode_fields(mode: str, forbidden: frozenset[str]) -> dict[str, str]:
    """What `/system/device-mode` holds in a mode, with features turned off besides."""
    off = {
        "basic": frozenset(FEATURES),
        "home": _OFF_AT_HOME | _OFF_AT_HOME_TOO,
        "advanced": frozenset({"traffic-gen", "container"}),
        "rose": frozenset({"traffic-gen"}),
    }[mode]
    return {"mode": mode} | {name: "no" if name in off | forbidden else "yes" for name in FEATURES}


def set_up_services(tables: Mapping[str, Table]) -> None:
    """Put in the services that every router has."""
    services = tables["/ip/service"]
    for name, port in SERVICES.items():
        encrypted = {"certificate": "none", "tls-version": "any"} if name.endswith("-ssl") else {}
        services.add({"name": name, "port": port, "disabled": "no"} | encrypted)


def set_up_groups(tables: Mapping[str, Table]) -> None:
    """Put in the groups that every router has."""
    reading = "local,telnet,ssh,reboot,read,test,winbox,password,web,sniff,sensitive,api,romon,rest-api"
    for name, policy in {"read": reading, "write": f"{reading},write", "full": ",".join(POLICIES)}.items():
        tables["/user/group"].add({"name": name, "policy": policy})
