"""A site whose staff look after grants: the office, with its routers' bells and who is online."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.sessions import Session
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.back_office.grants_desk import GrantsDesk
from easyisp_edge.web.control_grants import ControlGrants
from tests.unit.desk import Office, open_office
from tests.unit.shop import HOUR, MAC, ROUTER, TENANT, add_grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.store.store import Tables
    from easyisp_edge.web.control import Control


@dataclass
class GrantsOffice:
    """Staff, their desk for grants, and what they have sold.

    Args:
        office: The store and the rest of the staff's services.
        presence: Who is online.
    """

    office: Office
    presence: Presence = field(default_factory=Presence)

    def __post_init__(self) -> None:
        config = self.office.site.config
        self.bells = {router.id: Wake() for router in config.routers}
        self.access = AccessService(
            store=self.office.books.store,
            clock=self.office.books.clock,
            tenant_of={router.id: router.tenant for router in config.routers},
            router_changed=self.bells,
        )
        self.desk = GrantsDesk(self.access, self.presence, self.office.site)

    def control(self) -> Control:
        """The same as an HTTP door."""
        return replace(self.office.control(), themes=(ControlGrants(self.desk),))

    async def sell(self, package: Package = HOUR, *, number: int = 1, **changes: Any) -> Grant:
        """Sell a package; the grant is `grant-1` and so on, of a payment with the receipt `RECEIPT001` and so on."""
        return await self.office.books.store.write(lambda tx: add_grant(tx, package, number=number, **changes))

    async def start(self, grant: Grant, *, on: str = ROUTER) -> Grant:
        """Have its device come online, as a router is seen to have it."""
        await self.access.started(grant)
        self.presence.came(on, grant.username)
        return self.grant(grant.grant_id)

    async def use(self, grant: Grant, *, seconds: int = 0, octets: int = 0) -> None:
        """Have so much of it used."""
        await self.office.books.store.write(lambda tx: tx.grants.use(grant.grant_id, seconds, octets))

    async def report(self, grant: Grant, router_id: str = ROUTER, **changes: Any) -> None:
        """Have a router report an open session of a grant."""
        now = self.office.books.now()
        session = Session(
            session_id=0,
            router_id=router_id,
            acct_session_id="81a0000c",
            username=grant.username,
            grant_id=grant.grant_id,
            mac=MAC,
            address="10.5.50.11",
            started_at=now,
            updated_at=now,
            stopped_at=None,
            seconds=600,
            octets_in=10**6,
            octets_out=2 * 10**6,
            cause="",
        )._replace(**changes)

        def add(tx: Tables) -> None:
            tx.sessions.add(session)
            tx.grants.use(grant.grant_id, session.seconds, session.octets_in + session.octets_out)

        await self.office.books.store.write(add)

    def grant(self, grant_id: str = "grant-1") -> Grant:
        """A grant as it stands."""
        found = self.office.tables.grants.by_id(grant_id)
        assert found is not None
        return found

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What all events of a type say, in order."""
        rows = self.office.books.store._database.reading.execute(
            "SELECT body FROM events WHERE type = ? ORDER BY sequence", (kind,)
        )
        return [json.loads(body)["data"] for (body,) in rows]

    async def rung(self) -> set[str]:
        """Which routers are to be looked at; asking takes it back."""
        return {router_id for router_id, bell in self.bells.items() if await bell.wait(self.office.books.clock, 0)}


@contextlib.asynccontextmanager
async def open_grants_office(folder: Path, files: dict[str, str] | None = None) -> AsyncIterator[GrantsOffice]:
    """An office of one tenant, or as the files say; its books are held against all rules at the end."""
    async with open_office(folder, files) as office:
        assert office.site.config.tenants[0].id == TENANT
        yield GrantsOffice(office)
