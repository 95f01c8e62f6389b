"""The rest of the old portal's JSON: vouchers, signing in and out, and how a device's session stands.

A device is believed to be itself by the address it asks from. Whoever only names one has to show its login, too.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from easyisp_edge.domain.grants import Admission
from easyisp_edge.domain.logins import LoginRequest
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.access.logins import Refusal
from easyisp_edge.services.portal.outages import Outage
from easyisp_edge.services.portal.standing import STEPS_ONLINE, Step, lapses_at
from easyisp_edge.services.portal.vouchers import Holder
from easyisp_edge.web.askers import asker_of, guesser_of
from easyisp_edge.web.origins import is_by_page_of, portal_urls
from easyisp_edge.web.portal import speed_of_contract
from easyisp_edge.web.portal_api import answer, instant_as_json
from easyisp_edge.web.requests import needed_text, read_object, text_of
from easyisp_edge.web.visits import Device, device_unknown, router_of_nas, tenant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config import Router
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.askers import Asker
    from easyisp_edge.web.portal import Portal

_SECONDS_PER_MINUTE = 60
_PROOF_DIGITS = 32


@dataclass(frozen=True, slots=True)
class TypedPassword:
    """A password as a page sent it; not shown in logs."""

    password: str = field(repr=False)

    def matches(self, password: str) -> bool:
        """Whether it is that password; takes equally long either way."""
        return hmac.compare_digest(self.password.encode(), password.encode())


class _Place(NamedTuple):
    """Where a call comes from, and about which device it is.

    Args:
        asker: Who asks.
        tenant_id: At whose site.
        router: Behind which router; None where that cannot be told.
        mac: The device it is about; None where nobody says.
    """

    asker: Asker
    tenant_id: str
    router: Router | None
    mac: MacAddress | None

    @property
    def router_id(self) -> str | None:
        """The router's id."""
        return None if self.router is None else self.router.id

    @property
    def guesser(self) -> str:
        """Who is not listened to after too many wrong tries."""
        return guesser_of(self.asker, self.router, self.mac)


@dataclass(frozen=True, slots=True)
class SessionApi:
    """Handlers of the JSON routes of sessions."""

    portal: Portal

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/api/portal/voucher", self.voucher),
            web.post("/api/portal/login", self.login),
            web.post("/api/portal/logout", self.logout),
            web.get("/api/portal/status", self.status),
            web.get("/api/portal/check-session", self.check_session),
            web.get("/api/portal/health", self.health),
        ]

    async def voucher(self, request: web.Request) -> web.Response:
        """Take a voucher for the device; `sessionId` is for `status` and `logout`.

        Where only the router can let the device on, `loginUrl` says where the page is to send the login beside it.
        """
        body = await read_object(request)
        code, place = needed_text(body, "code", most=64), self._place(request, body)
        holder = Holder(place.tenant_id, place.mac, place.router_id, Service.HOTSPOT, place.guesser)
        grant = await self.portal.vouchers.redeem(holder, code)
        admission = self._admission(grant.grant_id)
        offer = self.portal.offer(admission.package, self.portal.language(request))
        speed, login_url = speed_of_contract(admission.package.rate_limit), _login_url(place, admission)
        content: dict[str, Any] = {
            "success": True,
            "sessionId": session_id_of(admission),
            "package": {"name": offer.name, "speed": speed, "duration": offer.duration},
            "loginUrl": login_url,
        }
        if login_url is not None:  # whoever holds the code may have the login
            content |= {"username": admission.username, "password": admission.password}
        return answer(content)

    async def login(self, request: web.Request) -> web.Response:
        """Let the device on by a login that is checked; where only the router can, `loginUrl` says where to send it."""
        body = await read_object(request)
        place, language = self._place(request, body), self.portal.language(request)
        if place.mac is None:
            raise device_unknown("mac")
        proven = await self._prove(place, body)
        if not isinstance(proven, Admission):
            raise self._refused(proven, language)
        if place.mac in {place.asker.mac, proven.mac}:
            await self.portal.sign_outs.sign_in(place.tenant_id, place.mac)
        self.portal.access.tell_routers(place.tenant_id)
        offer, ends_at = self.portal.offer(proven.package, language), lapses_at(proven, self.portal.clock.now())
        quota = {"speed": speed_of_contract(proven.package.rate_limit), "data": offer.data, "time": offer.duration}
        customer = {"name": None, "package": offer.name, "expiresAt": instant_as_json(ends_at)}
        return answer(
            {
                "success": True,
                "sessionId": session_id_of(proven),
                "customer": customer,
                "quota": quota,
                "loginUrl": _login_url(place, proven),
            }
        )

    async def logout(self, request: web.Request) -> web.Response:
        """Put a device off, and leave it off until it asks: only for itself, or for who has its login.

        That the request comes from the device is not enough where it is another site's page that makes it.
        """
        body = await read_object(request)
        place = self._place(request, body)
        if place.asker.mac is not None and place.mac != place.asker.mac:
            raise RefusedError("session.not_yours", "A device can sign out itself only.")
        login_urls = [] if place.router is None else [place.router.login_url]
        is_ours = is_by_page_of(request, [*portal_urls(self.portal.site.config), *login_urls])
        mac = place.asker.mac if is_ours else None
        mac = mac or self._shown(place, body)
        await self.portal.sign_outs.sign_out(place.tenant_id, mac)
        return answer({"success": True})

    async def status(self, request: web.Request) -> web.Response:
        """Whether a device is online and what it used: by the `sessionId` of its login, or by its address."""
        query, language = request.query, self.portal.language(request)
        session_id, place = text_of(query, "sessionId", most=160, needed=False), self._place(request, query)
        if session_id is not None:
            admission = self._of_session_id(place.tenant_id, session_id)
        elif place.mac is None:
            raise InvalidError("request.invalid", "The field sessionId or mac is missing.", field="mac")
        else:
            admission = _current(self._standing(place.tenant_id, place.mac))
        if admission is None or not self.portal.standing.presence.is_online(admission.username):
            return answer({"active": False})
        session = self._session(admission, admission.mac or place.mac)
        now = self.portal.clock.now()
        seconds = 0 if session is None else max(0, int((now - session.started_at).total_seconds()))
        return answer(
            {
                "active": True,
                "sessionId": session_id,
                "uptime": self.portal.texts.duration(language, seconds),
                "uptimeSeconds": seconds,
                "bytesIn": 0 if session is None else session.octets_in,
                "bytesOut": 0 if session is None else session.octets_out,
                "customer": {"name": None, "package": admission.package.name},
            }
        )

    async def check_session(self, request: web.Request) -> web.Response:
        """Whether a device has something that lets it on; who comes back is let on by that, and told no login."""
        place = self._place(request, request.query)
        standing = None if place.mac is None else self._standing(place.tenant_id, place.mac)
        admission = None if standing is None else _current(standing)
        if standing is None or admission is None or place.mac is None:
            return answer({"hasActiveSession": False})
        signed_out = standing.step is Step.OFF
        if standing.step is Step.CONNECTING:
            self.portal.access.tell_routers(place.tenant_id)
        customer = {
            "packageName": admission.package.name,
            "expiresAt": instant_as_json(lapses_at(admission, self.portal.clock.now())),
            "remainingMinutes": math.floor(standing.seconds_left / _SECONDS_PER_MINUTE),
        }
        online = standing.step in STEPS_ONLINE
        return answer({"hasActiveSession": True, "online": online, "signedOut": signed_out, "customer": customer})

    async def health(self, request: web.Request) -> web.Response:
        """What works now, as far as it was tried; nothing of how it is made."""
        place = self._place(request, request.query)
        away = self.portal.outages.now(place.tenant_id, place.router_id)
        works = {outage.value: outage not in away for outage in Outage}
        return answer({"ok": not away, **works, "outages": sorted(outage.value for outage in away)})

    # --- who asks

    def _place(self, request: web.Request, fields: Mapping[str, Any]) -> _Place:
        """Where a call comes from; a device that names no address is the one that asks.

        Raises:
            InvalidError: What it says cannot be read, or is of another tenant.
            NotFoundError: With several tenants, it cannot be told whose site it is.
        """
        asker, config = asker_of(self.portal, request), self.portal.site.config
        handed = Device.from_token(text_of(fields, "d", most=200, needed=False) or "")
        router = asker.router or self._router_said(fields, handed)
        tenant = tenant_of(config, router, text_of(fields, "tenantId", most=64, needed=False))
        named = text_of(fields, "macAddress", most=40, needed=False) or text_of(fields, "mac", most=40, needed=False)
        mac = handed.mac if named is None else MacAddress.parse(named)
        return _Place(asker, tenant.id, router, mac or asker.mac)

    def _router_said(self, fields: Mapping[str, Any], handed: Device) -> Router | None:
        """The router a call names: by its id, as old pages do, or by its address."""
        config, named = self.portal.site.config, text_of(fields, "nasId", most=64, needed=False)
        for router in config.routers:
            if router.id in {named, handed.router_id}:
                return router
        return router_of_nas(config, text_of(fields, "nasIp", most=45, needed=False) or named, None)

    async def _prove(self, place: _Place, body: Mapping[str, Any]) -> Admission | Refusal:
        return await self.portal.logins.prove(place.tenant_id, _login_request(place, body), place.guesser)

    def _shown(self, place: _Place, body: Mapping[str, Any]) -> MacAddress:
        """The device that is to be put off, where its login is shown with it.

        Raises:
            InvalidError: Nothing names a device.
            RefusedError: Its login is not shown, or is not that device's.
        """
        session_id = text_of(body, "sessionId", most=160, needed=False)
        if session_id is None and place.mac is None and not body.get("username"):
            raise device_unknown("mac")
        if session_id is not None:
            admission = self._of_session_id(place.tenant_id, session_id)
        elif body.get("username") and body.get("password"):
            held = self.portal.logins.holder(place.tenant_id, _login_request(place, body), place.guesser)
            admission = None if isinstance(held, Refusal) else held[0]
        else:
            admission = None
        if admission is None or admission.mac is None or place.mac not in {None, admission.mac}:
            raise RefusedError("session.not_yours", "A device can sign out itself only.")
        return admission.mac

    def _of_session_id(self, tenant_id: str, session_id: str) -> Admission | None:
        admission = self.portal.store.read.grants.admission_by_id(session_id.rpartition("-")[0])
        if admission is None or admission.tenant_id != tenant_id:
            return None
        return admission if hmac.compare_digest(session_id.encode(), session_id_of(admission).encode()) else None

    # --- what stands

    def _standing(self, tenant_id: str, mac: MacAddress) -> Standing:
        return self.portal.standing.of_device(tenant_id, mac)

    def _admission(self, grant_id: str) -> Admission:
        admission = self.portal.store.read.grants.admission_by_id(grant_id)
        if admission is None:  # it was written just now
            raise NotFoundError("grant.unknown", "The grant could not be read back.")
        return admission

    def _session(self, admission: Admission, mac: MacAddress | None) -> Session | None:
        on = self.portal.store.read.sessions.open_of_grant(admission.grant_id)
        own = [each for each in on if mac is None or each.mac in {None, mac}]
        return max(own, key=lambda each: each.updated_at, default=None)

    def _refused(self, refusal: Refusal, language: str) -> RefusedError:
        return RefusedError(
            f"login.{refusal.key}", self.portal.texts.refusal(language, refusal, self.portal.clock.now())
        )


def session_id_of(admission: Admission) -> str:
    """What a page that has shown a login calls what came of it; whoever knows it has the login, too."""
    proof = hashlib.sha256(f"session\0{admission.grant_id}\0{admission.password}".encode()).hexdigest()
    return f"{admission.grant_id}-{proof[:_PROOF_DIGITS]}"


def _login_request(place: _Place, body: Mapping[str, Any]) -> LoginRequest:
    return LoginRequest(
        router_id=place.router_id or "",
        username=needed_text(body, "username", most=128),
        credential=TypedPassword(needed_text(body, "password", most=128)),
        mac=place.mac,
        address=place.asker.source or None,
        service=Service.HOTSPOT,
        session_id="",
    )


def _current(standing: Standing) -> Admission | None:
    """What a device uses, or is to use next; None where nothing is left of anything."""
    if standing.current is not None:
        return standing.current
    return standing.admission if standing.step in STEPS_ONLINE else None


def _login_url(place: _Place, admission: Admission) -> str | None:
    """Where the page is to send the login itself: the box lets on only the one device that a package is for."""
    if place.router is None or (place.mac is not None and admission.mac == place.mac):
        return None
    return None if place.router.login_url is None else str(place.router.login_url)
