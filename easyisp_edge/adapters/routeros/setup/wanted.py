"""What a router of a site should say, menu by menu, in the order in which it is written."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from easyisp_edge.adapters.routeros.durations import duration_text
from easyisp_edge.adapters.routeros.setup.access_rows import api_rows, firewall_rows, marked, service_rows
from easyisp_edge.adapters.routeros.setup.rows import NAME_MARK, WantedRow, found
from easyisp_edge.adapters.routeros.setup.tables import only, version_of
from easyisp_edge.domain.router_versions import RouterVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from easyisp_edge.adapters.routeros.setup.rows import Row, SetupSite, Tables

FILES_BY_API_SINCE = RouterVersion(7, 15)
FIRST_V7 = RouterVersion(7, 0)
_OPTION = f"{NAME_MARK}captive"
_CAPTIVE_PORTAL_CODE = "114"  # RFC 8910 section 2.1
_DIRECTORY = "directory"
# What a profile of ours takes over from the one that was in use.
_TAKEN_OVER = (
    "hotspot-address", "dns-name", "rate-limit", "http-proxy", "smtp-server", "http-cookie-lifetime",
    "split-user-domain", "ssl-certificate", "nas-port-type", "radius-default-domain", "radius-location-id",
    "radius-location-name", "radius-mac-format",
)  # fmt: skip


def wanted_rows(site: SetupSite, tables: Tables) -> list[WantedRow]:
    """Every row as it should stand, in the order to write them: what others refer to first, what closes doors last."""
    return [
        *_file_rows(site, tables),
        *api_rows(site),
        *_ntp_rows(site, tables),
        *_radius_rows(site, tables),
        *firewall_rows(site, tables),
        *_garden_rows(site, tables),
        *_dhcp_rows(site, tables),
        _profile_row(site, tables),
        _server_row(site, tables),
        *service_rows(site, tables),
    ]


def html_directory(pages: Mapping[str, str], tables: Tables) -> str:
    """Where the hand-over pages stand on that router: a folder named by what is in it."""
    contents = "".join(f"{name}\0{text}\0" for name, text in sorted(pages.items()))
    folder = NAME_MARK + hashlib.sha256(contents.encode()).hexdigest()[:12]
    return f"flash/{folder}" if found(tables.get("/file", []), {"name": "flash"}) else folder


def page_files(site: SetupSite, tables: Tables) -> dict[str, str]:
    """The hand-over pages by their full name on that router."""
    folder = html_directory(site.pages, tables)
    return {f"{folder}/{name}": text for name, text in sorted(site.pages.items())}


def takes_files(tables: Tables) -> bool:
    """Whether the router lets folders be made by its API."""
    return (version_of(tables) or FIRST_V7) >= FILES_BY_API_SINCE


def server_of(site: SetupSite, tables: Tables) -> Row | None:
    """The hotspot server this is about; None where it is to be made."""
    servers = tables.get("/ip/hotspot", [])
    if site.server is not None and (named := found(servers, {"name": site.server})):
        return named
    return found(servers, {"interface": site.interface})


def networks_of(site: SetupSite, tables: Tables) -> list[ipaddress.IPv4Interface]:
    """The addresses the router has on the customers' interface."""
    return [
        ipaddress.IPv4Interface(row["address"])
        for row in tables.get("/ip/address", [])
        if row.get("interface") == site.interface and row.get("disabled") != "true"
    ]


def _file_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    if not takes_files(tables):
        return
    why = "the pages that hand devices over to the portal"
    yield WantedRow("/file", {"name": html_directory(site.pages, tables)}, {}, why, when_new={"type": _DIRECTORY})
    for name, text in page_files(site, tables).items():
        yield WantedRow("/file", {"name": name}, {"contents": text}, why)


def _ntp_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    now = only(tables, "/system/ntp/client")
    why = "the router's clock, which a power cut sets back"
    if (version_of(tables) or FIRST_V7) < FIRST_V7:
        names = now.get("server-dns-names") or ",".join(site.ntp_servers)
        old = {"enabled": "yes", "primary-ntp": site.box_address, "server-dns-names": names}
        yield WantedRow("/system/ntp/client", {}, old, why)
        return
    others = [name for name in now.get("servers", "").split(",") if name and name != site.box_address]
    servers = ",".join([site.box_address, *(others or site.ntp_servers)])
    yield WantedRow("/system/ntp/client", {}, {"enabled": "yes", "mode": "unicast", "servers": servers}, why)


def _radius_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    if site.radius is None:
        return
    values = {
        "service": "hotspot",
        "address": site.box_address,
        "authentication-port": str(site.radius.auth_port),
        "accounting-port": str(site.radius.acct_port),
        "timeout": "3s",
    }
    if any(row.get("address", "").partition("/")[0] == site.router_address for row in tables.get("/ip/address", [])):
        values["src-address"] = site.router_address  # the box knows the router by it
    secrets = {"secret": site.radius.secret}
    yield marked("/radius", "radius", values, "who decides about logins", site, secrets=secrets)
    if site.radius.incoming_port is not None:
        incoming = {"accept": "yes", "port": str(site.radius.incoming_port)}
        yield WantedRow("/radius/incoming", {}, incoming, "orders to end sessions")


def _garden_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    portal = urlsplit(site.portal_url)
    port = portal.port or (443 if portal.scheme == "https" else 80)
    host = portal.hostname or site.box_address
    where = {"dst-address": host} if _is_address(host) else {"dst-host": host}
    values = {"action": "accept", **where, "protocol": "tcp", "dst-port": str(port)}
    why = "devices reach the portal before they have paid"
    yield marked("/ip/hotspot/walled-garden/ip", "portal", values, why, site)
    box = ipaddress.IPv4Address(site.box_address)
    if any(box in interface.network for interface in networks_of(site, tables)):
        values = {"address": site.box_address, "type": "bypassed"}
        why = "this box is among the customers and needs no login"
        yield marked("/ip/hotspot/ip-binding", "box", values, why, site)


def _dhcp_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    if site.captive_api_url is None:
        return
    why = "devices learn by DHCP that there is a portal"
    values = {"code": _CAPTIVE_PORTAL_CODE, "value": f"'{site.captive_api_url}'", "force": "yes"}
    yield WantedRow("/ip/dhcp-server/option", {"name": _OPTION}, values, why)
    inside = {str(interface.network) for interface in networks_of(site, tables)}
    for row in tables.get("/ip/dhcp-server/network", []):
        if row.get("address") in inside:
            given = [name for name in row.get("dhcp-option", "").split(",") if name and name != _OPTION]
            options = ",".join([*given, _OPTION])
            yield WantedRow("/ip/dhcp-server/network", {"address": row["address"]}, {"dhcp-option": options}, why)


def _profile_row(site: SetupSite, tables: Tables) -> WantedRow:
    values = {
        "login-by": ",".join([*site.cookies, "http-pap"]),
        "use-radius": "no" if site.radius is None else "yes",
        "html-directory": html_directory(site.pages, tables),
    }
    if site.radius is not None:
        values |= {"radius-accounting": "yes", "radius-interim-update": duration_text(site.radius.interim)}
    if site.dns_name is not None:
        values["dns-name"] = site.dns_name
    server = server_of(site, tables) or {}
    used = found(tables.get("/ip/hotspot/profile", []), {"name": server.get("profile", "")}) or {}
    taken = {name: used[name] for name in _TAKEN_OVER if used.get(name) and name not in values}
    why = "how devices log in"
    return WantedRow("/ip/hotspot/profile", {"name": site.profile}, values, why, when_new=taken)


def _server_row(site: SetupSite, tables: Tables) -> WantedRow:
    server = server_of(site, tables)
    name = server["name"] if server else site.server or f"{NAME_MARK}{site.router_id}"
    values = {
        "profile": site.profile,
        "idle-timeout": duration_text(site.idle_timeout),
        "keepalive-timeout": duration_text(site.keepalive_timeout),
        "addresses-per-mac": str(site.addresses_per_mac),
        "disabled": "no",
    }
    new = {"interface": site.interface, "address-pool": "none"}
    return WantedRow("/ip/hotspot", {"name": name}, values, "the hotspot on the customers' interface", when_new=new)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
