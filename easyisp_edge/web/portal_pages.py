"""The pages customers see: choose, phone number, waiting, online, failed, resumed at the step where they stand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.purchase import Order
from easyisp_edge.services.portal.standing import Step
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import device_of, in_sight, is_own, purchase_unknown, refuse_strangers
from easyisp_edge.web.moving_pages import offer_to_move
from easyisp_edge.web.page_values import Ways
from easyisp_edge.web.pages_choosing import choose_page, closed_page, error_page, phone_page
from easyisp_edge.web.pay_menu import pay_menu
from easyisp_edge.web.requests import form_language, needed_text, read_form
from easyisp_edge.web.router_errors import router_error
from easyisp_edge.web.standing_pages import StandingPages, View, origin_of
from easyisp_edge.web.visits import Device, device_unknown
from easyisp_edge.web.voucher_pages import voucher_asked_for

if TYPE_CHECKING:
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import Money
    from easyisp_edge.web.page_values import Closure
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit

# Stands in a page made once for all devices; of letters a device token may have, and longer than any.
_ANY_DEVICE = "DEVICE" + "-" * 4 + "TOKEN"
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was typed, and what was wrong with it."""

    phone: str
    error: EdgeError


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
            web.post("/credit", self.buy_from_credit),
            web.get("/w/{key}", self.credit_purchase),
            web.get("/logo/{tenant}", self.logo),
            *static,
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Where the device stands; packages, where it has nothing under way."""
        visit, language = self.portal.visit_and_language(request)
        voucher = voucher_asked_for(request.query.get("link-orig", ""))
        if voucher is not None:
            return self._shown.see_other(f"/v/{voucher}?d={visit.device.token}&lang={language}")
        if visit.device.mac is None:
            visit = replace(visit, device=device_of(self.portal, request, visit.device))
        mac, known = visit.device.mac, visit.wants_more
        trouble = router_error(self.portal.texts, language, request.query)
        if mac is not None and not visit.wants_more:
            standing = self.portal.standing.of_device(visit.tenant.id, mac)
            if standing.step is not Step.CHOOSE:
                poll_url, own = (
                    f"/api/portal/standing?d={visit.device.token}",
                    is_own(self.portal, request, visit.device),
                )
                origin = origin_of(request)
                view = View(visit.tenant, language, visit.device, poll_url, origin, own=own, trouble=trouble)
                return self._shown.show(standing, view)
            known = standing.known
        credit = self._credit(visit) if known else None
        return self._shown.answer(visit.tenant, self._choose(visit, language, credit, trouble))

    async def ask_phone(self, request: web.Request) -> web.Response:
        """The question for the phone number."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        package_id = needed_text(request.query, "package", most=64)
        try:
            package = self.portal.shelf.version(visit.tenant.id, package_id, visit.device.router_id).package
        except NotFoundError as error:
            return self._choose_again(visit, language, error)
        return self._phone(visit, language, package)

    async def buy(self, request: web.Request) -> web.Response:
        """Start the purchase and go to its page; what was wrong is said beside the field."""
        form = await read_form(request)
        visit = self.portal.visit(request, form)
        visit = replace(visit, device=in_sight(self.portal, request, visit.device))
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
                ),
                prompt=form.get("prompt") != "no" or not self._has_menu(visit, package),
            )
        except (InvalidError, ConflictError) as error:
            return self._phone(visit, language, package, _Tried(phone, error))
        return self._shown.see_other(f"/p/{purchase.purchase_id}?lang={language}")

    async def purchase(self, request: web.Request) -> web.Response:
        """Where a purchase stands, for whoever holds its id."""
        purchase = self.find(request.match_info["purchase_id"])
        tenant = self.portal.site.config.tenant(purchase.tenant_id)
        standing, path = self.portal.standing.of_purchase(purchase), f"/p/{purchase.purchase_id}"
        held = standing.admission  # it may have moved since
        device = Device(purchase.mac if held is None else held.mac, purchase.router_id)
        language = self.portal.language(request, request.query.get("lang") or purchase.language)
        poll_url = f"/api/portal/mpesa/status?checkoutRequestId={purchase.purchase_id}"
        view = View(tenant, language, device, poll_url, origin_of(request), path)
        moved = offer_to_move(self.portal, request, standing, path, language)
        return moved or self._shown.show(standing, view)

    async def buy_from_credit(self, request: web.Request) -> web.Response:
        """Buy with what is in the wallet of who last paid from the device, and go to the page of what was bought."""
        form = await read_form(request)
        visit = self.portal.visit(request, form)
        language = self.portal.language(request, form.get("lang"))
        package_id, key = needed_text(form, "package", most=64), needed_text(form, "key", most=64)
        if visit.device.mac is None:
            raise device_unknown()
        refuse_strangers(self.portal, request, visit.device.mac)
        try:
            package = self.portal.shelf.version(visit.tenant.id, package_id, visit.device.router_id).package
            await self.portal.wallets.buy(visit.tenant.id, package_id, visit.device.mac, visit.device.router_id, key)
        except NotFoundError as error:
            return self._choose_again(visit, language, error)
        except RefusedError as error:
            return self._phone(visit, language, package, _Tried("", error))
        return self._shown.see_other(f"/w/{key}?d={visit.device.token}&lang={language}")

    async def credit_purchase(self, request: web.Request) -> web.Response:
        """Where stands what was bought from credit, for whoever holds the key it was bought with."""
        key, visit = request.match_info["key"], self.portal.visit(request)
        standing = self.portal.standing.of_credit_purchase(key) if is_secret(key) else None
        if standing is None or standing.admission is None or standing.admission.tenant_id != visit.tenant.id:
            raise purchase_unknown()
        device = Device(standing.admission.mac, visit.device.router_id)
        poll_url = f"/api/portal/standing?d={device.token}"
        here = f"/w/{key}?d={device.token}"
        language = self.portal.language(request)
        view = View(visit.tenant, language, device, poll_url, origin_of(request), here)
        moved = offer_to_move(self.portal, request, standing, f"/w/{key}", language)
        return moved or self._shown.show(standing, view)

    async def logo(self, request: web.Request) -> web.Response:
        """The picture of a tenant, as configured."""
        tenant = next((t for t in self.portal.site.config.tenants if t.id == request.match_info["tenant"]), None)
        path = None if tenant is None else tenant.logo or self.portal.site.config.portal.logo_file
        if tenant is None or path is None:
            raise NotFoundError("request.invalid", "There is no such picture.")
        made, key = self.portal.ready_made.bodies, ("logo", tenant.id)
        if key not in made:
            made[key] = [await asyncio.to_thread(path.read_bytes)]
        headers = {"Content-Type": _PICTURES[path.suffix.lower()], "Cache-Control": "public, max-age=3600"}
        return web.Response(body=made[key][0], headers=headers | {"X-Content-Type-Options": "nosniff"})

    def find(self, purchase_id: str) -> Purchase:
        """A purchase by its id.

        Raises:
            NotFoundError: There is none.
        """
        purchase = self.portal.store.read.purchases.by_id(purchase_id) if is_secret(purchase_id) else None
        if purchase is None:
            raise purchase_unknown()
        return purchase

    def error(self, request: web.Request, status: int, error: EdgeError) -> web.Response:
        """The page that says what went wrong."""
        language = self.portal.language(request, form_language(request))
        try:
            visit = self.portal.visit(request)
            tenant, device = visit.tenant, visit.device.token
        except EdgeError:
            tenant, device = self.portal.site.config.tenants[0], ""
        message = self.portal.say(error, language) if error.code != "request.invalid" else None
        page = error_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(tenant),
            status=status,
            message=message,
            device=device,
        )
        return self._shown.answer(tenant, page, status=status)

    @property
    def _shown(self) -> StandingPages:
        return StandingPages(self.portal)

    def _credit(self, visit: Visit) -> Money | None:
        if visit.device.mac is None:
            return None
        credit = self.portal.wallets.credit_of_device(visit.tenant.id, visit.device.mac)
        return None if credit is None else credit.amount

    def _choose(self, visit: Visit, language: str, credit: Money | None, notice: str | None) -> bytes:
        if credit is not None or notice is not None:
            return self._make_choose(visit, language, visit.device.token, credit=credit, notice=notice)
        # Who is offered something for free sees another page, and so does everybody while something is down.
        down, trial = self._outages(visit, language), self._trial(visit)
        router_id = "" if visit.router is None else visit.router.id
        made, key = self.portal.ready_made.bodies, ("choose", visit.tenant.id, router_id, language, str(trial), *down)
        if key not in made:
            made[key] = self._make_choose(visit, language, _ANY_DEVICE).split(_ANY_DEVICE.encode())
        return visit.device.token.encode().join(made[key])

    def _outages(self, visit: Visit, language: str) -> tuple[str, ...]:
        return self.portal.outages_told(visit.tenant, visit.device.router_id, language)

    def _trial(self, visit: Visit) -> Package | None:
        return self.portal.trials.offer(visit.tenant.id, visit.device.mac, visit.device.router_id)

    def _make_choose(
        self, visit: Visit, language: str, device: str, *, notice: str | None = None, credit: Money | None = None
    ) -> bytes:
        shop, tenant_id = self.portal.shop(visit.tenant), visit.tenant.id
        packages = self.portal.shelf.offers(tenant_id, None if visit.router is None else visit.router.id)
        trial = None if (free := self._trial(visit)) is None else self.portal.offer(free, language).duration
        payable = [package for package in packages if self._has_gateway(tenant_id, package)]
        if not payable:
            why: Closure = "gateway" if packages else "packages"
            return closed_page(self.portal.pages, language=language, shop=shop, why=why, device=device, trial=trial)
        offers = [self.portal.offer(package, language) for package in payable]
        return choose_page(
            self.portal.pages,
            language=language,
            shop=shop,
            offers=offers,
            device=device,
            notice=notice,
            credit=None if credit is None else str(credit),
            trial=trial,
            outages=self._outages(visit, language),
        )

    def _has_gateway(self, tenant_id: str, package: Package) -> bool:
        return self.portal.site.config.gateway_for(tenant_id, package.service) is not None

    def _choose_again(self, visit: Visit, language: str, error: EdgeError) -> web.Response:
        page = self._make_choose(visit, language, visit.device.token, notice=self.portal.say(error, language))
        return self._shown.answer(visit.tenant, page, status=404)

    def _phone(self, visit: Visit, language: str, package: Package, tried: _Tried | None = None) -> web.Response:
        page = phone_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            offer=self.portal.offer(package, language),
            device=visit.device.token,
            key=self.portal.identifiers.secret(),
            ways=self._ways(visit, package),
            phone="" if tried is None else tried.phone,
            error=None if tried is None else self.portal.say(tried.error, language),
            asked=tried is not None and self._has_asked(visit),
            outages=self._outages(visit, language),
        )
        return self._shown.answer(visit.tenant, page, status=200 if tried is None else status_of(tried.error))

    def _has_asked(self, visit: Visit) -> bool:
        mac, asked = visit.device.mac, {Step.PROMPTED, Step.UNKNOWN}
        return mac is not None and self.portal.standing.of_device(visit.tenant.id, mac).step in asked

    def _has_menu(self, visit: Visit, package: Package) -> bool:
        gateway = self.portal.site.config.gateway_for(visit.tenant.id, package.service)
        return gateway is not None and pay_menu(gateway, "", package.price) is not None

    def _ways(self, visit: Visit, package: Package) -> Ways:
        gateway, credit = self.portal.site.config.gateway_for(visit.tenant.id, package.service), self._credit(visit)
        return Ways(
            prompt=gateway is None or gateway.has_api,
            menu=self._has_menu(visit, package),
            credit=None if credit is None or credit < package.price else str(credit),
        )

    async def _static(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        body, content_type = self.portal.pages.static[name]
        headers = {
            "Content-Type": content_type,
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=self.portal.pages.zipped[name], headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=body, headers=headers)
