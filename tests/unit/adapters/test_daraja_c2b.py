from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.daraja.c2b import C2B_CONFIRMED, parse_c2b, validation_answer
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError, OutcomeUnknownError, RefusedError, UnavailableError
from tests.fakes.daraja_wire import TILL, DarajaWire, payload

PAYLOADS = Path(__file__).parent / "daraja_payloads"
CONFIRMATION = "https://pay.example.com/b/9f2b6c04"
VALIDATION = "https://pay.example.com/v/9f2b6c04"


def notice_file(case: str) -> bytes:
    return (PAYLOADS / f"c2b_{case}.json").read_bytes()


def notice(**fields: object) -> bytes:
    return json.dumps({"TransID": "RKL51ZDR4F", "TransAmount": "5.00"} | fields).encode()


async def register(wire: DarajaWire) -> None:
    await wire.client.register_urls(CONFIRMATION, VALIDATION)


# --- notices


@pytest.mark.parametrize("case", ["confirmation_v2_masked", "confirmation_v1_digest", "confirmation_numbers"])
def test_every_shape_of_a_notice_reads_the_same(case: str) -> None:
    """Both versions, and numbers where text is documented; the payer is known in whole, in part or by digest."""
    body = notice_file(case)
    told = parse_c2b(body)
    assert told.short_code == "600966"
    record = told.record
    assert record.source is EvidenceSource.C2B
    assert (record.mpesa_receipt_number, record.amount) == ("RKL51ZDR4F", Money.shillings(5))
    assert record.account == "k7m4 q2x"
    assert record.paid_at == datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC)
    assert record.payer.fits(Msisdn("254708374126"))
    assert not record.payer.fits(Msisdn("254708374127"))
    assert record.raw == body


def test_a_till_carries_no_account() -> None:
    """Its notices have an empty reference and perhaps a type of their own."""
    told = parse_c2b(notice_file("confirmation_till"))
    assert (told.short_code, told.record.account, told.record.amount) == ("5123456", "", Money.shillings(50))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b"[" * 60_000,
        notice(TransID="SHORT"),
        notice(TransID="THIRTEENCHARS"),
        notice(TransID=None),
        notice(TransID=["RKL51ZDR4F"]),
        notice(TransAmount="0.00"),
        notice(TransAmount="-5.00"),
        notice(TransAmount="5.001"),
        notice(TransAmount="five"),
        notice(TransAmount=True),
        notice(TransAmount=None),
        notice(TransAmount=float("nan")),
        notice() + b" " * 70_000,
    ],
    ids=range(17),
)
def test_what_tells_no_payment_is_refused(body: bytes) -> None:
    """Without a receipt or an amount that can be read, it is no notice."""
    with pytest.raises(InvalidError):
        parse_c2b(body)


def test_details_that_cannot_be_read_do_not_lose_the_payment() -> None:
    """Receipt and amount make it money; the rest is taken as not told."""
    told = parse_c2b(notice(TransTime="soon", MSISDN={}, BillRefNumber="cut \ud800" + "x" * 500))
    assert (told.short_code, told.record.paid_at, told.record.payer.known) == ("", None, False)
    assert told.record.account.startswith("cut ?x")
    assert len(told.record.account) == 100


def test_the_raw_body_of_a_notice_is_kept_within_bounds() -> None:
    """At most four kilobytes."""
    assert len(parse_c2b(notice() + b" " * 20_000).record.raw) == 4096


def test_answers_are_what_is_documented() -> None:
    """A confirmation is thanked for with a number, a validation answered with a text."""
    assert C2B_CONFIRMED == {"ResultCode": 0, "ResultDesc": "Success"}
    assert validation_answer(ok=True) == {"ResultCode": "0", "ResultDesc": "Accepted"}
    assert validation_answer(ok=False) == {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}


LETTERS = "".join(map(chr, range(127))) + "\x85\xa0é\u0661\uff10\u2028\ud800\udfff\ufeff😀"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(LETTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(LETTERS, max_size=8), inner, max_size=4),
    max_leaves=8,
)
NOTICES = st.fixed_dictionaries(
    {},
    optional={
        "TransID": st.sampled_from(["RKL51ZDR4F", "rkl51zdr4f"]) | JSON_VALUES,
        "TransAmount": st.sampled_from(["5.00", 5, 0.5]) | JSON_VALUES,
        "TransTime": st.just("20231121121325") | JSON_VALUES,
        "BusinessShortCode": JSON_VALUES,
        "BillRefNumber": JSON_VALUES,
        "MSISDN": st.sampled_from(["2547 ***** 126", "a" * 64]) | JSON_VALUES,
    },
)


@given(NOTICES | JSON_VALUES)
def test_no_json_breaks_the_reader_of_notices(fields: object) -> None:
    """It reads or raises InvalidError; what it reads has a receipt and an amount."""
    try:
        told = parse_c2b(json.dumps(fields).encode())
    except InvalidError:
        return
    assert told.record.amount.cents > 0
    assert told.record.mpesa_receipt_number.isascii()
    for text in (told.short_code, told.record.account, told.record.mpesa_receipt_number):
        text.encode()


@given(st.binary(max_size=300))
def test_no_octets_break_the_reader_of_notices(body: bytes) -> None:
    """Any octets are refused as invalid."""
    with pytest.raises(InvalidError):
        parse_c2b(body)


# --- registering


@pytest.mark.parametrize("name", ["c2b_registered.json", "c2b_registered_without_code.json"])
async def test_a_registration_says_what_is_documented(name: str) -> None:
    """The second version, by the short code that signs; payments go through when we cannot be asked."""
    wire = DarajaWire(payload(name), account=TILL)
    await register(wire)
    assert wire.methods == ["POST"]
    assert wire.requests[0].url.path == "/mpesa/c2b/v2/registerurl"
    assert wire.body() == {
        "ShortCode": "600123",
        "ResponseType": "Completed",
        "ConfirmationURL": CONFIRMATION,
        "ValidationURL": VALIDATION,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("error_urls_already_registered_500_003_1001.json", "once per short code"),
        ("error_duplicate_notification_500_003_1001.json", "older platform"),
    ],
)
async def test_addresses_that_stand_are_told_apart(name: str, words: str) -> None:
    """A code of its own, what it means, and where to have them removed."""
    wire = DarajaWire(payload(name, 500))
    with pytest.raises(RefusedError) as caught:
        await register(wire)
    assert caught.value.code == "c2b.registered"
    assert words in caught.value.message
    assert "apisupport@safaricom.co.ke" in caught.value.message
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "fault_no_apiproduct_401.json"),
        (400, "error_invalid_payload_400_002_05.json"),
        (400, "error_invalid_access_token_400_003_01.json"),
        (200, "c2b_registration_rejected_1.json"),
    ],
)
async def test_a_registration_of_addresses_may_be_refused(status: int, name: str) -> None:
    """For the owner's set-up."""
    with pytest.raises(RefusedError) as caught:
        await register(DarajaWire(payload(name, status)))
    assert caught.value.code == Reason.CONFIGURATION


@pytest.mark.parametrize(
    "answer",
    [
        payload("error_spike_arrest_500_003_02.json", 500),
        payload("fault_quota_429.json", 429),
        httpx.ConnectError(""),
    ],
)
async def test_what_registered_nothing_for_certain_may_be_repeated(answer: httpx.Response | Exception) -> None:
    """Not reached or too busy."""
    with pytest.raises(UnavailableError):
        await register(DarajaWire(answer))


@pytest.mark.parametrize(
    "answer",
    [
        payload("error_internal_500_003_1001.json", 500),
        payload("firewall.html"),
        payload("token.json"),
        payload(""),
        httpx.ReadTimeout(""),
    ],
)
async def test_what_may_have_registered_is_unknown(answer: httpx.Response | Exception) -> None:
    """It happens once per short code: whether it did is not guessed, and it is not sent again."""
    wire = DarajaWire(answer)
    with pytest.raises(OutcomeUnknownError):
        await register(wire)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("confirmation", "validation", "field"),
    [
        ("https://pay.example.com/safaricom", VALIDATION, "confirmation_url"),
        (CONFIRMATION, "pay.example.com", "validation_url"),
    ],
)
async def test_addresses_against_the_rules_are_not_sent(confirmation: str, validation: str, field: str) -> None:
    """Each is checked and named; not even a token is asked for."""
    wire = DarajaWire(payload("c2b_registered.json"))
    with pytest.raises(InvalidError) as caught:
        await wire.client.register_urls(confirmation, validation)
    assert caught.value.field == field
    assert (wire.tokens, wire.requests) == (0, [])


ANSWERS = st.fixed_dictionaries(
    {}, optional={"ResponseCode": JSON_VALUES, "ResponseDescription": JSON_VALUES, "errorMessage": JSON_VALUES}
)


@given(ANSWERS | JSON_VALUES, st.sampled_from([200, 200, 400, 500]))
async def test_no_answer_breaks_a_registration_of_addresses(answer: object, status: int) -> None:
    """It passes, or raises one of the errors promised."""
    wire = DarajaWire(httpx.Response(status, content=json.dumps(answer)))
    try:
        await register(wire)
    except (UnavailableError, RefusedError, OutcomeUnknownError):
        return
    assert status == 200
