from __future__ import annotations

import asyncio

import pytest

from easyisp_edge.errors import ConflictError
from easyisp_edge.lab.daraja import (
    BalanceItem,
    Behaviour,
    CallbackHandling,
    DarajaOptions,
    Fault,
    Payer,
    PhoneItem,
)
from tests.fakes.daraja_stage import PHONE, daraja_stage


def paying(**handling: object) -> DarajaOptions:
    return DarajaOptions.unhurried(Behaviour(payer=Payer.PIN, callback=CallbackHandling(**handling)))  # type: ignore[arg-type]


async def test_a_success_callback_is_shaped_as_documented() -> None:
    """Numbers are numbers, the amount has two decimals, Balance stands third without a value."""
    async with daraja_stage(paying()) as stage:
        push = await stage.pushed()
        callback = await stage.shop.next()
        debit = stage.lab.debits[0]
        assert callback == {
            "MerchantRequestID": stage.lab.push(push).merchant_request_id,
            "CheckoutRequestID": push,
            "ResultCode": 0,
            "ResultDesc": "The service request is processed successfully.",
            "CallbackMetadata": {
                "Item": [
                    {"Name": "Amount", "Value": 50.0},
                    {"Name": "MpesaReceiptNumber", "Value": debit.receipt},
                    {"Name": "Balance"},
                    {"Name": "TransactionDate", "Value": 20261121090000},
                    {"Name": "PhoneNumber", "Value": 254708374149},
                ]
            },
        }
        assert '"Value": 50.00}' in stage.shop.texts[0]


@pytest.mark.parametrize(
    ("code", "on_the_wire"), [("1037", 1037), ("1", 1), ("SFC_IC0003", "SFC_IC0003"), ("E3008", "E3008")]
)
async def test_a_failure_callback_has_no_metadata(code: str, on_the_wire: int | str) -> None:
    """Failures carry code and text only; codes that are no numbers come as text."""
    behaviour = Behaviour(payer=Payer.RESULT, result_code=code)
    async with daraja_stage(DarajaOptions.unhurried(behaviour)) as stage:
        await stage.pushed()
        callback = await stage.shop.next()
        assert callback["ResultCode"] == on_the_wire
        assert set(callback) == {"MerchantRequestID", "CheckoutRequestID", "ResultCode", "ResultDesc"}
        assert stage.lab.debits == []


async def test_balance_phone_and_date_take_every_shape() -> None:
    """Balance as text or absent, phone masked or absent, date as text."""
    shapes = [
        CallbackHandling(balance=BalanceItem.TEXT, phone_number=PhoneItem.MASKED, date_as_text=True),
        CallbackHandling(balance=BalanceItem.ABSENT, phone_number=PhoneItem.ABSENT),
    ]
    async with daraja_stage() as stage:
        stage.lab.next_pushes(*(Behaviour(payer=Payer.PIN, callback=shape) for shape in shapes))
        seen = []
        for _ in shapes:
            await stage.pushed()
            seen.append((await stage.shop.next())["CallbackMetadata"]["Item"])
            await stage.lab.quiet()
        values = {item["Name"]: item["Value"] for item in seen[0]}
        assert values["Balance"] == "{Amount={CurrencyCode=KES, BasicAmount=4950.00}}"
        assert values["PhoneNumber"] == "254708***149"
        assert values["TransactionDate"] == "20261121090000"
        assert [item["Name"] for item in seen[1]] == ["Amount", "MpesaReceiptNumber", "TransactionDate"]


async def test_a_lost_callback_never_comes() -> None:
    """With no copies the payment stands and nothing is sent, until a script sends it after all."""
    async with daraja_stage(paying(copies=0)) as stage:
        push = await stage.pushed()
        await stage.lab.quiet()
        assert stage.shop.bodies == []
        assert len(stage.lab.debits) == 1
        assert (await stage.lab.send_callback(push)).status == 200
        assert (await stage.shop.next())["ResultCode"] == 0


async def test_duplicates_are_the_same_body() -> None:
    """Each copy repeats the first one to the letter."""
    async with daraja_stage(paying(copies=3)) as stage:
        await stage.pushed()
        await stage.lab.quiet()
        assert len(stage.shop.texts) == 3
        assert len(set(stage.shop.texts)) == 1
        assert len(stage.lab.callbacks) == 3
        assert len(stage.lab.debits) == 1


async def test_a_late_callback_waits_its_time() -> None:
    """The debit is made at once, the callback leaves only after its delay."""
    async with daraja_stage(paying(delay_seconds=300)) as stage:
        push = await stage.pushed()
        await stage.lab.push(push).settled.wait()
        await stage.clock.advance(299)
        assert stage.lab.debits
        assert stage.lab.callbacks == []
        await stage.clock.advance(1)
        assert (await stage.shop.next())["CheckoutRequestID"] == push


async def test_a_callback_may_overtake_the_answer() -> None:
    """`before_answer`: the callback is delivered while the push still waits for its own answer."""
    async with daraja_stage(paying(before_answer=True)) as stage:
        await stage.bearer()
        order: list[str] = []

        async def push() -> str:
            checkout_request_id = await stage.pushed()
            order.append("answer")
            return checkout_request_id

        answer = asyncio.ensure_future(push())
        callback = await stage.shop.next()
        order.append("callback")
        assert callback["CheckoutRequestID"] == await answer
        assert order == ["callback", "answer"]


async def test_usually_the_answer_comes_first() -> None:
    """Even a payer who is quick as light is called back about only after the push is answered."""
    async with daraja_stage(paying()) as stage:
        await stage.bearer()
        stage.lab.next_pushes(Behaviour(payer=Payer.PIN, payer_after_seconds=1, answer_after_seconds=5))
        answer = asyncio.ensure_future(stage.pushed())
        await stage.lab.wait_for_prompt(PHONE)
        await stage.clock.advance(1)
        assert len(stage.lab.debits) == 1
        await asyncio.sleep(0.02)
        assert stage.shop.bodies == []
        await stage.clock.advance(4)
        assert await answer
        assert (await stage.shop.next())["ResultCode"] == 0


async def test_a_refused_callback_is_not_tried_again() -> None:
    """One try each: an error at the shop is recorded and that is all."""
    async with daraja_stage(paying()) as stage:
        stage.shop.status = 500
        await stage.pushed()
        await stage.lab.quiet()
        assert [sent.status for sent in stage.lab.callbacks] == [500]


async def test_a_shop_that_is_away_is_recorded() -> None:
    """No listener: the try stands in the ledger with its error, and the payment stays paid."""
    async with daraja_stage(paying()) as stage:
        push = await stage.pushed(CallBackURL="http://127.0.0.1:1/c/1")
        await stage.lab.quiet()
        (sent,) = stage.lab.callbacks
        assert sent.status is None
        assert "Connect" in sent.error
        assert stage.lab.push(push).result.paid  # type: ignore[union-attr]


async def test_failure_first_success_later() -> None:
    """1037 is told, then after its time the money moves and a second callback says so."""
    behaviour = Behaviour(payer=Payer.RESULT, result_code="1037", late_success_after_seconds=2400)
    async with daraja_stage(DarajaOptions.unhurried(behaviour)) as stage:
        push = await stage.pushed()
        assert (await stage.shop.next())["ResultCode"] == 1037
        assert stage.lab.debits == []
        assert (await stage.query(push)).body["ResultCode"] == "1037"
        await asyncio.sleep(0.01)
        await stage.clock.advance(2400)
        late = await stage.shop.next()
        assert (late["ResultCode"], late["CheckoutRequestID"]) == (0, push)
        assert (await stage.query(push)).body["ResultCode"] == "0"
        assert [debit.checkout_request_id for debit in stage.lab.debits] == [push]


async def test_late_success_on_command_happens_once() -> None:
    """Only a failure can turn, and only while the money suffices."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.CANCEL))) as stage:
        push = await stage.pushed()
        await stage.shop.next()
        stage.lab.set_balance(PHONE, 49)
        with pytest.raises(ConflictError, match="insufficient"):
            stage.lab.succeed_late(push)
        stage.lab.set_balance(PHONE, 50)
        stage.lab.succeed_late(push)
        assert (await stage.shop.next())["ResultCode"] == 0
        with pytest.raises(ConflictError):
            stage.lab.succeed_late(push)
        assert len(stage.lab.debits) == 1
        assert stage.lab.balance_shillings(PHONE) == 0


async def test_the_failure_is_told_although_success_overtook_its_callback() -> None:
    """A delayed failure callback still says failure when the payment succeeded meanwhile."""
    handling = CallbackHandling(delay_seconds=10)
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.CANCEL, callback=handling))) as stage:
        push = await stage.pushed()
        await stage.lab.push(push).settled.wait()
        await stage.clock.advance(5)
        stage.lab.succeed_late(push)
        await stage.clock.advance(5)
        assert (await stage.shop.next())["ResultCode"] == 1032
        await stage.clock.advance(5)
        assert (await stage.shop.next())["ResultCode"] == 0


async def test_no_callback_before_there_is_a_result() -> None:
    """Nothing can be called back about while the payer thinks."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        with pytest.raises(ConflictError):
            await stage.lab.send_callback(push)


async def test_a_reset_answer_does_not_hold_the_callback() -> None:
    """Where the answer is lost, the callback is the only word the client gets, and it comes."""
    async with daraja_stage() as stage:
        await stage.bearer()
        stage.lab.next_pushes(Behaviour(fault=Fault.NEVER, goes_through=True, payer=Payer.CANCEL))
        silent = asyncio.ensure_future(stage.push())
        assert (await stage.shop.next())["ResultCode"] == 1032
        assert not silent.done()
        silent.cancel()
        await asyncio.gather(silent, return_exceptions=True)
