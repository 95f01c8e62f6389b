"""The webhook for payments: whoever holds its key tells of money, at M-Pesa's door and at the owner's.

It always says "accepted", so that nobody learns from it whether a key was right or a customer known. The one other
answer is that the box cannot write: what is acknowledged is on the disk, and who hears no yes tells it again.
"""

import hmac
import logging
from dataclasses import dataclass, replace

from aiohttp import web
from pydantic import ConfigDict, Field

from easyisp_edge.adapters.daraja.c2b import parse_c2b
from easyisp_edge.adapters.daraja.messages import callback_account, parse_stk_callback
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.money.webhook_money import WebhookMoney
from easyisp_edge.web.admin.models import ApiModel
from easyisp_edge.web.admin.operations import Call, Door, operation
from easyisp_edge.web.requests import read_body

log = logging.getLogger(__name__)

PATHS = ("/api/webhooks/mpesa", "/api/payments/webhooks/mpesa")
KEY_HEADER = "X-API-Key"
_TENANT_LENGTH_MAX = 64


class WebhookAccepted(ApiModel):
    """What is always answered."""

    model_config = ConfigDict(alias_generator=None)

    result_code: int = Field(default=0, alias="ResultCode")
    result_description: str = Field(default="Accepted", alias="ResultDesc")


@dataclass(frozen=True, slots=True)
class MpesaWebhook:
    """Takes what is told with the right key, as an STK callback or a C2B confirmation."""

    money: WebhookMoney

    async def take(self, request: web.Request) -> None:
        """Take what is told; what has no right key, or cannot be read, changes nothing.

        Raises:
            UnavailableError: It could not be committed.
        """
        try:
            body = await read_body(request)
            if self._may(request):
                await self._take(body, request.query.get("tenantId", "")[:_TENANT_LENGTH_MAX] or None)
            else:
                log.warning("the webhook was called without its key, or with a wrong one: nothing is believed")
        except InvalidError as error:
            log.info("the webhook was told what cannot be read: %s", error)

    def routes(self) -> list[web.RouteDef]:
        """The same as plain routes, for M-Pesa's door."""
        return [web.post(path, self._answered) for path in PATHS]

    async def _answered(self, request: web.Request) -> web.Response:
        await self.take(request)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.json_response(text=WebhookAccepted().model_dump_json(by_alias=True), headers=headers)

    def _may(self, request: web.Request) -> bool:
        """Whether the key is right, found out in a time that does not tell how much of it was."""
        key = self.money.site.webhook_key
        given = request.headers.get(KEY_HEADER) or request.query.get("key", "")
        right = hmac.compare_digest(_octets(given), _octets(key))
        return right and bool(key)

    async def _take(self, body: bytes, tenant_id: str | None) -> None:
        try:
            report = parse_stk_callback(body, EvidenceSource.WEBHOOK)
        except InvalidError:
            notice = parse_c2b(body)
            record = replace(notice.record, source=EvidenceSource.WEBHOOK)
            await self.money.take_record(record, notice.short_code, tenant_id)
        else:
            await self.money.take_report(report, callback_account(body), tenant_id)


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class WebhooksArea:
    """The webhook at the owner's door, where it always was."""

    webhook: MpesaWebhook

    @operation("POST", PATHS[0], needs=Door.OPEN, answers=WebhookAccepted, of_tenant=False)
    async def take_mpesa_webhook(self, call: Call) -> WebhookAccepted:
        """Tell of a payment, as an STK callback or a C2B confirmation, with the webhook's key.

        The key is in X-API-Key, or in the address as `key`; on a box of several businesses, `tenantId` says whose
        money it is where the body does not tell. Answered as accepted always, whether or not anything was believed;
        503 where it could not be written down: then tell it again.
        """
        await self.webhook.take(call.request)
        return WebhookAccepted()

    @operation("POST", PATHS[1], needs=Door.OPEN, answers=WebhookAccepted, of_tenant=False)
    async def take_mpesa_webhook_at_old_path(self, call: Call) -> WebhookAccepted:
        """The same, where the old back end had it."""
        await self.webhook.take(call.request)
        return WebhookAccepted()
