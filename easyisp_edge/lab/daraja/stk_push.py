"""`POST /mpesa/stkpush/v1/processrequest`: put a payment prompt on a phone.

Source: Daraja, M-Pesa Express (STK push).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.faults import SUBSCRIBER_LOCKED, DarajaRefusalError
from easyisp_edge.lab.daraja.push_request import read_push

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.answers import Answers
    from easyisp_edge.lab.daraja.behaviour import Behaviour, Script
    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.ledger import AcceptedPush, Ledger, Push
    from easyisp_edge.lab.daraja.options import DarajaOptions
    from easyisp_edge.lab.daraja.prompts import Prompts
    from easyisp_edge.lab.daraja.push_life import PushLife
    from easyisp_edge.machine import Clock


class StkPush:
    """Judges pushes, hands the good ones to their life, and answers as their behaviour says."""

    def __init__(
        self,
        *,
        clock: Clock,
        options: DarajaOptions,
        door: Door,
        answers: Answers,
        script: Script,
        ledger: Ledger,
        prompts: Prompts,
        life: PushLife,
    ) -> None:
        self._clock = clock
        self._options = options
        self._door = door
        self._answers = answers
        self._script = script
        self._ledger = ledger
        self._prompts = prompts
        self._life = life

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [web.post("/mpesa/stkpush/v1/processrequest", self.process_request)]

    async def process_request(self, request: web.Request) -> web.StreamResponse:
        """Take the push or refuse it."""
        consumer_key = self._door.app_of(request)
        fields = await read_fields(request)
        push = self._ledger.push_came(fields, self._clock.now())
        behaviour = self._script.take(str(fields.get("PhoneNumber", "")))
        try:
            push.accepted = self._accept(consumer_key, push, behaviour)
        except DarajaRefusalError as refusal:
            push.answer = str(refusal)
            await self._clock.sleep(behaviour.answer_after_seconds)
            raise
        push.answer = f"accepted, answered {behaviour.fault}" if behaviour.fault else "accepted"
        return await self._answer(request, push.accepted)

    def _accept(self, consumer_key: str, push: Push, behaviour: Behaviour) -> AcceptedPush:
        if behaviour.fault is not None and not behaviour.goes_through:
            raise DarajaRefusalError(behaviour.fault)
        asked = read_push(push.fields, self._options)
        merchant = self._door.merchant_of(consumer_key, asked.credentials)
        if self._prompts.open_on(asked.phone) is not None:
            raise DarajaRefusalError(SUBSCRIBER_LOCKED)
        return self._life.begin(asked, merchant, behaviour)

    async def _answer(self, request: web.Request, push: AcceptedPush) -> web.StreamResponse:
        """Answer; only then may the callback leave, unless it is to come first."""
        behaviour = push.behaviour
        try:
            if behaviour.callback.before_answer:
                await push.told.wait()
            await self._clock.sleep(behaviour.answer_after_seconds)
            if behaviour.fault is None:
                return await _send(request, _acceptance(push))
        finally:
            push.answered.set()
        return await self._answers.give(request, behaviour.fault)


def _acceptance(push: AcceptedPush) -> web.Response:
    said = "Success. Request accepted for processing"
    return web.json_response(
        {
            "MerchantRequestID": push.merchant_request_id,
            "CheckoutRequestID": push.checkout_request_id,
            "ResponseCode": "0",
            "ResponseDescription": said,
            "CustomerMessage": said,
        }
    )


async def _send(request: web.Request, response: web.Response) -> web.Response:
    await response.prepare(request)
    await response.write_eof()
    return response
