from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja import (
    SANDBOX_MERCHANT,
    C2bHandling,
    DarajaOptions,
    Fault,
    Merchant,
    MerchantKind,
    NoticeHandling,
    Payer,
)
from tests.fakes.daraja_stage import PHONE, TIMESTAMP, Stage, daraja_stage

PAYBILL = SANDBOX_MERCHANT.short_code
STORE = Merchant("600100", "passkey", "lab-key", "lab-secret", "JUA CAFE", MerchantKind.BUYGOODS, till="512345")


def behaving(**handling: Any) -> DarajaOptions:
    return replace(DarajaOptions.unhurried(), c2b=C2bHandling(**handling))


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_registration_is_answered_with_the_misspelt_key(version: str) -> None:
    """The key lacks an n; in the sandbox one may register as often as one likes, and the last one counts."""
    async with daraja_stage() as stage:
        for path in ("/first", "/c2b"):
            url = stage.shop.url + path
            answer = await stage.register_urls(version, ConfirmationURL=url)
            assert answer.status == 200
            assert set(answer.body) == {"OriginatorCoversationID", "ResponseCode", "ResponseDescription"}
            assert (answer.body["ResponseCode"], answer.body["ResponseDescription"]) == ("0", "Success")
        assert [urls.confirmation_url for urls in stage.lab.c2b_urls] == [stage.shop.url + "/c2b"]


async def test_registration_has_other_spellings() -> None:
    """The right key and a small success are out there too."""
    async with daraja_stage(behaving(correct_key=True, small_success=True)) as stage:
        body = (await stage.register_urls()).body
        assert "OriginatorConversationID" in body
        assert body["ResponseDescription"] == "success"


async def test_production_registers_once_per_short_code() -> None:
    """A second time, also by the other version, is refused and changes nothing, until the owner takes it out."""
    async with daraja_stage(behaving(once_per_short_code=True), merchants=(SANDBOX_MERCHANT, STORE)) as stage:
        assert (await stage.register_urls("v1")).status == 200
        for version in ("v1", "v2"):
            refused = await stage.register_urls(version, ConfirmationURL=stage.shop.url)
            assert refused.error == (500, "500.003.1001", "Urls are already registered.")
        assert [urls.confirmation_url for urls in stage.lab.c2b_urls] == [stage.shop.confirmation_url]
        assert (await stage.register_urls(ShortCode=STORE.short_code)).status == 200
        stage.lab.forget_c2b_urls(PAYBILL)
        assert (await stage.register_urls()).status == 200
        with pytest.raises(NotFoundError):
            stage.lab.forget_c2b_urls("999999")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ShortCode": "999999"}, "ShortCode"),
        ({"ShortCode": None}, "ShortCode"),
        ({"ResponseType": "completed"}, "ResponseType"),
        ({"ResponseType": None}, "ResponseType"),
        ({"ResponseType": ["Completed"]}, "ResponseType"),
        ({"ConfirmationURL": "http://hub.easyisp.co.ke/c"}, "ConfirmationURL"),
        ({"ConfirmationURL": "https://hub.easyisp.co.ke/MPESA/c"}, "ConfirmationURL"),
        ({"ConfirmationURL": None}, "ConfirmationURL"),
        ({"ValidationURL": "https://hub.easyisp.co.ke/v?sql=1"}, "ValidationURL"),
        ({"ValidationURL": "https://abc.ngrok.io/v"}, "ValidationURL"),
        ({"ValidationURL": ""}, "ValidationURL"),
    ],
)
async def test_registrations_that_are_refused(wrong: dict[str, Any], field: str) -> None:
    """Both addresses by Safaricom's rules, the ResponseType letter for letter, one's own short code."""
    async with daraja_stage() as stage:
        answer = await stage.register_urls(**wrong)
        assert answer.error == (400, "400.003.02", f"Bad Request - Invalid {field}")
        assert stage.lab.c2b_urls == []


async def test_faults_and_dead_tokens() -> None:
    """Faults wait for the next registrations or stay; a dead token is 400.003.01 here."""
    async with daraja_stage() as stage:
        stage.lab.next_c2b_answers(Fault.URLS_ON_OLD_PLATFORM, None, Fault.HTML_503)
        first, second, third = [await stage.register_urls() for _ in range(3)]
        assert first.error[2].startswith("Duplicate notification info, SP ID is")
        assert (second.status, third.status) == (200, 503)
        stage.lab.set_c2b(C2bHandling(fault=Fault.APIGEE_NO_PRODUCT))
        assert [(await stage.register_urls()).status for _ in range(2)] == [401, 401]
        stage.lab.expire_tokens()
        assert (await stage.register_urls()).error == (400, "400.003.01", "Invalid Access Token")


async def test_a_payment_from_the_menu_is_confirmed() -> None:
    """Every value is text, the amount with two decimals, the number masked, the account as it was typed."""
    async with daraja_stage() as stage:
        await stage.register_urls()
        stage.lab.set_name(PHONE, "JANE DOE")
        await stage.lab.pay_bill(PHONE, PAYBILL, "old", 20)
        await stage.shop.next_confirmation()
        debit = await stage.lab.pay_bill(PHONE, PAYBILL, "ab3 k9", 5)
        assert await stage.shop.next_confirmation() == {
            "TransactionType": "Pay Bill",
            "TransID": debit.receipt,
            "TransTime": "20261121090000",
            "TransAmount": "5.00",
            "BusinessShortCode": PAYBILL,
            "BillRefNumber": "ab3 k9",
            "InvoiceNumber": "",
            "OrgAccountBalance": "25.00",
            "ThirdPartyTransID": "",
            "MSISDN": "2547 ***** 149",
            "FirstName": "JANE",
            "MiddleName": "",
            "LastName": "",
        }
        await stage.lab.quiet()
        assert [(sent.kind, sent.status) for sent in stage.lab.notices] == [("confirmation", 200)] * 2
        assert stage.shop.validations == []


async def test_a_push_is_confirmed_beside_its_callback() -> None:
    """With the same receipt, and the AccountReference as BillRefNumber."""
    async with daraja_stage() as stage:
        await stage.register_urls()
        await stage.lab.act(await stage.pushed(), Payer.PIN)
        callback, confirmation = await stage.shop.next(), await stage.shop.next_confirmation()
        items = {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}
        assert items["MpesaReceiptNumber"] == confirmation["TransID"] == stage.lab.debits[0].receipt
        assert confirmation["BillRefNumber"] == "ABC123"
        await stage.lab.act(await stage.pushed(), Payer.CANCEL)
        await stage.lab.quiet()
        assert len(stage.shop.confirmations) == 1


async def test_a_late_success_is_confirmed_too() -> None:
    """Whenever the money moves."""
    async with daraja_stage() as stage:
        await stage.register_urls()
        push = await stage.pushed()
        await stage.lab.act(push, Payer.WRONG_PIN)
        stage.lab.succeed_late(push)
        assert (await stage.shop.next_confirmation())["TransID"] == stage.lab.debits[0].receipt


@pytest.mark.parametrize("till_type", ["Buy Goods", "Customer Merchant Payment"])
async def test_a_tills_notices_have_no_account(till_type: str) -> None:
    """By menu or push, under the store's number, and with either name for their type."""
    async with daraja_stage(behaving(till_type=till_type), merchants=(STORE,)) as stage:
        await stage.register_urls()
        await stage.lab.pay_till(PHONE, STORE.till, 5)
        push = await stage.pushed(
            Password=STORE.password(TIMESTAMP), TransactionType="CustomerBuyGoodsOnline", PartyB=STORE.till
        )
        await stage.lab.act(push, Payer.PIN)
        for _ in range(2):
            notice = await stage.shop.next_confirmation()
            assert (notice["TransactionType"], notice["BusinessShortCode"]) == (till_type, STORE.short_code)
            assert notice["BillRefNumber"] == ""


async def test_who_paid_is_a_digest_or_a_mask() -> None:
    """v1 gives the SHA-256 of the number without a plus, v2 a mask in one of two shapes."""
    async with daraja_stage() as stage:
        seen = []
        for version, dense in (("v1", False), ("v2", False), ("v2", True)):
            stage.lab.set_c2b(C2bHandling(dense_mask=dense))
            await stage.register_urls(version)
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
            seen.append((await stage.shop.next_confirmation())["MSISDN"])
        assert seen == [hashlib.sha256(b"254708374149").hexdigest(), "2547 ***** 149", "25470****149"]


async def test_notices_get_lost_doubled_and_late() -> None:
    """Chosen for the next payments one by one, or for all; a payment is made in any case."""
    async with daraja_stage() as stage:
        await stage.register_urls()
        stage.lab.next_notices(
            NoticeHandling(copies=0),
            NoticeHandling(copies=2, gap_seconds=5),
            NoticeHandling(delay_seconds=600),
        )
        lost, twice, late, normal = [(await stage.lab.pay_bill(PHONE, PAYBILL, "A", n)).receipt for n in (1, 2, 3, 4)]
        arrived = [(await stage.shop.next_confirmation())["TransID"] for _ in range(2)]
        assert sorted(arrived) == sorted([twice, normal])
        await stage.clock.advance(5)
        assert (await stage.shop.next_confirmation())["TransID"] == twice
        await stage.clock.advance(590)
        assert stage.shop.confirmed.empty()
        await stage.clock.advance(5)
        assert (await stage.shop.next_confirmation())["TransID"] == late
        await stage.lab.quiet()
        assert lost not in {sent.receipt for sent in stage.lab.notices}
        stage.lab.set_c2b(C2bHandling(notice=NoticeHandling(copies=0)))
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 5)
        await stage.lab.quiet()
        assert len(stage.lab.notices) == 4
        assert len(stage.lab.debits) == 5


async def test_a_dead_address_loses_the_notice_and_no_money() -> None:
    """One try, recorded with its error; a refusal by the shop is recorded with its status; neither is tried again."""
    async with daraja_stage() as stage:
        await stage.register_urls(ConfirmationURL="http://127.0.0.1:9/c2b")
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.lab.quiet()
        await stage.register_urls()
        stage.shop.status = 503
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.lab.quiet()
        assert [sent.status for sent in stage.lab.notices] == [None, 503]
        assert stage.lab.notices[0].error
        assert len(stage.lab.debits) == 2


async def test_without_addresses_nobody_is_told() -> None:
    """Neither before registration nor after they are taken out."""
    async with daraja_stage() as stage:
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.register_urls()
        stage.lab.forget_c2b_urls(PAYBILL)
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.lab.quiet()
        assert stage.lab.notices == []


async def test_a_validation_that_says_yes() -> None:
    """Asked before the money moves, in the confirmation's body without a balance; its own id comes back."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls()
        stage.shop.validation = {"ResultCode": 0, "ResultDesc": "Accepted", "ThirdPartyTransID": "T-1"}
        debit = await stage.lab.pay_bill(PHONE, PAYBILL, "A", 5)
        confirmation = await stage.shop.next_confirmation()
        assert (confirmation["TransID"], confirmation["ThirdPartyTransID"]) == (debit.receipt, "T-1")
        assert stage.shop.validations == [confirmation | {"OrgAccountBalance": "", "ThirdPartyTransID": ""}]


@pytest.mark.parametrize("code", ["C2B00012", "C2B00016", 1])
@pytest.mark.parametrize("response_type", ["Completed", "Cancelled"])
async def test_a_validation_that_says_no(code: object, response_type: str) -> None:
    """Whatever the ResponseType: no money moves, nobody is told but the payer."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls(ResponseType=response_type)
        stage.shop.validation = {"ResultCode": code, "ResultDesc": "Rejected"}
        with pytest.raises(ConflictError, match="declined"):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 5)
        await stage.lab.quiet()
        assert (stage.lab.debits, stage.lab.balance_shillings(PHONE)) == ([], 5000)
        assert stage.shop.confirmations == []
        assert [message.text[:7] for message in stage.lab.messages(PHONE)] == ["Failed."]


@pytest.mark.parametrize(("response_type", "debits"), [("Completed", 1), ("Cancelled", 0)])
async def test_silence_for_eight_seconds_leaves_it_to_the_response_type(response_type: str, debits: int) -> None:
    """Not before; and an answer after that is too late."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls(ResponseType=response_type)
        stage.shop.validation = None
        paying = asyncio.create_task(_try_to_pay(stage))
        await stage.shop.asked.wait()
        await stage.clock.advance(7.9)
        assert not paying.done()
        await stage.clock.advance(0.1)
        await paying
        await stage.lab.quiet()
        assert len(stage.lab.debits) == len(stage.shop.confirmations) == debits
        assert (stage.lab.notices[0].status, stage.lab.notices[0].error) == (None, "no answer in time")


@pytest.mark.parametrize("answer", ["nonsense", [], {}, {"ResultDesc": "Accepted"}])
@pytest.mark.parametrize(("response_type", "debits"), [("Completed", 1), ("Cancelled", 0)])
async def test_an_answer_that_says_nothing_counts_as_silence(answer: object, response_type: str, debits: int) -> None:
    """No ResultCode, no verdict: the ResponseType decides."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls(ResponseType=response_type)
        stage.shop.validation = answer
        await _try_to_pay(stage)
        assert len(stage.lab.debits) == debits


async def test_a_validation_address_that_is_down() -> None:
    """Refused at once is no answer as well."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls(ResponseType="Cancelled", ValidationURL="http://127.0.0.1:9/v")
        await _try_to_pay(stage)
        assert stage.lab.debits == []
        await stage.register_urls(ValidationURL="http://127.0.0.1:9/v")
        await _try_to_pay(stage)
        assert len(stage.lab.debits) == 1


async def test_money_spent_during_the_validation_is_spent() -> None:
    """The balance is looked at again when the answer is there."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls()
        stage.shop.validation = None
        paying = asyncio.create_task(_try_to_pay(stage))
        await stage.shop.asked.wait()
        stage.lab.set_balance(PHONE, 4)
        await stage.clock.advance(8)
        await paying
        assert stage.lab.debits == []
        assert "enough money" in stage.lab.messages(PHONE)[0].text


async def test_pushes_and_banks_are_not_validated() -> None:
    """Only payments from the menu to the short code itself are asked about."""
    async with daraja_stage(behaving(validates=True)) as stage:
        await stage.register_urls()
        await stage.lab.act(await stage.pushed(), Payer.PIN)
        await stage.lab.pay_bill(PHONE, "247247", "0110203040506", 5)
        await stage.lab.quiet()
        assert stage.shop.validations == []
        assert len(stage.shop.confirmations) == 1


def test_notices_cannot_be_early() -> None:
    """Negative time or copies make no sense."""
    for wrong in ({"copies": -1}, {"delay_seconds": -1}, {"gap_seconds": -1}):
        with pytest.raises(InvalidError):
            NoticeHandling(**wrong)


async def test_closing_ends_deliveries_under_way() -> None:
    """A notice that is still waiting does not hold up the end."""
    async with daraja_stage() as stage:
        await stage.register_urls()
        stage.lab.next_notices(NoticeHandling(delay_seconds=3600))
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        await stage.lab.close()
        assert stage.shop.confirmations == []


async def _try_to_pay(stage: Stage) -> None:
    try:
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 5)
    except ConflictError:
        return
