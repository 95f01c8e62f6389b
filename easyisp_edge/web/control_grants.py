"""What staff ask of the running daemon about grants: what there is, and starting, moving, extending and ending it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.config.field_types import parse_duration
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.grants_desk import Sought
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.web.control_requests import WORD_LENGTH_MAX, asked_by, flag_of, limit_of, phone_of, tenant_of
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import needed_text, read_object, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.services.back_office.grants_desk import GrantsDesk
    from easyisp_edge.services.back_office.listed_grants import ListedGrant


@dataclass(frozen=True, slots=True)
class ControlGrants:
    """Handlers of the control routes about grants.

    Args:
        desk: What staff may do about them.
    """

    desk: GrantsDesk

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/grants", self.grants),
            web.post("/control/grants/{key}/switch", self.switch),
            web.post("/control/grants/{key}/move", self.move),
            web.post("/control/grants/{key}/extend", self.extend),
            web.post("/control/grants/{key}/end", self.end),
        ]

    async def grants(self, request: web.Request) -> web.Response:
        """What customers may use, newest first; with a device also its open sessions."""
        query, sought = request.query, _sought(request.query)
        found = await self.desk.grants(tenant_of(query), sought, over=flag_of(query, "all"), limit=limit_of(query))
        listed = [listed_grant_json(each) for each in found.grants]
        of_device = {} if sought.mac is None else {"sessions": [session_json(each) for each in found.sessions]}
        return answer({"at": _instant(found.at), "grants": listed, **of_device})

    async def switch(self, request: web.Request) -> web.Response:
        """Let a grant's device use it now."""
        listed = await self.desk.switch(request.match_info["key"], asked_by(request))
        return answer({"grant": listed_grant_json(listed)})

    async def move(self, request: web.Request) -> web.Response:
        """Let a grant follow to another device."""
        fields = await read_object(request)
        mac = MacAddress.parse(needed_text(fields, "mac", most=WORD_LENGTH_MAX))
        listed = await self.desk.move(request.match_info["key"], mac, asked_by(request))
        return answer({"grant": listed_grant_json(listed)})

    async def extend(self, request: web.Request) -> web.Response:
        """Give a grant more time."""
        fields = await read_object(request)
        word, reason = (
            needed_text(fields, "for", most=WORD_LENGTH_MAX),
            needed_text(fields, "reason", most=NOTE_LENGTH_MAX),
        )
        span = parse_duration(word)
        listed = await self.desk.extend(request.match_info["key"], span, reason, asked_by(request))
        return answer({"grant": listed_grant_json(listed)})

    async def end(self, request: web.Request) -> web.Response:
        """End a grant."""
        fields = await read_object(request)
        reason = needed_text(fields, "reason", most=NOTE_LENGTH_MAX)
        listed = await self.desk.end(request.match_info["key"], reason, asked_by(request))
        return answer({"grant": listed_grant_json(listed)})


def listed_grant_json(listed: ListedGrant) -> dict[str, Any]:
    """A grant as staff see it: seconds left by the clock and of time online apart, whole phone number."""
    admission, package = listed.admission, listed.admission.package
    return {
        "id": admission.grant_id,
        "tenant": admission.tenant_id,
        "phone": None if listed.phone is None else listed.phone.digits,
        "package": {"id": package.package_id, "name": package.name},
        "speed": str(package.rate_limit),
        "state": _state(admission),
        "over": listed.over,
        "opensAt": None if listed.opens_at is None else _instant(listed.opens_at),
        "mac": None if admission.mac is None else admission.mac.text,
        "devicesMax": package.devices_max,
        "secondsLeft": listed.seconds_left,
        "onlineSecondsLeft": listed.online_seconds_left,
        "octetsUsed": admission.octets_used,
        "octetsMax": None if package.data_limit is None else package.data_limit.octets,
        "online": listed.online,
        "routers": list(listed.router_ids),
        "createdAt": _instant(admission.created_at),
    }


def _state(admission: Admission) -> str:
    """Its state; `signed_out` where its time runs on and its buyer wants to be off."""
    return "signed_out" if admission.off_since is not None else admission.state.value


def session_json(session: Session) -> dict[str, Any]:
    """An open session as its router last reported it."""
    return {
        "router": session.router_id,
        "grant": session.grant_id,
        "mac": None if session.mac is None else session.mac.text,
        "address": session.address,
        "since": _instant(session.started_at),
        "reportedAt": _instant(session.updated_at),
        "seconds": session.seconds,
        "octets": session.octets_in + session.octets_out,
    }


def _sought(query: Mapping[str, str]) -> Sought:
    mac = text_of(query, "device", most=WORD_LENGTH_MAX, needed=False)
    receipt = text_of(query, "receipt", most=WORD_LENGTH_MAX, needed=False)
    phone = phone_of(query)
    if sum(each is not None for each in (mac, phone, receipt)) > 1:
        raise InvalidError(
            "request.invalid", "Name a device, a phone number or a receipt: one of them.", field="device"
        )
    return Sought(
        None if mac is None else MacAddress.parse(mac),
        phone,
        None if receipt is None else parse_receipt(receipt),
    )


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
