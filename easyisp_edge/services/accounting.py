"""What routers report as used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.logins import UsageKind

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.logins import UsageReport
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.store.store import Store, Tables

# A Stop that comes again within this is the same Stop: routers resend for seconds, not for hours.
REPEATED_STOP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AccountingService:
    """Keeps sessions as routers report them.

    Args:
        store: The store.
        clock: Box time; a router's own may be wrong.
        presence: Who is online.
    """

    store: Store
    clock: Clock
    presence: Presence

    async def account(self, usage: UsageReport) -> None:
        """Note a report; once this returns it is committed and the router may be answered.

        Raises:
            UnavailableError: It was not committed; the router is to send it again.
        """
        await self.store.write(lambda tx: _note(tx, usage, self.clock.now()))
        if usage.kind in {UsageKind.START, UsageKind.INTERIM}:
            self.presence.came(usage.router_id, usage.username)
        elif usage.kind is UsageKind.STOP:
            self.presence.left(usage.router_id, usage.username)
        else:
            self.presence.observed(usage.router_id, set())


def _note(tx: Tables, usage: UsageReport, now: datetime) -> None:
    if usage.kind in {UsageKind.ROUTER_ON, UsageKind.ROUTER_OFF}:
        tx.sessions.stop_all(usage.router_id, "NAS-Reboot", now)
        return
    if usage.kind is not UsageKind.START and tx.sessions.stopped_lately(usage, now - REPEATED_STOP):
        return
    grant = tx.grants.by_username(usage.username)
    started_at = now - timedelta(seconds=usage.seconds)
    tx.sessions.report(usage, None if grant is None else grant.grant_id, started_at, now)
    if usage.kind is UsageKind.STOP:
        tx.sessions.stop(usage, now)
        tx.events.append(
            Stream.USAGE,
            "session.stopped",
            usage.username,
            {
                "router": usage.router_id,
                "session": usage.session_id,
                "seconds": usage.seconds,
                "octetsIn": usage.octets_in,
                "octetsOut": usage.octets_out,
                "cause": usage.cause,
            },
        )
