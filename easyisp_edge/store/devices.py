"""Devices over all tables: what is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from easyisp_edge.domain.values import MacAddress


class Devices:
    """Look-ups by hardware address."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def is_known(self, mac: MacAddress) -> bool:
        """Whether a device ever began a purchase, made a claim, paid or has a usable grant.

        One look for the many that have not.
        """
        row = self._sql.execute(
            "SELECT EXISTS (SELECT 1 FROM purchases WHERE mac = ?1)"
            " OR EXISTS (SELECT 1 FROM grants WHERE mac = ?1 AND state <> 'ended')"
            " OR EXISTS (SELECT 1 FROM claims WHERE mac = ?1)"
            " OR EXISTS (SELECT 1 FROM customers WHERE last_mac = ?1)",
            (mac.text,),
        ).fetchone()
        return bool(row[0])
