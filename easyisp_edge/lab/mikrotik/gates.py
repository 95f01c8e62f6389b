"""Who passes without logging in: ip-bindings and the walled garden."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.sessions import Host
    from easyisp_edge.lab.mikrotik.tables import Row, Table

_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


@dataclass(frozen=True, slots=True)
class Destination:
    """What a device wants to reach.

    Args:
        host: Name or IPv4 address.
        port: TCP or UDP port.
        protocol: `tcp` or `udp`.
        path: For the HTTP kind of rule.
    """

    host: str
    port: int
    protocol: str = "tcp"
    path: str = "/"


def binding_type(configuration: Configuration, mac: str, ip: str, server: Row) -> str:
    """`regular`, `bypassed` or `blocked`, by the first ip-binding that fits the device."""
    bindings = configuration.ip_bindings
    for row in bindings.enabled():
        wanted = (bindings.value(row, "mac-address"), bindings.value(row, "address"))
        fits = wanted[0] in {"", mac} and wanted[1] in {"", ip} and any(wanted)
        if fits and _of_server(configuration, bindings, row, server):
            return bindings.value(row, "type")
    return "regular"


def garden_lets_through(configuration: Configuration, host: Host, to: Destination) -> bool:
    """Whether a device that is not logged in may reach the destination."""
    packets = configuration.walled_garden_ip
    for row in packets.enabled():
        if _of_server(configuration, packets, row, host.server) and _packet_fits(packets, row, host, to):
            return packets.value(row, "action") == "accept"
    pages = configuration.walled_garden
    for row in pages.enabled():
        if _of_server(configuration, pages, row, host.server) and _page_fits(pages, row, host, to):
            row.shown["hits"] = str(int(row.shown["hits"]) + 1)
            return pages.value(row, "action") == "allow"
    return False


def _of_server(configuration: Configuration, table: Table, row: Row, server: Row) -> bool:
    return table.value(row, "server") in {"", configuration.servers.value(server, "name")}


def _packet_fits(table: Table, row: Row, host: Host, to: Destination) -> bool:
    named, address = table.value(row, "dst-host"), table.value(row, "dst-address")
    if named:
        destination_fits = named == to.host
    else:
        destination_fits = not address or (bool(_ADDRESS.fullmatch(to.host)) and _in_network(to.host, address))
    protocol, source = table.value(row, "protocol"), table.value(row, "src-address")
    return (
        destination_fits
        and protocol in {"", to.protocol}
        and _port_fits(table.value(row, "dst-port"), to.port)
        and (not source or _in_network(host.ip, source))
        and not table.value(row, "dst-address-list")
        and not table.value(row, "src-address-list")
    )


def _page_fits(table: Table, row: Row, host: Host, to: Destination) -> bool:
    source = table.value(row, "src-address")
    return (
        to.protocol == "tcp"
        and _pattern_fits(table.value(row, "dst-host"), to.host)
        and _pattern_fits(table.value(row, "path"), to.path)
        and _port_fits(table.value(row, "dst-port"), to.port)
        and (not source or _in_network(host.ip, source))
    )


def _pattern_fits(pattern: str, text: str) -> bool:
    if pattern.startswith(":"):
        return re.search(pattern[1:], text) is not None
    return not pattern or fnmatch.fnmatchcase(text, pattern)


def _in_network(address: str, network: str) -> bool:
    inside = ipaddress.IPv4Address(address) in ipaddress.IPv4Network(network.removeprefix("!"))
    return inside != network.startswith("!")


def _port_fits(ports: str, port: int) -> bool:
    if not ports:
        return True
    spans = [part.partition("-") for part in ports.removeprefix("!").split(",")]
    inside = any(int(first) <= port <= int(last or first) for first, _, last in spans)
    return inside != ports.startswith("!")
