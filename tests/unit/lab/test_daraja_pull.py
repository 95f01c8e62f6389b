from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja import (
    SANDBOX_MERCHANT,
    DarajaOptions,
    EmptyForm,
    Fault,
    Merchant,
    MerchantKind,
    Payer,
    PullHandling,
    PullMethods,
    PullMsisdn,
    ReceiverKind,
    TillRows,
    TrxZone,
)
from tests.fakes.daraja_stage import PHONE, TIMESTAMP, Stage, daraja_stage

PAYBILL = SANDBOX_MERCHANT.short_code
STORE = Merchant("600100", "passkey", "lab-key", "lab-secret", "JUA CAFE", MerchantKind.BUYGOODS, till="512345")
SECOND_TILL = replace(STORE, till="512346", name="JUA TWO")
NOTHING = "No records found or Organization Name not available"


def pulling(**handling: Any) -> DarajaOptions:
    return replace(DarajaOptions.unhurried(), pull=PullHandling(**handling))


async def test_registration_is_once_and_then_known() -> None:
    """1000 the first time, 1001 ever after, both with HTTP 200 and the short code."""
    async with daraja_stage() as stage:
        answers = [await stage.register_pull() for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert [answer.body["ResponseStatus"] for answer in answers] == ["1000", "1001", "1001"]
        assert set(answers[0].body) == {"ResponseRefID", "ResponseStatus", "ShortCode", "ResponseDescription"}
        assert answers[0].body["ShortCode"] == PAYBILL
        assert answers[0].body["ResponseDescription"] == "Shortcode Registered Successfully"
        assert stage.lab.pull_registered == {PAYBILL}


async def test_registration_may_answer_with_blanks_in_its_keys() -> None:
    """As the live sandbox does."""
    async with daraja_stage(pulling(spaced_keys=True)) as stage:
        body = (await stage.register_pull()).body
        assert set(body) == {"Response RefID", "Response Status", "ShortCode", "Response Description"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ShortCode": "999999"}, "400.001"),
        ({"ShortCode": ""}, "400.001"),
        ({"RequestType": "pull"}, "400.002.02"),
        ({"NominatedNumber": "12"}, "400.002.02"),
        ({"CallBackURL": "http://hub.easyisp.co.ke/p"}, "400.002.02"),
        ({"CallBackURL": "https://hub.easyisp.co.ke/mpesa"}, "400.002.02"),
    ],
)
async def test_registrations_that_are_refused(wrong: dict[str, str], code: str) -> None:
    """A short code of somebody else, another request type, no number, an address Daraja would not call."""
    async with daraja_stage() as stage:
        assert (await stage.register_pull(**wrong)).error[:2] == (400, code)
        assert stage.lab.pull_registered == set()
        assert (await stage.register_pull(NominatedNumber="0722000000")).body["ResponseStatus"] == "1000"


async def test_a_row_of_a_paybill() -> None:
    """Paid from the menu: what the payer typed is the reference; the rows lie in a list inside a list."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        debit = await stage.lab.pay_bill(PHONE, PAYBILL, "ab3 k9", 168)
        answer = await stage.pull()
        assert answer.status == 200
        assert set(answer.body) == {"ResponseRefID", "ResponseCode", "ResponseMessage", "Response"}
        assert (answer.body["ResponseCode"], answer.body["ResponseMessage"]) == ("1000", "Success")
        assert answer.body["Response"] == [
            [
                {
                    "transactionId": debit.receipt,
                    "trxDate": "2026-11-21T09:00:00+03:00",
                    "msisdn": 254708374149,
                    "sender": "MPESA",
                    "transactiontype": "c2b-pay-bill-debit",
                    "billreference": "ab3 k9",
                    "amount": "168.00",
                    "organizationname": "EASYISP LAB",
                }
            ]
        ]


async def test_a_push_is_a_row_with_its_account_reference() -> None:
    """The same receipt as in the callback; a push that failed leaves none."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        await stage.lab.act(await stage.pushed(), Payer.PIN)
        await stage.lab.act(await stage.pushed(), Payer.CANCEL)
        (row,) = await stage.rows()
        assert (row["transactionId"], row["billreference"]) == (stage.lab.debits[0].receipt, "ABC123")


def push_to(store: Merchant) -> dict[str, Any]:
    return {
        "BusinessShortCode": store.short_code,
        "Password": store.password(TIMESTAMP),
        "TransactionType": "CustomerBuyGoodsOnline",
        "PartyB": store.till,
    }


@pytest.mark.parametrize(
    ("till_rows", "under_store", "under_till"),
    [(TillRows.STORE, 2, 0), (TillRows.TILL, 0, 2), (TillRows.BOTH, 2, 2)],
)
async def test_rows_of_a_till(till_rows: TillRows, under_store: int, under_till: int) -> None:
    """By push or menu: no reference, whatever the push said; under the store's number, the till's, or both."""
    async with daraja_stage(pulling(till_rows=till_rows), merchants=(STORE,)) as stage:
        for number in (STORE.short_code, STORE.till):
            assert (await stage.register_pull(ShortCode=number)).body["ResponseStatus"] == "1000"
        await stage.lab.act(await stage.pushed(**push_to(STORE)), Payer.PIN)
        await stage.lab.pay_till(PHONE, STORE.till, 30)
        for number, expected in ((STORE.short_code, under_store), (STORE.till, under_till)):
            rows = await stage.rows(ShortCode=number)
            assert len(rows) == expected
            assert all(row["transactiontype"] == "c2b-buy-goods-debit" for row in rows)
            assert all(row["billreference"] == "" for row in rows)


async def test_tills_of_one_store_keep_their_rows_apart() -> None:
    """Under the store all of them, each under its own name; under a till its own only."""
    async with daraja_stage(pulling(till_rows=TillRows.BOTH), merchants=(STORE, SECOND_TILL)) as stage:
        for number in (STORE.short_code, STORE.till, SECOND_TILL.till):
            await stage.register_pull(ShortCode=number)
        await stage.lab.pay_till(PHONE, STORE.till, 10)
        await stage.lab.pay_till(PHONE, SECOND_TILL.till, 20)
        names = {
            number: [(row["organizationname"], row["amount"]) for row in await stage.rows(ShortCode=number)]
            for number in (STORE.short_code, STORE.till, SECOND_TILL.till)
        }
        assert names == {
            STORE.short_code: [("JUA CAFE", "10.00"), ("JUA TWO", "20.00")],
            STORE.till: [("JUA CAFE", "10.00")],
            SECOND_TILL.till: [("JUA TWO", "20.00")],
        }


async def test_a_tills_reference_may_be_missing_altogether() -> None:
    """While a PayBill's is always there."""
    async with daraja_stage(pulling(no_till_reference=True), merchants=(STORE, SANDBOX_MERCHANT)) as stage:
        await stage.register_pull()
        await stage.register_pull(ShortCode=PAYBILL)
        await stage.lab.pay_till(PHONE, STORE.till, 10)
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 10)
        assert "billreference" not in (await stage.rows())[0]
        assert (await stage.rows(ShortCode=PAYBILL))[0]["billreference"] == "A"


@pytest.mark.parametrize(
    ("handling", "key", "value"),
    [
        ({"zone": TrxZone.MISLABELLED_Z}, "trxDate", "2026-11-21T09:00:00Z"),
        ({"msisdn": PullMsisdn.NINE_DIGITS}, "msisdn", 708374149),
        ({"msisdn": PullMsisdn.MASKED}, "msisdn", "25470****149"),
        ({"payer_names": True}, "sender", "JANE DOE"),
        ({"amount_as_number": True}, "amount", 168),
    ],
)
async def test_the_spellings_of_a_row(handling: dict[str, Any], key: str, value: object) -> None:
    """Each disputed key in its other form, the rest of the row as usual."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        stage.lab.set_name(PHONE, "JANE DOE")
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 168)
        (usual,) = await stage.rows()
        stage.lab.set_pull(PullHandling(**handling))
        assert await stage.rows() == [usual | {key: value}]


@pytest.mark.parametrize("depth", [1, 2, 4])
async def test_lists_nest_as_deep_as_chosen(depth: int) -> None:
    """The rows lie under that many lists, no more and no less."""
    async with daraja_stage(pulling(nesting=depth, request_id=True)) as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        body = (await stage.pull()).body
        assert "RequestID" in body
        assert "ResponseRefID" not in body
        found = body["Response"]
        for _ in range(depth):
            assert isinstance(found, list)
            (found,) = found
        assert found["amount"] == "1.00"


async def test_pages_are_cut_by_row_offset() -> None:
    """Oldest first; every row once, wherever the offset falls; past the end nothing."""
    async with daraja_stage(pulling(page_rows=2)) as stage:
        await stage.register_pull()
        receipts = []
        for _ in range(5):
            receipts.append((await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)).receipt)
            await stage.clock.advance(1)
        pages = [[row["transactionId"] for row in await stage.rows(OffSetValue=str(at))] for at in (0, 2, 4, 3)]
        assert pages == [receipts[:2], receipts[2:4], receipts[4:], receipts[3:5]]
        past = await stage.pull(OffSetValue=5)
        assert (past.body["ResponseCode"], past.body["ResponseMessage"]) == ("1001", NOTHING)


@pytest.mark.parametrize(
    ("form", "rest"),
    [
        (EmptyForm.LISTS, {"Response": [[]]}),
        (EmptyForm.TEXT, {"Transaction": "[[]]"}),
        (EmptyForm.NULL, {"Response": None}),
    ],
)
async def test_nothing_takes_many_forms(form: EmptyForm, rest: dict[str, object]) -> None:
    """HTTP 200 and 1001, with empty lists, null, or a string that looks like lists; so too when not registered."""
    async with daraja_stage(pulling(empty=form)) as stage:
        unregistered = (await stage.pull()).body
        await stage.register_pull()
        body = (await stage.pull()).body
        assert body | {"ResponseRefID": ""} == unregistered | {"ResponseRefID": ""}
        assert (
            body == {"ResponseRefID": body["ResponseRefID"], "ResponseCode": "1001", "ResponseMessage": NOTHING} | rest
        )


async def test_nothing_may_be_an_error() -> None:
    """HTTP 500 "failed to retrieve" is how some are told that there is nothing; with rows it is an answer again."""
    async with daraja_stage(pulling(empty=EmptyForm.ERROR)) as stage:
        await stage.register_pull()
        assert (await stage.pull()).error == (500, "500", "failed to retrieve")
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        assert len(await stage.rows()) == 1


async def test_a_short_code_that_is_not_registered_shows_nothing() -> None:
    """However many payments it has; and all of them once it is registered."""
    async with daraja_stage() as stage:
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        assert (await stage.pull()).body["ResponseCode"] == "1001"
        await stage.register_pull()
        assert len(await stage.rows()) == 1


async def test_the_window_includes_both_ends_to_the_second() -> None:
    """A payment at nine is in a window that begins or ends at nine, seconds given or not, and in no other."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        nine = "2026-11-21 09:00"
        windows = [
            ("2026-11-21 08:00:00", nine, "1000"),
            (nine, "2026-11-21 10:00", "1000"),
            ("2026-11-21 09:00:01", "2026-11-21 10:00", "1001"),
            ("2026-11-21 08:00", "2026-11-21 08:59:59", "1001"),
            ("2026-11-21 06:00:00", "2026-11-21 06:00:00", "1001"),  # the same digits in UTC are another moment
        ]
        for since, until, code in windows:
            assert (await stage.pull(StartDate=since, EndDate=until)).body["ResponseCode"] == code, since


async def test_rows_vanish_after_48_hours() -> None:
    """What is older is not shown, however the window is asked for."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        window = {"StartDate": "2026-11-21 08:00:00", "EndDate": "2026-11-22 08:00:00"}
        await stage.clock.advance(48 * 3600)
        stage.token = ""
        assert len(await stage.rows(**window)) == 1
        await stage.clock.advance(1)
        assert (await stage.pull(**window)).body["ResponseCode"] == "1001"


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"ShortCode": "999999"}, "400.001", "Invalid ShortCode"),
        ({"StartDate": "yesterday"}, "400.002.02", "Bad Request - Invalid StartDate"),
        ({"EndDate": "2026-11-31 10:00:00"}, "400.002.02", "Bad Request - Invalid EndDate"),
        ({"StartDate": "2026-11-21 10:00:00", "EndDate": "2026-11-21 09:00:00"}, "400.002.02", "EndDate"),
        ({"StartDate": "2026-11-18 09:00:00", "EndDate": "2026-11-20 09:00:01"}, "400.002.02", "EndDate"),
        ({"OffSetValue": "-1"}, "400.002.02", "Bad Request - Invalid OffSetValue"),
        ({"OffSetValue": "ten"}, "400.002.02", "Bad Request - Invalid OffSetValue"),
    ],
)
async def test_queries_that_are_refused(wrong: dict[str, str], code: str, message: str) -> None:
    """Somebody else's short code, a date that is none, a window backwards or longer than 48 hours, no offset."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        status, given, said = (await stage.pull(**wrong)).error
        assert (status, given) == (400, code)
        assert message in said


async def test_payments_show_up_late() -> None:
    """A row appears that long after its payment and not before."""
    async with daraja_stage(pulling(visible_after_seconds=90)) as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.clock.advance(89)
        assert (await stage.pull()).body["ResponseCode"] == "1001"
        await stage.clock.advance(1)
        assert len(await stage.rows()) == 1


@pytest.mark.parametrize(
    ("methods", "not_found", "post", "get"),
    [
        (PullMethods.BOTH, False, 200, 200),
        (PullMethods.POST, False, 200, 405),
        (PullMethods.GET, False, 405, 200),
        (PullMethods.GET, True, 404, 200),
    ],
)
async def test_the_disputed_method(methods: PullMethods, not_found: bool, post: int, get: int) -> None:  # noqa: FBT001 - a case of the table
    """POST, GET with a JSON body, or both; the wrong one is refused as wrong or as not there."""
    async with daraja_stage(pulling(methods=methods, wrong_method_is_not_found=not_found)) as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        answers = {method: await stage.pull(method) for method in ("POST", "GET")}
        assert {method: answer.status for method, answer in answers.items()} == {"POST": post, "GET": get}
        assert [answer.body["ResponseCode"] for answer in answers.values() if answer.status == 200] == ["1000"] * (
            [post, get].count(200)
        )


async def test_faults_wait_for_the_next_requests() -> None:
    """One a request, registrations included; None lets one through, so that a later page can fail."""
    async with daraja_stage(pulling(page_rows=1)) as stage:
        stage.lab.next_pull_answers(Fault.HTML_502, None, None, Fault.APIGEE_SPIKE_ARREST, Fault.EMPTY_500)
        assert (await stage.register_pull()).status == 502
        await stage.register_pull()
        for _ in range(2):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        answers = [(await stage.pull(OffSetValue=str(at))).status for at in (0, 1, 1, 1)]
        assert answers == [200, 429, 500, 200]


async def test_a_fault_that_stays() -> None:
    """An app without the product is told so each time, until it has it."""
    async with daraja_stage(pulling(fault=Fault.APIGEE_NO_PRODUCT)) as stage:
        for answer in (await stage.register_pull(), await stage.pull(), await stage.pull()):
            assert (answer.status, answer.body["fault"]["faultstring"]) == (
                401,
                "Invalid API call as no apiproduct match found",
            )
        stage.lab.set_pull(PullHandling())
        assert (await stage.register_pull()).body["ResponseStatus"] == "1000"


async def test_a_dead_token_has_its_own_code_here() -> None:
    """401.001; without any token the header's code."""
    async with daraja_stage() as stage:
        await stage.bearer()
        stage.lab.expire_tokens()
        assert (await stage.pull()).error == (401, "401.001", "Invalid Access Token")
        bare = await stage.send("POST", "/pulltransactions/v1/query", json={})
        assert bare.error[1] == "404.001.04"


async def test_answers_may_be_late() -> None:
    """Nothing is said before that many seconds."""
    async with daraja_stage(pulling(answer_after_seconds=40)) as stage:
        await stage.bearer()
        asking = asyncio.create_task(stage.register_pull())
        await stage.clock.slept_on.wait()
        await stage.clock.advance(39)
        assert not asking.done()
        await stage.clock.advance(1)
        assert (await asking).body["ResponseStatus"] == "1000"


async def test_settlements_are_rows_of_another_type() -> None:
    """Money the merchant moved to its organisation shows among the payments, and is none."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 100)
        settlement = stage.lab.settle(ReceiverKind.PAYBILL, PAYBILL, 60)
        rows = await stage.rows()
        assert [row["transactiontype"] for row in rows] == [
            "c2b-pay-bill-debit",
            "merchant-to-organization-settlement",
        ]
        assert (rows[1]["transactionId"], rows[1]["amount"]) == (settlement.receipt, "60.00")


async def test_a_reversal_changes_no_row() -> None:
    """Nothing is known of a row about it: the payment stays as it was."""
    async with daraja_stage() as stage:
        await stage.register_pull()
        debit = await stage.lab.pay_bill(PHONE, PAYBILL, "A", 100)
        before = await stage.rows()
        stage.lab.reverse(debit.receipt)
        assert await stage.rows() == before


async def test_the_wrong_path_is_not_there() -> None:
    """Pull has no `/mpesa` in front of it."""
    async with daraja_stage() as stage:
        answer = await stage.send("POST", "/mpesa/pulltransactions/v1/query", json={}, headers=await stage.bearer())
        assert answer.error[1] == "404.001.01"


@pytest.mark.parametrize(
    "wrong", [{"page_rows": 0}, {"nesting": 0}, {"window_hours": 0}, {"visible_after_seconds": -1}]
)
def test_manners_nobody_has(wrong: dict[str, Any]) -> None:
    """A page without rows, rows in no list, a window of nothing, negative time."""
    with pytest.raises(InvalidError):
        PullHandling(**wrong)


async def test_someone_elses_app_sees_nothing() -> None:
    """A short code belongs to its app: another app with a good token is told that it is invalid."""
    other = replace(SANDBOX_MERCHANT, short_code="600200", consumer_key="other", consumer_secret="s3cret")
    async with daraja_stage(merchants=(SANDBOX_MERCHANT, other)) as stage:
        await stage.register_pull()
        await _become(stage, other)
        assert (await stage.pull(ShortCode=PAYBILL)).error[1] == "400.001"


async def _become(stage: Stage, merchant: Merchant) -> None:
    stage.token = (await stage.ask_token(merchant.consumer_key, merchant.consumer_secret)).body["access_token"]
