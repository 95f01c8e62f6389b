"""The pages of who is online: signing out and in, pausing, the receipt to keep, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.services.portal.outages import Outage
from easyisp_edge.services.portal.problems import Problem
from easyisp_edge.services.portal.standing import Step, lapses_at
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import holding, own_device, purchase_unknown, refuse_strangers, visit_of_form
from easyisp_edge.web.page_values import Receipt
from easyisp_edge.web.requests import read_form
from easyisp_edge.web.side_pages import problem_page, receipt_page
from easyisp_edge.web.standing_pages import StandingPages, grant_of_turn
from easyisp_edge.web.visits import Device

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit

_TEXT_SHOWN_MAX = 500


@dataclass(frozen=True, slots=True)
class SessionPages:
    """Handlers of what may be done with what a device has."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/off", self.sign_out),
            web.post("/on", self.sign_in),
            web.post("/pause", self.pause),
            web.get("/p/{purchase_id}/receipt", self.receipt),
            web.get("/k/{claim_id}/receipt", self.receipt),
            web.get("/problem", self.ask_problem),
            web.post("/problem", self.report),
        ]

    async def sign_out(self, request: web.Request) -> web.Response:
        """Put the device off, and leave it off until it asks."""
        form = await read_form(request)
        visit = visit_of_form(self.portal, request, form)
        await self.portal.sign_outs.sign_out(visit.tenant.id, own_device(self.portal, request, form, visit))
        return self._back(request, form, visit)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Let the device on again, by what it signed out of or paused."""
        form = await read_form(request)
        visit = visit_of_form(self.portal, request, form)
        await self.portal.sign_outs.sign_in(visit.tenant.id, own_device(self.portal, request, form, visit))
        return self._back(request, form, visit)

    async def pause(self, request: web.Request) -> web.Response:
        """Have the time online stand still."""
        form = await read_form(request)
        visit = visit_of_form(self.portal, request, form)
        tenant_id, mac = visit.tenant.id, own_device(self.portal, request, form, visit)
        await self.portal.access.pause(tenant_id, mac, grant_of_turn(self.portal, tenant_id, mac, form))
        return self._back(request, form, visit)

    async def receipt(self, request: web.Request) -> web.Response:
        """What was paid, for whoever holds the purchase's or the claim's secret; `save` has the browser keep it."""
        path = request.path.removesuffix("/receipt")
        standing = holding(self.portal, path)
        payment = None if standing is None else self._payment(standing)
        held = None if standing is None else standing.admission
        if standing is None or held is None or payment is None:
            raise purchase_unknown()
        language, tenant = self.portal.language(request), self.portal.site.config.tenant(held.tenant_id)
        page = receipt_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(tenant),
            device=Device(held.mac).token,
            offer=self.portal.offer(held.package, language),
            receipt=self._receipt(standing, held, payment, language),
            holder=path,
        )
        answer = self._shown.answer(tenant, page)
        if "save" not in request.query:
            return answer
        name = f"receipt-{payment.created_at:%Y-%m-%d}.html"
        # A copy: all pages of a tenant share their headers.
        headers = {**answer.headers, "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=page, headers=headers)

    async def ask_problem(self, request: web.Request) -> web.Response:
        """The question what is wrong, or thanks for having said it."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        return self._problem(visit, language, sent="sent" in request.query)

    async def report(self, request: web.Request) -> web.Response:
        """Keep what is wrong for the staff."""
        form = await read_form(request)
        visit, language = visit_of_form(self.portal, request, form), self.portal.language(request, form.get("lang"))
        tenant_id, device, text = visit.tenant.id, visit.device, form.get("text", "")
        refuse_strangers(self.portal, request, device.mac)
        standing = Step.CHOOSE if device.mac is None else self.portal.standing.of_device(tenant_id, device.mac).step
        problem = Problem(tenant_id, device.mac, device.router_id, standing, text, language)
        try:
            await self.portal.problems.report(problem)
        except (InvalidError, ConflictError) as error:
            said = self.portal.say(error, language)
            return self._problem(visit, language, typed=text[:_TEXT_SHOWN_MAX], wrong=said, status=status_of(error))
        return self._shown.see_other(f"/problem?sent=1&d={device.token}&lang={language}")

    def _problem(
        self,
        visit: Visit,
        language: str,
        *,
        sent: bool = False,
        typed: str = "",
        wrong: str | None = None,
        status: int = 200,
    ) -> web.Response:
        page = problem_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            device=visit.device.token,
            sent=sent,
            typed=typed,
            wrong=wrong,
            office_away=Outage.CENTRAL in self.portal.outages.now(visit.tenant.id, visit.device.router_id),
        )
        return self._shown.answer(visit.tenant, page, status=status)

    def _back(self, request: web.Request, form: dict[str, str], visit: Visit) -> web.Response:
        """To the page the form was sent from."""
        language, path = self.portal.language(request, form.get("lang")), form.get("h", "")
        start = path if holding(self.portal, path) is not None else "/"
        return self._shown.see_other(f"{start}?d={visit.device.token}&lang={language}")

    def _payment(self, standing: Standing) -> Payment | None:
        read = self.portal.store.read
        if standing.claim is not None:
            return read.payments.by_receipt(standing.claim.mpesa_receipt_number)
        purchase = standing.purchase
        return None if purchase is None else next(iter(read.payments.of_purchase(purchase.purchase_id)), None)

    def _receipt(self, standing: Standing, held: Admission, payment: Payment, language: str) -> Receipt:
        now, moment = self.portal.clock.now(), self.portal.texts.moment
        phone = payment.phone or (None if standing.purchase is None else standing.purchase.phone)
        return Receipt(
            amount=str(payment.amount),
            paid_at=moment(language, payment.created_at, now),
            number=payment.mpesa_receipt_number,
            phone=None if phone is None else phone.masked,
            until=moment(language, lapses_at(held, now), now) if held.usable_at(now) else None,
        )

    @property
    def _shown(self) -> StandingPages:
        return StandingPages(self.portal)
