"""Who may use the router's API, from where, and what they may do there: `/user`, `/user/group`, `/ip/service`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.console import ApiUser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.mikrotik.command_tree import Version
    from easyisp_edge.lab.mikrotik.tables import Row, Table

_BOUNDS_SESSIONS_SINCE = (7, 16)


class Accounts:
    """The router's own users as its doors know them.

    Args:
        tables: The router's, by menu.
        version: What is played.
    """

    def __init__(self, tables: Mapping[str, Table], version: Version) -> None:
        self._users = tables["/user"]
        self._groups = tables["/user/group"]
        self._services = tables["/ip/service"]
        self._bounds_sessions = version >= _BOUNDS_SESSIONS_SINCE

    def find(self, name: str, address: str) -> ApiUser | None:
        """The user of that name who is on and may come from the address, as of now."""
        row = self._users.named(name)
        if row is None or self._users.value(row, "disabled") == "true":
            return None
        if not _within(address, self._users.value(row, "address")):
            return None
        group = self._groups.named(self._users.value(row, "group"))
        policies = frozenset(group.values["policy"].split(",")) if group else frozenset[str]()
        return ApiUser(name, row.values.get("password", ""), policies)

    def welcome(self, service: str, address: str) -> bool:
        """Whether the service may be used from the address."""
        row = self._service(service)
        return row is not None and _within(address, self._services.value(row, "address"))

    def max_sessions(self, service: str) -> int | None:
        """How many connections may stand on the service; None for any number."""
        row = self._service(service)
        return int(self._services.value(row, "max-sessions")) if row and self._bounds_sessions else None

    def _service(self, name: str) -> Row | None:
        return self._services.named(name)


def _within(address: str, networks: str) -> bool:
    here = ipaddress.ip_address(address)
    return not networks or any(here in ipaddress.ip_network(network) for network in networks.split(","))
