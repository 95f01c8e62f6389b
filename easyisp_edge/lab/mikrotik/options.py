"""How a stand-in MikroTik is set up before it is switched on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik.command_tree import V7, parse_version
from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.network_tables import set_up_lan, set_up_network
from easyisp_edge.lab.mikrotik.system_tables import (
    MODES,
    POLICIES,
    mode_fields,
    set_up_groups,
    set_up_services,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.tables import Table

CERTIFICATE_NAME = "api"


@dataclass(frozen=True, slots=True)
class RadiusServer:
    """A row of `/radius`.

    Args:
        address: IPv4 address.
        secret: Shared with the server.
        authentication_port: UDP.
        accounting_port: UDP.
        timeout_seconds: Until the same packet is sent again.
        require_message_auth: Only from 7.15: whether requests carry Message-Authenticator and replies must.
    """

    address: str
    secret: str = field(repr=False)
    authentication_port: int = 1812
    accounting_port: int = 1813
    timeout_seconds: float = 0.3
    require_message_auth: bool = True


@dataclass(frozen=True, slots=True)
class MikrotikOptions:
    """What a technician, or a test, has set on the router before.

    Args:
        version: RouterOS version, 7.9.2 to 7.24, or 6.43 to 6.49.
        identity: `/system/identity`.
        api_users: Who may log in by API.
        old_login: Whether the API wants the challenge of versions before 6.43.
        max_sessions: Of the API service; versions before 7.16 have no bound.
        api_addresses: Who may connect to the API; empty for all.
        server_name: The hotspot server; empty for a router without hotspot or RADIUS servers.
        interface: Of that server.
        login_by: Of its profile.
        use_radius: Of its profile.
        radius_servers: Rows of `/radius`.
        radius_tries: How often a RADIUS packet is sent to one server in all.
        portal_url: Where the router's login page sends a device; empty for the pages it left the factory with.
        ntp_seconds: How long after a reboot the router's clock stands in 1970.
        reappear_seconds: After a reboot, when connected devices are heard again; None for when they send traffic.
        lan_address: Of `interface`, with prefix length; a DHCP server stands there too. None for neither.
        interfaces: The ports it is built with, besides `interface`.
        device_mode: From 7.17: basic, home, advanced or rose; the first two forbid the hotspot.
        forbidden: From 7.17: features that the device-mode forbids besides, such as `hotspot` or `scheduler`.
        hotspot_package: On version 6: whether the package that brings the hotspot is installed.
        flash: Whether the board keeps its files under `flash`.
        certificate: PEM files of api-ssl's certificate and key; None where api-ssl is off.
        script_line_seconds: How long each command of a script takes.
    """

    version: str = "7.20.8"
    identity: str = "MikroTik"
    api_users: tuple[ApiUser, ...] = (ApiUser("edge", "s3cret"),)
    old_login: bool = False
    max_sessions: int = 20
    api_addresses: frozenset[str] = frozenset()
    server_name: str = "hotspot1"
    interface: str = "bridge1"
    login_by: str = "http-pap"
    use_radius: bool = False
    radius_servers: tuple[RadiusServer, ...] = ()
    radius_tries: int = 3
    portal_url: str = "http://127.0.0.1:8080/"
    ntp_seconds: float = 20.0
    reappear_seconds: float | None = None
    lan_address: str | None = "10.5.50.1/24"
    interfaces: tuple[str, ...] = tuple(f"ether{number}" for number in range(1, 11))
    device_mode: str = "advanced"
    forbidden: frozenset[str] = frozenset()
    hotspot_package: bool = True
    flash: bool = False
    certificate: tuple[Path, Path] | None = None
    script_line_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.radius_tries < 1:
            raise InvalidError("lab.mikrotik.tries", "a RADIUS packet is sent at least once", field="radius_tries")
        if self.device_mode not in MODES:
            modes = ", ".join(MODES)
            raise InvalidError("lab.mikrotik.mode", f"the device-mode is one of {modes}", field="device_mode")


def build(configuration: Configuration, options: MikrotikOptions) -> None:
    """Write into empty tables what a router has out of the box: ports, services, groups, users, packages.

    Raises:
        TrapError: The router would not take one of the options.
    """
    tables = configuration.others
    interfaces = dict.fromkeys((*options.interfaces, options.interface))
    set_up_network(tables, tuple(interfaces))
    set_up_services(tables)
    set_up_groups(tables)
    for user in options.api_users:
        _add_user(tables, user)
    for package in _packages(options):
        tables["/system/package"].add({"name": package, "version": options.version})
    mode = tables["/system/device-mode"]
    mode.change(next(iter(mode)).id, mode_fields(options.device_mode, options.forbidden))
    _set_up_api(tables, options)


def _add_user(tables: Mapping[str, Table], user: ApiUser) -> None:
    groups = tables["/user/group"]
    wanted = ",".join(policy for policy in POLICIES if policy in user.policies)
    fitting = next((groups.value(row, "name") for row in groups if row.values["policy"] == wanted), None)
    if fitting is None:
        fitting = f"of-{user.name}"
        groups.add({"name": fitting, "policy": wanted})
    tables["/user"].add({"name": user.name, "password": user.password, "group": fitting})


def _packages(options: MikrotikOptions) -> tuple[str, ...]:
    if parse_version(options.version) >= V7:
        return ("routeros",)
    hotspot = ("hotspot",) if options.hotspot_package else ()
    return ("system", "security", "dhcp", "ipv6", "advanced-tools", *hotspot)


def _set_up_api(tables: Mapping[str, Table], options: MikrotikOptions) -> None:
    services = tables["/ip/service"]
    bound = {"max-sessions": str(options.max_sessions)} if "max-sessions" in services.columns else {}
    services.change("api", {"address": ",".join(sorted(options.api_addresses))} | bound)
    if options.certificate is None:
        services.change("api-ssl", {"disabled": "yes"} | bound)
    else:
        tables["/certificate"].add({"name": CERTIFICATE_NAME, "common-name": options.identity})
        services.change("api-ssl", {"certificate": CERTIFICATE_NAME} | bound)


def set_up(configuration: Configuration, options: MikrotikOptions) -> None:
    """Write a technician's set-up into the tables of a router just built: addresses, hotspot, RADIUS.

    Raises:
        TrapError: The router would not take one of them.
    """
    if options.lan_address is not None:
        set_up_lan(configuration.others, options.interface, options.lan_address)
    if not options.server_name:
        return
    configuration.server_profiles.add(
        {
            "name": "hsprof1",
            "login-by": options.login_by,
            "use-radius": "yes" if options.use_radius else "no",
        }
    )
    configuration.servers.add(
        {"name": options.server_name, "interface": options.interface, "profile": "hsprof1", "disabled": "no"}
    )
    for server in options.radius_servers:
        _add_radius(configuration, server)


def _add_radius(configuration: Configuration, server: RadiusServer) -> None:
    fields = {
        "service": "hotspot",
        "address": server.address,
        "secret": server.secret,
        "authentication-port": str(server.authentication_port),
        "accounting-port": str(server.accounting_port),
        "timeout": f"{round(server.timeout_seconds * 1000)}ms",
    }
    if "require-message-auth" in configuration.radius.columns:
        fields["require-message-auth"] = "yes-for-request-resp" if server.require_message_auth else "no"
    configuration.radius.add(fields)
