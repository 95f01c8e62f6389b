"""The one box: whatever is typed or pasted there goes to the step that it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.one_box import Meaning, Understood, understood
from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.money.claims import ClaimOrder
from easyisp_edge.services.portal.recovery import Trace
from easyisp_edge.services.portal.standing import Step
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import refuse_strangers, visit_of_form
from easyisp_edge.web.page_values import Pasted
from easyisp_edge.web.pages_paying import paid_page
from easyisp_edge.web.requests import read_form
from easyisp_edge.web.side_pages import box_page
from easyisp_edge.web.standing_pages import StandingPages
from easyisp_edge.web.voucher_pages import holder_of

if TYPE_CHECKING:
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.portal.vouchers import Holder
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed, by whom."""

    visit: Visit
    language: str
    text: str
    means: Understood


@dataclass(frozen=True, slots=True)
class BoxPages:
    """Handlers of the one box."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/find", self.ask), web.post("/find", self.find)]

    async def ask(self, request: web.Request) -> web.Response:
        """The box alone."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        page = box_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            device=visit.device.token,
            title=self.portal.texts.get(language, "box.title"),
            text=self.portal.texts.get(language, "box.doubts.empty"),
        )
        return self._shown.answer(visit.tenant, page)

    async def find(self, request: web.Request) -> web.Response:
        """Tell what was typed, and go where that leads; what leads nowhere is said above the box."""
        form = await read_form(request)
        visit, text = visit_of_form(self.portal, request, form), form.get("text", "")
        asked = _Asked(visit, self.portal.language(request, form.get("lang")), text, understood(text))
        refuse_strangers(self.portal, request, visit.device.mac)
        try:
            return await self._lead(asked, request)
        except (InvalidError, NotFoundError, ConflictError, RefusedError) as error:
            return self._say(asked, self.portal.say(error, asked.language), status=status_of(error))

    async def _lead(self, asked: _Asked, request: web.Request) -> web.Response:
        meaning, mac = asked.means.meaning, asked.visit.device.mac
        if meaning is Meaning.UNCLEAR:
            doubt = self.portal.texts.get(asked.language, f"box.doubts.{asked.means.doubt}")
            return self._say(asked, doubt, status=400)
        if meaning is Meaning.VOUCHER:
            return await self._voucher(asked, holder_of(self.portal, request, asked.visit, asked.visit.device))
        if mac is None:
            return self._ask_more(asked)
        if meaning in {Meaning.RECEIPT, Meaning.MESSAGE}:
            return await self._claim(asked, mac)
        return await self._recover(asked, mac)

    async def _voucher(self, asked: _Asked, holder: Holder) -> web.Response:
        visit, code, vouchers = asked.visit, asked.means.value, self.portal.vouchers
        # Its page finds out which device it is, or asks whether to move it.
        if holder.mac is None or vouchers.held_elsewhere(holder, code) is not None:
            return self._shown.see_other(f"/v/{code}?d={visit.device.token}&lang={asked.language}")
        await vouchers.redeem(holder, code)
        return self._to_start(asked)

    async def _claim(self, asked: _Asked, mac: MacAddress) -> web.Response:
        visit = asked.visit
        order = ClaimOrder(
            claim_id=None,
            text=asked.text,
            tenant_id=visit.tenant.id,
            package_id=None,
            phone=None,
            mac=mac,
            router_id=visit.device.router_id,
            language=asked.language,
        )
        claim = await self.portal.claims.make(order)
        return self._shown.see_other(f"/k/{claim.claim_id}?lang={asked.language}&box={asked.means.meaning}")

    async def _recover(self, asked: _Asked, mac: MacAddress) -> web.Response:
        """Have it asked about and put right; the device goes on where it stands then."""
        tenant_id, value, recovery = asked.visit.tenant.id, asked.means.value, self.portal.recovery
        if asked.means.meaning is Meaning.PHONE:
            trace = await recovery.by_phone(tenant_id, mac, Msisdn(value))
        else:
            trace = await recovery.by_pay_code(tenant_id, mac, value)
        if trace is Trace.OPEN and self.portal.standing.of_device(tenant_id, mac).step is not Step.CHOOSE:
            return self._to_start(asked)
        phone = Msisdn(value).masked if asked.means.meaning is Meaning.PHONE else ""
        key = f"none_{asked.means.meaning}" if trace is Trace.NONE else trace.value
        return self._tell(asked, self.portal.texts.get(asked.language, f"box.{key}", phone=phone))

    def _ask_more(self, asked: _Asked) -> web.Response:
        """The receipt's page: where the device is not known, receipt and number are needed together."""
        value, is_phone = asked.means.value, asked.means.meaning is Meaning.PHONE
        has_receipt = asked.means.meaning in {Meaning.RECEIPT, Meaning.MESSAGE}
        page = paid_page(
            self.portal.pages,
            language=asked.language,
            shop=self.portal.shop(asked.visit.tenant),
            device=asked.visit.device.token,
            key=self.portal.identifiers.secret(),
            needs_phone=True,
            pasted=Pasted(
                asked.text[:PASTED_LENGTH_MAX] if has_receipt else "", f"0{value[3:]}" if is_phone else "", None
            ),
            understood=self._taken_for(asked),
        )
        return self._shown.answer(asked.visit.tenant, page)

    def _to_start(self, asked: _Asked) -> web.Response:
        return self._shown.see_other(f"/?d={asked.visit.device.token}&lang={asked.language}")

    def _tell(self, asked: _Asked, text: str) -> web.Response:
        return self._page(asked, text=text, typed="")

    def _say(self, asked: _Asked, wrong: str, *, status: int) -> web.Response:
        return self._page(asked, wrong=wrong, typed=asked.text[:PASTED_LENGTH_MAX], status=status)

    def _page(
        self, asked: _Asked, *, typed: str, text: str = "", wrong: str | None = None, status: int = 200
    ) -> web.Response:
        page = box_page(
            self.portal.pages,
            language=asked.language,
            shop=self.portal.shop(asked.visit.tenant),
            device=asked.visit.device.token,
            title=self._taken_for(asked),
            text=text,
            typed=" ".join(typed.split()),
            wrong=wrong,
        )
        return self._shown.answer(asked.visit.tenant, page, status=status)

    def _taken_for(self, asked: _Asked) -> str:
        return self.portal.texts.get(asked.language, f"box.is.{asked.means.meaning}")

    @property
    def _shown(self) -> StandingPages:
        return StandingPages(self.portal)
