"""Whose data a caller means: its own tenant's, or for those who look after the whole box whichever is named."""

from typing import TYPE_CHECKING

from pydantic import Field

from easyisp_edge.errors import NotFoundError
from easyisp_edge.web.admin.models import CursorQuery, Key

if TYPE_CHECKING:
    from easyisp_edge.domain.users import Caller
    from easyisp_edge.services.site import Site
    from easyisp_edge.web.admin.operations import Call


class WhoseQuery(CursorQuery):
    """Which page of a list, and whose."""

    tenant_id: Key | None = Field(
        default=None, description="Only of this tenant; for those who look after the whole box."
    )


def whose(call: "Call", site: "Site") -> str | None:
    """Whose rows of a list a caller sees: its tenant's; None for all.

    Raises:
        NotFoundError: There is no such tenant, as far as this caller may know.
    """
    return meant(call.caller, call.query(WhoseQuery).tenant_id, site)


def meant(caller: "Caller", named: str | None, site: "Site") -> str | None:
    """The tenant a caller means: its own, or the one that is named; None where neither is there.

    Raises:
        NotFoundError: There is no such tenant, as far as this caller may know.
    """
    own = caller.tenant_id
    if own is None:
        return site.config.tenant(named).id if named else None
    if named and named != own:  # whether it exists is not the caller's to know
        raise NotFoundError("tenant.unknown", f'There is no tenant "{named:.64}".')
    return own
