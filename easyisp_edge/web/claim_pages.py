"""The pages for who has paid already: the question for the receipt, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.one_box import Meaning
from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.claims import ClaimOrder
from easyisp_edge.web.errors import status_of
from easyisp_edge.web.holders import refuse_strangers, visit_of_form
from easyisp_edge.web.moving_pages import offer_to_move
from easyisp_edge.web.page_values import Pasted
from easyisp_edge.web.pages_paying import paid_page
from easyisp_edge.web.requests import read_form, text_of
from easyisp_edge.web.standing_pages import StandingPages, View, origin_of
from easyisp_edge.web.visits import Device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit

_PHONE_LENGTH_MAX = 40
# What the one box leads to a claim by.
_TAKEN_FOR = {Meaning.RECEIPT.value, Meaning.MESSAGE.value}


@dataclass(frozen=True, slots=True)
class ClaimPages:
    """Handlers of the HTML routes of claims."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/paid", self.ask),
            web.post("/paid", self.claim),
            web.get("/k/{claim_id}", self.follow),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        """The question for the receipt."""
        visit, language = self.portal.visit(request), self.portal.language(request)
        return self._form(visit, language, self._wanted(visit, request.query), Pasted())

    async def claim(self, request: web.Request) -> web.Response:
        """Make the claim and go to its page; what was wrong is said beside the field."""
        form = await read_form(request)
        visit = visit_of_form(self.portal, request, form)
        refuse_strangers(self.portal, request, visit.device.mac)
        language = self.portal.language(request, form.get("lang"))
        package_id = self._wanted(visit, form)
        text, phone = form.get("text", ""), form.get("phone", "")[:_PHONE_LENGTH_MAX]
        try:
            claim = await self.portal.claims.make(
                ClaimOrder(
                    claim_id=form.get("key") or None,
                    text=text,
                    tenant_id=visit.tenant.id,
                    package_id=package_id,
                    phone=Msisdn.parse(phone) if phone.strip() else None,
                    mac=visit.device.mac,
                    router_id=visit.device.router_id,
                    language=language,
                )
            )
        except (InvalidError, ConflictError) as error:
            phone_wrong = isinstance(error, InvalidError) and error.field == "phone"
            pasted = Pasted(text[:PASTED_LENGTH_MAX], phone, self.portal.say(error, language), phone_wrong)
            return self._form(visit, language, package_id, pasted, status=status_of(error))
        return StandingPages(self.portal).see_other(f"/k/{claim.claim_id}?lang={language}")

    async def follow(self, request: web.Request) -> web.Response:
        """Where a claim stands, for whoever holds its id."""
        claim = find_claim(self.portal, request.match_info["claim_id"])
        language = self.portal.language(request, request.query.get("lang") or claim.language)
        if not self.portal.standing.is_proven(claim):  # to what anybody may see of the device
            token = Device(claim.mac, claim.router_id).token
            return StandingPages(self.portal).see_other(f"/?d={token}&lang={language}")
        standing, path = self.portal.standing.of_claim(claim), f"/k/{claim.claim_id}"
        taken_for = request.query.get("box")
        view = View(
            tenant=self.portal.site.config.tenant(claim.tenant_id),
            language=language,
            device=Device(claim.mac, claim.router_id),
            poll_url=f"/api/portal/mpesa/claim?claimId={claim.claim_id}",
            origin=origin_of(request),
            here=path,
            understood=self.portal.texts.get(language, f"box.is.{taken_for}") if taken_for in _TAKEN_FOR else None,
        )
        moved = offer_to_move(self.portal, request, standing, path, language)
        return moved or StandingPages(self.portal).show(standing, view)

    def _wanted(self, visit: Visit, fields: Mapping[str, str]) -> str | None:
        """The package that is wanted, where it is still sold: who has paid is not sent away for it."""
        package_id = text_of(fields, "package", most=64, needed=False)
        if not package_id:
            return None
        try:
            self.portal.shelf.version(visit.tenant.id, package_id, visit.device.router_id)
        except NotFoundError:
            return None
        return package_id

    def _form(
        self, visit: Visit, language: str, package_id: str | None, pasted: Pasted, *, status: int = 200
    ) -> web.Response:
        page = paid_page(
            self.portal.pages,
            language=language,
            shop=self.portal.shop(visit.tenant),
            device=visit.device.token,
            key=self.portal.identifiers.secret(),
            needs_phone=visit.device.mac is None,
            package_id=package_id,
            pasted=pasted,
        )
        return StandingPages(self.portal).answer(visit.tenant, page, status=status)


def find_claim(portal: Portal, claim_id: str) -> Claim:
    """A claim by the id its maker holds.

    Raises:
        NotFoundError: There is none.
    """
    claim = portal.store.read.claims.by_id(claim_id) if is_secret(claim_id) else None
    if claim is None:
        raise NotFoundError("claim.unknown", "We do not know this claim. Go back to the start.")
    return claim
