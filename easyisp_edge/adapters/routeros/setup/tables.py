"""A router's tables as a set-up looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from easyisp_edge.domain.router_versions import RouterVersion
from easyisp_edge.errors import InvalidError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.adapters.routeros.connection import Reply
    from easyisp_edge.adapters.routeros.setup.rows import Row, SetupSite, Tables

_RULE = ".id chain action comment disabled dynamic protocol src-address dst-address src-port dst-port in-interface"
# Never a secret among them: what is not read cannot be shown, logged or lost.
FIELDS = {
    menu: tuple(fields.split())
    for menu, fields in {
        "/system/resource": "version board-name",
        "/system/clock": "date time gmt-offset",
        "/system/package": "name disabled",
        "/system/device-mode": "mode hotspot scheduler",
        "/system/ntp/client": "enabled mode servers primary-ntp secondary-ntp server-dns-names",
        "/system/script": "name",
        "/system/scheduler": "name",
        "/file": "name type",
        "/interface": "name",
        "/ip/address": "address interface disabled",
        "/ip/dhcp-server": "name interface disabled",
        "/ip/dhcp-server/network": "address dhcp-option",
        "/ip/dhcp-server/option": "name code value force",
        "/ip/hotspot": "name interface address-pool profile idle-timeout keepalive-timeout addresses-per-mac disabled",
        "/ip/hotspot/profile": (
            "name hotspot-address dns-name html-directory html-directory-override rate-limit http-proxy smtp-server"
            " login-by http-cookie-lifetime split-user-domain ssl-certificate use-radius radius-accounting"
            " radius-interim-update nas-port-type radius-default-domain radius-location-id radius-location-name"
            " radius-mac-format"
        ),
        "/ip/hotspot/ip-binding": "address type comment disabled",
        "/ip/hotspot/walled-garden": "action dst-host disabled dynamic",
        "/ip/hotspot/walled-garden/ip": "action dst-address dst-host dst-port protocol comment disabled dynamic",
        "/ip/service": "name port disabled address dynamic",
        "/ip/firewall/filter": _RULE,
        "/ipv6/firewall/filter": _RULE,
        "/ipv6/address": "address interface advertise disabled",
        "/queue/simple": "name target dynamic disabled",
        "/radius": "service address authentication-port accounting-port timeout src-address comment disabled",
        "/radius/incoming": "accept port",
        "/user": "name group address disabled comment",
        "/user/group": "name policy",
        "/user/active": "name address via",
    }.items()
}
_ABSENT = "no such command"


class RouterSession(Protocol):
    """A way to a router's API, such as `RouterLink`."""

    async def run(self, command: str, arguments: Mapping[str, str]) -> Reply:
        """Run a command.

        Raises:
            RefusedError: The router said no.
            UnavailableError: No whole answer in time; it may or may not have been carried out.
        """

    async def read(self, menu: str, fields: Iterable[str], where: Mapping[str, str] | None = None) -> list[Row]:
        """Read rows.

        Raises:
            RefusedError: The router said no.
            UnavailableError: No whole answer in time.
        """

    async def close(self) -> None:
        """End the session."""


async def observed(session: RouterSession, site: SetupSite) -> Tables:
    """Everything on the router that its set-up depends on; menus that it does not have are left out.

    Raises:
        RefusedError: The router does not let this user read.
        UnavailableError: No whole answer in time.
    """
    tables: Tables = {}
    for menu, fields in FIELDS.items():
        rows = await _rows(session, menu, fields)
        if rows is not None:
            tables[menu] = rows
    for row in tables.get("/file", []):
        if row.get("name", "").rpartition("/")[2] in site.pages and "edge-" in row["name"]:
            row["contents"] = await _contents(session, row["name"])
    return tables


async def _rows(session: RouterSession, menu: str, fields: tuple[str, ...]) -> list[Row] | None:
    try:
        return await session.read(menu, fields)
    except RefusedError as error:
        if _ABSENT in error.message.lower():
            return None
        raise


async def _contents(session: RouterSession, name: str) -> str:
    rows = await session.read("/file", ("name", "contents"), {"name": name})
    return rows[0].get("contents", "") if rows else ""


def only(tables: Tables, menu: str) -> Row:
    """The row of a menu that has one; empty where the router does not have the menu."""
    return next(iter(tables.get(menu, [])), {})


def version_of(tables: Tables) -> RouterVersion | None:
    """The router's version; None where it does not say one."""
    try:
        return RouterVersion.parse(only(tables, "/system/resource").get("version", ""))
    except InvalidError:
        return None
