"""STK callbacks: their bodies, oddities included, and their delivery.

Source: Daraja, M-Pesa Express (STK push), callback.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError
from easyisp_edge.lab.daraja.behaviour import BalanceItem, PhoneItem
from easyisp_edge.lab.daraja.ledger import CallbackSent
from easyisp_edge.lab.daraja.nairobi import compact

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.behaviour import CallbackHandling
    from easyisp_edge.lab.daraja.courier import Courier
    from easyisp_edge.lab.daraja.ledger import AcceptedPush, Debit, Ledger
    from easyisp_edge.lab.daraja.results import Result
    from easyisp_edge.machine import Clock

# Daraja writes whole amounts as 50.00, which no Python number prints as: put in after the rest.
_AMOUNT_HERE = "amount with two decimals"


def callback_body(push: AcceptedPush, result: Result, debit: Debit | None) -> str:
    """The JSON Daraja posts for that result; `debit` is looked at where it is a payment."""
    content: dict[str, object] = {
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResultCode": result.callback_code,
        "ResultDesc": result.description,
    }
    if debit is None or not result.paid:
        return json.dumps({"Body": {"stkCallback": content}})
    content["CallbackMetadata"] = {"Item": _items(debit, push.behaviour.callback)}
    body = json.dumps({"Body": {"stkCallback": content}})
    return body.replace(f'"{_AMOUNT_HERE}"', f"{debit.shillings}.00")


def _items(debit: Debit, handling: CallbackHandling) -> list[dict[str, object]]:
    date = compact(debit.at)
    items: list[dict[str, object]] = [
        {"Name": "Amount", "Value": _AMOUNT_HERE},
        {"Name": "MpesaReceiptNumber", "Value": debit.receipt},
    ]
    if handling.balance is BalanceItem.NO_VALUE:
        items.append({"Name": "Balance"})
    elif handling.balance is BalanceItem.TEXT:
        left = f"{debit.balance_after_shillings}.00"
        items.append({"Name": "Balance", "Value": f"{{Amount={{CurrencyCode=KES, BasicAmount={left}}}}}"})
    items.append({"Name": "TransactionDate", "Value": date if handling.date_as_text else int(date)})
    if handling.phone_number is PhoneItem.NUMBER:
        items.append({"Name": "PhoneNumber", "Value": int(debit.phone)})
    elif handling.phone_number is PhoneItem.MASKED:
        items.append({"Name": "PhoneNumber", "Value": f"{debit.phone[:6]}***{debit.phone[-3:]}"})
    return items


def _result_of(push: AcceptedPush) -> Result:
    if push.result is None:
        raise ConflictError("lab.no_result", "There is nothing to call back about: the push has no result.")
    return push.result


class CallbackSender:
    """Posts callbacks and records each try.

    Args:
        clock: For delays and times.
        ledger: Where the debits stand and the tries are recorded.
        courier: What callbacks leave through.
    """

    def __init__(self, clock: Clock, ledger: Ledger, courier: Courier) -> None:
        self._clock = clock
        self._ledger = ledger
        self._courier = courier

    async def tell(self, push: AcceptedPush) -> None:
        """Deliver the result the push has now, the way its behaviour says.

        Raises:
            ConflictError: It has no result yet.
        """
        handling, result = push.behaviour.callback, _result_of(push)
        await self._clock.sleep(handling.delay_seconds)
        for copy in range(handling.copies):
            if copy:
                await self._clock.sleep(handling.gap_seconds)
            await self._send(push, result)

    async def send(self, push: AcceptedPush) -> CallbackSent:
        """Post the push's present result once.

        Raises:
            ConflictError: It has no result yet.
        """
        return await self._send(push, _result_of(push))

    async def _send(self, push: AcceptedPush, result: Result) -> CallbackSent:
        body = callback_body(push, result, self._ledger.debit_of(push.checkout_request_id))
        at = self._clock.now()
        url = push.request.callback_url
        delivery = await self._courier.post(url, body)
        sent = CallbackSent(push.checkout_request_id, url, body, at, delivery.status, delivery.error)
        self._ledger.callbacks.append(sent)
        return sent
