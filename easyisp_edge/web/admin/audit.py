"""Who did what: the events that are somebody's doing, as the audit trail."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from easyisp_edge.domain.permissions import Permission
from easyisp_edge.web.admin.models import ApiModel, Instant, Listed, next_cursor, no_cursor
from easyisp_edge.web.admin.operations import Call, operation
from easyisp_edge.web.admin.whose import WhoseQuery, whose

if TYPE_CHECKING:
    from easyisp_edge.domain.paging import Position
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.acts import Act
    from easyisp_edge.store.store import Store

_NUMBER_DIGITS_MAX = 18


class ActModel(ApiModel):
    """Something that somebody did."""

    id: str = Field(description="Its number among the events of money, whose chain `verify-ledger` checks.")
    at: Instant
    by: str = Field(description="The user's e-mail address, with the token's name behind it where it was a program.")
    action: str = Field(description="Such as `staff.refunded`.")
    entity_id: str = Field(description="What it was done to: a payment, a grant, a user.")
    tenant_id: str | None = Field(description="Whose data it was about; null where it was the whole box's.")
    details: dict[str, Any] = Field(description="What else was noted.")

    @classmethod
    def of(cls, act: "Act") -> "ActModel":
        """An act as shown."""
        return cls(
            id=str(act.sequence),
            at=act.at,
            by=act.by,
            action=act.kind,
            entity_id=act.key,
            tenant_id=act.tenant_id,
            details=act.data,
        )


@dataclass(frozen=True, slots=True)
class AuditArea:
    """The audit trail.

    Args:
        store: Where it is kept.
        site: Which tenants there are.
    """

    store: "Store"
    site: "Site"

    @operation(
        "GET",
        "/api/audit",
        needs=Permission.AUDIT_VIEW,
        query=WhoseQuery,
        answers=Listed[ActModel],
        refusals=(404,),
        of_tenant=False,
    )
    async def list_acts(self, call: Call) -> Listed[ActModel]:
        """List what people did, the newest first.

        About your tenant; who looks after the whole box sees all, or what is about the tenant that is named.
        """
        asked = call.query(WhoseQuery)
        page = self.store.read.acts.page(whose(call, self.site), _numbered(asked.after), asked.limit)
        return Listed(items=[ActModel.of(each) for each in page.rows], next_cursor=next_cursor(page))


def _numbered(after: "Position | None") -> "Position | None":
    if after is not None and not (after.key.isascii() and after.key.isdigit() and len(after.key) <= _NUMBER_DIGITS_MAX):
        raise no_cursor()
    return after
