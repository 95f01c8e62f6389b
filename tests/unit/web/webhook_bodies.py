"""What is posted to the webhook: STK callbacks and C2B confirmations, as M-Pesa and relays write them."""

from __future__ import annotations

from typing import Any

KEY = "the-webhook's-own-key"
ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}


def stk_body(
    receipt: str | None = "SKL41HOOK1",
    shillings: float | None = 10,
    phone: object = 254712345678,
    *,
    checkout: str = "ws_CO_of_another",
    code: int = 0,
    account: str | None = None,
) -> dict[str, Any]:
    """A callback about a push; what is None is left out."""
    told = {"Amount": shillings, "MpesaReceiptNumber": receipt, "PhoneNumber": phone, "AccountReference": account}
    items = [{"Name": name, "Value": value} for name, value in told.items() if value is not None]
    callback: dict[str, Any] = {
        "MerchantRequestID": "29115-34620561-1",
        "CheckoutRequestID": checkout,
        "ResultCode": code,
        "ResultDesc": "The service request is processed successfully." if code == 0 else "Request cancelled by user.",
    }
    if code == 0:
        callback["CallbackMetadata"] = {"Item": items}
    return {"Body": {"stkCallback": callback}}


def c2b_body(
    receipt: str = "SKL41HOOK1",
    shillings: object = "10.00",
    phone: str = "254712345678",
    *,
    account: str = "",
    short_code: str = "600986",
) -> dict[str, Any]:
    """A confirmation of a payment to a short code."""
    return {
        "TransactionType": "Pay Bill",
        "TransID": receipt,
        "TransTime": "20261121120000",
        "TransAmount": shillings,
        "BusinessShortCode": short_code,
        "BillRefNumber": account,
        "MSISDN": phone,
        "FirstName": "MARY",
    }
