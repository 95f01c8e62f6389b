"""The pages of vouchers and of the free trial: one tap, and the device is online."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.vouchers import grouped, read_voucher_code
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.portal.vouchers import Holder, mistyped
from easyisp_edge.web.askers import asker_of, guesser_of
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import device_of, refuse_strangers, visit_of_form
from easyisp_edge.web.requests import needed_text, read_form
from easyisp_edge.web.side_pages import box_page, voucher_page
from easyisp_edge.web.standing_pages import StandingPages, origin_of
from easyisp_edge.web.visits import device_unknown

if TYPE_CHECKING:
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Device, Visit

_CODE_LENGTH_MAX = 64
_WAS_ASKED_FOR = re.compile(r"https?://[^/?#\s]{1,260}/v/([A-Za-z0-9-]{1,40})(?:\?.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class VoucherPages:
    """Handlers of vouchers and of the free trial."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/v/{code}", self.ask),
            web.post("/voucher", self.redeem),
            web.post("/trial", self.start_trial),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        """Whether to use it: a scanner that looks at the address must not spend the voucher."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        device, code = device_of(self.portal, request, visit.device), read_voucher_code(request.match_info["code"])
        if code is None:
            return self._wrong(visit, device, language, mistyped(), request.match_info["code"])
        vouchers, holder = self.portal.vouchers, holder_of(self.portal, request, visit, device)
        package = vouchers.package_of(holder, code)
        moves = None if package is not None else vouchers.held_elsewhere(holder, code)
        if device.mac is not None and moves is None:
            why = vouchers.refusal_of(holder, code)
            if why is not None:  # nobody is promised what the next tap refuses
                return self._wrong(visit, device, language, why, code)
        login_url = None if visit.router is None else visit.router.login_url
        page = voucher_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            device=device.token,
            code=code,
            offer=None if (shown := package or moves) is None else self.portal.offer(shown, language),
            known=device.mac is not None,
            moves=moves is not None,
            outages=self.portal.outages_told(visit.tenant, device.router_id, language, paying=False),
            router_login=None if login_url is None else str(login_url),
            comes_back=f"{origin_of(request)}/v/{code}",
        )
        return self._shown.answer(visit.tenant, page)

    async def redeem(self, request: web.Request) -> web.Response:
        """Use it for the device that asks, or move it there, and go to where that stands then."""
        form = await read_form(request)
        visit, language = visit_of_form(self.portal, request, form), self.portal.language(request, form.get("lang"))
        device, code = visit.device, needed_text(form, "code", most=_CODE_LENGTH_MAX)
        read, moves = read_voucher_code(code), form.get("move") == "yes"
        holder = holder_of(self.portal, request, visit, device)
        elsewhere = not moves and self.portal.vouchers.held_elsewhere(holder, code) is not None
        if read is not None and (device.mac is None or elsewhere):
            return self._shown.see_other(f"/v/{read}?d={device.token}&lang={language}")
        try:
            await self._use(holder, code, moves=moves)
        except (InvalidError, NotFoundError, ConflictError, RefusedError) as error:
            return self._wrong(visit, device, language, error, code)
        return self._shown.see_other(f"/?d={device.token}&lang={language}")

    async def start_trial(self, request: web.Request) -> web.Response:
        """Start the free trial of the device that asks."""
        form = await read_form(request)
        visit, language = visit_of_form(self.portal, request, form), self.portal.language(request, form.get("lang"))
        if visit.device.mac is None:
            raise device_unknown()
        refuse_strangers(self.portal, request, visit.device.mac)
        await self.portal.trials.start(visit.tenant.id, visit.device.mac, visit.device.router_id)
        return self._shown.see_other(f"/?d={visit.device.token}&lang={language}")

    async def _use(self, holder: Holder, code: str, *, moves: bool) -> None:
        if holder.mac is None or not moves:
            await self.portal.vouchers.redeem(holder, code)
            return
        await self.portal.vouchers.move(holder, code)
        await self.portal.sign_outs.sign_in(holder.tenant_id, holder.mac)

    def _wrong(self, visit: Visit, device: Device, language: str, error: EdgeError, code: str) -> web.Response:
        """The one box, with what was wrong with the code above it."""
        read = read_voucher_code(code)
        page = box_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            device=device.token,
            title=self.portal.texts.get(language, "box.is.voucher"),
            typed=code if read is None else grouped(read),
            wrong=self.portal.say(error, language),
        )
        return self._shown.answer(visit.tenant, page, status=status_of(error))

    @property
    def _shown(self) -> StandingPages:
        return StandingPages(self.portal)


def holder_of(portal: Portal, request: web.Request, visit: Visit, device: Device) -> Holder:
    """Who shows a voucher."""
    guesser = guesser_of(asker_of(portal, request), visit.router, visit.device.mac)
    return Holder(visit.tenant.id, device.mac, device.router_id, Service.HOTSPOT, guesser)


def voucher_asked_for(link_orig: str) -> str | None:
    """The voucher whose page a device asked for before its router sent it to the portal; None for any other page.

    Only the code is taken from the address: whatever else it says leads nowhere.
    """
    found = _WAS_ASKED_FOR.fullmatch(link_orig)
    return None if found is None else read_voucher_code(found[1])
