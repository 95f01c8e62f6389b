from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.domain.payments import EvidenceSource, Outcome, Reason, StkPush
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import EdgeError, InvalidError, OutcomeUnknownError, RefusedError, UnavailableError
from easyisp_edge.machine import ClockState
from tests.fakes.daraja_wire import PAYLOADS, payload

if TYPE_CHECKING:
    from collections.abc import Callable

PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
PUSH_ID = "ws_CO_1007202409152617172396192"
PUSH = StkPush(
    phone=Msisdn("254717239619"),
    amount=Money.shillings(50),
    account_reference="K7M4Q2XW9P",
    description="1 hour",
    callback_url="https://pay.example.com/c/9f2b6c04d1e83a57",
)
PAYBILL = DarajaAccount.paybill("174379", SecretStr(PASSKEY))
DEAD_TOKENS = [
    (404, "error_invalid_access_token_404_001_03.json"),
    (401, "error_invalid_access_token_401_002_01.json"),
    (400, "error_invalid_access_token_400_003_01.json"),
    (401, "error_invalid_access_token_401_003_01.json"),
    (401, "error_invalid_access_token_401_001.json"),
    (200, "error_invalid_access_token_404_001_03.json"),
    (404, "error_invalid_authentication_header_404_001_04.json"),
    (401, "fault_invalid_access_token_401.json"),
    (401, "fault_access_token_expired_401.json"),
    (401, ""),
]


class SetClock:
    """Shows what the test sets; sleeping moves it on at once."""

    def __init__(self) -> None:
        self.state = ClockState.SYNCED
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2021, 6, 28, 6, 24, 8, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


class Gateway:
    """Daraja as far as one test needs it: hands out tokens, plays its answers in turn, the last one for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.clock = SetClock()
        self.answers = list(answers)
        self.token_answer: Callable[[], httpx.Response | Exception] | None = None
        self.tokens = 0
        self.token_asked = asyncio.Event()
        self.posts: list[httpx.Request] = []
        self.posted_at: list[float] = []
        self.app = DarajaApp(
            consumer_key=SecretStr(" key\n"),
            consumer_secret=SecretStr("secret "),
            base_url="https://daraja.test/",
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._handle)),
            clock=self.clock,
        )
        self.client = DarajaClient(self.app, PAYBILL)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._give_token(request)
        self.posts.append(request)
        self.posted_at.append(self.clock.seconds)
        return self._play(self.answers[min(len(self.posts), len(self.answers)) - 1])

    async def _give_token(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://daraja.test/oauth/v1/generate?grant_type=client_credentials"
        assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"key:secret").decode()
        self.tokens += 1
        self.token_asked.set()
        number = self.tokens
        await asyncio.sleep(0)
        if self.token_answer is not None:
            return self._play(self.token_answer())
        return httpx.Response(200, json={"access_token": f"token{number}", "expires_in": "3599"})

    @staticmethod
    def _play(answer: httpx.Response | Exception) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def body(self, at: int = -1) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.posts[at].content)
        return body


# --- the push


async def test_an_accepted_push_gives_its_ids() -> None:
    """Accepted: both ids and the raw answer come back."""
    gateway = Gateway(payload("push_accepted.json"))
    accepted = await gateway.client.stk_push(PUSH)
    assert accepted.checkout_request_id == PUSH_ID
    assert accepted.merchant_request_id == "2654-4b64-97ff-b827b542881d3130"
    assert accepted.raw == (PAYLOADS / "push_accepted.json").read_bytes()


async def test_a_push_says_what_is_documented() -> None:
    """Codes and phones go as text, the amount as a whole number, signed with the published test vector."""
    gateway = Gateway(payload("push_accepted.json"))
    await gateway.client.stk_push(PUSH)
    assert gateway.posts[0].url.path == "/mpesa/stkpush/v1/processrequest"
    assert gateway.posts[0].headers["Authorization"] == "Bearer token1"
    assert gateway.posts[0].headers["Content-Type"] == "application/json"
    assert gateway.body() == {
        "BusinessShortCode": "174379",
        "Password": (
            "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjEwNjI4"
            "MDkyNDA4"
        ),
        "Timestamp": "20210628092408",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 50,
        "PartyA": "254717239619",
        "PartyB": "174379",
        "PhoneNumber": "254717239619",
        "CallBackURL": "https://pay.example.com/c/9f2b6c04d1e83a57",
        "AccountReference": "K7M4Q2XW9P",
        "TransactionDesc": "1 hour",
    }


async def test_a_till_is_paid_on_its_stores_signature() -> None:
    """Buy Goods: the store number signs, the till receives."""
    gateway = Gateway(payload("push_accepted.json"))
    account = DarajaAccount.buy_goods("600123", "5123456", SecretStr("pass"))
    await replace(gateway.client, account=account).stk_push(PUSH)
    body = gateway.body()
    assert (body["BusinessShortCode"], body["PartyB"]) == ("600123", "5123456")
    assert body["TransactionType"] == "CustomerBuyGoodsOnline"
    assert body["AccountReference"] == PUSH.account_reference
    assert base64.b64decode(body["Password"]).decode() == "600123pass" + body["Timestamp"]


async def test_a_bank_is_paid_for_its_account_number() -> None:
    """Bank: the own short code signs, the bank's PayBill receives, the account number is sent whole."""
    gateway = Gateway(payload("push_accepted.json"))
    account = DarajaAccount.bank("600123", "247247", "0322417860001", SecretStr("pass"))
    await replace(gateway.client, account=account).stk_push(PUSH)
    body = gateway.body()
    assert (body["BusinessShortCode"], body["PartyB"]) == ("600123", "247247")
    assert (body["TransactionType"], body["AccountReference"]) == ("CustomerPayBillOnline", "0322417860001")


@pytest.mark.parametrize(
    ("status", "name", "reason"),
    [
        (500, "error_subscriber_locked_500_001_1001.json", Reason.PROMPT_OPEN),
        (500, "error_other_case_500_001_1001.json", Reason.PROMPT_OPEN),
        (500, "error_wrong_credentials_500_001_1001.json", Reason.CONFIGURATION),
        (500, "error_no_merchant_500_001_1001.json", Reason.CONFIGURATION),
        (400, "error_invalid_short_code_400_002_02.json", Reason.CONFIGURATION),
        (400, "error_invalid_callback_url_400_002_02.json", Reason.CONFIGURATION),
        (400, "error_invalid_phone_400_002_02.json", Reason.NOT_REGISTERED),
        (400, "error_invalid_amount_400_002_02.json", Reason.AMOUNT_LIMIT),
        (400, "error_invalid_payload_400_002_05.json", Reason.CONFIGURATION),
        (200, "error_invalid_payload_400_002_05.json", Reason.CONFIGURATION),
        (404, "error_not_found_404_001_01.json", Reason.CONFIGURATION),
        (405, "error_method_405_001.json", Reason.CONFIGURATION),
        (401, "fault_no_apiproduct_401.json", Reason.CONFIGURATION),
        (200, "push_rejected_response_code_1.json", Reason.SYSTEM),
    ],
)
async def test_a_certain_no_is_refused_with_its_reason(status: int, name: str, reason: Reason) -> None:
    """What excludes a prompt and does not pass by waiting is refused, after one request."""
    gateway = Gateway(payload(name, status))
    with pytest.raises(RefusedError) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.code == reason
    assert len(gateway.posts) == 1


@pytest.mark.parametrize(
    ("status", "name", "seconds"),
    [
        (429, "fault_spike_arrest_429.json", 12),
        (429, "fault_quota_429.json", 60),
        (429, "firewall.html", 12),
        (429, "", 12),
        (500, "error_busy_500_003_02.json", 12),
        (500, "error_spike_arrest_500_003_02.json", 12),
        (500, "error_quota_500_003_03.json", 60),
        (200, "error_busy_500_003_02.json", 12),
    ],
)
async def test_a_throttled_push_is_unavailable(status: int, name: str, seconds: float) -> None:
    """Too busy: nothing was sent to the phone, and the error says how long to wait."""
    gateway = Gateway(payload(name, status))
    with pytest.raises(UnavailableError) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.code == Reason.BUSY
    assert caught.value.retry_after_seconds == seconds
    assert len(gateway.posts) == 1


async def test_a_longer_wait_that_is_asked_for_is_heard() -> None:
    """Retry-After counts where it is longer than the usual wait."""
    gateway = Gateway(payload("fault_spike_arrest_429.json", 429, **{"Retry-After": "90"}))
    with pytest.raises(UnavailableError) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.retry_after_seconds == 90


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (500, "error_internal_500_003_1001.json"),
        (500, "error_maintenance_500_002_1001.json"),
        (500, "error_being_processed_500_001_1001.json"),
        (500, "error_other_500_001_1001.json"),
        (500, ""),
        (502, "bad_gateway.html"),
        (503, "firewall.html"),
        (403, "firewall.html"),
        (401, "firewall.html"),
        (200, "firewall.html"),
        (200, ""),
        (302, ""),
        (500, "push_accepted.json"),
        (200, "push_accepted_without_id.json"),
        (200, "push_rejected_with_id.json"),
        (200, "token.json"),
    ],
)
async def test_an_answer_that_excludes_nothing_is_unknown(status: int, name: str) -> None:
    """Whatever does not exclude a prompt leaves the outcome unknown, and is not sent again."""
    gateway = Gateway(payload(name, status))
    with pytest.raises(OutcomeUnknownError):
        await gateway.client.stk_push(PUSH)
    assert len(gateway.posts) == 1


@pytest.mark.parametrize("body", [b"null", b"[]", b'"0"', b'{"ResponseCode": "0"', b"\xff\xfe", b"[" * 100_000])
async def test_junk_with_status_200_is_unknown(body: bytes) -> None:
    """Success in the status line proves nothing."""
    gateway = Gateway(httpx.Response(200, content=body))
    with pytest.raises(OutcomeUnknownError):
        await gateway.client.stk_push(PUSH)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("Name or service not known"),
        httpx.ConnectError("certificate verify failed"),
        httpx.ConnectTimeout(""),
        httpx.PoolTimeout(""),
        httpx.ProxyError("407"),
    ],
)
async def test_what_was_not_sent_is_unavailable(error: Exception) -> None:
    """A failure before the request was written leaves nothing behind."""
    gateway = Gateway(error)
    with pytest.raises(UnavailableError) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.code == Reason.UNREACHABLE


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout(""),
        httpx.WriteTimeout(""),
        httpx.ReadError(""),
        httpx.WriteError(""),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.DecodingError("bad gzip"),
        ConnectionResetError(),
    ],
)
async def test_what_may_have_been_sent_is_unknown(error: Exception) -> None:
    """A failure once writing began leaves the outcome unknown."""
    gateway = Gateway(error)
    with pytest.raises(OutcomeUnknownError):
        await gateway.client.stk_push(PUSH)
    assert len(gateway.posts) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": Money.shillings(0)}, "amount"),
        ({"amount": Money.shillings(250_001)}, "amount"),
        ({"amount": Money(150)}, None),
        ({"account_reference": ""}, "account_reference"),
        ({"account_reference": "A" * 13}, "account_reference"),
        ({"account_reference": "A-1"}, "account_reference"),
        ({"description": " "}, "description"),
        ({"description": "D" * 14}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"callback_url": "pay.example.com/c"}, "callback_url"),
        ({"callback_url": "ftp://pay.example.com/c"}, "callback_url"),
        ({"callback_url": "https://pay.example.com/a b"}, "callback_url"),
        ({"callback_url": "https:///c"}, "callback_url"),
        ({"callback_url": "https://pay.example.com:99999/c"}, "callback_url"),
        ({"callback_url": "https://pay.example.com/MPesa/c"}, "callback_url"),
        ({"callback_url": "https://pay.example.com/c/aEXEb"}, "callback_url"),
    ],
)
async def test_a_push_against_the_rules_is_not_sent(change: dict[str, Any], field: str | None) -> None:
    """Documented limits are checked here: not even a token is asked for."""
    gateway = Gateway(payload("push_accepted.json"))
    with pytest.raises(InvalidError) as caught:
        await gateway.client.stk_push(replace(PUSH, **change))
    assert caught.value.field == field
    assert (gateway.tokens, gateway.posts) == (0, [])


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: DarajaAccount.paybill("1743", SecretStr("p")), "business_shortcode"),
        (lambda: DarajaAccount.buy_goods("600123", "till", SecretStr("p")), "party_b"),
        (lambda: DarajaAccount.bank("600123", "247247", "", SecretStr("p")), "account_number"),
        (lambda: DarajaAccount.bank("600123", "247247", "0322 4178", SecretStr("p")), "account_number"),
    ],
)
def test_an_account_that_cannot_be_right_is_invalid(make: Callable[[], object], field: str) -> None:
    """Numbers are held against their shape when the account is made."""
    with pytest.raises(InvalidError) as caught:
        make()
    assert caught.value.field == field


# --- the token


@pytest.mark.parametrize(("status", "name"), DEAD_TOKENS)
async def test_a_dead_token_is_renewed_once_and_the_push_repeated(status: int, name: str) -> None:
    """Every dialect of a dead token means: nothing happened, ask for a new one, try again."""
    gateway = Gateway(payload(name, status), payload("push_accepted.json"))
    accepted = await gateway.client.stk_push(PUSH)
    assert accepted.checkout_request_id == PUSH_ID
    assert [post.headers["Authorization"] for post in gateway.posts] == ["Bearer token1", "Bearer token2"]


@pytest.mark.parametrize(("status", "name"), DEAD_TOKENS)
async def test_a_token_that_stays_dead_is_a_matter_of_configuration(status: int, name: str) -> None:
    """Two refusals in a row: no third try, and the operator is told what to check."""
    gateway = Gateway(payload(name, status))
    with pytest.raises(RefusedError) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.code == Reason.CONFIGURATION
    for cause in ("environment", "product", "go-live", "other machine"):
        assert cause in caught.value.message
    assert (gateway.tokens, len(gateway.posts)) == (2, 2)


async def test_after_a_missing_product_a_new_token_is_asked_for() -> None:
    """A token made before the product was added never works: the next call brings its own."""
    gateway = Gateway(payload("fault_no_apiproduct_401.json", 401), payload("push_accepted.json"))
    with pytest.raises(RefusedError):
        await gateway.client.stk_push(PUSH)
    await gateway.client.stk_push(PUSH)
    assert gateway.posts[-1].headers["Authorization"] == "Bearer token2"


async def test_one_token_for_twenty_who_ask_at_once() -> None:
    """However many wait, one request is made and all get its token."""
    gateway = Gateway()
    assert await asyncio.gather(*(gateway.app.token() for _ in range(20))) == ["token1"] * 20
    assert gateway.tokens == 1


async def test_a_token_too_short_lived_to_keep_still_serves_all_who_waited() -> None:
    """A life shorter than the margin does not make each waiter ask for its own."""
    gateway = Gateway()
    gateway.token_answer = lambda: httpx.Response(200, json={"access_token": "brief", "expires_in": 5})
    assert await asyncio.gather(*(gateway.app.token() for _ in range(20))) == ["brief"] * 20
    assert gateway.tokens == 1


async def test_those_who_wait_share_a_failure_and_the_next_tries_again() -> None:
    """Twenty waiters do not queue up twenty time-outs; whoever comes later gets a new try."""
    gateway = Gateway()
    gateway.token_answer = lambda: payload("", 400)
    failures = await asyncio.gather(*(gateway.app.token() for _ in range(20)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {RefusedError}
    assert gateway.tokens == 1
    gateway.token_answer = None
    assert await gateway.app.token() == "token2"


async def test_a_cancelled_request_for_a_token_leaves_the_next_in_charge() -> None:
    """When the one who asks is cancelled, a waiter asks anew."""
    gateway = Gateway()
    first, second = (asyncio.ensure_future(gateway.app.token()) for _ in range(2))
    await gateway.token_asked.wait()
    first.cancel()
    assert await second == "token2"
    assert first.cancelled()


async def test_twenty_dead_tokens_are_one_new_token() -> None:
    """Calls that find the same token dead share its successor."""
    gateway = Gateway()
    await gateway.app.token()
    assert await asyncio.gather(*(gateway.app.token(dead="token1") for _ in range(20))) == ["token2"] * 20
    assert await gateway.app.token(dead="token1") == "token2"


async def test_a_token_is_renewed_before_its_end() -> None:
    """It is used until 90 seconds before it ends, by the clock that never jumps."""
    gateway = Gateway()
    await gateway.app.token()
    gateway.clock.seconds = 3599 - 90 - 1
    assert await gateway.app.token() == "token1"
    gateway.clock.seconds = 3599 - 90
    assert await gateway.app.token() == "token2"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (payload("", 400), RefusedError, Reason.CONFIGURATION),
        (payload("token_error_invalid_authentication_400.json", 400), RefusedError, Reason.CONFIGURATION),
        (payload("", 401), RefusedError, Reason.CONFIGURATION),
        (payload("firewall.html", 400), UnavailableError, Reason.UNREACHABLE),
        (payload("firewall.html", 403), UnavailableError, Reason.UNREACHABLE),
        (payload("firewall.html", 200), UnavailableError, Reason.UNREACHABLE),
        (payload("bad_gateway.html", 502), UnavailableError, Reason.UNREACHABLE),
        (payload("error_internal_500_003_1001.json", 500), UnavailableError, Reason.UNREACHABLE),
        (payload("fault_spike_arrest_429.json", 429), UnavailableError, Reason.BUSY),
        (httpx.Response(200, json={"access_token": ""}), UnavailableError, Reason.UNREACHABLE),
        (httpx.Response(200, json={"access_token": "two words"}), UnavailableError, Reason.UNREACHABLE),
        (httpx.ReadTimeout(""), UnavailableError, Reason.UNREACHABLE),
        (httpx.ConnectError(""), UnavailableError, Reason.UNREACHABLE),
    ],
)
async def test_without_a_token_nothing_is_sent(
    answer: httpx.Response | Exception, kind: type[EdgeError], code: Reason
) -> None:
    """A push that gets no token never leaves; a wrong key is told apart from an outage."""
    gateway = Gateway(payload("push_accepted.json"))
    gateway.token_answer = lambda: answer
    with pytest.raises(kind) as caught:
        await gateway.client.stk_push(PUSH)
    assert caught.value.code == code
    assert gateway.posts == []


async def test_a_box_without_the_time_signs_by_darajas() -> None:
    """Unset clock: the date of the token answer, and what has passed since, makes the timestamp."""
    gateway = Gateway(payload("push_accepted.json"))
    gateway.clock.state = ClockState.UNSET
    gateway.token_answer = lambda: payload("token.json", Date="Tue, 24 Nov 2026 20:59:50 GMT")
    await gateway.app.token()
    gateway.clock.seconds += 15
    await gateway.client.stk_push(PUSH)
    assert gateway.body()["Timestamp"] == "20261125000005"


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 20:59:50 -0000"])
async def test_without_any_time_the_box_signs_by_its_own(date: str) -> None:
    """Unset clock and no usable date: the box's time is the best there is."""
    gateway = Gateway(payload("push_accepted.json"))
    gateway.clock.state = ClockState.UNSET
    gateway.token_answer = lambda: payload("token.json", Date=date)
    await gateway.client.stk_push(PUSH)
    assert gateway.body()["Timestamp"] == "20210628092408"


# --- the query


async def test_a_query_says_what_is_documented() -> None:
    """The query is signed freshly and names the push."""
    gateway = Gateway(payload("query_paid_0.json"))
    await gateway.client.stk_query(PUSH_ID)
    assert gateway.posts[0].url.path == "/mpesa/stkpushquery/v1/query"
    body = gateway.body()
    assert set(body) == {"BusinessShortCode", "Password", "Timestamp", "CheckoutRequestID"}
    assert (body["BusinessShortCode"], body["Timestamp"]) == ("174379", "20210628092408")
    assert body["CheckoutRequestID"] == PUSH_ID


@pytest.mark.parametrize(
    ("status", "name", "outcome", "reason"),
    [
        (200, "query_paid_0.json", Outcome.PAID, None),
        (200, "query_paid_number_0.json", Outcome.PAID, None),
        (200, "query_cancelled_1032.json", Outcome.NOT_PAID, Reason.CANCELLED),
        (200, "query_no_answer_1037.json", Outcome.NOT_PAID, Reason.NO_ANSWER),
        (200, "query_pending_4999.json", Outcome.UNKNOWN, None),
        (200, "query_unlisted_7777.json", Outcome.UNKNOWN, None),
        (200, "query_paid_for_another_push.json", Outcome.UNKNOWN, None),
        (200, "query_paid_but_not_understood.json", Outcome.UNKNOWN, None),
        (500, "error_being_processed_500_001_1001.json", Outcome.UNKNOWN, None),
        (200, "error_being_processed_500_001_1001.json", Outcome.UNKNOWN, None),
        (400, "error_invalid_checkout_request_id_400_002_02.json", Outcome.UNKNOWN, None),
    ],
)
async def test_a_query_reports(status: int, name: str, outcome: Outcome, reason: Reason | None) -> None:
    """Pending in any shape, unlisted codes and answers about another push are unknown; the rest is as it says."""
    gateway = Gateway(payload(name, status))
    report = await gateway.client.stk_query(PUSH_ID)
    assert (report.outcome, report.reason) == (outcome, reason)
    assert report.source is EvidenceSource.STK_QUERY
    assert report.checkout_request_id == PUSH_ID
    assert (report.amount, report.mpesa_receipt_number, report.phone, report.paid_at) == (None, None, None, None)
    assert report.raw == (PAYLOADS / name).read_bytes()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (payload("fault_spike_arrest_429.json", 429), Reason.BUSY),
        (payload("error_busy_500_003_02.json", 500), Reason.BUSY),
        (payload("firewall.html", 200), Reason.UNREACHABLE),
        (payload("firewall.html", 503), Reason.UNREACHABLE),
        (payload("", 500), Reason.UNREACHABLE),
        (payload("error_internal_500_003_1001.json", 500), Reason.UNREACHABLE),
        (payload("error_maintenance_500_002_1001.json", 500), Reason.UNREACHABLE),
        (payload("error_other_500_001_1001.json", 500), Reason.UNREACHABLE),
        (payload("error_subscriber_locked_500_001_1001.json", 500), Reason.UNREACHABLE),
        (payload("query_without_result_code.json"), Reason.UNREACHABLE),
        (payload("query_paid_0.json", 500), Reason.UNREACHABLE),
        (httpx.ReadTimeout(""), Reason.UNREACHABLE),
        (httpx.RemoteProtocolError(""), Reason.UNREACHABLE),
        (httpx.ConnectError(""), Reason.UNREACHABLE),
    ],
)
async def test_a_query_without_an_answer_may_be_asked_again(answer: httpx.Response | Exception, code: Reason) -> None:
    """No word about the push: unavailable, however far the question got, and nothing is repeated here."""
    gateway = Gateway(answer)
    with pytest.raises(UnavailableError) as caught:
        await gateway.client.stk_query(PUSH_ID)
    assert caught.value.code == code
    assert len(gateway.posts) == 1


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (500, "error_wrong_credentials_500_001_1001.json"),
        (500, "error_no_merchant_500_001_1001.json"),
        (400, "error_invalid_short_code_400_002_02.json"),
        (401, "fault_no_apiproduct_401.json"),
        (404, "error_invalid_access_token_404_001_03.json"),
    ],
)
async def test_a_query_refused_for_the_set_up_is_not_pending(status: int, name: str) -> None:
    """Refusals for the owner's set-up share codes with pending ones and are told apart."""
    gateway = Gateway(payload(name, status))
    with pytest.raises(RefusedError) as caught:
        await gateway.client.stk_query(PUSH_ID)
    assert caught.value.code == Reason.CONFIGURATION


async def ask(client: DarajaClient) -> None:
    await client.query_turn()
    await client.stk_query(PUSH_ID)


async def test_all_gateways_of_an_app_share_the_pace_of_queries() -> None:
    """Queries of two gateways with the same key leave twelve seconds apart; pushes do not wait."""
    gateway = Gateway(payload("query_pending_4999.json"))
    other = replace(gateway.client, account=DarajaAccount.paybill("600123", SecretStr("p")))
    for client in (gateway.client, other, gateway.client):
        await ask(client)
    assert gateway.posted_at == pytest.approx([0, 12.6, 25.2])
    gateway.answers = [payload("push_accepted.json")]
    await gateway.client.stk_push(PUSH)
    assert gateway.posted_at[-1] == pytest.approx(25.2)


async def test_the_pace_counts_from_when_a_query_leaves() -> None:
    """A query held up by the request for a token does not have the next one at its heels."""
    gateway = Gateway(payload("query_pending_4999.json"))

    def slow_token() -> httpx.Response:
        gateway.clock.seconds += 10
        return payload("token.json")

    gateway.token_answer = slow_token
    await ask(gateway.client)
    await ask(gateway.client)
    assert gateway.posted_at == pytest.approx([10, 22.6])


async def test_a_throttled_query_slows_the_pace_until_answers_come_again() -> None:
    """A refusal for asking too often doubles the distance; answers shorten it again."""
    gateway = Gateway(payload("fault_spike_arrest_429.json", 429), payload("query_pending_4999.json"))
    with pytest.raises(UnavailableError):
        await ask(gateway.client)
    assert gateway.app._pace.interval_seconds == pytest.approx(25.2)
    await ask(gateway.client)
    assert gateway.posted_at == pytest.approx([0, 25.2])
    assert gateway.app._pace.interval_seconds == pytest.approx(22.68)


async def test_a_query_repeated_for_a_dead_token_takes_another_turn() -> None:
    """The repetition is a query too and waits like one."""
    gateway = Gateway(payload("error_invalid_access_token_404_001_03.json", 404), payload("query_paid_0.json"))
    assert (await gateway.client.stk_query(PUSH_ID)).outcome is Outcome.PAID
    assert gateway.posted_at == pytest.approx([0, 12.6])


# --- what people get to read


async def test_errors_show_no_secrets_and_no_phone_numbers() -> None:
    """A party that echoes our request does not bring token, password or phone into a log."""
    gateway = Gateway(httpx.Response(200, text="placeholder"))

    async def echo(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"access_token": "verysecrettoken"})
        text = f"<p>{request.headers['Authorization']} {request.content.decode()} {PUSH_ID} 0717239619</p>" + "x" * 900
        return httpx.Response(500, html=text)

    gateway.app._http = httpx.AsyncClient(transport=httpx.MockTransport(echo))
    with pytest.raises(OutcomeUnknownError) as caught:
        await gateway.client.stk_push(PUSH)
    message = caught.value.message
    signed = base64.b64encode(f"174379{PASSKEY}20210628092408".encode()).decode()
    for secret in ("verysecrettoken", signed, "717239619", "172396192"):
        assert secret not in message
    assert "HTTP 500, text/html: <p>Bearer •••" in message
    assert len(message) < 700


def test_an_account_does_not_show_its_passkey() -> None:
    """Neither the account nor a signature prints its secret."""
    shown = repr(PAYBILL) + repr(PAYBILL.sign(datetime(2026, 1, 1, tzinfo=UTC)))
    assert PASSKEY not in shown
    assert "20260101030000" in shown
    assert "password" not in shown
