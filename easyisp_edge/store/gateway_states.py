"""Tables `gateway_states` and `gateway_sweeps`: what is known of a gateway beside its configuration.

The first is told to a hub and comes back from it: where M-Pesa sends notices outlives the box. The second changes
several times a minute and is this box's alone: a new box reads the list again as far back as it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easyisp_edge.store.columns import instant, optional_instant, read_optional_instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What is known of a gateway.

    Args:
        gateway_id: Which.
        notice_token: The secret in the address its confirmations come to; made once, kept for ever.
        pull_registered_at: When its list of transactions was registered for.
        swept_until: Up to when that list was read.
        swept_at: When it was read last.
    """

    gateway_id: str
    notice_token: str
    pull_registered_at: datetime | None = None
    swept_until: datetime | None = None
    swept_at: datetime | None = None


class GatewayStatesTable:
    """Gateway states by id and by token."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def put(self, state: GatewayState) -> None:
        """Write a state; the token of one that is there stands."""
        self._sql.execute(
            "INSERT INTO gateway_states (gateway_id, notice_token, pull_registered_at) VALUES (?, ?, ?)"
            " ON CONFLICT (gateway_id) DO UPDATE SET pull_registered_at = excluded.pull_registered_at"
            " WHERE pull_registered_at IS NOT excluded.pull_registered_at",  # what stays is not told again
            (state.gateway_id, state.notice_token, optional_instant(state.pull_registered_at)),
        )
        self._sql.execute(
            "INSERT INTO gateway_sweeps (gateway_id, swept_until, swept_at) VALUES (?, ?, ?)"
            " ON CONFLICT (gateway_id) DO UPDATE SET swept_until = excluded.swept_until, swept_at = excluded.swept_at",
            (state.gateway_id, optional_instant(state.swept_until), optional_instant(state.swept_at)),
        )

    def by_id(self, gateway_id: str) -> GatewayState | None:
        """A gateway's state."""
        return self._one("gateway_id = ?", gateway_id)

    def by_notice_token(self, token: str) -> GatewayState | None:
        """The gateway whose confirmations come to the address with this secret."""
        return self._one("notice_token = ?", token)

    def swept_between(self, gateway_id: str, since: datetime, until: datetime) -> bool:
        """Whether the gateway's list was read after `since`, and covers all up to `until`."""
        row = self._sql.execute(
            "SELECT 1 FROM gateway_sweeps WHERE gateway_id = ? AND swept_at >= ? AND swept_until >= ?",
            (gateway_id, instant(since), instant(until)),
        ).fetchone()
        return row is not None

    def _one(self, where: str, parameter: str) -> GatewayState | None:
        row: tuple[Any, ...] | None = self._sql.execute(
            "SELECT s.gateway_id, notice_token, pull_registered_at, swept_until, swept_at FROM gateway_states s"  # noqa: S608
            f" LEFT JOIN gateway_sweeps w ON w.gateway_id = s.gateway_id WHERE s.{where}",
            (parameter,),
        ).fetchone()
        if row is None:
            return None
        return GatewayState(
            row[0],
            row[1],
            read_optional_instant(row[2]),
            read_optional_instant(row[3]),
            read_optional_instant(row[4]),
        )
