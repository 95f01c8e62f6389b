from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.daraja import pull as pull_module
from easyisp_edge.adapters.daraja.exchange import excerpt
from easyisp_edge.adapters.daraja.json_values import read_json
from easyisp_edge.adapters.daraja.pull_messages import PullWindow, read_rows
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource, Reason
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError
from tests.fakes.daraja_wire import BANK, TILL, DarajaWire, payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.payments import MoneyRecord

SINCE = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
UNTIL = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
WINDOW = PullWindow(SINCE, UNTIL)
NOMINATED = Msisdn("254722000000")
ADDRESS = "https://pay.example.com/p/9f2b6c04"


def row(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A row as it usually looks, with a receipt of its own."""
    return {
        "transactionId": f"UGFM{number:06}",
        "trxDate": "2026-11-21T08:30:00+03:00",
        "msisdn": 254722000000,
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": "K7M4Q2X",
        "amount": "168.00",
    } | fields


def page(*rows: object) -> httpx.Response:
    return httpx.Response(200, json={"ResponseCode": "1000", "ResponseMessage": "Success", "Response": [list(rows)]})


def list_of(rows: list[dict[str, Any]], page_size: int) -> Callable[[httpx.Request], httpx.Response]:
    """A party that counts rows, and answers so many of them at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        offset = int(json.loads(request.content)["OffSetValue"])
        return page(*rows[offset : offset + page_size])

    return answer


async def pulled(wire: DarajaWire) -> list[MoneyRecord]:
    return await wire.client.pull_transactions(SINCE, UNTIL)


def receipts(records: list[MoneyRecord]) -> list[str]:
    return [record.mpesa_receipt_number for record in records]


# --- what is asked


async def test_a_pull_says_what_is_documented() -> None:
    """Nairobi time without a zone, the offset as text, no `/mpesa` before the path, a fresh token."""
    wire = DarajaWire(payload("pull_nothing_1001.json"))
    assert await pulled(wire) == []
    assert wire.methods == ["POST"]
    assert wire.requests[0].url.path == "/pulltransactions/v1/query"
    assert wire.requests[0].headers["Authorization"] == "Bearer token1"
    assert wire.body() == {
        "ShortCode": "600000",
        "StartDate": "2026-11-21 08:00:00",
        "EndDate": "2026-11-21 09:00:00",
        "OffSetValue": "0",
    }


async def test_any_zone_is_told_as_nairobi_time() -> None:
    """An instant is the same whatever zone it is given in."""
    wire = DarajaWire(payload("pull_nothing_1001.json"))
    away = timezone(timedelta(hours=-5))
    await wire.client.pull_transactions(SINCE.astimezone(away), UNTIL.astimezone(away))
    assert (wire.body()["StartDate"], wire.body()["EndDate"]) == ("2026-11-21 08:00:00", "2026-11-21 09:00:00")


@pytest.mark.parametrize("account", [TILL, BANK])
async def test_the_short_code_that_signs_is_asked_for(account: Any) -> None:
    """For a till its store's number, for a bank account the own short code."""
    wire = DarajaWire(payload("pull_nothing_1001.json"), account=account)
    await pulled(wire)
    assert wire.body()["ShortCode"] == "600123"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (SINCE, SINCE + timedelta(hours=48, seconds=1)),
        (SINCE, SINCE),
        (UNTIL, SINCE),
        (SINCE.replace(tzinfo=None), UNTIL),
        (SINCE, UNTIL.replace(tzinfo=None)),
    ],
)
async def test_a_span_m_pesa_does_not_list_is_not_asked_for(since: datetime, until: datetime) -> None:
    """More than 48 hours, nothing, backwards, or without a zone: not even a token is asked for."""
    wire = DarajaWire(page())
    with pytest.raises(InvalidError):
        await wire.client.pull_transactions(since, until)
    assert (wire.tokens, wire.requests) == (0, [])


async def test_48_hours_are_not_too_long() -> None:
    """The limit itself is allowed."""
    wire = DarajaWire(page())
    assert await wire.client.pull_transactions(SINCE, SINCE + timedelta(hours=48)) == []


# --- what is read


async def test_rows_become_records() -> None:
    """Exact amounts, the account as typed, the payer as far as told, other kinds of rows left out."""
    wire = DarajaWire(payload("pull_page.json"), page())
    first, second, third = await pulled(wire)
    assert first.source is EvidenceSource.PULL
    assert (first.mpesa_receipt_number, first.amount, first.account) == ("UGFMXB3GR6", Money(16800), "k7m4 q2xw")
    assert first.payer == Payer(phone=Msisdn("254722000000"))
    assert first.paid_at == datetime(2026, 11, 21, 5, 30, tzinfo=UTC)
    assert json.loads(first.raw)["transactionId"] == "UGFMXB3GR6"
    assert (second.amount, second.account, second.payer) == (Money(2050), "", Payer(phone=Msisdn("254722000001")))
    assert (third.amount, third.account) == (Money(130_000), "")
    assert third.payer == Payer(beginning="25470", ending="149")


async def test_rows_inside_a_text_are_read() -> None:
    """JSON within JSON is unpacked."""
    records = await pulled(DarajaWire(payload("pull_rows_as_text.json"), payload("pull_nothing_as_text.json")))
    assert receipts(records) == ["UGFMXB3GR6"]


@pytest.mark.parametrize(
    "name",
    [
        "pull_nothing_1001.json",
        "pull_nothing_1001_without_rows.json",
        "pull_nothing_as_text.json",
        "pull_nothing_null.json",
        "pull_nothing_nested.json",
    ],
)
async def test_nothing_is_told_in_many_ways(name: str) -> None:
    """Each is an empty list, after one question."""
    wire = DarajaWire(payload(name))
    assert await pulled(wire) == []
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "name",
    [
        "pull_rows_under_an_unknown_key.json",
        "pull_rows_unreadable_text.json",
        "pull_nothing_under_an_unknown_code.json",
        "token.json",
    ],
)
async def test_what_is_not_understood_is_not_nothing(name: str) -> None:
    """An answer in an unknown shape must not pass for a quiet hour."""
    with pytest.raises(UnavailableError):
        await pulled(DarajaWire(payload(name)))


@pytest.mark.parametrize(
    "fields",
    [
        {"transactionId": "SHORT"},
        {"transactionId": "THIRTEENCHARS"},
        {"transactionId": "UGFM-B3GR6"},
        {"transactionId": "UGFMXB3GRß"},
        {"transactionId": None},
        {"amount": "0.00"},
        {"amount": "-168.00"},
        {"amount": "168.005"},
        {"amount": "KES 168"},
        {"amount": True},
        {"amount": None},
        {"transactiontype": None},
        {"transactiontype": ["c2b-pay-bill-debit"]},
    ],
)
async def test_a_row_that_cannot_be_read_is_counted_and_does_no_harm(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The others are read, and one line in the log tells how many were not, without a word of what is in them."""
    with caplog.at_level(logging.WARNING):
        records = await pulled(DarajaWire(page(row(1), row(2, **fields), "no row", row(3)), page()))
    assert receipts(records) == ["UGFM000001", "UGFM000003"]
    assert [record.getMessage() for record in caplog.records] == [
        "600000: 2 of 4 rows that M-Pesa lists cannot be read"
    ]


async def test_readable_rows_leave_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nor do rows about something else."""
    with caplog.at_level(logging.WARNING):
        await pulled(DarajaWire(payload("pull_page.json"), page()))
    assert caplog.records == []


async def test_keys_and_types_are_read_in_any_spelling() -> None:
    """Capitals, blanks and underscores in keys, and small letters in receipts, change nothing."""
    odd = {"Transaction ID": "ugfmxb3gr6", "TRANSACTION_TYPE": "C2B Pay Bill Debit", "Amount": 168, "MSISDN": "x"}
    answer = httpx.Response(200, json={"Response Code": 1000, "response": odd})
    (record,) = await pulled(DarajaWire(answer, page()))
    assert (record.mpesa_receipt_number, record.amount) == ("UGFMXB3GR6", Money(16800))
    assert (record.payer, record.paid_at, record.account) == (Payer(), None, "")


async def test_a_receipt_listed_twice_is_one_record() -> None:
    """Also where the first of the two cannot be read."""
    wire = DarajaWire(page(row(1, amount="?"), row(1), row(1), row(2)), page())
    assert receipts(await pulled(wire)) == ["UGFM000001", "UGFM000002"]


async def test_the_raw_row_is_kept_within_bounds() -> None:
    """However much padding a row has."""
    (record,) = await pulled(DarajaWire(page(row(1, padding="x" * 9000)), page()))
    assert len(record.raw) == 4096


# --- the time of a payment


@pytest.mark.parametrize(
    ("text", "paid_at"),
    [
        ("2026-11-21T08:30:00+03:00", "05:30:00"),
        ("2026-11-21T08:30:00.250+0300", "05:30:00.250000"),
        ("2026-11-21 08:30:00", "05:30:00"),
        ("2026-11-21T08:30", "05:30:00"),
        ("20261121083000", "05:30:00"),
        (20261121083000, "05:30:00"),
    ],
)
def test_a_time_that_tells_its_zone_or_none_is_nairobis(text: object, paid_at: str) -> None:
    """Whatever its spelling."""
    (record,) = read_rows([row(trxDate=text)], WINDOW).records
    assert record.paid_at == datetime.fromisoformat(f"2026-11-21T{paid_at}+00:00")


@pytest.mark.parametrize("text", ["soon", "2026-13-21T08:30:00Z", "0001-01-01T00:00:00Z", "2026-11-21", None, 7, []])
def test_a_time_that_cannot_be_read_does_not_lose_the_payment(text: object) -> None:
    """It is not told, and that is all."""
    (record,) = read_rows([row(trxDate=text)], WINDOW).records
    assert record.paid_at is None


def utc_marked(instant: datetime, *, mislabelled: bool) -> str:
    told = instant + timedelta(hours=3) if mislabelled else instant
    return told.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("mislabelled", [True, False])
@given(
    hours=st.floats(0.1, 2.5),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_in_a_short_span_a_mark_of_utc_is_read_rightly(
    mislabelled: bool,  # noqa: FBT001 - a case
    hours: float,
    places: list[float],
) -> None:
    """Only one reading falls into the span asked for: the party's clock is right either way."""
    window = PullWindow(UNTIL - timedelta(hours=hours), UNTIL)
    truth = [window.since + place * timedelta(hours=hours) for place in places]
    rows = [row(i, trxDate=utc_marked(at, mislabelled=mislabelled)) for i, at in enumerate(truth)]
    records = read_rows(rows, window).records
    for record, at in zip(records, truth, strict=True):
        assert record.paid_at == at.replace(microsecond=0)


@given(hours=st.floats(0.1, 48), places=st.lists(st.floats(0, 1), min_size=1, max_size=4), mislabelled=st.booleans())
def test_in_any_span_a_mark_of_utc_is_read_within_three_hours(
    hours: float,
    places: list[float],
    mislabelled: bool,  # noqa: FBT001 - a case
) -> None:
    """Read rightly or three hours early, never late; a mislabelled time always rightly."""
    window = PullWindow(UNTIL - timedelta(hours=hours), UNTIL)
    truth = [window.since + place * timedelta(hours=hours) for place in places]
    rows = [row(i, trxDate=utc_marked(at, mislabelled=mislabelled)) for i, at in enumerate(truth)]
    for record, at in zip(read_rows(rows, window).records, truth, strict=True):
        assert record.paid_at is not None
        early = at.replace(microsecond=0) - record.paid_at
        assert early == timedelta(0) or (early == timedelta(hours=3) and not mislabelled)


def test_one_row_that_decides_the_mark_decides_it_for_all() -> None:
    """All rows of an answer come from one party: what one shows holds for those that show nothing."""
    window = PullWindow(UNTIL - timedelta(hours=10), UNTIL)
    plain, telling = UNTIL - timedelta(hours=5), UNTIL - timedelta(hours=9)
    rows = [
        row(1, trxDate=utc_marked(plain, mislabelled=False)),
        row(2, trxDate=utc_marked(telling, mislabelled=False)),
    ]
    assert [record.paid_at for record in read_rows(rows, window).records] == [plain, telling]
    alone = read_rows(rows[:1], window).records
    assert [record.paid_at for record in alone] == [plain - timedelta(hours=3)]


# --- pages


@pytest.mark.parametrize("page_size", [1, 7, 100])
async def test_all_pages_are_had_by_offset_of_rows(page_size: int) -> None:
    """Whatever the size of a page, until one is empty."""
    rows = [row(number) for number in range(20)]
    wire = DarajaWire(list_of(rows, page_size))
    assert len(await pulled(wire)) == 20
    offsets = [int(wire.body(at)["OffSetValue"]) for at in range(len(wire.requests))]
    assert offsets == [*range(0, 20, page_size), 20]


async def test_a_party_that_knows_no_offset_is_asked_twice() -> None:
    """The same rows again end it."""
    wire = DarajaWire(page(row(1), row(2)))
    assert receipts(await pulled(wire)) == ["UGFM000001", "UGFM000002"]
    assert len(wire.requests) == 2


async def test_pages_of_nothing_but_other_rows_do_not_end_it() -> None:
    """Settlements and unreadable rows are passed, not taken for the end."""
    others = [row(1, transactiontype="merchant-to-organization-settlement"), row(2, transactionId=None)]
    wire = DarajaWire(list_of([*others, row(3)], 1))
    assert receipts(await pulled(wire)) == ["UGFM000003"]


async def test_the_number_of_pages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without end is told as too much, not cut: what was left out could be money."""
    monkeypatch.setattr(pull_module, "PAGES_MAX", 3)
    wire = DarajaWire(list_of([row(number) for number in range(20)], 5))
    with pytest.raises(UnavailableError) as caught:
        await pulled(wire)
    assert caught.value.code == "pull.too_much"
    assert len(wire.requests) == 3


async def test_a_page_too_long_to_take_is_too_much() -> None:
    """It is not read to its end, and a shorter span is asked for."""
    wire = DarajaWire(httpx.Response(200, content=b'{"Response": [' + b" " * (8 * 1024 * 1024)))
    with pytest.raises(UnavailableError) as caught:
        await pulled(wire)
    assert caught.value.code == "pull.too_much"


async def test_thousands_of_rows_may_come_at_once() -> None:
    """More than other answers may hold."""
    wire = DarajaWire(page(*[row(number) for number in range(10_000)]), page())
    assert len(await pulled(wire)) == 10_000


async def test_a_throttled_page_is_waited_for_once() -> None:
    """So that a low rate does not lose the pages already had."""
    throttled = payload("fault_spike_arrest_429.json", 429)
    wire = DarajaWire(page(row(1)), throttled, page())
    assert receipts(await pulled(wire)) == ["UGFM000001"]
    assert wire.clock.seconds == 12
    wire = DarajaWire(page(row(1)), throttled)
    with pytest.raises(UnavailableError) as caught:
        await pulled(wire)
    assert caught.value.code == Reason.BUSY
    assert len(wire.requests) == 3


async def test_a_failure_to_list_is_not_nothing_unless_rows_came_before() -> None:
    """It is said where there are no rows too: of a first page it proves nothing, twice after rows it is the end."""
    failed = payload("error_failed_to_retrieve_500.json", 500)
    with pytest.raises(UnavailableError) as caught:
        await pulled(DarajaWire(failed))
    assert caught.value.code == "pull.failed"
    wire = DarajaWire(page(row(1)), failed)
    assert receipts(await pulled(wire)) == ["UGFM000001"]
    assert len(wire.requests) == 3
    assert wire.clock.seconds > 0
    wire = DarajaWire(page(row(1)), failed, page(row(2)), failed)
    assert receipts(await pulled(wire)) == ["UGFM000001", "UGFM000002"]


async def test_no_page_is_waited_for_longer_than_a_minute() -> None:
    """Who asks for more is asked again by whoever called."""
    wire = DarajaWire(page(row(1)), payload("fault_spike_arrest_429.json", 429, **{"Retry-After": "600"}))
    with pytest.raises(UnavailableError):
        await pulled(wire)
    assert wire.clock.seconds == 0


# --- post or get


@pytest.mark.parametrize(
    "refusal",
    [
        payload("error_method_405_001.json", 405),
        payload("error_not_found_404_001_01.json", 404),
        payload("error_method_405_001.json", 200),
        payload("bad_gateway.html", 405),
        payload("", 404),
    ],
)
async def test_where_post_is_not_taken_get_asks_the_same_and_is_remembered(refusal: httpx.Response) -> None:
    """The same JSON in the body; the next pull begins with what worked."""

    def get_only(request: httpx.Request) -> httpx.Response:
        return page() if request.method == "GET" else refusal

    wire = DarajaWire(get_only)
    await pulled(wire)
    assert wire.methods == ["POST", "GET"]
    assert wire.body(0) == wire.body(1)
    assert wire.requests[1].headers["Content-Type"] == "application/json"
    await pulled(wire)
    assert wire.methods[2:] == ["GET"]


async def test_what_was_remembered_can_change() -> None:
    """A gateway that takes POST again is asked by POST again."""
    taken = "GET"

    def one_method(request: httpx.Request) -> httpx.Response:
        return page() if request.method == taken else payload("error_method_405_001.json", 405)

    wire = DarajaWire(one_method)
    await pulled(wire)
    taken = "POST"
    await pulled(wire)
    await pulled(wire)
    assert wire.methods == ["POST", "GET", "GET", "POST", "POST"]


async def test_a_header_said_to_be_missing_may_be_the_wrong_method() -> None:
    """That refusal is told for both: first another token, then the other method."""

    def get_only(request: httpx.Request) -> httpx.Response:
        taken = request.method == "GET"
        return page() if taken else payload("error_invalid_authentication_header_404_001_04.json", 404)

    wire = DarajaWire(get_only)
    assert await pulled(wire) == []
    assert wire.methods == ["POST", "POST", "GET"]


async def test_where_neither_is_taken_nothing_is_remembered() -> None:
    """It is refused, and the next time begins anew."""
    wire = DarajaWire(payload("error_method_405_001.json", 405))
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            await pulled(wire)
    assert caught.value.code == Reason.CONFIGURATION
    assert wire.methods == ["POST", "GET"] * 2


# --- refusals and failures


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "fault_no_apiproduct_401.json"),
        (400, "error_invalid_short_code_400_001.json"),
        (404, "error_invalid_access_token_404_001_03.json"),
        (401, "error_invalid_access_token_401_001.json"),
    ],
)
async def test_a_pull_that_cannot_work_is_refused(status: int, name: str) -> None:
    """Product, short code and credentials are for an operator, and the other method is not tried for them."""
    wire = DarajaWire(payload(name, status))
    with pytest.raises(RefusedError) as caught:
        await pulled(wire)
    assert caught.value.code == Reason.CONFIGURATION
    assert set(wire.methods) == {"POST"}


async def test_a_missing_product_is_named() -> None:
    """Each product is enabled by itself: which one is missing is what the owner needs to know."""
    with pytest.raises(RefusedError, match="lacks the product Pull Transactions"):
        await pulled(DarajaWire(payload("fault_no_apiproduct_401.json", 401)))


async def test_a_dead_token_is_renewed_once() -> None:
    """As for all calls."""
    wire = DarajaWire(payload("error_invalid_access_token_401_001.json", 401), page(row(1)), page())
    assert receipts(await pulled(wire)) == ["UGFM000001"]
    assert wire.tokens == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (payload("fault_spike_arrest_429.json", 429), Reason.BUSY),
        (payload("error_busy_500_003_02.json", 500), Reason.BUSY),
        (payload("error_internal_500_003_1001.json", 500), Reason.UNREACHABLE),
        (payload("firewall.html", 200), Reason.UNREACHABLE),
        (payload("bad_gateway.html", 502), Reason.UNREACHABLE),
        (payload("pull_page.json", 500), Reason.UNREACHABLE),
        (payload(""), Reason.UNREACHABLE),
        (httpx.Response(200, content=b"[[]]"), Reason.UNREACHABLE),
        (httpx.ReadTimeout(""), Reason.UNREACHABLE),
        (httpx.RemoteProtocolError(""), Reason.UNREACHABLE),
        (httpx.ConnectError(""), Reason.UNREACHABLE),
    ],
)
@pytest.mark.parametrize("pages_before", [0, 1])
async def test_no_whole_list_is_no_list(answer: httpx.Response | Exception, code: Reason, pages_before: int) -> None:
    """Also when some pages came before: half a list would pass for all there is."""
    with pytest.raises(UnavailableError) as caught:
        await pulled(DarajaWire(*[page(row(1))] * pages_before, answer))
    assert caught.value.code == code


@pytest.mark.parametrize("text", [True, False])
def test_an_excerpt_of_a_list_shows_no_receipts_and_no_payers(text: bool) -> None:  # noqa: FBT001 - a case
    """A receipt lets its payer on: it has no place in a log."""
    listed = json.dumps([row(billreference="K7M4Q2X", sender="JANE DOE", msisdn=722000001)])
    body = json.dumps({"Transaction": listed}) if text else listed
    shown = excerpt(body.encode(), "application/json", [])
    assert "168.00" in shown
    for private in ("UGFM", "K7M4Q2X", "JANE", "722000001"):
        assert private not in shown


# --- registering


@pytest.mark.parametrize(
    "name",
    ["pull_registered_1000.json", "pull_registered_1000_blanks_in_keys.json", "pull_registered_already_1001.json"],
)
async def test_registered_or_registered_already_is_registered(name: str) -> None:
    """Keys with and without blanks."""
    wire = DarajaWire(payload(name), account=TILL)
    await wire.client.register_pull(NOMINATED, ADDRESS)
    assert wire.requests[0].url.path == "/pulltransactions/v1/register"
    assert wire.body() == {
        "ShortCode": "600123",
        "RequestType": "Pull",
        "NominatedNumber": "254722000000",
        "CallBackURL": ADDRESS,
    }


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (200, "pull_registration_refused_1002.json"),
        (401, "fault_no_apiproduct_401.json"),
        (400, "error_invalid_short_code_400_001.json"),
    ],
)
async def test_a_registration_may_be_refused(status: int, name: str) -> None:
    """The operator gets Safaricom's words."""
    with pytest.raises(RefusedError) as caught:
        await DarajaWire(payload(name, status)).client.register_pull(NOMINATED, ADDRESS)
    assert caught.value.code == Reason.CONFIGURATION
    assert "HTTP" in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        payload("firewall.html"),
        payload("token.json"),
        payload("error_internal_500_003_1001.json", 500),
        payload("fault_spike_arrest_429.json", 429),
        httpx.ReadTimeout(""),
        httpx.ConnectError(""),
    ],
)
async def test_a_registration_without_an_answer_may_be_repeated(answer: httpx.Response | Exception) -> None:
    """Registering twice does no harm, so that no answer is never an unknown outcome."""
    with pytest.raises(UnavailableError):
        await DarajaWire(answer).client.register_pull(NOMINATED, ADDRESS)


async def test_an_address_against_the_rules_is_not_sent() -> None:
    """Safaricom's forbidden words are found here."""
    wire = DarajaWire(payload("pull_registered_1000.json"))
    with pytest.raises(InvalidError) as caught:
        await wire.client.register_pull(NOMINATED, "https://pay.example.com/mpesa")
    assert caught.value.field == "callback_url"
    assert (wire.tokens, wire.requests) == (0, [])


# --- any answer

# As in the tests of callbacks: with what likes to go wrong, such as half a surrogate pair.
LETTERS = "".join(map(chr, range(127))) + "\x85\xa0é\u0661\uff10\u2028\ud800\udfff\ufeff😀"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(LETTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(LETTERS, max_size=8), inner, max_size=4),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "transactionId": st.sampled_from(["UGFMXB3GR6", "ugfmxb3gr7", 12345678]) | JSON_VALUES,
        "trxDate": st.sampled_from(["2026-11-21T08:30:00Z", "2099-12-31T23:59:59-23:59", "2000-01-01T00:00Z"])
        | JSON_VALUES,
        "msisdn": st.sampled_from([254722000000, "2547 *** 126"]) | JSON_VALUES,
        "transactiontype": st.just("c2b-pay-bill-debit") | JSON_VALUES,
        "billreference": JSON_VALUES,
        "amount": st.sampled_from(["168.00", 5, 0.1]) | JSON_VALUES,
    },
)
ROW_LISTS = st.recursive(ROWS | JSON_VALUES, lambda inner: st.lists(inner, max_size=4), max_leaves=6)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "ResponseCode": st.sampled_from(["1000", "1001", 1000]) | JSON_VALUES,
        "Response": ROW_LISTS,
        "Transaction": ROW_LISTS | ROW_LISTS.map(json.dumps),
        "errorCode": JSON_VALUES,
    },
)


@given(st.lists(ANSWERS | JSON_VALUES, min_size=1, max_size=3), st.sampled_from([200, 200, 200, 404, 500]))
async def test_no_answer_breaks_a_pull(answers: list[object], status: int) -> None:
    """It gives records that hold, or one of the errors promised."""
    wire = DarajaWire(*[httpx.Response(status, content=json.dumps(answer)) for answer in answers], page())
    try:
        records = await pulled(wire)
    except (UnavailableError, RefusedError):
        return
    assert len(set(receipts(records))) == len(records)
    for record in records:
        assert record.amount.cents > 0
        assert record.mpesa_receipt_number.isascii()
        assert record.paid_at is None or record.paid_at.tzinfo is UTC
        assert len(record.raw) <= 4096
        record.account.encode()


@given(ANSWERS | JSON_VALUES, st.sampled_from([200, 200, 400, 500]))
async def test_no_answer_breaks_a_registration(answer: object, status: int) -> None:
    """It passes, or raises one of the errors promised."""
    wire = DarajaWire(httpx.Response(status, content=json.dumps(answer)))
    try:
        await wire.client.register_pull(NOMINATED, ADDRESS)
    except (UnavailableError, RefusedError):
        return
    assert status == 200


def test_rows_nested_without_end_are_read_or_counted() -> None:
    """Depth breaks nothing, neither of the lists around a row nor of a value in it."""
    deep: Any = read_json("[" * 900 + "1" + "]" * 900)
    pulled_rows = read_rows([row(1), row(2, padding=deep)], WINDOW)
    assert len(pulled_rows.records) + pulled_rows.unreadable == 2
    assert pulled_rows.records[0].mpesa_receipt_number == "UGFM000001"


async def test_lists_nested_deep_around_rows_are_flattened() -> None:
    """Any depth JSON can be read to."""
    content = b'{"ResponseCode": "1000", "Response": ' + b"[" * 800 + json.dumps(row(1)).encode() + b"]" * 800 + b"}"
    assert receipts(await pulled(DarajaWire(httpx.Response(200, content=content), page()))) == ["UGFM000001"]
