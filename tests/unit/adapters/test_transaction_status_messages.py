from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from easyisp_edge.adapters.daraja.transaction_status import (
    IdentifierType,
    Initiator,
    ask_transaction_status,
    parse_status_result,
)
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError
from tests.fakes.daraja_wire import DarajaWire

RECEIPT = "MBN31H462N"
CREDENTIAL = "c4n4ryCREDENTIAL=="
INITIATOR = Initiator("labapi", SecretStr(CREDENTIAL), "600310")
RESULT_URL, TIMEOUT_URL = "https://hub.example.com/r/9f2b", "https://hub.example.com/q/9f2b"
TAKEN = {
    "OriginatorConversationID": "1236-7134259-1",
    "ConversationID": "AG_20210709_1234409f86436c583e3f",
    "ResponseCode": "0",
    "ResponseDescription": "Accept the service request successfully.",
}


async def ask(wire: DarajaWire, initiator: Initiator = INITIATOR) -> str:
    return await ask_transaction_status(wire.app, initiator, RECEIPT, result_url=RESULT_URL, timeout_url=TIMEOUT_URL)


def result(code: Any = 0, **given: Any) -> bytes:
    told = {
        "DebitPartyName": "254708374149 - JOHN DOE",
        "CreditPartyName": "600310 - SAFARICOM333",
        "InitiatedTime": "20180223054112",
        "FinalisedTime": "20180223054113",
        "TransactionStatus": "Completed",
        "Amount": "300",
        "ReceiptNo": RECEIPT,
    } | given
    parameters = [{"Key": key, "Value": value} for key, value in told.items()] + [{"Key": "TransactionReason"}]
    content = {"ResultType": 0, "ResultCode": code, "ResultParameters": {"ResultParameter": parameters}}
    return json.dumps({"Result": content}).encode()


async def test_a_look_up_says_what_is_documented() -> None:
    """Names without blanks, the receipt, the organisation and two addresses; the id of the conversation is kept."""
    wire = DarajaWire(httpx.Response(200, json=TAKEN))
    assert await ask(wire) == "AG_20210709_1234409f86436c583e3f"
    assert wire.requests[0].url.path == "/mpesa/transactionstatus/v1/query"
    assert wire.body() == {
        "Initiator": "labapi",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "TransactionStatusQuery",
        "TransactionID": RECEIPT,
        "PartyA": "600310",
        "IdentifierType": "4",
        "ResultURL": RESULT_URL,
        "QueueTimeOutURL": TIMEOUT_URL,
        "Remarks": "Receipt look-up",
        "Occasion": "Receipt look-up",
    }


async def test_a_till_asks_as_one() -> None:
    """By its kind of number."""
    wire = DarajaWire(httpx.Response(200, json=TAKEN))
    await ask(wire, Initiator("labapi", SecretStr(CREDENTIAL), "512345", IdentifierType.TILL))
    assert (wire.body()["PartyA"], wire.body()["IdentifierType"]) == ("512345", "2")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(200, json=TAKEN | {"ResponseCode": "1"}), RefusedError),
        (httpx.Response(400, json={"errorCode": "400.002.02", "errorMessage": "Bad Request"}), RefusedError),
        (httpx.Response(200, json={}), UnavailableError),
        (httpx.Response(500, json={"errorCode": "500.003.02", "errorMessage": "System is busy."}), UnavailableError),
        (httpx.Response(503, text="<html>"), UnavailableError),
        (httpx.ReadTimeout("late"), UnavailableError),
        (httpx.ConnectError("down"), UnavailableError),
    ],
)
async def test_what_was_not_taken_is_told_apart(answer: Any, error: type[Exception]) -> None:
    """What waiting mends, and what a person has to."""
    with pytest.raises(error):
        await ask(DarajaWire(answer))


async def test_a_refusal_that_repeats_the_credential_does_not_tell_it() -> None:
    """Whatever the party writes back."""
    echo = {"errorCode": "400.002.02", "errorMessage": f"Bad Request - Invalid SecurityCredential {CREDENTIAL}"}
    with pytest.raises(RefusedError) as refused:
        await ask(DarajaWire(httpx.Response(400, json=echo)))
    assert CREDENTIAL not in str(refused.value)
    assert CREDENTIAL not in repr(INITIATOR)


async def test_an_address_that_safaricom_refuses_is_not_sent() -> None:
    """A forbidden word in it."""
    wire = DarajaWire(httpx.Response(200, json=TAKEN))
    with pytest.raises(InvalidError):
        await ask_transaction_status(
            wire.app, INITIATOR, RECEIPT, result_url="https://hub.example.com/mpesa", timeout_url=TIMEOUT_URL
        )
    assert wire.requests == []


def test_a_completed_payment_is_found() -> None:
    """With amount, payer and time; the account is not told."""
    body = result()
    finding = parse_status_result(body, RECEIPT, {"600310"})
    assert finding.found is True
    record = finding.record
    assert record is not None
    assert (record.source, record.mpesa_receipt_number, record.account) == (EvidenceSource.CENTRAL, RECEIPT, "")
    assert record.amount == Money.shillings(300)
    assert record.payer.phone == Msisdn("254708374149")
    assert record.paid_at == datetime(2018, 2, 23, 2, 41, 13, tzinfo=UTC)
    assert record.raw == body


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"TransactionStatus": "Cancelled"}, False),
        ({"TransactionStatus": "Declined"}, False),
        ({"TransactionStatus": "Expired"}, False),
        ({"CreditPartyName": "600311 - SOMEBODY ELSE"}, False),
        ({"CreditPartyName": "254700000000 - A PERSON"}, None),
        ({"TransactionStatus": "Authorized"}, None),
        ({"TransactionStatus": "Initiated"}, None),
        ({"TransactionStatus": None}, None),
        ({"ReceiptNo": "MBN31H462X"}, None),
        ({"ReceiptNo": None}, None),
        ({"CreditPartyName": None}, None),
        ({"CreditPartyName": "SAFARICOM"}, None),
        ({"Amount": None}, None),
        ({"Amount": "0"}, None),
        ({"Amount": "-300"}, None),
        ({"Amount": "NaN"}, None),
    ],
)
def test_only_money_that_came_here_is_found(given: dict[str, Any], *, found: bool | None) -> None:
    """What came to nothing or to others is not; what is in doubt stays open."""
    finding = parse_status_result(result(**given), RECEIPT, {"600310"})
    assert (finding.found, finding.record) == (found, None)


@pytest.mark.parametrize(
    ("code", "found", "refused"),
    [("R000002", False, False), (1, None, False), ("2001", None, True), (8006, None, True), (17, None, False)],
)
def test_a_failed_look_up_says_little(code: Any, *, found: bool | None, refused: bool) -> None:
    """That there is no such transaction, or that the initiator may not ask; the rest is about the look-up itself."""
    finding = parse_status_result(result(code), RECEIPT, {"600310"})
    assert (finding.found, finding.refused) == (found, refused)


def test_codes_come_as_text_too_and_one_parameter_without_a_list() -> None:
    """As some samples have them."""
    assert parse_status_result(result("0"), RECEIPT, {"600310"}).found is True
    alone = {
        "Result": {"ResultCode": "0", "ResultParameters": {"ResultParameter": {"Key": "ReceiptNo", "Value": RECEIPT}}}
    }
    assert parse_status_result(json.dumps(alone).encode(), RECEIPT, {"600310"}).found is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"Result": 1}', b"\xff", b'{"Result": {}}' + b" " * 70_000])
def test_what_is_no_result_is_said(body: bytes) -> None:
    """And no finding made of it."""
    with pytest.raises(InvalidError):
        parse_status_result(body, RECEIPT, {"600310"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["Key", "Value", "ResultParameter", "x"]), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_no_shape_of_parameters_finds_money(parameters: Any) -> None:
    """Nor fails in another way than it says."""
    body = json.dumps({"Result": {"ResultCode": 0, "ResultParameters": parameters}}).encode()
    assert parse_status_result(body, RECEIPT, {"600310"}).found is None
