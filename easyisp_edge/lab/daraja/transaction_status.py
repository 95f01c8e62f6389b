"""`POST /mpesa/transactionstatus/v1/query`: what became of a receipt, posted to who asks.

Source: Daraja, Transaction Status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.errors import NotFoundError
from easyisp_edge.lab.daraja.callback_url import is_plausible
from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.fault_queue import FaultQueue
from easyisp_edge.lab.daraja.faults import DarajaRefusalError, bad_request
from easyisp_edge.lab.daraja.nairobi import compact
from easyisp_edge.lab.daraja.status_handling import StatusDelivery, StatusHandling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.daraja.background import Background
    from easyisp_edge.lab.daraja.courier import Courier
    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.ledger import Debit, Ledger
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.options import CallbackUrlRules
    from easyisp_edge.lab.daraja.subscribers import Subscribers
    from easyisp_edge.machine import Clock

_REMARKS_LENGTH = 100
_IDENTIFIER_TYPES = frozenset({"1", "2", "4"})
_NO_TRANSACTION = "MBN0000000"


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """A look-up that was taken.

    Attributes:
        receipt: Of what.
        short_code: Who asks.
        result_url: Where the result goes.
        timeout_url: Where it is told that there is none.
    """

    receipt: str
    short_code: str
    result_url: str
    timeout_url: str


class TransactionStatus:
    """Takes look-ups and posts what it finds.

    Attributes:
        handling: How it behaves from now on.
        faults: In store for the next requests.
        asked: What it has taken.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        door: Door,
        identifiers: Identifiers,
        ledger: Ledger,
        subscribers: Subscribers,
        courier: Courier,
        background: Background,
        handling: StatusHandling,
        url_rules: CallbackUrlRules,
    ) -> None:
        self._clock = clock
        self._door = door
        self._identifiers = identifiers
        self._ledger = ledger
        self._subscribers = subscribers
        self._courier = courier
        self._background = background
        self._url_rules = url_rules
        self.handling = handling
        self.faults = FaultQueue()
        self.asked: list[StatusAsked] = []

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [web.post("/mpesa/transactionstatus/v1/query", self.query)]

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Take a look-up; its result is posted later, a wrong initiator's too."""
        consumer_key = self._door.app_of(request, self.handling.dead_token)
        fields = await read_fields(request)
        self.faults.strike(self.handling.fault)
        merchants = self._door.merchants_at(consumer_key, str(fields.get("PartyA", "")))
        asked = self._read(fields, merchants)
        self.asked.append(asked)
        ids = {
            "OriginatorConversationID": self._identifiers.request_id(),
            "ConversationID": f"AG_{compact(self._clock.now())[:8]}_{self._identifiers.request_id()[-12:]}",
        }
        self._background.start(self._tell(asked, merchants, fields, ids), name=f"status of {asked.receipt}")
        said = "Accept the service request successfully."
        return web.json_response({**ids, "ResponseCode": "0", "ResponseDescription": said})

    def _read(self, fields: Mapping[str, object], merchants: list[Merchant]) -> StatusAsked:
        asked = StatusAsked(
            str(fields.get("TransactionID", "")),
            str(fields.get("PartyA", "")),
            str(fields.get("ResultURL", "")),
            str(fields.get("QueueTimeOutURL", "")),
        )
        good = {
            "Initiator": bool(fields.get("Initiator")),
            "SecurityCredential": bool(fields.get("SecurityCredential")),
            "CommandID": fields.get("CommandID") == "TransactionStatusQuery",
            "TransactionID": asked.receipt.isalnum(),
            "PartyA": bool(merchants),
            "IdentifierType": str(fields.get("IdentifierType")) in _IDENTIFIER_TYPES,
            "ResultURL": is_plausible(asked.result_url, self._url_rules),
            "QueueTimeOutURL": is_plausible(asked.timeout_url, self._url_rules),
            "Remarks": 0 < len(str(fields.get("Remarks", ""))) <= _REMARKS_LENGTH,
        }
        for name, is_good in good.items():
            if not is_good:
                raise DarajaRefusalError(bad_request(name))
        return asked

    async def _tell(
        self, asked: StatusAsked, merchants: list[Merchant], fields: Mapping[str, object], ids: dict[str, str]
    ) -> None:
        handling = self.handling
        await self._clock.sleep(handling.result_after_seconds)
        if handling.delivery is StatusDelivery.LOST:
            return
        if handling.delivery is StatusDelivery.TIMED_OUT:
            await self._courier.post(asked.timeout_url, json.dumps({"Result": {"ResultCode": 1, **ids}}))
            return
        right = (handling.initiator, handling.security_credential)
        if (fields.get("Initiator"), fields.get("SecurityCredential")) == right:
            result = self._result(asked, merchants)
        else:
            result = _failure("2001", "The initiator information is invalid.")
        body = json.dumps({"Result": self._envelope(result, ids)})
        for _ in range(handling.copies):
            await self._courier.post(asked.result_url, body)

    def _envelope(self, result: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
        code = result["ResultCode"]
        as_text = self.handling.codes_as_text or not str(code).isdigit()
        kind: object = "0" if as_text else 0
        shown = {**result, "ResultType": kind, "ResultCode": str(code) if as_text else int(code)}
        reference = {"ReferenceItem": {"Key": "Occasion"}}
        return {**shown, **ids, "ReferenceData": reference}

    def _result(self, asked: StatusAsked, merchants: list[Merchant]) -> dict[str, Any]:
        own = {merchant.own_number for merchant in merchants} | {merchant.short_code for merchant in merchants}
        try:
            debit = self._ledger.debit_by_receipt(asked.receipt)
        except NotFoundError:
            debit = None
        if debit is None or not (self.handling.knows_others or debit.party_b in own):
            return _failure(self.handling.unknown_code, "The transaction does not exist.")
        parameters = [{"Key": key, "Value": value} for key, value in self._told(debit).items()]
        return {
            "ResultCode": "0",
            "ResultDesc": "The service request is processed successfully.",
            "TransactionID": debit.receipt,
            "ResultParameters": {"ResultParameter": [*parameters, {"Key": "TransactionReason"}]},
        }

    def _told(self, debit: Debit) -> dict[str, object]:
        at = compact(debit.at)
        payer = self._subscribers.name_of(debit.phone).upper()
        return {
            "DebitPartyName": f"{debit.phone} - {payer}",
            "CreditPartyName": f"{debit.party_b} - {debit.receiver.name}",
            "InitiatedTime": at,
            "FinalisedTime": at,
            "DebitAccountType": "MMF Account For Customer",
            "TransactionStatus": "Completed",
            "Amount": str(debit.shillings),
            "ReceiptNo": debit.receipt,
        }


def _failure(code: str, description: str) -> dict[str, Any]:
    return {"ResultCode": code, "ResultDesc": description, "TransactionID": _NO_TRANSACTION}
