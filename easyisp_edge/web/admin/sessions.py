"""The back office: who is on, and who was, as routers reported it."""

from dataclasses import dataclass

from pydantic import Field

from easyisp_edge.domain.permissions import Permission
from easyisp_edge.domain.sessions import Session
from easyisp_edge.services.back_office.session_pages import SessionPages, SessionsSought
from easyisp_edge.web.admin.identities import Device
from easyisp_edge.web.admin.models import ApiModel, CursorQuery, Instant, Key, Listed, next_cursor
from easyisp_edge.web.admin.operations import Call, operation


class SessionsQuery(CursorQuery):
    """Which sessions; what is left out is any."""

    over: bool = Field(default=False, description="Whether also those that are over.")
    mac: Device | None = None
    grant_id: Key | None = Field(default=None, description="By that grant, on whichever router; by itself.")
    router_id: Key | None = None


class SessionModel(ApiModel):
    """One login of one device, as its router reported it last."""

    id: str
    router: str
    grant: str | None = Field(description="What let it on, where that is known.")
    username: str
    mac: Device | None
    address: str | None
    started_at: Instant
    reported_at: Instant
    stopped_at: Instant | None = Field(description="Null while it is open.")
    seconds: int
    octets_in: int = Field(description="From the customer.")
    octets_out: int = Field(description="To the customer.")
    cause: str | None = Field(description="Why it ended; null while it is open.")


@dataclass(frozen=True)
class SessionsArea:
    """Sessions.

    Args:
        pages: How they are read.
    """

    pages: SessionPages

    @operation("GET", "/api/sessions", needs=Permission.HOTSPOT_VIEW, query=SessionsQuery, answers=Listed[SessionModel])
    async def list_sessions(self, call: Call) -> Listed[SessionModel]:
        """Sessions, the last to begin first; the open ones alone unless asked otherwise."""
        query = call.query(SessionsQuery)
        sought = SessionsSought(mac=query.mac, grant_id=query.grant_id, router_id=query.router_id, over=query.over)
        page = await self.pages.page(call.tenant_id, sought, limit=query.limit, after=query.after)
        return Listed(items=[_model(each) for each in page.rows], next_cursor=next_cursor(page))


def _model(session: Session) -> SessionModel:
    return SessionModel(
        id=str(session.session_id),
        router=session.router_id,
        grant=session.grant_id,
        username=session.username,
        mac=session.mac,
        address=session.address,
        started_at=session.started_at,
        reported_at=session.updated_at,
        stopped_at=session.stopped_at,
        seconds=session.seconds,
        octets_in=session.octets_in,
        octets_out=session.octets_out,
        cause=session.cause or None,
    )
