"""The box's own commands: what staff ask of the running daemon, over a Unix socket that only they may open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from easyisp_edge.domain.claims import ClaimState
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX, ForCustomer, SeenMoney
from easyisp_edge.web.control_requests import (
    NAME_OF,
    WORD_LENGTH_MAX,
    amount_of,
    asked_by,
    flag_of,
    limit_of,
    phone_of,
    tenant_of,
)
from easyisp_edge.web.errors import answer_errors
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import BODY_OCTETS_MAX, needed_text, read_object, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.errors import EdgeError
    from easyisp_edge.services.back_office.claims_desk import ClaimsDesk, ListedClaim
    from easyisp_edge.services.back_office.staff_desk import StaffDesk
    from easyisp_edge.services.money.registration import NoticeAddresses, RegistrationService
    from easyisp_edge.services.portal.posters import PosterService

_PASTED_LENGTH_MAX = 2000


class ControlRoutes(Protocol):
    """Routes of one theme, in a module of their own."""

    def routes(self) -> list[web.RouteDef]:
        """The routes."""


@dataclass(frozen=True, slots=True)
class Control:
    """Handlers of the control routes.

    Args:
        desk: What staff may do about money.
        claims_desk: What staff may do about claims.
        posters: Makes posters.
        registration: Registers addresses at M-Pesa.
        themes: What else may be asked.
    """

    desk: StaffDesk
    claims_desk: ClaimsDesk
    posters: PosterService
    registration: RegistrationService
    themes: tuple[ControlRoutes, ...] = ()

    def app(self, name_of: Callable[[Any], str]) -> web.Application:
        """The door as an application of its own.

        Args:
            name_of: Tells whose process is at the other end of a connection's socket.
        """
        app = web.Application(middlewares=[answer_errors(_say)], client_max_size=BODY_OCTETS_MAX)
        app[NAME_OF] = name_of
        app.add_routes(self.routes())
        return app

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/payments", self.payments),
            web.post("/control/payments", self.enter),
            web.post("/control/payments/{key}/assign", self.assign),
            web.post("/control/payments/{key}/refund", self.refund),
            web.get("/control/claims", self.claims),
            web.post("/control/claims/{key}/accept", self.accept),
            web.post("/control/claims/{key}/refuse", self.refuse),
            web.get("/control/packages/{package}/poster", self.poster),
            web.get("/control/gateways/{gateway}/c2b", self.c2b_addresses),
            web.post("/control/gateways/{gateway}/c2b", self.register_c2b),
            *(route for theme in self.themes for route in theme.routes()),
        ]

    async def payments(self, request: web.Request) -> web.Response:
        """What came in, newest first."""
        unmatched = flag_of(request.query, "unmatched")
        found = await self.desk.payments(tenant_of(request.query), unmatched=unmatched, limit=limit_of(request.query))
        return answer({"payments": [payment_json(payment) for payment in found]})

    async def enter(self, request: web.Request) -> web.Response:
        """Book money by its receipt."""
        fields = await read_object(request)
        seen = SeenMoney(
            text=needed_text(fields, "receipt", most=_PASTED_LENGTH_MAX),
            amount=amount_of(fields),
            phone=phone_of(fields),
            account=text_of(fields, "account", most=WORD_LENGTH_MAX, needed=False) or "",
            sure=flag_of(fields, "sure"),
        )
        handled = await self.desk.enter(
            seen,
            tenant_id=tenant_of(fields),
            gateway_id=text_of(fields, "gateway", most=WORD_LENGTH_MAX, needed=False),
            by=asked_by(request),
        )
        return answer({"payment": payment_json(handled.payment), "grant": grant_json(handled.grant)})

    async def assign(self, request: web.Request) -> web.Response:
        """Say what unmatched money is for: a pay code, or a customer's number."""
        key, fields, by = request.match_info["key"], await read_object(request), asked_by(request)
        code, phone = text_of(fields, "code", most=WORD_LENGTH_MAX, needed=False), phone_of(fields)
        if (code is None) == (phone is None):
            message = "Say either the pay code it is for, or the customer's phone number."
            raise InvalidError("request.invalid", message, field="code")
        if phone is None:
            handled = await self.desk.assign_to_purchase(key, code or "", by)
        else:
            mac = text_of(fields, "mac", most=WORD_LENGTH_MAX, needed=False)
            package_id = text_of(fields, "package", most=WORD_LENGTH_MAX, needed=False)
            customer = ForCustomer(phone, package_id, None if mac is None else MacAddress.parse(mac))
            handled = await self.desk.assign_to_customer(key, customer, by)
        return answer({"payment": payment_json(handled.payment), "grant": grant_json(handled.grant)})

    async def refund(self, request: web.Request) -> web.Response:
        """Note that money was given back."""
        fields = await read_object(request)
        note = needed_text(fields, "note", most=NOTE_LENGTH_MAX)
        payment = await self.desk.refund(request.match_info["key"], note, asked_by(request))
        return answer({"payment": payment_json(payment)})

    async def claims(self, request: web.Request) -> web.Response:
        """Claims in a state, newest first."""
        word = request.query.get("state", ClaimState.VERIFYING.value)
        if word not in set(ClaimState):
            raise InvalidError("request.invalid", f"A claim is one of: {', '.join(ClaimState)}.", field="state")
        found = await self.claims_desk.claims(tenant_of(request.query), ClaimState(word), limit_of(request.query))
        return answer({"claims": [_listed_json(each) for each in found]})

    async def accept(self, request: web.Request) -> web.Response:
        """Enter a claim's receipt with the amount staff saw."""
        fields = await read_object(request)
        decided = await self.claims_desk.accept(request.match_info["key"], amount_of(fields), asked_by(request))
        return answer({"claim": claim_json(decided.claim), "grant": grant_json(decided.grant)})

    async def refuse(self, request: web.Request) -> web.Response:
        """Refuse a claim."""
        decided = await self.claims_desk.refuse(request.match_info["key"], asked_by(request))
        return answer({"claim": claim_json(decided.claim)})

    async def poster(self, request: web.Request) -> web.Response:
        """The picture that customers scan to pay for a package."""
        tenant_id = self.posters.site.named_tenant(tenant_of(request.query))
        png = await self.posters.png(tenant_id, request.match_info["package"])
        return web.Response(body=png, content_type="image/png")

    async def c2b_addresses(self, request: web.Request) -> web.Response:
        """What would be registered for a gateway."""
        gateway_id = request.match_info["gateway"]
        return answer(self._registration_json(gateway_id, await self.registration.addresses(gateway_id)))

    async def register_c2b(self, request: web.Request) -> web.Response:
        """Register a gateway's addresses at M-Pesa."""
        gateway_id = request.match_info["gateway"]
        addresses = await self.registration.register(gateway_id, asked_by(request))
        return answer(self._registration_json(gateway_id, addresses))

    def _registration_json(self, gateway_id: str, addresses: NoticeAddresses) -> dict[str, Any]:
        gateway = self.registration.site.config.gateway(gateway_id)
        return {
            "gateway": gateway_id,
            "shortCode": gateway.shortcode,
            "environment": gateway.environment.value,
            "confirmationUrl": addresses.confirmation_url,
            "validationUrl": addresses.validation_url,
        }


def payment_json(payment: Payment) -> dict[str, Any]:
    """A payment for staff: with the whole phone number, for they may have to call it."""
    return {
        "id": payment.payment_id,
        "tenant": payment.tenant_id,
        "gateway": payment.gateway_id,
        "method": payment.method.value,
        "receipt": payment.mpesa_receipt_number,
        "amount": payment.amount.as_json(),
        "disposition": payment.disposition.value,
        "description": payment.description,
        "phone": None if payment.phone is None else payment.phone.digits,
        "account": payment.account,
        "customer": payment.customer_id,
        "createdAt": payment.created_at.isoformat(timespec="seconds"),
    }


def grant_json(grant: Grant | None) -> dict[str, Any] | None:
    """A grant for staff: with what a customer logs in with, where no device is known."""
    if grant is None:
        return None
    return {
        "id": grant.grant_id,
        "state": grant.state.value,
        "secondsLeft": grant.seconds_left,
        "mac": None if grant.mac is None else grant.mac.text,
        "username": grant.username,
        "password": grant.password,
    }


def claim_json(claim: Claim) -> dict[str, Any]:
    """A claim for staff."""
    return {
        "id": claim.claim_id,
        "tenant": claim.tenant_id,
        "gateway": claim.gateway_id,
        "receipt": claim.mpesa_receipt_number,
        "state": claim.state.value,
        "reason": None if claim.reason is None else claim.reason.value,
        "phone": None if claim.phone is None else claim.phone.digits,
        "mac": None if claim.mac is None else claim.mac.text,
        "createdAt": claim.created_at.isoformat(timespec="seconds"),
    }


def _listed_json(listed: ListedClaim) -> dict[str, Any]:
    package = None if listed.wanted is None else listed.wanted.package
    wanted = None if package is None else {"id": package.package_id, "name": package.name}
    price = {} if wanted is None or package is None else {"price": package.price.as_json()}
    return {**claim_json(listed.claim), "wants": None if wanted is None else {**wanted, **price}}


def _say(_request: web.Request, status: int, error: EdgeError) -> web.Response:
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, InvalidError) and error.field:
        content["field"] = error.field
    return answer(dict(error.values) | content, status)
