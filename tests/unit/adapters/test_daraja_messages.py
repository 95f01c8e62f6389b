from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.daraja.json_values import read_json_object
from easyisp_edge.adapters.daraja.messages import TokenAnswer, parse_stk_callback, read_error
from easyisp_edge.adapters.daraja.results import verdict
from easyisp_edge.domain.payments import EvidenceSource, Outcome, Reason
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError

PAYLOADS = Path(__file__).parent / "daraja_payloads"
SOURCE = EvidenceSource.STK_CALLBACK


def callback_file(case: str) -> bytes:
    return (PAYLOADS / f"stk_callback_{case}.json").read_bytes()


def callback(**fields: object) -> bytes:
    return json.dumps({"Body": {"stkCallback": fields}}).encode()


@pytest.mark.parametrize("case", ["paid", "paid_balance_without_value", "paid_balance_as_text"])
def test_every_shape_of_a_success_reads_the_same(case: str) -> None:
    """Values are found by name: a balance that shifts the list, and numbers as text, change nothing."""
    body = callback_file(case)
    report = parse_stk_callback(body, SOURCE)
    assert report.outcome is Outcome.PAID
    assert report.reason is None
    assert report.result_code == "0"
    assert report.amount == Money.shillings(1)
    assert report.mpesa_receipt_number == "NLJ7RT61SV"
    assert report.phone == Msisdn("254708374149")
    assert report.checkout_request_id == "ws_CO_191220191020363925"
    assert report.merchant_request_id == "29115-34620561-1"
    assert report.raw == body


def test_the_partys_time_is_nairobi_time() -> None:
    """A zoneless Nairobi time becomes an aware UTC instant three hours earlier."""
    report = parse_stk_callback(callback_file("paid"), SOURCE)
    assert report.paid_at == datetime(2019, 12, 19, 7, 21, 15, tzinfo=UTC)
    assert report.paid_at is not None
    assert report.paid_at.tzinfo is UTC


def test_a_masked_phone_is_no_phone() -> None:
    """A number with stars in it is not guessed at, and does not spoil the rest."""
    report = parse_stk_callback(callback_file("paid_phone_masked"), SOURCE)
    assert report.phone is None
    assert report.outcome is Outcome.PAID


def test_a_success_that_tells_no_amount_is_unknown() -> None:
    """Without an amount a success proves nothing: it may only lead to a query."""
    report = parse_stk_callback(callback_file("paid_without_metadata"), SOURCE)
    assert report.outcome is Outcome.UNKNOWN
    assert report.result_code == "0"
    assert report.amount is None


def test_details_that_cannot_be_read_do_not_lose_the_payment() -> None:
    """A receipt of odd shape and an impossible date are left out; the money counts, and the raw body keeps them."""
    body = callback_file("paid_odd_receipt")
    report = parse_stk_callback(body, SOURCE)
    assert report.outcome is Outcome.PAID
    assert report.amount == Money(5050)
    assert report.mpesa_receipt_number is None
    assert report.paid_at is None
    assert report.phone is None
    assert b"N/A" in report.raw


@pytest.mark.parametrize(
    ("case", "code", "reason"),
    [
        ("cancelled_1032", "1032", Reason.CANCELLED),
        ("wrong_pair_SFC_IC0003", "SFC_IC0003", Reason.CONFIGURATION),
    ],
)
def test_a_failure_has_no_metadata(case: str, code: str, reason: Reason) -> None:
    """A failure, its code a number or a word, is read without amount, receipt and phone."""
    report = parse_stk_callback(callback_file(case), EvidenceSource.STK_CALLBACK_BARE)
    assert (report.outcome, report.reason, report.result_code) == (Outcome.NOT_PAID, reason, code)
    assert report.source is EvidenceSource.STK_CALLBACK_BARE
    assert (report.amount, report.mpesa_receipt_number, report.phone) == (None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"Body": null}',
        b'{"Body": {"stkCallback": []}}',
        b'{"Body": {"stkCallback": {}}}',
        b'{"Body": {"stkCallback": {"ResultCode": null}}}',
        b'{"Body": {"stkCallback": {"ResultCode": "  "}}}',
        b'{"Body": {"stkCallback": {"ResultCode": NaN}}}',
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b'{"Body": {"stkCallback": {"ResultCode": ' + b"9" * 5000 + b"}}}",
        b'{"Body": {"stkCallback": {"ResultCode": 0}}}' + b" " * 70_000,
    ],
    ids=range(14),
)
def test_what_is_no_callback_is_refused(body: bytes) -> None:
    """Anything but an STK callback is an InvalidError, whatever it is."""
    with pytest.raises(InvalidError):
        parse_stk_callback(body, SOURCE)


def test_identifiers_no_store_would_take_are_dropped() -> None:
    """Half a surrogate pair, control characters and endless text do not get past the door."""
    report = parse_stk_callback(
        callback(
            ResultCode=1032,
            ResultDesc="cut \ud800 here",
            CheckoutRequestID="ws_CO\u0000",
            MerchantRequestID="x" * 200,
        ),
        SOURCE,
    )
    assert report.checkout_request_id is None
    assert report.merchant_request_id is None
    assert report.result_description == "cut ? here"


def test_the_raw_body_is_kept_within_bounds() -> None:
    """At most four kilobytes of a statement are kept, however much padding it has."""
    report = parse_stk_callback(callback_file("paid") + b" " * 20_000, SOURCE)
    assert report.outcome is Outcome.PAID
    assert len(report.raw) == 4096


# Chosen by hand, since the whole of Unicode takes seconds to prepare: with what likes to go wrong, such as half a
# surrogate pair and digits that are not 0 to 9.
LETTERS = "".join(map(chr, range(127))) + "\x85\xa0é\u0661\uff10\u2028\ud800\udfff\ufeff😀"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(LETTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(LETTERS, max_size=8), inner, max_size=4),
    max_leaves=8,
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "Name": st.sampled_from(["Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber"])
        | JSON_VALUES,
        "Value": JSON_VALUES,
    },
)
CALLBACKS = st.fixed_dictionaries(
    {},
    optional={
        "MerchantRequestID": JSON_VALUES,
        "CheckoutRequestID": JSON_VALUES,
        "ResultCode": st.sampled_from([0, "0", " 0 ", 1032, "4999"]) | JSON_VALUES,
        "ResultDesc": JSON_VALUES,
        "CallbackMetadata": st.fixed_dictionaries({"Item": st.lists(ITEMS | JSON_VALUES, max_size=5)}) | JSON_VALUES,
    },
)


@given(CALLBACKS)
def test_no_json_breaks_the_callback_parser(fields: dict[str, object]) -> None:
    """It reads or raises InvalidError, never anything else; and only code 0 with an amount is paid."""
    try:
        report = parse_stk_callback(callback(**fields), SOURCE)
    except InvalidError:
        return
    if report.outcome is Outcome.PAID:
        assert str(fields["ResultCode"]).strip() == "0"
        assert report.amount is not None
    assert (report.reason is not None) == (report.outcome is Outcome.NOT_PAID)
    for text in (report.result_code, report.result_description, report.checkout_request_id or ""):
        text.encode()


@given(st.binary(max_size=300))
def test_no_octets_break_the_callback_parser(body: bytes) -> None:
    """Any octets are read or refused as invalid."""
    with pytest.raises(InvalidError):
        parse_stk_callback(body, SOURCE)


@given(st.text(LETTERS, max_size=12) | st.integers(0, 10_000).map(str), st.text(LETTERS, max_size=40))
def test_only_code_0_is_paid(code: str, description: str) -> None:
    """No other code is ever paid, whatever its text; not paid always has a reason, the others never."""
    outcome, reason = verdict(code, description)
    if outcome is Outcome.PAID:
        assert code == "0"
    assert (reason is not None) == (outcome is Outcome.NOT_PAID)


@pytest.mark.parametrize("code", ["15", "4999", "9999", "1050", "", "00", "0.0", "False", "500.001.1001", "100000001"])
def test_codes_without_certainty_are_unknown(code: str) -> None:
    """Codes that are pending, ambiguous or in no list never count as not paid."""
    assert verdict(code, "any text") == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize("code", ["0", "1", "1032", "1037"])
def test_a_text_that_says_pending_wins_over_any_code(code: str) -> None:
    """While the text says the transaction is under way, the code decides nothing."""
    assert verdict(code, "The transaction is still under processing") == (Outcome.UNKNOWN, None)


def test_code_17_is_read_by_its_text() -> None:
    """17 is certain only as a limit on repeating; as an internal failure it tells nothing."""
    assert verdict("17", "Rule limited.") == (Outcome.NOT_PAID, Reason.REPEATED)
    assert verdict("17", "Internal Failure") == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1", Reason.NO_MONEY),
        ("2", Reason.AMOUNT_LIMIT),
        ("4", Reason.AMOUNT_LIMIT),
        ("8", Reason.CONFIGURATION),
        ("11", Reason.ACCOUNT),
        ("26", Reason.BUSY),
        ("1001", Reason.PROMPT_OPEN),
        ("1019", Reason.NO_ANSWER),
        ("1025", Reason.SYSTEM),
        ("1031", Reason.CANCELLED),
        ("1037", Reason.NO_ANSWER),
        ("2001", Reason.WRONG_PIN),
        ("2028", Reason.CONFIGURATION),
        ("2040", Reason.NOT_REGISTERED),
        ("8006", Reason.PIN_LOCKED),
    ],
)
def test_certain_codes_have_the_reason_the_customer_can_act_on(code: str, reason: Reason) -> None:
    """Codes that exclude payment say why."""
    assert verdict(code, "[STK_CB - ]some words") == (Outcome.NOT_PAID, reason)


def test_amounts_stay_exact() -> None:
    """Fractions in JSON are decimals, so that no cent is lost to binary."""
    assert read_json_object(b'{"Amount": 1234567.89}') == {"Amount": Decimal("1234567.89")}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("3599", 3599.0), (3599, 3599.0), (None, 3599.0), ("soon", 3599.0), (60.5, 60.0), (-1, 3599.0)],
)
def test_a_tokens_life_is_read_from_number_or_text(told: object, seconds: float) -> None:
    """A life that is absent or unreadable is taken as an hour."""
    assert TokenAnswer.model_validate({"access_token": "t", "expires_in": told}).life_seconds == seconds


@given(st.dictionaries(st.sampled_from(["fault", "errorCode", "ERROR_MESSAGE", "x"]), JSON_VALUES))
def test_no_error_breaks_its_reader(fields: dict[str, object]) -> None:
    """An error envelope with values of any type is read."""
    error = read_error(fields)
    assert (error is None) == (not set(fields) - {"x"})
