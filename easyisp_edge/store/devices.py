"""Devices over all tables: what is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.values import MacAddress


class Devices:
    """Look-ups by hardware address."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def is_known(self, mac: MacAddress, since: datetime) -> bool:
        """Whether a device has a usable grant, or began a purchase since then: one look for the many that have not."""
        row = self._sql.execute(
            "SELECT EXISTS (SELECT 1 FROM grants WHERE mac = ?1 AND state <> 'ended')"
            " OR EXISTS (SELECT 1 FROM purchases WHERE mac = ?1 AND created_at >= ?2)",
            (mac.text, instant(since)),
        ).fetchone()
        return bool(row[0])
