"""M-Pesa calls back: on a purchase's secret address, or on the old one that anybody can post to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.adapters.daraja.c2b import C2B_CONFIRMED, parse_c2b, validation_answer
from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.errors import EdgeError, InvalidError, NotFoundError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.services.money.judgement import Receiver
    from easyisp_edge.services.money.settlement import SettlementService

log = logging.getLogger(__name__)

_ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
_REACHABLE = {"ResultCode": 0, "ResultDesc": "Callback URL is reachable"}


@dataclass(frozen=True, slots=True)
class DarajaCallbacks:
    """Handlers of the callback routes."""

    settlement: SettlementService
    receiver_of: Callable[[str], Receiver | None]

    def secret_routes(self) -> list[web.RouteDef]:
        """The address each purchase has for itself, and each gateway's. Short, without words M-Pesa's rules forbid."""
        return [
            web.post("/c/{token}", self.secret),
            web.post("/n/{token}", self.confirmation),
            web.post("/v/{token}", self.validation),
            web.post("/t/{token}", self.nothing),
        ]

    def bare_routes(self) -> list[web.RouteDef]:
        """The address of the old deployment."""
        return [
            web.get("/api/portal/mpesa/callback", self.reachable),
            web.post("/api/portal/mpesa/callback", self.bare),
        ]

    async def secret(self, request: web.Request) -> web.Response:
        """Take a callback for the purchase whose secret this is; answered once it is committed.

        Raises:
            NotFoundError: No purchase has this secret.
            InvalidError: The body is no callback.
            UnavailableError: It could not be committed.
        """
        token = request.match_info["token"]
        body = await read_body(request)
        if not is_secret(token):
            raise _nothing_here()
        report = parse_stk_callback(body, EvidenceSource.STK_CALLBACK)
        if not await self.settlement.take_callback(token, report):
            raise _nothing_here()
        return answer(_ACCEPTED)

    async def confirmation(self, request: web.Request) -> web.Response:
        """Take notice of a payment to a gateway's short code; answered once it is committed.

        Raises:
            NotFoundError: No gateway has this secret.
            InvalidError: The body tells of no payment.
            UnavailableError: It could not be committed.
        """
        receiver, body = self._receiver(request), await read_body(request)
        await self.settlement.take_records(receiver, [parse_c2b(body).record])
        return answer(C2B_CONFIRMED)

    async def validation(self, request: web.Request) -> web.Response:
        """Let every payment through: money that does not fit is sorted out here, and nobody's is turned away."""
        self._receiver(request)
        return answer(validation_answer(ok=True))

    async def nothing(self, request: web.Request) -> web.Response:
        """The address M-Pesa asks for with a list of transactions; nothing is known to come there."""
        self._receiver(request)
        return answer(_ACCEPTED)

    def _receiver(self, request: web.Request) -> Receiver:
        token = request.match_info["token"]
        state = self.settlement.store.read.gateways.by_notice_token(token) if is_secret(token) else None
        receiver = None if state is None else self.receiver_of(state.gateway_id)
        if receiver is None:
            raise _nothing_here()
        return receiver

    async def bare(self, request: web.Request) -> web.Response:
        """Take a callback without a secret: it is answered as always, and at most makes us ask M-Pesa."""
        try:
            body = await read_body(request)
            await self.settlement.take_bare_callback(parse_stk_callback(body, EvidenceSource.STK_CALLBACK_BARE))
        except InvalidError as error:
            log.info("a callback that cannot be read: %s", error)
        except EdgeError as error:
            log.warning("a callback could not be kept: %s", error)
        return answer(_ACCEPTED)

    async def reachable(self, _request: web.Request) -> web.Response:
        """Say that the address is there."""
        return answer(_REACHABLE)


def callback_error(_request: web.Request, status: int, error: EdgeError) -> web.Response:
    """A failure at the callbacks' door: short, and without a word about what is behind it."""
    return answer({"ResultCode": 1, "ResultDesc": error.code}, status)


def _nothing_here() -> NotFoundError:
    return NotFoundError("callback.unknown", "There is nothing at this address.")
