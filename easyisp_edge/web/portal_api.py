"""The portal's JSON, as the existing portals call it; answers may say more than theirs, never less."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import CIMultiDict

from easyisp_edge.config import SubType
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.schedules import WEEKDAYS
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.errors import EdgeError, InvalidError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.purchase import Order
from easyisp_edge.services.portal.standing import STEP_OF_STATE, Step
from easyisp_edge.web.askers import source_of
from easyisp_edge.web.holders import in_sight, purchase_unknown
from easyisp_edge.web.portal import speed_of_contract
from easyisp_edge.web.requests import flag_of, needed_text, read_object, text_of
from easyisp_edge.web.texts import hours_of_day
from easyisp_edge.web.visits import Device, router_of_nas, tenant_of

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.config import Gateway, Tenant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.payments import Reason
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.portal import Portal

# The hotspot's own pages, on the router's address, call this too. There are no cookies to protect.
_HEADERS = CIMultiDict(
    {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store",
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
    }
)
_PREFLIGHT = {
    **_HEADERS,
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}
_STATUS = {
    PurchaseState.OFFERED: "pending",
    PurchaseState.INTENDED: "pending",
    PurchaseState.PROMPTED: "pending",
    PurchaseState.UNKNOWN: "pending",
    PurchaseState.PAID: "completed",
    PurchaseState.FAILED: "failed",
    PurchaseState.EXPIRED: "expired",
}
_SHORTCODE_SHOWN = 2
# What our own words for a field are called in the JSON.
_FIELD_NAMES = {"mac": "macAddress", "key": "purchaseId", "message": "smsText"}


def answer(content: dict[str, Any], status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_json(content), status=status, headers=_HEADERS)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


@dataclass(frozen=True, slots=True)
class PortalApi:
    """Handlers of the JSON routes."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/portal/packages", self.packages),
            web.get("/api/portal/tenant", self.tenant),
            web.get("/api/portal/standing", self.standing),
            web.get("/api/portal/mpesa/check", self.mpesa_check),
            web.get("/api/portal/mpesa/validate", self.mpesa_validate),
            web.post("/api/portal/mpesa/initiate", self.mpesa_initiate),
            web.get("/api/portal/mpesa/status", self.mpesa_status),
            web.options("/api/portal/{rest:.*}", self.preflight),
        ]

    def error(self, request: web.Request, status: int, error: EdgeError) -> web.Response:
        """A failure, with the old fields and a code for programs."""
        message = self.portal.say(error, self.portal.language(request))
        content: dict[str, Any] = {"success": False, "code": error.code, "message": message, "error": message}
        if isinstance(error, InvalidError) and error.field:
            content["field"] = _FIELD_NAMES.get(error.field, error.field)
        return answer(content | dict(error.values), status)

    async def preflight(self, _request: web.Request) -> web.Response:
        """Let pages on the router's own address call."""
        return web.Response(status=204, headers=_PREFLIGHT)

    async def packages(self, request: web.Request) -> web.Response:
        """Active hotspot packages, cheapest first."""
        visit, language = self.portal.visit_and_language(request)
        router_id = None if visit.router is None else visit.router.id
        made, key = self.portal.ready_made.bodies, ("packages", visit.tenant.id, router_id or "", language)
        if key not in made:
            offers = self.portal.shelf.offers(visit.tenant.id, router_id)
            made[key] = [_json({"packages": [package_as_json(self.portal, package, language) for package in offers]})]
        return web.Response(body=made[key][0], headers=_HEADERS)

    async def tenant(self, request: web.Request) -> web.Response:
        """Whose hotspot it is."""
        tenant = self._tenant(request)
        shop = self.portal.shop(tenant)
        return answer(
            {
                "id": tenant.id,
                "name": shop.title,
                "logo": None if tenant.logo is None else str(tenant.logo),
                "primaryColor": shop.colour,
                "contact": {
                    "phone": shop.support_phone,
                    "email": None if tenant.email is None else str(tenant.email),
                },
            }
        )

    async def standing(self, request: web.Request) -> web.Response:
        """Where a device stands; nothing secret, for anybody may name its address."""
        visit = self.portal.visit(request)
        if visit.device.mac is None:
            return answer({"step": Step.CHOOSE, "secondsLeft": 0})
        standing = self.portal.standing.of_device(visit.tenant.id, visit.device.mac)
        return answer({"step": standing.step, "secondsLeft": standing.seconds_left})

    async def mpesa_check(self, request: web.Request) -> web.Response:
        """Whether M-Pesa is set up for the hotspot."""
        return answer({"configured": self._gateway(self._tenant(request)) is not None})

    async def mpesa_validate(self, request: web.Request) -> web.Response:
        """How M-Pesa is set up; what is wrong with it was refused when the configuration was read."""
        gateway = self._gateway(self._tenant(request))
        if gateway is None:
            message = "No M-Pesa gateway is configured for this hotspot."
            return answer({"configured": False, "valid": False, "configType": None, "errors": [message], "details": {}})
        errors = []
        if gateway.has_api and not self.portal.site.callback_base:
            errors = ["callbacks.public_url is missing: M-Pesa must be told where to call back."]
        return answer(
            {
                "configured": True,
                "valid": not errors,
                "configType": gateway.sub_type.value,
                "errors": errors,
                "details": _details(gateway),
            }
        )

    async def mpesa_initiate(self, request: web.Request) -> web.Response:
        """Start a purchase and prompt the phone; `checkoutRequestId` is our own id of it, for `status`.

        With `prompt` false nobody is prompted: the customer pays from the M-Pesa menu, as `menu` says.
        """
        body, config = await read_object(request), self.portal.site.config
        router = router_of_nas(config, text_of(body, "nasIp", most=45, needed=False), source_of(request))
        tenant = tenant_of(config, router, text_of(body, "tenantId", most=64, needed=False))
        named = text_of(body, "macAddress", most=40, needed=False)
        language = self.portal.language(request)
        device = in_sight(self.portal, request, Device(None if named is None else MacAddress.parse(named)))
        purchase = await self.portal.purchases.start_purchase(
            Order(
                purchase_id=text_of(body, "purchaseId", most=64, needed=False),
                tenant_id=tenant.id,
                package_id=needed_text(body, "packageId", most=64),
                phone=Msisdn.parse(needed_text(body, "phone", most=40)),
                mac=device.mac,
                router_id=None if router is None else router.id,
                language=language,
            ),
            prompt=flag_of(body, "prompt", default=True),
        )
        return answer(self._started(purchase, language))

    async def mpesa_status(self, request: web.Request) -> web.Response:
        """Where a purchase stands; the credentials, once paid, for whoever holds its id."""
        purchase_id = request.query.get("checkoutRequestId", "")
        progress = self.portal.store.read.purchases.progress(purchase_id) if is_secret(purchase_id) else None
        if progress is None:
            raise purchase_unknown()
        state, reason, language = progress
        content: dict[str, Any] = {"status": _STATUS[state]}
        if state is PurchaseState.PAID:
            return answer(content | self._completed(purchase_id, language))
        content["step"] = STEP_OF_STATE[state]
        if state is not PurchaseState.FAILED:
            return answer(content)
        purchase = self.portal.store.read.purchases.by_id(purchase_id)
        return answer(content | self._why(reason, purchase, language))

    def _tenant(self, request: web.Request) -> Tenant:
        config, query = self.portal.site.config, request.query
        if query.get("d") or query.get("router"):
            return self.portal.visit(request).tenant
        return tenant_of(config, router_of_nas(config, query.get("nasIp"), source_of(request)), query.get("tenantId"))

    def _gateway(self, tenant: Tenant) -> Gateway | None:
        return self.portal.site.config.gateway_for(tenant.id, Service.HOTSPOT)

    def _started(self, purchase: Purchase, language: str) -> dict[str, Any]:
        failed = purchase.state is PurchaseState.FAILED
        content: dict[str, Any] = {
            "success": not failed,
            "checkoutRequestId": purchase.purchase_id,
            "status": _STATUS[purchase.state],
        }
        if failed:
            return content | self._why(purchase.reason, purchase, language)
        if purchase.state is PurchaseState.PAID:  # the callback was here before the answer to the push
            return content | self._completed(purchase.purchase_id, language)
        step = STEP_OF_STATE[purchase.state]
        values = {"phone": purchase.phone.masked, "price": purchase.amount}
        message = self.portal.texts.get(language, f"waiting.{step}.text", **values)
        return content | {"message": message} | self._menu(purchase)

    def _menu(self, purchase: Purchase | None) -> dict[str, Any]:
        menu = None if purchase is None else self.portal.menu_of(purchase)
        return {} if menu is None else {"menu": menu.as_json()}

    def _why(self, reason: Reason | None, purchase: Purchase | None, language: str) -> dict[str, Any]:
        key, say = f"reasons.{reason or 'unknown'}", partial(self.portal.texts.get, language)
        text, short = say(f"{key}.text"), None if purchase is None else self.portal.paid_short(purchase)
        if short is not None:
            text = say("short.text", paid=short.paid, price=short.price)
        content = {"code": reason, "message": f"{say(f'{key}.title')}. {text}"}
        return content if short is None or short.menu is None else content | {"menu": short.menu.as_json()}

    def _completed(self, purchase_id: str, language: str) -> dict[str, Any]:
        return bought(self.portal, self.portal.standing.of_paid(purchase_id), language)


def bought(portal: Portal, standing: Standing, language: str) -> dict[str, Any]:
    """What was bought, and the login for it."""
    admission = standing.admission
    if admission is None:  # paid and granted in one transaction
        raise LookupError("nothing was bought")
    return {
        "step": standing.step,
        "username": admission.username,
        "password": admission.password,
        "package": package_as_json(portal, admission.package, language),
        "secondsLeft": standing.seconds_left,
        "expiresAt": instant_as_json(portal.standing.ends_at(standing)),
        "opensAt": None if standing.opens_at is None else instant_as_json(standing.opens_at),
        "transactionCode": standing.mpesa_receipt_number,
    }


def instant_as_json(at: datetime) -> str:
    """An instant as ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def package_as_json(portal: Portal, package: Package, language: str) -> dict[str, Any]:
    """A package in the contract's words."""
    made = portal.ready_made.packages
    if (package, language) not in made:
        offer = portal.offer(package, language)
        made[package, language] = {
            "id": package.package_id,
            "name": package.name,
            "price": package.price.as_json(),
            "speed": speed_of_contract(package.rate_limit),
            "duration": offer.duration,
            "durationSeconds": int(package.duration.total_seconds()),
            "data": offer.data,
            "devices": package.devices_max,
            **_when_it_counts(package),
        }
    return made[package, language]


def _when_it_counts(package: Package) -> dict[str, Any]:
    """Time online in all, and the hours it may be used in; null for no such limit."""
    online, schedule = package.online_time, package.schedule
    every_day = schedule is None or len(schedule.days) == len(WEEKDAYS)
    return {
        "onlineSeconds": None if online is None else int(online.total_seconds()),
        "hours": None if schedule is None else hours_of_day(schedule),
        "days": None if schedule is None or every_day else [WEEKDAYS[day] for day in schedule.days],
    }


def _details(gateway: Gateway) -> dict[str, Any]:
    till = gateway.sub_type is SubType.BUYGOODS
    return {
        "tillNumber": gateway.shortcode if till else None,
        "paybillNumber": None if till else gateway.shortcode,
        "storeNumber": None if gateway.store_number is None else _masked(gateway.store_number),
        "environment": gateway.environment.value,
        "hasPasskey": bool(gateway.passkey.get_secret_value()),
        "hasCredentials": bool(gateway.consumer_key.get_secret_value() and gateway.consumer_secret.get_secret_value()),
    }


def _masked(number: str) -> str:
    return "*" * max(0, len(number) - _SHORTCODE_SHOWN) + number[-_SHORTCODE_SHOWN:]
