"""Lists that are also the whole box's: whoever looks after it may see all of them at once."""

from typing import TYPE_CHECKING

from pydantic import Field

from easyisp_edge.errors import NotFoundError
from easyisp_edge.web.admin.models import CursorQuery, Key

if TYPE_CHECKING:
    from easyisp_edge.services.site import Site
    from easyisp_edge.web.admin.operations import Call


class WhoseQuery(CursorQuery):
    """Which page of a list, and whose."""

    tenant_id: Key | None = Field(
        default=None, description="Only of this tenant; for those who look after the whole box."
    )


def whose(call: "Call", site: "Site") -> str | None:
    """Whose rows a caller sees: its tenant's; None for all.

    Raises:
        NotFoundError: There is no such tenant, as far as this caller may know.
    """
    named, own = call.query(WhoseQuery).tenant_id, call.caller.tenant_id
    if own is None:
        return None if named is None else site.config.tenant(named).id
    if named not in {None, own}:
        raise NotFoundError("tenant.unknown", f'There is no tenant "{named}".')
    return own
