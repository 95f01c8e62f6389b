"""What makes a hotspot fail, or look right and not work, said before anything is touched."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.legacy_dates import parse_offset, router_time
from easyisp_edge.adapters.routeros.setup.rows import SETUP_MARK, Trap, found
from easyisp_edge.adapters.routeros.setup.tables import only, version_of
from easyisp_edge.adapters.routeros.setup.wanted import (
    FIRST_V7,
    html_directory,
    networks_of,
    page_files,
    server_of,
    takes_files,
)
from easyisp_edge.domain.router_versions import RouterVersion, known_holes, safe_version
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from easyisp_edge.adapters.routeros.setup.rows import Row, SetupSite, Tables

# What phones and computers ask to find out whether they are online; let through, no page comes up.
PROBES = (
    "captive.apple.com", "www.apple.com", "gstatic.com", "clients3.google.com", "connectivitycheck.android.com",
    "google.com/generate_204", "msftconnecttest.com", "msftncsi.com", "detectportal.firefox.com",
    "nmcheck.gnome.org", "connectivitycheck.platform.hicloud.com", "connect.rom.miui.com",
)  # fmt: skip
_FLASH_TWICE = (RouterVersion(7, 17), RouterVersion(7, 17, 1))
_OFF = ("false", "no")
_CLOCK_MOST = timedelta(minutes=5)


def traps(site: SetupSite, tables: Tables, now: datetime | None) -> Iterator[Trap]:
    """All that stands in the way on this router."""
    yield from _device_mode(tables)
    yield from _package(tables)
    yield from _ground(site, tables)
    yield from _pages(site, tables)
    yield from _version(tables)
    yield from _hotspots(site, tables)
    yield from _garden(tables)
    yield from _shadowing(site, tables)
    yield from _order(tables)
    yield from _ipv6(site, tables)
    yield from _clock(tables, now)
    yield from _session(site, tables)


def _device_mode(tables: Tables) -> Iterator[Trap]:
    mode = only(tables, "/system/device-mode")
    forbidden = [name for name in ("hotspot", "scheduler") if mode.get(name) in _OFF]
    command = f"/system/device-mode/update {' '.join(f'{name}=yes' for name in forbidden)}"
    press = (
        "Type the command on the router, then press its mode or reset button shortly, or cut its power, within five"
        " minutes. Nothing can do that from afar."
    )
    if "hotspot" in forbidden:
        yield Trap("device_mode_hotspot", f"The device-mode forbids the hotspot. {press}", command, stops=True)
    elif forbidden:
        words = f"The device-mode forbids the scheduler, by which a set-up that fails is undone. {press}"
        yield Trap("device_mode_scheduler", words, command)


def _package(tables: Tables) -> Iterator[Trap]:
    version = version_of(tables)
    package = found(tables.get("/system/package", []), {"name": "hotspot"})
    if version is None or version >= FIRST_V7:
        return
    if package is None and "/ip/hotspot" not in tables:
        words = (
            f"The package hotspot is missing: upload that of RouterOS {version} to the router's files and reboot it."
        )
        yield Trap("hotspot_package", words, stops=True)
    elif package is not None and package.get("disabled") == "true":
        yield Trap(
            "hotspot_package",
            "The package hotspot is switched off: switch it on and reboot the router.",
            "/system package enable hotspot",
            stops=True,
        )


def _ground(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    """What a hotspot stands on, and nobody but the owner can decide."""
    interface = site.interface
    if found(tables.get("/interface", []), {"name": interface}) is None:
        words = f"There is no interface {interface}; the customers' one is named under [router.setup] in routers.toml."
        yield Trap("interface", words, f"/interface/bridge/add name={interface}", stops=True)
    elif not networks_of(site, tables):
        command = f"/ip/address/add interface={interface} address=10.5.50.1/24"
        yield Trap("address", f"The interface {interface} has no address, such as the one here.", command, stops=True)
    elif found(tables.get("/ip/dhcp-server", []), {"interface": interface, "disabled": "false"}) is None:
        words = f"No DHCP server gives devices on {interface} their addresses; the router asks for what one needs."
        yield Trap("dhcp_server", words, "/ip/dhcp-server/setup", stops=True)


def _pages(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    if takes_files(tables):
        return
    files = {row.get("name"): row.get("contents") for row in tables.get("/file", [])}
    missing = [name for name, text in page_files(site, tables).items() if files.get(name) != text]
    if missing:
        words = (
            "RouterOS before 7.15 takes no folder by its API. Write the pages with router plan --write-files DIR, and"
            f" put what is in DIR into the router's folder {html_directory(site.pages, tables)} by WinBox (Files) or"
            f" scp. Not there yet: {len(missing)} of {len(site.pages)}."
        )
        yield Trap("pages", words, stops=True)


def _version(tables: Tables) -> Iterator[Trap]:
    version = version_of(tables)
    if version is None:
        yield Trap("version", "The router does not say which version it is.", stops=True)
        return
    if holes := known_holes(version):
        words = f"RouterOS {version} has known holes: {'; '.join(holes)}. Upgrade to {safe_version(version)} or newer."
        yield Trap("holes", words, "/system/package/update/install")
    flash = found(tables.get("/file", []), {"name": "flash"})
    if version in _FLASH_TWICE and flash is not None:
        words = f"RouterOS {version} looks for pages in flash/flash; upgrade it to 7.17.2 or newer first."
        yield Trap("flash_twice", words, stops=True)


def _hotspots(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    servers = tables.get("/ip/hotspot", [])
    chosen = server_of(site, tables)
    names = ", ".join(sorted(row.get("name", "") for row in servers))
    if chosen is not None and chosen.get("interface") != site.interface:
        words = f"The hotspot {chosen['name']} is on {chosen.get('interface')}, not on {site.interface}; say which."
        yield Trap("hotspot_elsewhere", words, stops=True)
    if len(servers) > 1 or (servers and chosen is None):
        words = f"The router has other hotspots too ({names}); this set-up is for the one on {site.interface} only."
        yield Trap("hotspots", words)
    for row in servers:
        if row.get("idle-timeout") == "none" == row.get("keepalive-timeout") and row is not chosen:
            words = f"The hotspot {row.get('name')} never lets go of a device that left: both its time-outs are none."
            yield Trap("time_outs", words)
    if site.idle_timeout is None and site.keepalive_timeout is None:
        words = "With idle_timeout and keepalive_timeout both none, devices that left stay online for ever."
        yield Trap("time_outs", words)


def _garden(tables: Tables) -> Iterator[Trap]:
    for menu in ("/ip/hotspot/walled-garden", "/ip/hotspot/walled-garden/ip"):
        for row in tables.get(menu, []):
            host = row.get("dst-host", "")
            lets = row.get("action") in {"allow", "accept"} and not _is_off(row)
            if lets and row.get("dynamic") != "true" and _covers_probe(host):
                words = f"The walled garden lets {host} through. Phones ask it if they are online: no page comes up."
                yield Trap("probes", words, f'{menu}/remove [find where dst-host="{host}"]')


def _covers_probe(host: str) -> bool:
    bare = host.lower().strip("*:^$").lstrip(".").replace("\\.", ".")
    return bool(bare) and any(
        probe == bare or probe.endswith(f".{bare}") or bare.endswith(f".{probe}") for probe in PROBES
    )


def _shadowing(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    """What keeps a customer's own queue from seeing traffic."""
    for row in tables.get("/queue/simple", []):
        if row.get("dynamic") != "true" and not _is_off(row) and _targets(site, tables, row.get("target", "")):
            words = (
                f"The queue {row.get('name')} stands before the customers' own ones and takes their traffic: no"
                " package's speed holds."
            )
            yield Trap("queue", words, f'/queue/simple/disable [find where name="{row.get("name")}"]')
    for row in tables.get("/ip/firewall/filter", []):
        if row.get("action") == "fasttrack-connection" and not _is_off(row) and row.get("dynamic") != "true":
            words = "A fasttrack rule lets connections past the queues: no package's speed holds."
            command = "/ip/firewall/filter/disable [find where action=fasttrack-connection]"
            yield Trap("fasttrack", words, command)


def _targets(site: SetupSite, tables: Tables, target: str) -> bool:
    inside = [interface.network for interface in networks_of(site, tables)]
    return any(word == site.interface or _overlaps(word, inside) for word in target.split(",") if word)


def _overlaps(word: str, inside: list[ipaddress.IPv4Network]) -> bool:
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False
    return isinstance(network, ipaddress.IPv4Network) and any(network.overlaps(other) for other in inside)


def _order(tables: Tables) -> Iterator[Trap]:
    """A rule of ours that another one keeps from ever being reached."""
    for menu in ("/ip/firewall/filter", "/ipv6/firewall/filter"):
        dropping: set[str] = set()
        for row in tables.get(menu, []):
            chain, ours = row.get("chain", ""), row.get("comment", "").startswith(SETUP_MARK)
            if ours and chain in dropping and not _is_off(row):
                comment = row["comment"]
                words = (
                    f'Our rule "{comment}" stands behind one that drops everything in {chain}; move it to the front.'
                )
                yield Trap("order", words, f'{menu}/move [find where comment="{comment}"] destination=0')
            if row.get("action") in {"drop", "reject"} and not ours and not _is_off(row) and _matches_all(row):
                dropping.add(chain)


def _matches_all(row: Row) -> bool:
    return not any(row.get(name) for name in ("protocol", "src-address", "dst-address", "in-interface"))


def _ipv6(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    for row in tables.get("/ipv6/address", []):
        if row.get("interface") == site.interface and row.get("advertise") == "true" and not _is_off(row):
            words = f"Devices on {site.interface} get IPv6 addresses; the hotspot knows nothing of them."
            command = f"/ipv6/address/disable [find where interface={site.interface} && advertise=yes]"
            yield Trap("ipv6", words, command)


def _clock(tables: Tables, now: datetime | None) -> Iterator[Trap]:
    shown = only(tables, "/system/clock")
    try:
        zone = parse_offset(shown.get("gmt-offset", "+00:00"))
        router = router_time(shown.get("date", ""), shown.get("time", ""), zone)
    except InvalidError:
        return
    if now is not None and abs(router - now) > _CLOCK_MOST:
        words = (
            f"The router's clock says {router:%Y-%m-%d %H:%M} UTC, this box's {now:%Y-%m-%d %H:%M}. The set-up has the"
            " router ask for the time."
        )
        yield Trap("clock", words)


def _session(site: SetupSite, tables: Tables) -> Iterator[Trap]:
    """Whether box_address is what the router sees of this box; else it would be shut out."""
    seen = {row.get("address") for row in tables.get("/user/active", []) if row.get("via", "").startswith("api")}
    if seen and site.box_address not in seen:
        words = (
            f"The router sees nobody at its API who comes from {site.box_address}: box_address under [router.setup] is"
            f" not this box's address there. It sees {', '.join(sorted(filter(None, seen)))}."
        )
        yield Trap("box_address", words, stops=True)


def _is_off(row: Row) -> bool:
    return row.get("disabled") == "true"
