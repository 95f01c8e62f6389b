"""The router's configuration tables: the fields, defaults and checks of each menu.

Source: RouterOS manual, HotSpot and RADIUS; which fields a version has is for the command tree to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.network_tables import network_tables
from easyisp_edge.lab.mikrotik.system_tables import system_tables
from easyisp_edge.lab.mikrotik.table_maker import TableMaker
from easyisp_edge.lab.mikrotik.tables import Column, Table, follow_names, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from easyisp_edge.lab.mikrotik.command_tree import CommandTree

SETTINGS = ("/ip/dns", "/ipv6/settings", "/system/device-mode", "/system/ntp/client")
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - how RouterOS writes "none" and "any"; nothing is bound to it
_COUNT = vf.integer_between(0, 2**64 - 1)
_ZERO = frozenset({"", "0"})
_NO_TIME = frozenset({"0s"})
_COMMENT = Column("comment")
_DISABLED = Column("disabled", vf.boolean_text, "false", frozenset())
_MAC_FORMS = (
    "XX:XX:XX:XX:XX:XX",
    "XXXX:XXXX:XXXX",
    "XXXXXX:XXXXXX",
    "XX-XX-XX-XX-XX-XX",
    "XXXXXX-XXXXXX",
    "XXXXXXXXXXXX",
    "XX XX XX XX XX XX",
)
NO_TRAFFIC = {"uptime": "0s", "bytes-in": "0", "bytes-out": "0", "packets-in": "0", "packets-out": "0"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every configuration table that is played; `others` by menu, those the hotspot itself reads by name."""

    servers: Table
    server_profiles: Table
    users: Table
    user_profiles: Table
    ip_bindings: Table
    walled_garden: Table
    walled_garden_ip: Table
    radius: Table
    others: Mapping[str, Table]

    def tables(self) -> dict[str, Table]:
        """The tables by menu."""
        return {menu: getattr(self, part) for part, menu in _MENUS.items()} | dict(self.others)


_MENUS = {
    "servers": "/ip/hotspot",
    "server_profiles": "/ip/hotspot/profile",
    "users": "/ip/hotspot/user",
    "user_profiles": "/ip/hotspot/user/profile",
    "ip_bindings": "/ip/hotspot/ip-binding",
    "walled_garden": "/ip/hotspot/walled-garden",
    "walled_garden_ip": "/ip/hotspot/walled-garden/ip",
    "radius": "/radius",
}


def factory_configuration(tree: CommandTree) -> Configuration:
    """The tables as they leave the factory: only the built-in rows."""
    maker = TableMaker(tree)
    system_tables(maker)
    network_tables(maker)

    def table(
        part: str,
        columns: Iterable[Column],
        *,
        key: tuple[str, ...] = (),
        duplicate: str = "failure: already have such name",
        shown: Mapping[str, str] | None = None,
    ) -> Table:
        add = f"{_MENUS[part]}/add"
        present = [column for column in columns if tree.has(add, column.name)]
        return Table(present, key=key, duplicate=duplicate, shown=shown)

    profiles = table("user_profiles", _user_profile_columns(), key=("name",), shown={"default": "false"})
    server_profiles = table("server_profiles", _server_profile_columns(), key=("name",), shown={"default": "false"})
    servers = table(
        "servers",
        _server_columns(server_profiles, reference(maker.made["/interface"], "interface")),
        key=("name",),
        shown=_SERVER_SHOWN,
    )
    users = table(
        "users",
        _user_columns(servers, profiles),
        key=("server", "name"),
        duplicate="failure: already have user with this name for this server",
        shown=NO_TRAFFIC | {"dynamic": "false"},
    )
    follow_names(users, "profile", profiles)
    follow_names(users, "server", servers)
    follow_names(servers, "profile", server_profiles)
    configuration = Configuration(
        servers=servers,
        server_profiles=server_profiles,
        users=users,
        user_profiles=profiles,
        ip_bindings=table("ip_bindings", _ip_binding_columns(servers)),
        walled_garden=table("walled_garden", _walled_garden_columns(servers), shown={"hits": "0", "dynamic": "false"}),
        walled_garden_ip=table(
            "walled_garden_ip",
            _walled_garden_ip_columns(servers),
            shown={"dynamic": "false", "invalid": "false"},
        ),
        radius=table("radius", _radius_columns()),
        others=maker.made,
    )
    restore_factory(configuration)
    return configuration


def restore_factory(configuration: Configuration) -> None:
    """Put the built-in rows into empty tables."""
    configuration.user_profiles.add({"name": "default"}, {"default": "true"})
    configuration.server_profiles.add({"name": "default"}, {"default": "true"})
    configuration.users.add({"name": "default-trial"}, {"default": "true"})
    for menu in SETTINGS:
        configuration.others[menu].add({})
    configuration.others["/ipv6/nd"].add({"interface": "all"}, {"default": "true"})


_SERVER_SHOWN = {"proxy-status": "running", "invalid": "false", "HTTPS": "false"}


def _server_columns(server_profiles: Table, interface: Callable[[str], str]) -> list[Column]:
    return [
        Column("name", vf.filled_text, required=True),
        Column("interface", interface, required=True),
        Column("address-pool", vf.filled_text, "none"),
        Column("profile", reference(server_profiles, "profile"), "default"),
        Column("idle-timeout", vf.duration_or("none"), "5m"),
        Column("keepalive-timeout", vf.duration_or("none"), "none"),
        Column("login-timeout", vf.duration_or("none"), "none"),
        Column("addresses-per-mac", vf.integer_or("unlimited", 1, 255), "2"),
        _DISABLED,
    ]


def _server_profile_columns() -> list[Column]:
    login_by = vf.some_of("cookie", "http-chap", "http-pap", "https", "mac", "mac-cookie", "trial")
    return [
        Column("name", vf.filled_text, required=True),
        Column("hotspot-address", vf.address_text, ANY_ADDRESS),
        Column("dns-name", default=""),
        Column("html-directory", default="hotspot"),
        Column("html-directory-override", default=""),
        Column("login-by", login_by, "cookie,http-chap", frozenset()),
        Column("http-cookie-lifetime", vf.duration_text, "3d"),
        Column("use-radius", vf.boolean_text, "false", frozenset()),
        Column("radius-accounting", vf.boolean_text, "true", frozenset()),
        Column("radius-interim-update", vf.duration_or("received"), "received"),
        Column("radius-mac-format", vf.one_of(*_MAC_FORMS), _MAC_FORMS[0]),
        Column("radius-default-domain", default=""),
        Column("radius-location-id", default=""),
        Column("radius-location-name", default=""),
        Column("nas-port-type", vf.one_of("wireless-802.11", "ethernet", "cable"), "wireless-802.11"),
        Column("https-redirect", vf.boolean_text, "true", frozenset()),
        Column("split-user-domain", vf.boolean_text, "false", frozenset()),
        Column("mac-auth-mode", vf.one_of("mac-as-username", "mac-as-username-and-password"), "mac-as-username"),
        Column("mac-auth-password", default="", sensitive=True),
        Column("ssl-certificate", default="none"),
        Column("trial-uptime-limit", vf.duration_text, "30m"),
        Column("trial-uptime-reset", vf.duration_text, "1d"),
        Column("trial-user-profile", vf.filled_text, "default"),
        Column("http-proxy", default="0.0.0.0:0"),
        Column("smtp-server", vf.address_text, ANY_ADDRESS),
        Column("rate-limit", vf.rate_limit_text, ""),
        Column("install-hotspot-queue", vf.boolean_text, "false", frozenset()),
    ]


def _user_columns(servers: Table, profiles: Table) -> list[Column]:
    return [
        Column("server", reference(servers, "server", "all"), unset=frozenset({"all"})),
        Column("name", vf.filled_text, required=True),
        Column("password", sensitive=True),
        Column("profile", reference(profiles, "profile"), "default", frozenset()),
        Column("mac-address", vf.mac_text, unset=frozenset({"00:00:00:00:00:00"})),
        Column("address", vf.address_text, unset=frozenset({ANY_ADDRESS})),
        Column("limit-uptime", vf.duration_text, unset=_NO_TIME),
        Column("limit-bytes-in", _COUNT, unset=_ZERO),
        Column("limit-bytes-out", _COUNT, unset=_ZERO),
        Column("limit-bytes-total", _COUNT, unset=_ZERO),
        Column("routes"),
        Column("email"),
        Column("otp-secret", sensitive=True),
        _COMMENT,
        _DISABLED,
    ]


def _user_profile_columns() -> list[Column]:
    plain = ("incoming-filter", "outgoing-filter", "incoming-packet-mark", "outgoing-packet-mark")
    return [
        Column("name", vf.filled_text, required=True),
        Column("address-pool"),
        Column("session-timeout", vf.duration_text, unset=_NO_TIME),
        Column("idle-timeout", vf.duration_or("none"), "none"),
        Column("keepalive-timeout", vf.duration_or("none"), "2m"),
        Column("status-autorefresh", vf.duration_or("none"), "1m"),
        Column("shared-users", vf.integer_or("unlimited", 1, 4294967295), "1"),
        Column("add-mac-cookie", vf.boolean_text, "true", frozenset()),
        Column("mac-cookie-timeout", vf.duration_text, "3d"),
        Column("rate-limit", vf.rate_limit_text),
        Column("address-list", default=""),
        *(Column(name) for name in plain),
        *(Column(name) for name in ("parent-queue", "queue-type", "insert-queue-before")),
        *(Column(name) for name in ("on-login", "on-logout")),
        Column("open-status-page", vf.one_of("always", "http-login"), "always"),
        Column("transparent-proxy", vf.boolean_text, "true", frozenset()),
        Column("advertise", vf.boolean_text, "false", frozenset()),
        *(Column(name) for name in ("advertise-url", "advertise-interval", "advertise-timeout")),
    ]


def _ip_binding_columns(servers: Table) -> list[Column]:
    return [
        Column("mac-address", vf.mac_text, unset=frozenset({"00:00:00:00:00:00"})),
        Column("address", vf.address_text, unset=frozenset({ANY_ADDRESS})),
        Column("to-address", vf.address_text),
        Column("server", reference(servers, "server", "all"), unset=frozenset({"all"})),
        Column("type", vf.one_of("regular", "bypassed", "blocked"), "regular", frozenset()),
        _COMMENT,
        _DISABLED,
    ]


def _walled_garden_columns(servers: Table) -> list[Column]:
    return [
        Column("action", vf.one_of("allow", "deny"), "allow", frozenset()),
        Column("server", reference(servers, "server", "all"), unset=frozenset({"all"})),
        Column("src-address", vf.network_text),
        Column("method"),
        Column("dst-host"),
        Column("dst-port", vf.ports_text),
        Column("path"),
        _COMMENT,
        _DISABLED,
    ]


def _walled_garden_ip_columns(servers: Table) -> list[Column]:
    return [
        Column("action", vf.one_of("accept", "drop", "reject"), "accept", frozenset()),
        Column("server", reference(servers, "server", "all"), unset=frozenset({"all"})),
        Column("dst-address", vf.network_text),
        Column("dst-host"),
        Column("dst-address-list"),
        Column("dst-port", vf.ports_text),
        Column("protocol"),
        Column("src-address", vf.network_text),
        Column("src-address-list"),
        _COMMENT,
        _DISABLED,
    ]


def _radius_columns() -> list[Column]:
    services = vf.some_of("ppp", "login", "hotspot", "wireless", "dhcp", "ipsec", "dot1x")
    port = vf.integer_between(1, 65535)
    return [
        Column("service", services),
        Column("called-id"),
        Column("domain"),
        Column("address", vf.address_text, required=True),
        Column("secret", default="", sensitive=True),
        Column("authentication-port", port, "1812"),
        Column("accounting-port", port, "1813"),
        Column("timeout", vf.duration_text, "300ms"),
        Column("accounting-backup", vf.boolean_text, "false", frozenset()),
        Column("realm"),
        Column("src-address", vf.address_text),
        Column("protocol", vf.one_of("udp", "radsec"), "udp"),
        Column("certificate", default="none"),
        Column("require-message-auth", vf.one_of("yes-for-request-resp", "no"), "yes-for-request-resp"),
        Column("radsec-timeout", vf.duration_text, "3s300ms"),
        _COMMENT,
        _DISABLED,
    ]
