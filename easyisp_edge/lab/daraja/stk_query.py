"""`POST /mpesa/stkpushquery/v1/query`: what has become of a push.

Source: Daraja, M-Pesa Express Query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.behaviour import QueryAnswer
from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.faults import (
    STILL_BEING_PROCESSED,
    DarajaRefusalError,
    Fault,
    bad_request,
    spike_arrest,
)
from easyisp_edge.lab.daraja.push_request import read_credentials
from easyisp_edge.lab.daraja.results import STILL_PROCESSING, UNREACHABLE, Result
from easyisp_edge.lab.daraja.throttle import SpikeArrest

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.ledger import AcceptedPush, Ledger
    from easyisp_edge.lab.daraja.options import DarajaOptions
    from easyisp_edge.machine import Clock


class StkQuery:
    """Answers from the ledger, in the shape and mood that were chosen."""

    def __init__(self, *, clock: Clock, options: DarajaOptions, door: Door, ledger: Ledger) -> None:
        self._clock = clock
        self._options = options
        self._door = door
        self._ledger = ledger
        self._throttle = SpikeArrest(clock, options.queries_per_minute)

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [web.post("/mpesa/stkpushquery/v1/query", self.query)]

    async def query(self, request: web.Request) -> web.StreamResponse:
        """The push's result, one of the pending shapes, or a refusal."""
        consumer_key = self._door.app_of(request)
        if not self._throttle.lets_through(consumer_key):
            raise DarajaRefusalError(spike_arrest(self._throttle.per_minute or 0))
        fields = await read_fields(request)
        merchant = self._door.merchant_of(consumer_key, read_credentials(fields))
        push = self._ledger.find(str(fields.get("CheckoutRequestID", "")))
        if push is None or push.merchant != merchant or not self._is_known_to_the_query(push):
            raise DarajaRefusalError(bad_request("CheckoutRequestID"))
        answer = push.behaviour.query.answer(push.queries)
        push.queries += 1
        if isinstance(answer, Fault):
            raise DarajaRefusalError(answer)
        return self._say(answer, push)

    def _is_known_to_the_query(self, push: AcceptedPush) -> bool:
        age_seconds = self._clock.monotonic() - push.started
        most_seconds = self._options.queryable_seconds
        return age_seconds >= self._options.fresh_id_unknown_seconds and (
            most_seconds is None or age_seconds < most_seconds
        )

    def _say(self, answer: QueryAnswer, push: AcceptedPush) -> web.Response:
        if answer is QueryAnswer.FAILED_ALTHOUGH_PAID and push.result is not None and push.result.paid:
            return _finished(push, Result.of(UNREACHABLE))
        settled = answer in {QueryAnswer.NORMAL, QueryAnswer.FAILED_ALTHOUGH_PAID}
        if settled and push.result is not None:
            return _finished(push, push.result)
        return _pending(push, self._options.pending_shape if settled else answer)


def _pending(push: AcceptedPush, shape: QueryAnswer) -> web.Response:
    if shape is QueryAnswer.PENDING_4999:
        return _finished(push, Result.of(STILL_PROCESSING))
    if shape is QueryAnswer.PENDING_INVALID_ID:
        raise DarajaRefusalError(bad_request("CheckoutRequestID"))
    raise DarajaRefusalError(STILL_BEING_PROCESSED, request_id=push.checkout_request_id)


def _finished(push: AcceptedPush, result: Result) -> web.Response:
    return web.json_response(
        {
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successsfully",
            "MerchantRequestID": push.merchant_request_id,
            "CheckoutRequestID": push.checkout_request_id,
            "ResultCode": result.code,
            "ResultDesc": result.description,
        }
    )
