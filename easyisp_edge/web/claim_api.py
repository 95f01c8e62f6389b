"""The JSON of claims: a receipt is pasted, and what comes of it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.claims import ClaimOrder
from easyisp_edge.services.portal.standing import Step
from easyisp_edge.web.askers import source_of
from easyisp_edge.web.claim_pages import find_claim
from easyisp_edge.web.holders import in_sight
from easyisp_edge.web.portal_api import answer, bought
from easyisp_edge.web.requests import pasted_of, read_object, text_of
from easyisp_edge.web.visits import Device, router_of_nas, tenant_of

if TYPE_CHECKING:
    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.portal import Portal

# A receipt alone.
_TEXT_LENGTH_MIN = 10
_LOOKING = {Step.VERIFYING, Step.PROVISIONAL}


@dataclass(frozen=True, slots=True)
class ClaimApi:
    """Handlers of the JSON routes of claims."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/api/portal/mpesa/verify-sms", self.verify_sms),
            web.get("/api/portal/mpesa/claim", self.claim),
        ]

    async def verify_sms(self, request: web.Request) -> web.Response:
        """Make a claim; `claimId` is the key to ask by, and keeps a second try from making a second claim."""
        body, config = await read_object(request), self.portal.site.config
        router = router_of_nas(config, text_of(body, "nasIp", most=45, needed=False), source_of(request))
        tenant = tenant_of(config, router, text_of(body, "tenantId", most=64, needed=False))
        named = text_of(body, "macAddress", most=40, needed=False)
        device = in_sight(self.portal, request, Device(None if named is None else MacAddress.parse(named)))
        phone = text_of(body, "phone", most=40, needed=False)
        claim_id = text_of(body, "claimId", most=64, needed=False)
        if claim_id is not None and not is_secret(claim_id):
            raise InvalidError("request.invalid", "The claimId must be 32 hex digits.", field="claimId")
        claim = await self.portal.claims.make(
            ClaimOrder(
                claim_id=claim_id,
                text=pasted_of(body, "smsText", least=_TEXT_LENGTH_MIN, most=PASTED_LENGTH_MAX),
                tenant_id=tenant.id,
                package_id=text_of(body, "packageId", most=64, needed=False) or None,
                phone=None if phone is None else Msisdn.parse(phone),
                mac=device.mac,
                router_id=None if router is None else router.id,
                language=self.portal.language(request),
            )
        )
        return self._answer(claim)

    async def claim(self, request: web.Request) -> web.Response:
        """Where a claim stands, for whoever holds its id."""
        return self._answer(find_claim(self.portal, request.query.get("claimId", "")))

    def _answer(self, claim: Claim) -> web.Response:
        standing = self.portal.standing.of_claim(claim)
        known: dict[str, Any] = {"claimId": claim.claim_id, "step": standing.step}
        if standing.step in {Step.SHUT, Step.CONNECTING, Step.ONLINE, Step.OFF}:
            done = {"success": True, "status": "completed"}
            told = bought(self.portal, standing, claim.language)
            if not self.portal.standing.is_proven(claim):  # the device is let on by its own address
                told |= {"username": None, "password": None}
            return answer(done | told | known)
        if standing.step in _LOOKING:
            return self._looking(claim, standing, known)
        if standing.credit is not None:
            amount = standing.credit
            message = self._say(claim, "claim.credited.text", amount=amount)
            credited = {"success": True, "status": "credited", "message": message, "wallet": amount.as_json()}
            return answer(credited | known)
        return self._refused(claim, standing, known)

    def _looking(self, claim: Claim, standing: Standing, known: dict[str, Any]) -> web.Response:
        message = self._say(claim, "claim.verifying.text")
        looking = {"success": False, "status": "verifying", "message": message}
        if standing.admission is None:
            return answer(looking | known, 202)
        given = standing.admission
        advance = {"username": given.username, "password": given.password, "secondsLeft": standing.seconds_left}
        return answer(looking | known | {"provisional": advance}, 202)

    def _refused(self, claim: Claim, standing: Standing, known: dict[str, Any]) -> web.Response:
        key = f"refused.{claim.reason}" if standing.step is Step.REFUSED else f"claim.{standing.step}"
        message = f"{self._say(claim, f'{key}.title')}. {self._say(claim, f'{key}.text')}"
        refused = {"success": False, "status": "failed", "code": claim.reason or standing.step}
        return answer(refused | {"message": message, "error": message} | known, 422)

    def _say(self, claim: Claim, key: str, **values: object) -> str:
        return self.portal.texts.get(claim.language, key, **values)
