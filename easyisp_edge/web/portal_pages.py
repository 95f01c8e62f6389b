"""The pages customers see: choose, phone number, waiting, online, failed, resumed at the step where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import CIMultiDict

from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.purchase import Order
from easyisp_edge.services.standing import Step
from easyisp_edge.web.pages import LoginForm
from easyisp_edge.web.requests import needed_text, read_form
from easyisp_edge.web.visits import Device, visit_of

if TYPE_CHECKING:
    from easyisp_edge.config import Tenant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.services.standing import Standing
    from easyisp_edge.web.pages import Closure, Offer, Phase
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit

# Stands in a page made once for all devices; of letters a device token may have, and longer than any.
_ANY_DEVICE = "DEVICE" + "-" * 4 + "TOKEN"

# A name or address and a port; what is more than that would go on into the login form.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)

_PHASES: dict[Step, Phase] = {
    Step.PROMPTED: "prompted",
    Step.UNKNOWN: "unknown",
    Step.EXPIRED: "expired",
    Step.CONNECTING: "connecting",
}


@dataclass(frozen=True, slots=True)
class _View:
    """For whom a page is made, where it asks for news, and its own address where that is not the start."""

    tenant: Tenant
    language: str
    device: Device
    poll_url: str
    origin: str
    here: str | None = None


@dataclass(frozen=True, slots=True)
class PortalPages:
    """Handlers of the HTML routes."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        static = [web.get(f"/static/{name}", self._static) for name in self.portal.pages.static]
        return [
            web.get("/", self.start),
            web.get("/buy", self.ask_phone),
            web.post("/buy", self.buy),
            web.get("/p/{purchase_id}", self.purchase),
            *static,
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Where the device stands; packages, where it has nothing under way."""
        visit, language = self.portal.visit_and_language(request)
        mac = visit.device.mac
        if mac is not None and not visit.wants_more:
            standing = self.portal.standing.of_device(visit.tenant.id, mac)
            if standing.step is Step.CONNECTING:
                self.portal.access.tell_routers(visit.tenant.id)
            if standing.step is not Step.CHOOSE:
                poll_url = f"/api/portal/standing?d={visit.device.token}"
                view = _View(visit.tenant, language, visit.device, poll_url, _origin(request))
                return self._page(visit.tenant, self._standing(standing, view))
        return self._page(visit.tenant, self._choose(visit, language))

    async def ask_phone(self, request: web.Request) -> web.Response:
        """The question for the phone number."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        package_id = needed_text(request.query, "package", most=64)
        try:
            package = self.portal.shelf.version(visit.tenant.id, package_id, visit.device.router_id).package
        except NotFoundError as error:
            return self._choose_again(visit, language, error)
        return self._page(visit.tenant, self._phone(visit, language, package))

    async def buy(self, request: web.Request) -> web.Response:
        """Start the purchase and go to its page; what was wrong is said beside the field."""
        form = await read_form(request)
        visit = visit_of(self.portal.site.config, form, request.remote)
        language = self.portal.language(request, form.get("lang"))
        package_id, phone = needed_text(form, "package", most=64), form.get("phone", "")[:40]
        try:
            package = self.portal.shelf.version(visit.tenant.id, package_id, visit.device.router_id).package
        except NotFoundError as error:
            return self._choose_again(visit, language, error)
        try:
            purchase = await self.portal.purchases.start_purchase(
                Order(
                    purchase_id=form.get("key") or None,
                    tenant_id=visit.tenant.id,
                    package_id=package_id,
                    phone=Msisdn.parse(phone),
                    mac=visit.device.mac,
                    router_id=visit.device.router_id,
                    language=language,
                )
            )
        except (InvalidError, ConflictError) as error:
            page = self._phone(visit, language, package, phone, self.portal.say(error, language))
            return self._page(visit.tenant, page, status=400 if isinstance(error, InvalidError) else 409)
        return self._see_other(f"/p/{purchase.purchase_id}?lang={language}")

    async def purchase(self, request: web.Request) -> web.Response:
        """Where a purchase stands, for whoever holds its id."""
        purchase = self.find(request.match_info["purchase_id"])
        tenant = self.portal.site.config.tenant(purchase.tenant_id)
        device = Device(purchase.mac, purchase.router_id)
        language = self.portal.language(request, request.query.get("lang") or purchase.language)
        standing = self.portal.standing.of_purchase(purchase)
        if standing.step is Step.CHOOSE:
            return self._see_other(f"/?d={device.token}&lang={language}")
        if standing.step is Step.CONNECTING:
            self.portal.access.tell_routers(tenant.id)
        poll_url = f"/api/portal/mpesa/status?checkoutRequestId={purchase.purchase_id}"
        view = _View(tenant, language, device, poll_url, _origin(request), f"/p/{purchase.purchase_id}")
        return self._page(tenant, self._standing(standing, view))

    def find(self, purchase_id: str) -> Purchase:
        """A purchase by its id.

        Raises:
            NotFoundError: There is none.
        """
        purchase = self.portal.store.read.purchases.by_id(purchase_id) if is_secret(purchase_id) else None
        if purchase is None:
            raise NotFoundError("purchase.unknown", "We do not know this purchase. Go back to the start.")
        return purchase

    def error(self, request: web.Request, status: int, error: EdgeError) -> web.Response:
        """The page that says what went wrong."""
        try:
            visit, language = self.portal.visit(request), self.portal.language(request)
            tenant, device = visit.tenant, visit.device.token
        except EdgeError:
            tenant, device = self.portal.site.config.tenants[0], ""
            language = self.portal.site.config.portal.default_language
        message = self.portal.say(error, language) if error.code != "request.invalid" else None
        page = self.portal.pages.error(
            language=language, shop=self.portal.shop(tenant), status=status, message=message, device=device
        )
        return self._page(tenant, page, status=status)

    def _choose(self, visit: Visit, language: str) -> bytes:
        router_id = "" if visit.router is None else visit.router.id
        made, key = self.portal.ready_made.bodies, ("choose", visit.tenant.id, router_id, language)
        if key not in made:
            made[key] = self._make_choose(visit, language, _ANY_DEVICE).split(_ANY_DEVICE.encode())
        return visit.device.token.encode().join(made[key])

    def _make_choose(self, visit: Visit, language: str, device: str, notice: str | None = None) -> bytes:
        shop, tenant_id = self.portal.shop(visit.tenant), visit.tenant.id
        packages = self.portal.shelf.offers(tenant_id, None if visit.router is None else visit.router.id)
        payable = [package for package in packages if self._has_gateway(tenant_id, package)]
        if not payable:
            why: Closure = "gateway" if packages else "packages"
            return self.portal.pages.closed(language=language, shop=shop, why=why, device=device)
        offers = [self.portal.offer(package, language) for package in payable]
        return self.portal.pages.choose(language=language, shop=shop, offers=offers, device=device, notice=notice)

    def _has_gateway(self, tenant_id: str, package: Package) -> bool:
        return self.portal.site.config.gateway_for(tenant_id, package.service) is not None

    def _choose_again(self, visit: Visit, language: str, error: EdgeError) -> web.Response:
        page = self._make_choose(visit, language, visit.device.token, self.portal.say(error, language))
        return self._page(visit.tenant, page, status=404)

    def _phone(self, visit: Visit, language: str, package: Package, phone: str = "", error: str | None = None) -> bytes:
        return self.portal.pages.phone(
            language=language,
            shop=self.portal.shop(visit.tenant),
            offer=self.portal.offer(package, language),
            device=visit.device.token,
            key=self.portal.identifiers.secret(),
            phone=phone,
            error=error,
        )

    def _standing(self, standing: Standing, view: _View) -> bytes:
        pages, offer = self.portal.pages, self._offer_of(standing, view.language)
        common: dict[str, Any] = {
            "language": view.language,
            "shop": self.portal.shop(view.tenant),
            "offer": offer,
            "device": view.device.token,
            "poll_url": view.poll_url,
            "here": view.here,
        }
        if standing.step is Step.ONLINE:
            ends_at = self.portal.standing.ends_at(standing)
            return pages.online(
                **common,
                seconds_left=standing.seconds_left,
                ends_at_local=self.portal.texts.moment(view.language, ends_at, self.portal.clock.now()),
                receipt=standing.mpesa_receipt_number,
            )
        purchase = standing.purchase
        if standing.step is Step.FAILED and purchase is not None:
            return pages.failed(**common, reason=purchase.reason)
        waited = 0.0 if purchase is None else (self.portal.clock.now() - purchase.created_at).total_seconds()
        return pages.waiting(
            **common,
            phase=_PHASES[standing.step],
            phone_masked="" if purchase is None else purchase.phone.masked,
            seconds_waited=waited,
            # The login's secret is for whoever holds the purchase's id, never for a mere hardware address.
            login_form=None if view.here is None else self._login_form(standing, view),
        )

    def _login_form(self, standing: Standing, view: _View) -> LoginForm | None:
        if standing.admission is None or view.device.router_id is None:
            return None
        router = next((r for r in self.portal.site.config.routers if r.id == view.device.router_id), None)
        if router is None or router.login_url is None:
            return None
        grant = standing.admission
        return LoginForm(str(router.login_url), grant.username, grant.password, view.origin + (view.here or "/"))

    def _offer_of(self, standing: Standing, language: str) -> Offer:
        if standing.admission is not None:
            return self.portal.offer(standing.admission.package, language)
        if standing.purchase is None:
            raise LookupError("a standing is about a purchase or a grant")
        version = self.portal.store.read.packages.by_id(standing.purchase.package_version_id)
        return self.portal.offer(version.package, language)

    async def _static(self, request: web.Request) -> web.Response:
        body, content_type = self.portal.pages.static[request.path.rpartition("/")[2]]
        headers = {"Content-Type": content_type, "Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=body, headers=headers)

    def _page(self, tenant: Tenant, page: bytes, *, status: int = 200) -> web.Response:
        return web.Response(body=page, status=status, headers=self._headers_for(tenant))

    def _headers_for(self, tenant: Tenant) -> CIMultiDict[str]:
        made = self.portal.ready_made.headers
        if tenant.id not in made:
            targets = [router.login_url for router in self.portal.site.config.routers if router.login_url is not None]
            headers = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": self.portal.pages.csp(self.portal.shop(tenant), targets),
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
            }
            made[tenant.id] = CIMultiDict(headers)
        return made[tenant.id]

    def _see_other(self, location: str) -> web.Response:
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def _origin(request: web.Request) -> str:
    if _HOST.fullmatch(request.host) is None:
        raise InvalidError("request.invalid", "The Host header names no host.")
    return f"{request.scheme}://{request.host}"
