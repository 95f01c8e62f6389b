"""A tenant's grants for its back office: a page at a time, or one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.paging import Page
from easyisp_edge.services.back_office.grants_desk import unknown_grant

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.paging import Position
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.back_office.listed_grants import GrantView, ListedGrant
    from easyisp_edge.store.grant_pages import GrantsSought
    from easyisp_edge.store.grants import OwnedGrant
    from easyisp_edge.store.store import Store, Tables


class ShownGrant(NamedTuple):
    """A grant as the back office shows it.

    Args:
        grant: As it stands in the store.
        listed: What is left of it, and who is on by it.
    """

    grant: Grant
    listed: ListedGrant


@dataclass(frozen=True, slots=True)
class GrantPages:
    """Reads grants.

    Args:
        store: The store.
        clock: Box time.
        view: Shows them.
    """

    store: Store
    clock: Clock
    view: GrantView

    async def page(
        self, tenant_id: str, sought: GrantsSought, *, limit: int, after: Position | None = None
    ) -> Page[ShownGrant]:
        """A page of a tenant's grants, newest first."""
        now = self.clock.now()

        def look(tables: Tables) -> Page[ShownGrant]:
            found = tables.grants.page(tenant_id, sought, now, limit=limit, after=after)
            return Page([self._read(tables, each, now) for each in found.rows], found.next)

        page = await self.store.survey(look)
        return Page([self._with_presence(each) for each in page.rows], page.next)

    def one(self, tenant_id: str, grant_id: str) -> ShownGrant:
        """One of a tenant's grants.

        Raises:
            NotFoundError: The tenant has no such grant.
        """
        found = self.store.read.grants.owned(tenant_id, grant_id)
        if found is None:
            raise unknown_grant(grant_id)
        return self._with_presence(self._read(self.store.read, found, self.clock.now()))

    def _read(self, tables: Tables, owned: OwnedGrant, now: datetime) -> ShownGrant:
        return ShownGrant(owned.grant, self.view.read(tables, owned.admission, owned.phone, now))

    def _with_presence(self, shown: ShownGrant) -> ShownGrant:
        return shown._replace(listed=self.view.with_presence(shown.listed))
