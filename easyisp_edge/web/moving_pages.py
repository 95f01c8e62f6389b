"""What was bought on a phone goes along when the phone shows a new address: its holder says so by one tap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.errors import ConflictError
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import holding, purchase_unknown, visit_of_form
from easyisp_edge.web.requests import needed_text, read_form
from easyisp_edge.web.side_pages import same_page
from easyisp_edge.web.standing_pages import StandingPages
from easyisp_edge.web.visits import Device, device_unknown

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.errors import EdgeError
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.portal import Portal

_PATH_LENGTH_MAX = 40


@dataclass(frozen=True, slots=True)
class MovingPages:
    """Handler of the form that moves what was bought to this device."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.post("/here", self.move)]

    async def move(self, request: web.Request) -> web.Response:
        """Move it, and go to its page; what was wrong is said beside the button."""
        form = await read_form(request)
        visit = visit_of_form(self.portal, request, form)
        language, path = self.portal.language(request, form.get("lang")), needed_text(form, "h", most=_PATH_LENGTH_MAX)
        standing = holding(self.portal, path)
        held = None if standing is None else standing.admission
        if standing is None or held is None or held.tenant_id != visit.tenant.id:
            raise purchase_unknown()
        if visit.device.mac is None:
            raise device_unknown()
        try:
            await self.portal.recovery.take_along(visit.tenant.id, held.grant_id, visit.device.mac)
        except ConflictError as error:
            return _page(self.portal, visit.device, held, path, language, error)
        await self.portal.sign_outs.sign_in(visit.tenant.id, visit.device.mac)
        return StandingPages(self.portal).see_other(f"{path}?d={visit.device.token}&lang={language}")


def offer_to_move(
    portal: Portal, request: web.Request, standing: Standing, path: str, language: str
) -> web.Response | None:
    """The question whether to move what the path holds, where it is shown on another device; None where it is not."""
    held, device = standing.admission, Device.from_token(request.query.get("d", ""))
    if held is None or held.mac is None or device.mac in {None, held.mac}:
        return None
    if not held.usable_at(portal.clock.now()):
        return None
    return _page(portal, device, held, path, language)


def _page(  # noqa: PLR0917 - what it is made of
    portal: Portal, device: Device, held: Admission, path: str, language: str, error: EdgeError | None = None
) -> web.Response:
    tenant = portal.site.config.tenant(held.tenant_id)
    page = same_page(
        portal.pages,
        language=language,
        shop=portal.shop(tenant),
        device=device.token,
        offer=portal.offer(held.package, language),
        holder=path,
        wrong=None if error is None else portal.say(error, language),
    )
    return StandingPages(portal).answer(tenant, page, status=200 if error is None else status_of(error))
