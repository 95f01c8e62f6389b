"""Table `sessions`: what routers report by RADIUS accounting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.logins import OpenSession
from easyisp_edge.store.columns import instant, optional_mac, read_instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.logins import UsageReport

# What a column holds. Two 32-bit words can say twice as much; a router that does has lost count.
_OCTETS_MAX = 2**63 - 1


class SessionsTable:
    """Sessions; the same report twice changes nothing, and counters only grow."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def report(self, usage: UsageReport, grant_id: str | None, started_at: datetime, at: datetime) -> None:
        """Note a start or an interim; makes the session where it is not known yet."""
        self._sql.execute(
            "INSERT INTO sessions (router_id, acct_session_id, username, grant_id, mac, address, started_at,"
            " updated_at, seconds, octets_in, octets_out, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')"
            " ON CONFLICT (router_id, acct_session_id, username) WHERE stopped_at IS NULL DO UPDATE SET"
            " updated_at = excluded.updated_at, grant_id = coalesce(grant_id, excluded.grant_id),"
            " address = coalesce(excluded.address, address), seconds = max(seconds, excluded.seconds),"
            " octets_in = max(octets_in, excluded.octets_in), octets_out = max(octets_out, excluded.octets_out)",
            (
                usage.router_id,
                usage.session_id,
                usage.username,
                grant_id,
                optional_mac(usage.mac),
                usage.address,
                instant(started_at),
                instant(at),
                usage.seconds,
                min(usage.octets_in, _OCTETS_MAX),
                min(usage.octets_out, _OCTETS_MAX),
            ),
        )

    def stop(self, usage: UsageReport, at: datetime) -> None:
        """End the open session a report speaks of."""
        self._sql.execute(
            "UPDATE sessions SET stopped_at = ?, cause = ? WHERE router_id = ? AND acct_session_id = ?"
            " AND username = ? AND stopped_at IS NULL",
            (instant(at), usage.cause, usage.router_id, usage.session_id, usage.username),
        )

    def stopped_lately(self, usage: UsageReport, since: datetime) -> bool:
        """Whether the session a report speaks of was ended since then: a repeated Stop must not make it anew.

        Where one of the same id is open, it is that one the report speaks of.
        """
        name = (usage.router_id, usage.session_id, usage.username)
        row = self._sql.execute(
            "SELECT 1 FROM sessions WHERE router_id = ? AND acct_session_id = ? AND username = ?"
            " AND stopped_at >= ? AND seconds >= ? AND NOT EXISTS (SELECT 1 FROM sessions WHERE router_id = ?"
            " AND acct_session_id = ? AND username = ? AND stopped_at IS NULL)",
            (*name, instant(since), usage.seconds, *name),
        ).fetchone()
        return row is not None

    def open_usernames(self, router_id: str, since: datetime) -> set[str]:
        """Whose sessions on a router are open and were heard of since then."""
        rows = self._sql.execute(
            "SELECT username FROM sessions WHERE router_id = ? AND stopped_at IS NULL AND updated_at >= ?",
            (router_id, instant(since)),
        )
        return {row[0] for row in rows}

    def open_of_ended(self, router_id: str, since: datetime) -> list[OpenSession]:
        """Sessions on a router that are open although their grant is over, heard of since then; the latest first."""
        rows = self._sql.execute(
            "SELECT sessions.session_id, acct_session_id, sessions.username, address, updated_at"
            " FROM sessions JOIN grants USING (grant_id) WHERE router_id = ? AND stopped_at IS NULL"
            " AND updated_at >= ? AND state = 'ended' ORDER BY updated_at DESC, sessions.session_id",
            (router_id, instant(since)),
        )
        return [OpenSession(row[0], row[1], row[2], row[3], read_instant(row[4])) for row in rows]

    def stop_all(self, router_id: str, cause: str, at: datetime) -> None:
        """End all open sessions of a router that says it started anew."""
        self._sql.execute(
            "UPDATE sessions SET stopped_at = ?, cause = ? WHERE router_id = ? AND stopped_at IS NULL",
            (instant(at), cause, router_id),
        )
