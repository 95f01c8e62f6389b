"""The back office: what customers may use, and what staff may do about it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.services.back_office.grant_pages import GrantPages, ShownGrant
from easyisp_edge.services.back_office.grants_desk import EXTENDED_MOST, GrantsDesk
from easyisp_edge.store.grant_pages import GrantsSought, GrantStanding
from easyisp_edge.web.admin.identities import Device, Phone, Receipt
from easyisp_edge.web.admin.models import ApiModel, CursorQuery, Instant, Key, Line, Listed, Shillings, next_cursor
from easyisp_edge.web.admin.operations import Call, operation
from easyisp_edge.web.portal import speed_of_contract

Connection = Literal["HOTSPOT", "PPPOE"]

_SECONDS_MOST = int(EXTENDED_MOST.total_seconds())
_MINUTE_SECONDS = 60


class GrantsQuery(CursorQuery):
    """Which grants; what is left out is any."""

    state: GrantStanding | None = Field(default=None, description="`usable` is any but `ended`.")
    phone: Phone | None = None
    mac: Device | None = None
    receipt: Receipt | None = Field(default=None, description="What that payment bought.")
    customer_id: Key | None = None


class PackageOfGrant(ApiModel):
    """What was bought, as it was then."""

    id: str
    name: str
    price: Shillings
    speed: str


class CustomerOfGrant(ApiModel):
    """Who may use it."""

    id: str
    name: str = Field(description="The phone number; empty where none was told.")
    phone: Phone | None


class ShownGrantModel(ApiModel):
    """The right to be online that somebody bought. Its password is never told here."""

    id: str
    state: Literal["waiting", "running", "paused", "ended"]
    signed_out: bool = Field(description="Whether its buyer wants to be off, while its time by the clock runs on.")
    funding: Funding = Field(description="What it stands on.")
    package: PackageOfGrant
    customer: CustomerOfGrant
    connection_type: Connection
    username: str
    mac: Device | None = Field(description="The device it is for; null where any with the credentials may use it.")
    devices_max: int
    seconds_left: int = Field(description="By the clock.")
    online_seconds_left: int | None = Field(description="Of time online; null where only the clock counts.")
    data_used: int = Field(description="Octets in both directions, as reported so far.")
    data_limit: int | None
    opens_at: Instant | None = Field(description="When it may be used next, where it may not be at this hour.")
    online: bool
    routers: list[str] = Field(description="On which routers somebody is on by it, as far as that is known.")
    created_at: Instant
    started_at: Instant | None
    ends_at: Instant | None


class Extension(ApiModel):
    """How much more time a grant gets."""

    seconds: int | None = Field(default=None, ge=1, le=_SECONDS_MOST)
    minutes: int | None = Field(default=None, ge=1, le=_SECONDS_MOST // _MINUTE_SECONDS)
    reason: Line

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.seconds is None) == (self.minutes is None):
            raise PydanticCustomError("span", "say either seconds or minutes")
        return self

    @property
    def span(self) -> timedelta:
        """How much more."""
        return timedelta(seconds=self.seconds or 0, minutes=self.minutes or 0)


class Revocation(ApiModel):
    """Why a grant is ended."""

    reason: Line


class Move(ApiModel):
    """To which device a grant is moved."""

    mac: Device


@dataclass(frozen=True)
class GrantsArea:
    """Grants.

    Args:
        desk: What staff may do about them.
        pages: How they are read.
    """

    desk: GrantsDesk
    pages: GrantPages

    @operation("GET", "/api/grants", needs=Permission.HOTSPOT_VIEW, query=GrantsQuery, answers=Listed[ShownGrantModel])
    async def list_grants(self, call: Call) -> Listed[ShownGrantModel]:
        """Grants, newest first."""
        query = call.query(GrantsQuery)
        sought = GrantsSought(
            standing=query.state,
            customer_id=query.customer_id,
            phone=query.phone,
            mac=query.mac,
            mpesa_receipt_number=query.receipt,
        )
        page = await self.pages.page(call.tenant_id, sought, limit=query.limit, after=query.after)
        return Listed(items=[grant_model(each) for each in page.rows], next_cursor=next_cursor(page))

    @operation("GET", "/api/grants/{id}", needs=Permission.HOTSPOT_DETAILS_VIEW, answers=ShownGrantModel)
    async def show_grant(self, call: Call) -> ShownGrantModel:
        """One grant."""
        return self._shown(call)

    @operation(
        "POST",
        "/api/grants/{id}/extend",
        needs=Permission.HOTSPOT_CHANGE_EXPIRY,
        body=Extension,
        answers=ShownGrantModel,
        refusals=(409,),
    )
    async def extend_grant(self, call: Call) -> ShownGrantModel:
        """Give a grant more time by the clock, from its end on.

        No money moves. What is over stays over. Time online and data stay as they were bought.
        """
        more = call.body(Extension)
        await self.desk.extend(call.path("id"), more.span, more.reason, call.by, call.tenant_id)
        return self._shown(call)

    @operation(
        "POST",
        "/api/grants/{id}/revoke",
        needs=Permission.HOTSPOT_DELETE,
        body=Revocation,
        answers=ShownGrantModel,
        refusals=(409,),
    )
    async def revoke_grant(self, call: Call) -> ShownGrantModel:
        """End a grant at once and put its devices off; no money moves."""
        await self.desk.end(call.path("id"), call.body(Revocation).reason, call.by, call.tenant_id)
        return self._shown(call)

    @operation(
        "POST",
        "/api/grants/{id}/move",
        needs=Permission.HOTSPOT_RESET_MAC,
        body=Move,
        answers=ShownGrantModel,
        refusals=(409,),
    )
    async def move_grant(self, call: Call) -> ShownGrantModel:
        """Let a grant follow to another device; the one it was for is put off."""
        await self.desk.move(call.path("id"), call.body(Move).mac, call.by, call.tenant_id)
        return self._shown(call)

    @operation(
        "POST",
        "/api/grants/{id}/switch",
        needs=Permission.HOTSPOT_RESET_MAC,
        answers=ShownGrantModel,
        refusals=(409,),
    )
    async def switch_grant(self, call: Call) -> ShownGrantModel:
        """Let a grant's own device use it now; what runs there is set aside with the time it has left."""
        await self.desk.switch(call.path("id"), call.by, call.tenant_id)
        return self._shown(call)

    def _shown(self, call: Call) -> ShownGrantModel:
        return grant_model(self.pages.one(call.tenant_id, call.path("id")))


def grant_model(shown: ShownGrant) -> ShownGrantModel:
    """A grant as it goes out."""
    grant, listed = shown
    package, limit = listed.admission.package, listed.admission.package.data_limit
    return ShownGrantModel(
        id=grant.grant_id,
        state="ended" if listed.over else grant.state.value,
        signed_out=grant.off_since is not None and not listed.over,
        funding=grant.funding,
        package=PackageOfGrant(
            id=package.package_id,
            name=package.name,
            price=package.price,
            speed=speed_of_contract(package.rate_limit),
        ),
        customer=CustomerOfGrant(
            id=grant.customer_id, name="" if listed.phone is None else listed.phone.digits, phone=listed.phone
        ),
        connection_type="HOTSPOT" if grant.service is Service.HOTSPOT else "PPPOE",
        username=grant.username,
        mac=grant.mac,
        devices_max=package.devices_max,
        seconds_left=0 if listed.over else listed.seconds_left,
        online_seconds_left=listed.online_seconds_left,
        data_used=grant.octets_used,
        data_limit=None if limit is None else limit.octets,
        opens_at=listed.opens_at,
        online=listed.online,
        routers=list(listed.router_ids),
        created_at=grant.created_at,
        started_at=grant.started_at,
        ends_at=grant.ends_at,
    )
