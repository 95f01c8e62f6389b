"""A grant as staff see it: what is left of it at one instant, and who is on by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.services.portal.standing import lapses_at, opens_at

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.values import Msisdn
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables


class ListedGrant(NamedTuple):
    """A grant as staff see it at one instant.

    Args:
        admission: The grant, with what it bought.
        phone: Its customer's number, where it was told.
        over: Whether nothing is left of it.
        seconds_left: Time left by the clock.
        online_seconds_left: Time left of what is counted online, as reported so far; None where only the clock counts.
        opens_at: When it may be used next, where it is shut at that instant.
        online: Whether somebody is on by it.
        router_ids: On which routers, as far as that is known.
    """

    admission: Admission
    phone: Msisdn | None
    over: bool
    seconds_left: int
    online_seconds_left: int | None
    opens_at: datetime | None
    online: bool
    router_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantView:
    """Shows grants.

    Args:
        presence: Who is online.
        site: By which routers a tenant sells.
    """

    presence: Presence
    site: Site

    def read(self, tables: Tables, admission: Admission, phone: Msisdn | None, now: datetime) -> ListedGrant:
        """What the books say of it; may be called off the event loop, so who is on is left for `with_presence`."""
        over = not admission.usable_at(now)
        return ListedGrant(
            admission=admission,
            phone=phone,
            over=over,
            seconds_left=max(0, math.ceil((lapses_at(admission, now) - now).total_seconds())),
            online_seconds_left=admission.online_seconds_left,
            opens_at=None if over or admission.open_at(now) else opens_at(admission, now),
            online=False,
            router_ids=tuple(sorted({each.router_id for each in tables.sessions.open_of_grant(admission.grant_id)})),
        )

    def with_presence(self, listed: ListedGrant) -> ListedGrant:
        """The same with whether somebody is on by it; only routers that report sessions say on which."""
        if not self.presence.is_online(listed.admission.username):
            return listed._replace(router_ids=())
        return listed._replace(online=True, router_ids=listed.router_ids or self._only_router(listed.admission))

    def _only_router(self, admission: Admission) -> tuple[str, ...]:
        own = [router.id for router in self.site.config.routers if router.tenant == admission.tenant_id]
        valid = tuple(router_id for router_id in own if admission.package.valid_on(router_id))
        return valid if len(valid) == 1 else ()
