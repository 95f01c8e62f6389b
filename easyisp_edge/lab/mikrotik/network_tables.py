"""The router's network as commands write it: interfaces, addresses, DHCP, firewall, queues.

Nothing of it is carried out: what is written is kept, checked and printed, so that a set-up can be compared.

Source: RouterOS manual, the menus named.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.table_maker import DYNAMIC, VALID
from easyisp_edge.lab.mikrotik.tables import Column, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from easyisp_edge.lab.mikrotik.table_maker import TableMaker
    from easyisp_edge.lab.mikrotik.tables import Row, Table

_PORT = vf.integer_between(0, 255)
_ACTIONS = [
    "accept",
    "drop",
    "reject",
    "log",
    "passthrough",
    "jump",
    "return",
    "tarpit",
    "fasttrack-connection",
    "add-src-to-address-list",
    "add-dst-to-address-list",
]
_STATES = vf.some_or_none_of("invalid", "established", "related", "new", "untracked")
_NO_LIMIT = "0/0"
_NAMED = ("name",)


def network_tables(maker: TableMaker) -> None:
    """Make the tables of the network."""
    interfaces = maker.table("/interface", [Column("name", required=True), Column("type", default="ether")])
    interfaces.computed = lambda row: {
        "default-name": row.values["name"],
        "mtu": "1500",
        "running": "true",
        "disabled": "false",
    }
    named = reference(interfaces, "interface")
    addresses = maker.table(
        "/ip/address",
        [Column("address", vf.interface_address_text, required=True), Column("interface", named, required=True)],
        key=("address", "interface"),
        duplicate="failure: already have such address",
        shown=VALID,
    )
    addresses.computed = lambda row: {
        "network": str(IPv4Interface(row.values["address"]).network.network_address),
        "actual-interface": row.values["interface"],
    }
    _dhcp(maker, named)
    _firewall(maker, named)
    _ipv6(maker, named)
    _queues(maker)
    _dns(maker)


def _dhcp(maker: TableMaker, interface: Callable[[str], str]) -> None:
    pools = maker.table(
        "/ip/pool",
        [Column("name", vf.filled_text, required=True), Column("ranges", vf.filled_text, required=True)],
        key=_NAMED,
        duplicate="failure: pool with such name exists",
    )
    maker.table(
        "/ip/dhcp-server",
        [
            Column("name", vf.filled_text, required=True),
            Column("interface", interface, required=True),
            Column("address-pool", reference(pools, "address-pool", "static-only"), "static-only"),
            Column("lease-time", vf.duration_text, "30m"),
            Column("authoritative", default="yes"),
            Column("use-radius", default="no"),
        ],
        key=_NAMED,
        shown=VALID,
    )
    options = maker.table(
        "/ip/dhcp-server/option",
        [
            Column("name", vf.filled_text, required=True),
            Column("code", vf.integer_between(1, 254), required=True),
            Column("value", default=""),
            Column("force", vf.boolean_text, "false", frozenset()),
        ],
        key=_NAMED,
    )
    options.computed = lambda row: {"raw-value": _raw_option(row)}
    maker.table(
        "/ip/dhcp-server/network",
        [
            Column("address", vf.network_text, required=True),
            Column("dhcp-option", _each(reference(options, "dhcp-option")), ""),
            Column("gateway", default=""),
            Column("dns-server", default=""),
        ],
        key=("address",),
        duplicate="failure: already have such network",
        shown=DYNAMIC,
    )
    maker.table("/ip/dhcp-server/option/sets", [Column("name", vf.filled_text, required=True)], key=_NAMED)


def _each(normal: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: ",".join(normal(part) for part in text.split(",") if part)


def _raw_option(row: Row) -> str:
    value = row.values.get("value", "")
    quoted = len(value) > 1 and value[0] == value[-1] == "'"
    return value[1:-1].encode("utf-8", "surrogateescape").hex() if quoted else value.removeprefix("0x")


def _rules(address: Callable[[str], str], interface: Callable[[str], str]) -> list[Column]:
    ports = ("dst-port", "src-port", "port")
    return [
        Column("chain", vf.filled_text, required=True),
        Column("action", vf.one_of(*_ACTIONS), "accept", frozenset()),
        Column("connection-state", _STATES),
        Column("src-address", address),
        Column("dst-address", address),
        Column("in-interface", _negated(interface)),
        Column("out-interface", _negated(interface)),
        *(Column(name, vf.ports_text) for name in ports),
        Column("log", vf.boolean_text, "false", frozenset()),
        Column("log-prefix", default=""),
    ]


def _negated(normal: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: f"!{normal(text[1:])}" if text.startswith("!") else normal(text)


def _firewall(maker: TableMaker, interface: Callable[[str], str]) -> None:
    counted = VALID | {"bytes": "0", "packets": "0"}
    address = _network_or_range
    maker.table("/ip/firewall/filter", _rules(address, interface), shown=counted)
    maker.table(
        "/ip/firewall/nat",
        [Column("chain", vf.filled_text, required=True), Column("action", default="accept")],
        shown=counted,
    )
    maker.table("/ipv6/firewall/filter", _rules(vf.network6_text, interface), shown=counted)


def _network_or_range(text: str) -> str:
    first, dash, last = text.partition("-")
    return f"{vf.network_text(first)}-{vf.address_text(last)}" if dash else vf.network_text(text)


def _ipv6(maker: TableMaker, interface: Callable[[str], str]) -> None:
    flag = vf.boolean_text
    maker.table(
        "/ipv6/settings",
        [
            Column("disable-ipv6", flag, "false", frozenset()),
            Column("forward", flag, "true", frozenset()),
            Column("accept-redirects", default="yes-if-forwarding-disabled"),
            Column("accept-router-advertisements", default="yes-if-forwarding-disabled"),
            Column("max-neighbor-entries", vf.integer_between(1, 2**32 - 1), "8192"),
        ],
    )
    maker.table(
        "/ipv6/address",
        [
            Column("address", vf.interface_address6_text, required=True),
            Column("interface", interface, required=True),
            Column("advertise", flag, "true", frozenset()),
            Column("eui-64", flag, "false", frozenset()),
        ],
        shown=VALID,
    )
    maker.table("/ipv6/nd", [Column("interface", required=True)], shown=VALID)


def _queues(maker: TableMaker) -> None:
    maker.table(
        "/queue/simple",
        [
            Column("name", vf.filled_text, required=True),
            Column("target", default=""),
            Column("parent", default="none"),
            Column("packet-marks", default=""),
            Column("priority", default="8/8"),
            Column("queue", default="default-small/default-small"),
            Column("limit-at", _both_ways, _NO_LIMIT),
            Column("max-limit", _both_ways, _NO_LIMIT),
        ],
        key=_NAMED,
        shown=VALID | {"bytes": "0/0"},
    )


def _both_ways(text: str) -> str:
    received, sent = vf.parse_rates(text)
    return f"{received}/{sent}"


def _dns(maker: TableMaker) -> None:
    maker.table(
        "/ip/dns",
        [
            Column("servers", default=""),
            Column("allow-remote-requests", vf.boolean_text, "false", frozenset()),
            Column("cache-size", default="2048"),
            Column("cache-max-ttl", vf.duration_text, "1w"),
            Column("use-doh-server", default=""),
            Column("verify-doh-cert", vf.boolean_text, "false", frozenset()),
        ],
    )
    maker.table(
        "/ip/dns/static",
        [Column("name", default=""), Column("type", default="A"), Column("ttl", vf.duration_text, "1d")],
        shown=DYNAMIC,
    )


def set_up_network(tables: Mapping[str, Table], interfaces: tuple[str, ...]) -> None:
    """Put the interfaces in that the router is built with."""
    for name in interfaces:
        kind = "bridge" if name.startswith("bridge") else "ether"
        tables["/interface"].add({"name": name, "type": kind})


def set_up_lan(tables: Mapping[str, Table], interface: str, address: str) -> None:
    """Give an interface its address and a DHCP server, as a technician does before the hotspot."""
    network = IPv4Interface(address).network
    gateway = str(IPv4Interface(address).ip)
    tables["/ip/address"].add({"address": address, "interface": interface})
    tables["/ip/pool"].add({"name": "dhcp-pool", "ranges": f"{network[2]}-{network[-2]}"})
    tables["/ip/dhcp-server"].add({"name": "dhcp1", "interface": interface, "address-pool": "dhcp-pool"})
    tables["/ip/dhcp-server/network"].add({"address": str(network), "gateway": gateway, "dns-server": gateway})
