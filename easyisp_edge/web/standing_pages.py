"""What a customer is shown of where he stands, be it by a purchase, a claim or a device; and pages as answers.

Whose device has several packages can change the order they are used in.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import CIMultiDict

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.portal.standing import Step, lapses_at, opens_at
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import refuse_strangers
from easyisp_edge.web.page_values import ClaimNews, InUse, LoginForm, Next, Own
from easyisp_edge.web.pages_choosing import error_page
from easyisp_edge.web.pages_online import off_page, online_page, shut_page
from easyisp_edge.web.pages_paying import claim_page, failed_page, offered_page, waiting_page
from easyisp_edge.web.requests import needed_text, read_form
from easyisp_edge.web.visits import device_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.config import Tenant
    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.page_values import ClaimStep, Offer, Phase
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Device

# A name or address and a port; what is more than that would go on into the login form.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)

_PHASES: dict[Step, Phase] = {
    Step.PROMPTED: "prompted",
    Step.UNKNOWN: "unknown",
    Step.EXPIRED: "expired",
    Step.CONNECTING: "connecting",
}
# As long as nobody draws the same one twice, and short in a page.
_TURN_DIGITS = 24
_CLAIM_STEPS: dict[Step, ClaimStep] = {
    Step.VERIFYING: "verifying",
    Step.PROVISIONAL: "provisional",
    Step.CREDITED: "credited",
    Step.REFUSED: "refused",
    Step.OVER: "over",
    Step.ELSEWHERE: "elsewhere",
}


@dataclass(frozen=True, slots=True)
class View:
    """For whom a page is made.

    Args:
        tenant: Whose shop.
        language: In which language.
        device: For which device.
        poll_url: Where the page asks for news.
        origin: The address the portal was asked by.
        here: The page's own path, which holds a secret; None for the start, which anybody may ask for any device.
        own: Whether it is the device itself that asks.
        understood: What the text was taken for that led here, in words.
        trouble: What the router said went wrong with a login, in words.
    """

    tenant: Tenant
    language: str
    device: Device
    poll_url: str
    origin: str
    here: str | None = None
    own: bool = False
    understood: str | None = None
    trouble: str | None = None

    @property
    def holder(self) -> str | None:
        """The path that holds a secret, without what is asked for by it."""
        return None if self.here is None else self.here.partition("?")[0]


@dataclass(frozen=True, slots=True)
class StandingPages:
    """Makes the page of each step, and sends pages."""

    portal: Portal

    def answer(self, tenant: Tenant, page: bytes, *, status: int = 200) -> web.Response:
        """A page as an answer."""
        return web.Response(body=page, status=status, headers=self._headers_for(tenant))

    def see_other(self, location: str) -> web.Response:
        """On to another page."""
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    def show(self, standing: Standing, view: View) -> web.Response:
        """The page for where somebody stands; the start, where he may choose."""
        if standing.step is Step.CHOOSE:
            return self.see_other(f"/?d={view.device.token}&lang={view.language}")
        if standing.step in {Step.CONNECTING, Step.VERIFYING} and standing.admission is not None:
            self.portal.access.tell_routers(view.tenant.id)
        return self.answer(view.tenant, self._page(standing, view))

    def _page(self, standing: Standing, view: View) -> bytes:
        common: dict[str, Any] = {
            "language": view.language,
            "shop": self.portal.shop(view.tenant),
            "offer": self._offer_of(standing, view.language),
            "device": view.device.token,
            "poll_url": view.poll_url,
            "here": view.here,
        }
        if standing.step in _CLAIM_STEPS:
            return self._claim(standing, view, common)
        if standing.current is not None and standing.step is Step.ONLINE:
            return self._online(standing, standing.current, view, common)
        if standing.current is not None and standing.step is Step.OFF:
            return self._off(standing.current, view, common)
        if standing.opens_at is not None:
            return self._shut(standing, standing.opens_at, view, common)
        return self._purchase(standing, view, common)

    def _online(self, standing: Standing, current: Admission, view: View, common: dict[str, Any]) -> bytes:
        now = self.portal.clock.now()
        in_use = InUse(
            seconds_left=current.seconds_left_at(now),
            until=self.portal.texts.moment(view.language, lapses_at(current, now), now),
            lapses=current.package.online_time is not None,
            data_left=None if current.data_left is None else str(current.data_left),
        )
        return online_page(
            self.portal.pages,
            **common,
            in_use=in_use,
            after=[self._next(each, view.language, now) for each in standing.after],
            receipt=standing.mpesa_receipt_number,
            own=_own(current, view),
            outages=self._down(replace(view, trouble=None), paying=False),  # it is on: that is over
        )

    def _off(self, current: Admission, view: View, common: dict[str, Any]) -> bytes:
        return off_page(
            self.portal.pages,
            **common,
            seconds_left=current.seconds_left_at(self.portal.clock.now()),
            stands=current.package.online_time is not None,
            own=_own(current, view),
            outages=self._down(view, paying=False),
        )

    def _next(self, admission: Admission, language: str, now: datetime) -> Next:
        texts, left = self.portal.texts, admission.seconds_left_at(now)
        return Next(
            name=admission.package.name,
            turn=_turn(admission),
            time_left=texts.duration(language, left) if admission.state is GrantState.PAUSED else None,
            opens=None if admission.open_at(now) else texts.opening(language, opens_at(admission, now), now),
        )

    def _shut(self, standing: Standing, opens_at: datetime, view: View, common: dict[str, Any]) -> bytes:
        now = self.portal.clock.now()
        return shut_page(
            self.portal.pages,
            **common,
            opens=self.portal.texts.opening(view.language, opens_at, now),
            seconds_to_go=math.ceil((opens_at - now).total_seconds()),
            receipt=standing.mpesa_receipt_number,
        )

    def _purchase(self, standing: Standing, view: View, common: dict[str, Any]) -> bytes:
        pages, purchase = self.portal.pages, standing.purchase
        if purchase is not None and standing.step is Step.FAILED:
            return failed_page(pages, **common, reason=purchase.reason, short=self.portal.paid_short(purchase))
        menu = None if purchase is None else self.portal.menu_of(purchase)
        if standing.step is Step.OFFERED:
            return offered_page(pages, **common, menu=menu, outages=self._down(view))
        waited = 0.0 if purchase is None else (self.portal.clock.now() - purchase.created_at).total_seconds()
        return waiting_page(
            pages,
            **common,
            phase=_PHASES[standing.step],
            phone_masked="" if purchase is None else purchase.phone.masked,
            seconds_waited=waited,
            menu=menu,
            login_form=self._login_form(standing, view),
            outages=self._down(view, paying=standing.step is not Step.CONNECTING),
            paid=_just_paid(standing),
        )

    def _claim(self, standing: Standing, view: View, common: dict[str, Any]) -> bytes:
        claim = standing.claim
        if claim is None:
            raise LookupError("these steps are of claims")
        gateway = self.portal.site.gateway(claim.gateway_id)
        news = ClaimNews(
            step=_CLAIM_STEPS[standing.step],
            receipt=None if view.here is None else standing.mpesa_receipt_number,
            reason=claim.reason,
            credit=str(standing.credit or ""),
            seconds_left=standing.seconds_left,
            watched=gateway is not None and (gateway.c2b or gateway.pull is not None),
        )
        form = self._login_form(standing, view) if standing.step is Step.VERIFYING else None
        looking = standing.step in {Step.VERIFYING, Step.PROVISIONAL}
        return claim_page(
            self.portal.pages,
            **common,
            news=news,
            login_form=form,
            understood=view.understood,
            outages=self._down(view) if looking else (),
        )

    def _down(self, view: View, *, paying: bool = True) -> tuple[str, ...]:
        """What went wrong at the router, and what is away that matters to who waits there."""
        told = self.portal.outages_told(view.tenant, view.device.router_id, view.language, paying=paying)
        return told if view.trouble is None else (view.trouble, *told)

    def _login_form(self, standing: Standing, view: View) -> LoginForm | None:
        # The login's secret is for whoever holds the purchase's id, never for a mere hardware address.
        if view.here is None or standing.admission is None or view.device.router_id is None:
            return None
        router = next((r for r in self.portal.site.config.routers if r.id == view.device.router_id), None)
        if router is None or router.login_url is None:
            return None
        grant = standing.admission
        return LoginForm(str(router.login_url), grant.username, grant.password, view.origin + view.here)

    def _offer_of(self, standing: Standing, language: str) -> Offer | None:
        """What it is about: what was bought, or is wanted; None for a claim on whatever the money pays for."""
        if standing.current is not None and standing.step in {Step.ONLINE, Step.SHUT, Step.OFF}:
            return self.portal.offer(standing.current.package, language)
        if standing.admission is not None and standing.step not in {Step.VERIFYING, Step.PROVISIONAL}:
            return self.portal.offer(standing.admission.package, language)
        about = standing.purchase or standing.claim
        if about is None:
            raise LookupError("a standing is about a purchase, a claim or a grant")
        if about.package_version_id is None:
            return None
        return self.portal.offer(self.portal.store.read.packages.by_id(about.package_version_id).package, language)

    def _headers_for(self, tenant: Tenant) -> CIMultiDict[str]:
        made = self.portal.ready_made.headers
        if tenant.id not in made:
            targets = [router.login_url for router in self.portal.site.config.routers if router.login_url is not None]
            headers = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": self.portal.pages.csp(self.portal.shop(tenant), targets),
                "Cache-Control": "no-store",
                # To others nothing; ours tells where a form was, without which it might be anybody's.
                "Referrer-Policy": "same-origin",
                "X-Content-Type-Options": "nosniff",
            }
            made[tenant.id] = CIMultiDict(headers)
        return made[tenant.id]


@dataclass(frozen=True, slots=True)
class SwitchPages:
    """Handler of the form that begins another package of the device."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.post("/switch", self.switch)]

    async def switch(self, request: web.Request) -> web.Response:
        """Use that package now, and go to where the device stands then; what was wrong has a page."""
        form = await read_form(request)
        visit = self.portal.visit(request, form)
        language, device = self.portal.language(request, form.get("lang")), visit.device
        if device.mac is None:
            raise device_unknown()
        refuse_strangers(self.portal, request, device.mac)
        shown = StandingPages(self.portal)
        try:
            grant_id = grant_of_turn(self.portal, visit.tenant.id, device.mac, form)
            await self.portal.access.switch_to(visit.tenant.id, device.mac, grant_id)
        except (NotFoundError, ConflictError) as error:
            status, message = status_of(error), self.portal.say(error, language)
            shop = self.portal.shop(visit.tenant)
            page = error_page(
                self.portal.pages, language=language, shop=shop, status=status, message=message, device=device.token
            )
            return shown.answer(visit.tenant, page, status=status)
        return shown.see_other(f"/?d={device.token}&lang={language}")


def grant_of_turn(portal: Portal, tenant_id: str, mac: MacAddress, form: Mapping[str, str]) -> str:
    """The grant of a device that a form names by its `turn`.

    Raises:
        NotFoundError: It has no such grant.
    """
    turn = needed_text(form, "turn", most=_TURN_DIGITS)
    of_device = portal.store.read.grants.usable_of_device(tenant_id, mac)
    found = next((admission.grant_id for admission in of_device if _turn(admission) == turn), None)
    if found is None:
        raise NotFoundError("grant.unknown", "This device has no such package.")
    return found


def _just_paid(standing: Standing) -> bool:
    """Whether it is money that leads online for the first time, and not a voucher, a gift, or being back."""
    begun = standing.admission is not None and standing.admission.state is not GrantState.WAITING
    return not begun and (standing.purchase is not None or standing.claim is not None)


def _own(current: Admission, view: View) -> Own | None:
    """What may be done from the page: nothing where it may be a stranger's."""
    if view.holder is None and not view.own:
        return None
    keeps = view.holder is not None and not view.holder.startswith("/w/")
    return Own(
        holder=view.holder,
        turn=None if current.package.online_time is None else _turn(current),
        receipt=f"{view.holder}/receipt?lang={view.language}" if keeps else None,
    )


def _turn(admission: Admission) -> str:
    """Names a grant in a page that anybody may ask for: the id itself may be the key to what was bought from credit."""
    return hashlib.sha256(admission.grant_id.encode()).hexdigest()[:_TURN_DIGITS]


def origin_of(request: web.Request) -> str:
    """The address the portal was asked by.

    Raises:
        InvalidError: It names no host.
    """
    if _HOST.fullmatch(request.host) is None:
        raise InvalidError("request.invalid", "The Host header names no host.")
    return f"{request.scheme}://{request.host}"
