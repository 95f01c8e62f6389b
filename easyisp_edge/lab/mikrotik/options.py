"""How a stand-in MikroTik is set up before it is switched on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik.console import ApiUser

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.configuration import Configuration


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
        version: RouterOS version, 7.9.2 to 7.24.
        identity: `/system/identity`.
        api_users: Who may log in by API.
        old_login: Whether the API wants the challenge of versions before 6.43.
        max_sessions: Of the API service; versions before 7.16 have no bound.
        api_addresses: Who may connect to the API; empty for all.
        server_name: The hotspot server.
        interface: Of that server.
        login_by: Of its profile.
        use_radius: Of its profile.
        radius_servers: Rows of `/radius`.
        radius_tries: How often a RADIUS packet is sent to one server in all.
        portal_url: Where the router's login page sends a device.
        ntp_seconds: How long after a reboot the router's clock stands in 1970.
        reappear_seconds: After a reboot, when connected devices are heard again; None for when they send traffic.
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

    def __post_init__(self) -> None:
        if self.radius_tries < 1:
            raise InvalidError("lab.mikrotik.tries", "a RADIUS packet is sent at least once", field="radius_tries")


def set_up(configuration: Configuration, options: MikrotikOptions) -> None:
    """Write the options into factory-new tables.

    Raises:
        TrapError: The router would not take one of them.
    """
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
